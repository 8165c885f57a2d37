//! The object of `--json`. The names of the fields are a contract; docs/audit-json.md has them.

use serde::Serialize;

use super::Findings;
use crate::audit::{Ending, Factor, Kept, Row, Style, Verdict};

#[derive(Debug, Serialize)]
struct Document<'a> {
    schema: &'static str,
    version: &'static str,
    command: &'a [String],
    ending: &'static str,
    exit_status: Option<i32>,
    tool: Option<&'static str>,
    scheduled: Option<bool>,
    server: Served,
    schedule: Planned,
    window: Window,
    stalled_share: f64,
    drain_speed: Option<f64>,
    figures: Vec<Line>,
    verdict: &'static str,
    worst: Option<Worst>,
    output: &'a str,
    output_left_out: usize,
}

#[derive(Debug, Serialize)]
struct Served {
    address: String,
    style: Option<&'static str>,
    requests: Option<u64>,
    bytes: Option<u64>,
    seconds: f64,
    http2: u64,
    bad: u64,
}

#[derive(Debug, Serialize)]
struct Planned {
    seconds: f64,
    seed: Option<u64>,
    stalls: Vec<Stalled>,
}

/// A stall as planned, and as it was; null where the run ended before.
#[derive(Debug, Serialize)]
struct Stalled {
    at: f64,
    length: f64,
    began: Option<f64>,
    ended: Option<f64>,
}

#[derive(Debug, Serialize)]
struct Window {
    from: f64,
    to: f64,
}

#[derive(Debug, Serialize)]
struct Line {
    figure: &'static str,
    tool_us: Option<f64>,
    users_us: f64,
    judged: &'static str,
    factor: Option<f64>,
}

#[derive(Debug, Serialize)]
struct Worst {
    figure: &'static str,
    factor: f64,
}

/// One object in one line.
pub(super) fn document(findings: &Findings<'_>) -> String {
    let (ending, exit_status) = match findings.output.ending {
        Ending::Ended(status) => ("ended", status.code()),
        Ending::Stopped => ("stopped", None),
        Ending::TimedOut => ("timed-out", None),
    };
    let (verdict, worst) = verdict(findings.judgement.verdict);
    let document = Document {
        schema: "oneloop.audit/1",
        version: env!("CARGO_PKG_VERSION"),
        command: findings.command.words(),
        ending,
        exit_status,
        tool: findings.reading.map(|reading| reading.tool),
        scheduled: findings.reading.map(|reading| reading.is_scheduled),
        server: served(findings),
        schedule: planned(findings),
        window: Window { from: findings.window.start, to: findings.window.end },
        stalled_share: findings.truth.stalled(),
        drain_speed: Some(findings.speed).filter(|speed| speed.is_finite()),
        figures: findings.judgement.rows.iter().map(Line::of).collect(),
        verdict,
        worst,
        output: &findings.output.text,
        output_left_out: findings.output.left_out,
    };
    serde_json::to_string(&document).expect("names and numbers can always be written") + "\n"
}

fn served(findings: &Findings<'_>) -> Served {
    let seen = &findings.record.observed;
    let of = |style| (seen.style == Some(style)).then_some(seen.units);
    let style = seen.style.map(|style| match style {
        Style::Echo => "echo",
        Style::Http => "http",
    });
    Served {
        address: findings.place.address.to_string(),
        style,
        requests: of(Style::Http),
        bytes: of(Style::Echo),
        seconds: seen.span.as_secs_f64(),
        http2: seen.http2,
        bad: seen.bad,
    }
}

fn planned(findings: &Findings<'_>) -> Planned {
    let stalls = findings.schedule.stalls().iter().enumerate().map(|(number, stall)| {
        let really = |of: fn(&Kept) -> f64| findings.record.stalls.get(number).map(of);
        Stalled {
            at: stall.at.as_secs_f64(),
            length: stall.length.as_secs_f64(),
            began: really(|kept| kept.really.start),
            ended: really(|kept| kept.really.end),
        }
    });
    Planned {
        seconds: findings.args.duration.as_secs_f64(),
        seed: findings.args.stalls.is_empty().then_some(findings.args.seed),
        stalls: stalls.collect(),
    }
}

impl Line {
    fn of(row: &Row) -> Self {
        let (judged, factor) = match row.factor {
            Factor::Honest => ("honest", None),
            Factor::Flattered(by) => ("flattered", Some(by)),
            Factor::Exaggerated(by) => ("exaggerated", Some(by)),
            Factor::Unjudged => ("not judged", None),
        };
        Self { figure: row.figure.name(), tool_us: row.tool, users_us: row.users, judged, factor }
    }
}

fn verdict(verdict: Verdict) -> (&'static str, Option<Worst>) {
    let worst = |figure: crate::audit::Figure, factor| Some(Worst { figure: figure.name(), factor });
    match verdict {
        Verdict::Honest => ("honest", None),
        Verdict::Flattered(figure, by) => ("flattered", worst(figure, by)),
        Verdict::Exaggerated(figure, by) => ("exaggerated", worst(figure, by)),
        Verdict::Unread => ("not understood", None),
        Verdict::Nothing => ("nothing to judge", None),
    }
}
