//! The audit as people read it.

use std::fmt::Write;

use super::Findings;
use super::args::AuditArgs;
use crate::audit::{Command, Factor, Figure, Row, Schedule, Style, Verdict};
use crate::cli::load::numbers::{count, duration, millis, rate, seconds};

/// Where what a row says begins.
const LABEL: usize = 12;

/// Moments that are named one by one.
const NAMED: usize = 8;

/// What is printed before the run: what is to happen.
pub(super) fn heading(command: &Command, args: &AuditArgs, schedule: &Schedule) -> String {
    let stalls = schedule.stalls();
    let moments: Vec<String> =
        stalls.iter().take(NAMED).map(|stall| format!("{:.3}", stall.at.as_secs_f64())).collect();
    let more = if stalls.len() > NAMED { ", ..." } else { "" };
    let lengths = match stalls {
        [first, rest @ ..] if rest.iter().all(|stall| stall.length == first.length) => {
            format!(
                "{} stall{} of {}",
                count(stalls.len() as u64),
                plural(stalls.len()),
                duration(first.length)
            )
        }
        _ => format!("{} stalls of {} together", count(stalls.len() as u64), duration(schedule.total())),
    };
    let seed = if args.stalls.is_empty() { format!(", seed {}", args.seed) } else { String::new() };
    let mut page = String::new();
    row(&mut page, "audit", &command.words().join(" "));
    let run = duration(args.duration);
    row(&mut page, "schedule", &format!("{lengths} in {run}, at {}{more} s{seed}", moments.join(", ")));
    page
}

/// What is printed after it.
pub(super) fn report(findings: &Findings<'_>, with_output: bool) -> String {
    let mut page = String::new();
    if with_output || findings.reading.is_none() || !has_succeeded(findings) {
        output(&mut page, findings);
    }
    let seen = &findings.record.observed;
    if seen.units > 0 {
        row(&mut page, "run", &ran(findings));
        row(&mut page, "", &users(findings));
        table(&mut page, findings);
        verdict(&mut page, findings);
    }
    for remark in remarks(findings) {
        row(&mut page, "", &remark);
    }
    page
}

fn row(page: &mut String, label: &str, text: &str) {
    let line = format!("{label:<LABEL$}{text}");
    page.push_str(line.trim_end());
    page.push('\n');
}

const fn plural(count: usize) -> &'static str {
    if count == 1 { "" } else { "s" }
}

fn has_succeeded(findings: &Findings<'_>) -> bool {
    match findings.output.ending {
        crate::audit::Ending::Ended(status) => status.success(),
        _ => true,
    }
}

/// As it was, between two lines, so that one sees whose words they are.
fn output(page: &mut String, findings: &Findings<'_>) {
    page.push_str("---- what it printed\n");
    page.push_str(findings.output.text.trim_end());
    if findings.output.left_out > 0 {
        let _ =
            write!(page, "\n({} bytes in the middle are left out)", count(findings.output.left_out as u64));
    }
    page.push_str("\n---- end\n");
}

fn ran(findings: &Findings<'_>) -> String {
    let seen = &findings.record.observed;
    let answered = match seen.style {
        Some(Style::Http) => format!("{} requests answered over HTTP", count(seen.units)),
        _ => format!("{} bytes echoed", count(seen.units)),
    };
    let window = &findings.window;
    let warmup = if window.start > 0.0 {
        format!(" (after a warm-up of {})", seconds(window.start))
    } else {
        String::new()
    };
    let share = 100.0 * findings.truth.stalled();
    let measured = seconds(window.end - window.start);
    format!("{answered}; of the {measured} that count{warmup} the server stalled for {share:.1} %")
}

/// Who is meant by users, and what became of the queue.
fn users(findings: &Findings<'_>) -> String {
    if !findings.reading.is_some_and(|reading| reading.is_scheduled) {
        return "users come evenly, at any rate far below what the server can do".to_owned();
    }
    let speed = findings.speed;
    if speed.is_finite() {
        format!(
            "users come evenly, at the rate it offers; queues are worked off {} times as fast or faster",
            rate(speed)
        )
    } else {
        "users come evenly, at the rate it offers".to_owned()
    }
}

fn table(page: &mut String, findings: &Findings<'_>) {
    let _ = writeln!(page, "{:<LABEL$}{:>10}{:>10}   flattered", "latency ms", "it says", "users");
    for one in &findings.judgement.rows {
        let says = one.tool.map_or_else(|| "-".to_owned(), |micros| millis(micros * 1e3));
        let line =
            format!("  {:<10}{says:>10}{:>10}   {}", one.figure.name(), millis(one.users * 1e3), judged(one));
        page.push_str(line.trim_end());
        page.push('\n');
    }
}

fn judged(row: &Row) -> String {
    match row.factor {
        Factor::Honest => "no".to_owned(),
        Factor::Flattered(by) => format!("{} times", times(by)),
        Factor::Exaggerated(by) => format!("no: {} times too much", times(by)),
        Factor::Unjudged if row.tool.is_some() => "no stall reaches so far down".to_owned(),
        Factor::Unjudged => "it does not say".to_owned(),
    }
}

/// `1.3`, `212`, `1,815`.
fn times(factor: f64) -> String {
    if factor < 9.95 { format!("{factor:.1}") } else { rate(factor.round()) }
}

fn verdict(page: &mut String, findings: &Findings<'_>) {
    let tool = findings.reading.map_or("it", |reading| reading.tool);
    let tolerance = findings.args.tolerance;
    let text = match findings.judgement.verdict {
        Verdict::Honest => format!("HONEST: {tool} is within {tolerance} % of what users had"),
        Verdict::Flattered(figure, by) => {
            format!("FLATTERED: at {} users had {} times what {tool} says", in_words(figure), times(by))
        }
        Verdict::Exaggerated(figure, by) => {
            format!("NOT FLATTERED: at {} {tool} says {} times what users had", in_words(figure), times(by))
        }
        Verdict::Unread => "NOT UNDERSTOOD: compare what it printed with the users' column".to_owned(),
        Verdict::Nothing => "NOTHING TO JUDGE: no stall shows in any figure that it prints".to_owned(),
    };
    row(page, "verdict", &text);
    let is_closed = findings.reading.is_some_and(|reading| !reading.is_scheduled);
    if is_closed && matches!(findings.judgement.verdict, Verdict::Flattered(..)) {
        row(
            page,
            "",
            "a closed loop: its connections wait with the server, and it sends when the server is well",
        );
    }
}

/// As one speaks of it.
const fn in_words(figure: Figure) -> &'static str {
    match figure {
        Figure::Mean => "the mean",
        Figure::Max => "the maximum",
        figure => figure.name(),
    }
}

fn remarks(findings: &Findings<'_>) -> Vec<String> {
    let seen = &findings.record.observed;
    let mut remarks = Vec::new();
    let (planned, window) = (findings.schedule.stalls().len(), &findings.window);
    let is_within = |stall: &&crate::audit::Kept| {
        stall.really.start >= window.start && stall.really.end <= window.end.max(seen.span.as_secs_f64())
    };
    let within = findings.record.stalls.iter().filter(is_within).count();
    if seen.units > 0 && within < planned {
        remarks.push(format!(
            "only {within} of {planned} stalls were wholly in the time that counts: let it run for {}",
            duration(findings.args.duration)
        ));
    }
    if seen.http2 > 0 {
        remarks.push(format!("{} connections spoke HTTP/2, and this server HTTP/1 only", count(seen.http2)));
    }
    if seen.bad > 0 {
        remarks.push(format!("{} requests were not understood and refused", count(seen.bad)));
    }
    remarks
}
