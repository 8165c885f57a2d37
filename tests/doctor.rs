//! `oneloop doctor` from outside: the real program on the machine at hand.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test says with a panic what went wrong")]

#[path = "support/mod.rs"]
mod support;

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use oneloop::doctor::{Counter, Counters, delta};
use serde_json::Value;
use socket2::{Domain, Socket, Type};

use crate::support::*;

fn doctor(arguments: &[&str]) -> Ended {
    let mut command = oneloop();
    command.arg("doctor").args(arguments);
    run(command)
}

fn json(arguments: &[&str]) -> (Ended, Value) {
    let ended = doctor(&[arguments, &["--json"]].concat());
    assert_eq!(ended.stdout.len(), 1, "one line: {:?} {}", ended.stdout, ended.stderr);
    let document = serde_json::from_str(&ended.stdout[0]).unwrap();
    (ended, document)
}

fn check<'a>(document: &'a Value, limit: &str) -> &'a Value {
    let checks = document["checks"].as_array().unwrap();
    checks.iter().find(|check| check["limit"] == limit).unwrap_or_else(|| panic!("no {limit} in {document}"))
}

#[test]
fn a_few_connections_are_possible() {
    let ended = doctor(&["-c", "10"]);
    let text = ended.stdout.join("\n");
    assert_eq!((ended.status.code(), ended.stderr.as_str()), (Some(0), ""), "{text}");
    assert!(text.contains("enough for 10 connections"), "{text}");
    assert!(!text.contains("STOPS"), "{text}");
}

#[test]
fn a_hundred_million_are_not_and_the_limit_is_named() {
    let ended = doctor(&["-c", "100m"]);
    let text = ended.stdout.join("\n");
    assert_eq!((ended.status.code(), ended.stderr.as_str()), (Some(4), ""), "{text}");
    assert!(ended.stdout[1].contains("NOT enough for 100,000,000 connections: "), "{text}");
    assert!(ended.stdout[1].contains(" stop"), "{text}");
    assert!(text.contains("STOPS   ") && text.contains("with root"), "{text}");
}

#[test]
fn ports_stop_where_the_system_says_and_sources_help() {
    let Ok(range) = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range") else { return };
    let range: Vec<u64> = range.split_whitespace().map(|word| word.parse().unwrap()).collect();
    let most = range[1] - range[0] + 1;
    let (_, document) = json(&["-c", "1m", "--role", "client"]);
    let ports = check(&document, "tcp_ports");
    assert_eq!(ports["verdict"], "stops");
    assert!(ports["most"].as_u64().is_some_and(|found| found <= most), "{ports}");
    let remedy = ports["remedies"]["without_root"][0]["action"].as_str().unwrap();
    let arguments: Vec<&str> = remedy.split(' ').collect();
    let (_, document) = json(&[&["-c", "1m", "--role", "client"], &arguments[..]].concat());
    assert_ne!(check(&document, "tcp_ports")["verdict"], "stops", "{remedy}");
}

#[test]
fn json_has_the_documented_fields() {
    let (ended, document) = json(&["-c", "100m", "--target", "tcp://127.0.0.1:1", "--target", "unix:/a"]);
    assert_eq!(ended.status.code(), Some(4));
    let help = doctor(&["--help"]).stdout.join("\n");
    for (object, fields) in [
        (
            &document,
            &[
                "schema",
                "connections",
                "role",
                "model",
                "targets",
                "sources",
                "processes",
                "possible",
                "stopped_by",
                "first_limit",
                "most",
                "checks",
                "host",
            ][..],
        ),
        (&document["targets"], &["tcp", "udp", "unix"]),
        (&document["processes"], &["client", "server"]),
        (&document["host"], &["kernel", "cpus"]),
        (
            &document["checks"][0],
            &[
                "limit", "name", "setting", "unit", "needed", "there", "most", "known", "effect", "verdict",
                "why", "remedies",
            ],
        ),
        (&document["checks"][0]["remedies"], &["without_root", "with_root"]),
    ] {
        let found: Vec<&String> = object.as_object().unwrap().keys().collect();
        assert_eq!(found.len(), fields.len(), "{found:?}");
        for field in fields {
            assert!(object.get(field).is_some() && help.contains(field), "{field} in {object}");
        }
    }
    assert!(ended.stdout[0].starts_with(r#"{"schema":"oneloop.doctor/1","#));
    assert_eq!((&document["connections"], &document["possible"]), (&100_000_000.into(), &false.into()));
    assert_eq!((&document["targets"]["tcp"], &document["targets"]["unix"]), (&1.into(), &1.into()));
    assert_eq!(document["stopped_by"], document["checks"][0]["limit"]);
}

#[test]
fn a_low_descriptor_limit_wants_more_processes_and_stops_one() {
    let limited = |arguments: &str| {
        let mut command = Command::new("sh");
        let script = format!("ulimit -n 164 && exec \"$0\" doctor -c 250 --role server --json {arguments}");
        command.args(["-c", &script, env!("CARGO_BIN_EXE_oneloop")]);
        let ended = run(command);
        (ended.status.code(), serde_json::from_str::<Value>(&ended.stdout[0]).unwrap())
    };
    let (code, document) = limited("");
    assert_eq!((code, &document["processes"]["server"]), (Some(0), &3.into()), "{document}");
    let remedies = &check(&document, "descriptors")["remedies"];
    assert_eq!(remedies["without_root"][0]["action"], "serve --workers 3");
    let (code, document) = limited("--processes 2");
    assert_eq!(code, Some(4), "{document}");
    assert_eq!((&document["stopped_by"], &document["most"]), (&"descriptors".into(), &200.into()));
}

#[test]
fn a_full_listen_queue_is_found_in_the_counters() {
    let before = Counters::read(Path::new("/"));
    if before.of(Counter::ListenOverflows).is_none() {
        eprintln!("SKIPPED: this machine has no /proc/net/netstat");
        return;
    }
    let stream = || Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let listener = stream();
    listener.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    listener.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let crowd: Vec<Socket> = (0..8).map(|_| stream()).collect();
    for client in &crowd {
        client.set_nonblocking(true).unwrap();
        let _ = client.connect(&address);
    }
    let until = Instant::now() + PATIENCE;
    let found = loop {
        let found = delta(&before, &Counters::read(Path::new("/")));
        if found.iter().any(|finding| finding.counter == Counter::ListenOverflows) || Instant::now() > until {
            break found;
        }
    };
    let text = found.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    assert!(text.contains("listen queue overflowed ") && text.contains("somaxconn "), "{text}");
}

/// Arguments, and what standard error must name: the value, and what would be accepted.
const REFUSED: &[(&[&str], &[&str])] = &[
    (&[], &["--connections <COUNT>"]),
    (&["-c", "0"], &["'0'", "at least 1"]),
    (&["-c", "many"], &["'many'", "10k"]),
    (&["-c", "-5"], &["'-5'", "10k"]),
    (&["-c", "1", "--role", "peer"], &["'peer'", "client, server, both"]),
    (&["-c", "1", "--model", "spin"], &["'spin'", "loop, threads"]),
    (&["-c", "1", "--role", "client", "--model", "threads"], &["'--model'", "--role server"]),
    (&["-c", "1", "--role", "server", "--source", "127.0.0.1"], &["'--source'", "--role client"]),
    (&["-c", "1", "--target", "unix:/a", "--source", "127.0.0.1"], &["'--source'", "Unix sockets"]),
    (&["-c", "1", "--target", "tcp://127.0.0.1:1", "--source", "::1"], &["'tcp://127.0.0.1:1'", "IPv4"]),
    (&["-c", "1", "--target", "https://a:1"], &["'https://a:1'", "tcp://HOST:PORT"]),
    (&["-c", "1", "--source", "127.0.0.9-127.0.0.1"], &["'127.0.0.9-127.0.0.1'", "smaller one first"]),
    (&["-c", "1", "--processes", "0"], &["'0'", "at least 1"]),
];

#[test]
fn options_that_make_no_sense_are_refused_with_2() {
    for (arguments, expected) in REFUSED {
        let ended = doctor(arguments);
        assert_eq!(ended.status.code(), Some(2), "{arguments:?}: {}", ended.stderr);
        assert_eq!(ended.stdout, [""; 0], "{arguments:?}");
        for text in *expected {
            assert!(ended.stderr.contains(text), "{arguments:?}: no {text} in: {}", ended.stderr);
        }
    }
}
