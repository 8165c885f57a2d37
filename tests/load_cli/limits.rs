//! Limits of the machine, made small on purpose: what doctor says, and what a run says that was forced all the same.

use std::process::Command;

use serde_json::Value;

use crate::support::*;

const PROGRAM: &str = env!("CARGO_BIN_EXE_oneloop");

/// A shell with 60 descriptors, in which `$0` is the program.
fn with_few_descriptors(arguments: &str) -> Ended {
    let mut command = Command::new("sh");
    command.args(["-c", &format!("ulimit -n 60 && exec \"$0\" load {arguments}"), PROGRAM]);
    run(command)
}

#[test]
fn too_few_descriptors_are_known_before_the_run_and_counted_when_it_is_forced() {
    let server = Server::start(&["echo"]);
    let url = format!("tcp://{}", server.address());
    let refused = with_few_descriptors(&format!("{url} -c 100 -d 1s"));
    assert_eq!(refused.status.code(), Some(4), "{}", refused.stderr);
    assert!(refused.stderr.contains("descriptors per process"), "{}", refused.stderr);
    assert!(refused.stdout.is_empty());

    let forced = with_few_descriptors(&format!("{url} -c 100 -n 1000 -q --force --json"));
    let report: Value = serde_json::from_str(&forced.stdout[0]).unwrap();
    let opened = report["connections"]["opened"].as_u64().unwrap();
    assert!((30..60).contains(&opened), "{report}");
    assert_eq!(report["errors"]["descriptor_limit"].as_u64(), Some(100 - opened), "{report}");
    assert_eq!(report["requests"].as_u64(), Some(1000), "those that were made did the work");
}

#[test]
fn too_few_ports_are_known_before_the_run_and_counted_when_it_is_forced() {
    let Some(refused) = with_fifty_ports("\"$0\" load $url -c 80 -d 1s") else { return };
    assert_eq!(refused.status.code(), Some(4), "{}", refused.stderr);
    assert!(refused.stderr.contains("--source 127.0.0.2-127.0.0.3"), "{}", refused.stderr);

    let forced = with_fifty_ports("\"$0\" load $url -c 80 -n 1000 -q --force --json").unwrap();
    let report: Value = serde_json::from_str(&forced.stdout[0]).unwrap();
    let exhausted = report["errors"]["address_exhausted"].as_u64().unwrap();
    assert!((30..40).contains(&exhausted), "{report}");
    assert_eq!(report["connections"]["address_exhausted"].as_u64(), Some(exhausted));
    assert_eq!(report["requests"].as_u64(), Some(1000));

    // Two sources have twice the ports.
    let cured = "\"$0\" load $url -c 80 -n 1000 -q --source 127.0.0.2-127.0.0.3 --json";
    let cured = with_fifty_ports(cured).unwrap();
    let report: Value = serde_json::from_str(&cured.stdout[0]).unwrap();
    let found = (report["connections"]["opened"].as_u64(), report["errors"]["address_exhausted"].as_u64());
    assert_eq!(found, (Some(80), Some(0)), "{report}");
}
