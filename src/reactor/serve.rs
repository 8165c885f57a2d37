//! Step four of a turn: each queued entry once, within its budget.

use log::{Level, debug, log_enabled, trace, warn};

use super::slots::key_of;
use super::{Conn, Entry, Reactor, Slot, planted};
use crate::connection::Progress;
use crate::kernel::{Kernel, Planted, Token};
use crate::session::{CloseReason, Remote};

/// What serving one entry came to.
enum Served {
    Peer(Progress),
    Listener,
    Connecting,
}

impl<K: Kernel> Reactor<K> {
    /// Serves a snapshot of the queue: what is queued meanwhile waits for the next turn.
    pub(super) fn serve_ready(&mut self) {
        for _ in 0..self.ready.len() {
            let Some(token) = self.ready.pop_front() else { break };
            self.serve(token);
        }
        self.resume_paused();
    }

    #[inline]
    fn serve(&mut self, token: Token) {
        let Some(entry) = self.slots.get_mut(token) else { return };
        entry.queued = false;
        let due = std::mem::take(&mut entry.due);
        let served = match &mut entry.slot {
            Slot::Peer(connection) if due => {
                Served::Peer(connection.handle_timeout(&mut self.scratch, &mut self.pass))
            }
            Slot::Peer(connection) => Served::Peer(connection.drive(&mut self.scratch, &mut self.pass)),
            Slot::Listener(_) => Served::Listener,
            Slot::Connecting(_) => Served::Connecting,
        };
        match served {
            Served::Peer(progress) => self.after_drive(token, progress, due),
            Served::Listener => self.serve_listener(token),
            Served::Connecting => self.serve_connecting(token, due),
        }
    }

    /// Queues, arms or closes a connection after it was driven (invariant I4).
    #[inline]
    pub(super) fn after_drive(&mut self, token: Token, progress: Progress, fired: bool) {
        let Some(Entry { queued, slot: Slot::Peer(connection), .. }) = self.slots.get_mut(token) else {
            return;
        };
        match progress {
            Progress::Blocked => {
                debug_assert!(!connection.can_go_on(), "blocked, and yet there is something to do");
            }
            Progress::Yielded => {
                if !*queued && !planted::<K>(Planted::RequeueLost) {
                    *queued = true;
                    self.ready.push_back(token);
                }
            }
            Progress::Closed(reason) => return self.close(token, &reason),
        }
        // A plain connection is covered by the entry it has: that one is only ever too early.
        if planted::<K>(Planted::DeadlineForgotten) && fired && connection.session().is_plain() {
            return;
        }
        if fired || !connection.session().is_plain() {
            let at = connection.session().poll_timeout(&self.pass);
            if let Some(at) = at {
                self.deadlines.arm(key_of(token), at);
            }
        }
    }

    pub(super) fn close(&mut self, token: Token, reason: &CloseReason) {
        let Some(Entry { slot: Slot::Peer(mut connection), .. }) = self.remove(token) else { return };
        connection.session_mut().handle_closed(reason, self.pass.now());
        self.count_close(reason);
        if log_enabled!(Level::Debug) {
            log_close::<K>(&connection, token, reason);
        }
        if let CloseReason::Protocol(error) = reason
            && let Some(suppressed) = self.warnings.protocol.permit(self.pass.now().tick)
        {
            warn!(
                "protocol error=\"{error}\" peer={} suppressed={suppressed}",
                connection.stream().address()
            );
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
