//! Time as sessions see it: passed in by the driver, never read.
//!
//! The public face is [`Instant`] and [`Duration`]; what is stored per connection is a [`Tick`], a `u32` of
//! milliseconds on the driver's clock, four bytes instead of sixteen.

use std::time::{Duration, Instant, SystemTime};

/// The longest span a tick can express with room to compare: about 12 days.
const MAX_SPAN_MS: u32 = u32::MAX / 4;
const NANOS_PER_MS: u32 = 1_000_000;

/// A moment in milliseconds since the driver's origin, wrapping after 49 days.
///
/// Two ticks can be compared while they are less than 24 days apart; every span is kept below half of that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tick(u32);

impl Tick {
    /// The moment so many milliseconds after the driver's origin.
    pub(crate) const fn at_millis(millis: u32) -> Self {
        Self(millis)
    }

    /// Whether this moment is `now` or before it.
    #[inline]
    #[must_use]
    pub const fn is_due(self, now: Self) -> bool {
        now.0.wrapping_sub(self.0) <= u32::MAX / 2
    }

    /// Whether this moment is before `other`.
    #[inline]
    #[must_use]
    pub const fn is_before(self, other: Self) -> bool {
        self.0 != other.0 && self.is_due(other)
    }

    /// The moment one span later.
    #[inline]
    #[must_use]
    pub const fn after(self, span: Span) -> Self {
        Self(self.0.wrapping_add(span.0))
    }

    /// Milliseconds from `earlier` to this moment.
    #[inline]
    #[must_use]
    pub const fn since(self, earlier: Self) -> u32 {
        self.0.wrapping_sub(earlier.0)
    }

    /// The earlier of two optional moments.
    #[must_use]
    pub const fn earliest(a: Option<Self>, b: Option<Self>) -> Option<Self> {
        match (a, b) {
            (Some(a), Some(b)) => Some(if a.is_before(b) { a } else { b }),
            (Some(one), None) | (None, Some(one)) => Some(one),
            (None, None) => None,
        }
    }
}

/// A length of time in whole milliseconds, rounded up, at most about 12 days.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Span(u32);

impl From<Duration> for Span {
    fn from(duration: Duration) -> Self {
        let ms = duration.as_nanos().div_ceil(u128::from(NANOS_PER_MS));
        Self(u32::try_from(ms).unwrap_or(MAX_SPAN_MS).min(MAX_SPAN_MS))
    }
}

/// The driver's clock: turns what the kernel's clock says into [`Now`].
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    origin: Instant,
}

impl Clock {
    /// A clock whose tick 0 is `origin`.
    #[must_use]
    pub const fn new(origin: Instant) -> Self {
        Self { origin }
    }

    /// The moment `instant`, with the wall clock's `wall` for those who print times.
    #[inline]
    #[must_use]
    pub fn at(&self, instant: Instant, wall: SystemTime) -> Now {
        let since = instant.saturating_duration_since(self.origin);
        let whole = since.as_secs().wrapping_mul(1000).wrapping_add(u64::from(since.subsec_millis()));
        // Wrapping is what a tick does: the mask makes the conversion lossless.
        let tick = u32::try_from(whole & u64::from(u32::MAX)).expect("masked to 32 bits");
        Now { instant, wall, tick: Tick(tick), nanos: since.subsec_nanos() % NANOS_PER_MS }
    }
}

/// One reading of the clock, shared by everything a driver does in one turn.
#[derive(Debug, Clone, Copy)]
pub struct Now {
    /// Monotonic time.
    pub instant: Instant,
    /// Wall-clock time, cached by the driver: up to a second old.
    pub wall: SystemTime,
    /// The same moment as a tick, rounded down.
    pub tick: Tick,
    /// What rounding down took away.
    nanos: u32,
}

impl Now {
    /// The first tick that is not before `instant`, at most about 12 days ahead; the current one, which is due,
    /// when `instant` is not after now.
    #[must_use]
    pub fn tick_at(&self, instant: Instant) -> Tick {
        let ahead = instant.saturating_duration_since(self.instant);
        if ahead.is_zero() {
            return self.tick;
        }
        self.tick.after(Span::from(ahead.saturating_add(Duration::from_nanos(u64::from(self.nanos)))))
    }

    /// The same reading as it will be at `instant`, but for the wall clock.
    pub(crate) fn later(&self, instant: Instant) -> Self {
        let tick = self.tick_at(instant);
        // The tick is the first that is not before the instant, so nothing was taken away by rounding down.
        Self { instant: instant.max(self.instant), tick, nanos: 0, ..*self }
    }

    /// How long from now until `tick`; zero when it has passed.
    #[must_use]
    pub fn until(&self, tick: Tick) -> Duration {
        if tick.is_due(self.tick) {
            return Duration::ZERO;
        }
        let whole = Duration::from_millis(u64::from(tick.since(self.tick)));
        whole.saturating_sub(Duration::from_nanos(u64::from(self.nanos)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now_after(nanos: u64) -> (Clock, Now) {
        let origin = Instant::now();
        let clock = Clock::new(origin);
        (clock, clock.at(origin + Duration::from_nanos(nanos), SystemTime::UNIX_EPOCH))
    }

    #[test]
    fn a_deadline_is_never_early() {
        for (now_ns, wait_ns) in
            [(0, 1), (999_999, 1), (999_999, 2), (1_500_000, 500_000), (1_500_000, 1_000_000)]
        {
            let (clock, now) = now_after(now_ns);
            let wanted = now.instant + Duration::from_nanos(wait_ns);
            let tick = now.tick_at(wanted);
            let fires = now.instant + now.until(tick);
            assert!(fires >= wanted, "{now_ns} + {wait_ns}");
            assert!(fires - wanted < Duration::from_millis(1), "{now_ns} + {wait_ns}");
            assert!(tick.is_due(clock.at(fires, SystemTime::UNIX_EPOCH).tick));
        }
    }

    #[test]
    fn a_moment_that_has_come_is_due_wherever_in_a_millisecond_now_is() {
        for now_ns in [0, 1, 300_500_000, 300_999_999] {
            let (_, now) = now_after(now_ns);
            assert!(now.tick_at(now.instant).is_due(now.tick), "{now_ns}");
            assert!(now.tick_at(now.instant - Duration::from_nanos(1)).is_due(now.tick), "{now_ns}");
        }
    }

    #[test]
    fn ticks_compare_across_the_wrap() {
        let late = Tick(u32::MAX - 5);
        let wrapped = late.after(Span::from(Duration::from_millis(10)));
        assert_eq!(wrapped, Tick(4));
        assert!(late.is_before(wrapped) && !wrapped.is_before(late));
        assert!(late.is_due(wrapped) && !wrapped.is_due(late));
        assert_eq!(wrapped.since(late), 10);
    }

    #[test]
    fn long_spans_are_cut_to_what_can_be_compared() {
        let span = Span::from(Duration::from_secs(u64::MAX));
        assert!(Tick(0).is_before(Tick(0).after(span)));
    }

    #[test]
    fn spans_round_up() {
        assert_eq!(Span::from(Duration::from_micros(1)), Span(1));
        assert_eq!(Span::from(Duration::ZERO), Span(0));
    }
}
