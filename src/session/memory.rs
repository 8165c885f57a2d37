//! What all connections of one driver keep in buffers of their own, against the most they may.
//!
//! A ladder of eighths of the limit: from the sixth on nothing more is read from who keeps something, from the seventh on
//! nobody is accepted, and beyond the limit the largest is ended. Each measure ends further down than it begins.

/// Bytes kept by all sessions of one driver: what their buffers take up, not only what is in them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Memory {
    held: usize,
    /// The most; `usize::MAX` where there is no limit.
    max: usize,
    pause_at: usize,
    refuse_at: usize,
    is_short: bool,
    refuses: bool,
    /// How often reading from a connection was paused.
    pub(crate) pauses: u64,
}

impl Memory {
    pub(super) fn new(max: Option<usize>) -> Self {
        let max = max.unwrap_or(usize::MAX);
        let (pause_at, refuse_at) = (max - max / 4, max - max / 8);
        Self { held: 0, max, pause_at, refuse_at, is_short: false, refuses: false, pauses: 0 }
    }

    /// A session keeps `now` bytes instead of `before`.
    pub(super) fn change(&mut self, before: usize, now: usize) {
        self.held = self.held.saturating_sub(before) + now;
        self.is_short |= self.held > self.pause_at;
        self.refuses |= self.held > self.refuse_at;
    }

    /// Bytes kept now.
    pub(crate) const fn held(&self) -> usize {
        self.held
    }

    /// Whether nothing more is to be read from who keeps something.
    #[inline]
    pub(crate) const fn is_short(&self) -> bool {
        self.is_short
    }

    /// Whether nobody is to be accepted.
    #[inline]
    pub(crate) const fn refuses(&self) -> bool {
        self.refuses
    }

    /// Whether the limit is exceeded.
    #[inline]
    pub(crate) const fn is_over(&self) -> bool {
        self.held > self.max
    }

    /// Down to what the largest are ended once the limit is exceeded: a sixteenth is spared, so that finding them pays.
    pub(crate) const fn target(&self) -> usize {
        self.max - self.max / 16
    }

    /// Ends the measures for which little enough is kept, and says whether that ended the shortage.
    pub(crate) const fn relax(&mut self) -> bool {
        self.refuses = self.refuses && self.held > self.pause_at;
        self.is_short = self.is_short && self.held > self.enough();
        !self.is_short
    }

    /// What may be kept when a shortage is to be over.
    pub(crate) const fn enough(&self) -> usize {
        self.max - self.max / 8 * 3
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn measures_begin_one_after_the_other_and_end_further_down() {
        let mut memory = Memory::new(Some(800));
        for (held, expected) in [
            (600, (false, false, false)),
            (601, (true, false, false)),
            (501, (true, false, false)),
            (500, (false, false, false)),
            (700, (true, false, false)),
            (701, (true, true, false)),
            (800, (true, true, false)),
            (801, (true, true, true)),
            (601, (true, true, false)),
            (600, (true, false, false)),
            (0, (false, false, false)),
        ] {
            memory.change(memory.held(), held);
            let short = !memory.relax();
            assert_eq!((short, memory.refuses(), memory.is_over()), expected, "{held}");
            assert_eq!(short, memory.is_short());
        }
        assert!(memory.target() < 800);
    }

    #[test]
    fn without_a_limit_nothing_is_too_much() {
        let mut memory = Memory::new(None);
        memory.change(0, usize::MAX / 2);
        assert!(!memory.is_short() && !memory.refuses() && !memory.is_over());
    }
}
