//! The report for people.

use std::fmt::Write as _;

use super::findings::Findings;
use super::gauge::is_here;
use super::options::Options;
use crate::cli::load::numbers::{count, duration, quantile, rate};
use crate::hold::Kinds;

/// The report, some lines.
pub(super) fn text(options: &Options, findings: &Findings) -> String {
    let mut out = String::new();
    // Writing to a string does not fail.
    let _ = write(&mut out, options, findings);
    out
}

/// `: 3 refused, 1 reset`, or nothing.
pub(super) fn kinds(kinds: &Kinds) -> String {
    let each: Vec<String> = kinds
        .iter()
        .map(|(kind, times)| format!("{} {}", count(times), kind.name().replace('_', " ")))
        .collect();
    if each.is_empty() { String::new() } else { format!(": {}", each.join(", ")) }
}

fn write(out: &mut String, options: &Options, findings: &Findings) -> std::fmt::Result {
    let outcome = &findings.outcome;
    let wanted = u64::from(options.connections);
    let targets: Vec<String> = findings.targets.iter().map(ToString::to_string).collect();
    write!(out, "hold {}   {} connections", targets.join(" "), count(wanted))?;
    if findings.processes > 1 {
        write!(out, "   {} processes", findings.processes)?;
    }
    if let Some(sources) = findings.sources {
        write!(
            out,
            "   from {}",
            if sources == 1 { "1 address".to_owned() } else { format!("{sources} addresses") }
        )?;
    }
    writeln!(out, "   held {}", duration(findings.held))?;

    let per_second = rate(outcome.opened as f64 / findings.opening.as_secs_f64().max(1e-9));
    let (opened, opening) = (count(outcome.opened), duration(findings.opening));
    writeln!(
        out,
        "opened       {opened} of {} in {opening} ({per_second}/s){}",
        count(wanted),
        kinds(&outcome.failed)
    )?;
    if outcome.untried > 0 {
        writeln!(out, "             {} were not tried, or not decided yet", count(outcome.untried))?;
    }
    if !outcome.connect.is_empty() {
        let at = |place| quantile(&outcome.connect, place);
        let max = at(1.0);
        writeln!(out, "connect ms   p50 {}  p99 {}  max {max}", at(0.5), at(0.99))?;
    }
    let how = match (findings.signal, &options.words) {
        _ if outcome.survived == 0 => "",
        (Some(_), _) => ", open when it was interrupted",
        (None, Some(_)) => ", each answered at the end",
        (None, None) => ", still open at the end",
    };
    writeln!(out, "survived     {}{how}{}", count(outcome.survived), kinds(&outcome.lost))?;
    if let Some(text) = &outcome.other {
        writeln!(out, "             the first of the others: {text}")?;
    }
    write_memory(out, options, findings)
}

fn write_memory(out: &mut String, options: &Options, findings: &Findings) -> std::fmt::Result {
    let Some(memory) = findings.memory.as_ref().filter(|_| findings.outcome.opened > 0) else {
        return Ok(());
    };
    let show = |bytes: Option<f64>| bytes.map_or_else(|| "unknown".to_owned(), size);
    let processes = match findings.processes {
        1 => "the holding process".to_owned(),
        many => format!("the {many} holding processes"),
    };
    writeln!(
        out,
        "memory       user    {} a connection, private to {processes}",
        show(findings.user_memory())
    )?;
    let here = findings.targets.iter().all(is_here);
    let ends = if here { "both ends: the target is on this machine" } else { "this end" };
    let kernel = memory.kernel.and_then(|bytes| findings.per_connection(bytes));
    writeln!(out, "             kernel  {} a connection, {ends} (slab, stacks, page tables)", show(kernel))?;
    match &memory.target {
        None => Ok(()),
        Some(Ok(bytes)) => {
            let pids: Vec<String> = options.pids.iter().map(ToString::to_string).collect();
            let target = show(findings.per_connection(*bytes));
            writeln!(
                out,
                "             target  {target} a connection, private to {} and its children",
                pids.join(", ")
            )
        }
        Some(Err(why)) => writeln!(out, "             target  unknown: {why}"),
    }
}

fn size(bytes: f64) -> String {
    if bytes.abs() < 1024.0 { format!("{bytes:.0} B") } else { format!("{:.1} KiB", bytes / 1024.0) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hold::Kind;

    #[test]
    fn sizes_are_for_people() {
        assert_eq!((size(312.4).as_str(), size(9300.0).as_str()), ("312 B", "9.1 KiB"));
    }

    #[test]
    fn errors_are_named_by_kind() {
        let mut found = Kinds::default();
        assert_eq!(kinds(&found), "");
        found.add(Kind::TimedOut, 1200);
        found.add(Kind::Refused, 3);
        assert_eq!(kinds(&found), ": 3 refused, 1,200 timed out");
    }
}
