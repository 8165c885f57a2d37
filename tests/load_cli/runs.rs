//! Whole runs: what they print, and how they end.

use std::io::{BufRead, BufReader, Read};
use std::net::TcpListener;
use std::process::{Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::support::*;

fn load(url: &str, arguments: &[&str]) -> Command {
    let mut command = oneloop();
    command.args(["load", url]).args(arguments);
    command
}

fn url(server: &Server) -> String {
    format!("tcp://{}", server.address())
}

/// On a busy machine a run need not be valid.
fn assert_ran(ended: &Ended) {
    let code = ended.status.code();
    assert!(code == Some(0) || code == Some(5), "{code:?}: {}", ended.stderr);
}

#[test]
fn a_run_is_reported_as_text_and_as_json() {
    let server = Server::start(&["echo"]);
    let ended = run(load(&url(&server), &["-c", "4", "-r", "500", "-n", "50", "--fail-if", "errors>9"]));
    assert_ran(&ended);
    assert!(
        ended.stdout[0].starts_with(&format!("load {}   4 connections   offered 500 msg/s   ", url(&server)))
    );
    assert_eq!(ended.stdout.last().map(String::as_str), Some("expectations PASS errors>9 (was 0)"));

    let ended = run(load(&url(&server), &["-c", "4", "-r", "500", "-n", "50", "--json"]));
    assert_ran(&ended);
    assert_eq!(ended.stdout.len(), 1);
    let object: Value = serde_json::from_str(&ended.stdout[0]).unwrap();
    assert_eq!((&object["schema"], &object["requests"]), (&"oneloop.load/1".into(), &50.into()));
    assert_eq!((&object["verified"], &object["mismatches"]), (&50.into(), &0.into()));
}

#[test]
fn an_expectation_that_fails_ends_with_3_and_a_wrong_server_is_found_out() {
    let server = Server::start(&["ack", "--reply", &"x".repeat(64)]);
    let ended = run(load(
        &url(&server),
        &["-c", "1", "-r", "20", "-n", "3", "--timeout", "1s", "--fail-if", "mismatches>0"],
    ));
    let text = ended.stdout.join("\n");
    assert!(text.contains("WRONG BYTES") && text.contains("FAIL mismatches>0 (was "), "{text}");
    assert!(matches!(ended.status.code(), Some(3 | 5)), "{text}");
}

#[test]
fn a_run_is_logged_and_drawn() {
    let server = Server::start(&["echo"]);
    let path = |name: &str| std::env::temp_dir().join(format!("oneloop-load-{}-{name}", std::process::id()));
    let (log, plot) = (path("log"), path("plot"));
    let mut command = load(&url(&server), &["-c", "4", "-r", "500", "-n", "50"]);
    command.arg("--hlog").arg(&log).arg("--plot").arg(&plot);
    let ended = run(command);
    let written = [&log, &plot].map(|path| std::fs::read_to_string(path).unwrap());
    for path in [log, plot] {
        std::fs::remove_file(path).unwrap();
    }
    assert_ran(&ended);
    assert!(
        written[0].starts_with("# oneloop load: ") && written[0].contains("Tag=service"),
        "{}",
        written[0]
    );
    assert!(written[1].starts_with("<svg ") && written[1].ends_with("</svg>\n"), "{}", written[1]);
    assert!(written[1].contains(&format!(">load {}<", url(&server))), "{}", written[1]);
}

#[test]
fn nobody_there_is_1() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("tcp://{}", listener.local_addr().unwrap());
    drop(listener);
    let ended = run(load(&url, &["-n", "1", "-c", "1"]));
    assert_eq!(ended.status.code(), Some(1));
    assert!(ended.stderr.contains(&url) && ended.stderr.contains("refused"), "{}", ended.stderr);
}

#[test]
fn an_interrupted_run_prints_what_it_found_and_ends_with_130() {
    let server = Server::start(&["echo"]);
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let mut command =
            load(&url(&server), &["-c", "1", "-r", "50", "-d", "1h", "--warmup", "0", "--json-stream"]);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut first = String::new();
        stdout.read_line(&mut first).unwrap();
        kill_process(Pid::from_child(&child), signal).unwrap();
        let mut rest = String::new();
        stdout.read_to_string(&mut rest).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(code));
        assert!(
            first.starts_with(r#"{"schema":"oneloop.load.second/1","second":1,"warmup":false,"#),
            "{first}"
        );
        let last: Value = serde_json::from_str(rest.lines().last().unwrap()).unwrap();
        assert_eq!((&last["schema"], &last["verdict"]), (&"oneloop.load/1".into(), &"interrupted".into()));
    }
}

#[test]
fn a_reader_that_goes_away_ends_the_run_with_0() {
    let server = Server::start(&["echo"]);
    let mut command =
        load(&url(&server), &["-c", "1", "-r", "50", "-d", "1h", "--warmup", "0", "--json-stream", "-q"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    stdout.read_line(&mut String::new()).unwrap();
    drop(stdout);
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), &b""[..]));
}
