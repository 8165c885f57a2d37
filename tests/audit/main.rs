//! `oneloop lab audit` from outside: the real program, auditing our own generator, one that deceives itself, and commands that are
//! no generators at all.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test says with a panic what went wrong")]

#[path = "../support/mod.rs"]
mod support;

mod commands;
mod generators;

use serde_json::Value;

use support::{Ended, oneloop, run};

/// `oneloop lab audit OPTIONS -- COMMAND`.
fn audit(options: &[&str], command: &[&str]) -> Ended {
    let mut program = oneloop();
    program.args(["lab", "audit"]).args(options).arg("--").args(command);
    run(program)
}

/// What `--json` printed.
#[track_caller]
fn document(ended: &Ended) -> Value {
    let line = ended.stdout.last().unwrap_or_else(|| panic!("nothing on standard output; {}", ended.stderr));
    serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))
}

/// The row of one figure.
fn figure<'a>(document: &'a Value, name: &str) -> &'a Value {
    let rows = document["figures"].as_array().unwrap();
    rows.iter().find(|row| row["figure"] == name).unwrap_or_else(|| panic!("no {name}: {document}"))
}
