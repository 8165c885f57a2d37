//! HTTP/1.1 on whatever drives a protocol: a target to measure with, and a server of files.
//!
//! A request's head decides how it is answered; its body is taken first, and bounded. Answers that are small are written at
//! once, large ones as they are taken. A connection at rest remembers nothing.

mod answer;
mod body;
mod content;
mod files;
mod host;
mod path;
mod range;
mod reply;
mod root;
mod status;

use std::sync::Arc;
use std::time::Duration;

pub use self::host::Hosts;
pub use self::root::Root;

use self::answer::Answer;
use self::body::{Body, BodyError};
use self::content::{Content, Produced};
use self::reply::{Head, How, Length, write_body, write_plaintext, write_text};
use self::status::Status;
use crate::http::{BodyLength, Expect, HeadError, Request, is_worth_another_look, parse_request};
use crate::session::{Context, Protocol, ProtocolError, Step};

/// The default of [`HttpConfig::max_body`]: 1 MiB.
pub const DEFAULT_MAX_BODY: u64 = 1024 * 1024;

/// Bytes per second of [`HttpConfig::patience`] that a body has to move, or its request is given up: what a client needs who
/// is slow, and does not keep one on purpose.
const SLOWEST_BODY: u64 = 500;

const HOME: &[u8] = include_bytes!("home.html");
const JSON: &[u8] = b"{\"message\":\"Hello, World!\"}";

/// What every conversation of one HTTP server shares.
#[derive(Debug, Clone)]
pub struct HttpConfig {
    /// The folder whose files are served, where there is one.
    pub root: Option<Root>,
    /// Names under which requests are answered.
    pub hosts: Hosts,
    /// The longest body of a request, in bytes.
    pub max_body: u64,
    /// In each such span a body must bring 500 bytes for every second of it, unless we do not read: `None` for no limit.
    pub patience: Option<Duration>,
    /// Whether answers say when they were made. Without it the same request gets the same bytes at any time: for tests, and
    /// for machines without a clock (RFC 9110 section 6.6.1).
    pub dates: bool,
}

impl Default for HttpConfig {
    /// No files; addresses and `localhost` only; 1 MiB; 30 s.
    fn default() -> Self {
        let patience = Some(Duration::from_secs(30));
        Self { root: None, hosts: Hosts::default(), max_body: DEFAULT_MAX_BODY, patience, dates: true }
    }
}

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

#[derive(Debug)]
struct Receiving {
    body: Body,
    answer: Answer,
    how: How,
    /// There is a timer, and so much had come when it was set.
    since: Option<u64>,
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

    #[cold]
    fn begin_body(
        &mut self,
        length: BodyLength,
        expect: Expect,
        more: bool,
        answer: Answer,
        how: How,
        cx: &mut Context<'_>,
    ) -> Result<(), ProtocolError> {
        let Ok(body) = Body::new(length, self.config.max_body) else { return Err(too_large(how, cx)) };
        let refused = answer.error().is_some();
        if refused && (expect != Expect::Nothing || how.close) {
            // Whether it sends the body now is the client's choice (RFC 9110 section 10.1.1): what follows may be anything.
            self.answer(answer, how.closing(), cx);
            return Ok(());
        }
        if expect == Expect::Continue && !more {
            cx.write(b"HTTP/1.1 100 Continue\r\n\r\n");
        }
        if matches!(answer, Answer::Echo) {
            write_echo_head(length, how, cx);
        }
        self.doing = Some(Box::new(Doing::Receiving(Receiving { body, answer, how, since: None })));
        Ok(())
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

    /// A part of a body has come.
    #[inline(never)]
    fn on_body(&mut self, input: &[u8], cx: &mut Context<'_>) -> Result<Step, ProtocolError> {
        let Some(Doing::Receiving(receiving)) = self.doing.as_deref_mut() else { return Ok(Step::NeedMore) };
        let mut used = 0;
        loop {
            let (echo, chunked) = (matches!(receiving.answer, Answer::Echo), receiving.body.is_chunked());
            let taken = match receiving.body.take(&input[used..]) {
                Ok(taken) => taken,
                // An answer that has begun cannot be taken back: it is cut off instead.
                Err(_) if echo => return Err(ProtocolError::Violation("a body that cannot be echoed")),
                Err(BodyError::TooLarge) => return Err(too_large(receiving.how, cx)),
                Err(BodyError::Chunk(error)) => {
                    let text = format!("a malformed body: {error}");
                    write_text(Status::BAD_REQUEST, "", &text, receiving.how.closing(), cx);
                    return Err(ProtocolError::Violation("a malformed body"));
                }
            };
            if echo {
                let (from, to) = (used + taken.part.start, used + taken.part.end);
                echo_part(from..to, chunked, taken.is_last, cx);
            }
            used += taken.consumed;
            if taken.is_last {
                self.end_body(cx);
                return Ok(Step::consumed(used));
            }
            if used == input.len() || taken.consumed == 0 {
                break;
            }
        }
        if receiving.since.is_none()
            && let Some(patience) = self.config.patience
        {
            receiving.since = Some(receiving.body.received());
            cx.wake_after(patience);
        }
        Ok(Step::consumed(used))
    }

    /// The body is whole: its request is answered, unless it was echoed already.
    fn end_body(&mut self, cx: &mut Context<'_>) {
        let Some(Doing::Receiving(receiving)) = self.doing.take().map(|doing| *doing) else { return };
        if receiving.since.is_some() {
            cx.cancel_wake();
        }
        match receiving.answer {
            Answer::Echo if receiving.how.close => cx.finish(),
            Answer::Echo => {}
            answer => self.answer(answer, receiving.how, cx),
        }
    }

    /// A body has had another span of patience: did it use it?
    fn check_body(&mut self, cx: &mut Context<'_>) {
        let Some(Doing::Receiving(Receiving { body, answer, how, since: Some(since) })) =
            self.doing.as_deref_mut()
        else {
            return;
        };
        let Some(patience) = self.config.patience else { return };
        let moved = body.received() - std::mem::replace(since, body.received());
        let enough = patience.as_secs().max(1).saturating_mul(SLOWEST_BODY);
        // While its echo is not taken we do not read either; for that the write limit is there.
        if moved >= enough || cx.backlog > 0 {
            return cx.wake_after(patience);
        }
        if !matches!(answer, Answer::Echo) {
            write_text(Status::TIMEOUT, "", "the body came too slowly", how.closing(), cx);
        }
        cx.finish();
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

fn too_large(how: How, cx: &mut Context<'_>) -> ProtocolError {
    let text = "the body is longer than --max-body allows";
    write_text(Status::BODY_TOO_LARGE, "", text, how.closing(), cx);
    ProtocolError::Violation("a body that is too large")
}

/// What is echoed is data, whatever it looks like to a browser.
fn write_echo_head(length: BodyLength, how: How, cx: &mut Context<'_>) {
    let length = match length {
        BodyLength::Known(length) => Length::Known(length),
        BodyLength::Chunked => Length::Chunked,
    };
    let fields = "X-Content-Type-Options: nosniff\r\n";
    Head { status: Status::OK, media: "application/octet-stream", length, fields }.write(how, cx);
}

/// Sends back a part of the input, as a chunk of its own where the body came in chunks.
fn echo_part(part: std::ops::Range<usize>, chunked: bool, is_last: bool, cx: &mut Context<'_>) {
    if !chunked {
        return cx.reply_input(part);
    }
    if !part.is_empty() {
        cx.write(format!("{:x}\r\n", part.len()).as_bytes());
        cx.reply_input(part);
        cx.write(b"\r\n");
    }
    if is_last {
        cx.write(b"0\r\n\r\n");
    }
}

#[cfg(test)]
mod tests;
