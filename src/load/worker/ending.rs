//! When a run is over: its time is up, all it was to do is done, or nobody is left who could do it.

use super::{SECOND, Worker};
use crate::load::shared::Phase;

/// After the end, what was due and is not sent is waited for while some of it is sent so often, in nanoseconds.
const STUCK: u64 = 200_000_000;

impl Worker {
    pub(super) fn note_progress(&mut self, now: u64) {
        let (sent, owed) = (self.shared.sent.get(), self.shared.owed());
        if self.cursor.is_some() && sent >= self.due && owed == 0 {
            self.content = now;
        }
        if sent != self.progress.0 {
            self.progress = (sent, now);
        }
    }

    /// Whether all requests that were asked for are made and settled.
    pub(super) fn is_used_up(&self) -> bool {
        let shared = &self.shared;
        let made = match &self.cursor {
            Some(cursor) => cursor.is_over() && shared.sent.get() >= self.due,
            None => shared.left.get() == 0,
        };
        self.orders.plan.requests.is_some() && made && shared.owed() == 0
    }

    /// Whether nobody seems to be left who could answer, where only answers end a run. A schedule of rare requests is no silence.
    pub(super) fn is_given_up(&self, now: u64) -> bool {
        let patience = self.shared.timeout.max(2 * SECOND);
        let since = self.shared.last.get().max(self.shared.start.get()).max(self.content);
        self.orders.plan.requests.is_some() && now.saturating_sub(since) >= patience
    }

    pub(super) fn is_over(&self) -> bool {
        if self.orders.stop.is_stopped() {
            return true;
        }
        if self.shared.phase.get() != Phase::Ending {
            return false;
        }
        let now = self.shared.time.now();
        // Connections are not made any more: who has none will not send what was due.
        let queued = self.cursor.is_some() && self.shared.sent.get() < self.due;
        let may_send = self.shared.in_flight.get() > 0 || now.saturating_sub(self.progress.1) < STUCK;
        let waits = self.shared.owed() > 0 || queued && may_send;
        let limit = self.shared.end.get().saturating_add(self.shared.timeout).saturating_add(SECOND);
        !waits || now >= limit
    }
}
