//! When the slots of an open arrival are: a rate that is constant, or climbs evenly.

use std::time::Duration;

use super::shared::nanos;

/// Requests per second over a run: constant, or climbing (or falling) evenly from one rate to another.
///
/// During the warm-up the rate is the first one. Slot 0 is at the very start.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Profile {
    /// Per second, at the start; above 0.
    pub from: f64,
    /// Per second, at the end; above 0.
    pub to: f64,
}

/// Seconds; longer than any run.
const FOR_EVER: f64 = 1e9;

/// The schedule of one run: a [`Profile`] over a warm-up and a measured time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Schedule {
    profile: Profile,
    /// Seconds.
    warmup: f64,
    measured: f64,
}

impl Profile {
    /// The same rate all the time.
    #[must_use]
    pub const fn constant(rate: f64) -> Self {
        Self { from: rate, to: rate }
    }

    /// Whether it never changes.
    #[must_use]
    pub fn is_constant(&self) -> bool {
        self.from.to_bits() == self.to.to_bits()
    }

    /// The average rate.
    #[must_use]
    pub fn mean(&self) -> f64 {
        f64::midpoint(self.from, self.to)
    }
}

impl Schedule {
    pub(super) fn new(profile: Profile, warmup: Duration, measured: Duration) -> Self {
        Self { profile, warmup: warmup.as_secs_f64(), measured: measured.as_secs_f64() }
    }

    /// Nanoseconds from the start at which slot `k` is due.
    pub(super) fn slot(&self, k: u64) -> u64 {
        let k = k as f64;
        let Profile { from, to } = self.profile;
        let before = from * self.warmup;
        let seconds = if k < before || self.profile.is_constant() || self.measured <= 0.0 {
            k / from
        } else {
            // The slots up to t are from*t + slope*t*t/2: solved for t, in the form that loses no digits.
            let slope = (to - from) / self.measured;
            let left = k - before;
            self.warmup + 2.0 * left / (from + (from * from + 2.0 * slope * left).max(0.0).sqrt())
        };
        nanos(Duration::from_secs_f64(seconds.min(FOR_EVER)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: u64 = 1_000_000_000;

    #[test]
    fn a_constant_rate_spaces_slots_evenly() {
        let schedule =
            Schedule::new(Profile::constant(50_000.0), Duration::from_secs(3), Duration::from_secs(30));
        for (k, at) in [(0, 0), (1, 20_000), (50_000, S), (1_000_000, 20 * S)] {
            assert_eq!(schedule.slot(k), at);
        }
    }

    #[test]
    fn a_climbing_rate_has_as_many_slots_as_its_average() {
        let schedule = Schedule::new(
            Profile { from: 100.0, to: 300.0 },
            Duration::from_secs(2),
            Duration::from_secs(10),
        );
        assert_eq!(schedule.slot(200), 2 * S, "the warm-up has the first rate");
        assert!(schedule.slot(2200).abs_diff(12 * S) < 1000, "2,000 slots in the 10 measured seconds");
        assert!(schedule.slot(2199) < 12 * S);
        // In the first measured second the rate climbs from 100 to 120.
        assert!(schedule.slot(200 + 110).abs_diff(3 * S) < 1000);
    }

    #[test]
    fn a_falling_rate_is_one_too() {
        let schedule =
            Schedule::new(Profile { from: 300.0, to: 100.0 }, Duration::ZERO, Duration::from_secs(10));
        assert!(schedule.slot(2000).abs_diff(10 * S) < 1000);
        let times: Vec<_> = (0..2000).map(|k| schedule.slot(k)).collect();
        assert!(times.is_sorted());
    }
}
