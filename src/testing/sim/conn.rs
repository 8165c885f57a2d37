//! One connection: a client with a plan, the two queues between, and the server's socket.
//!
//! The queues hold offsets, not bytes: what the client sends is its script, and what the server writes is
//! compared with what the script must be answered, byte by byte, when it is written.

use super::payload::Script;
use super::plan::{Ending, NEVER, Plan, Service};
use crate::kernel::{Readiness, Token};
use crate::session::CloseReason;

/// Where the server's end of a connection is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Side {
    /// Not begun.
    #[default]
    Planned,
    /// In a listener's queue.
    Queued,
    /// Being made by the reactor.
    Connecting,
    /// The reactor has it.
    Open,
    /// The reactor has closed it, or it never came to be.
    Closed,
}

/// What the client has seen of the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Saw {
    #[default]
    Nothing,
    /// The end of the stream, after everything that was written.
    Fin,
    /// A reset.
    Rst,
    /// Nobody listens, or nobody dials any more.
    Refused,
}

/// What excuses a connection that was not served.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Excuses {
    /// epoll_ctl(2) failed for it.
    pub(super) unregistered: bool,
    /// Closed with the reserve descriptor.
    pub(super) shed: bool,
    /// Accepted and closed unheard.
    pub(super) turned_away: bool,
    /// No descriptor for dialling.
    pub(super) undialled: bool,
}

/// Both ends of one connection.
#[derive(Debug, Default)]
pub(super) struct Conn {
    pub(super) id: usize,
    pub(super) plan: Plan,
    pub(super) script: Script,
    pub(super) side: Side,
    /// Invariant: `read <= sent` and `received <= written`; what lies between is in the queues.
    pub(super) sent: usize,
    pub(super) read: usize,
    pub(super) written: usize,
    pub(super) received: usize,
    /// When the client acts next, in each direction.
    pub(super) send_at: u64,
    pub(super) read_at: u64,
    pub(super) blocked: bool,
    /// The client's end of stream, and its reset.
    pub(super) fin: bool,
    pub(super) reset: bool,
    pub(super) vanished: bool,
    /// Its plan is to end the stream in the middle of a frame.
    pub(super) cuts: bool,
    pub(super) done: bool,
    pub(super) saw: Saw,
    pub(super) token: Option<Token>,
    pub(super) pending: bool,
    pub(super) nospace: bool,
    /// How many events have said so that no refusal has taken back (invariant I5).
    pub(super) may_read: u32,
    pub(super) may_write: u32,
    pub(super) shut_at: Option<u64>,
    pub(super) errno: i32,
    pub(super) read_since_shut: usize,
    pub(super) sent_at_stop: usize,
    pub(super) moved_at: u64,
    pub(super) wrote_at: u64,
    pub(super) sent_at: u64,
    pub(super) excuses: Excuses,
    /// What was kept for it when the reactor last polled.
    pub(super) kept_at_poll: usize,
    pub(super) end: Option<(CloseReason, u64)>,
}

impl Conn {
    /// Begins anew, with the memory of the last run.
    pub(super) fn begin(&mut self, id: usize, plan: Plan) {
        let mut script = std::mem::take(&mut self.script);
        script.clear();
        let send_at = plan.starts_at;
        *self = Self { id, plan, script, send_at, read_at: NEVER, may_write: 1, ..Self::default() };
    }

    /// When the client, or the network for it, acts next.
    #[inline]
    pub(super) fn next_act(&self) -> u64 {
        self.send_at.min(self.read_at)
    }

    /// What epoll would report now (tcp_poll in the Linux source).
    pub(super) fn level(&self) -> Readiness {
        if self.side == Side::Connecting && self.errno == 0 {
            return Readiness::NONE;
        }
        let over = self.reset || self.errno != 0;
        let mut level = Readiness::NONE;
        if self.sent > self.read {
            level = level.and(Readiness::READABLE);
        }
        if self.fin || over {
            level = level.and(Readiness::READABLE).and(Readiness::READ_CLOSED);
        }
        if over || self.shut_at.is_some() || self.has_space() {
            level = level.and(Readiness::WRITABLE);
        }
        level
    }

    /// An event with this readiness was reported.
    pub(super) fn note_event(&mut self, ready: Readiness) {
        self.may_read += u32::from(ready.has(Readiness::READABLE));
        self.may_write += u32::from(ready.has(Readiness::WRITABLE));
    }

    /// All events so far were noted; several say no more than one.
    pub(super) fn settle_events(&mut self) {
        self.may_read = self.may_read.min(1);
        self.may_write = self.may_write.min(1);
    }

    /// A third of the buffer is free, as Linux has it (sk_stream_is_writeable).
    pub(super) const fn has_space(&self) -> bool {
        (self.plan.out_room - (self.written - self.received)) * 3 >= self.plan.out_room
    }

    pub(super) const fn space(&self) -> usize {
        self.plan.out_room - (self.written - self.received)
    }

    /// The client acts no more.
    pub(super) fn finish(&mut self, saw: Saw) {
        self.done = true;
        self.saw = saw;
        self.send_at = NEVER;
        self.read_at = NEVER;
    }

    /// The server took bytes from the queue: a client that had no room goes on.
    pub(super) fn note_read(&mut self, count: usize, now: u64) {
        if self.shut_at.is_some() {
            self.read_since_shut += count;
        } else if self.plan.service == Service::GreetRaw {
            self.greet(count);
        }
        self.read += count;
        self.moved_at = now;
        if std::mem::take(&mut self.blocked) {
            self.send_at = now;
        }
    }

    /// A raw greeting answers exactly what one read returned.
    fn greet(&mut self, count: usize) {
        let Script { says, hears, .. } = &mut self.script;
        hears.extend_from_slice(b"Hello, ");
        hears.extend_from_slice(&says[self.read..self.read + count]);
        hears.extend_from_slice(b"!");
    }

    /// The server wrote `count` bytes, as they must be.
    pub(super) fn note_write(&mut self, count: usize, now: u64) {
        self.written += count;
        self.moved_at = now;
        self.wrote_at = now;
        if self.vanished {
            self.send_at = now;
        }
        self.wake_reader(now);
    }

    /// The server was refused: space becomes an edge.
    pub(super) const fn note_refused(&mut self) {
        self.nospace = true;
    }

    /// The reactor will not connect to this client.
    pub(super) fn leave_undialled(&mut self) {
        self.excuses.undialled = true;
        self.side = Side::Closed;
        self.finish(Saw::Refused);
    }

    /// Whether these are the next bytes the client must hear.
    pub(super) fn expects(&self, bytes: &[u8]) -> bool {
        self.script.hears.get(self.written..self.written + bytes.len()) == Some(bytes)
    }

    pub(super) fn wake_reader(&mut self, now: u64) {
        if !self.done {
            self.read_at = self.read_at.min(now.max(self.plan.reads_from));
        }
    }

    /// The server closed its socket: unread input makes that a reset (RFC 1122 section 4.2.2.13).
    pub(super) fn close(&mut self, now: u64) {
        self.side = Side::Closed;
        self.token = None;
        if self.done {
            return;
        }
        if self.sent > self.read {
            self.finish(Saw::Rst);
        } else if self.plan.ending == Ending::Deaf {
            self.finish(Saw::Fin);
        } else {
            self.wake_reader(now);
            if self.blocked {
                self.send_at = now;
            }
        }
    }

    /// Something can be read or written, the server knows, and it does not do so: no event will come again.
    pub(super) fn is_forgotten(&self) -> bool {
        let echo = matches!(self.plan.service, Service::EchoRaw | Service::EchoLines | Service::EchoLen32);
        if !echo || self.side != Side::Open || self.token.is_none() || self.pending || self.reset {
            return false;
        }
        let owed = match self.plan.service {
            Service::EchoRaw => self.read - self.read_since_shut,
            _ => self.script.answered_by(self.read - self.read_since_shut),
        };
        let unread = self.sent > self.read && self.written >= owed;
        let unsent = self.written < owed && self.space() > 0 && !self.nospace;
        self.shut_at.is_none() && (unread || unsent)
    }

    /// How much is kept in user memory for this connection, where it can be told from outside.
    pub(super) fn buffered(&self) -> Option<usize> {
        let echo = matches!(self.plan.service, Service::EchoRaw | Service::EchoLen32);
        // What was discarded after the end was never kept.
        (echo && self.shut_at.is_none()).then(|| self.read - self.written)
    }
}
