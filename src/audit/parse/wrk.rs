//! wrk (`--latency`), and wrk2, which has a rate and prints where it counts from.

use super::super::figures::{Figure, Figures};
use super::units::micros;
use super::{Reading, after};

/// wrk2 forgets what it measured in its first ten seconds (`CALIBRATE_DELAY_MS` in its source).
const CALIBRATION: f64 = 10.0;

/// wrk2 says which of its two distributions is which.
const RECORDED: &str = "Latency Distribution (HdrHistogram - Recorded Latency)";

pub(super) fn read(lines: &[&str]) -> Option<Reading> {
    // A line of its own: "  Thread Stats   Avg      Stdev     Max   +/- Stdev".
    let header = lines.iter().position(|line| line.trim_start().starts_with("Thread Stats"))?;
    let lines = &lines[header..];
    let mut figures = Figures::default();
    let summary = after(lines, "Latency ")?;
    figures.set(Figure::Mean, summary.first().and_then(|word| micros(word)));
    figures.set(Figure::Max, summary.get(2).and_then(|word| micros(word)));
    let recorded = lines.iter().position(|line| line.trim_start().starts_with(RECORDED));
    let distribution =
        recorded.or_else(|| lines.iter().position(|line| line.trim() == "Latency Distribution"));
    if let Some(at) = distribution {
        percentiles(&lines[at + 1..], &mut figures);
    }
    let mut reading = Reading::new(if recorded.is_some() { "wrk2" } else { "wrk" }, figures);
    reading.seconds = lines.iter().find_map(|line| seconds(line));
    if recorded.is_some() {
        reading.is_scheduled = true;
        reading.warmup = CALIBRATION;
        reading.seconds = reading.seconds.map(|all| all - CALIBRATION).filter(|left| *left > 0.0);
    }
    Some(reading)
}

/// Lines of `50%  250.00us` or `50.000%    6.67ms`, as far as they go.
fn percentiles(lines: &[&str], figures: &mut Figures) {
    for line in lines {
        let Some((percent, time)) = line.trim().split_once('%') else { break };
        if let Some(figure) = Figure::of_percent(percent) {
            figures.set(figure, micros(time.trim()));
        }
    }
}

/// `  230 requests in 2.10s, 26.15KB read`.
fn seconds(line: &str) -> Option<f64> {
    let (_, rest) = line.split_once(" requests in ")?;
    micros(rest.split(',').next()?).map(|micros| micros / 1e6)
}

#[cfg(test)]
pub(super) const PLAIN: &str = "Running 2s test @ http://127.0.0.1:18471/
  1 threads and 5 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency    44.42ms    6.45ms  52.00ms   95.65%
    Req/Sec   109.95     20.16   151.00     80.95%
  Latency Distribution
     50%  963.00us
     75%   47.58ms
     90%   47.76ms
     99%    1.02s
  230 requests in 2.10s, 26.15KB read
Requests/sec:    109.53
Transfer/sec:     12.45KB
";

#[cfg(test)]
pub(super) const WRK2: &str = "Running 30s test @ http://127.0.0.1:80/index.html
  2 threads and 100 connections
  Thread calibration: mean lat.: 9747 usec, rate sampling interval: 21 msec
  Thread calibration: mean lat.: 9631 usec, rate sampling interval: 21 msec
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     6.46ms    1.93ms  12.34ms   67.66%
    Req/Sec     1.05k     1.12k    2.50k    64.84%
  Latency Distribution (HdrHistogram - Recorded Latency)
 50.000%    6.67ms
 75.000%    7.78ms
 90.000%    9.14ms
 99.000%   11.18ms
 99.900%   12.30ms
 99.990%   12.45ms
 99.999%   12.50ms
100.000%   12.50ms

  Detailed Percentile spectrum:
       Value   Percentile   TotalCount 1/(1-Percentile)

       0.921     0.000000            1         1.00
----------------------------------------------------------
  Latency Distribution (HdrHistogram - Uncorrected Latency (measured without taking delayed starts into account))
 50.000%    1.11ms
100.000%    2.22ms
  60018 requests in 30.00s, 19.81MB read
Requests/sec:   2000.28
Transfer/sec:    676.18KB
";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::parse;

    #[test]
    fn wrk_has_units_of_its_own_for_each_figure() {
        let reading = parse::read(PLAIN).unwrap();
        assert_eq!((reading.tool, reading.is_scheduled, reading.seconds), ("wrk", false, Some(2.1)));
        let of = |figure| reading.figures.of(figure);
        assert_eq!(of(Figure::Mean), Some(44_420.0));
        assert_eq!([of(Figure::P50), of(Figure::P90)], [Some(963.0), Some(47_760.0)]);
        assert_eq!([of(Figure::P99), of(Figure::Max)], [Some(1.02e6), Some(52_000.0)]);
        assert_eq!(of(Figure::P95), None);
    }

    #[test]
    fn without_latency_wrk_has_a_mean_and_a_maximum() {
        let text = "  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency    42.64ms    8.59ms  48.04ms   95.61%
    Req/Sec   114.40     17.16   150.00     90.00%
  114 requests in 1.00s, 13.23KB read\n";
        let reading = parse::read(text).unwrap();
        assert_eq!(reading.figures.of(Figure::Max), Some(48_040.0));
        assert_eq!(reading.figures.of(Figure::P50), None);
    }

    #[test]
    fn of_wrk2_the_recorded_distribution_counts_and_its_calibration_does_not() {
        let reading = parse::read(WRK2).unwrap();
        assert_eq!((reading.tool, reading.is_scheduled), ("wrk2", true));
        assert_eq!((reading.warmup, reading.seconds), (10.0, Some(20.0)));
        let of = |figure| reading.figures.of(figure).unwrap();
        assert!((of(Figure::P50) - 6670.0).abs() < 1e-6);
        assert!((of(Figure::P999) - 12_300.0).abs() < 1e-6);
        assert!((of(Figure::Max) - 12_500.0).abs() < 1e-6);
    }
}
