//! Clients that half-close, reset, and come in numbers.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::thread;

use crate::support::*;

#[test]
fn ten_megabytes_then_a_half_close_all_come_back_and_then_the_end() {
    for high_water in ["--high-water=64KiB", "--high-water=1KiB"] {
        let server = Server::start(&[high_water]);
        let mut client = server.connect();
        let mut writer = client.try_clone().unwrap();
        let sent: Vec<u8> = (0..10_000_000_u32).map(|at| at.to_le_bytes()[0] ^ at.to_le_bytes()[2]).collect();
        let expected = sent.clone();
        let writing = thread::spawn(move || {
            writer.write_all(&sent).unwrap();
            writer.shutdown(Shutdown::Write).unwrap();
        });
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).unwrap();
        writing.join().unwrap();
        assert_eq!(answer.len(), expected.len());
        assert!(answer == expected, "the bytes differ");
    }
}

#[test]
fn a_client_that_resets_at_any_moment_harms_nobody_and_leaves_nothing_behind() {
    const ROUNDS: usize = 8;
    let server = Server::start(&["--framing=lines", "--high-water=4KiB", "-v"]);
    let mut other = server.connect();
    exchange(&mut other, b"before\n", b"before\n");
    let descriptors = server.descriptors();
    for _ in 0..ROUNDS {
        reset(server.connect());
        let mut mid_frame = server.connect();
        mid_frame.write_all(b"half a li").unwrap();
        reset(mid_frame);
        let mut answered = server.connect();
        exchange(&mut answered, b"whole\nhalf", b"whole\n");
        reset(answered);
        let mut unread = server.connect();
        let _ = unread.write(&[b'\n'; 100_000]);
        reset(unread);
        let mut half_closed = server.connect();
        half_closed.write_all(b"x\n").unwrap();
        half_closed.shutdown(Shutdown::Write).unwrap();
        reset(half_closed);
        exchange(&mut other, b"still\n", b"still\n");
    }
    let stats = server.wait_stats(|line| line.contains(" open=1 "));
    assert!(stats.contains("closed_peer_gone="), "{stats}");
    assert!(!stats.contains("closed_io_error"), "{stats}");
    assert_eq!(server.descriptors(), descriptors);
}

#[test]
fn a_reset_while_an_answer_is_pending_harms_nobody() {
    let server = Server::start(&["greet", "--delay=100ms", "-v"]);
    let mut other = server.connect();
    for _ in 0..5 {
        let mut client = server.connect();
        client.write_all(b"A").unwrap();
        reset(client);
    }
    exchange(&mut other, b"B", b"Hello, B!");
    server.wait_logs("closed slot=", 5);
}

#[test]
fn a_thousand_connections_come_and_go() {
    let server = Server::start(&[]);
    let mut first = server.connect();
    exchange(&mut first, b"first", b"first");
    let descriptors = server.descriptors();
    for _ in 0..10 {
        let mut clients: Vec<_> = (0..100).map(|_| server.connect()).collect();
        for client in &mut clients {
            exchange(client, b"x", b"x");
        }
    }
    server.wait_stats(|line| line.contains(" open=1 ") && line.contains("closed_eof=1000"));
    assert_eq!(server.descriptors(), descriptors);
    exchange(&mut first, b"last", b"last");
}
