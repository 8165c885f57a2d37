//! Edges and how they are reported: late, twice, in any order, for nothing and for the dead.

use super::world::{Source, World};
use crate::kernel::{Event, Readiness, Token};

impl World {
    /// Something has become possible: to be reported by the next poll.
    pub(super) fn edge(&mut self, source: Source) {
        let (token, pending) = match source {
            Source::Conn(id) => (self.conns[id].token, &mut self.conns[id].pending),
            Source::Listener(at) => (self.listeners[at].token, &mut self.listeners[at].pending),
            Source::Socket(at) => (self.mail.sockets[at].token, &mut self.mail.sockets[at].pending),
            Source::Child(at) => (self.children[at].token, &mut self.children[at].pending),
        };
        if token.is_some() && !*pending {
            *pending = true;
            self.ready.push(source);
        }
    }

    /// Takes edges off the list and reports the state as it is now.
    pub(super) fn harvest(&mut self, may_be_empty: bool, events: &mut Vec<Event>) {
        if self.stops > 0 {
            events.push(Event { token: Token::SIGNALS, ready: Readiness::READABLE });
        }
        let mut kept = 0;
        for at in 0..self.ready.len() {
            let source = self.ready[at];
            let last = at + 1 == self.ready.len() && events.is_empty() && !may_be_empty;
            if self.faults.split && !last && self.rng.one_in(3) {
                self.ready[kept] = source;
                kept += 1;
            } else {
                events.extend(self.report(source));
            }
        }
        self.ready.truncate(kept);
    }

    fn report(&mut self, source: Source) -> Option<Event> {
        let (token, ready) = match source {
            Source::Conn(id) => {
                let conn = &mut self.conns[id];
                conn.pending = false;
                let ready = conn.level();
                conn.note_event(ready);
                (conn.token?, ready)
            }
            Source::Listener(at) => {
                let listener = &mut self.listeners[at];
                listener.pending = false;
                let waiting = !listener.queue.is_empty();
                (listener.token?, if waiting { Readiness::READABLE } else { Readiness::NONE })
            }
            Source::Socket(at) => {
                let socket = &mut self.mail.sockets[at];
                socket.pending = false;
                let ready = socket.level();
                socket.note_event(ready, self.now);
                (socket.token?, ready)
            }
            Source::Child(at) => {
                let child = &mut self.children[at];
                child.pending = false;
                let ready = child.level();
                (child.token?, ready)
            }
        };
        (ready != Readiness::NONE).then_some(Event { token, ready })
    }

    /// Adds what a reactor must live with: events twice, without cause, for the dead, in any order.
    pub(super) fn disturb(&mut self, events: &mut Vec<Event>) {
        if self.faults.duplicate && !events.is_empty() && self.rng.one_in(4) {
            let again = events[self.rng.below(events.len())];
            self.note_event_again(again);
            events.push(again);
        }
        if self.faults.spurious && self.rng.one_in(4) {
            let id = self.rng.below(self.clients);
            let conn = &mut self.conns[id];
            if let Some(token) = conn.token {
                let lie = if self.rng.coin() { Readiness::READABLE } else { Readiness::WRITABLE };
                let ready = conn.level().and(lie);
                conn.note_event(ready);
                events.push(Event { token, ready });
            }
        }
        if self.faults.spurious && self.mail.count > 0 && self.rng.one_in(4) {
            let socket = &mut self.mail.sockets[self.rng.below(self.mail.count)];
            if let Some(token) = socket.token {
                let lie = if self.rng.coin() { Readiness::READABLE } else { Readiness::WRITABLE };
                let ready = socket.level().and(lie);
                socket.note_event(ready, self.now);
                events.push(Event { token, ready });
            }
        }
        if self.faults.ghosts && !self.closed.is_empty() && self.rng.one_in(4) {
            let token = self.closed[self.rng.below(self.closed.len())];
            let ready = Readiness::READABLE.and(Readiness::WRITABLE).and(Readiness::READ_CLOSED);
            self.counted.ghosts += 1;
            events.push(Event { token, ready });
        }
        if self.faults.shuffle {
            for at in (1..events.len()).rev() {
                events.swap(at, self.rng.below(at + 1));
            }
        }
    }

    fn note_event_again(&mut self, event: Event) {
        for child in &mut self.children {
            if child.token == Some(event.token) {
                child.note_event_again();
            }
        }
        for conn in &mut self.conns[..self.clients] {
            if conn.token == Some(event.token) {
                conn.note_event(event.ready);
            }
        }
        for socket in &mut self.mail.sockets[..self.mail.count] {
            if socket.token == Some(event.token) {
                socket.note_event(event.ready, self.now);
            }
        }
    }
}
