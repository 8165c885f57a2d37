//! One HTTP connection of the generator: the same request over and over, and its answers, whose ends are found and whose
//! statuses are counted.
//!
//! Apart from the other [`Client`](super::client): there a reply has a length known beforehand, and here the target says it.

mod answer;
mod ask;
mod wire;

use std::rc::Rc;

use self::answer::Body;
pub(super) use self::wire::Wire;
use super::client::{not_connected, note_broken};
use super::report::ErrorKind;
use super::shared::{Carry, Ended, NEVER, Phase, Shared};
use super::tally::Stamp;
use crate::http::Chunked;
use crate::session::{CloseReason, Context, Now, Protocol, ProtocolError, Step};

/// A connection of the generator.
#[repr(C)]
pub(super) struct HttpClient {
    shared: Rc<Shared>,
    line: Line,
}

/// The state of one connection. What every request needs comes first, as in the other client.
#[repr(C)]
struct Line {
    /// The moments of what is under way, by number modulo the pipeline's length; `None` where it is only one.
    more: Option<Box<UnderWay>>,
    /// Requests sent and answered, counted on from connection to connection.
    sent: u64,
    answered: u64,
    only: Stamp,
    /// Bytes of the body that are to come, where its length is known.
    left: u64,
    number: u32,
    status: u16,
    state: State,
    body: Body,
    /// Whether the connection can be used on after this answer.
    keeps: bool,
    fruitful: bool,
    /// Its lifetime is over.
    old: bool,
    /// Bytes of the current answer that have come.
    taken: u64,
    /// When connecting was begun; then, when the connection is to be given up.
    until: u64,
    round: u64,
    due: u64,
    chunked: Chunked,
}

struct UnderWay(Box<[Stamp]>);

/// What has made it possible to go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Why {
    Ready,
    Woken,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    New,
    Ready,
    /// All is answered, and the target has said that it closes: its end is waited for, so that its port is the one that rests.
    Closing,
    /// It is over: nothing more is counted.
    Over,
}

impl HttpClient {
    pub(super) fn new(shared: &Rc<Shared>, number: u32, carry: Carry) -> Self {
        let room = usize::try_from(shared.pipeline).unwrap_or(1);
        let more = (room > 1).then(|| Box::new(UnderWay(vec![Stamp::default(); room].into())));
        let line = Line {
            more,
            sent: carry.seq,
            answered: carry.seq,
            only: Stamp::default(),
            left: 0,
            number,
            status: 0,
            state: State::New,
            body: Body::Head,
            keeps: true,
            fruitful: false,
            old: false,
            taken: 0,
            until: shared.time.now(),
            round: carry.round,
            due: NEVER,
            chunked: Chunked::new(),
        };
        Self { shared: Rc::clone(shared), line }
    }
}

impl Protocol for HttpClient {
    fn on_open(&mut self, cx: &mut Context<'_>) {
        let Self { shared, line } = self;
        line.open(shared, cx);
    }

    #[inline]
    fn on_bytes(&mut self, input: &[u8], cx: &mut Context<'_>) -> Result<Step, ProtocolError> {
        let Self { shared, line } = self;
        Ok(Step::consumed(line.take(shared, input, cx)))
    }

    fn on_eof(&mut self, rest: &[u8], cx: &mut Context<'_>) -> Result<Step, ProtocolError> {
        let Self { shared, line } = self;
        line.take_end(shared, rest, cx);
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
                let at = number % more.0.len() as u64;
                &mut more.0[usize::try_from(at).unwrap_or(0)]
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
        self.state = State::Ready;
        self.go_on(shared, now, Why::Ready, cx);
    }

    fn close(&mut self, shared: &Shared, reason: &CloseReason) {
        if let CloseReason::Connect(error) = reason {
            shared.in_flight.set(shared.in_flight.get() - 1);
            return not_connected(shared, self.number, self.carry(), *error);
        }
        let is_counted = matches!(self.state, State::New | State::Ready);
        if let CloseReason::PeerGone(failure) | CloseReason::Io(failure) = reason
            && is_counted
        {
            note_broken(shared, self.number, failure);
        }
        if self.state == State::New {
            shared.in_flight.set(shared.in_flight.get() - 1);
        } else {
            shared.open.set(shared.open.get() - 1);
        }
        shared.settled.set(shared.settled.get() + self.owed());
        // Whom the target turns away at once would come back at once.
        let in_vain = self.state == State::New || (!self.fruitful && !self.old);
        let ended = Ended { number: self.number, carry: self.carry(), in_vain, hopeless: false };
        shared.ended.borrow_mut().push(ended);
    }

    const fn carry(&self) -> Carry {
        Carry { seq: self.sent, round: self.round }
    }

    #[inline]
    const fn owed(&self) -> u64 {
        self.sent - self.answered
    }

    /// Counts an error, and ends the connection.
    #[cold]
    fn fail(&mut self, shared: &Shared, kind: ErrorKind, what: &str, cx: &mut Context<'_>) {
        let (number, request) = (self.number, self.answered);
        let mut tally = shared.tally.borrow_mut();
        tally.mismatches += u64::from(kind == ErrorKind::Mismatch);
        tally.error(kind, || format!("connection {number}, request {request}: {what}"));
        drop(tally);
        self.state = State::Over;
        cx.close();
    }

    /// The first connections end after different parts of their lifetime, so that they are not all made anew at once.
    fn first_lifetime(&self, shared: &Shared, now: u64) -> u64 {
        if shared.lifetime == NEVER {
            return NEVER;
        }
        let is_first = shared.phase.get() == Phase::Opening;
        let part = u64::from(self.number) % 64 + 1;
        now + if is_first { shared.lifetime / 64 * part } else { shared.lifetime }
    }
}

#[cfg(test)]
mod tests;
