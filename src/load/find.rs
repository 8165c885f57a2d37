//! The search for the highest rate that holds a condition: doubled until it fails, then bisected.

use super::expect::Expectation;
use super::report::{Report, Verdict};

/// How close the highest rate that holds and the lowest that fails come: a twentieth.
const PRECISION: f64 = 1.05;

/// A rate that nothing reaches; the search ends there.
const HIGHEST: f64 = 1e9;

/// What is achieved of an offered rate that holds.
const ACHIEVED: f64 = 0.99;

/// What a run says about its rate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Judgement {
    /// It holds.
    Holds,
    /// It does not.
    Fails {
        /// E.g. `p99<5ms (was 7.10 ms)`.
        why: String,
        /// The generator was the limit, so that the target was not really tried.
        is_generator_bound: bool,
    },
    /// The search is to end here.
    Stop,
}

/// What a search has found.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Found {
    /// The highest rate that held. `None`: not even one request per second did, or the search was stopped before.
    pub holds: Option<f64>,
    /// The lowest rate that failed. `None`: none did.
    pub fails: Option<f64>,
    /// It was stopped before it was done.
    pub is_stopped: bool,
}

/// Asks `judge` about rates, whole numbers per second from `first` on, until the highest that holds is known to 5 %.
pub fn search(first: f64, mut judge: impl FnMut(f64) -> Judgement) -> Found {
    let mut found = Found::default();
    while let Some(rate) = found.next(first) {
        match judge(rate) {
            Judgement::Holds => found.holds = Some(rate),
            Judgement::Fails { .. } => found.fails = Some(rate),
            Judgement::Stop => {
                found.is_stopped = true;
                break;
            }
        }
    }
    found
}

impl Found {
    /// The rate to ask about; `None` when enough is known.
    fn next(&self, first: f64) -> Option<f64> {
        match (self.holds, self.fails) {
            (None, None) => Some(first),
            (Some(low), None) => (low < HIGHEST).then(|| (2.0 * low).min(HIGHEST)),
            (None, Some(high)) => (high > 1.0).then(|| (high / 2.0).floor().max(1.0)),
            (Some(low), Some(high)) => {
                let middle = f64::midpoint(low, high).floor();
                (high / low > PRECISION && middle > low).then_some(middle)
            }
        }
    }
}

/// Whether a run at `rate` holds `goal`: it must be valid, have achieved the rate, and fail no condition of `fail_if`.
#[must_use]
pub fn judge(rate: f64, goal: &Expectation, fail_if: &[Expectation], report: &Report) -> Judgement {
    let fails = |why| Judgement::Fails { why, is_generator_bound: false };
    match &report.verdict {
        Verdict::Interrupted => return Judgement::Stop,
        Verdict::GeneratorBound { why, .. } => {
            return Judgement::Fails { why: format!("not valid: {why}"), is_generator_bound: true };
        }
        Verdict::Valid => {}
    }
    let share = report.achieved_rate() / rate;
    if share < ACHIEVED {
        return fails(format!("only {:.1} % of it was achieved", 100.0 * share));
    }
    let found = goal.check(report);
    if found.holds != Some(true) {
        return fails(format!("{goal} ({found})"));
    }
    for condition in fail_if {
        let found = condition.check(report);
        if found.holds != Some(false) {
            return fails(format!("{condition} ({found})"));
        }
    }
    Judgement::Holds
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    /// A target that holds every rate up to `limit`.
    fn find(first: f64, limit: f64) -> (Found, Vec<f64>) {
        let mut asked = Vec::new();
        let found = search(first, |rate| {
            asked.push(rate);
            if rate <= limit {
                Judgement::Holds
            } else {
                Judgement::Fails { why: String::new(), is_generator_bound: false }
            }
        });
        (found, asked)
    }

    #[test]
    fn it_doubles_until_it_fails_and_then_bisects() {
        let (found, asked) = find(1000.0, 6200.0);
        assert_eq!(asked, [1000.0, 2000.0, 4000.0, 8000.0, 6000.0, 7000.0, 6500.0, 6250.0]);
        assert_eq!((found.holds, found.fails, found.is_stopped), (Some(6000.0), Some(6250.0), false));
    }

    #[test]
    fn it_is_right_to_five_percent_wherever_it_starts() {
        for first in [1.0, 7.0, 1000.0, 1e6] {
            for limit in [1.0, 2.0, 3.0, 19.0, 999.0, 12_345.0, 7.7e6] {
                let (found, asked) = find(first, limit);
                let (holds, fails) = (found.holds.unwrap(), found.fails.unwrap());
                assert!(holds <= limit && fails > limit, "{first} {limit}: {found:?}");
                assert!(fails / holds <= PRECISION || fails - holds <= 1.0, "{first} {limit}: {found:?}");
                assert!(asked.len() < 40, "{first} {limit}: {asked:?}");
            }
        }
    }

    #[test]
    fn where_nothing_holds_or_nothing_fails_it_ends_all_the_same() {
        let (found, asked) = find(1000.0, 0.0);
        assert_eq!((found.holds, found.fails, asked.len()), (None, Some(1.0), 10));
        let (found, asked) = find(1000.0, f64::MAX);
        assert_eq!((found.holds, found.fails, asked.len()), (Some(HIGHEST), None, 21));
    }

    #[test]
    fn what_is_known_when_it_is_stopped_is_kept() {
        let found = search(10.0, |rate| if rate < 40.0 { Judgement::Holds } else { Judgement::Stop });
        assert_eq!(found, Found { holds: Some(20.0), fails: None, is_stopped: true });
    }

    #[test]
    fn a_rate_holds_when_all_of_it_was_achieved_and_every_condition_kept() {
        let report = sample::open();
        let judged = |rate: f64, goal: &str, fail_if: &str| match judge(
            rate,
            &goal.parse().unwrap(),
            &[fail_if.parse().unwrap()],
            &report,
        ) {
            Judgement::Holds => String::new(),
            Judgement::Fails { why, .. } => why,
            Judgement::Stop => panic!("nobody stopped it"),
        };
        assert_eq!(judged(50_000.0, "p99<5ms", "errors>12"), "");
        assert_eq!(judged(60_000.0, "p99<5ms", "errors>12"), "only 83.3 % of it was achieved");
        assert_eq!(judged(50_000.0, "p99<2ms", "errors>12"), "p99<2ms (was 2.10 ms)");
        assert_eq!(judged(50_000.0, "p99<5ms", "errors>0"), "errors>0 (was 12)");
        assert_eq!(judged(50_000.0, "loss<1", "errors>12"), "loss<1 (nothing was measured)");
    }

    #[test]
    fn a_run_that_is_not_valid_fails_and_an_interrupted_one_stops() {
        let goal = "p99<5ms".parse().unwrap();
        let bound = judge(50_000.0, &goal, &[], &sample::generator_bound());
        let why = "not valid: the loop was 99 % busy".to_owned();
        assert_eq!(bound, Judgement::Fails { why, is_generator_bound: true });
        assert_eq!(judge(50_000.0, &goal, &[], &sample::empty()), Judgement::Stop);
    }
}
