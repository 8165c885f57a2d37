//! When a session must be looked at again, and what is done then.
//!
//! The driver keeps one entry per connection and corrects it lazily: activity does not move it. When it
//! fires too early, nothing is due here and the driver asks again.

use super::clock::Tick;
use super::close_reason::CloseReason;
use super::context::Remote;
use super::pass::Pass;
use super::protocol::Protocol;
use super::{
    CONGESTED, EOF, EXHAUSTED, HELD_BACK, MORE_INPUT, NOT_READY, Phase, STOPPING, Session, WANT_WRITABLE,
};

impl<P: Protocol> Session<P> {
    /// The next moment something is due, `None` when every limit that applies is switched off.
    #[must_use]
    pub fn poll_timeout(&self, pass: &Pass) -> Option<Tick> {
        if self.is_plain() {
            return Some(self.active.after(pass.spans.idle?));
        }
        let retry = self.retry_deadline();
        match self.phase {
            Phase::Open => {
                let first = Tick::earliest(self.wake_deadline(pass), self.frame_deadline(pass));
                let second = Tick::earliest(self.write_deadline(pass), self.idle_deadline(pass));
                let both = Tick::earliest(first, second);
                Tick::earliest(Tick::earliest(both, self.quiet_deadline(pass)), retry)
            }
            Phase::Flushing => Tick::earliest(self.write_deadline(pass), retry),
            Phase::Lingering => Tick::earliest(self.rare.as_ref().map(|rare| rare.linger_until), retry),
            Phase::Closed => None,
        }
    }

    /// I/O may go on when the retry deadline has come. To be called before the I/O that comes before the
    /// other deadlines.
    pub fn handle_retry(&mut self, pass: &Pass) {
        if self.retry_deadline().is_some_and(|at| at.is_due(pass.now().tick)) {
            self.flags &= !EXHAUSTED;
        }
    }

    pub(super) fn on_timeout(&mut self, remote: &dyn Remote, pass: &mut Pass) {
        let now = pass.now().tick;
        let is_due = |deadline: Option<Tick>| deadline.is_some_and(|at| at.is_due(now));
        self.handle_retry(pass);
        match self.phase {
            Phase::Open => self.on_open_timeout(remote, pass),
            Phase::Flushing if is_due(self.write_deadline(pass)) => self.end(CloseReason::WriteTimeout, pass),
            Phase::Lingering if is_due(self.rare.as_ref().map(|rare| rare.linger_until)) => {
                self.enter(Phase::Closed);
            }
            _ => {}
        }
    }

    fn on_open_timeout(&mut self, remote: &dyn Remote, pass: &mut Pass) {
        let now = pass.now().tick;
        let is_due = |deadline: Option<Tick>| deadline.is_some_and(|at| at.is_due(now));
        if is_due(self.write_deadline(pass)) {
            self.end(CloseReason::WriteTimeout, pass);
        } else if is_due(self.frame_deadline(pass)) {
            self.call(remote, pass, Protocol::on_overdue);
            self.finish(CloseReason::FrameTimeout);
        } else if is_due(self.idle_deadline(pass)) {
            self.end(CloseReason::Idle, pass);
        } else if is_due(self.quiet_deadline(pass)) {
            self.finish(CloseReason::Drained);
        } else if is_due(self.wake_deadline(pass)) {
            self.wake(remote, pass);
        }
    }

    /// The driver's owner has something for the protocol to do, now: see [`on_wake`](Protocol::on_wake).
    pub fn handle_wake(&mut self, remote: &dyn Remote, pass: &mut Pass) {
        if self.phase == Phase::Open {
            self.active = pass.now().tick;
            self.call(remote, pass, Protocol::on_wake);
        }
    }

    fn wake(&mut self, remote: &dyn Remote, pass: &mut Pass) {
        if let Some(rare) = &mut self.rare {
            rare.wake = None;
        }
        self.active = pass.now().tick;
        self.call(remote, pass, Protocol::on_wake);
        self.delay_overdue_wake(pass);
    }

    /// A protocol that asks to be woken in the past is woken in the next millisecond: it must not stop time.
    fn delay_overdue_wake(&mut self, pass: &Pass) {
        let next = pass.now().instant + std::time::Duration::from_millis(1);
        if let Some(wake) = self.rare.as_mut().and_then(|rare| rare.wake.as_mut()) {
            *wake = (*wake).max(next);
        }
    }

    fn wake_deadline(&self, pass: &Pass) -> Option<Tick> {
        let wake = self.rare.as_ref()?.wake?;
        Some(pass.now().tick_at(wake))
    }

    fn frame_deadline(&self, pass: &Pass) -> Option<Tick> {
        let waiting = self.flags & (CONGESTED | NOT_READY | MORE_INPUT | EOF) == 0;
        let since = self.rare.as_ref()?.frame_since.filter(|_| waiting)?;
        Some(since.after(pass.spans.frame?))
    }

    fn write_deadline(&self, pass: &Pass) -> Option<Tick> {
        let rare = self.rare.as_ref().filter(|rare| !rare.outbox.is_empty())?;
        Some(rare.stalled_since.after(pass.spans.write?))
    }

    /// Idle means that nothing is owed by us: a pending timer, a child or unsent output has a limit of its own.
    fn idle_deadline(&self, pass: &Pass) -> Option<Tick> {
        let busy = self
            .rare
            .as_ref()
            .is_some_and(|rare| rare.wake.is_some() || rare.child.is_some() || !rare.outbox.is_empty());
        if busy { None } else { Some(self.active.after(pass.spans.idle?)) }
    }

    /// A drained connection ends when it is quiet and nothing is begun: no timer, no part of a frame, no
    /// output, none to be asked for, no I/O to be repeated.
    fn quiet_deadline(&self, pass: &Pass) -> Option<Tick> {
        let begun = self.rare.as_ref().is_some_and(|rare| rare.is_needed());
        let busy = begun || self.flags & (NOT_READY | WANT_WRITABLE | EXHAUSTED | HELD_BACK) != 0;
        (self.is_stopping() && !busy).then(|| self.active.after(pass.spans.quiet))
    }

    /// Whether the server is draining and this conversation has not ended yet.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.flags & STOPPING != 0 && self.phase == Phase::Open
    }

    fn retry_deadline(&self) -> Option<Tick> {
        let rare = self.rare.as_ref().filter(|_| self.flags & EXHAUSTED != 0)?;
        Some(rare.retry_at)
    }
}
