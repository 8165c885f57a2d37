//! What a client does by its plan: connect, speak, hear, and end in its own way.

use super::conn::{Conn, Saw, Side};
use super::plan::{Answer, Dial, Ending, NEVER, Service};
use super::rng::Rng;

const ECONNRESET: i32 = 104;
const ECONNREFUSED: i32 = 111;

impl Conn {
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
        let unsaid = self.script.says.len() - self.sent;
        let rest = self.script.turns.grant(unsaid, self.sent, self.received);
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
        let piece = if self.plan.whole { rest } else { 1 + rng.below(self.plan.piece) };
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
        if self.sent < self.script.says.len() || !self.script.turns.may_end(self.received) {
            return false;
        }
        match self.plan.ending {
            Ending::Wrong if !self.cuts => false,
            Ending::HalfClose | Ending::Wrong => {
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
        if self.script.turns.are_kept() {
            self.send_at = self.send_at.min(now + rng.nanos_below(self.plan.send_gap + 1));
        }
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
}
