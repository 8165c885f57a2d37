//! ab (ApacheBench): whole milliseconds.

use super::super::figures::{Figure, Figures};
use super::units::plain;
use super::{Reading, after};

const TITLE: &str = "Percentage of the requests served within a certain time (ms)";

pub(super) fn read(lines: &[&str]) -> Option<Reading> {
    let seconds = after(lines, "Time taken for tests:")?;
    let mut figures = Figures::default();
    let millis = |word: &str| plain(word).map(|millis| millis * 1e3);
    // "Total:          1   46   5.6     48      56": min, mean, deviation, median, max.
    if let Some(total) = after(lines, "Total:") {
        figures.set(Figure::Mean, total.get(1).and_then(|word| millis(word)));
        figures.set(Figure::Max, total.get(4).and_then(|word| millis(word)));
    }
    let title = lines.iter().position(|line| line.trim() == TITLE);
    for line in title.map_or(&[][..], |at| &lines[at + 1..]) {
        let Some((percent, rest)) = line.trim().split_once('%') else { break };
        if let Some(figure) = Figure::of_percent(percent) {
            figures.set(figure, rest.split_whitespace().next().and_then(millis));
        }
    }
    let mut reading = Reading::new("ab", figures);
    reading.seconds = seconds.first().and_then(|word| plain(word));
    reading.resolution = 1e3;
    Some(reading)
}

#[cfg(test)]
pub(super) const OUTPUT: &str = "AB_CAPTURED";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::parse;

    #[test]
    fn milliseconds_are_whole() {
        let reading = parse::read(OUTPUT).unwrap();
        assert_eq!((reading.tool, reading.is_scheduled, reading.resolution), ("ab", false, 1000.0));
    }
}
