//! One connection of the generator: makes requests, compares what comes back, and keeps the time.

mod receive;
mod send;
mod straight;

use std::rc::Rc;

use crate::attempt::Failure;
use crate::codec::Codec;
use crate::load::plan::Protocol as Target;
use crate::load::report::ErrorKind;
use crate::load::shared::{Carry, Ended, NEVER, Phase, Shared};
use crate::load::tally::Stamp;
use crate::session::{CloseReason, ConnectError, Context, Now, Protocol, ProtocolError, Step};

/// A connection of the generator.
#[repr(C)]
pub(super) struct Client {
    shared: Rc<Shared>,
    line: Line,
}

/// The state of one connection. What every request needs comes first and, with the [`Client`]'s own field, is no more than
/// one line of the processor's cache: with thousands of connections each request begins with none of it there.
#[repr(C)]
struct Line {
    more: Option<Box<More>>,
    /// Requests sent and answered, counted on from connection to connection.
    sent: u64,
    answered: u64,
    /// The moments of the only request under way, where there is only one.
    only: Stamp,
    /// Bytes of the current reply, or of the banner, that have come.
    received: u32,
    number: u32,
    state: State,
    /// It has got an answer.
    fruitful: bool,
    /// Its lifetime is over.
    old: bool,
    /// When connecting was begun; then, when the connection is to be given up.
    until: u64,
    /// Open arrival: the next slot's round and moment.
    round: u64,
    due: u64,
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
            old: false,
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
        if shared.is_straight && line.is_answered_by(shared, input) {
            line.turn_around(shared, cx);
            return Ok(Step::consumed(input.len()));
        }
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
            // No request is under way yet: the banner is waited for as long as an answer would be.
            self.only.sent = now;
            self.state = State::Greeting;
        }
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
                let owed = if owed == 1 { "an answer".to_owned() } else { format!("{owed} answers") };
                format!("connection {number}: closed by the target with {owed} owed")
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
        // Whom the target turns away at once would come back at once. Discard never has an answer.
        let is_turned_away = !self.fruitful && !self.old && shared.script.protocol() != Target::Discard;
        let in_vain = self.state == State::New || is_turned_away;
        let ended = Ended { number: self.number, carry: self.carry(), in_vain, hopeless: false };
        shared.ended.borrow_mut().push(ended);
    }

    const fn carry(&self) -> Carry {
        Carry { seq: self.sent, round: self.round }
    }
}

/// A connection could not be made.
pub(super) fn not_connected(shared: &Shared, number: u32, carry: Carry, error: ConnectError) {
    shared.tally.borrow_mut().not_connected(number as usize, error);
    let hopeless = matches!(error, ConnectError::AddressExhausted | ConnectError::DescriptorLimit);
    shared.ended.borrow_mut().push(Ended { number, carry, in_vain: true, hopeless });
}

pub(super) fn note_broken(shared: &Shared, number: u32, failure: &Failure) {
    use rustix::io::Errno;
    let kind = match Errno::from_raw_os_error(failure.errno) {
        Errno::CONNRESET | Errno::PIPE => ErrorKind::Reset,
        Errno::TIMEDOUT => ErrorKind::Timeout,
        _ => ErrorKind::Other,
    };
    shared.error(kind, || format!("connection {number}: {failure}"));
}

#[cfg(test)]
mod tests;
