//! More clients than there may be, or than there are descriptors for.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, prlimit};

use crate::support::*;

/// Asserts that no answer comes for a while, and that the server does not spin meanwhile.
fn assert_waits_quietly(server: &Server, client: &mut TcpStream) {
    let (begun, cpu) = (Instant::now(), server.cpu());
    client.set_read_timeout(Some(Duration::from_millis(600))).unwrap();
    assert_eq!(client.read(&mut [0; 1]).unwrap_err().kind(), ErrorKind::WouldBlock, "answered too early");
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    let (wall, cpu) = (begun.elapsed(), server.cpu() - cpu);
    assert!(cpu < wall / 4, "{cpu:?} of processor time in {wall:?}");
}

/// Whether the server has closed this connection without serving it.
fn is_refused(client: &mut TcpStream) -> bool {
    let sent = client.write_all(b"?");
    match client.read(&mut [0; 1]) {
        Ok(0) => true,
        Err(error) => matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe),
        Ok(_) => {
            sent.unwrap();
            false
        }
    }
}

/// Connects until one is served: the server learns of an end only in its own time.
fn connect_until_served(server: &Server) -> TcpStream {
    let until = Instant::now() + PATIENCE;
    loop {
        let mut client = server.connect();
        if !is_refused(&mut client) {
            return client;
        }
        assert!(Instant::now() < until, "no place became free");
    }
}

#[test]
fn newcomers_over_the_limit_are_closed_and_a_place_that_becomes_free_is_given_away() {
    let server = Server::start(&["--max-connections=3", "-v"]);
    let mut clients: Vec<_> = (0..3).map(|_| server.connect()).collect();
    for client in &mut clients {
        exchange(client, b"in", b"in");
    }
    for _ in 0..50 {
        assert!(is_refused(&mut server.connect()));
    }
    for client in &mut clients {
        exchange(client, b"still in", b"still in");
    }
    let warning = server.wait_log("connection limit reached");
    assert!(warning.contains("max=3"), "{warning}");
    let stats = server.wait_stats(|line| line.contains(" open=3 "));
    assert!(stats.contains("closed_over_limit=50"), "{stats}");
    drop(clients.pop());
    let mut next = connect_until_served(&server);
    exchange(&mut next, b"in now", b"in now");
}

#[test]
fn without_a_limit_of_their_own_newcomers_wait_for_a_descriptor_and_are_served_in_the_end() {
    // The default keeps 64 descriptors free: room for 6 connections.
    let server = Server::start_limited(70, &[]);
    server.wait_log("max_connections=6 ");
    let mut clients: Vec<_> = (0..30).map(|_| server.connect()).collect();
    for client in &mut clients {
        client.write_all(b"x").unwrap();
    }
    for client in &mut clients[..6] {
        expect(client, b"x");
    }
    assert_waits_quietly(&server, &mut clients[6]);
    // Each that leaves lets one of those in who came long before, without any new arrival.
    for _ in 0..24 {
        drop(clients.remove(0));
        expect(&mut clients[5], b"x");
    }
}

#[test]
fn at_the_descriptor_limit_those_who_wait_are_served_when_others_leave_without_a_new_arrival() {
    let server = Server::start(&[]);
    let mut clients: Vec<_> = (0..4).map(|_| server.connect()).collect();
    for client in &mut clients {
        exchange(client, b"in", b"in");
    }
    // From now on accept(2) fails with EMFILE: no number below the limit is free.
    let next = server.next_descriptor();
    let limit = Rlimit { current: Some(next), maximum: Some(next) };
    prlimit(Some(server.pid()), Resource::Nofile, limit).expect("the child is ours");
    let mut waiting: Vec<_> = (0..3).map(|_| server.connect()).collect();
    for client in &mut waiting {
        client.write_all(b"x").unwrap();
    }
    let warning = server.wait_log("accepting paused");
    assert!(warning.contains("too many open files") || warning.contains("Too many open files"), "{warning}");
    assert_waits_quietly(&server, &mut waiting[0]);
    for client in &mut waiting {
        exchange(clients.last_mut().expect("one is left"), b"still in", b"still in");
        drop(clients.pop());
        expect(client, b"x");
    }
}

#[test]
fn at_the_descriptor_limit_a_server_with_a_limit_of_its_own_closes_newcomers() {
    let server = Server::start_limited(24, &["--max-connections=1000"]);
    let warning = server.wait_log("--max-connections is more than");
    assert!(warning.contains("max=1000"), "{warning}");
    let mut clients = Vec::new();
    let mut refused = 0;
    for _ in 0..60 {
        let mut client = server.connect();
        if is_refused(&mut client) { refused += 1 } else { clients.push(client) }
    }
    assert!(clients.len() >= 8 && refused >= 30, "{} served, {refused} refused", clients.len());
    for client in &mut clients {
        exchange(client, b"still in", b"still in");
    }
    drop(clients.pop());
    let mut next = connect_until_served(&server);
    exchange(&mut next, b"in now", b"in now");
    let (begun, cpu) = (Instant::now(), server.cpu());
    next.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    assert_eq!(next.read(&mut [0; 1]).unwrap_err().kind(), ErrorKind::WouldBlock);
    assert!(server.cpu() - cpu < begun.elapsed() / 4, "it spins at the limit");
}

#[test]
fn with_fewer_descriptors_than_are_kept_free_one_client_is_served_after_the_other() {
    let server = Server::start_limited(40, &[]);
    let mut clients: Vec<_> = (0..10).map(|_| server.connect()).collect();
    for client in &mut clients {
        client.write_all(b"x").unwrap();
    }
    for mut client in clients {
        expect(&mut client, b"x");
    }
}

#[test]
fn the_open_files_limit_is_raised_and_that_is_said() {
    let mut command = std::process::Command::new("sh");
    command.env_remove("RUST_LOG").args(["-c", "ulimit -S -n 100 && ulimit -H -n 200 && exec \"$0\" \"$@\""]);
    command.args([env!("CARGO_BIN_EXE_oneloop"), "serve", "--listen", "tcp://127.0.0.1:0"]);
    let server = Server::start_command(command);
    let line = server.wait_log("open files");
    assert!(line.contains("soft=200 hard=200 raised_from=100"), "{line}");
}
