//! Conditions on a report, as people write them: `p99>5ms`, `errors.timeout>0`, `loss>=0.1%`.

mod parse;

pub use self::parse::ParseExpectationError;

use std::fmt;

use super::report::{ErrorKind, Report};
use crate::histogram::Nanos;

/// One condition on a [`Report`]. Whether it should hold or not, its user decides.
///
/// | text | means |
/// |---|---|
/// | `p50` `p99` `p99.9` `p999` `min` `mean` `max` | corrected latency; `us`, `ms` or `s`; `p999` is `p99.9` |
/// | `service.p99`, `connect.p99` | the same of the latency from the actual send, and of connecting |
/// | `rate` | answered requests per second |
/// | `errors`, `errors.timeout` | errors of every kind, or of [one](ErrorKind::name) |
/// | `loss` | datagrams without an answer: how many, or with `%` how many of those sent |
/// | `mismatches`, `unanswered` | as in the report |
///
/// Compared by `>`, `>=`, `<` or `<=` with a number and its unit; counts take `k` and `m`.
///
/// ```
/// use oneloop::load::Expectation;
///
/// let slow: Expectation = "p99 > 5ms".parse()?;
/// assert_eq!(slow.to_string(), "p99 > 5ms");
/// let error = "p99>5".parse::<Expectation>().unwrap_err();
/// assert_eq!(error.to_string(), "at 6: expected a unit, us, ms or s, as in p99>5ms\n  p99>5\n       ^");
/// # Ok::<(), oneloop::load::ParseExpectationError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Expectation {
    text: String,
    metric: Metric,
    comparison: Comparison,
    /// Nanoseconds, percent, or a count, as the metric is.
    limit: f64,
}

/// What a condition is about.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Metric {
    /// A time, in nanoseconds.
    Time(Times, Point),
    /// Answered requests per second.
    Rate,
    /// Errors of one kind, or of all.
    Errors(Option<ErrorKind>),
    /// Datagrams without an answer.
    Lost,
    /// The same in percent of those sent.
    LostShare,
    /// Wrong bytes.
    Mismatches,
    /// Requests without an answer.
    Unanswered,
}

/// Which times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Times {
    /// From the scheduled moment to the answer.
    Corrected,
    /// From the actual send to the answer.
    Service,
    /// Of connecting.
    Connect,
}

/// Which of many times.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Point {
    /// The smallest.
    Min,
    /// The average.
    Mean,
    /// The largest.
    Max,
    /// Of so many in a hundred the largest: 99.9.
    Percentile(f64),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Above,
    AtLeast,
    Below,
    AtMost,
}

/// What a condition was on one report. Its display is `was 7.10 ms`, or `nothing was measured`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Finding {
    /// Whether it held; `None` when nothing was measured that could tell.
    pub holds: Option<bool>,
    value: Option<f64>,
    metric: Metric,
}

impl Expectation {
    /// What it is about.
    #[must_use]
    pub const fn metric(&self) -> Metric {
        self.metric
    }

    /// Looks whether it holds.
    #[must_use]
    pub fn check(&self, report: &Report) -> Finding {
        let value = self.metric.of(report);
        let holds = value.map(|value| match self.comparison {
            Comparison::Above => value > self.limit,
            Comparison::AtLeast => value >= self.limit,
            Comparison::Below => value < self.limit,
            Comparison::AtMost => value <= self.limit,
        });
        Finding { holds, value, metric: self.metric }
    }
}

impl fmt::Display for Expectation {
    /// As it was written, without blanks around it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Metric {
    fn of(self, report: &Report) -> Option<f64> {
        match self {
            Self::Time(Times::Corrected, point) => point.of(&report.corrected),
            Self::Time(Times::Service, point) => point.of(&report.service),
            Self::Time(Times::Connect, point) => point.of(&report.connect),
            Self::Rate => (report.seconds > 0.0).then(|| report.achieved_rate()),
            Self::Errors(None) => Some(report.errors.total() as f64),
            Self::Errors(Some(kind)) => Some(report.errors.of(kind) as f64),
            Self::Lost => report.udp.map(|udp| udp.lost as f64),
            Self::LostShare => {
                report.udp.filter(|udp| udp.sent > 0).map(|udp| 100.0 * udp.lost as f64 / udp.sent as f64)
            }
            Self::Mismatches => Some(report.mismatches as f64),
            Self::Unanswered => Some(report.unanswered as f64),
        }
    }
}

impl Point {
    fn of(self, times: &Nanos) -> Option<f64> {
        if times.is_empty() {
            return None;
        }
        Some(match self {
            Self::Min => times.min() as f64,
            Self::Mean => times.mean(),
            Self::Max => times.max() as f64,
            // 99.9 / 100 is not 0.999 but a little more, and so may name the next value: the quotient is rounded.
            Self::Percentile(percent) => times.value_at_quantile((percent * 1e6).round() / 1e8) as f64,
        })
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(value) = self.value else { return f.write_str("nothing was measured") };
        match self.metric {
            Metric::Time(..) => {
                let (scaled, unit) = match value {
                    value if value < 1e6 => (value / 1e3, "us"),
                    value if value < 1e9 => (value / 1e6, "ms"),
                    value => (value / 1e9, "s"),
                };
                write!(f, "was {} {unit}", short(scaled))
            }
            Metric::Rate => write!(f, "was {value:.0}/s"),
            Metric::LostShare => write!(f, "was {} %", short(value)),
            Metric::Errors(_) | Metric::Lost | Metric::Mismatches | Metric::Unanswered => {
                write!(f, "was {value:.0}")
            }
        }
    }
}

/// Three digits that say something, where there are not more before the point.
fn short(value: f64) -> String {
    let decimals = match value {
        0.0 => 0,
        value if value < 1.0 => 3,
        value if value < 9.995 => 2,
        value if value < 99.95 => 1,
        _ => 0,
    };
    format!("{value:.decimals$}")
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    fn finding(text: &str, report: &Report) -> (Option<bool>, String) {
        let found = text.parse::<Expectation>().unwrap().check(report);
        (found.holds, found.to_string())
    }

    #[test]
    fn conditions_are_about_what_they_name() {
        let report = sample::open();
        for (text, holds, was) in [
            ("p50<310us", false, "was 310 us"),
            ("p50<=311us", true, "was 310 us"),
            ("p99>2ms", true, "was 2.10 ms"),
            ("p99.9>9ms", true, "was 9.44 ms"),
            ("p999>9ms", true, "was 9.44 ms"),
            ("service.p99>2ms", false, "was 1.20 ms"),
            ("max>0.5s", false, "was 38.0 ms"),
            ("min<1us", false, "was 310 us"),
            ("connect.p99>=4ms", true, "was 4.10 ms"),
            ("mean>1ms", false, "was 699 us"),
            ("rate<50k", true, "was 49998/s"),
            ("errors>0", true, "was 12"),
            ("errors.timeout>9", true, "was 10"),
            ("errors.refused>0", false, "was 0"),
            ("mismatches>0", false, "was 0"),
            ("unanswered>=1k", false, "was 10"),
        ] {
            assert_eq!(finding(text, &report), (Some(holds), was.to_owned()), "{text}");
        }
    }

    #[test]
    fn loss_is_a_count_or_a_share() {
        let report = sample::udp();
        assert_eq!(finding("loss>100", &report), (Some(false), "was 100".to_owned()));
        assert_eq!(finding("loss>0.1%", &report), (Some(true), "was 0.200 %".to_owned()));
        assert_eq!(finding("loss>0", &sample::open()).0, None, "a stream loses nothing");
    }

    #[test]
    fn of_what_was_not_measured_nothing_holds_and_nothing_fails() {
        let report = sample::empty();
        for text in ["p99>5ms", "p99<5ms", "connect.max<1s", "rate>1"] {
            assert_eq!(finding(text, &report), (None, "nothing was measured".to_owned()), "{text}");
        }
        assert_eq!(finding("errors>0", &report).0, Some(false));
    }
}
