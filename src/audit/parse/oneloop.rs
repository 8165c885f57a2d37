//! Our own `load`, as text.

use super::super::figures::{Figure, Figures};
use super::units::{micros, plain};
use super::{Reading, after};

pub(super) fn read(lines: &[&str]) -> Option<Reading> {
    let title = lines.iter().find(|line| line.starts_with("load "))?;
    let (names, values) = (after(lines, "latency ms ")?, after(lines, "corrected ")?);
    let mut figures = Figures::default();
    for (name, value) in names.iter().zip(values) {
        let figure = match *name {
            "max" => Some(Figure::Max),
            name => name.strip_prefix('p').and_then(Figure::of_percent),
        };
        if let Some(figure) = figure {
            figures.set(figure, plain(value).map(|millis| millis * 1e3));
        }
    }
    let mut reading = Reading::new("oneloop load", figures);
    reading.is_scheduled = title.contains("   offered ");
    (reading.seconds, reading.warmup) = times(title);
    // Three digits.
    reading.resolution = 1.0;
    Some(reading)
}

/// `...   30 s (+ 3 s warm-up excluded)`: what was measured, and what was not.
fn times(title: &str) -> (Option<f64>, f64) {
    let last = title.rsplit("   ").next().unwrap_or_default();
    let (measured, rest) = last.split_once(" (+ ").unwrap_or((last, ""));
    (seconds(measured), seconds(rest.trim_end_matches(" warm-up excluded)")).unwrap_or(0.0))
}

/// `30 s` or `250 ms`.
fn seconds(text: &str) -> Option<f64> {
    let (number, unit) = text.trim().split_once(' ')?;
    let factor = micros(&format!("1{unit}"))? / 1e6;
    Some(plain(number)? * factor)
}

#[cfg(test)]
pub(super) const OPEN: &str =
    "load tcp://127.0.0.1:9999   10 connections   offered 1,000 msg/s   10 s (+ 250 ms warm-up excluded)
connections  10 open   0 refused   0 timed out          connect p50 0.088  p99 0.65 ms
rate         1,000/s of 1,000 (100.0 %)                 64.0 kB/s each way   every byte verified
latency ms        p50    p90    p99  p99.9    max
  corrected     0.063   0.13    404    493  1,503       from the scheduled moment
  service       0.021  0.050   0.14   4.90    501       from the actual send
generator    loop 6 % busy   cpu 0.04 cores   worst lag 8.84 ms   39.5 us of cpu per message
verdict      VALID, the target kept up
";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::parse;

    #[test]
    fn corrected_is_what_counts() {
        let reading = parse::read(OPEN).unwrap();
        assert_eq!((reading.tool, reading.is_scheduled), ("oneloop load", true));
        assert_eq!((reading.seconds, reading.warmup), (Some(10.0), 0.25));
        let of = |figure| reading.figures.of(figure).map(f64::round);
        assert_eq!([of(Figure::P50), of(Figure::P90)], [Some(63.0), Some(130.0)]);
        assert_eq!([of(Figure::P999), of(Figure::Max)], [Some(493_000.0), Some(1_503_000.0)]);
    }

    #[test]
    fn a_closed_loop_has_no_schedule() {
        let text =
            OPEN.replace("offered 1,000 msg/s   10 s (+ 250 ms warm-up excluded)", "closed loop   4.2 s");
        let reading = parse::read(&text).unwrap();
        assert_eq!((reading.is_scheduled, reading.seconds, reading.warmup), (false, Some(4.2), 0.0));
    }
}
