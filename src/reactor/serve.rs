//! Step four of a turn: each queued entry once, within its budget.

use log::{Level, debug, log_enabled, trace, warn};

use super::slots::key_of;
use super::{Conn, DUE, Entry, Reactor, SERVED, Slot, planted};
use crate::connection::Progress;
use crate::kernel::{Event, Kernel, Planted, Readiness, Token};
use crate::session::{CloseReason, Remote};

impl<K: Kernel> Reactor<K> {
    /// Serves a snapshot of the queue: what is queued meanwhile waits for the next turn.
    #[inline(never)]
    pub(super) fn serve_ready(&mut self) {
        self.turn = self.turn.wrapping_add(1);
        let spare = std::mem::take(&mut self.spare);
        let mut serving = std::mem::replace(&mut self.ready, spare);
        for event in &serving {
            self.serve(*event);
        }
        serving.clear();
        self.spare = serving;
        self.resume_paused();
    }

    #[inline(always)]
    fn serve(&mut self, event: Event) {
        let Some(entry) = self.slots.get_mut(event.token) else { return self.serve_outside(event) };
        if let Slot::Peer(connection) = &mut entry.slot
            && entry.marks == 0
        {
            connection.note(event.ready);
            match connection.drive(&mut self.scratch, &mut self.pass) {
                Progress::Idle => {}
                progress => self.after_drive(event.token, progress, false),
            }
        } else {
            self.serve_rarely(event);
        }
    }

    /// Something that was served in this turn already, was queued or whose deadline has fired, or that is no
    /// connection.
    #[cold]
    #[inline(never)]
    fn serve_rarely(&mut self, Event { token, ready }: Event) {
        let Some(entry) = self.slots.get_mut(token) else { return };
        if entry.marks & SERVED != 0 && entry.served == self.turn {
            return self.note_again(token, ready);
        }
        let due = entry.marks & DUE != 0;
        entry.served = self.turn;
        entry.marks = SERVED;
        match &mut entry.slot {
            Slot::Peer(connection) => {
                connection.note(ready);
                let progress = if due {
                    connection.handle_timeout(&mut self.scratch, &mut self.pass)
                } else {
                    connection.drive(&mut self.scratch, &mut self.pass)
                };
                self.after_drive(token, progress, due);
            }
            Slot::Listener(_) => self.serve_listener(token),
            Slot::Connecting(connecting) => {
                connecting.note(ready);
                self.serve_connecting(token, due);
            }
        }
    }

    /// Served already: what the event says counts for the next turn.
    fn note_again(&mut self, token: Token, ready: Readiness) {
        let Some(entry) = self.slots.get_mut(token) else { return };
        let wanted = match &mut entry.slot {
            Slot::Peer(connection) => {
                connection.note(ready);
                connection.can_go_on()
            }
            Slot::Connecting(connecting) => {
                connecting.note(ready);
                true
            }
            Slot::Listener(_) => true,
        };
        if wanted {
            super::enqueue(entry, token, &mut self.ready);
        }
    }

    /// An event for nobody here: a signal, the waker, or something that is gone already.
    #[cold]
    #[inline(never)]
    fn serve_outside(&mut self, event: Event) {
        if event.token == Token::WAKER || event.token == Token::SIGNALS {
            return self.take_orders();
        }
        let current = self.slots.current(event.token);
        if planted::<K>(Planted::GenerationIgnored) && current != event.token {
            self.serve_rarely(Event { token: current, ..event });
        }
        self.stats.stale_events += 1;
    }

    /// Queues, arms or closes a connection after it was driven (invariant I4). `unarmed` when it has no
    /// deadline entry, because that has just fired or was never made.
    pub(super) fn after_drive(&mut self, token: Token, progress: Progress, unarmed: bool) {
        if progress == Progress::Closed {
            return self.close(token, None);
        }
        let Some(entry) = self.slots.get_mut(token) else { return };
        if progress == Progress::Yielded && !planted::<K>(Planted::RequeueLost) {
            super::enqueue(entry, token, &mut self.ready);
        }
        let Slot::Peer(connection) = &entry.slot else { return };
        debug_assert!(
            progress == Progress::Yielded || !connection.can_go_on(),
            "blocked, and yet there is something to do"
        );
        // Who was plain all the time is covered by the entry there is: that one is only ever too early. Who
        // has become plain may have one for a limit that is longer than the idle limit.
        if progress == Progress::Idle && !unarmed {
            return;
        }
        if planted::<K>(Planted::DeadlineForgotten) && unarmed && connection.session().is_plain() {
            return;
        }
        if let Some(at) = connection.session().poll_timeout(&self.pass) {
            self.deadlines.arm(key_of(token), at);
        }
    }

    /// Ends a connection: for `aborted`, or for the reason its session has.
    pub(super) fn close(&mut self, token: Token, aborted: Option<CloseReason>) {
        let Some(Entry { slot: Slot::Peer(connection), .. }) = self.slots.get_mut(token) else { return };
        let reason = match aborted.or_else(|| connection.session().close_reason(&self.pass)) {
            Some(reason) => &{ reason },
            None => return,
        };
        connection.session_mut().handle_closed(reason, &mut self.pass);
        if log_enabled!(Level::Debug) {
            log_close::<K>(connection, token, reason);
        }
        if let CloseReason::Protocol(error) = reason
            && let Some(suppressed) = self.warnings.protocol.permit(self.pass.now().tick)
        {
            let peer = connection.stream().address();
            warn!("protocol error=\"{error}\" peer={peer} suppressed={suppressed}");
        }
        self.slots.remove(token);
        self.count_close(reason);
    }

    pub(super) fn count_close(&mut self, reason: &CloseReason) {
        self.stats.open -= 1;
        self.stats.closed[reason.kind()] += 1;
    }

    pub(super) fn count_open(&mut self) {
        self.stats.open += 1;
        self.stats.peak = self.stats.peak.max(self.stats.open);
    }

    /// Lets listeners go on that waited for a connection to end.
    fn resume_paused(&mut self) {
        if self.paused.is_empty() || self.is_full() || planted::<K>(Planted::PausedForgotten) {
            return;
        }
        trace!("accepting again listeners={}", self.paused.len());
        for token in std::mem::take(&mut self.paused) {
            if let Some(entry) = self.slots.get_mut(token) {
                super::enqueue(entry, token, &mut self.ready);
            }
        }
    }
}

#[cold]
fn log_close<K: Kernel>(connection: &Conn<K>, token: Token, reason: &CloseReason) {
    debug!("closed slot={} peer={} reason=\"{reason}\"", key_of(token), connection.stream().address());
}
