//! What the command may be, and how the audit ends.

use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::support::{PATIENCE, oneloop};
use crate::{audit, document};

/// Arguments, and what standard error must name: the value, and what would be accepted.
const REFUSED: &[(&[&str], &[&str])] = &[
    (&[], &["COMMAND"]),
    (&["--", "wrk"], &["'wrk'", "{url}", "--listen"]),
    (&["-d", "10", "--", "x", "{url}"], &["'10'", "10s"]),
    (&["-d", "50ms", "--", "x", "{url}"], &["'50ms'", "at least 100ms"]),
    (&["-d", "2h", "--", "x", "{url}"], &["'2h'", "at most 1h"]),
    (&["--stall", "500ms", "--", "x", "{url}"], &["'500ms'", "500msx3"]),
    (&["--stall", "1msx3", "--", "x", "{url}"], &["1ms", "expected 5ms to 60s"]),
    (&["--stall", "2sx5", "--", "x", "{url}"], &["5 stalls of 2s do not fit", "-d"]),
    (&["--stalls", "500ms", "--", "x", "{url}"], &["'500ms'", "500ms@2s"]),
    (&["--stalls", "2s@1s,1s@2s", "--", "x", "{url}"], &["at 2s begins before the one at 1s"]),
    (&["--stalls", "1s@1s", "--seed", "4", "--", "x", "{url}"], &["--seed", "--stalls"]),
    (&["--http", "--echo", "--", "x", "{url}"], &["--http", "--echo"]),
    (&["--listen", "localhost:0", "--", "x", "{url}"], &["'localhost:0'", "127.0.0.1:8080"]),
    (&["--tolerance", "-1", "--", "x", "{url}"], &["'-1'", "percent"]),
    (&["--timeout", "0", "--", "x", "{url}"], &["'0'", "more than 0"]),
];

#[test]
fn options_that_make_no_sense_are_refused_with_2() {
    for (arguments, expected) in REFUSED {
        let mut program = oneloop();
        program.args(["lab", "audit"]).args(*arguments);
        let ended = crate::support::run(program);
        assert_eq!(ended.status.code(), Some(2), "{arguments:?}: {}", ended.stderr);
        for text in *expected {
            assert!(ended.stderr.contains(text), "{arguments:?}: no {text} in: {}", ended.stderr);
        }
    }
}

#[test]
fn what_cannot_be_run_or_fails_or_is_no_client_ends_with_1() {
    for (command, expected) in [
        (&["oneloop-no-such-program", "{url}"][..], "there is no program 'oneloop-no-such-program'"),
        (&["/", "{url}"], "'/' "),
        (&["sh", "-c", "echo its words; exit 7", "{url}"], "sh failed (exit status: 7)"),
        (&["echo", "{url}"], "echo sent no request to 127.0.0.1:"),
    ] {
        let ended = audit(&["-d", "1s"], command);
        assert_eq!(ended.status.code(), Some(1), "{command:?}: {}", ended.stderr);
        assert!(ended.stderr.contains(expected), "{command:?}: {}", ended.stderr);
    }
    let ended = audit(&["-d", "1s"], &["sh", "-c", "echo its words; exit 7", "{url}"]);
    assert!(ended.stdout.contains(&"its words".to_owned()), "{:?}", ended.stdout);
}

#[test]
fn a_command_that_does_not_end_is_killed() {
    let begin = Instant::now();
    let ended = audit(&["-d", "1s", "--timeout", "300ms"], &["sleep", "300", "{url}"]);
    // sleep(1) may refuse the URL first; either way it is over, and not with 0.
    assert_eq!(ended.status.code(), Some(1));
    let ended = audit(&["-d", "1s", "--timeout", "300ms"], &["sh", "-c", "sleep 300", "{url}"]);
    assert_eq!(ended.status.code(), Some(1));
    assert!(ended.stderr.contains("--timeout gives it longer"), "{}", ended.stderr);
    assert!(begin.elapsed() < PATIENCE);
}

/// Speaks to the server without being a generator: bash has no sockets everywhere, `oneloop call` does.
fn one_message() -> [&'static str; 4] {
    [env!("CARGO_BIN_EXE_oneloop"), "call", "tcp://{host}:{port}", "hello"]
}

#[test]
fn an_output_that_is_not_understood_is_shown_beside_what_users_had() {
    let ended = audit(&["-d", "1s"], &one_message());
    let text = ended.stdout.join("\n");
    assert_eq!(ended.status.code(), Some(0), "{text}\n{}", ended.stderr);
    for part in ["---- what it printed\nhello\n---- end", "5 bytes echoed", "verdict     NOT UNDERSTOOD"] {
        assert!(text.contains(part), "no {part:?} in:\n{text}");
    }
    let ended = audit(&["-d", "1s", "--expect-honest"], &one_message());
    assert_eq!(ended.status.code(), Some(3), "it cannot be told");
}

#[test]
fn json_has_the_documented_fields_and_the_seed_decides() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/audit-json.md");
    let page = std::fs::read_to_string(page).unwrap();
    let of = |seed: &str| document(&audit(&["-d", "1s", "--json", "--seed", seed], &one_message()));
    let document = of("7");
    assert_eq!(document["schema"], "oneloop.audit/1");
    let mut left = vec![&document];
    while let Some(value) = left.pop() {
        match value {
            Value::Object(fields) => {
                for (name, value) in fields {
                    assert!(page.contains(&format!("`{name}`")), "docs/audit-json.md has no `{name}`");
                    left.push(value);
                }
            }
            Value::Array(values) => left.extend(values),
            _ => {}
        }
    }
    assert_eq!((&document["ending"], &document["exit_status"]), (&"ended".into(), &0.into()));
    assert_eq!(document["output"], "hello\n");
    assert_eq!(document["server"]["bytes"], 5);
    let moments = |document: &Value| document["schedule"]["stalls"].clone();
    assert_eq!(moments(&document), moments(&of("7")));
    assert_ne!(moments(&document), moments(&of("8")));
}

#[test]
fn interrupted_it_ends_the_command_and_reports() {
    let mut program = oneloop();
    program.args(["lab", "audit", "-d", "60s", "--json", "--", "sh", "-c"]);
    // It ends when its parent does, if nobody ends it: its standard output is closed then.
    program.args(["echo begun; while :; do sleep 0.1; done", "{url}"]);
    let child = program.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let begin = Instant::now();
    let group = loop {
        if let Some(group) = child_of(child.id()) {
            break group;
        }
        assert!(begin.elapsed() < PATIENCE);
    };
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let ended = child.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(130));
    let text = String::from_utf8(ended.stdout).unwrap();
    let document: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(document["ending"], "stopped");
    assert!(!std::path::Path::new(&format!("/proc/{group}")).exists(), "{group} lives");
    assert!(begin.elapsed() < Duration::from_secs(50), "nobody waits for the end of the run");
}

/// The first child of a process (proc(5)).
fn child_of(pid: u32) -> Option<u32> {
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).ok()?;
    children.split_whitespace().next()?.parse().ok()
}
