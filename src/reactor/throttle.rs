//! Warnings that repeat are folded: one a second, with the number left out.

use crate::session::Tick;

const PERIOD_MS: u32 = 1000;

/// Lets one message through per second.
#[derive(Debug, Default)]
pub(crate) struct Throttle {
    last: Option<Tick>,
    suppressed: u64,
}

impl Throttle {
    /// Whether to speak now; if so, how many messages were suppressed since the last one.
    pub(crate) fn permit(&mut self, now: Tick) -> Option<u64> {
        if self.last.is_some_and(|last| now.since(last) < PERIOD_MS) {
            self.suppressed += 1;
            return None;
        }
        self.last = Some(now);
        Some(std::mem::take(&mut self.suppressed))
    }
}
