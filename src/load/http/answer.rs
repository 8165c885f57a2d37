//! What comes back: its end is found, it is counted, and followed by the next request.

use super::{Line, State, Why};
use crate::http::{Chunked, Ends, Facts, MAX_RESPONSE_HEAD, ResponseError};
use crate::load::report::ErrorKind;
use crate::load::shared::{Phase, Shared};
use crate::session::Context;

/// What is read next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Body {
    /// No body: the next head.
    Head,
    Length,
    Chunked,
    WithConnection,
}

impl Line {
    /// Bytes have come; says how many of them are used: those of one answer at most.
    #[inline]
    pub(super) fn take(&mut self, shared: &Shared, input: &[u8], cx: &mut Context<'_>) -> usize {
        if self.state != State::Ready {
            return input.len();
        }
        match self.read(shared, input) {
            Ok((used, is_complete)) => {
                self.taken += used as u64;
                if is_complete {
                    self.answer(shared, cx);
                }
                used
            }
            Err(unexpected) => {
                self.fail(shared, ErrorKind::Mismatch, &unexpected.to_string(), cx);
                input.len()
            }
        }
    }

    /// Reads on within one answer: how much of the input belongs to it, and whether it is complete.
    #[inline]
    fn read(&mut self, shared: &Shared, input: &[u8]) -> Result<(usize, bool), Unexpected> {
        if self.body != Body::Head {
            return self.read_body(input);
        } else if self.owed() == 0 {
            return Err(Unexpected::Unasked(input.len()));
        }
        let Some((facts, len)) = shared.wire.read_head(input)? else {
            return if input.len() > MAX_RESPONSE_HEAD {
                Err(ResponseError::HeadTooLong.into())
            } else {
                Ok((0, false))
            };
        };
        if facts.status < 200 {
            return Ok((len, false));
        }
        (self.status, self.keeps) = (facts.status, facts.keeps_alive);
        self.begin_body(facts);
        if facts.ends == Ends::Length(0) {
            return Ok((len, true));
        }
        let (more, is_complete) = self.read_body(&input[len..])?;
        Ok((len + more, is_complete))
    }

    #[inline]
    fn begin_body(&mut self, facts: Facts) {
        self.body = match facts.ends {
            Ends::Length(length) => {
                self.left = length;
                Body::Length
            }
            Ends::Chunked => {
                self.chunked = Chunked::new();
                Body::Chunked
            }
            Ends::WithConnection => Body::WithConnection,
        };
    }

    #[inline]
    fn read_body(&mut self, input: &[u8]) -> Result<(usize, bool), Unexpected> {
        match self.body {
            Body::Length => {
                let there = input.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
                self.left -= there as u64;
                Ok((there, self.left == 0))
            }
            Body::Chunked => {
                let mut used = 0;
                while used < input.len() && !self.chunked.is_done() {
                    let piece = self.chunked.decode(&input[used..]).map_err(ResponseError::Chunk)?;
                    used += piece.consumed;
                }
                Ok((used, self.chunked.is_done()))
            }
            Body::WithConnection | Body::Head => Ok((input.len(), false)),
        }
    }

    /// An answer is complete.
    #[inline]
    fn answer(&mut self, shared: &Shared, cx: &mut Context<'_>) {
        let now = shared.time.now();
        self.note_answer(shared, now);
        if self.keeps && shared.wire.keep_alive {
            self.go_on(shared, now, Why::Ready, cx);
        } else {
            self.end_after_answer(shared, now, cx);
        }
    }

    #[inline]
    fn note_answer(&mut self, shared: &Shared, now: u64) {
        let stamp = *self.stamp(self.answered);
        shared.note_answer(stamp, now, usize::try_from(self.taken).unwrap_or(usize::MAX));
        shared.tally_of(stamp.due).statuses.add(self.status, 1);
        if !matches!(self.status, 200..=299) && shared.verify {
            let (number, request, status) = (self.number, self.answered, self.status);
            shared.error(ErrorKind::Status, || {
                format!("connection {number}, request {request}: status {status}")
            });
        }
        self.answered += 1;
        self.fruitful = true;
        self.taken = 0;
        self.body = Body::Head;
    }

    /// The connection cannot be used on.
    fn end_after_answer(&mut self, shared: &Shared, now: u64, cx: &mut Context<'_>) {
        if self.owed() > 0 {
            let owed = self.owed();
            let what = format!("the target closes the connection after an answer, with {owed} more owed");
            return self.fail(shared, ErrorKind::Truncated, &what, cx);
        }
        if self.keeps {
            // It would wait for more: what we asked for, that it close, it has not done.
            self.state = State::Over;
            cx.close();
        } else {
            self.state = State::Closing;
            self.only.sent = now;
        }
    }

    /// The target has sent its last byte; `rest` is the beginning of a head.
    #[cold]
    pub(super) fn take_end(&mut self, shared: &Shared, rest: &[u8], cx: &mut Context<'_>) {
        if self.state != State::Ready {
            return;
        }
        if self.body == Body::WithConnection {
            self.note_answer(shared, shared.time.now());
        }
        let owed = self.owed();
        if owed > 0 {
            let answers = if owed == 1 { "an answer".to_owned() } else { format!("{owed} answers") };
            let begun = if self.taken > 0 || !rest.is_empty() { ", one of them begun" } else { "" };
            let what = format!("closed by the target with {answers} owed{begun}");
            return self.fail(shared, ErrorKind::Truncated, &what, cx);
        }
        if !self.fruitful && shared.phase.get() == Phase::Opening {
            self.fail(
                shared,
                ErrorKind::Other,
                "the target ended the connection before it was asked anything",
                cx,
            );
        }
        // Else it owes nothing, and may close whenever it likes (RFC 9112, 9.5).
        self.state = State::Over;
    }
}

/// What came is no answer.
enum Unexpected {
    Refused(ResponseError),
    /// Nothing was asked.
    Unasked(usize),
}

impl From<ResponseError> for Unexpected {
    fn from(error: ResponseError) -> Self {
        Self::Refused(error)
    }
}

impl std::fmt::Display for Unexpected {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Refused(error) => error.fmt(f),
            Self::Unasked(bytes) => write!(f, "{bytes} bytes that nobody asked for"),
        }
    }
}
