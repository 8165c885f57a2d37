//! `oneloop lab` from outside: the real program, on the kernel at hand.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test says with a panic what went wrong")]

#[path = "support/mod.rs"]
mod support;

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use oneloop::lab;
use serde_json::Value;

use crate::support::*;

fn lab(arguments: &[&str]) -> Ended {
    let mut command = oneloop();
    command.arg("lab").args(arguments);
    run(command)
}

fn succeeds(arguments: &[&str]) -> String {
    let ended = lab(arguments);
    let text = ended.stdout.join("\n");
    assert_eq!((ended.status.code(), ended.stderr.as_str()), (Some(0), ""), "{text}");
    text
}

fn complains(arguments: &[&str]) -> String {
    let ended = lab(arguments);
    assert_eq!((ended.status.code(), ended.stdout.len()), (Some(2), 0), "{}", ended.stderr);
    ended.stderr
}

fn json(arguments: &[&str]) -> Value {
    let ended = lab(&[&["run", "--json"], arguments].concat());
    assert_eq!(ended.stdout.len(), 1, "one line: {:?} {}", ended.stdout, ended.stderr);
    serde_json::from_str(&ended.stdout[0]).unwrap()
}

/// A folder of the test's own, which is removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = env::temp_dir().join(format!("oneloop-lab-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn write(&self, name: &str, text: &str) -> String {
        let path = self.0.join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn every_experiment_holds_on_this_machine() {
    let document = json(&[]);
    let experiments = document["experiments"].as_array().unwrap();
    assert_eq!(experiments.len(), lab::all().count());
    let is_ci = env::var_os("CI").is_some() && document["host"]["private_network"] == true;
    for one in experiments {
        match one["verdict"].as_str().unwrap() {
            "pass" => {}
            "skip" => {
                eprintln!("skipped: {} {}", one["id"], one["reason"]);
                assert!(!(is_ci && one["core"] == true), "a core experiment was skipped under CI: {one:#}");
            }
            _ => panic!("{one:#}"),
        }
    }
}

#[test]
fn json_has_the_documented_fields_and_no_other() {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/lab-json.md")).unwrap();
    let document = json(&["M06"]);
    assert_eq!(document["schema"], "oneloop.lab/1");
    let one = &document["experiments"][0];
    for object in
        [&document, &document["host"], one, &one["observed"][0], &one["calls"][0], &one["numbers"][0]]
    {
        for name in object.as_object().unwrap().keys() {
            assert!(page.contains(&format!("`{name}`")), "docs/lab-json.md does not explain {name}");
        }
    }
    let fields: Vec<&str> = one.as_object().unwrap().keys().map(String::as_str).collect();
    for name in [
        "id", "group", "core", "title", "claim", "verdict", "reason", "observed", "calls", "numbers",
        "took_ms",
    ] {
        assert!(fields.contains(&name), "{name} is missing: {one}");
    }
    assert_eq!((&one["id"], &one["group"], &one["core"]), (&"M06".into(), &"modes".into(), &true.into()));
    assert_eq!((&one["verdict"], &one["reason"]), (&"pass".into(), &Value::Null));
    assert_eq!(one["calls"][0]["result"], "EAGAIN");
}

#[test]
fn the_list_names_every_experiment_and_is_what_comes_without_a_command() {
    let list = succeeds(&["list"]);
    for entry in lab::all() {
        assert!(list.contains(entry.experiment.id) && list.contains(entry.experiment.title), "{list}");
    }
    assert_eq!(list, succeeds(&[]));
}

#[test]
fn what_is_shown_is_in_the_code_and_nothing_is_run() {
    let text = succeeds(&["show", "m09"]);
    for part in ["M09  core", "SO_LINGER", "socket(7)", "close_waits_with_linger", "1. A non-blocking socket"]
    {
        assert!(text.contains(part), "no {part}: {text}");
    }
    assert!(!text.contains("PASS") && !text.contains("fn close_waits"), "{text}");
    let text = succeeds(&["show", "M09", "--source"]);
    assert!(
        text.contains("fn close_waits_with_linger(lab: &mut Lab)") && text.contains("fn full_pair("),
        "{text}"
    );
}

#[test]
fn a_run_prints_claim_steps_calls_and_observations() {
    let text = succeeds(&["run", "M06"]);
    for part in [
        "M06  core  MSG_DONTWAIT",
        "claim: On a blocking socket",
        "1. recv on a blocking socket",
        "recv(c, 16, MSG_DONTWAIT)",
        "-> EAGAIN",
        "= accept4 with MSG_DONTWAIT: EINVAL, as claimed",
        "~ bytes it took until it was full: ",
        "not asserted",
        "  PASS",
        "1 experiments: 1 passed, 0 failed, 0 skipped",
    ] {
        assert!(text.contains(part), "no '{part}': {text}");
    }
    let brief = succeeds(&["run", "M", "--core", "--brief"]);
    assert!(!brief.contains("claim") && brief.contains("\nPASS  M09  "), "{brief}");
    assert!(!brief.contains("M07"), "{brief}");
}

#[test]
fn every_step_waits_when_it_is_to_be_slow() {
    let begun = std::time::Instant::now();
    let text = succeeds(&["run", "M07", "--slow=120ms"]);
    assert!(begun.elapsed() >= std::time::Duration::from_millis(360), "three steps");
    assert!(text.contains("  3. By ioctl(2)") && text.contains("PASS"), "{text}");
}

#[test]
fn what_is_unknown_is_a_usage_error_that_names_what_is_near() {
    let text = complains(&["run", "M05", "M77"]);
    assert!(text.contains("no experiment 'M77'; near it are M06, M07, M08, M09"), "{text}");
    assert!(complains(&["show", "modes"]).contains("an ID is like M05"));
    assert!(complains(&["run", "--json", "--slow", "M05"]).contains("cannot be used with"));
    assert!(complains(&["run", "M04", "--core"]).contains("leave out '--core'"));
}

/// The self-test's experiments go wrong on purpose.
#[test]
fn what_goes_wrong_fails_with_the_reason_and_exit_code_3() {
    for (id, reason) in [
        ("T01", "two and two: claimed 5, observed 4"),
        ("T02", "it did not end within 10 s"),
        ("T03", "its process ended without a verdict: exit status: 101"),
        ("T04", "the experiment itself broke at open(nothing): ENOENT: "),
    ] {
        let ended = lab(&["run", "--json", id]);
        assert_eq!(ended.status.code(), Some(3), "{id}");
        let document: Value = serde_json::from_str(&ended.stdout[0]).unwrap();
        let one = &document["experiments"][0];
        assert_eq!(one["verdict"], "fail");
        assert!(one["reason"].as_str().unwrap().starts_with(reason), "{one:#}");
    }
    let ended = lab(&["run", "T01", "M07"]);
    let text = ended.stdout.join("\n");
    assert_eq!(ended.status.code(), Some(3), "{text}");
    assert!(text.contains("! two and two: OBSERVED 4; CLAIMED 5"), "{text}");
    assert!(text.contains("FAIL  T01: two and two: claimed 5, observed 4"), "{text}");
    assert!(text.contains("2 experiments: 1 passed, 1 failed, 0 skipped"), "{text}");
    let text = succeeds(&["run", "T05", "--brief"]);
    assert!(text.contains("SKIP  T05  It is skipped (needs luck; there is ENOENT)"), "{text}");
}

/// What it wrote before it died is kept.
#[test]
fn a_transcript_survives_the_end_of_its_process() {
    let ended = lab(&["run", "T03"]);
    let text = ended.stdout.join("\n");
    assert!(text.contains("1. A panic") && text.contains("= two and two: 4, as claimed"), "{text}");
}

#[test]
fn two_runs_are_compared() {
    let folder = Folder::new("diff");
    let document = json(&["M05", "M06"]);
    let here = folder.write("a.json", &document.to_string());
    assert!(
        succeeds(&["diff", &here, &here])
            .ends_with("2 experiments in both: 2 with the same verdict, 0 with another")
    );
    let mut other = document;
    other["host"]["kernel"] = "9.9".into();
    let one = &mut other["experiments"][0];
    (one["verdict"], one["reason"]) = ("fail".into(), "it differs".into());
    (one["observed"][0]["held"], one["observed"][0]["observed"]) = (false.into(), "clear".into());
    other["experiments"][1]["id"] = "M99".into();
    let there = folder.write("b.json", &other.to_string());
    let text = succeeds(&["diff", &here, &there]);
    for part in [
        "B  Linux 9.9",
        "PASS | FAIL (it differs)",
        "O_NONBLOCK of c, set on its duplicate: as claimed | clear",
        "M06  only in A",
        "M99  only in B",
        "1 experiments in both: 0 with the same verdict, 1 with another",
    ] {
        assert!(text.contains(part), "no '{part}': {text}");
    }
    for (name, content, why) in [
        ("c.json", "{}", "is not what `oneloop lab run --json` prints"),
        (
            "d.json",
            &other.to_string().replace("oneloop.lab/1", "oneloop.lab/2"),
            "its schema is 'oneloop.lab/2'",
        ),
    ] {
        let ended = lab(&["diff", &here, &folder.write(name, content)]);
        assert_eq!(ended.status.code(), Some(1));
        assert!(ended.stderr.contains(why), "{}", ended.stderr);
    }
}

#[test]
fn the_pages_are_what_the_code_says() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/lab");
    let folder = Folder::new("docs");
    folder.write("README.md", &fs::read_to_string(docs.join("README.md")).unwrap());
    succeeds(&["docs", folder.0.to_str().unwrap()]);
    let pages = |path: &Path| {
        let mut pages: Vec<(String, String)> = fs::read_dir(path)
            .unwrap()
            .map(|entry| entry.unwrap())
            .map(|entry| {
                (entry.file_name().into_string().unwrap(), fs::read_to_string(entry.path()).unwrap())
            })
            .collect();
        pages.sort();
        pages
    };
    let (written, kept) = (pages(&folder.0), pages(&docs));
    assert_eq!(written.len(), kept.len(), "run: oneloop lab docs docs/lab");
    for (new, old) in written.iter().zip(&kept) {
        assert!(new == old, "docs/lab/{} is not what the code says; run: oneloop lab docs docs/lab", old.0);
    }
}

#[test]
fn the_commands_for_our_own_children_say_so_to_anybody_else() {
    let mut command = oneloop();
    command.args(["lab-one", "M07"]);
    let ended = run(command);
    assert_eq!(ended.status.code(), Some(1));
    assert!(ended.stderr.contains("for oneloop's own children"), "{}", ended.stderr);
}
