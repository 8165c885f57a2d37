//! `source`: an endless stream whose every byte is known, for readers quick and slow.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::Duration;

use crate::support::*;

const TEN_MB: usize = 10_000_000;

/// Expects the next `count` bytes to be those from `from` on.
#[track_caller]
fn expect_pattern(client: &mut TcpStream, from: usize, count: usize) {
    let mut buffer = vec![0; 100_000];
    let mut at = from;
    while at < from + count {
        let wanted = buffer.len().min(from + count - at);
        let part = &mut buffer[..wanted];
        client.read_exact(part).unwrap();
        let wrong = part.iter().enumerate().find(|(i, byte)| usize::from(**byte) != (at + i) % 251);
        assert_eq!(wrong, None, "behind byte {at}");
        at += wanted;
    }
}

#[test]
fn the_first_ten_megabytes_are_the_pattern_for_everybody() {
    let server = Server::start(&["source"]);
    let mut clients: Vec<_> = (0..3).map(|_| server.connect()).collect();
    for client in &mut clients {
        expect_pattern(client, 0, TEN_MB);
    }
}

#[test]
fn readers_that_do_not_read_cost_little_and_lose_nothing() {
    const SLOW: usize = 50;
    let server = Server::start(&["source"]);
    expect_pattern(&mut server.connect(), 0, TEN_MB);
    let before = server.memory();
    let mut slow: Vec<_> = (0..SLOW).map(|_| server.connect()).collect();
    // The quick one is congested now and then; all the slow ones are, and remain so.
    server.wait_stats(|line| line.contains(&format!(" open={SLOW} ")));
    let mut quick = server.connect();
    let mut read = 0;
    for _ in 0..10 {
        expect_pattern(&mut quick, read, TEN_MB);
        read += TEN_MB;
    }
    let grown = server.memory().saturating_sub(before);
    // High water each, and as much again for what an allocator does not give back.
    assert!(grown < SLOW as u64 * 2 * 64 * 1024 + (4 << 20), "{grown} bytes for {SLOW} readers");
    expect_pattern(&mut slow[0], 0, TEN_MB);
}

#[test]
fn a_reader_that_floods_the_server_is_served() {
    let server = Server::start(&["source"]);
    let mut client = server.connect();
    let mut sender = client.try_clone().unwrap();
    sender.set_write_timeout(Some(Duration::from_millis(100))).unwrap();
    let flood = thread::spawn(move || {
        // It ends when the other end of the socket is closed, or takes nothing more for a while.
        while sender.write_all(&[b'x'; 10_000]).is_ok() {}
    });
    for round in 0..10 {
        expect_pattern(&mut client, round * TEN_MB, TEN_MB);
    }
    drop(client);
    flood.join().unwrap();
    expect_pattern(&mut server.connect(), 0, TEN_MB);
}

#[test]
fn a_reader_that_leaves_is_noticed() {
    let server = Server::start(&["source", "-v"]);
    let mut client = server.connect();
    expect_pattern(&mut client, 0, 1000);
    drop(client);
    server.wait_log("closed slot=");
    server.wait_stats(|line| line.contains(" open=0 "));
}

#[test]
fn a_half_close_ends_the_stream() {
    let server = Server::start(&["source", "-v"]);
    let mut client = server.connect();
    expect_pattern(&mut client, 0, 1000);
    client.write_all(&[b'x'; 500_000]).unwrap();
    client.shutdown(std::net::Shutdown::Write).unwrap();
    let (mut buffer, mut read) = (vec![0; 100_000], 0);
    loop {
        match client.read(&mut buffer).unwrap() {
            0 => break,
            count => read += count,
        }
        assert!(read < 50 * TEN_MB, "it goes on");
    }
    assert!(server.wait_log("closed slot=").contains("reason=\"eof\""));
}

#[test]
fn a_drain_ends_the_stream() {
    let server = Server::start(&["source"]);
    let mut client = server.connect();
    expect_pattern(&mut client, 0, TEN_MB);
    let reader = thread::spawn(move || {
        let mut buffer = vec![0; 100_000];
        loop {
            match client.read(&mut buffer) {
                Ok(0) => break true,
                Ok(_) => {}
                Err(error) => assert_eq!(error.kind(), ErrorKind::Interrupted),
            }
        }
    });
    let ended = server.stop();
    assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
    assert!(!ended.stderr.contains("drain limit"), "{}", ended.stderr);
    assert!(reader.join().unwrap());
}
