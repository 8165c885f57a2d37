//! `--json`: one object, "oneloop.hold/1". docs/hold.md describes it.

use serde::Serialize;

use super::findings::Findings;
use super::gauge::is_here;
use super::options::Options;
use crate::cli::load::json::Micros;
use crate::hold::{Kind, Kinds};

#[derive(Serialize)]
struct Object {
    schema: &'static str,
    target: String,
    connections: Connections,
    connect_us: Micros,
    memory: PerConnection,
    seconds: f64,
    opening_seconds: f64,
    held_seconds: f64,
    processes: usize,
    sources: Option<u64>,
    interrupted: bool,
}

#[derive(Serialize)]
struct Connections {
    wanted: u64,
    opened: u64,
    survived: u64,
    refused: u64,
    reset: u64,
    timed_out: u64,
    address_exhausted: u64,
    descriptor_limit: u64,
    unreachable: u64,
    closed: u64,
    mismatch: u64,
    other: u64,
    untried: u64,
    lost: Lost,
}

#[derive(Serialize)]
struct Lost {
    reset: u64,
    timed_out: u64,
    closed: u64,
    mismatch: u64,
    other: u64,
}

#[derive(Serialize)]
struct PerConnection {
    user_bytes_per_connection: Option<f64>,
    kernel_bytes_per_connection: Option<f64>,
    kernel_is_of_both_ends: bool,
    target_user_bytes_per_connection: Option<f64>,
}

/// The object, and a line end.
pub(super) fn object(options: &Options, findings: &Findings) -> String {
    let object = Object {
        schema: "oneloop.hold/1",
        target: findings.targets.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "),
        connections: connections(options, findings),
        connect_us: Micros::of(&findings.outcome.connect),
        memory: memory(findings),
        seconds: findings.total.as_secs_f64(),
        opening_seconds: findings.opening.as_secs_f64(),
        held_seconds: findings.held.as_secs_f64(),
        processes: findings.processes,
        sources: findings.sources.map(|count| u64::try_from(count).unwrap_or(u64::MAX)),
        interrupted: findings.signal.is_some(),
    };
    // Numbers and texts in structures of our own: nothing in it can fail.
    serde_json::to_string(&object).unwrap_or_default() + "\n"
}

fn connections(options: &Options, findings: &Findings) -> Connections {
    let outcome = &findings.outcome;
    let failed = |kind| outcome.failed.of(kind);
    Connections {
        wanted: u64::from(options.connections),
        opened: outcome.opened,
        survived: outcome.survived,
        refused: failed(Kind::Refused),
        reset: failed(Kind::Reset),
        timed_out: failed(Kind::TimedOut),
        address_exhausted: failed(Kind::AddressExhausted),
        descriptor_limit: failed(Kind::DescriptorLimit),
        unreachable: failed(Kind::Unreachable),
        closed: failed(Kind::Closed),
        mismatch: failed(Kind::Mismatch),
        other: failed(Kind::Other),
        untried: outcome.untried,
        lost: lost(&outcome.lost),
    }
}

fn lost(kinds: &Kinds) -> Lost {
    let [reset, timed_out, closed, mismatch] =
        [Kind::Reset, Kind::TimedOut, Kind::Closed, Kind::Mismatch].map(|kind| kinds.of(kind));
    Lost { reset, timed_out, closed, mismatch, other: kinds.total() - reset - timed_out - closed - mismatch }
}

fn memory(findings: &Findings) -> PerConnection {
    let target = findings.memory.as_ref().and_then(|memory| memory.target.clone()?.ok());
    PerConnection {
        user_bytes_per_connection: findings.user_memory(),
        kernel_bytes_per_connection: findings
            .memory
            .as_ref()
            .and_then(|memory| memory.kernel)
            .and_then(|bytes| findings.per_connection(bytes)),
        kernel_is_of_both_ends: findings.targets.iter().all(is_here),
        target_user_bytes_per_connection: target.and_then(|bytes| findings.per_connection(bytes)),
    }
}
