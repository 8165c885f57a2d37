//! What comes back: compared, counted, and answered with the next request.

use std::fmt;

use super::{Line, State, Why};
use crate::load::plan::Protocol as Target;
use crate::load::report::ErrorKind;
use crate::load::script::Mismatch;
use crate::load::shared::{Phase, Shared};
use crate::session::Context;

impl Line {
    /// Bytes have come; says how many of them are used.
    #[inline]
    pub(super) fn take(&mut self, shared: &Shared, input: &[u8], cx: &mut Context<'_>) -> usize {
        match self.state {
            State::Ready => {}
            State::Greeting => return self.take_banner(shared, input, cx),
            State::New | State::Failed => return input.len(),
        }
        if self.more.as_ref().is_some_and(|more| more.decoder.is_some()) {
            return self.take_frame(shared, input, cx);
        }
        let complete = match self.count(shared, input) {
            Ok(complete) => complete,
            Err(mismatch) => {
                self.fail_mismatch(shared, &mismatch.to_string(), cx);
                return input.len();
            }
        };
        if complete > 0 {
            self.answer(shared, complete, shared.script.reply_len, cx);
        }
        input.len()
    }

    /// How many replies these bytes complete.
    #[inline]
    fn count(&mut self, shared: &Shared, input: &[u8]) -> Result<u64, Unexpected> {
        let len = shared.script.reply_len;
        let received = self.received as usize;
        let total = received + input.len();
        let is_source = shared.script.protocol() == Target::Source;
        let under_way = self.sent - self.answered;
        if !is_source && total as u64 > under_way.saturating_mul(len as u64) {
            let surplus = total as u64 - under_way * len as u64;
            let is_first = under_way == 0 && !self.fruitful;
            return Err(if is_first { Unexpected::Unasked(surplus) } else { Unexpected::Surplus(surplus) });
        }
        if shared.verify {
            let place = (self.answered, received);
            shared.script.check((self.number, shared.connections), place, input)?;
        }
        let complete = if total == len { 1 } else { total as u64 / len as u64 };
        let left = total - usize::try_from(complete).unwrap_or(0) * len;
        self.received = u32::try_from(left).unwrap_or(u32::MAX);
        if is_source {
            self.sent += complete;
            shared.sent.set(shared.sent.get() + complete);
        }
        Ok(complete)
    }

    /// A reply that is not compared ends where its framing says.
    fn take_frame(&mut self, shared: &Shared, input: &[u8], cx: &mut Context<'_>) -> usize {
        let decoded = match self.more.as_mut().and_then(|more| more.decoder.as_mut()) {
            Some(decoder) => decoder.decode(input),
            None => return input.len(),
        };
        match decoded {
            Ok(None) => 0,
            Ok(Some(_)) if self.sent == self.answered => {
                self.fail_mismatch(shared, "a reply nobody asked for", cx);
                input.len()
            }
            Ok(Some(frame)) => {
                self.answer(shared, 1, frame.consumed, cx);
                frame.consumed
            }
            Err(error) => {
                self.fail_mismatch(shared, &error.to_string(), cx);
                input.len()
            }
        }
    }

    fn take_banner(&mut self, shared: &Shared, input: &[u8], cx: &mut Context<'_>) -> usize {
        let rest = &shared.script.banner()[self.received as usize..];
        let len = rest.len().min(input.len());
        if shared.verify
            && let Some(place) = rest.iter().zip(input).position(|(a, b)| a != b)
        {
            let (at, got, expected) = (self.received as usize + place, input[place], rest[place]);
            let text = format!("banner, byte {at}: got 0x{got:02x}, expected 0x{expected:02x}");
            self.fail_mismatch(shared, &text, cx);
            return input.len();
        }
        self.received += u32::try_from(len).unwrap_or(0);
        if len == rest.len() {
            self.received = 0;
            self.state = State::Ready;
            self.go_on(shared, shared.time.now(), Why::Opened, cx);
        }
        len
    }

    /// Replies are complete.
    #[inline]
    fn answer(&mut self, shared: &Shared, complete: u64, bytes: usize, cx: &mut Context<'_>) {
        let now = shared.time.now();
        if shared.script.protocol() == Target::Source {
            return self.note_blocks(shared, complete, now, cx);
        }
        for _ in 0..complete {
            let stamp = *self.stamp(self.answered);
            self.answered += 1;
            shared.note_answer(stamp, now, bytes);
        }
        self.fruitful = true;
        self.go_on(shared, now, Why::Answered, cx);
    }

    /// What comes without being asked for has no latency.
    fn note_blocks(&mut self, shared: &Shared, complete: u64, now: u64, cx: &mut Context<'_>) {
        self.answered += complete;
        self.fruitful |= complete > 0;
        if shared.phase.get() != Phase::Running {
            shared.settled.set(shared.settled.get() + complete);
        } else if complete > 0 {
            shared.note_moved(now, now, complete);
            let mut tally = shared.tally_of(now);
            tally.verified += if shared.verify { complete } else { 0 };
            tally.bytes_in += complete * shared.script.reply_len as u64;
            drop(tally);
            shared.left.set(shared.left.get().saturating_sub(complete));
        }
        self.end_if_old(cx);
    }

    #[cold]
    fn fail_mismatch(&mut self, shared: &Shared, text: &str, cx: &mut Context<'_>) {
        let number = self.number;
        let mut tally = shared.tally.borrow_mut();
        tally.mismatches += 1;
        tally.error(ErrorKind::Mismatch, || format!("connection {number}, {text}"));
        self.state = State::Failed;
        cx.close();
    }
}

/// What came is not what was to come.
enum Unexpected {
    Surplus(u64),
    /// The target speaks first.
    Unasked(u64),
    Mismatch(Mismatch),
}

impl From<Mismatch> for Unexpected {
    fn from(mismatch: Mismatch) -> Self {
        Self::Mismatch(mismatch)
    }
}

impl fmt::Display for Unexpected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Surplus(bytes) => write!(f, "{bytes} bytes more than were asked for"),
            Self::Unasked(bytes) => {
                write!(
                    f,
                    "{bytes} bytes before anything was asked; if the target speaks first, --banner TEXT says what"
                )
            }
            Self::Mismatch(mismatch) => mismatch.fmt(f),
        }
    }
}
