//! Requests with a body: it is taken piece by piece, counted and thrown away, or sent back as it comes.

use std::ops::Range;

use super::answer::Answer;
use super::body::{Body, BodyError};
use super::reply::{Head, How, Length, write_text};
use super::status::Status;
use super::{Doing, Http};
use crate::http::{BodyLength, Expect};
use crate::session::{Context, ProtocolError, Step};

/// Bytes per second of [`HttpConfig::patience`] that a body has to move, or its request is given up: what a client needs who
/// is slow, and does not keep one on purpose.
const SLOWEST_BODY: u64 = 500;

/// A body under way, and what comes of it.
#[derive(Debug)]
pub(super) struct Receiving {
    body: Body,
    pub(super) answer: Answer,
    how: How,
    /// There is a timer, and so much had come when it was set.
    since: Option<u64>,
}

impl Http {
    #[cold]
    pub(super) fn begin_body(
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

    /// A part of a body has come.
    #[inline(never)]
    pub(super) fn on_body(&mut self, input: &[u8], cx: &mut Context<'_>) -> Result<Step, ProtocolError> {
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
    pub(super) fn check_body(&mut self, cx: &mut Context<'_>) {
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

fn too_large(how: How, cx: &mut Context<'_>) -> ProtocolError {
    let text = "the body is longer than --max-body allows";
    write_text(Status::BODY_TOO_LARGE, "", text, how.closing(), cx);
    ProtocolError::Violation("a body that is too large")
}

/// What is echoed is data, whatever it looks like to a browser.
pub(super) fn write_echo_head(length: BodyLength, how: How, cx: &mut Context<'_>) {
    let length = match length {
        BodyLength::Known(length) => Length::Known(length),
        BodyLength::Chunked => Length::Chunked,
    };
    let fields = "X-Content-Type-Options: nosniff\r\n";
    Head { status: Status::OK, media: "application/octet-stream", length, fields }.write(how, cx);
}

/// Sends back a part of the input, as a chunk of its own where the body came in chunks.
fn echo_part(part: Range<usize>, chunked: bool, is_last: bool, cx: &mut Context<'_>) {
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
