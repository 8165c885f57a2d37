//! redis-benchmark: its summary, `-q` (a median only) and `--csv`.

use super::super::figures::{Figure, Figures};
use super::Reading;
use super::units::plain;

pub(super) fn read(lines: &[&str]) -> Option<Reading> {
    let figures = summary(lines).or_else(|| csv(lines)).or_else(|| quiet(lines))?;
    let mut reading = Reading::new("redis-benchmark", figures);
    reading.seconds = lines.iter().find_map(|line| seconds(line));
    Some(reading)
}

/// Below `latency summary (msec):` a line of names and one of numbers.
fn summary(lines: &[&str]) -> Option<Figures> {
    let title = lines.iter().position(|line| line.trim() == "latency summary (msec):")?;
    let mut rows = lines[title + 1..].iter().filter(|line| !line.trim().is_empty());
    let (names, values) = (rows.next()?, rows.next()?);
    Some(table(names.split_whitespace(), values.split_whitespace()))
}

/// `"test","rps","avg_latency_ms",...`; of several tests the first.
fn csv(lines: &[&str]) -> Option<Figures> {
    let title = lines.iter().position(|line| line.starts_with("\"test\",\"rps\","))?;
    let names = lines[title].split(',').map(|name| name.trim_matches('"').trim_end_matches("_latency_ms"));
    Some(table(names, lines.get(title + 1)?.split(',').map(|value| value.trim_matches('"'))))
}

/// `GET: 111111.11 requests per second, p50=0.023 msec`.
fn quiet(lines: &[&str]) -> Option<Figures> {
    let line = lines.iter().find(|line| line.contains(" requests per second, p50="))?;
    let (_, rest) = line.split_once("p50=")?;
    let mut figures = Figures::default();
    figures.set(Figure::P50, plain(rest.split_whitespace().next()?).map(|millis| millis * 1e3));
    Some(figures)
}

fn table<'a>(names: impl Iterator<Item = &'a str>, values: impl Iterator<Item = &'a str>) -> Figures {
    let mut figures = Figures::default();
    for (name, value) in names.zip(values) {
        let figure = match name {
            "avg" => Figure::Mean,
            "p50" => Figure::P50,
            "p95" => Figure::P95,
            "p99" => Figure::P99,
            "max" => Figure::Max,
            _ => continue,
        };
        figures.set(figure, plain(value).map(|millis| millis * 1e3));
    }
    figures
}

/// `  3000 requests completed in 0.02 seconds`.
fn seconds(line: &str) -> Option<f64> {
    let (_, rest) = line.split_once(" requests completed in ")?;
    plain(rest.split_whitespace().next()?)
}

#[cfg(test)]
pub(super) const OUTPUT: &str = "GET: rps=0.0 (overall: -nan) avg_msec=-nan (overall: -nan)\r      \
    ====== GET ======
  3000 requests completed in 0.02 seconds
  5 parallel clients
  3 bytes payload
  keep alive: 1
  host configuration \"save\": GET
  host configuration \"appendonly\": GET
  multi-thread: no

Latency by percentile distribution:
0.000% <= 0.015 milliseconds (cumulative count 333)
50.000% <= 0.031 milliseconds (cumulative count 2577)
100.000% <= 1.511 milliseconds (cumulative count 3000)

Cumulative distribution of latencies:
99.533% <= 0.103 milliseconds (cumulative count 2986)
100.000% <= 1.607 milliseconds (cumulative count 3000)

Summary:
  throughput summary: 125000.00 requests per second
  latency summary (msec):
          avg       min       p50       p95       p99       max
        0.028     0.008     0.031     0.055     0.087     1.511

";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::parse;

    #[track_caller]
    fn figures(text: &str) -> Vec<Option<f64>> {
        let reading = parse::read(text).unwrap();
        assert_eq!((reading.tool, reading.is_scheduled), ("redis-benchmark", false));
        let of = |figure| reading.figures.of(figure).map(f64::round);
        [Figure::Mean, Figure::P50, Figure::P95, Figure::P99, Figure::Max].map(of).to_vec()
    }

    #[test]
    fn its_three_ways_of_saying_it() {
        let some = |values: [f64; 5]| values.map(Some).to_vec();
        assert_eq!(figures(OUTPUT), some([28.0, 31.0, 55.0, 87.0, 1511.0]));
        let csv = "\"test\",\"rps\",\"avg_latency_ms\",\"min_latency_ms\",\"p50_latency_ms\",\"p95_latency_ms\",\"p99_latency_ms\",\"max_latency_ms\"
\"GET\",\"111111.11\",\"0.032\",\"0.008\",\"0.031\",\"0.039\",\"0.071\",\"4.647\"\n";
        assert_eq!(figures(csv), some([32.0, 31.0, 39.0, 71.0, 4647.0]));
        let quiet = "GET: rps=0.0 (overall: inf) avg_msec=0.488 (overall: 0.488)\r      \r\
            GET: 111111.11 requests per second, p50=0.023 msec\n";
        assert_eq!(figures(quiet), [None, Some(23.0), None, None, None]);
    }
}
