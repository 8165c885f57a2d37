//! The source of all decisions of a run: drawn from a seed (splitmix64), or every one in turn (an odometer).

use super::odometer::Odometer;

const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// Decisions drawn from a seed, or read off an odometer; the whole run follows from them.
#[derive(Debug, Clone, Default)]
pub(super) struct Rng {
    state: u64,
    odometer: Option<Box<Odometer>>,
}

impl Rng {
    pub(super) const fn new(seed: u64) -> Self {
        Self { state: mix(seed), odometer: None }
    }

    /// Decisions that are counted through. Only those of few ways can be.
    pub(super) const fn counted(odometer: Box<Odometer>) -> Self {
        Self { state: 0, odometer: Some(odometer) }
    }

    /// Whether decisions are counted through: then there should be few ways, and few decisions.
    pub(super) const fn is_counted(&self) -> bool {
        self.odometer.is_some()
    }

    /// What was decided so far is the setting.
    pub(super) fn end_setting(&mut self) {
        if let Some(odometer) = &mut self.odometer {
            odometer.end_setting();
        }
    }

    /// Takes the odometer out again, after a run.
    pub(super) const fn take_odometer(&mut self) -> Option<Box<Odometer>> {
        self.odometer.take()
    }

    /// Any number. It is not counted through: there are too many.
    #[inline]
    pub(super) const fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(GOLDEN);
        mix(self.state)
    }

    /// A number below `n`, 0 when `n` is 0.
    #[inline]
    pub(super) fn below(&mut self, n: usize) -> usize {
        if let Some(odometer) = &mut self.odometer {
            return odometer.choose(n);
        }
        let n = n as u64 & 0xffff_ffff;
        usize::try_from(((self.next() >> 32) * n) >> 32).unwrap_or(0)
    }

    /// A number from `low` to `high`, both included.
    #[inline]
    pub(super) fn between(&mut self, low: usize, high: usize) -> usize {
        low + self.below(high.saturating_sub(low) + 1)
    }

    /// A number of nanoseconds below `n`: where ways are counted, the least and the most.
    #[inline]
    pub(super) fn nanos_below(&mut self, n: u64) -> u64 {
        if let Some(odometer) = &mut self.odometer {
            return if n > 1 && odometer.choose(2) == 1 { n - 1 } else { 0 };
        }
        if n == 0 { 0 } else { self.next() % n }
    }

    /// True once in `n` times.
    #[inline]
    pub(super) fn one_in(&mut self, n: usize) -> bool {
        if let Some(odometer) = &mut self.odometer {
            return odometer.choose(2) == 1;
        }
        self.below(n) == 0
    }

    /// True half of the time.
    #[inline]
    pub(super) fn coin(&mut self) -> bool {
        if let Some(odometer) = &mut self.odometer {
            return odometer.choose(2) == 1;
        }
        self.next() >> 63 == 0
    }

    /// One of these.
    pub(super) fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }
}

#[inline]
pub(super) const fn mix(value: u64) -> u64 {
    let a = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let b = (a ^ (a >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    b ^ (b >> 31)
}
