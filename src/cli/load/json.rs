//! The report, and each second of a run, as JSON. The names of the fields are a contract; docs/load-json.md has them.

use std::collections::BTreeMap;

use serde::Serialize;

use super::checked::Checked;
use super::host::Host;
use super::text::targets;
use crate::address::Address;
use crate::histogram::Nanos;
use crate::load::{Arrival, Connections, ErrorKind, Errors, Generator, Http, Report, Second, Udp, Verdict};

/// The object of `--json`, in one line.
pub(super) fn report(report: &Report, checked: &[Checked]) -> String {
    line(&Document::of(report, checked))
}

/// A line of `--json-stream`.
pub(super) fn second(second: &Second) -> String {
    line(&Interval::of(second))
}

/// One object in one line.
pub(super) fn line(object: &impl Serialize) -> String {
    serde_json::to_string(object).expect("names and numbers can always be written")
}

#[derive(Debug, Serialize)]
struct Document {
    schema: &'static str,
    target: String,
    targets: Vec<String>,
    arrival: &'static str,
    offered_rate: Option<f64>,
    achieved_rate: f64,
    seconds: f64,
    warmup_seconds: f64,
    size: usize,
    requests: u64,
    answered_in_time: u64,
    verified: u64,
    mismatches: u64,
    unanswered: u64,
    bytes_in: u64,
    bytes_out: u64,
    latency_us: Latency,
    connect_us: Micros,
    connections: Opened,
    errors: Kinds,
    error_examples: Vec<Example>,
    udp: Option<Datagrams>,
    http: Option<Answers>,
    generator: Spent,
    verdict: &'static str,
    verdict_why: Option<String>,
    verdict_remedy: Option<String>,
    expectations: Vec<Condition>,
    host: Host,
    version: &'static str,
}

impl Document {
    fn of(report: &Report, checked: &[Checked]) -> Self {
        let (verdict, why, remedy) = verdict(&report.verdict);
        let example = |example: &crate::load::Example| Example {
            kind: example.kind.name(),
            text: example.text.clone(),
        };
        Self {
            schema: "oneloop.load/1",
            target: targets(&report.targets),
            targets: report.targets.iter().map(Address::to_string).collect(),
            arrival: if report.arrival == Arrival::Closed { "closed" } else { "open" },
            offered_rate: report.offered_rate,
            achieved_rate: report.achieved_rate(),
            seconds: report.seconds,
            warmup_seconds: report.warmup,
            size: report.size,
            requests: report.requests,
            answered_in_time: report.answered_in_time,
            verified: report.verified,
            mismatches: report.mismatches,
            unanswered: report.unanswered,
            bytes_in: report.bytes_in,
            bytes_out: report.bytes_out,
            latency_us: Latency {
                corrected: Micros::of(&report.corrected),
                service: Micros::of(&report.service),
            },
            connect_us: Micros::of(&report.connect),
            connections: Opened::of(&report.connections),
            errors: kinds(&report.errors),
            error_examples: report.examples.iter().map(example).collect(),
            udp: report.udp.as_ref().map(Datagrams::of),
            http: report.http.as_ref().map(Answers::of),
            generator: Spent::of(&report.generator, report),
            verdict,
            verdict_why: why,
            verdict_remedy: remedy,
            expectations: checked.iter().map(Condition::of).collect(),
            host: Host::here(),
            version: env!("CARGO_PKG_VERSION"),
        }
    }
}

/// The name of a verdict, and its reason and remedy where it has them.
pub(super) fn verdict(verdict: &Verdict) -> (&'static str, Option<String>, Option<String>) {
    match verdict {
        Verdict::Valid => ("valid", None, None),
        Verdict::GeneratorBound { why, remedy } => {
            ("generator-bound", Some(why.clone()), Some(remedy.clone()))
        }
        Verdict::Interrupted => ("interrupted", None, None),
    }
}

#[derive(Debug, Serialize)]
struct Interval {
    schema: &'static str,
    second: u64,
    warmup: bool,
    open: u64,
    requests: u64,
    errors: Kinds,
    latency_us: Latency,
}

impl Interval {
    fn of(second: &Second) -> Self {
        // In a closed loop the two are the same, and only one is counted.
        let service = if second.service.is_empty() { &second.corrected } else { &second.service };
        Self {
            schema: "oneloop.load.second/1",
            second: second.number,
            warmup: second.is_warmup,
            open: second.open,
            requests: second.requests,
            errors: kinds(&second.errors),
            latency_us: Latency { corrected: Micros::of(&second.corrected), service: Micros::of(service) },
        }
    }
}

#[derive(Debug, Serialize)]
struct Latency {
    corrected: Micros,
    service: Micros,
}

/// Times in microseconds; null where nothing was measured.
#[derive(Debug, Serialize)]
pub(in super::super) struct Micros {
    count: u64,
    min: Option<f64>,
    p50: Option<f64>,
    p90: Option<f64>,
    p99: Option<f64>,
    p999: Option<f64>,
    max: Option<f64>,
    mean: Option<f64>,
}

impl Micros {
    pub(in super::super) fn of(times: &Nanos) -> Self {
        let known = |nanos: f64| (!times.is_empty()).then(|| micros(nanos));
        let quantile = |at: f64| known(times.value_at_quantile(at) as f64);
        Self {
            count: times.len(),
            min: known(times.min() as f64),
            p50: quantile(0.5),
            p90: quantile(0.9),
            p99: quantile(0.99),
            p999: quantile(0.999),
            max: known(times.max() as f64),
            mean: known(times.mean()),
        }
    }
}

/// To the nanosecond: more digits mean nothing.
fn micros(nanos: f64) -> f64 {
    nanos.round() / 1e3
}

#[derive(Debug, Serialize)]
struct Opened {
    wanted: u64,
    opened: u64,
    open: u64,
    refused: u64,
    reset: u64,
    timed_out: u64,
    address_exhausted: u64,
}

impl Opened {
    const fn of(connections: &Connections) -> Self {
        let Connections { wanted, opened, open, refused, reset, timed_out, address_exhausted } = *connections;
        Self { wanted, opened, open, refused, reset, timed_out, address_exhausted }
    }
}

/// How many errors of each kind, under its name.
type Kinds = BTreeMap<&'static str, u64>;

fn kinds(errors: &Errors) -> Kinds {
    ErrorKind::ALL.into_iter().map(|kind| (kind.name(), errors.of(kind))).collect()
}

#[derive(Debug, Serialize)]
struct Example {
    kind: &'static str,
    text: String,
}

#[derive(Debug, Serialize)]
struct Datagrams {
    sent: u64,
    received: u64,
    lost: u64,
    duplicate: u64,
    reordered: u64,
    late: u64,
}

impl Datagrams {
    const fn of(udp: &Udp) -> Self {
        let Udp { sent, received, lost, duplicate, reordered, late } = *udp;
        Self { sent, received, lost, duplicate, reordered, late }
    }
}

#[derive(Debug, Serialize)]
struct Answers {
    urls: Vec<String>,
    statuses: BTreeMap<String, u64>,
}

impl Answers {
    fn of(http: &Http) -> Self {
        let statuses = http.statuses.iter().map(|(status, count)| (status.to_string(), count)).collect();
        Self { urls: http.urls.clone(), statuses }
    }
}

#[derive(Debug, Serialize)]
struct Spent {
    loops: usize,
    cpu_seconds: f64,
    spun_seconds: f64,
    cpu_us_per_request: Option<f64>,
    loop_busy: f64,
    schedule_lag_us: Lag,
}

impl Spent {
    fn of(generator: &Generator, report: &Report) -> Self {
        let Generator { loops, cpu, spun, busy } = *generator;
        Self {
            loops,
            cpu_seconds: cpu.as_secs_f64(),
            spun_seconds: spun.as_secs_f64(),
            // Without what a fine schedule waits without sleeping: it costs the same whatever is sent.
            cpu_us_per_request: report.cpu_us_per_request(),
            loop_busy: busy,
            schedule_lag_us: Lag::of(&report.lag),
        }
    }
}

#[derive(Debug, Serialize)]
struct Lag {
    p50: Option<f64>,
    p99: Option<f64>,
    max: Option<f64>,
}

impl Lag {
    fn of(times: &Nanos) -> Self {
        let Micros { p50, p99, max, .. } = Micros::of(times);
        Self { p50, p99, max }
    }
}

#[derive(Debug, Serialize)]
struct Condition {
    text: String,
    pass: bool,
    was: String,
}

impl Condition {
    fn of(checked: &Checked) -> Self {
        let Checked { text, pass, was } = checked.clone();
        Self { text, pass, was }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::super::checked::check_all;
    use super::super::support::assert_documented;
    use super::*;
    use crate::load::sample;

    const MICROS: [&str; 8] = ["count", "max", "mean", "min", "p50", "p90", "p99", "p999"];
    const KINDS: [&str; 9] = [
        "address_exhausted",
        "descriptor_limit",
        "mismatch",
        "other",
        "refused",
        "reset",
        "status",
        "timeout",
        "truncated",
    ];

    fn parsed(report: &Report) -> Value {
        let conditions = ["p99>5ms", "errors>0"].map(|text| text.parse().unwrap());
        serde_json::from_str(&super::report(report, &check_all(&conditions, report))).unwrap()
    }

    /// The names at a JSON pointer, sorted.
    fn names<'a>(value: &'a Value, at: &str) -> Vec<&'a str> {
        let object = value.pointer(at).and_then(Value::as_object).unwrap_or_else(|| panic!("no object {at}"));
        let mut names: Vec<_> = object.keys().map(String::as_str).collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn the_names_of_the_fields_are_the_contracts() {
        let value = parsed(&sample::udp());
        let top = names(&value, "");
        for name in [
            "target",
            "arrival",
            "offered_rate",
            "achieved_rate",
            "requests",
            "verified",
            "mismatches",
            "latency_us",
            "connect_us",
            "connections",
            "errors",
            "udp",
            "generator",
            "verdict",
            "expectations",
            "host",
        ] {
            assert!(top.contains(&name), "{name}");
        }
        for (at, wanted) in [
            ("/latency_us", &["corrected", "service"][..]),
            ("/latency_us/corrected", &MICROS),
            ("/latency_us/service", &MICROS),
            ("/connect_us", &MICROS),
            (
                "/connections",
                &["address_exhausted", "open", "opened", "refused", "reset", "timed_out", "wanted"],
            ),
            ("/errors", &KINDS),
            ("/udp", &["duplicate", "late", "lost", "received", "reordered", "sent"]),
            (
                "/generator",
                &[
                    "cpu_seconds",
                    "cpu_us_per_request",
                    "loop_busy",
                    "loops",
                    "schedule_lag_us",
                    "spun_seconds",
                ],
            ),
            ("/generator/schedule_lag_us", &["max", "p50", "p99"]),
            ("/expectations/0", &["pass", "text", "was"]),
            ("/host", &["cpu", "cpus", "hostname", "kernel"]),
        ] {
            assert_eq!(names(&value, at), wanted, "{at}");
        }
        let text = super::report(&sample::open(), &[]);
        assert!(text.starts_with(r#"{"schema":"oneloop.load/1","target":"tcp://127.0.0.1:9999","#), "{text}");
        assert!(!text.contains('\n'));
    }

    #[test]
    fn values_are_those_of_the_report() {
        let value = parsed(&sample::open());
        for (at, wanted) in [
            ("/arrival", Value::from("open")),
            ("/offered_rate", 50_000.0.into()),
            ("/achieved_rate", 49_998.0.into()),
            ("/requests", 1_499_940.into()),
            ("/latency_us/corrected/count", 10_000.into()),
            ("/connections/opened", 10_002.into()),
            ("/errors/timeout", 10.into()),
            ("/error_examples/1/kind", "reset".into()),
            ("/udp", Value::Null),
            ("/generator/loop_busy", 0.46.into()),
            ("/verdict", "valid".into()),
            ("/expectations/0/text", "p99>5ms".into()),
            ("/expectations/0/pass", true.into()),
            ("/expectations/1/pass", false.into()),
        ] {
            assert_eq!(value.pointer(at), Some(&wanted), "{at}");
        }
        // Three digits are told apart.
        let p99 = value.pointer("/latency_us/corrected/p99").and_then(Value::as_f64).unwrap();
        assert!((p99 / 2100.0 - 1.0).abs() < 0.001, "{p99}");
    }

    #[test]
    fn what_was_not_measured_is_null_and_no_zero() {
        let value = parsed(&sample::empty());
        for at in ["/latency_us/corrected/p99", "/connect_us/mean", "/generator/cpu_us_per_request"] {
            assert_eq!(value.pointer(at), Some(&Value::Null), "{at}");
        }
        assert_eq!(value["verdict"], "interrupted");
        let bound = parsed(&sample::generator_bound());
        assert_eq!(bound["verdict"], "generator-bound");
        assert_eq!(bound["verdict_remedy"], "give it more threads with --loops 2");
        assert_eq!(parsed(&sample::closed())["offered_rate"], Value::Null);
    }

    #[test]
    fn a_second_is_a_line_and_in_a_closed_loop_both_latencies_are_the_same() {
        let value: Value = serde_json::from_str(&second(&sample::second(7, true))).unwrap();
        assert_eq!(
            names(&value, ""),
            ["errors", "latency_us", "open", "requests", "schema", "second", "warmup"]
        );
        assert_eq!((&value["schema"], &value["second"]), (&"oneloop.load.second/1".into(), &7.into()));
        assert_eq!(value.pointer("/latency_us/corrected"), value.pointer("/latency_us/service"));
        let open: Value = serde_json::from_str(&second(&sample::second(1, false))).unwrap();
        assert_eq!(open["warmup"], true);
        assert_ne!(open.pointer("/latency_us/corrected"), open.pointer("/latency_us/service"));
    }

    #[test]
    fn statuses_are_counted_by_their_number() {
        let value = parsed(&sample::http());
        assert_eq!(value["http"]["statuses"], serde_json::json!({"200": 1_499_933, "503": 7}));
        assert_eq!(value["http"]["urls"][0], "http://127.0.0.1:8080/page");
    }

    #[test]
    fn every_field_is_documented() {
        let mut value = parsed(&sample::udp());
        value["http"] = parsed(&sample::http())["http"].take();
        value["http"]["statuses"] = Value::Null;
        let second: Value = serde_json::from_str(&second(&sample::second(7, false))).unwrap();
        assert_documented(&value);
        assert_documented(&second);
    }
}
