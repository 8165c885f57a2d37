//! The ceiling of memory: what is done while the connections keep more in their buffers than they should.
//!
//! The session counts, and is not read while memory is short; here listeners rest, the largest are ended, and
//! everybody goes on once enough is free again. Nothing of it is on the way of a connection that keeps nothing.

use std::time::Duration;

use log::{info, warn};

use super::{Entry, Reactor, Slot, planted};
use crate::kernel::{Kernel, Planted, Token};
use crate::session::{CloseReason, Tick};

/// A shortage that has not become less for so long does not end by itself: the largest are ended until it is over.
const STUCK: Duration = Duration::from_secs(1);

/// A shortage under way.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shortage {
    /// The least kept since it began.
    least: usize,
    /// When the largest are ended if it has not become less.
    until: Tick,
}

impl<K: Kernel> Reactor<K> {
    /// Whether nobody is read who keeps something; for a simulation.
    pub(crate) const fn is_memory_short(&self) -> bool {
        self.pass.memory.is_short()
    }

    /// When a shortage must have become less.
    pub(super) fn shortage_deadline(&self) -> Option<Tick> {
        self.shortage.map(|shortage| shortage.until)
    }

    /// More is kept than may be: ends the largest, and further ones until a little is to spare.
    #[cold]
    #[inline(never)]
    pub(super) fn keep_limit(&mut self) {
        if !planted::<K>(Planted::MemoryLimitIgnored) {
            self.end_largest(self.pass.memory.target());
        }
    }

    /// The end of a turn in which memory was short: that may be over, or last for too long.
    #[cold]
    #[inline(never)]
    pub(super) fn watch_shortage(&mut self) {
        if self.pass.memory.is_over() {
            self.keep_limit();
        }
        let now = self.pass.now().tick;
        let stuck = self
            .shortage
            .is_some_and(|shortage| shortage.until.is_due(now) && self.pass.memory.held() >= shortage.least);
        if stuck {
            self.end_largest(self.pass.memory.enough());
        }
        if self.pass.memory.relax() {
            self.shortage = None;
            return self.read_on();
        }
        let held = self.pass.memory.held();
        if self.shortage.is_none() {
            self.stats.memory_shortages += 1;
            self.warn_short("connections that keep some are not read");
        }
        if self.shortage.is_none_or(|shortage| held < shortage.least) {
            self.shortage = Some(Shortage { least: held, until: now.after(STUCK.into()) });
        }
    }

    /// A listener is about to rest.
    pub(super) fn note_memory_rest(&mut self) {
        self.stats.memory_rests += 1;
        self.warn_short("nobody is accepted");
    }

    fn warn_short(&mut self, effect: &str) {
        if let Some(suppressed) = self.warnings.memory.permit(self.pass.now().tick) {
            let (held, open) = (self.pass.memory.held(), self.stats.open);
            let max = self.config.limits.memory.unwrap_or(usize::MAX);
            warn!(
                "memory is short held={held} max={max} open={open} effect=\"{effect}\" suppressed={suppressed}"
            );
        }
    }

    /// Ends the largest, one after the other, until no more than `target` is kept.
    fn end_largest(&mut self, target: usize) {
        for (size, token) in self.largest_first() {
            let held = self.pass.memory.held();
            if held <= target {
                break;
            }
            if let Some(suppressed) = self.warnings.memory_ends.permit(self.pass.now().tick) {
                warn!(
                    "ending the connection that keeps most size={size} held={held} suppressed={suppressed}"
                );
            }
            self.shielded(token, |reactor| reactor.close(token, Some(CloseReason::OverMemory)));
        }
    }

    fn largest_first(&self) -> Vec<(usize, Token)> {
        let size_of = |entry: &Entry<K>| match &entry.slot {
            Slot::Peer(connection) => connection.session().held(),
            _ => 0,
        };
        let sized = self.slots.iter().map(|(token, entry)| (size_of(entry), token));
        let mut found: Vec<(usize, Token)> = sized.filter(|(size, _)| *size > 0).collect();
        found.sort_unstable_by(|a, b| b.cmp(a));
        found
    }

    /// Everybody is read again. Who was not may have something to do that no event announces (invariant I4).
    fn read_on(&mut self) {
        info!("memory is not short any more held={}", self.pass.memory.held());
        let waiting = &mut self.waiting;
        for (token, entry) in self.slots.iter_mut() {
            let Slot::Peer(connection) = &mut entry.slot else { continue };
            if connection.session_mut().read_on() && !planted::<K>(Planted::MemoryResumeForgotten) {
                super::enqueue(entry, token, waiting);
            }
        }
    }
}
