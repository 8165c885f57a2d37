//! Bytes out: what the kernel refuses is kept, congestion is noted, and the end of our side is decided.

use super::pass::Pass;
use super::protocol::Protocol;
use super::{CONGESTED, EOF, EXHAUSTED, Phase, RARE, Session, WANT_WRITABLE};

impl<P: Protocol> Session<P> {
    /// Output of this pass that the kernel did not take, copied to the session.
    pub fn handle_unsent(&mut self, direct: &[u8], replies: &[u8], pass: &mut Pass) {
        let now = pass.now().tick;
        let rare = self.rare_mut();
        if rare.outbox.is_empty() {
            rare.stalled_since = now;
        }
        rare.outbox.push(direct);
        rare.outbox.push(replies);
        if rare.outbox.len() >= pass.limits().high_water && self.flags & CONGESTED == 0 {
            self.flags |= CONGESTED;
            pass.traffic_mut().congested += 1;
        }
    }

    /// Unsent bytes kept from earlier passes, to be written before anything newer.
    #[must_use]
    pub fn poll_output(&self) -> &[u8] {
        self.rare.as_ref().map_or(&[], |rare| rare.outbox.as_slice())
    }

    /// The kernel took `count` bytes of [`poll_output`](Self::poll_output).
    pub fn consume_output(&mut self, count: usize, pass: &Pass) {
        let Some(rare) = &mut self.rare else { return };
        let now = pass.now().tick;
        rare.outbox.take_front(count);
        rare.stalled_since = now;
        self.active = now;
        if self.flags & CONGESTED != 0 && rare.outbox.len() <= pass.limits().low_water {
            self.flags = self.flags & !CONGESTED | WANT_WRITABLE;
            self.restart_frame_clock(now);
        }
    }

    /// Everything is said and sent. Returns `true` when the sending side is to be shut down now (shutdown(2),
    /// `SHUT_WR`) and the close lingers; `false` when the peer has ended already, so that closing is enough.
    #[must_use]
    pub fn handle_flushed(&mut self, pass: &Pass) -> bool {
        debug_assert!(self.wants_shutdown(), "shut down before everything was sent");
        if self.flags & EOF != 0 {
            self.enter(Phase::Closed);
            return false;
        }
        let until = pass.now().tick.after(pass.spans.linger);
        self.enter(Phase::Lingering);
        self.rare_mut().linger_until = until;
        true
    }

    /// Gives back what this session does not need at rest.
    pub fn release(&mut self) {
        let needed = self.phase != Phase::Open || self.flags & EXHAUSTED != 0;
        if !needed && self.rare.as_ref().is_some_and(|rare| !rare.is_needed()) {
            self.rare = None;
            self.flags &= !RARE;
        }
    }

    /// `count` bytes arrived while lingering and were thrown away.
    pub fn handle_discarded(&mut self, count: usize, pass: &Pass) {
        let limit = pass.limits().linger_bytes;
        let rare = self.rare_mut();
        rare.lingered += count;
        if rare.lingered >= limit {
            self.enter(Phase::Closed);
        }
    }
}
