//! What users would have had: how long somebody waits who comes at a moment that has nothing to do with how the server is.
//!
//! Users come evenly. Who comes during a stall waits for its end, and then for those before him: the server works the queue
//! off at some multiple of the rate at which they come. Who comes while the queue is worked off waits for the rest of it; all
//! others are served at once, which counts as no time. So one stall is a triangle: the wait falls evenly from its length,
//! for who came at its beginning, to nothing, for who came when the queue was empty again.

use std::ops::Range;

/// The wait of those who came in an interval: it changes evenly.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Piece {
    /// Arrivals, in seconds from the first request.
    from: f64,
    to: f64,
    /// What the first and the last of them waited, in seconds.
    first: f64,
    last: f64,
}

/// The waits of everybody who came within a window of time.
#[derive(Debug, Clone, PartialEq)]
pub struct Truth {
    pieces: Vec<Piece>,
    /// The window's length in seconds.
    span: f64,
    stalled: f64,
}

impl Truth {
    /// `stalls` are intervals in seconds from the first request, in order; `window` is when the users come that count; `speeds`
    /// has for each stall how many times faster than they come the server works a queue off, infinite for a rate far below what it can do.
    #[must_use]
    pub fn new(stalls: &[Range<f64>], window: Range<f64>, speeds: &[f64]) -> Self {
        let span = (window.end - window.start).max(0.0);
        let within = |stall: &Range<f64>| stall.end.min(window.end) - stall.start.max(window.start);
        let stalled = stalls.iter().map(within).fold(0.0, |sum, one| sum + one.max(0.0));
        let pieces = pieces(stalls, speeds).into_iter().filter_map(|piece| piece.clipped(&window)).collect();
        Self { pieces, span, stalled }
    }

    /// The wait in seconds that a share of `quantile` did not exceed, e.g. of 0.99.
    #[must_use]
    pub fn quantile(&self, quantile: f64) -> f64 {
        let beyond = (1.0 - quantile) * self.span;
        let (mut low, mut high) = (0.0, self.max());
        if self.longer_than(0.0) <= beyond {
            return 0.0;
        }
        // Sixty halvings leave nothing that a float could tell apart.
        for _ in 0..60 {
            let middle = f64::midpoint(low, high);
            if self.longer_than(middle) > beyond {
                low = middle;
            } else {
                high = middle;
            }
        }
        high
    }

    /// The longest wait in seconds.
    #[must_use]
    pub fn max(&self) -> f64 {
        self.pieces.iter().map(|piece| piece.first.max(piece.last)).fold(0.0, f64::max)
    }

    /// The average wait in seconds.
    #[must_use]
    pub fn mean(&self) -> f64 {
        let of = |piece: &Piece| (piece.to - piece.from) * f64::midpoint(piece.first, piece.last);
        // A sum of nothing would be -0.
        let sum = self.pieces.iter().map(of).fold(0.0, |sum, one| sum + one);
        if self.span > 0.0 { sum / self.span } else { 0.0 }
    }

    /// The share of the window in which the server stalled.
    #[must_use]
    pub fn stalled(&self) -> f64 {
        if self.span > 0.0 { self.stalled / self.span } else { 0.0 }
    }

    /// For how many seconds users came who waited for longer than `wait`.
    fn longer_than(&self, wait: f64) -> f64 {
        self.pieces.iter().map(|piece| piece.longer_than(wait)).sum()
    }
}

impl Piece {
    fn longer_than(&self, wait: f64) -> f64 {
        let (high, low) = (self.first.max(self.last), self.first.min(self.last));
        let share = match () {
            () if wait >= high => 0.0,
            () if wait < low => 1.0,
            () => (high - wait) / (high - low),
        };
        share * (self.to - self.from)
    }

    fn clipped(self, window: &Range<f64>) -> Option<Self> {
        let (from, to) = (self.from.max(window.start), self.to.min(window.end));
        let at = |moment: f64| {
            let share = (moment - self.from) / (self.to - self.from);
            self.first + share * (self.last - self.first)
        };
        (from < to).then(|| Self { from, to, first: at(from), last: at(to) })
    }
}

/// Follows the queue from stall to stall.
fn pieces(stalls: &[Range<f64>], speeds: &[f64]) -> Vec<Piece> {
    let mut pieces = Vec::new();
    // The first user who is still waiting when a stall begins.
    let mut left_over = None;
    for (number, stall) in stalls.iter().enumerate() {
        let next = stalls.get(number + 1).map_or(f64::INFINITY, |stall| stall.start);
        let speed = speeds.get(number).copied().unwrap_or(f64::INFINITY);
        let from = left_over.unwrap_or(stall.start);
        let empty = queue_is_empty(from, stall.end, speed);
        let first = stall.end - from;
        if empty <= next && empty.is_finite() {
            pieces.push(Piece { from, to: empty, first, last: 0.0 });
            left_over = None;
        } else if next.is_finite() {
            // So many are served until the next stall begins; the others wait for its end too.
            let to = from + speed.max(1.0) * (next - stall.end);
            pieces.push(Piece { from, to, first, last: next - to });
            left_over = Some(to);
        } else {
            // Everybody who comes from now on waits as long as the first.
            pieces.push(Piece { from, to: f64::MAX, first, last: first });
        }
    }
    pieces
}

/// When the server has caught up, if it serves those who came since `from` from `begin` on, `speed` times faster than they come.
fn queue_is_empty(from: f64, begin: f64, speed: f64) -> f64 {
    if speed.is_infinite() {
        begin
    } else if speed > 1.0 {
        (speed * begin - from) / (speed - 1.0)
    } else {
        f64::INFINITY
    }
}

/// How many times faster than requests come the server worked each queue off, from what it counted after each stall.
///
/// `rate` is requests (or bytes) per second as they come. `traces` has for each stall how long it took in seconds, and what had
/// been answered so many seconds after its end, until the next one at the latest. Infinite where nothing was counted.
#[must_use]
pub fn drain_speeds(rate: f64, traces: &[(f64, &[(f64, u64)])]) -> Vec<f64> {
    let mut left_over = 0.0;
    let speed = |(length, trace): &(f64, &[(f64, u64)])| {
        // Who came since the stall began, and who was waiting then.
        let waiting = |after: f64| left_over + rate * (length + after);
        let drained = trace.iter().find(|(after, units)| *units as f64 >= waiting(*after));
        let Some((after, units)) = drained.or(trace.last()) else {
            left_over = 0.0;
            return f64::INFINITY;
        };
        let (after, units) = (*after, *units as f64);
        left_over = (waiting(after) - units).max(0.0);
        if rate > 0.0 && after > 0.0 && units > 0.0 { units / after / rate } else { f64::INFINITY }
    };
    traces.iter().map(speed).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn near(got: f64, wanted: f64) {
        assert!((got - wanted).abs() < 1e-6, "{got} is not {wanted}");
    }

    #[test]
    fn one_stall_without_a_queue() {
        // Half a second of ten, as in docs/load.md.
        let truth = Truth::new(&[2.0..2.5], 0.0..10.0, &[]);
        near(truth.quantile(0.5), 0.0);
        near(truth.quantile(0.95), 0.0);
        near(truth.quantile(0.99), 0.4);
        near(truth.quantile(0.999), 0.49);
        near(truth.max(), 0.5);
        near(truth.mean(), 0.5 * 0.5 / 2.0 / 10.0);
        near(truth.stalled(), 0.05);
    }

    #[test]
    fn stalls_of_different_lengths_are_added_up() {
        let truth = Truth::new(&[1.0..2.0, 3.0..5.0], 0.0..10.0, &[]);
        // More than a second is waited by half of those who came in the longer one: 10 %.
        near(truth.quantile(0.9), 1.0);
        // Beyond half a second: half of the first, three quarters of the second.
        near(truth.quantile(0.8), 0.5);
        near(truth.max(), 2.0);
    }

    #[test]
    fn the_queue_makes_the_triangle_longer_not_higher() {
        // Worked off five times faster than it grows: a second of users takes a quarter of a second.
        let truth = Truth::new(&[1.0..2.0], 0.0..10.0, &[5.0]);
        near(truth.max(), 1.0);
        near(truth.mean(), 1.25 / 2.0 / 10.0);
        near(truth.quantile(1.0 - 0.0625), 0.5);
        near(truth.stalled(), 0.1);
    }

    #[test]
    fn a_queue_that_meets_the_next_stall_goes_on_behind_it() {
        // At double speed the second after the first stall works off half of it, and of what came meanwhile.
        let truth = Truth::new(&[0.0..2.0, 3.0..4.0], 0.0..20.0, &[2.0; 2]);
        // Served: users up to 2 by the moment 3, then again from 4 on, until 6 = (2 * 4 - 2).
        near(truth.max(), 2.0);
        near(truth.mean(), (2.0 * f64::midpoint(2.0, 1.0) + 4.0 * f64::midpoint(2.0, 0.0)) / 20.0);
    }

    #[test]
    fn a_server_that_is_too_slow_never_catches_up() {
        let truth = Truth::new(&[1.0..2.0], 0.0..5.0, &[0.8]);
        near(truth.quantile(0.5), 1.0);
        near(truth.quantile(0.2), 0.0);
    }

    #[test]
    fn only_users_within_the_window_count() {
        let stalls = [0.5..1.0, 4.0..5.0, 9.5..10.5];
        let truth = Truth::new(&stalls, 1.0..10.0, &[]);
        near(truth.stalled(), 1.5 / 9.0);
        near(truth.mean(), (0.5 + 0.75 * 0.5) / 9.0);
        near(Truth::new(&stalls, 5.0..9.0, &[]).max(), 0.0);
        near(Truth::new(&stalls, 5.0..5.0, &[]).quantile(0.99), 0.0);
        near(Truth::new(&[], 0.0..1.0, &[2.0]).mean(), 0.0);
    }

    /// A server that is simulated request by request has the same waits.
    #[test]
    fn the_triangles_are_what_a_queue_of_requests_does() {
        let stalls = [0.4..0.9, 1.0..1.3, 1.32..1.5, 2.5..2.6];
        for speed in [1.5, 4.0, 40.0] {
            let (rate, span) = (100_000.0, 4.0);
            let mut free = 0.0_f64;
            let mut waits: Vec<f64> = (0..400_000)
                .map(|k| {
                    let came = f64::from(k) / rate;
                    let mut begin = came.max(free);
                    if let Some(stall) = stalls.iter().find(|stall| stall.contains(&begin)) {
                        begin = stall.end;
                    }
                    free = begin + 1.0 / rate / speed;
                    begin - came
                })
                .collect();
            waits.sort_by(f64::total_cmp);
            let truth = Truth::new(&stalls, 0.0..span, &[speed; 4]);
            for per_mille in [500, 700, 900, 990, 1000] {
                let simulated = waits[waits.len() * per_mille / 1000 - 1];
                let got = truth.quantile(per_mille as f64 / 1e3);
                assert!((got - simulated).abs() < 1e-3, "speed {speed}, {per_mille}: {got}, not {simulated}");
            }
        }
    }

    #[test]
    fn the_speed_is_taken_where_the_queue_was_empty_again() {
        // 1,000 a second, a stall of 1 s, worked off at 11,000 a second: after 0.1 s.
        let trace: Vec<(f64, u64)> = (0..300)
            .map(|ms| (f64::from(ms) / 1e3, if ms <= 100 { 11 * ms } else { 1000 + ms } as u64))
            .collect();
        for trace in [&trace[..], &trace[..51]] {
            near(drain_speeds(1000.0, &[(1.0, trace)])[0], 11.0);
        }
        assert!(drain_speeds(1000.0, &[(1.0, &[])])[0].is_infinite());
        assert!(drain_speeds(0.0, &[(1.0, &trace)])[0].is_infinite());
        // The next stall comes when half of the queue is left: at the same speed it takes as much longer.
        let more: Vec<(f64, u64)> =
            (0..400_u64).map(|ms| (ms as f64 / 1e3, if ms <= 150 { 11 * ms } else { 1500 + ms })).collect();
        let speeds = drain_speeds(1000.0, &[(1.0, &trace[..51]), (1.0, &more)]);
        near(speeds[0], 11.0);
        near(speeds[1], 11.0);
    }
}
