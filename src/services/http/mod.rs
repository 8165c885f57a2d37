//! HTTP/1.1 on whatever drives a protocol: a target to measure with, and a server of files.
//!
//! A request's head decides how it is answered; its body is taken first, and bounded. Answers that are small are written at
//! once, large ones as they are taken. A connection at rest remembers nothing.

mod answer;
mod body;
mod config;
mod content;
mod files;
mod host;
mod path;
mod range;
mod receive;
mod reply;
mod root;
mod status;

use std::sync::Arc;
use std::time::Duration;

pub use self::config::{DEFAULT_MAX_BODY, HttpConfig};
pub use self::host::Hosts;
pub use self::root::Root;

use self::answer::Answer;
use self::content::{Content, Produced};
use self::receive::{Receiving, write_echo_head};
use self::reply::{Head, How, Length, write_body, write_plaintext, write_text};
use self::status::Status;
use crate::http::{BodyLength, HeadError, Request, is_worth_another_look, parse_request};
use crate::session::{Context, Protocol, ProtocolError, Step};

const HOME: &[u8] = include_bytes!("home.html");
const JSON: &[u8] = b"{\"message\":\"Hello, World!\"}";

/// One conversation of an HTTP server.
#[derive(Debug)]
pub struct Http {
    config: Arc<HttpConfig>,
    /// What is under way besides reading the next head.
    doing: Option<Box<Doing>>,
    /// Bytes at the front of the input in which no whole head was found.
    seen: u32,
    check_host: bool,
    /// The server is draining.
    stopping: bool,
}

/// More than one call's work.
#[derive(Debug)]
enum Doing {
    /// A body is taken; when it has come the request is answered.
    Receiving(Receiving),
    /// An answer is held back.
    Delaying { ms: u64, how: How },
    /// An answer is longer than there was room for.
    Sending { content: Content, how: How },
}

impl Http {
    /// One conversation. `check_host` says whether a browser could be the client: true but on Unix sockets.
    #[must_use]
    pub const fn new(config: Arc<HttpConfig>, check_host: bool) -> Self {
        Self { config, doing: None, seen: 0, check_host, stopping: false }
    }

    /// The head of a request is whole, and `more` has come behind it.
    #[inline]
    fn on_request(
        &mut self,
        request: &Request<'_>,
        more: bool,
        cx: &mut Context<'_>,
    ) -> Result<(), ProtocolError> {
        let mut how = How::of(request, self.config.dates);
        // Who is told so does not send another request to a server that will not be there.
        how.close |= self.stopping && !more;
        let answer = Answer::to(request, self.check_host, &self.config);
        if answer.error() == Some(Status::BAD_REQUEST) {
            how.close = true;
        }
        match request.body {
            BodyLength::Known(0) => {
                self.answer(answer, how, cx);
                Ok(())
            }
            length => self.begin_body(length, request.expect, more, answer, how, cx),
        }
    }

    /// Answers, or begins to.
    #[inline]
    fn answer(&mut self, answer: Answer, how: How, cx: &mut Context<'_>) {
        match answer {
            Answer::Plaintext => write_plaintext(how, cx),
            other => return self.answer_rarely(other, how, cx),
        }
        if how.close {
            cx.finish();
        }
    }

    #[inline(never)]
    fn answer_rarely(&mut self, answer: Answer, how: How, cx: &mut Context<'_>) {
        match answer {
            Answer::Plaintext => write_plaintext(how, cx),
            Answer::Home => {
                let fields = "Content-Security-Policy: default-src 'none'\r\n";
                write_body(Status::OK, "text/html; charset=utf-8", fields, HOME, how, cx);
            }
            Answer::Json => write_body(Status::OK, "application/json", "", JSON, how, cx),
            // Without a body: the echo of nothing.
            Answer::Echo => write_echo_head(BodyLength::Known(0), how, cx),
            Answer::Text { status, fields, text } => write_text(status, &fields, &text, how, cx),
            Answer::Bytes(count) => {
                let (media, length) = ("application/octet-stream", Length::Known(count));
                Head { status: Status::OK, media, length, fields: "" }.write(how, cx);
                return self.send(Some(Content::numbered(count)), how, cx);
            }
            Answer::File(file) => {
                Head { status: file.status, media: file.media, length: file.length, fields: &file.fields }
                    .write(how, cx);
                let Length::Known(length) = file.length else { return self.send(None, how, cx) };
                let content = file.from.map(|(file, at)| Content::file(file, at, length));
                return self.send(content, how, cx);
            }
            Answer::Delay(ms) => {
                cx.wake_after(Duration::from_millis(ms));
                self.doing = Some(Box::new(Doing::Delaying { ms, how }));
                return;
            }
        }
        if how.close {
            cx.finish();
        }
    }

    /// The head is written; sends what follows it.
    fn send(&mut self, content: Option<Content>, how: How, cx: &mut Context<'_>) {
        if let Some(content) = content.filter(|_| !how.head_only) {
            self.doing = Some(Box::new(Doing::Sending { content, how }));
            self.send_on(cx);
        } else if how.close {
            cx.finish();
        }
    }

    /// Sends the next piece of an answer that is under way, if any is.
    fn send_on(&mut self, cx: &mut Context<'_>) {
        let Some(Doing::Sending { content, how }) = self.doing.as_deref_mut() else { return };
        let close = how.close;
        match content.produce(cx) {
            Produced::Some => return cx.want_writable(),
            Produced::Nothing(delay) => return cx.wake_after(delay),
            // The client finds less than it was promised, and then the end: the only way left to say so.
            Produced::Broken => cx.finish(),
            Produced::All if close => cx.finish(),
            Produced::All => {}
        }
        self.doing = None;
    }
}

impl Protocol for Http {
    fn ready(&self) -> bool {
        !matches!(self.doing.as_deref(), Some(Doing::Delaying { .. } | Doing::Sending { .. }))
    }

    #[inline]
    fn on_bytes(&mut self, input: &[u8], cx: &mut Context<'_>) -> Result<Step, ProtocolError> {
        if self.doing.is_some() {
            return self.on_body(input, cx);
        }
        if self.seen > 0 || input[0] <= b'\r' {
            match prepare(input, self.seen) {
                Ok(None) => {}
                Ok(Some(step)) => {
                    let unfinished = if step == Step::NeedMore { input.len() } else { 0 };
                    self.seen = u32::try_from(unfinished).unwrap_or(u32::MAX);
                    return Ok(step);
                }
                Err(error) => return Err(refuse(error, self.config.dates, cx)),
            }
        }
        match parse_request(input) {
            Ok(Some((request, end))) => {
                self.seen = 0;
                self.on_request(&request, input.len() > end, cx)?;
                Ok(Step::consumed(end))
            }
            Ok(None) => {
                self.seen = u32::try_from(input.len()).unwrap_or(u32::MAX);
                Ok(Step::NeedMore)
            }
            Err(error) => Err(refuse(error, self.config.dates, cx)),
        }
    }

    fn on_writable(&mut self, cx: &mut Context<'_>) {
        self.send_on(cx);
    }

    fn on_eof(&mut self, rest: &[u8], cx: &mut Context<'_>) -> Result<Step, ProtocolError> {
        match self.doing.as_deref() {
            Some(Doing::Receiving(Receiving { answer: Answer::Echo, .. })) => {
                return Err(ProtocolError::Violation("the stream ended inside a body"));
            }
            None if rest.is_empty() => cx.finish(),
            _ => {
                write_text(
                    Status::BAD_REQUEST,
                    "",
                    "the stream ended inside a request",
                    How::last(self.config.dates),
                    cx,
                );
                return Err(ProtocolError::Violation("the stream ended inside a request"));
            }
        }
        Ok(Step::NeedMore)
    }

    fn on_wake(&mut self, cx: &mut Context<'_>) {
        match self.doing.as_deref() {
            Some(&Doing::Delaying { ms, how }) => {
                self.doing = None;
                write_text(Status::OK, "", &format!("waited {ms} ms"), how, cx);
                if how.close {
                    cx.finish();
                }
            }
            Some(Doing::Sending { .. }) => self.send_on(cx),
            Some(Doing::Receiving(_)) => self.check_body(cx),
            None => {}
        }
    }

    fn on_overdue(&mut self, cx: &mut Context<'_>) {
        write_text(Status::TIMEOUT, "", "the request came too slowly", How::last(self.config.dates), cx);
    }

    fn on_stop(&mut self, _cx: &mut Context<'_>) {
        self.stopping = true;
    }
}

/// For input that was looked at before, or begins with a line's end: what to do with it, or `None` to parse it.
#[cold]
fn prepare(input: &[u8], seen: u32) -> Result<Option<Step>, HeadError> {
    if let [b'\r', b'\n', ..] = input {
        // Empty lines before a request are ignored (RFC 9112 section 2.2).
        return Ok(Some(Step::consumed(2)));
    }
    if input == b"\r" || (seen > 0 && !is_worth_another_look(input, seen as usize)?) {
        return Ok(Some(Step::NeedMore));
    }
    Ok(None)
}

/// Answers what is no request, and ends: where the next one would begin, nobody knows.
#[cold]
fn refuse(error: HeadError, dated: bool, cx: &mut Context<'_>) -> ProtocolError {
    let status = match error {
        HeadError::TargetTooLong => Status::TARGET_TOO_LONG,
        HeadError::TooLarge => Status::HEAD_TOO_LARGE,
        HeadError::Version => Status::VERSION,
        HeadError::TransferCoding => Status::NOT_IMPLEMENTED,
        _ => Status::BAD_REQUEST,
    };
    write_text(status, "", &error.to_string(), How::last(dated), cx);
    ProtocolError::Violation(match error {
        HeadError::Malformed(why) => why,
        _ => status.0,
    })
}

#[cfg(test)]
mod tests;
