//! Stopping: first a drain, in which what was received or queued is answered; then, if need be, at once.

use std::time::Duration;

use log::{info, warn};

use super::{Entry, Outcome, Reactor, Slot, planted};
use crate::job::TERM_GRACE;
use crate::kernel::{Kernel, Planted, Token};
use crate::session::{CloseReason, Tick};

/// How long after the last connection children may take to end: they are told to, and killed after 2 s.
const AFTER_TERM: Duration = TERM_GRACE.saturating_add(Duration::from_millis(500));

/// Where the loop is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Running,
    /// No new conversations; those that are open end when they are quiet, at the latest at `until`.
    Draining {
        until: Tick,
    },
    /// Nothing goes on but children that were told to end; at `until` they are killed.
    Ending {
        until: Tick,
        cut_off: usize,
    },
    /// Nothing goes on.
    Stopped {
        cut_off: usize,
        signal: Option<i32>,
    },
}

impl State {
    pub(super) const fn is_draining(self) -> bool {
        matches!(self, Self::Draining { .. })
    }

    pub(super) const fn deadline(self) -> Option<Tick> {
        match self {
            Self::Draining { until } | Self::Ending { until, .. } => Some(until),
            _ => None,
        }
    }

    /// A drain is over when nothing is left: no connection and no listener with a queue.
    pub(super) const fn is_over(self, open: u64, slots: usize) -> bool {
        match self {
            Self::Running => false,
            Self::Draining { .. } => open == 0 && slots == 0,
            Self::Ending { .. } => slots == 0,
            Self::Stopped { .. } => true,
        }
    }
}

impl<K: Kernel> Reactor<K> {
    /// Begins a drain: listeners accept what is queued and close (those that are shared close at once), connections end once they are quiet.
    pub fn stop(&mut self) {
        // The owner of the loop may have been busy since the last turn: the limit counts from now.
        self.read_clock();
        self.drain();
    }

    fn drain(&mut self) {
        if self.state != State::Running {
            return;
        }
        let until = self.pass.now().tick.after(self.config.drain.into());
        self.state = State::Draining { until };
        info!("draining open={} limit_ms={}", self.stats.open, self.config.drain.as_millis());
        self.paused.clear();
        for token in self.slots.tokens() {
            self.shielded(token, |reactor| reactor.stop_slot(token));
        }
    }

    /// Ends at once: every connection is cut off, and every child killed.
    pub fn stop_now(&mut self, signal: Option<i32>) {
        let cut_off = self.abort_all();
        self.kill_jobs();
        self.state = State::Stopped { cut_off, signal };
    }

    pub(super) fn take_orders(&mut self) {
        let signals = self.kernel.take_signals();
        for _ in 0..signals.reports {
            self.report();
        }
        let again = signals.stops > 0 && self.state != State::Running;
        if signals.at_once || signals.stops > 1 || again {
            let signal = (signals.stops > 0).then_some(signals.last);
            warn!("stopping at once open={}", self.stats.open);
            self.stop_now(signal);
        } else if signals.stops > 0 || signals.drain {
            self.drain();
        }
    }

    /// The drain's time is up.
    pub(super) fn cut_off(&mut self) {
        if let State::Ending { cut_off, .. } = self.state {
            self.kill_jobs();
            self.state = State::Stopped { cut_off, signal: None };
            return;
        }
        let cut_off = self.abort_all();
        let unanswered = self.pass.datagrams().given_up;
        if cut_off > 0 || unanswered > 0 {
            warn!("drain limit reached cut_off={cut_off} unanswered_datagrams={unanswered}");
        }
        self.state = if self.jobs() == 0 {
            State::Stopped { cut_off, signal: None }
        } else {
            State::Ending { until: self.pass.now().tick.after(AFTER_TERM.into()), cut_off }
        };
    }

    pub(super) fn finish(&mut self) -> Outcome {
        let outcome = match self.state {
            State::Ending { cut_off, .. } => Outcome { cut_off, signal: None },
            State::Stopped { cut_off, signal } => Outcome { cut_off, signal },
            _ => Outcome::default(),
        };
        info!("stopped {}", self.stats());
        outcome
    }

    fn stop_slot(&mut self, token: Token) {
        let Some(entry) = self.slots.get_mut(token) else { return };
        match &entry.slot {
            Slot::Listener(listening) if listening.is_shared && !planted::<K>(Planted::SharedQueueTaken) => {
                self.remove(token);
            }
            Slot::Listener(_) => self.requeue(token),
            Slot::Connecting(_) => self.not_connected(token, CloseReason::Stopped),
            Slot::Peer(_) => self.stop_peer(token),
            Slot::Port(_) => self.stop_port(token),
            // It runs for somebody, whose conversation it keeps from being quiet; or it is being ended.
            Slot::Job(_) => {}
        }
    }

    /// Tells one connection that the server is draining.
    pub(super) fn stop_peer(&mut self, token: Token) {
        let Some(Entry { slot: Slot::Peer(connection), .. }) = self.slots.get_mut(token) else { return };
        let progress = connection.handle_stop(self.scratch.bytes(), &mut self.pass);
        self.after_drive(token, progress, true);
    }

    fn abort_all(&mut self) -> usize {
        let mut cut_off = 0;
        for token in self.slots.tokens() {
            match self.slots.get_mut(token).map(|entry| &entry.slot) {
                Some(Slot::Peer(_)) => {
                    self.shielded(token, |reactor| reactor.close(token, Some(CloseReason::Stopped)));
                    cut_off += 1;
                }
                Some(Slot::Connecting(_)) => {
                    self.shielded(token, |reactor| reactor.not_connected(token, CloseReason::Stopped));
                    cut_off += 1;
                }
                Some(Slot::Listener(_)) => {
                    self.remove(token);
                }
                Some(Slot::Port(_)) => self.abort_port(token),
                Some(Slot::Job(_)) | None => {}
            }
        }
        if self.jobs() == 0 {
            self.events.clear();
            self.waiting.clear();
        }
        cut_off
    }
}
