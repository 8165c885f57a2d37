//! Histograms of times in nanoseconds, three significant digits, up to an hour (HdrHistogram).

use hdrhistogram::Histogram;

/// A histogram of nanoseconds.
pub type Nanos = Histogram<u64>;

/// The longest time told apart.
const HOUR: u64 = 3_600_000_000_000;

/// An empty histogram. Buckets nothing was counted in cost no memory.
#[must_use]
pub fn nanos() -> Nanos {
    Histogram::new_with_bounds(1, HOUR, 3).expect("the bounds are constants, and valid")
}
