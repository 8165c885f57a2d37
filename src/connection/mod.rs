//! A socket and its session, joined by readiness bits: the one place where bytes move between them.
//!
//! One loop serves every model: the reactor calls [`Connection::drive`] when an event came, a blocking
//! thread would call it after every read. It returns no `Result`: one peer can never end the driver with `?`.

mod output;

use std::fmt;
use std::io;

use crate::attempt::{Attempt, attempt, attempt_again};
use crate::kernel::{Planted, Readiness, Stream};
use crate::session::{ChildEvent, Pass, Protocol, Session};

/// How far [`Connection::drive`] came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// Nothing more to do until an event comes; the deadline entry that is armed is never too late.
    Idle,
    /// Nothing more to do until an event or [`poll_timeout`](crate::session::Session::poll_timeout).
    Blocked,
    /// The turn's budget is spent and there is more to do: queue it again.
    Yielded,
    /// The conversation is over, the session knows [why](crate::session::Session::close_reason): drop the connection.
    Closed,
}

/// What the connection can do next; derived from the session's wishes and the socket's readiness.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Action {
    Read,
    FlushKept,
    Resume,
    Produce,
    ShutDown,
    Discard,
    /// The peer has left while its child runs.
    Leave,
    Wait,
}

/// One socket and the session on it.
pub struct Connection<T, P> {
    stream: T,
    session: Session<P>,
    ready: Readiness,
}

impl<T: Stream, P: Protocol> Connection<T, P> {
    /// A connection that has not begun; a fresh socket counts as writable (its send buffer is empty).
    pub fn new(stream: T, protocol: P, pass: &Pass) -> Self {
        Self { stream, session: Session::new(protocol, pass.now()), ready: Readiness::WRITABLE }
    }

    /// Lets the protocol begin and sends what it says.
    pub fn open(&mut self, pass: &mut Pass) -> Progress {
        pass.refill();
        self.session.handle_open(&self.stream, pass);
        self.flush(pass);
        self.rest(pass)
    }

    /// Adds what an event said.
    #[inline]
    pub fn note(&mut self, ready: Readiness) {
        self.ready = self.ready.and(ready);
    }

    /// Does what can be done within one turn's budget: reads, lets the protocol answer, writes.
    #[inline(always)]
    pub fn drive(&mut self, scratch: &mut [u8], pass: &mut Pass) -> Progress {
        pass.refill();
        // Almost every pass of almost every connection: one request comes in, its answer goes out.
        if self.session.is_plain() {
            if !self.ready.has(Readiness::READABLE) {
                return Progress::Idle;
            }
            let answered = self.fill(scratch, pass);
            if answered && !self.ready.has(Readiness::READABLE) {
                return Progress::Idle;
            }
            if self.session.is_closed() {
                return Progress::Closed;
            }
        }
        self.drive_on(scratch, pass)
    }

    /// [`drive`](Self::drive), when there is more to do than one read and one write.
    #[inline(never)]
    fn drive_on(&mut self, scratch: &mut [u8], pass: &mut Pass) -> Progress {
        if pass.memory.is_short() && T::PLANTED != Planted::MemoryPauseForgotten {
            self.session.hold_back(pass);
        }
        while !pass.is_spent() {
            match self.next_action() {
                Action::Wait => return self.rest_at(Progress::Blocked, pass),
                // Who always has more to send would never see what it is sent, nor the end of it. Reading comes
                // first, because producing mostly ends in congestion, and both are done whatever the budget.
                Action::Produce if self.session.wants_read() && self.ready.has(Readiness::READABLE) => {
                    self.act(Action::Read, scratch, pass);
                    if self.session.wants_writable() {
                        self.act(Action::Produce, scratch, pass);
                    }
                }
                action => self.act(action, scratch, pass),
            }
        }
        self.rest(pass)
    }

    /// For a driver that waits in read(2), and therefore reads itself: hands on what that gave, in `scratch`, and does
    /// what follows from it. Never reads on: that might wait again, and the time in `pass` would be wrong.
    #[inline(always)]
    pub fn handle_read(&mut self, read: io::Result<usize>, scratch: &mut [u8], pass: &mut Pass) -> Progress {
        pass.refill();
        self.ready = self.ready.and(Readiness::WRITABLE);
        if self.session.wants_discard() {
            let read = attempt_again(read, || self.stream.read(scratch));
            self.take_discarded(read, scratch.len(), pass);
        } else if self.take(read, scratch, pass) {
            self.ready = self.ready.without(Readiness::READABLE);
            return Progress::Idle;
        }
        self.ready = self.ready.without(Readiness::READABLE);
        self.drive_on(scratch, pass)
    }

    /// Does what is possible, then acts on the deadlines that are due: what has arrived counts before a limit.
    pub fn handle_timeout(&mut self, scratch: &mut [u8], pass: &mut Pass) -> Progress {
        pass.refill();
        self.session.handle_retry(pass);
        if self.session.is_stopping() {
            // Quiet is what the kernel says is quiet: the event of what has arrived may still be under way.
            self.ready = self.ready.and(Readiness::READABLE);
        }
        if self.drive_on(scratch, pass) == Progress::Closed {
            return Progress::Closed;
        }
        self.session.handle_timeout(&self.stream, pass);
        self.flush(pass);
        self.drive_on(scratch, pass)
    }

    /// The protocol is to be woken from outside.
    pub fn handle_wake(&mut self, scratch: &mut [u8], pass: &mut Pass) -> Progress {
        pass.refill();
        self.session.handle_wake(&self.stream, pass);
        self.flush(pass);
        self.drive(scratch, pass)
    }

    /// A child has something to tell. To be followed by [`go_on`](Self::go_on), once all is told.
    pub fn handle_child(&mut self, event: ChildEvent<'_>, pass: &mut Pass) {
        self.session.handle_child(event, &self.stream, pass);
        self.flush(pass);
    }

    /// Does what has become possible by calls from outside.
    pub fn go_on(&mut self, scratch: &mut [u8], pass: &mut Pass) -> Progress {
        self.drive_on(scratch, pass)
    }

    /// The server is draining.
    pub fn handle_stop(&mut self, scratch: &mut [u8], pass: &mut Pass) -> Progress {
        pass.refill();
        self.session.handle_stop(&self.stream, pass);
        self.flush(pass);
        self.drive_on(scratch, pass)
    }

    /// The socket.
    pub const fn stream(&self) -> &T {
        &self.stream
    }

    /// The socket, for registering it.
    pub const fn stream_mut(&mut self) -> &mut T {
        &mut self.stream
    }

    /// The session.
    pub const fn session(&self) -> &Session<P> {
        &self.session
    }

    /// The session, for telling it of an end from outside.
    pub const fn session_mut(&mut self) -> &mut Session<P> {
        &mut self.session
    }

    /// Whether [`drive`](Self::drive) would do something now (invariant I4: if so, it is queued).
    pub fn can_go_on(&self) -> bool {
        self.next_action() != Action::Wait
    }

    fn next_action(&self) -> Action {
        let session = &self.session;
        let readable = self.ready.has(Readiness::READABLE);
        if session.is_plain() || session.is_closed() {
            return if readable && !session.is_closed() { Action::Read } else { Action::Wait };
        }
        if session.watches_peer() && self.ready.has(Readiness::READ_CLOSED) {
            Action::Leave
        } else if session.wants_write() && self.ready.has(Readiness::WRITABLE) {
            Action::FlushKept
        } else if session.wants_resume() {
            Action::Resume
        } else if session.wants_writable() {
            Action::Produce
        } else if session.wants_read() && readable {
            Action::Read
        } else if session.wants_shutdown() {
            Action::ShutDown
        } else if session.wants_discard() && readable {
            Action::Discard
        } else {
            Action::Wait
        }
    }

    fn act(&mut self, action: Action, scratch: &mut [u8], pass: &mut Pass) {
        match action {
            Action::Read => {
                self.fill(scratch, pass);
            }
            Action::FlushKept => self.flush_kept(pass),
            Action::Resume => self.session.handle_resume(&self.stream, pass),
            Action::Produce => self.session.handle_writable(&self.stream, pass),
            Action::ShutDown => self.shut_down(pass),
            Action::Discard => self.discard(scratch, pass),
            Action::Leave => self.session.handle_left(),
            Action::Wait => {}
        }
        self.flush(pass);
    }

    /// The end of a pass whose share is spent: there may be more to do.
    #[inline]
    fn rest(&mut self, pass: &mut Pass) -> Progress {
        let more = self.can_go_on();
        self.rest_at(if more { Progress::Yielded } else { Progress::Blocked }, pass)
    }

    /// The end of a pass: memory is given back, and what is kept is counted.
    #[inline]
    fn rest_at(&mut self, progress: Progress, pass: &mut Pass) -> Progress {
        if self.session.is_closed() {
            return Progress::Closed;
        }
        if !self.session.is_plain() {
            self.session.account(pass);
            self.session.release();
            if self.session.wants_child() {
                // Whoever drives is to look here again: nobody else could start it.
                return Progress::Yielded;
            }
        }
        progress
    }

    /// Reads once, hands the bytes on, and writes the answers. Says whether that left nothing else to do.
    #[inline(always)]
    fn fill(&mut self, scratch: &mut [u8], pass: &mut Pass) -> bool {
        let read = self.stream.read(scratch);
        self.take(read, scratch, pass)
    }

    /// [`fill`](Self::fill), once the bytes are in `scratch`.
    #[inline(always)]
    fn take(&mut self, read: io::Result<usize>, scratch: &mut [u8], pass: &mut Pass) -> bool {
        let count = match read {
            Ok(count) if count > 0 => count,
            other => match self.read_again(other, scratch, pass) {
                Some(count) => count,
                None => return false,
            },
        };
        self.note_read(count, scratch.len(), pass);
        let input = &scratch[..count];
        self.session.handle_bytes(input, &self.stream, pass);
        self.flush_input(input, pass)
    }

    /// A read that gave no bytes: the end of the stream, nothing there, or a failure. A signal may have
    /// interrupted it; then it may give bytes after all.
    #[cold]
    #[inline(never)]
    fn read_again(&mut self, first: io::Result<usize>, scratch: &mut [u8], pass: &mut Pass) -> Option<usize> {
        match attempt_again(first, || self.stream.read(scratch)) {
            Attempt::Done(0) => {
                self.ready = self.ready.without(Readiness::READABLE);
                self.session.handle_eof(&self.stream, pass);
                self.flush(pass);
                return None;
            }
            Attempt::Done(count) => return Some(count),
            Attempt::WouldBlock => self.ready = self.ready.without(Readiness::READABLE),
            Attempt::Failed(failure) => self.session.handle_failure(failure, pass),
        }
        None
    }

    /// A short read means drained, unless a close was signalled: a FIN that came with the data gives no further event.
    #[inline(always)]
    fn note_read(&mut self, count: usize, asked: usize, pass: &mut Pass) {
        let drained = count < asked
            && (T::PLANTED == Planted::ReadClosedIgnored || !self.ready.has(Readiness::READ_CLOSED));
        if drained || T::PLANTED == Planted::AnyReadDrains {
            self.ready = self.ready.without(Readiness::READABLE);
        } else {
            pass.spend(count, 0);
        }
        pass.traffic_mut().bytes_in += count as u64;
    }

    /// Lingering: reads and throws away.
    fn discard(&mut self, scratch: &mut [u8], pass: &mut Pass) {
        let read = attempt(|| self.stream.read(scratch));
        self.take_discarded(read, scratch.len(), pass);
    }

    fn take_discarded(&mut self, read: Attempt<usize>, asked: usize, pass: &mut Pass) {
        match read {
            Attempt::Done(0) => self.session.handle_eof(&self.stream, pass),
            Attempt::Done(count) => {
                self.note_read(count, asked, pass);
                self.session.handle_discarded(count, pass);
            }
            Attempt::WouldBlock => self.ready = self.ready.without(Readiness::READABLE),
            Attempt::Failed(failure) => self.session.handle_failure(failure, pass),
        }
    }

    fn shut_down(&mut self, pass: &mut Pass) {
        if self.session.handle_flushed(pass)
            && let Attempt::Failed(failure) = attempt(|| self.stream.shutdown_write())
        {
            self.session.handle_failure(failure, pass);
        }
    }
}

impl<T: fmt::Debug, P> fmt::Debug for Connection<T, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("stream", &self.stream)
            .field("session", &self.session)
            .field("ready", &self.ready)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant, SystemTime};

    use super::*;
    use crate::address::Address;
    use crate::codec::Raw;
    use crate::services::Echo;
    use crate::session::{Clock, CloseReason, Framed, Limits};
    use crate::testing::ScriptedStream;

    const ENOBUFS: i32 = 105;

    struct Bench {
        connection: Connection<ScriptedStream, Framed<Raw, Echo>>,
        pass: Pass,
        clock: Clock,
        origin: Instant,
        scratch: [u8; 64],
    }

    impl Bench {
        fn new() -> Self {
            let origin = Instant::now();
            let clock = Clock::new(origin);
            let mut pass = Pass::new(Limits::default(), clock.at(origin, SystemTime::UNIX_EPOCH));
            let stream = ScriptedStream::new(Address::Unknown);
            let mut connection = Connection::new(stream, Framed::new(Raw, Echo), &pass);
            connection.open(&mut pass);
            Self { connection, pass, clock, origin, scratch: [0; 64] }
        }

        fn timeout_at(&mut self, ms: u64) -> Progress {
            let now = self.origin + Duration::from_millis(ms);
            self.pass.set_now(self.clock.at(now, SystemTime::UNIX_EPOCH));
            self.connection.handle_timeout(&mut self.scratch, &mut self.pass)
        }
    }

    #[test]
    fn a_drain_answers_what_has_arrived_before_it_calls_a_connection_quiet() {
        let mut bench = Bench::new();
        bench.connection.handle_stop(&mut bench.scratch, &mut bench.pass);
        // It is there, but its event has not come yet when the quiet time is over.
        bench.connection.stream_mut().push_input(b"late");
        bench.timeout_at(101);
        assert_eq!(bench.connection.stream_mut().take_output(), b"late");
        assert!(!bench.connection.stream().is_write_shut());
        bench.timeout_at(203);
        assert!(bench.connection.stream().is_write_shut());
    }

    #[test]
    fn a_drain_does_not_call_quiet_what_it_could_not_read() {
        let mut bench = Bench::new();
        bench.connection.handle_stop(&mut bench.scratch, &mut bench.pass);
        bench.connection.stream_mut().push_input(b"late");
        bench.connection.note(Readiness::READABLE);
        for ms in (0..200).step_by(11) {
            bench.connection.stream_mut().fail_next(ENOBUFS);
            bench.timeout_at(ms);
        }
        assert!(!bench.connection.stream().is_write_shut());
        bench.timeout_at(220);
        assert_eq!(bench.connection.stream_mut().take_output(), b"late");
    }

    #[test]
    fn what_has_arrived_counts_before_the_idle_limit() {
        let mut bench = Bench::new();
        bench.connection.stream_mut().push_input(b"in time");
        bench.connection.note(Readiness::READABLE);
        assert_ne!(bench.timeout_at(3_600_001), Progress::Closed);
        assert_eq!(bench.connection.stream_mut().take_output(), b"in time");
        assert_eq!(bench.timeout_at(2 * 3_600_002), Progress::Closed);
        assert_eq!(bench.connection.session().close_reason(&bench.pass), Some(CloseReason::Idle));
    }
}
