//! Step four of a turn: events, then those who wait, each within its budget.

use log::{Level, debug, log_enabled, trace, warn};

use super::panics::Unserved;
use super::slots::key_of;
use super::{Conn, DUE, Entry, QUEUED, Reactor, Slot, planted};
use crate::connection::Progress;
use crate::kernel::{Event, Kernel, Planted, Readiness, Token};
use crate::session::{CloseReason, Remote};

/// Bytes, both directions and all connections together, after which a turn ends although some still wait.
const TURN_BYTES: u64 = 512 * 1024;

impl<K: Kernel> Reactor<K> {
    /// Serves events first, then those who wait, in order, until the turn has moved its share of bytes; at
    /// least one of them, so that nobody waits for ever. Bulk thus never stands between a request and its answer
    /// for longer than one turn's share.
    #[inline(never)]
    pub(super) fn serve_ready(&mut self) {
        let spare = std::mem::take(&mut self.spare);
        let mut events = std::mem::replace(&mut self.events, spare);
        self.serve_shielded(&events);
        events.clear();
        self.spare = events;
    }

    /// The step itself. `left` becomes how many events are not done, if a panic in one of them ends it.
    pub(super) fn serve_noted(&mut self, events: &[Event], left: &mut usize) {
        let end = self.pass.traffic().bytes() + TURN_BYTES;
        let mut unserved = Unserved::new(events, left);
        while let [event, others @ ..] = unserved.events {
            self.serve(*event);
            unserved.events = others;
        }
        std::mem::forget(unserved);
        self.serve_waiting(end);
        if self.pass.memory.is_short() {
            self.watch_shortage();
        }
        self.resume_paused();
    }

    fn serve_waiting(&mut self, end: u64) {
        for _ in 0..self.waiting.len() {
            let Some(token) = self.waiting.pop_front() else { break };
            self.shielded(token, |reactor| reactor.serve_now(token, Readiness::NONE));
            if self.pass.traffic().bytes() >= end {
                break;
            }
        }
    }

    #[inline(always)]
    fn serve(&mut self, event: Event) {
        let Some(entry) = self.slots.get_mut(event.token) else { return self.serve_outside(event) };
        if let Slot::Peer(connection) = &mut entry.slot
            && entry.marks == 0
        {
            connection.note(event.ready);
            match connection.drive(self.scratch.bytes(), &mut self.pass) {
                Progress::Idle => {}
                progress => self.after_drive(event.token, progress, false),
            }
        } else {
            self.serve_rarely(event);
        }
    }

    /// Something that waits for its turn already, whose deadline has fired, or that is no connection.
    #[cold]
    #[inline(never)]
    fn serve_rarely(&mut self, Event { token, ready }: Event) {
        let Some(entry) = self.slots.get_mut(token) else { return };
        if entry.marks & QUEUED == 0 {
            return self.serve_now(token, ready);
        }
        match &mut entry.slot {
            Slot::Peer(connection) => connection.note(ready),
            Slot::Connecting(connecting) => connecting.note(ready),
            Slot::Port(port) => port.note(ready),
            Slot::Job(Some(running)) => running.note(),
            Slot::Job(None) | Slot::Listener(_) => {}
        }
    }

    fn serve_now(&mut self, token: Token, ready: Readiness) {
        let Some(entry) = self.slots.get_mut(token) else { return };
        let due = std::mem::take(&mut entry.marks) & DUE != 0;
        match &mut entry.slot {
            Slot::Peer(connection) => {
                connection.note(ready);
                let progress = if due {
                    connection.handle_timeout(self.scratch.bytes(), &mut self.pass)
                } else {
                    connection.drive(self.scratch.bytes(), &mut self.pass)
                };
                self.after_drive(token, progress, due);
            }
            Slot::Listener(_) => self.serve_listener(token),
            Slot::Port(_) => self.serve_port(token, ready, due),
            Slot::Job(_) => self.serve_job(token, ready, due),
            Slot::Connecting(connecting) => {
                connecting.note(ready);
                self.serve_connecting(token, due);
            }
        }
    }

    /// An event for nobody here: a signal, the waker, or something that is gone already.
    #[cold]
    #[inline(never)]
    fn serve_outside(&mut self, event: Event) {
        if event.token == Token::WAKER || event.token == Token::SIGNALS {
            return self.take_orders();
        } else if event.token == Token::ALARM {
            return;
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
        self.arrange(token, progress, unarmed);
        if progress != Progress::Idle {
            self.tend_child(token);
        }
        if self.pass.memory.is_over() {
            self.keep_limit();
        }
    }

    #[inline]
    fn arrange(&mut self, token: Token, progress: Progress, unarmed: bool) {
        let Some(entry) = self.slots.get_mut(token) else { return };
        if progress == Progress::Yielded && !planted::<K>(Planted::RequeueLost) {
            super::enqueue(entry, token, &mut self.waiting);
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
        if !planted::<K>(Planted::MemoryEndForgotten) {
            connection.session_mut().forget(&mut self.pass);
        }
        connection.session_mut().handle_closed(reason, &mut self.pass);
        let has_child = connection.session().has_child();
        let child = if has_child { connection.session_mut().take_child() } else { None };
        if log_enabled!(Level::Debug) {
            log_close::<K>(connection, token, reason);
        }
        if let CloseReason::Protocol(error) = reason
            && let Some(suppressed) = self.warnings.protocol.permit(self.pass.now().tick)
        {
            let peer = connection.stream().address();
            warn!("protocol error=\"{error}\" peer={peer} suppressed={suppressed}");
        }
        self.remove(token);
        self.count_close(reason);
        if let Some(child) = child {
            self.abandon_job(child);
        }
        if let Some(addresses) = &mut self.addresses
            && !planted::<K>(Planted::AddressEndForgotten)
        {
            addresses.leave(key_of(token).into());
        }
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
        if self.paused.is_empty() || self.is_full() || self.pass.memory.refuses() {
            return;
        }
        if planted::<K>(Planted::PausedForgotten) {
            return;
        }
        trace!("accepting again listeners={}", self.paused.len());
        for token in std::mem::take(&mut self.paused) {
            if let Some(entry) = self.slots.get_mut(token) {
                super::enqueue(entry, token, &mut self.waiting);
            }
        }
    }
}

#[cold]
fn log_close<K: Kernel>(connection: &Conn<K>, token: Token, reason: &CloseReason) {
    debug!("closed slot={} peer={} reason=\"{reason}\"", key_of(token), connection.stream().address());
}
