//! Our own `load --json`: `oneloop.load/1`, in one line. docs/load-json.md has the fields.

use serde_json::Value;

use super::super::figures::{Figure, Figures};
use super::Reading;

pub(super) fn read(lines: &[&str]) -> Option<Reading> {
    let line = lines.iter().rev().find(|line| line.starts_with("{\"schema\":\"oneloop.load/1\""))?;
    let document: Value = serde_json::from_str(line).ok()?;
    let times = &document["latency_us"]["corrected"];
    let mut figures = Figures::default();
    for (figure, name) in [
        (Figure::Mean, "mean"),
        (Figure::P50, "p50"),
        (Figure::P90, "p90"),
        (Figure::P99, "p99"),
        (Figure::P999, "p999"),
        (Figure::Max, "max"),
    ] {
        figures.set(figure, times[name].as_f64());
    }
    let mut reading = Reading::new("oneloop load", figures);
    reading.is_scheduled = document["arrival"] == "open";
    reading.warmup = document["warmup_seconds"].as_f64().unwrap_or(0.0);
    reading.seconds = document["seconds"].as_f64();
    Some(reading)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::parse;

    const DOCUMENT: &str = "something else first\n{\"schema\":\"oneloop.load/1\",\"arrival\":\"open\",\"seconds\":3.5,\
        \"warmup_seconds\":0.5,\"latency_us\":{\"corrected\":{\"count\":7,\"p50\":1.5,\"p90\":null,\"p99\":99.0,\"p999\":100.0,\
        \"max\":101.0,\"mean\":2.0},\"service\":{\"p50\":1.0}}}\n";

    #[test]
    fn the_fields_are_those_of_the_contract() {
        let reading = parse::read(DOCUMENT).unwrap();
        assert_eq!((reading.is_scheduled, reading.warmup, reading.seconds), (true, 0.5, Some(3.5)));
        let of = |figure| reading.figures.of(figure);
        assert_eq!((of(Figure::P50), of(Figure::P90)), (Some(1.5), None));
        assert_eq!((of(Figure::P999), of(Figure::Max)), (Some(100.0), Some(101.0)));
    }
}
