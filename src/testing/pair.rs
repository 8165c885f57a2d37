//! A session driven by hand: send bytes, get the answer, let time pass.

use std::time::{Duration, Instant, SystemTime};

use crate::address::Address;
use crate::attempt::Failure;
use crate::connection::{Connection, Progress};
use crate::kernel::Readiness;
use crate::session::{ChildEvent, ChildSpec, Clock, CloseReason, Limits, Pass, Protocol};

use super::ScriptedStream;

/// A shortage of memory that lasts so long is ended with the connection, as the reactor has it.
const SHORT: Duration = Duration::from_secs(1);

/// A protocol on a scripted socket with virtual time.
#[derive(Debug)]
pub struct SessionPair<P> {
    connection: Connection<ScriptedStream, P>,
    pass: Pass,
    clock: Clock,
    now: Instant,
    scratch: Vec<u8>,
    closed: Option<CloseReason>,
    /// When memory has been short for too long, if it is.
    short_until: Option<Instant>,
    spawned: Option<ChildSpec>,
}

impl<P: Protocol> SessionPair<P> {
    /// Opens a conversation with default limits.
    pub fn new(protocol: P) -> Self {
        Self::with_limits(protocol, Limits::default())
    }

    /// Opens a conversation with these limits.
    pub fn with_limits(protocol: P, limits: Limits) -> Self {
        Self::on_stream(ScriptedStream::new(Address::Unknown), protocol, limits)
    }

    /// Opens a conversation on this socket, which may have input already, or little room: a protocol that produces
    /// without an end must not begin on one that takes everything.
    pub fn on_stream(stream: ScriptedStream, protocol: P, limits: Limits) -> Self {
        let now = Instant::now();
        let clock = Clock::new(now);
        let mut pass = Pass::new(limits, clock.at(now, SystemTime::UNIX_EPOCH));
        let mut connection = Connection::new(stream, protocol, &pass);
        let progress = connection.open(&mut pass);
        let mut pair = Self {
            connection,
            pass,
            clock,
            now,
            scratch: vec![0; 64 * 1024],
            closed: None,
            short_until: None,
            spawned: None,
        };
        pair.settle(progress);
        pair
    }

    /// Sends bytes to the protocol and returns what it has written since the last call.
    pub fn send(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.connection.stream_mut().push_input(bytes);
        self.run(Readiness::READABLE)
    }

    /// Ends the peer's sending side and returns what the protocol has written since the last call.
    pub fn send_eof(&mut self) -> Vec<u8> {
        self.connection.stream_mut().push_eof();
        self.run(Readiness::READABLE.and(Readiness::READ_CLOSED))
    }

    /// The peer resets the connection. What the protocol still writes is among what the next call returns.
    pub fn reset(&mut self) {
        self.connection.stream_mut().push_reset();
        self.drive(Readiness::READABLE.and(Readiness::READ_CLOSED));
    }

    /// Lets the peer read `count` bytes' worth of send buffer free; `usize::MAX` to never block a write again.
    pub fn set_room(&mut self, count: usize) -> Vec<u8> {
        self.connection.stream_mut().set_room(count);
        self.run(Readiness::WRITABLE)
    }

    /// Lets time pass, firing every deadline on the way, and returns what the protocol has written.
    pub fn advance(&mut self, by: Duration) -> Vec<u8> {
        let end = self.now + by;
        while self.closed.is_none() {
            let at = self.connection.session().poll_timeout(&self.pass);
            let at = at.map(|at| self.now + self.pass.now().until(at));
            let Some(next) = at.into_iter().chain(self.short_until).min().filter(|next| *next <= end) else {
                break;
            };
            self.set_now(next);
            if self.short_until.is_some_and(|until| until <= next) {
                self.end_over_memory();
                break;
            }
            let progress = self.connection.handle_timeout(&mut self.scratch, &mut self.pass);
            self.settle(progress);
        }
        self.set_now(end);
        self.take_output()
    }

    /// Wakes the protocol from outside, as a driver with something to do for it does.
    pub fn wake(&mut self) -> Vec<u8> {
        if self.closed.is_none() {
            let progress = self.connection.handle_wake(&mut self.scratch, &mut self.pass);
            self.settle(progress);
        }
        self.take_output()
    }

    /// The program that the protocol has asked for since the last call: it counts as running.
    pub fn take_spawned(&mut self) -> Option<ChildSpec> {
        self.spawned.take()
    }

    /// The child has something to tell. Returns what the protocol has written since the last call.
    pub fn child(&mut self, event: ChildEvent<'_>) -> Vec<u8> {
        if self.closed.is_none() {
            self.connection.handle_child(event, &mut self.pass);
            let progress = self.connection.go_on(&mut self.scratch, &mut self.pass);
            self.settle(progress);
        }
        self.take_output()
    }

    /// Whether the child may be heard; a driver does not read its pipes otherwise.
    pub fn wants_child_output(&self) -> bool {
        self.closed.is_none() && self.connection.session().wants_child_output()
    }

    /// The server begins to drain.
    pub fn stop(&mut self) -> Vec<u8> {
        let progress = self.connection.handle_stop(&mut self.scratch, &mut self.pass);
        self.settle(progress);
        self.take_output()
    }

    /// What was written since the last call.
    pub fn take_output(&mut self) -> Vec<u8> {
        self.connection.stream_mut().take_output()
    }

    /// Whether our side has shut down its sending side.
    pub fn is_write_shut(&self) -> bool {
        self.connection.stream().is_write_shut()
    }

    /// How the conversation ended, once it has.
    pub fn close_reason(&self) -> Option<&CloseReason> {
        self.closed.as_ref()
    }

    /// Bytes kept for unfinished input and unsent output.
    pub fn buffered(&self) -> usize {
        self.connection.session().buffered()
    }

    /// Bytes of memory that buffers take up, against the ceiling of [`Limits::memory`].
    pub const fn held(&self) -> usize {
        self.pass.memory.held()
    }

    /// The connection itself.
    pub fn connection(&mut self) -> &mut Connection<ScriptedStream, P> {
        &mut self.connection
    }

    /// Lets the next read or write fail with this errno.
    pub fn fail_next(&mut self, failure: Failure) {
        self.connection.stream_mut().fail_next(failure.errno);
    }

    fn run(&mut self, ready: Readiness) -> Vec<u8> {
        self.drive(ready);
        self.take_output()
    }

    fn drive(&mut self, ready: Readiness) {
        if self.closed.is_none() {
            self.connection.note(ready);
            let progress = self.connection.drive(&mut self.scratch, &mut self.pass);
            self.settle(progress);
        }
    }

    fn settle(&mut self, progress: Progress) {
        self.settle_connection(progress);
        if self.closed.is_none() && self.pass.memory.is_short() {
            self.keep_to_memory();
        }
    }

    /// What a reactor does about the ceiling of memory at the end of a turn, with one connection.
    fn keep_to_memory(&mut self) {
        if self.pass.memory.is_over() {
            return self.end_over_memory();
        }
        if !self.pass.memory.relax() {
            self.short_until.get_or_insert(self.now + SHORT);
            return;
        }
        self.short_until = None;
        if self.connection.session_mut().read_on() {
            let progress = self.connection.drive(&mut self.scratch, &mut self.pass);
            self.settle(progress);
        }
    }

    fn end_over_memory(&mut self) {
        self.short_until = None;
        self.connection.session_mut().forget(&mut self.pass);
        self.connection.session_mut().handle_closed(&CloseReason::OverMemory, &mut self.pass);
        self.closed = Some(CloseReason::OverMemory);
    }

    fn settle_connection(&mut self, mut progress: Progress) {
        loop {
            if let Some(spec) = self.connection.session_mut().poll_spawn() {
                self.connection.session_mut().handle_spawned(0);
                self.spawned = Some(*spec);
            }
            // One chunk is a short read, behind which a kernel has nothing: the next has arrived just after.
            if progress == Progress::Blocked || progress == Progress::Idle {
                if !self.connection.stream().has_input() || !self.connection.session().wants_read() {
                    break;
                }
                self.connection.note(Readiness::READABLE);
            } else if progress != Progress::Yielded || self.pass.memory.is_over() {
                break;
            }
            progress = self.connection.drive(&mut self.scratch, &mut self.pass);
        }
        if let Some(reason) = self.connection.session().close_reason(&self.pass) {
            self.connection.session_mut().forget(&mut self.pass);
            self.connection.session_mut().handle_closed(&reason, &mut self.pass);
            self.closed = Some(reason);
        }
    }

    fn set_now(&mut self, now: Instant) {
        self.now = now;
        self.pass.set_now(self.clock.at(now, SystemTime::UNIX_EPOCH));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::Fixed;
    use crate::services::Echo;
    use crate::session::Framed;

    /// Echoes three bytes at a time, and takes nothing while a byte is unsent.
    fn congested() -> SessionPair<Framed<Fixed, Echo>> {
        let limits = Limits { high_water: 1, low_water: 0, ..Limits::default() };
        let size = 3.try_into().expect("not zero");
        let mut pair = SessionPair::with_limits(Framed::new(Fixed::new(size), Echo), limits);
        pair.set_room(2);
        assert_eq!(pair.send(b"abcd"), b"ab");
        assert_eq!([pair.send(b"e"), pair.send(b"f")], [b"", b""]);
        pair
    }

    #[test]
    fn chunks_that_arrived_during_congestion_are_all_read_once_it_ends() {
        assert_eq!(congested().set_room(100), b"cdef");
    }

    #[test]
    fn a_ceiling_of_memory_pauses_reading_then_ends_who_keeps_too_much() {
        let limits = Limits { memory: Some(64), ..Limits::default() };
        let begin = || {
            let size = 1000.try_into().expect("not zero");
            SessionPair::with_limits(Framed::new(Fixed::new(size), Echo), limits.clone())
        };
        let mut paused = begin();
        assert_eq!(paused.send(&[0; 60]), b"");
        assert_eq!((paused.send(b"not read"), paused.buffered()), (Vec::new(), 60));
        paused.advance(Duration::from_millis(999));
        assert_eq!(paused.close_reason(), None);
        paused.advance(Duration::from_millis(1));
        assert_eq!((paused.close_reason(), paused.held()), (Some(&CloseReason::OverMemory), 0));
        let mut over = begin();
        over.send(&[0; 65]);
        assert_eq!((over.close_reason(), over.held()), (Some(&CloseReason::OverMemory), 0));
    }

    #[test]
    fn what_is_written_before_a_reset_is_seen_is_not_lost() {
        let mut pair = congested();
        assert_eq!(pair.set_room(2), b"cd");
        pair.reset();
        assert_eq!(pair.set_room(100), b"ef");
        assert!(matches!(pair.close_reason(), Some(CloseReason::PeerGone(_))));
    }
}
