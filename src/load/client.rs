//! One connection of the generator: makes requests, compares what comes back, and keeps the time.

use std::rc::Rc;

use super::plan::Protocol as Target;
use super::report::ErrorKind;
use super::script::Mismatch;
use super::shared::{Carry, Ended, NEVER, Phase, Shared};
use super::tally::Stamp;
use crate::attempt::Failure;
use crate::codec::Codec;
use crate::session::{CloseReason, ConnectError, Context, Now, Protocol, ProtocolError, Step};

/// A connection of the generator.
pub(super) struct Client {
    shared: Rc<Shared>,
    line: Line,
}

/// The state of one connection.
struct Line {
    number: u32,
    state: State,
    /// It has got an answer.
    fruitful: bool,
    /// Bytes of the current reply, or of the banner, that have come.
    received: usize,
    /// Requests sent and answered, counted on from connection to connection.
    sent: u64,
    answered: u64,
    /// The moments of the only request under way, where there is only one.
    only: Stamp,
    /// Open arrival: the next slot's round and moment.
    round: u64,
    due: u64,
    /// When connecting was begun; then, when the connection is to be given up.
    until: u64,
    more: Option<Box<More>>,
}

/// What not every connection needs.
struct More {
    /// The moments of what is under way, by number modulo the pipeline's length.
    under_way: Box<[Stamp]>,
    /// Finds the end of replies that are not compared.
    decoder: Option<Box<dyn Codec>>,
}

/// What has made it possible to go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Why {
    Opened,
    Answered,
    Woken,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Being connected.
    New,
    /// The banner is awaited.
    Greeting,
    Ready,
    /// An error was counted: nothing more is.
    Failed,
}

impl Client {
    pub(super) fn new(shared: &Rc<Shared>, number: u32, carry: Carry) -> Self {
        let decoder = if shared.verify { None } else { shared.script.decoder() };
        let more = (shared.pipeline > 1 || decoder.is_some()).then(|| {
            let room = usize::try_from(shared.pipeline).unwrap_or(1);
            Box::new(More { under_way: vec![Stamp::default(); room].into(), decoder })
        });
        // A stream that comes by itself begins anew on each connection.
        let seq = if shared.script.protocol() == Target::Source { 0 } else { carry.seq };
        let line = Line {
            number,
            state: State::New,
            fruitful: false,
            received: 0,
            sent: seq,
            answered: seq,
            only: Stamp::default(),
            round: carry.round,
            due: NEVER,
            until: shared.time.now(),
            more,
        };
        Self { shared: Rc::clone(shared), line }
    }
}

impl Protocol for Client {
    fn on_open(&mut self, cx: &mut Context<'_>) {
        let Self { shared, line } = self;
        line.open(shared, cx);
    }

    #[inline]
    fn on_bytes(&mut self, input: &[u8], cx: &mut Context<'_>) -> Result<Step, ProtocolError> {
        let Self { shared, line } = self;
        let used = line.take(shared, input, cx);
        Ok(Step::consumed(used))
    }

    fn on_writable(&mut self, cx: &mut Context<'_>) {
        let Self { shared, line } = self;
        line.pour(shared, cx);
    }

    fn on_eof(&mut self, _rest: &[u8], cx: &mut Context<'_>) -> Result<Step, ProtocolError> {
        let Self { shared, line } = self;
        line.note_eof(shared);
        cx.close();
        Ok(Step::NeedMore)
    }

    fn on_wake(&mut self, cx: &mut Context<'_>) {
        let Self { shared, line } = self;
        line.wake(shared, cx);
    }

    fn on_close(&mut self, reason: &CloseReason, _now: &Now) {
        let Self { shared, line } = self;
        line.close(shared, reason);
    }
}

impl Line {
    fn open(&mut self, shared: &Shared, cx: &mut Context<'_>) {
        let now = shared.time.now();
        let mut tally = shared.tally.borrow_mut();
        tally.connect.saturating_record(now.saturating_sub(self.until));
        tally.connections.opened += 1;
        drop(tally);
        shared.open.set(shared.open.get() + 1);
        shared.in_flight.set(shared.in_flight.get() - 1);
        self.until = self.first_lifetime(shared, now);
        if shared.script.banner().is_empty() {
            self.state = State::Ready;
            self.go_on(shared, now, Why::Opened, cx);
        } else {
            self.state = State::Greeting;
        }
    }

    /// The first connections end after different parts of their lifetime, so that they are not all made anew at once.
    fn first_lifetime(&self, shared: &Shared, now: u64) -> u64 {
        if shared.lifetime == NEVER {
            return NEVER;
        }
        let fresh = shared.phase.get() == Phase::Opening;
        let part = u64::from(self.number) % 64 + 1;
        now + if fresh { shared.lifetime / 64 * part } else { shared.lifetime }
    }

    /// Bytes have come; says how many of them are used.
    #[inline]
    fn take(&mut self, shared: &Shared, input: &[u8], cx: &mut Context<'_>) -> usize {
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
        let total = self.received + input.len();
        let is_source = shared.script.protocol() == Target::Source;
        let under_way = self.sent - self.answered;
        if !is_source && total as u64 > under_way.saturating_mul(len as u64) {
            return Err(Unexpected::Surplus(total as u64 - under_way * len as u64));
        }
        if shared.verify {
            let place = (self.answered, self.received);
            shared.script.check((self.number, shared.connections), place, input)?;
        }
        let complete = if total == len { 1 } else { total as u64 / len as u64 };
        self.received = total - usize::try_from(complete).unwrap_or(0) * len;
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
        let rest = &shared.script.banner()[self.received..];
        let len = rest.len().min(input.len());
        if shared.verify
            && let Some(place) = rest.iter().zip(input).position(|(a, b)| a != b)
        {
            let (at, got, expected) = (self.received + place, input[place], rest[place]);
            let text = format!("banner, byte {at}: got 0x{got:02x}, expected 0x{expected:02x}");
            self.fail_mismatch(shared, &text, cx);
            return input.len();
        }
        self.received += len;
        if self.received == shared.script.banner().len() {
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
        shared.settled.set(shared.settled.get() + complete);
        if shared.phase.get() == Phase::Running {
            let mut tally = shared.tally.borrow_mut();
            tally.requests += complete;
            tally.verified += if shared.verify { complete } else { 0 };
            tally.bytes_in += complete * shared.script.reply_len as u64;
            drop(tally);
            shared.left.set(shared.left.get().saturating_sub(complete));
        }
        self.end_if_old(now, cx);
    }

    #[inline]
    fn stamp(&mut self, number: u64) -> &mut Stamp {
        match &mut self.more {
            None => &mut self.only,
            Some(more) => {
                let at = number % more.under_way.len() as u64;
                &mut more.under_way[usize::try_from(at).unwrap_or(0)]
            }
        }
    }

    /// Makes the requests that may be made now.
    #[inline]
    fn go_on(&mut self, shared: &Shared, now: u64, why: Why, cx: &mut Context<'_>) {
        if self.until <= now && self.end_if_old(now, cx) {
            return;
        }
        match shared.script.protocol() {
            Target::Source => {}
            Target::Discard if shared.slots.is_none() => {
                if shared.phase.get() == Phase::Running {
                    cx.want_writable();
                }
            }
            _ if shared.slots.is_some() => self.send_due(shared, now, why, cx),
            _ => {
                while self.sent - self.answered < shared.pipeline && shared.may_send() {
                    self.send(shared, Stamp { due: now, sent: now }, cx);
                }
            }
        }
    }

    /// Open arrival: sends what is due, as far as the pipeline allows. What has to wait is late, and counts so.
    fn send_due(&mut self, shared: &Shared, now: u64, why: Why, cx: &mut Context<'_>) {
        if self.due == NEVER {
            self.find_due(shared);
        }
        let was_free = why == Why::Woken && self.sent == self.answered;
        while self.due <= now && self.sent - self.answered < shared.pipeline {
            let due = self.due;
            if was_free {
                shared.note_lag(due, now);
            }
            self.send(shared, Stamp { due, sent: now }, cx);
            self.round += 1;
            self.find_due(shared);
        }
    }

    fn find_due(&mut self, shared: &Shared) {
        self.due = NEVER;
        if let Some(slots) = &shared.slots
            && shared.phase.get() != Phase::Opening
        {
            let due = slots.due(self.number, self.round).saturating_add(shared.start.get());
            self.due = if due < shared.end.get() { due } else { NEVER };
        }
    }

    #[inline]
    fn send(&mut self, shared: &Shared, stamp: Stamp, cx: &mut Context<'_>) {
        shared.script.write_request(self.number, self.sent, |piece| cx.write(piece));
        *self.stamp(self.sent) = stamp;
        self.sent += 1;
        shared.note_sent(stamp.due, shared.script.request_len);
        if shared.script.protocol() == Target::Discard {
            self.answered += 1;
            shared.settled.set(shared.settled.get() + 1);
            if stamp.due >= shared.measure_from.get() || stamp.sent < shared.measure_from.get() {
                shared.tally.borrow_mut().requests += 1;
            }
        }
    }

    /// Discard, closed arrival: as much as the connection takes.
    fn pour(&mut self, shared: &Shared, cx: &mut Context<'_>) {
        let now = shared.time.now();
        if self.state != State::Ready || shared.slots.is_some() || self.end_if_old(now, cx) {
            return;
        }
        let mut room = cx.room();
        while room > 0 && shared.may_send() {
            self.send(shared, Stamp { due: now, sent: now }, cx);
            room = room.saturating_sub(shared.script.request_len);
        }
        if shared.phase.get() == Phase::Running && shared.left.get() > 0 {
            cx.want_writable();
        }
    }

    /// The driver has looked at the clock: the run has begun, a slot is due, or nothing has come for too long.
    fn wake(&mut self, shared: &Shared, cx: &mut Context<'_>) {
        if self.state == State::Failed {
            return;
        }
        let now = shared.time.now();
        if self.sent > self.answered && shared.script.protocol() != Target::Source {
            let oldest = self.stamp(self.answered).sent;
            if now.saturating_sub(oldest) >= shared.timeout {
                return self.fail_timeout(shared, cx);
            }
        }
        if self.state == State::Ready {
            self.go_on(shared, now, Why::Woken, cx);
        }
    }

    /// Ends a connection whose lifetime is over, once everything is answered.
    fn end_if_old(&mut self, now: u64, cx: &mut Context<'_>) -> bool {
        let over = self.until <= now;
        if over && self.sent == self.answered {
            self.state = State::Failed;
            cx.close();
        }
        over
    }

    #[cold]
    fn fail_timeout(&mut self, shared: &Shared, cx: &mut Context<'_>) {
        let (number, message, ms) = (self.number, self.answered, shared.timeout / 1_000_000);
        shared.error(ErrorKind::Timeout, || {
            format!("connection {number}, message {message}: no answer within {ms} ms")
        });
        self.state = State::Failed;
        cx.close();
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

    #[cold]
    fn note_eof(&mut self, shared: &Shared) {
        let (number, owed) = (self.number, self.sent - self.answered);
        if self.state == State::Failed || (owed == 0 && shared.phase.get() == Phase::Ending) {
            return;
        }
        let source = shared.script.protocol() == Target::Source;
        if owed > 0 || self.received > 0 || self.state == State::Greeting {
            shared.error(ErrorKind::Truncated, || {
                format!("connection {number}: closed by the target with {owed} answers owed")
            });
        } else {
            let what = if source { "stream" } else { "connection, owing nothing" };
            shared.error(ErrorKind::Other, || format!("connection {number}: the target ended the {what}"));
        }
        self.state = State::Failed;
    }

    fn close(&mut self, shared: &Shared, reason: &CloseReason) {
        if let CloseReason::Connect(error) = reason {
            shared.in_flight.set(shared.in_flight.get() - 1);
            return not_connected(shared, self.number, self.carry(), *error);
        }
        if let CloseReason::PeerGone(failure) | CloseReason::Io(failure) = reason
            && self.state != State::Failed
        {
            note_broken(shared, self.number, failure);
        }
        let owed = self.sent - self.answered;
        if self.state == State::New {
            shared.in_flight.set(shared.in_flight.get() - 1);
        } else {
            shared.open.set(shared.open.get() - 1);
        }
        shared.settled.set(shared.settled.get() + owed);
        let in_vain = self.state == State::New || (owed > 0 && !self.fruitful);
        let ended = Ended { number: self.number, carry: self.carry(), in_vain, hopeless: false };
        shared.ended.borrow_mut().push(ended);
    }

    const fn carry(&self) -> Carry {
        Carry { seq: self.sent, round: self.round }
    }
}

/// What came is not what was to come.
enum Unexpected {
    Surplus(u64),
    Mismatch(Mismatch),
}

impl From<Mismatch> for Unexpected {
    fn from(mismatch: Mismatch) -> Self {
        Self::Mismatch(mismatch)
    }
}

impl std::fmt::Display for Unexpected {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Surplus(bytes) => write!(f, "{bytes} bytes more than were asked for"),
            Self::Mismatch(mismatch) => mismatch.fmt(f),
        }
    }
}

/// A connection could not be made.
pub(super) fn not_connected(shared: &Shared, number: u32, carry: Carry, error: ConnectError) {
    shared.tally.borrow_mut().not_connected(number as usize, error);
    let hopeless = matches!(error, ConnectError::AddressExhausted | ConnectError::DescriptorLimit);
    shared.ended.borrow_mut().push(Ended { number, carry, in_vain: true, hopeless });
}

fn note_broken(shared: &Shared, number: u32, failure: &Failure) {
    use rustix::io::Errno;
    let kind = match Errno::from_raw_os_error(failure.errno) {
        Errno::CONNRESET | Errno::PIPE => ErrorKind::Reset,
        Errno::TIMEDOUT => ErrorKind::Timeout,
        _ => ErrorKind::Other,
    };
    shared.error(kind, || format!("connection {number}: {failure}"));
}
