//! Reports as runs might make them, for tests: the numbers of the sample.

use std::time::Duration;

use super::plan::Arrival;
use super::profile::Profile;
use super::report::{Connections, ErrorKind, Errors, Example, Generator, Report, Second, Udp, Verdict};
use super::statuses::{Http, Statuses};
use crate::histogram::{Nanos, nanos};

/// Ten thousand times, so that p50, p90, p99, p99.9 and the maximum are these, in microseconds.
fn times(micros: [u64; 5]) -> Nanos {
    let mut times = nanos();
    for (micros, count) in micros.into_iter().zip([5000, 4000, 900, 90, 10]) {
        times.record_n(1000 * micros, count).unwrap();
    }
    times
}

fn errors(kinds: &[(ErrorKind, u64)]) -> Errors {
    let mut errors = Errors::default();
    kinds.iter().for_each(|(kind, count)| errors.add(*kind, *count));
    errors
}

/// 50,000 requests per second over 10,000 connections for 30 s, with a few errors.
pub(crate) fn open() -> Report {
    let example = |kind, text: &str| Example { kind, text: text.to_owned() };
    Report {
        targets: vec!["tcp://127.0.0.1:9999".parse().unwrap()],
        arrival: Arrival::Open(Profile::constant(50_000.0)),
        offered_rate: Some(50_000.0),
        size: 64,
        seconds: 30.0,
        warmup: 3.0,
        requests: 1_499_940,
        answered_in_time: 1_499_940,
        verified: 1_499_940,
        mismatches: 0,
        unanswered: 10,
        bytes_in: 95_996_160,
        bytes_out: 95_996_800,
        corrected: times([310, 580, 2100, 9430, 38_000]),
        service: times([290, 510, 1200, 3020, 11_700]),
        connect: times([300, 700, 4100, 5000, 6000]),
        lag: times([1, 2, 20, 90, 300]),
        connections: Connections { wanted: 10_000, opened: 10_002, open: 10_000, ..Connections::default() },
        errors: errors(&[(ErrorKind::Timeout, 10), (ErrorKind::Reset, 2)]),
        examples: vec![
            example(ErrorKind::Timeout, "connection 17, message 4: no answer within 10 s"),
            example(ErrorKind::Reset, "connection 3, message 9: reset by the peer"),
        ],
        udp: None,
        http: None,
        generator: Generator {
            loops: 1,
            cpu: Duration::from_millis(15_600),
            spun: Duration::ZERO,
            busy: 0.46,
        },
        verdict: Verdict::Valid,
    }
}

/// A closed loop without errors.
pub(crate) fn closed() -> Report {
    let service = times([290, 510, 1200, 3020, 11_700]);
    Report {
        arrival: Arrival::Closed,
        offered_rate: None,
        unanswered: 0,
        corrected: service.clone(),
        service,
        lag: nanos(),
        connections: Connections { wanted: 100, opened: 100, open: 100, ..Connections::default() },
        errors: Errors::default(),
        examples: Vec::new(),
        warmup: 0.0,
        ..open()
    }
}

/// 50,000 datagrams of which 100 were lost.
pub(crate) fn udp() -> Report {
    Report {
        targets: vec!["udp://127.0.0.1:9999".parse().unwrap()],
        connect: nanos(),
        udp: Some(Udp { sent: 50_000, received: 49_900, lost: 100, duplicate: 3, reordered: 2, late: 1 }),
        errors: errors(&[(ErrorKind::Timeout, 100)]),
        examples: Vec::new(),
        unanswered: 100,
        ..open()
    }
}

/// A page that was there, but for seven times.
pub(crate) fn http() -> Report {
    let mut statuses = Statuses::default();
    statuses.add(503, 7);
    statuses.add(200, 1_499_933);
    let text = "connection 3, request 9: status 503".to_owned();
    Report {
        http: Some(Http { urls: vec!["http://127.0.0.1:8080/page".to_owned()], statuses }),
        errors: errors(&[(ErrorKind::Status, 7)]),
        examples: vec![Example { kind: ErrorKind::Status, text }],
        unanswered: 0,
        ..open()
    }
}

/// A run whose loop was too busy.
pub(crate) fn generator_bound() -> Report {
    Report {
        generator: Generator {
            loops: 2,
            cpu: Duration::from_secs(59),
            spun: Duration::from_secs(6),
            busy: 0.99,
        },
        verdict: Verdict::GeneratorBound {
            why: "the loop was 99 % busy".to_owned(),
            remedy: "give it more threads with --loops 2".to_owned(),
        },
        ..open()
    }
}

/// A run that was stopped before anything was answered.
pub(crate) fn empty() -> Report {
    Report {
        seconds: 0.0,
        requests: 0,
        answered_in_time: 0,
        verified: 0,
        unanswered: 0,
        bytes_in: 0,
        bytes_out: 0,
        corrected: nanos(),
        service: nanos(),
        connect: nanos(),
        lag: nanos(),
        connections: Connections { wanted: 10_000, ..Connections::default() },
        errors: Errors::default(),
        examples: Vec::new(),
        generator: Generator { loops: 1, ..Generator::default() },
        verdict: Verdict::Interrupted,
        ..open()
    }
}

/// One second of [`open`], or of [`closed`].
pub(crate) fn second(number: u64, is_closed: bool) -> Second {
    let service = times([290, 510, 1200, 3020, 11_700]);
    Second {
        number,
        is_warmup: number <= 3,
        open: 10_000,
        requests: 49_998,
        errors: errors(&[(ErrorKind::Reset, 2)]),
        corrected: if is_closed { service.clone() } else { times([310, 580, 2100, 9430, 38_000]) },
        service: if is_closed { nanos() } else { service },
    }
}
