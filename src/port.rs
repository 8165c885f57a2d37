//! A datagram socket and what answers it, joined by readiness bits: for datagrams what a connection is for streams.
//!
//! It returns no `Result`: an error is about one datagram, and never about the socket.

use std::fmt;
use std::io;

use crate::attempt::{Attempt, Failure, FailureClass, attempt};
use crate::connection::Progress;
use crate::kernel::{DatagramSocket, Planted, Readiness, RecvBatch};
use crate::session::{Datagrams, Guard, Pass, Tick};

/// Messages a datagram counts as in a turn's budget: messages of a connection share a read and a write, this one had the
/// way through the network stack to itself, twice. So by default a turn takes one batch.
const FRAMES: u32 = 4;

/// Batches counted of what was never received: others may go on sending.
const MAX_COUNTED: u32 = 10_000;

/// How long receiving rests when it only fails, and after how many failures.
const REST: std::time::Duration = std::time::Duration::from_millis(100);
const FAILURES: u32 = 64;

/// One datagram socket and the state on it.
pub struct Port<D> {
    socket: D,
    datagrams: Datagrams,
    ready: Readiness,
    /// The kernel was out of memory or buffers: no I/O before this.
    retry_at: Option<Tick>,
    /// Calls to receive that failed, since one succeeded.
    failures: u32,
}

impl<D: DatagramSocket> Port<D> {
    /// A port at which nothing has arrived yet.
    pub const fn new(socket: D, datagrams: Datagrams) -> Self {
        Self { socket, datagrams, ready: Readiness::WRITABLE, retry_at: None, failures: 0 }
    }

    /// Adds what an event said.
    pub fn note(&mut self, ready: Readiness) {
        self.ready = self.ready.and(ready);
    }

    /// Does what can be done within one turn's budget: receives, lets the handler answer, sends.
    pub fn drive(&mut self, batch: &mut RecvBatch, guard: &Guard, pass: &mut Pass) -> Progress {
        pass.refill();
        loop {
            self.flush(pass);
            if !self.can_receive() {
                return if self.datagrams.is_done() { Progress::Closed } else { Progress::Blocked };
            }
            if pass.is_spent() && !planted::<D>(Planted::DatagramBudgetIgnored) {
                return Progress::Yielded;
            }
            self.fill(batch, guard, pass);
        }
    }

    /// The handler is to be woken from outside.
    pub fn handle_wake(&mut self, batch: &mut RecvBatch, guard: &Guard, pass: &mut Pass) -> Progress {
        if let Some(peer) = self.socket.peer() {
            self.datagrams.handle_wake(&peer, pass);
        }
        self.drive(batch, guard, pass)
    }

    /// Lets go what was held back or has to be repeated, and goes on.
    pub fn handle_timeout(&mut self, batch: &mut RecvBatch, guard: &Guard, pass: &mut Pass) -> Progress {
        let now = pass.now().tick;
        self.retry_at = self.retry_at.filter(|at| !at.is_due(now));
        self.datagrams.handle_timeout(pass);
        self.drive(batch, guard, pass)
    }

    /// The server is draining: what the kernel has queued is answered, then nothing more is taken.
    pub fn handle_stop(&mut self, batch: &mut RecvBatch, guard: &Guard, pass: &mut Pass) -> Progress {
        self.datagrams.handle_stop();
        if planted::<D>(Planted::DatagramDrainHasty) {
            self.datagrams.handle_emptied();
        }
        // Empty is what the kernel says is empty: the event of what has arrived may still be under way.
        self.ready = self.ready.and(Readiness::READABLE);
        self.drive(batch, guard, pass)
    }

    /// Ends before all is answered: what is owed is counted.
    pub fn give_up(&self, pass: &mut Pass) {
        pass.datagrams_mut().given_up += self.datagrams.owed() as u64;
    }

    /// Takes what still waits in the kernel's queue and counts it as given up: for a driver that takes one at a time.
    pub fn give_up_queue(&mut self, batch: &mut RecvBatch, pass: &mut Pass) {
        for _ in 0..MAX_COUNTED {
            batch.clear();
            let Attempt::Done(empty) = attempt(|| self.socket.recv_batch(batch)) else { break };
            let bytes = batch.iter().map(|(data, _)| data.len() as u64);
            pass.traffic_mut().bytes_in += bytes.sum::<u64>();
            let count = batch.len() as u64;
            pass.datagrams_mut().received += count;
            pass.datagrams_mut().given_up += count;
            if empty {
                break;
            }
        }
    }

    /// When to call [`handle_timeout`](Self::handle_timeout).
    pub fn poll_timeout(&self, pass: &Pass) -> Option<Tick> {
        let held = self.datagrams.poll_timeout(pass).filter(|_| !planted::<D>(Planted::HeldReplyForgotten));
        Tick::earliest(held, self.retry_at)
    }

    /// The socket.
    pub const fn socket(&self) -> &D {
        &self.socket
    }

    /// The socket, for registering it.
    pub const fn socket_mut(&mut self) -> &mut D {
        &mut self.socket
    }

    /// Whether the next datagram is wanted; a driver that waits for one need not wait otherwise.
    pub fn wants_read(&self) -> bool {
        self.datagrams.wants_read() && self.retry_at.is_none()
    }

    /// Whether a reply waits until the socket takes it.
    pub fn wants_write(&self) -> bool {
        self.datagrams.wants_write() && self.retry_at.is_none()
    }

    fn can_receive(&self) -> bool {
        self.wants_read() && self.ready.has(Readiness::READABLE)
    }

    fn fill(&mut self, batch: &mut RecvBatch, guard: &Guard, pass: &mut Pass) {
        batch.clear();
        match attempt(|| self.socket.recv_batch(batch)) {
            Attempt::Done(empty) => {
                self.failures = 0;
                if empty || planted::<D>(Planted::DatagramBatchDrains) {
                    self.emptied();
                }
                for (data, from) in batch.iter() {
                    pass.spend(data.len(), FRAMES);
                    self.datagrams.handle_datagram(data, from, guard, pass);
                }
            }
            Attempt::WouldBlock => {
                self.failures = 0;
                self.emptied();
            }
            Attempt::Failed(failure) => {
                self.datagrams.handle_error(failure.errno);
                pass.datagrams_mut().recv_errors += 1;
                pass.spend(0, 1);
                self.note_recv_failure(failure, pass);
            }
        }
    }

    /// An error tells of one datagram, as a rule; a socket that only fails must not keep the loop.
    fn note_recv_failure(&mut self, failure: Failure, pass: &mut Pass) {
        self.failures += 1;
        if failure.class != FailureClass::Fatal && self.failures < FAILURES {
            return self.note_failure(failure, pass);
        }
        if self.failures <= FAILURES {
            log::warn!("receiving datagrams fails error=\"{failure}\" retry_ms={}", REST.as_millis());
        }
        self.failures = FAILURES + 1;
        self.retry_at = Some(pass.now().tick.after(REST.into()));
    }

    fn emptied(&mut self) {
        self.ready = self.ready.without(Readiness::READABLE);
        self.datagrams.handle_emptied();
    }

    fn flush(&mut self, pass: &mut Pass) {
        while self.wants_write() && self.ready.has(Readiness::WRITABLE) {
            match attempt(|| send_some(&mut self.socket, &self.datagrams)) {
                Attempt::Done((count, bytes)) => {
                    pass.traffic_mut().bytes_out += bytes;
                    pass.datagrams_mut().sent += count as u64;
                    self.datagrams.consume_output(count);
                }
                Attempt::WouldBlock => self.note_full(),
                Attempt::Failed(failure) => self.note_unsent(failure, pass),
            }
        }
    }

    /// An event announces room.
    fn note_full(&mut self) {
        self.ready = self.ready.without(Readiness::WRITABLE);
        if planted::<D>(Planted::UnsentDatagramsForgotten) {
            let count = self.datagrams.poll_output().len();
            self.datagrams.consume_output(count);
        }
    }

    /// The first reply cannot be sent: not now, or never.
    fn note_unsent(&mut self, failure: Failure, pass: &mut Pass) {
        if failure.class != FailureClass::Exhausted {
            self.datagrams.handle_error(failure.errno);
            pass.datagrams_mut().send_errors += 1;
            self.datagrams.consume_output(1);
        }
        self.note_failure(failure, pass);
    }

    /// No event announces free memory or buffers.
    fn note_failure(&mut self, failure: Failure, pass: &mut Pass) {
        if failure.class != FailureClass::Exhausted {
            return;
        }
        if planted::<D>(Planted::DatagramRetryForgotten) {
            self.ready = Readiness::NONE;
        } else {
            self.retry_at = Some(pass.now().tick.after(pass.spans.retry));
        }
    }
}

/// Whether the simulated kernel below has planted this bug; a constant.
const fn planted<D: DatagramSocket>(bug: Planted) -> bool {
    D::PLANTED as u8 == bug as u8
}

/// Sends some replies from the front, and says how many and their bytes.
fn send_some<D: DatagramSocket>(socket: &mut D, datagrams: &Datagrams) -> io::Result<(usize, u64)> {
    let count = socket.send_batch(datagrams.poll_output())?;
    let bytes = datagrams.poll_output().take(count).map(|datagram| datagram.payload.len() as u64);
    Ok((count, bytes.sum()))
}

impl<D: fmt::Debug> fmt::Debug for Port<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Port")
            .field("socket", &self.socket)
            .field("datagrams", &self.datagrams)
            .finish_non_exhaustive()
    }
}
