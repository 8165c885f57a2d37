//! `oneloop hold`, with the program itself on both sides.

#![allow(clippy::print_stderr, reason = "a test that is skipped says so")]

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::process::Command;
use std::thread;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use support::*;

/// `oneloop hold ARGS`, begun.
fn hold(args: &[&str]) -> Server {
    let mut command = oneloop();
    command.arg("hold").args(args);
    Server::start_command(command)
}

/// The same with at most `descriptors` open files, hard limit included.
fn hold_limited(descriptors: u32, args: &[&str]) -> Server {
    let mut command = Command::new("sh");
    command.env_remove("RUST_LOG");
    command.args(["-c", &format!("ulimit -n {descriptors} && exec \"$0\" hold \"$@\"")]);
    command.arg(env!("CARGO_BIN_EXE_oneloop")).args(args);
    Server::start_command(command)
}

fn url(address: SocketAddr) -> String {
    format!("tcp://{address}")
}

/// The object printed.
#[track_caller]
fn object(ended: &Ended) -> Value {
    match serde_json::from_str(&ended.stdout.join("\n")) {
        Ok(object) => object,
        Err(error) => panic!("{error}: {:?}; {}", ended.stdout, ended.stderr),
    }
}

/// The fields of `connections` that are not 0.
fn connections(object: &Value) -> BTreeMap<String, u64> {
    let all = object["connections"].as_object().expect("an object").iter();
    all.filter_map(|(name, count)| Some((name.clone(), count.as_u64().filter(|count| *count > 0)?))).collect()
}

fn counts<const N: usize>(expected: [(&str, u64); N]) -> BTreeMap<String, u64> {
    expected.into_iter().map(|(name, count)| (name.to_owned(), count)).collect()
}

/// Echoes the first message of each connection, then does with it as `go_on` says of its number.
fn echo_once(go_on: impl Fn(u32) -> bool + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    thread::spawn(move || {
        for (number, stream) in (0..).zip(listener.incoming().map_while(Result::ok)) {
            let go_on = go_on(number);
            let mut stream = stream;
            thread::spawn(move || {
                let mut message = [0; 64];
                while let Ok(count @ 1..) = stream.read(&mut message) {
                    if stream.write_all(&message[..count]).is_err() || !go_on {
                        return;
                    }
                }
            });
        }
    });
    address
}

#[test]
fn two_hundred_connections_are_opened_held_and_survive() {
    let server = Server::start(&[]);
    let pid = server.pid().as_raw_nonzero().to_string();
    let ended = hold(&[&url(server.address()), "-c200", "--for=100ms", "--json", "--pid", &pid]).wait();
    assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
    let first = "{\"schema\":\"oneloop.hold/1\",";
    assert!(ended.stdout.len() == 1 && ended.stdout[0].starts_with(first), "{:?}", ended.stdout);
    let object = object(&ended);
    assert_eq!(object["target"], url(server.address()));
    assert_eq!(connections(&object), counts([("wanted", 200), ("opened", 200), ("survived", 200)]));
    let connect =
        |name: &str| object["connect_us"][name].as_f64().unwrap_or_else(|| panic!("no {name}: {object}"));
    let ordered = ["min", "p50", "p90", "p99", "p999", "max"].map(connect);
    assert!(ordered.is_sorted() && ordered[0] > 0.0 && connect("mean") <= ordered[5], "{object}");
    for name in
        ["user_bytes_per_connection", "kernel_bytes_per_connection", "target_user_bytes_per_connection"]
    {
        assert!(object["memory"][name].is_f64(), "{name}: {object}");
    }
    assert!(
        object["held_seconds"].as_f64() >= Some(0.1) && object["seconds"].as_f64() >= Some(0.1),
        "{object}"
    );
    assert_eq!((&object["processes"], &object["interrupted"]), (&Value::from(1), &Value::from(false)));
    // Two messages each, and their ends.
    let stopped = server.stop().stderr;
    assert!(stopped.contains("accepted=200 frames=400"), "{stopped}");
}

#[test]
fn what_is_reported_to_people_names_what_counts() {
    let server = Server::start(&["--framing=lines"]);
    let ended =
        hold(&[&url(server.address()), "-c20", "--for=0", "--framing=lines", "--message=hello"]).wait();
    assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
    let text = ended.stdout.join("\n");
    for expected in
        ["20 connections", "opened       20 of 20", "connect ms   p50", "survived     20", "both ends"]
    {
        assert!(text.contains(expected), "{expected}: {text}");
    }
}

#[test]
fn those_that_the_server_closes_are_lost_and_named() {
    let address = echo_once(|number| number % 4 != 0);
    let ended = hold(&[&url(address), "-c100", "--for=100ms", "--json"]).wait();
    assert_eq!(ended.status.code(), Some(1), "{}", ended.stderr);
    let object = object(&ended);
    assert_eq!(connections(&object), counts([("wanted", 100), ("opened", 100), ("survived", 75)]));
    let lost: u64 =
        ["closed", "reset"].iter().filter_map(|kind| object["connections"]["lost"][kind].as_u64()).sum();
    assert_eq!(lost, 25, "{object}");
    assert!(ended.stderr.contains("25 of 100 did not survive"), "{}", ended.stderr);
}

#[test]
fn failures_are_counted_by_kind() {
    // Nothing is held that was not opened: the hour is not waited for.
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let ended = hold(&[&url(free), "-c10", "--json", "--for=1h"]).wait();
    assert_eq!(connections(&object(&ended)), counts([("wanted", 10), ("refused", 10)]));
    assert_eq!(ended.status.code(), Some(1));
    assert!(ended.stderr.contains("10 of 10 connections were not opened: 10 refused"), "{}", ended.stderr);

    let greeter = Server::start(&["greet"]);
    let ended = hold(&[&url(greeter.address()), "-c10", "--json"]).wait();
    assert_eq!(connections(&object(&ended)), counts([("wanted", 10), ("mismatch", 10)]));

    let silent = Server::start(&["discard"]);
    let ended = hold(&[&url(silent.address()), "-c10", "--json", "--timeout=100ms"]).wait();
    assert_eq!(connections(&object(&ended)), counts([("wanted", 10), ("timed_out", 10)]));

    let full = Server::start(&["--max-connections=4"]);
    let ended = hold(&[&url(full.address()), "-c10", "--json", "--for=0"]).wait();
    let found = connections(&object(&ended));
    assert_eq!((found["opened"], found["survived"]), (4, 4), "{found:?}");
}

#[test]
fn a_target_that_says_nothing_is_held_without_an_exchange() {
    let server = Server::start(&["discard"]);
    let ended = hold(&[&url(server.address()), "-c50", "--for=0", "--no-exchange", "--json"]).wait();
    assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
    assert_eq!(connections(&object(&ended)), counts([("wanted", 50), ("opened", 50), ("survived", 50)]));
    assert!(server.stop().stderr.contains("bytes_in=0"));
}

#[test]
fn more_than_one_process_may_hold_is_spread_over_several() {
    let server = Server::start(&[]);
    let ended = hold_limited(100, &[&url(server.address()), "-c200", "--for=0", "--json"]).wait();
    assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
    let object = object(&ended);
    assert_eq!(connections(&object), counts([("wanted", 200), ("opened", 200), ("survived", 200)]));
    assert_eq!(object["processes"], 6, "{object}");
    assert!(object["connect_us"]["p50"].as_f64() > Some(0.0), "{object}");
    assert!(server.stop().stderr.contains("accepted=200 frames=400"));
}

#[test]
fn an_interrupted_hold_reports_what_there_was_and_ends_with_130() {
    let server = Server::start(&[]);
    for (limit, signal, code) in [(1000, Signal::INT, 130), (100, Signal::INT, 130), (100, Signal::TERM, 143)]
    {
        let holding = hold_limited(limit, &[&url(server.address()), "-c60", "--for=1h", "--json", "-v"]);
        holding.wait_log("holding wanted=60 opened=60");
        holding.signal(signal);
        let ended = holding.wait();
        assert_eq!(ended.status.code(), Some(code), "{}", ended.stderr);
        let object = object(&ended);
        assert_eq!(connections(&object), counts([("wanted", 60), ("opened", 60), ("survived", 60)]));
        assert_eq!(object["interrupted"], true);
    }
    // Nobody answers, so that opening has no end of its own.
    let silent = Server::start(&["discard"]);
    let opening = hold(&[&url(silent.address()), "-c20", "--timeout=1h", "--json", "-v"]);
    opening.wait_log("opening wanted=20");
    opening.signal(Signal::INT);
    let ended = opening.wait();
    assert_eq!(ended.status.code(), Some(130), "{}", ended.stderr);
    assert_eq!(connections(&object(&ended)), counts([("wanted", 20), ("untried", 20)]));
}

#[test]
fn a_process_that_dies_takes_its_connections_with_it_and_is_named() {
    let server = Server::start(&[]);
    let holding = hold_limited(100, &[&url(server.address()), "-c60", "--for=1h", "--json", "-v"]);
    holding.wait_log("holding wanted=60 opened=60");
    let parent = holding.pid().as_raw_nonzero().to_string();
    let is_child =
        |stat: &str| stat.rsplit(')').next().and_then(|rest| rest.split_whitespace().nth(1)) == Some(&parent);
    let child = fs::read_dir("/proc").unwrap().flatten().find_map(|entry| {
        let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
        let pid = entry.file_name().to_str()?.parse().ok()?;
        is_child(&stat).then(|| Pid::from_raw(pid)).flatten()
    });
    kill_process(child.expect("two of them"), Signal::KILL).unwrap();
    holding.wait_log("process ended unexpectedly");
    holding.signal(Signal::INT);
    let ended = holding.wait();
    let object = object(&ended);
    assert_eq!(connections(&object), counts([("wanted", 60), ("opened", 60), ("survived", 30)]));
    assert_eq!(object["connections"]["lost"]["other"], 30);
    assert_eq!(ended.status.code(), Some(130), "{}", ended.stderr);
}

#[test]
fn connections_come_from_the_sources_asked_for() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let target = url(listener.local_addr().unwrap());
    let holding =
        hold(&[&target, "-c6", "--for=0", "--no-exchange", "--source=127.0.0.5-127.0.0.7", "--close=rst"]);
    let mut seen: BTreeMap<IpAddr, u32> = BTreeMap::new();
    let _kept: Vec<_> = (0..6)
        .map(|_| {
            let (stream, from) = listener.accept().unwrap();
            *seen.entry(from.ip()).or_default() += 1;
            stream
        })
        .collect();
    let expected = (5..8).map(|last| (IpAddr::from([127, 0, 0, last]), 2)).collect();
    assert_eq!(seen, expected);
    assert_eq!(holding.wait().status.code(), Some(0));
}

#[test]
fn a_port_range_that_is_too_small_is_named_and_more_loopback_addresses_are_used_by_themselves() {
    let Some(ended) = with_fifty_ports("\"$0\" hold $url -c80 --for=0 --json --force --source=127.0.0.1")
    else {
        return;
    };
    assert_eq!(ended.status.code(), Some(1), "{}", ended.stderr);
    let found = connections(&object(&ended));
    assert_eq!(found, counts([("wanted", 80), ("opened", 50), ("survived", 50), ("address_exhausted", 30)]));
    assert!(ended.stderr.contains("--source") && ended.stderr.contains("URLs"), "{}", ended.stderr);

    let ended =
        with_fifty_ports("\"$0\" hold $url --close=rst -c80 --for=0 --json").expect("it was to be had");
    assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
    let object = object(&ended);
    assert_eq!(connections(&object), counts([("wanted", 80), ("opened", 80), ("survived", 80)]));
    assert_eq!(object["sources"], 4);
}

#[test]
fn a_unix_socket_is_held_too_even_when_its_queue_is_short() {
    let path = std::env::temp_dir().join(format!("oneloop-hold-{}", std::process::id()));
    let target = format!("unix:{}", path.display());
    let mut command = oneloop();
    command.args(["serve", "--backlog=1", "--listen", &target]);
    let server = Server::start_command(command);
    let ended = hold(&[&target, "-c100", "--for=0", "--json"]).wait();
    assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
    assert_eq!(connections(&object(&ended)), counts([("wanted", 100), ("opened", 100), ("survived", 100)]));
    server.stop();
}

#[test]
fn a_hundred_per_second_take_their_time() {
    let server = Server::start(&[]);
    let ended = hold(&[&url(server.address()), "-c50", "--for=0", "--connect-rate=100", "--json"]).wait();
    let opening = object(&ended)["opening_seconds"].as_f64().unwrap();
    // The first at 0 and the fiftieth at 0.49 s.
    assert!(opening >= 0.49, "{opening}");
    assert_eq!(ended.status.code(), Some(0));
}

#[test]
fn arguments_that_make_no_sense_are_refused() {
    for (args, expected) in [
        (&["udp://127.0.0.1:9"][..], "UDP has no connections"),
        (&["unix:/a", "--source=127.0.0.1"], "--source"),
        (&[], "URL"),
    ] {
        let ended = hold(args).wait();
        assert_eq!(ended.status.code(), Some(2), "{}", ended.stderr);
        assert!(ended.stderr.contains(expected), "{}", ended.stderr);
    }
}
