//! SIGINT and SIGTERM: what was received or queued is answered, then it ends.

use std::io::Write;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::support::*;

/// Less than the drain's limit of 10 s and the linger of 2 s, with room for a busy machine.
const QUICK: Duration = Duration::from_secs(5);

#[test]
fn an_idle_server_ends_at_once_with_0() {
    for signal in [Signal::TERM, Signal::INT] {
        let server = Server::start(&[]);
        let begun = Instant::now();
        server.signal(signal);
        let ended = server.wait();
        assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
        assert!(begun.elapsed() < QUICK);
        assert!(ended.stderr.contains("draining") && ended.stderr.contains("stopped"), "{}", ended.stderr);
    }
}

#[test]
fn a_drain_answers_what_is_pending_and_ends_what_is_idle() {
    let server = Server::start(&["greet", "--banner=hi", "--delay=400ms"]);
    let (mut idle, mut pending) = (server.connect(), server.connect());
    expect(&mut idle, b"hi");
    expect(&mut pending, b"hi");
    pending.write_all(b"A").unwrap();
    let begun = Instant::now();
    server.signal(Signal::TERM);
    expect_end(&mut idle);
    drop(idle);
    expect(&mut pending, b"Hello, A!");
    expect_end(&mut pending);
    drop(pending);
    let ended = server.wait();
    assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
    assert!(begun.elapsed() < QUICK, "{:?}", begun.elapsed());
    assert!(!ended.stderr.contains("drain limit"), "{}", ended.stderr);
}

#[test]
fn a_drain_answers_the_connections_not_accepted_yet() {
    let server = Server::start(&[]);
    let mut old = server.connect();
    exchange(&mut old, b"old", b"old");
    // The server is held still, so that all of this is in its queues when it goes on.
    server.signal(Signal::STOP);
    let mut queued: Vec<_> = (0..100).map(|_| server.connect()).collect();
    for client in &mut queued {
        client.write_all(b"queued").unwrap();
    }
    old.write_all(b"received").unwrap();
    server.signal(Signal::TERM);
    server.signal(Signal::CONT);
    expect(&mut old, b"received");
    expect_end(&mut old);
    for mut client in queued {
        expect(&mut client, b"queued");
        expect_end(&mut client);
    }
    drop(old);
    assert_eq!(server.wait().status.code(), Some(0));
}

#[test]
fn a_drain_lets_a_message_that_is_begun_come_to_its_end() {
    let server = Server::start(&["--framing=lines"]);
    let mut client = server.connect();
    exchange(&mut client, b"one\nbeg", b"one\n");
    server.signal(Signal::TERM);
    server.wait_log("draining");
    exchange(&mut client, b"un\n", b"begun\n");
    expect_end(&mut client);
    drop(client);
    assert_eq!(server.wait().status.code(), Some(0));
}

#[test]
fn a_drain_that_reaches_its_limit_says_how_many_it_cut_off_and_ends_with_0() {
    let server = Server::start(&["greet", "--delay=1h", "--drain=200ms", "--idle-timeout=off"]);
    let mut clients: Vec<_> = (0..2).map(|_| server.connect()).collect();
    for client in &mut clients {
        client.write_all(b"A").unwrap();
    }
    server.wait_stats(|line| line.contains("frames=2"));
    let begun = Instant::now();
    let ended = server.stop();
    assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
    assert!(begun.elapsed() >= Duration::from_millis(200));
    let warning = ended.stderr.lines().find(|line| line.contains("drain limit")).expect("a warning");
    assert!(warning.contains("WARN") && warning.contains("cut_off=2"), "{warning}");
}

#[test]
fn a_second_signal_ends_it_at_once_with_its_number() {
    for (second, code) in [(Signal::TERM, 143), (Signal::INT, 130)] {
        let server = Server::start(&["greet", "--delay=1h"]);
        let mut client = server.connect();
        client.write_all(b"A").unwrap();
        server.wait_stats(|line| line.contains("frames=1"));
        server.signal(Signal::TERM);
        server.wait_log("draining");
        let begun = Instant::now();
        server.signal(second);
        let ended = server.wait();
        assert_eq!(ended.status.code(), Some(code), "{}", ended.stderr);
        assert!(begun.elapsed() < QUICK);
    }
}
