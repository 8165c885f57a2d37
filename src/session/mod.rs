//! The sans-IO state machine of one conversation: no socket, no clock, no thread.
//!
//! Inputs are named `handle_*`, outputs `poll_*`, questions `wants_*`. A driver feeds bytes and time in, and
//! writes out what the [`Pass`] has collected and what the session has kept. See docs/architecture.md.

mod buffers;
mod child;
mod clock;
mod close_reason;
mod context;
mod datagram;
mod deadline;
mod factory;
mod input;
mod limits;
mod memory;
mod output;
mod pass;
mod protocol;
mod service;
mod state;

pub use self::child::{ChildEnd, ChildEvent, ChildLimit, ChildSpec, ChildStatus, SpawnFailure};
pub use self::clock::{Clock, Now, Span, Tick};
pub use self::close_reason::{CloseReason, ConnectError, ProtocolError};
pub use self::context::{Context, Remote};
pub use self::datagram::{
    Datagram, DatagramContext, DatagramFactory, DatagramHandler, DatagramTraffic, Datagrams, EachDatagram,
    Guard, MAX_DATAGRAM, datagram_factory,
};
pub use self::factory::{Factory, Peer, factory};
pub use self::limits::Limits;
pub use self::pass::{Pass, Traffic};
pub use self::protocol::{Protocol, Step};
pub use self::service::{Framed, Service};

use std::fmt;

use self::buffers::Buffer;
use self::pass::Requests;
use self::state::{
    CONGESTED, ENDING, EOF, EOF_DONE, EXHAUSTED, HELD_BACK, MORE_INPUT, NOT_READY, Phase, RARE, Rare,
    STOPPING, WANT_WRITABLE,
};
use crate::attempt::{Failure, FailureClass};

/// One conversation: a protocol, what it has not finished reading, and what could not be sent yet.
pub struct Session<P> {
    protocol: P,
    rare: Option<Box<Rare>>,
    /// When something last moved.
    active: Tick,
    phase: Phase,
    flags: u16,
}

impl<P: Protocol> Session<P> {
    /// A session that has not begun: call [`handle_open`](Self::handle_open) first.
    pub const fn new(protocol: P, now: &Now) -> Self {
        Self { protocol, rare: None, active: now.tick, phase: Phase::Open, flags: 0 }
    }

    /// The conversation begins.
    pub fn handle_open(&mut self, remote: &dyn Remote, pass: &mut Pass) {
        self.call(remote, pass, Protocol::on_open);
    }

    /// There is room for output again, after [`wants_writable`](Self::wants_writable) said yes.
    pub fn handle_writable(&mut self, remote: &dyn Remote, pass: &mut Pass) {
        self.flags &= !WANT_WRITABLE;
        pass.spend(0, 1);
        self.call(remote, pass, Protocol::on_writable);
        if pass.queued() > 0 {
            // Nobody else notes it when the kernel takes all of this at once.
            self.active = pass.now().tick;
        }
    }

    /// A bounded amount of time has passed: acts on every deadline that is due.
    ///
    /// Invariant I1: afterwards [`poll_timeout`](Self::poll_timeout) is later than now.
    pub fn handle_timeout(&mut self, remote: &dyn Remote, pass: &mut Pass) {
        self.on_timeout(remote, pass);
        debug_assert!(
            self.poll_timeout(pass).is_none_or(|at| !at.is_due(pass.now().tick)),
            "a deadline stayed due in {:?}, flags {:#b}, {:?}",
            self.phase,
            self.flags,
            self.rare,
        );
    }

    /// The server is draining: the conversation ends once it is quiet.
    pub fn handle_stop(&mut self, remote: &dyn Remote, pass: &mut Pass) {
        if self.phase == Phase::Open {
            self.flags |= STOPPING;
            self.active = pass.now().tick;
            self.call(remote, pass, Protocol::on_stop);
        }
    }

    /// A call on the socket failed. Out of memory or buffers is waited out; anything else ends the conversation.
    #[cold]
    pub fn handle_failure(&mut self, failure: Failure, pass: &mut Pass) {
        match failure.class {
            FailureClass::Exhausted | FailureClass::Retry => {
                self.flags |= EXHAUSTED;
                self.rare_mut().retry_at = pass.now().tick.after(pass.spans.retry);
            }
            FailureClass::PeerGone => self.end(CloseReason::PeerGone(failure), pass),
            FailureClass::Fatal => self.end(CloseReason::Io(failure), pass),
        }
    }

    /// Whether bytes from the peer are wanted: open, not ended, not congested, ready, nothing left to decode.
    #[inline]
    #[must_use]
    pub fn wants_read(&self) -> bool {
        let waits = EOF | CONGESTED | NOT_READY | MORE_INPUT | EXHAUSTED | HELD_BACK;
        self.phase == Phase::Open && self.flags & waits == 0
    }

    /// Whether bytes from the peer are to be read and thrown away.
    #[must_use]
    pub fn wants_discard(&self) -> bool {
        self.phase == Phase::Lingering && self.flags & EXHAUSTED == 0
    }

    /// Whether I/O waits for the retry deadline, because the kernel was out of memory or buffers.
    #[must_use]
    pub fn is_exhausted(&self) -> bool {
        self.flags & EXHAUSTED != 0
    }

    /// Whether [`poll_output`](Self::poll_output) has something to send.
    #[inline]
    #[must_use]
    pub fn wants_write(&self) -> bool {
        self.has_unsent() && self.flags & EXHAUSTED == 0 && self.phase != Phase::Closed
    }

    /// Whether everything is said and sent, so that our side can be shut down.
    #[must_use]
    pub fn wants_shutdown(&self) -> bool {
        self.phase == Phase::Flushing && !self.has_unsent() && self.flags & EXHAUSTED == 0
    }

    /// Whether the protocol is to be called for more output.
    #[must_use]
    pub fn wants_writable(&self) -> bool {
        self.phase == Phase::Open && self.flags & (WANT_WRITABLE | CONGESTED | EXHAUSTED) == WANT_WRITABLE
    }

    /// Whether kept input, or the end of the stream, can be worked on now.
    #[inline]
    #[must_use]
    pub fn wants_resume(&self) -> bool {
        let pending = self.flags & MORE_INPUT != 0 || self.flags & (EOF | EOF_DONE) == EOF;
        pending && self.can_take()
    }

    /// Whether nothing but the idle limit concerns this session: open, and no flag and no buffer in use.
    #[inline]
    #[must_use]
    pub fn is_plain(&self) -> bool {
        debug_assert_eq!(self.flags & RARE != 0, self.rare.is_some());
        debug_assert_eq!(self.flags & ENDING != 0, self.phase != Phase::Open);
        self.flags == 0
    }

    /// Whether the conversation is over.
    #[inline]
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.phase == Phase::Closed
    }

    /// How the conversation ended, once it has. To be asked in the pass in which it did.
    #[must_use]
    pub fn close_reason(&self, pass: &Pass) -> Option<CloseReason> {
        if self.phase != Phase::Closed {
            return None;
        }
        // Once the conversation has an end, how the close itself went does not change its reason.
        let first = self.rare.as_ref().and_then(|rare| rare.reason.as_ref());
        Some(first.or(pass.ended.as_ref()).cloned().unwrap_or(CloseReason::Eof))
    }

    /// Tells the protocol that the conversation has ended. To be called once, last.
    pub fn handle_closed(&mut self, reason: &CloseReason, pass: &mut Pass) {
        pass.ended = None;
        self.protocol.on_close(reason, pass.now());
    }

    /// The protocol, for tests and for drivers that collect results.
    #[must_use]
    pub const fn protocol(&self) -> &P {
        &self.protocol
    }

    /// Bytes kept of unfinished input and unsent output.
    #[must_use]
    pub fn buffered(&self) -> usize {
        self.rare.as_ref().map_or(0, |rare| rare.inbox.len() + rare.outbox.len())
    }

    /// Bytes of memory taken up by what is [`buffered`](Self::buffered): buffers grow by doubling.
    pub(crate) fn held(&self) -> usize {
        self.rare.as_ref().map_or(0, |rare| rare.inbox.capacity() + rare.outbox.capacity())
    }

    /// Adds what has changed of [`held`](Self::held) to what the driver's sessions keep together.
    pub(crate) fn account(&mut self, pass: &mut Pass) {
        let now = self.held();
        if let Some(rare) = &mut self.rare
            && rare.counted != now
        {
            pass.memory.change(std::mem::replace(&mut rare.counted, now), now);
        }
    }

    /// What is counted as kept by this session is not any more: it is about to be dropped.
    pub(crate) fn forget(&mut self, pass: &mut Pass) {
        if let Some(rare) = &mut self.rare {
            pass.memory.change(std::mem::take(&mut rare.counted), 0);
        }
    }

    /// Memory is short: nothing more is read until [`read_on`](Self::read_on), if anything is kept.
    #[cold]
    pub(crate) fn hold_back(&mut self, pass: &mut Pass) {
        if self.held() > 0 && self.flags & HELD_BACK == 0 && self.phase == Phase::Open {
            self.flags |= HELD_BACK;
            pass.memory.pauses += 1;
        }
    }

    /// Memory is not short any more. Says whether reading was paused.
    pub(crate) fn read_on(&mut self) -> bool {
        let was_held_back = self.flags & HELD_BACK != 0;
        self.flags &= !HELD_BACK;
        was_held_back
    }

    /// Calls a hook that takes no input, and grants what it asks for.
    fn call(&mut self, remote: &dyn Remote, pass: &mut Pass, hook: fn(&mut P, &mut Context<'_>)) {
        let mut cx = Context::new(pass, remote, self.poll_output().len());
        hook(&mut self.protocol, &mut cx);
        self.grant_if_any(pass);
    }

    /// Not ready means that a wake-up or a child is pending, or output is asked for (I2): without one, old or new, there is no
    /// need to ask. Nothing in the pass and no flag here means that it was ready and still is.
    #[inline(always)]
    fn grant_if_any(&mut self, pass: &mut Pass) {
        if pass.asked != 0 || self.flags & (RARE | NOT_READY) != 0 {
            self.grant(pass);
        }
        debug_assert!(
            self.rare.is_some() || self.flags & WANT_WRITABLE != 0 || self.protocol.ready(),
            "not ready, and nothing is pending that could change it"
        );
    }

    fn refresh_ready(&mut self, now: Tick) {
        if !self.protocol.ready() {
            self.flags |= NOT_READY;
        } else if self.flags & NOT_READY != 0 {
            self.flags &= !NOT_READY;
            self.restart_frame_clock(now);
        }
    }

    /// While we did not read, the peer could not complete its frame: its clock must not expire for that.
    fn restart_frame_clock(&mut self, now: Tick) {
        if let Some(rare) = &mut self.rare {
            rare.frame_since = rare.frame_since.map(|_| now);
        }
    }

    /// Grants what the protocol asked for, and asks it whether it is ready for more.
    #[cold]
    fn grant(&mut self, pass: &mut Pass) {
        let (asked, requests) = pass.take_requests();
        self.refresh_ready(pass.now().tick);
        if asked & Requests::WAKE != 0 {
            self.rare_mut().wake = requests.wake;
        }
        if asked & Requests::WRITABLE != 0 {
            self.flags |= WANT_WRITABLE;
        }
        if let Some(spec) = requests.spawn {
            self.grant_child(spec);
        }
        if let Some(error) = requests.error {
            self.finish(CloseReason::Protocol(error));
        }
        if asked & Requests::CLOSE != 0 {
            self.end(CloseReason::Closed, pass);
        } else if asked & Requests::FINISH != 0 {
            let reason = if self.flags & EOF != 0 { CloseReason::Eof } else { CloseReason::Finished };
            self.finish(reason);
        }
    }

    /// No more messages; what is unsent is flushed, then the close lingers.
    fn finish(&mut self, reason: CloseReason) {
        if self.phase != Phase::Open {
            return;
        }
        self.enter(Phase::Flushing);
        if let Some(rare) = &mut self.rare {
            rare.inbox = Buffer::default();
            rare.wake = None;
        }
        if reason != CloseReason::Eof {
            self.rare_mut().reason = Some(reason);
        }
    }

    /// Over, at once. The reason needs no memory here: the driver asks for it before it goes on.
    fn end(&mut self, reason: CloseReason, pass: &mut Pass) {
        if self.phase == Phase::Closed {
            return;
        }
        if self.phase == Phase::Flushing
            && let Some(rare) = &mut self.rare
            && matches!(rare.reason, Some(CloseReason::Finished | CloseReason::Drained))
        {
            // These say that everything was flushed, and it was not.
            rare.reason = None;
        }
        self.enter(Phase::Closed);
        pass.ended = Some(reason);
    }

    fn enter(&mut self, phase: Phase) {
        debug_assert_ne!(phase, Phase::Open, "no way back");
        self.phase = phase;
        self.flags |= ENDING;
    }

    fn has_unsent(&self) -> bool {
        self.rare.as_ref().is_some_and(|rare| !rare.outbox.is_empty())
    }

    fn rare_mut(&mut self) -> &mut Rare {
        self.flags |= RARE;
        self.rare.get_or_insert_default()
    }
}

impl<P> fmt::Debug for Session<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("phase", &self.phase)
            .field("flags", &format_args!("{:#b}", self.flags))
            .field("rare", &self.rare)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
