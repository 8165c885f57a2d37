//! The lab in words: what a person reads, line by line.

use super::child::Record;
use crate::lab::{Entry, GROUPS, Line, Verdict};

/// Where texts are broken.
const WIDTH: usize = 110;

/// `text` broken at blanks, each line after `indent`.
pub(super) fn wrapped(text: &str, first: &str, indent: &str) -> String {
    let (mut all, mut line) = (String::new(), first.to_owned());
    let mut is_empty = true;
    for word in text.split(' ') {
        if !is_empty && line.chars().count() + 1 + word.chars().count() > WIDTH {
            all += line.trim_end();
            all.push('\n');
            line = indent.to_owned();
            is_empty = true;
        }
        if !is_empty {
            line.push(' ');
        }
        line += word;
        is_empty = false;
    }
    all + line.trim_end() + "\n"
}

/// `oneloop lab list`.
pub(super) fn list() -> String {
    let mut text = String::new();
    for group in GROUPS {
        let entries = group.experiments();
        if entries.is_empty() {
            continue;
        }
        text += &format!("{} {}: {}\n", group.letter, group.name, group.title);
        for entry in entries {
            let kind = if entry.experiment.core { "core" } else { "" };
            text += &format!("  {}  {kind:4}  {}\n", entry.experiment.id, entry.experiment.title);
        }
        text.push('\n');
    }
    let core = crate::lab::all().filter(|entry| entry.experiment.core).count();
    text + &format!(
        "{} experiments, {core} of them core. `oneloop lab run` runs them, `oneloop lab show ID` explains one.\n",
        crate::lab::all().count()
    )
}

/// `oneloop lab show`.
pub(super) fn explanation(entry: &Entry, with_source: bool) -> String {
    let one = entry.experiment;
    let mut text = format!("{}  {}  {}\n", one.id, entry.kind(), one.title);
    text += &format!("  group   {} ({})\n", entry.group.name, entry.group.title);
    text += &wrapped(one.claim, "  claim   ", "          ");
    text += &wrapped(one.why, "  why     ", "          ");
    text += &wrapped(one.source, "  source  ", "          ");
    for need in one.needs {
        text += &format!("  needs   {}\n", need.to_string().trim_start_matches("needs "));
    }
    text += &format!("  code    {}, {}\n  steps\n", entry.page.path, entry.function());
    for (number, step) in (1..).zip(entry.steps()) {
        text += &wrapped(&step, &format!("  {number:4}. "), "        ");
    }
    if with_source {
        text += &format!("\n{}\n", entry.code());
    }
    text
}

/// The lines before an experiment's own.
pub(super) fn heading(entry: &Entry) -> String {
    let one = entry.experiment;
    format!("{}  {}  {}\n", one.id, entry.kind(), one.title) + &wrapped(one.claim, "  claim: ", "         ")
}

/// One line of the notebook; `steps` counts the steps.
pub(super) fn line(line: &Line, steps: &mut usize) -> String {
    match line {
        Line::Step { text } => {
            *steps += 1;
            wrapped(text, &format!("  {steps}. "), "     ")
        }
        Line::Call { call, result } => format!("       {call:54}  -> {result}\n"),
        Line::Observed(seen) if seen.observed == seen.claimed => {
            format!("     = {}: {}, as claimed\n", seen.what, seen.observed)
        }
        Line::Observed(seen) if seen.held => {
            format!("     = {}: {}; claimed {}\n", seen.what, seen.observed, seen.claimed)
        }
        Line::Observed(seen) => {
            format!("     ! {}: OBSERVED {}; CLAIMED {}\n", seen.what, seen.observed, seen.claimed)
        }
        Line::Number(number) => {
            format!(
                "     ~ {}: {} (depends on {}; not asserted)\n",
                number.name, number.value, number.depends_on
            )
        }
        Line::Verdict { .. } => String::new(),
    }
}

/// The last line of an experiment.
pub(super) fn ending(record: &Record) -> String {
    match record.verdict {
        Verdict::Pass => "  PASS\n\n".to_owned(),
        other => wrapped(&record.reason, &format!("  {other}: "), "        ") + "\n",
    }
}

/// Everything about one that has run.
pub(super) fn transcript(record: &Record) -> String {
    let mut steps = 0;
    let lines: String = record.lines.iter().map(|one| line(one, &mut steps)).collect();
    heading(&record.entry) + &lines + &ending(record)
}

/// One line about one that has run; everything if it failed.
pub(super) fn brief(record: &Record) -> String {
    let one = record.entry.experiment;
    let why = if record.verdict == Verdict::Skip { format!(" ({})", record.reason) } else { String::new() };
    let text = format!("{}  {}  {}{why}\n", record.verdict, one.id, one.title);
    if record.verdict == Verdict::Fail { text + &transcript(record) } else { text }
}

/// The end of a run.
pub(super) fn summary(records: &[Record], seconds: f64) -> String {
    let of = |verdict| records.iter().filter(move |record| record.verdict == verdict);
    let mut text = String::new();
    for record in of(Verdict::Skip).chain(of(Verdict::Fail)) {
        text += &format!("{}  {}: {}\n", record.verdict, record.entry.experiment.id, record.reason);
    }
    text + &format!(
        "{} experiments: {} passed, {} failed, {} skipped, in {seconds:.1} s\n",
        records.len(),
        of(Verdict::Pass).count(),
        of(Verdict::Fail).count(),
        of(Verdict::Skip).count(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_broken_at_blanks() {
        assert_eq!(wrapped("a b", "  x: ", "     "), "  x: a b\n");
        let long = ["word"; 40].join(" ");
        let text = wrapped(&long, "1. ", "   ");
        assert_eq!(text.lines().count(), 2);
        assert!(text.lines().all(|line| line.len() <= WIDTH), "{text}");
        assert_eq!(text.split_whitespace().filter(|word| *word == "word").count(), 40);
    }
}
