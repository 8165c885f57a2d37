//! One connection: a client with a plan, the two queues between, and the server's socket.
//!
//! The queues hold offsets, not bytes: what the client sends is its script, and what the server writes is
//! compared with what the script must be answered, byte by byte, when it is written.

use super::payload::Script;
use super::plan::{Answer, Dial, Ending, NEVER, Plan, Service};
use super::rng::Rng;
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
    blocked: bool,
    /// The client's end of stream, and its reset.
    pub(super) fin: bool,
    pub(super) reset: bool,
    vanished: bool,
    pub(super) done: bool,
    pub(super) saw: Saw,
    pub(super) token: Option<Token>,
    pub(super) pending: bool,
    nospace: bool,
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
    pub(super) end: Option<(CloseReason, u64)>,
}

const ECONNRESET: i32 = 104;
const ECONNREFUSED: i32 = 111;

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
    const fn has_space(&self) -> bool {
        (self.plan.out_room - (self.written - self.received)) * 3 >= self.plan.out_room
    }

    pub(super) const fn space(&self) -> usize {
        self.plan.out_room - (self.written - self.received)
    }

    /// The client does what is due. Returns whether the server's socket gets an edge.
    pub(super) fn act(&mut self, now: u64, rng: &mut Rng) -> bool {
        let mut edge = false;
        if self.read_at <= now {
            edge |= self.hear(now, rng);
        }
        if self.send_at <= now {
            edge |= self.speak(now, rng);
        }
        edge
    }

    /// An outgoing connection is decided.
    pub(super) fn answer(&mut self, now: u64) -> bool {
        self.send_at = NEVER;
        match self.plan.dial {
            Dial::Out(Answer::Made) => {
                self.side = Side::Open;
                self.moved_at = now;
                self.send_at = now;
                true
            }
            Dial::Out(Answer::Refused) => {
                self.errno = ECONNREFUSED;
                self.finish(Saw::Refused);
                true
            }
            _ => false,
        }
    }

    fn speak(&mut self, now: u64, rng: &mut Rng) -> bool {
        self.send_at = NEVER;
        if self.reset {
            return false;
        }
        if self.vanished {
            return self.written > self.received && self.reset_now();
        }
        if self.fin || self.done {
            return false;
        }
        if let Ending::Reset { after, hearing: false } = self.plan.ending
            && self.sent >= after
        {
            return self.reset_now();
        }
        let rest = self.script.says.len() - self.sent;
        if rest == 0 {
            return self.said_all(now);
        }
        if self.side == Side::Closed {
            // The server's kernel answers with a reset, which destroys what was not read yet.
            self.finish(Saw::Rst);
            return false;
        }
        let room = self.plan.in_room.saturating_sub(self.sent - self.read);
        if room == 0 {
            self.blocked = true;
            return false;
        }
        let piece = 1 + rng.below(self.plan.piece);
        self.sent += piece.min(room).min(rest);
        self.sent_at = now;
        let resets = matches!(self.plan.ending, Ending::Reset { hearing: false, .. });
        let more = resets || self.sent < self.script.says.len();
        if more || !self.plan.fin_with_data {
            self.send_at = now + rng.nanos_below(self.plan.send_gap + 1);
        } else {
            self.said_all(now);
        }
        true
    }

    /// Everything is said: what now is a matter of the plan.
    fn said_all(&mut self, now: u64) -> bool {
        match self.plan.ending {
            Ending::HalfClose => {
                self.fin = true;
                true
            }
            Ending::Polite if self.has_heard_all() => {
                self.fin = true;
                true
            }
            Ending::Vanish => {
                self.fin = true;
                self.vanished = true;
                self.read_at = NEVER;
                self.done = true;
                if self.written > self.received {
                    self.send_at = now;
                }
                true
            }
            _ => false,
        }
    }

    fn has_heard_all(&self) -> bool {
        let said = self.plan.service != Service::GreetRaw || self.read == self.script.says.len();
        said && self.sent == self.script.says.len() && self.received == self.script.hears.len()
    }

    fn hear(&mut self, now: u64, rng: &mut Rng) -> bool {
        self.read_at = NEVER;
        if self.done || self.plan.ending == Ending::Deaf {
            return false;
        }
        let waiting = self.written - self.received;
        self.received += (1 + rng.below(self.plan.read_chunk)).min(waiting);
        if let Ending::Reset { after, hearing: true } = self.plan.ending
            && self.received >= after.min(self.script.hears.len() / 2)
        {
            return self.reset_now();
        }
        if self.received < self.written {
            self.read_at = now + 1 + rng.nanos_below(self.plan.read_gap + 1);
        } else if self.has_fin() {
            // The client has no more to hear, and says goodbye.
            let edge = !self.fin && self.side == Side::Open;
            self.fin = true;
            self.finish(Saw::Fin);
            return edge;
        } else if self.plan.ending == Ending::Polite && self.has_heard_all() {
            self.send_at = now + rng.nanos_below(self.plan.send_gap + 1);
        }
        let space = self.nospace && self.has_space();
        self.nospace &= !space;
        space
    }

    const fn has_fin(&self) -> bool {
        self.shut_at.is_some() || matches!(self.side, Side::Closed)
    }

    fn reset_now(&mut self) -> bool {
        self.reset = true;
        self.errno = ECONNRESET;
        self.finish(Saw::Nothing);
        true
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

    /// How much is kept in user memory for this connection, where it can be told from outside.
    pub(super) fn buffered(&self) -> Option<usize> {
        let echo = matches!(self.plan.service, Service::EchoRaw | Service::EchoLen32);
        // What was discarded after the end was never kept.
        (echo && self.shut_at.is_none()).then(|| self.read - self.written)
    }
}
