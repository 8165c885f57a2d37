//! h2load: it prints a mean and a maximum, and no percentiles.

use super::super::figures::{Figure, Figures};
use super::units::micros;
use super::{Reading, after};

pub(super) fn read(lines: &[&str]) -> Option<Reading> {
    // min, max, mean, deviation, share within it.
    let words = after(lines, "time for request:")?;
    let mut figures = Figures::default();
    figures.set(Figure::Max, words.get(1).and_then(|word| micros(word)));
    figures.set(Figure::Mean, words.get(2).and_then(|word| micros(word)));
    let mut reading = Reading::new("h2load", figures);
    let time = |word: &str| micros(word.trim_end_matches(',')).map(|micros| micros / 1e6);
    reading.seconds = after(lines, "finished in").and_then(|words| time(words.first()?));
    reading.warmup = lines.iter().find_map(|line| warmup(line)).unwrap_or(0.0);
    Some(reading)
}

/// `... Timing-based test with 0s of warm-up time and 2s of main duration for measurements.`
fn warmup(line: &str) -> Option<f64> {
    let (before, _) = line.split_once(" of warm-up time")?;
    micros(before.split_whitespace().last()?).map(|micros| micros / 1e6)
}

#[cfg(test)]
pub(super) const OUTPUT: &str = "starting benchmark...
spawning thread #0: 5 total client(s). Timing-based test with 1s of warm-up time and 2s of main duration for measurements.
Warm-up started for thread #0.
progress: 100% of clients started
Warm-up phase is over for thread #0.
Main benchmark duration is started for thread #0.
Application protocol: http/1.1
Main benchmark duration is over for thread #0. Stopping all clients.
Stopped all clients for thread #0

finished in 2.00s, 114.00 req/s, 12.96KB/s
requests: 228 total, 233 started, 228 done, 228 succeeded, 0 failed, 0 errored, 0 timeout
status codes: 233 2xx, 0 3xx, 0 4xx, 0 5xx
traffic: 25.92KB (26547) total, 18.20KB (18640) headers (space savings 0.00%), 684B (684) data
                     min         max         mean         sd        +/- sd
time for request:     4.24ms     52.02ms     43.59ms      5.31ms    97.37%
time for connect:        6us        32us        22us        10us    80.00%
time to 1st byte:     4.27ms     15.95ms      9.55ms      4.50ms    60.00%
req/s           :      22.49       22.99       22.79        0.27    60.00%
";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::parse;

    #[test]
    fn there_are_a_mean_and_a_maximum() {
        let reading = parse::read(OUTPUT).unwrap();
        assert_eq!((reading.tool, reading.is_scheduled), ("h2load", false));
        assert_eq!((reading.warmup, reading.seconds), (1.0, Some(2.0)));
        let of = |figure| reading.figures.of(figure).map(f64::round);
        assert_eq!((of(Figure::Mean), of(Figure::Max)), (Some(43_590.0), Some(52_020.0)));
        assert_eq!(of(Figure::P99), None);
    }
}
