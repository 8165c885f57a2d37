//! Limits of time: idle, frame, write, linger.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use crate::support::*;

/// Writes until the other side has not taken anything for a while, or is gone.
fn write_until_stuck(client: &mut TcpStream) {
    client.set_write_timeout(Some(Duration::from_millis(100))).unwrap();
    let chunk = [b'x'; 64 * 1024];
    while client.write(&chunk).is_ok() {}
}

#[test]
fn an_idle_connection_ends_and_an_active_one_does_not() {
    let server = Server::start(&["--idle-timeout=300ms", "-v"]);
    let begun = Instant::now();
    let (mut idle, mut active) = (server.connect(), server.connect());
    idle.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
    // The idle connection's read timeout is the pace of the active one.
    loop {
        exchange(&mut active, b"x", b"x");
        match idle.read(&mut [0; 1]) {
            Ok(count) => break assert_eq!(count, 0),
            Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
        }
        assert!(begun.elapsed() < PATIENCE);
    }
    // Limits are kept in whole milliseconds, counted from the one that has begun.
    assert!(begun.elapsed() >= Duration::from_millis(299));
    assert!(server.wait_log("closed slot=").contains("reason=\"idle\""));
    exchange(&mut active, b"y", b"y");
}

#[test]
fn a_message_dribbled_byte_by_byte_is_reaped_by_the_frame_deadline() {
    let server = Server::start(&["--framing=lines", "--frame-timeout=500ms", "--idle-timeout=1h", "-v"]);
    let mut other = server.connect();
    let mut client = server.connect();
    client.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
    let begun = Instant::now();
    loop {
        let sent = client.write_all(b"x");
        match client.read(&mut [0; 1]) {
            Ok(count) => break assert_eq!(count, 0),
            Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock, "after {sent:?}"),
        }
        assert!(begun.elapsed() < PATIENCE, "never reaped");
    }
    assert!(begun.elapsed() >= Duration::from_millis(499), "reaped after {:?}", begun.elapsed());
    assert!(begun.elapsed() < Duration::from_millis(1500), "reaped after {:?}", begun.elapsed());
    client.shutdown(Shutdown::Write).unwrap();
    assert!(server.wait_log("closed slot=").contains("frame_timeout"));
    exchange(&mut other, b"ok\n", b"ok\n");
}

#[test]
fn frames_that_end_in_time_start_the_clock_anew() {
    let server = Server::start(&["--framing=lines", "--frame-timeout=300ms"]);
    let mut client = server.connect();
    client.set_nodelay(true).unwrap();
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_millis(900) {
        exchange(&mut client, b"begun", b"");
        exchange(&mut client, b" and done\nnext", b"begun and done\n");
        exchange(&mut client, b"\n", b"next\n");
    }
}

#[test]
fn a_frame_timeout_switched_off_lets_a_frame_take_its_time() {
    let server = Server::start(&["--framing=lines", "--frame-timeout=off"]);
    let mut client = server.connect();
    client.write_all(b"slow").unwrap();
    client.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    assert_eq!(client.read(&mut [0; 1]).unwrap_err().kind(), ErrorKind::WouldBlock);
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    exchange(&mut client, b"ly\n", b"slowly\n");
}

#[test]
fn a_client_that_never_reads_ends_by_the_write_deadline() {
    let server = Server::start(&["--write-timeout=300ms", "--high-water=16KiB", "-v"]);
    let mut other = server.connect();
    let mut client = server.connect();
    write_until_stuck(&mut client);
    assert!(server.wait_log("closed slot=").contains("write_timeout"));
    exchange(&mut other, b"ok", b"ok");
    let stats = server.wait_stats(|line| line.contains("open=1"));
    assert!(stats.contains("congested=1") && stats.contains("closed_write_timeout=1"), "{stats}");
}

#[test]
fn a_client_that_reads_late_gets_everything() {
    let server = Server::start(&["--write-timeout=off", "--high-water=1KiB", "--low-water=0"]);
    let mut client = server.connect();
    client.set_write_timeout(Some(Duration::from_millis(100))).unwrap();
    let mut sent = 0;
    while let Ok(count) = client.write(&[b'x'; 10_000]) {
        sent += count;
    }
    client.shutdown(Shutdown::Write).unwrap();
    let mut answer = Vec::new();
    client.read_to_end(&mut answer).unwrap();
    assert_eq!(answer.len(), sent);
}

#[test]
fn a_closing_connection_lingers_no_longer_than_it_may() {
    for (linger, longest) in [("100ms", 1500), ("0", 1500)] {
        let server = Server::start(&["greet", "--linger", linger, "-v"]);
        let mut client = server.connect();
        exchange(&mut client, b"A", b"Hello, A!");
        client.write_all(b"exit").unwrap();
        expect_end(&mut client);
        // The client keeps its side open, so that only the limit can end it.
        let begun = Instant::now();
        assert!(server.wait_log("closed slot=").contains("finished"));
        assert!(begun.elapsed() < Duration::from_millis(longest), "{linger}: {:?}", begun.elapsed());
    }
}

#[test]
fn a_delayed_answer_comes_after_the_delay_and_everybody_waits_at_the_same_time() {
    let server = Server::start(&["greet", "--delay=300ms", "--idle-timeout=100ms"]);
    let mut clients: Vec<_> = (0..50).map(|_| server.connect()).collect();
    let begun = Instant::now();
    for client in &mut clients {
        client.write_all(b"A").unwrap();
    }
    for client in &mut clients {
        expect(client, b"Hello, A!");
    }
    let took = begun.elapsed();
    assert!(took >= Duration::from_millis(300), "{took:?}");
    assert!(took < Duration::from_secs(5), "one after the other would take 15 s: {took:?}");
}
