//! One conversation on a thread of its own, with calls that wait.
//!
//! The socket's read timeout (SO_RCVTIMEO, socket(7)) is the session's timer, and its send timeout bounds a peer that does
//! not read. A request costs one read and one write: a timeout is set only when something is begun that has a limit, and
//! then only when it has to be shorter than it is. Of the idle limit the supervisor takes care.

use std::io;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use rustix::net::sockopt::{Timeout, set_socket_timeout};

use super::blocking::Model;
use super::peer::{BlockingSocket, Peer};
use super::registry::Shared;
use crate::connection::{Connection, Progress};
use crate::job::Job;
use crate::kernel::Readiness;
use crate::session::{CloseReason, Factory, Pass, Protocol, Remote, Tick};

/// What one read returns at most. It lies on the thread's stack.
const BUFFER: usize = 8 * 1024;

/// How often a thread that cannot wait in read(2) any more, because the server is draining, looks for input.
const LOOK: Duration = Duration::from_millis(10);

/// How old the cached wall clock may become, in milliseconds.
const WALL_AGE_MS: u32 = 1000;

/// The shortest timeout a socket takes for one: zero would mean for ever.
const SHORTEST: Duration = Duration::from_millis(1);

/// A write waits for a part of the write limit only, and is then repeated: send(2) says how much it has sent only when it
/// returns, and a limit that begins anew with each send would be kept to a multiple of itself.
const SEND_STEPS: u32 = 8;
const LONGEST_SEND: Duration = Duration::from_secs(1);

/// Serves one connection to its end.
pub(super) fn converse(peer: &Peer, make: &Factory, local: &crate::session::Peer, shared: &Shared) {
    peer.serve_here();
    let mut serving = Serving { peer, shared, reason: CloseReason::Panicked };
    let protocol =
        make(&crate::session::Peer { address: peer.socket().address(), local: local.local.clone() });
    let conversation = Conversation::new(peer, protocol, shared);
    let Stage { conversation, scratch } = &mut Stage { conversation, scratch: [0; BUFFER] };
    serving.reason = conversation.run(scratch);
    let (address, reason) = (peer.socket().address(), &serving.reason);
    log::debug!("closed slot={} peer={address} reason=\"{reason}\"", peer.id);
    peer.publish(conversation.pass.traffic(), None);
}

/// Counts the end of a conversation, also when the service panics: its place is free again.
struct Serving<'a> {
    peer: &'a Peer,
    shared: &'a Shared,
    reason: CloseReason,
}

impl Drop for Serving<'_> {
    fn drop(&mut self) {
        self.shared.release(self.peer, &self.reason);
    }
}

/// All that lies on the thread's stack. The conversation is next to the beginning of the buffer and to the frames of the
/// functions called, so that a request touches one page: of a thousand threads, two pages each are more than the
/// processor's translation cache holds.
#[repr(C)]
struct Stage<'a> {
    conversation: Conversation<'a>,
    scratch: [u8; BUFFER],
}

/// What a request needs comes first, and is three lines of the processor's cache: these, and the first two of the pass.
#[repr(C)]
pub(super) struct Conversation<'a> {
    pub(super) connection: Connection<BlockingSocket<'a>, Box<dyn Protocol>>,
    wall_read: Tick,
    /// The protocol was told of the drain.
    stopped: bool,
    pub(super) pass: Pass,
    pub(super) peer: &'a Peer,
    pub(super) shared: &'a Shared,
    /// The read timeout in force.
    timeout: Option<Duration>,
    /// The child that runs for this conversation.
    pub(super) job: Option<Box<Job>>,
}

impl<'a> Conversation<'a> {
    fn new(peer: &'a Peer, protocol: Box<dyn Protocol>, shared: &'a Shared) -> Self {
        let mut limits = shared.config.limits.clone();
        let send_wait = limits.write.map(|limit| (limit / SEND_STEPS).clamp(SHORTEST, LONGEST_SEND));
        if shared.model == Model::Iterative && shared.is_stopping() {
            // Others wait in the queue, and what this one has sent arrived long ago.
            limits.quiet = SHORTEST;
        }
        let pass = Pass::new(limits, shared.clock.at(Instant::now(), SystemTime::now()));
        let connection = Connection::new(BlockingSocket::new(peer), protocol, &pass);
        // It fails when the connection is gone, and then the next call says so.
        let _ = set_socket_timeout(peer.socket(), Timeout::Send, send_wait);
        let wall_read = pass.now().tick;
        Self { connection, wall_read, stopped: false, pass, peer, shared, timeout: None, job: None }
    }

    fn run(&mut self, scratch: &mut [u8]) -> CloseReason {
        let mut progress = self.connection.open(&mut self.pass);
        while progress != Progress::Closed && !self.peer.is_cut() {
            let plain = self.connection.session().is_plain();
            self.peer.publish(self.pass.traffic(), plain.then_some(self.pass.now().tick));
            progress = if plain && self.peer.is_undisturbed() {
                self.converse_plainly(scratch)
            } else {
                self.step(progress, scratch)
            };
        }
        let reason = self.connection.session().close_reason(&self.pass);
        self.end_child();
        // Who was cut off has not ended as it believes.
        let reason = reason.filter(|_| !self.peer.is_cut()).unwrap_or(CloseReason::Stopped);
        self.connection.session_mut().handle_closed(&reason, &mut self.pass);
        reason
    }

    /// One request after the other, as long as each is answered at once and nobody disturbs. A function of its own, with
    /// all it needs in one frame: every line of the stack that a request dirties is one more to fetch.
    #[inline(never)]
    fn converse_plainly(&mut self, scratch: &mut [u8]) -> Progress {
        let (peer, shared) = (self.peer, self.shared);
        loop {
            let read = if peer.is_unix { self.read_unix(scratch) } else { peer.socket().recv(scratch) };
            let count = match read {
                Ok(count) if count > 0 => count,
                other => return self.handle_rare_read(other, scratch),
            };
            self.read_clock(shared);
            // Asked this early so that its memory comes while the request is worked on. Who is disturbed later reads
            // again, and does not wait: that is how a thread is told.
            let undisturbed = peer.is_undisturbed();
            let progress = self.connection.handle_read(Ok(count), scratch, &mut self.pass);
            if progress != Progress::Idle {
                return progress;
            }
            peer.publish(self.pass.traffic(), Some(self.pass.now().tick));
            if !undisturbed {
                return progress;
            }
        }
    }

    /// Waits for input of a Unix socket, or for the beginning of a drain.
    #[inline(never)]
    fn read_unix(&self, scratch: &mut [u8]) -> io::Result<usize> {
        self.peer.recv_unix(self.timeout.or(self.pass.limits().idle), Some(&self.shared.stop_event), scratch)
    }

    /// Does what can be done without waiting, or waits once.
    #[cold]
    #[inline(never)]
    fn step(&mut self, progress: Progress, scratch: &mut [u8]) -> Progress {
        if self.peer.is_stopping() && !self.stopped {
            self.stopped = true;
            self.read_clock(self.shared);
            return self.connection.handle_stop(scratch, &mut self.pass);
        }
        self.read_clock(self.shared);
        let session = self.connection.session();
        let deadline = session.poll_timeout(&self.pass).map(|at| self.pass.now().until(at));
        if deadline == Some(Duration::ZERO) {
            return self.connection.handle_timeout(scratch, &mut self.pass);
        }
        if session.has_child() {
            return self.step_with_child(deadline, scratch);
        }
        let wants_input = session.wants_read() || session.wants_discard();
        let busy = progress == Progress::Yielded || self.connection.can_go_on();
        if busy && !(wants_input && self.peer.is_readable()) {
            self.connection.note(Readiness::WRITABLE);
            return self.connection.drive(scratch, &mut self.pass);
        }
        if !wants_input {
            thread::park_timeout(deadline.unwrap_or(LOOK));
            return Progress::Blocked;
        }
        if session.wants_discard() && self.peer.is_shut() {
            return self.discard_at_once(scratch);
        }
        if self.peer.is_shut() {
            thread::park_timeout(deadline.map_or(LOOK, |left| left.min(LOOK)));
        } else {
            self.need_timeout(deadline);
        }
        self.read(scratch)
    }

    /// Waits for input, reads the clock, and hands it on.
    pub(super) fn read(&mut self, scratch: &mut [u8]) -> Progress {
        let read = if self.peer.is_unix {
            let stop_event = (!self.peer.is_stopping()).then_some(&self.shared.stop_event);
            self.peer.recv_unix(self.timeout.or(self.pass.limits().idle), stop_event, scratch)
        } else {
            self.peer.socket().recv(scratch)
        };
        self.handle_rare_read(read, scratch)
    }

    /// Something was read while not only that was waited for; or the end of the stream; or nothing came in time.
    #[cold]
    #[inline(never)]
    fn handle_rare_read(&mut self, read: io::Result<usize>, scratch: &mut [u8]) -> Progress {
        let read = self.peer.unless_shut(read);
        let waited_in_vain = read.is_err();
        self.read_clock(self.shared);
        let progress = self.connection.handle_read(read, scratch, &mut self.pass);
        if waited_in_vain && !self.peer.is_shut() { self.after_waiting(progress, scratch) } else { progress }
    }

    /// Both sides are shut down: what the peer sends from now on is answered with a reset by the kernel, however long we
    /// linger. Only what has arrived is taken, because closing over it would be a reset too.
    fn discard_at_once(&mut self, scratch: &mut [u8]) -> Progress {
        let read = self.peer.socket().recv(scratch);
        self.connection.handle_read(read, scratch, &mut self.pass)
    }

    /// The read timeout has passed: for a deadline, or because it was the shorter one of an earlier wait.
    #[cold]
    fn after_waiting(&mut self, progress: Progress, scratch: &mut [u8]) -> Progress {
        if progress == Progress::Closed {
            return progress;
        }
        let session = self.connection.session();
        let left = session.poll_timeout(&self.pass).map(|at| self.pass.now().until(at));
        let needed = left.filter(|_| !session.is_plain());
        self.set_timeout(needed);
        if left == Some(Duration::ZERO) {
            return self.connection.handle_timeout(scratch, &mut self.pass);
        }
        progress
    }

    /// Makes sure that a read waits no longer than this. A shorter wait does no harm: it is repeated.
    fn need_timeout(&mut self, wait: Option<Duration>) {
        if let Some(wait) = wait
            && self.timeout.is_none_or(|timeout| timeout > wait)
        {
            self.set_timeout(Some(wait));
        }
    }

    fn set_timeout(&mut self, wait: Option<Duration>) {
        self.timeout = wait.map(|wait| wait.max(SHORTEST));
        let _ = set_socket_timeout(self.peer.socket(), Timeout::Recv, self.timeout);
    }

    #[inline(always)]
    pub(super) fn read_clock(&mut self, shared: &Shared) {
        self.pass.set_instant(shared.clock, Instant::now());
        let tick = self.pass.now().tick;
        if tick.since(self.wall_read) >= WALL_AGE_MS {
            self.pass.set_wall(SystemTime::now());
            self.wall_read = tick;
        }
    }
}
