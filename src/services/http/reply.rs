//! Answers as bytes: the head, in the order in which everything else follows it.

use super::status::Status;
use crate::http::{Request, http_date};
use crate::session::Context;

/// What the whole of a common answer consists of besides its date.
const PLAINTEXT: (&[u8], &[u8]) = (
    b"HTTP/1.1 200 OK\r\nServer: oneloop\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 13\r\nDate: ",
    b"\r\n\r\nHello, World!",
);

pub(super) const TEXT: &str = "text/plain; charset=utf-8";

/// What of a request decides how it is answered, besides what is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct How {
    /// The connection ends with this answer.
    pub(super) close: bool,
    /// HEAD: everything but the body.
    pub(super) head_only: bool,
    /// HTTP/1.0, which has to be told that the connection is kept.
    pub(super) old: bool,
    /// It says when it was made.
    pub(super) dated: bool,
}

impl How {
    /// For an answer to what is no request: the last one.
    pub(super) const fn last(dated: bool) -> Self {
        Self { close: true, head_only: false, old: false, dated }
    }

    pub(super) fn of(request: &Request<'_>, dated: bool) -> Self {
        let Request { keep_alive, method, minor, .. } = *request;
        Self { close: !keep_alive, head_only: method == "HEAD", old: minor == 0, dated }
    }

    /// The same, and the connection ends.
    pub(super) const fn closing(self) -> Self {
        Self { close: true, ..self }
    }
}

/// How long the body of an answer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Length {
    /// So many bytes.
    Known(u64),
    /// In chunks, until the last one.
    Chunked,
    /// There is none, and none is announced (304).
    None,
}

/// The head of an answer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Head<'a> {
    pub(super) status: Status,
    /// `Content-Type`; left out when empty.
    pub(super) media: &'a str,
    pub(super) length: Length,
    /// Further fields, each with its line end.
    pub(super) fields: &'a str,
}

impl Head<'_> {
    pub(super) fn write(&self, how: How, cx: &mut Context<'_>) {
        let mut put = |text: &str| cx.write(text.as_bytes());
        put("HTTP/1.1 ");
        put(self.status.0);
        put("\r\nServer: oneloop\r\n");
        if !self.media.is_empty() {
            put("Content-Type: ");
            put(self.media);
            put("\r\n");
        }
        match self.length {
            Length::Known(length) => {
                put("Content-Length: ");
                put(&length.to_string());
                put("\r\n");
            }
            Length::Chunked => put("Transfer-Encoding: chunked\r\n"),
            Length::None => {}
        }
        put(self.fields);
        if how.close {
            put("Connection: close\r\n");
        } else if how.old {
            put("Connection: keep-alive\r\n");
        }
        if how.dated {
            put("Date: ");
            cx.write(&http_date(cx.wall()));
            cx.write(b"\r\n");
        }
        cx.write(b"\r\n");
    }
}

/// `Hello, World!`, put together from three parts where nothing has to be said about the connection.
#[inline]
pub(super) fn write_plaintext(how: How, cx: &mut Context<'_>) {
    if how.close || how.head_only || how.old || !how.dated {
        return write_body(Status::OK, TEXT, "", b"Hello, World!", how, cx);
    }
    let date = http_date(cx.wall());
    cx.write(PLAINTEXT.0);
    cx.write(&date);
    cx.write(PLAINTEXT.1);
}

/// A whole answer with a body that is at hand.
#[cold]
pub(super) fn write_body(
    status: Status,
    media: &str,
    fields: &str,
    body: &[u8],
    how: How,
    cx: &mut Context<'_>,
) {
    Head { status, media, length: Length::Known(body.len() as u64), fields }.write(how, cx);
    if !how.head_only {
        cx.write(body);
    }
}

/// A whole answer that is a line of text: what went wrong, mostly.
pub(super) fn write_text(status: Status, fields: &str, text: &str, how: How, cx: &mut Context<'_>) {
    write_body(status, TEXT, fields, format!("{text}\n").as_bytes(), how, cx);
}
