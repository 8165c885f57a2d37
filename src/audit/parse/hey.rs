//! hey, and what prints like it (bombardier does not; oha does).

use super::super::figures::{Figure, Figures};
use super::units::{micros, plain};
use super::{Reading, after};

/// Its seconds have four decimals.
const RESOLUTION: f64 = 100.0;

pub(super) fn read(lines: &[&str]) -> Option<Reading> {
    let (slowest, average) = (after(lines, "Slowest:")?, after(lines, "Average:")?);
    let mut figures = Figures::default();
    figures.set(Figure::Mean, time(&average));
    figures.set(Figure::Max, time(&slowest));
    for line in lines {
        // "  50% in 0.0024 secs"; a version of hey prints "50%% in".
        let Some((percent, rest)) = line.trim().split_once('%') else { continue };
        let rest: Vec<&str> = rest.trim_start_matches('%').split_whitespace().collect();
        if let (Some(figure), Some((&"in", rest))) = (Figure::of_percent(percent), rest.split_first()) {
            figures.set(figure, time(rest));
        }
    }
    let mut reading = Reading::new("hey", figures);
    reading.seconds = after(lines, "Total:").and_then(|words| time(&words)).map(|micros| micros / 1e6);
    reading.resolution = RESOLUTION;
    Some(reading)
}

/// `0.0128 secs`.
fn time(words: &[&str]) -> Option<f64> {
    let (number, unit) = (words.first()?, words.get(1)?);
    plain(number)?;
    micros(&format!("{number}{unit}"))
}

#[cfg(test)]
pub(super) const OUTPUT: &str = "
Summary:
  Total:\t10.0012 secs
  Slowest:\t0.5128 secs
  Fastest:\t0.0001 secs
  Average:\t0.0035 secs
  Requests/sec:\t10022.9023

  Total data:\t122400 bytes
  Size/request:\t612 bytes

Response time histogram:
  0.000 [1]\t|
  0.002 [81]\t|■■■■■■■■■■■■■■■■■■■■■■■■■■■■■■■■■■■■■■■■

Latency distribution:
  10% in 0.0011 secs
  25% in 0.0014 secs
  50% in 0.0024 secs
  75% in 0.0050 secs
  90% in 0.0097 secs
  95% in 0.0108 secs
  99% in 0.0123 secs

Details (average, fastest, slowest):
  DNS+dialup:\t0.0002 secs, 0.0004 secs, 0.0128 secs
  req write:\t0.0000 secs, 0.0000 secs, 0.0012 secs
  resp wait:\t0.0032 secs, 0.0004 secs, 0.0107 secs

Status code distribution:
  [200]\t200 responses
";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::parse;

    #[test]
    fn seconds_become_microseconds_with_a_resolution() {
        for text in [OUTPUT.to_owned(), OUTPUT.replace("% in", "%% in")] {
            let reading = parse::read(&text).unwrap();
            assert_eq!((reading.tool, reading.is_scheduled), ("hey", false));
            assert!((reading.seconds.unwrap() - 10.0012).abs() < 1e-9);
            let of = |figure| reading.figures.of(figure).unwrap().round();
            assert_eq!([of(Figure::P50), of(Figure::P95), of(Figure::P99)], [2400.0, 10_800.0, 12_300.0]);
            assert_eq!([of(Figure::Mean), of(Figure::Max)], [3500.0, 512_800.0]);
            assert_eq!(reading.resolution, 100.0);
        }
    }
}
