//! Ceilings: memory of all connections together, connections of one address, peers that vanish.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::time::Duration;

use crate::support::*;

/// Sends the beginning of a message of 1 MiB: its length, and `size` bytes.
fn send_part(client: &mut TcpStream, size: usize) {
    let part = [&(1_u32 << 20).to_be_bytes()[..], &vec![7; size]].concat();
    client.write_all(&part).unwrap();
}

/// The number behind `name=` in a line of statistics; 0 where it is left out.
fn count(line: &str, name: &str) -> u64 {
    let found = line.split(' ').find_map(|word| word.strip_prefix(name)?.strip_prefix('='));
    found.map_or(0, |number| number.parse().expect("a number"))
}

/// Whether the server ends this connection within a while, without an answer.
fn is_ended(client: &mut TcpStream, within: Duration) -> bool {
    client.set_read_timeout(Some(within)).unwrap();
    let ended = match client.read(&mut [0; 1]) {
        Ok(0) => true,
        Ok(_) => panic!("it was answered"),
        Err(error) => error.kind() == ErrorKind::ConnectionReset,
    };
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    ended
}

#[test]
fn the_connection_that_keeps_most_is_ended_when_all_together_keep_too_much() {
    let server = Server::start(&["--framing=len32", "--max-memory=4MiB", "--frame-timeout=off"]);
    let mut small = server.connect();
    send_part(&mut small, 1000);
    server.wait_stats(|line| count(line, "buffered") >= 1000);
    let mut large: Vec<_> = (0..6).map(|_| server.connect()).collect();
    for client in &mut large {
        // It may be ended before all is sent.
        let _ = client.write_all(&[&(1_u32 << 20).to_be_bytes()[..], &vec![7; 900 * 1024]].concat());
    }
    let stats = server.wait_stats(|line| line.contains("closed_over_memory="));
    assert!(count(&stats, "buffered") <= 4 << 20, "{stats}");
    let warning = server.wait_log("ending the connection that keeps most");
    assert!(warning.contains("WARN"), "{warning}");
    // Who keeps little is never the largest.
    assert!(!is_ended(&mut small, Duration::from_millis(100)));
}

#[test]
fn while_memory_is_short_nobody_is_accepted_and_afterwards_everybody_is_served() {
    let server = Server::start(&["--framing=len32", "--max-memory=1MiB", "--frame-timeout=off"]);
    let (mut begun, mut busy) = (server.connect(), server.connect());
    begun.write_all(b"\0\0\0\x05he").unwrap();
    exchange(&mut busy, b"\0\0\0\x01x", b"\0\0\0\x01x");
    let mut holders = Vec::new();
    server.wait_stats(|line| {
        holders.push(server.connect());
        send_part(holders.last_mut().expect("just pushed"), 20 * 1024);
        count(line, "memory_rests") > 0
    });
    // Who keeps nothing is served as ever.
    exchange(&mut busy, b"\0\0\0\x01y", b"\0\0\0\x01y");
    begun.write_all(b"llo").unwrap();
    let mut newcomer = server.connect();
    newcomer.write_all(b"\0\0\0\x01z").unwrap();
    // Nothing becomes free by itself: after a second the largest are ended, and all is well.
    expect(&mut begun, b"\0\0\0\x05hello");
    expect(&mut newcomer, b"\0\0\0\x01z");
    server.wait_log("not short any more");
    let stats = server.wait_stats(|line| line.contains("closed_over_memory="));
    assert!(count(&stats, "memory_shortages") > 0 && count(&stats, "read_pauses") > 0, "{stats}");
    assert!(count(&stats, "closed_over_memory") < holders.len() as u64, "{stats}");
    drop((holders, begun, busy, newcomer));
    server.wait_stats(|line| line.contains(" open=0 ") && count(line, "buffered") == 0);
}

#[test]
fn readers_that_never_read_end_before_memory_does() {
    let server =
        Server::start(&["source", "--max-memory=2MiB", "--high-water=256KiB", "--write-timeout=off"]);
    let clients: Vec<_> = (0..40).map(|_| server.connect()).collect();
    let stats = server.wait_stats(|line| count(line, "closed_over_memory") >= 20);
    assert!(count(&stats, "buffered") <= 2 << 20, "{stats}");
    assert!(count(&stats, "peak") <= 40, "{stats}");
    drop(clients);
}

#[test]
fn the_default_is_half_of_what_the_machine_has_left_and_is_said() {
    let server = Server::start(&[]);
    let line = server.wait_log("memory limit");
    let max = line.split_once("max_memory=").and_then(|(_, number)| number.trim().parse::<u64>().ok());
    assert!(max.is_some_and(|max| max > 1 << 20), "{line}");
    let unlimited = Server::start(&["--max-memory=off"]);
    exchange(&mut unlimited.connect(), b"x", b"x");
    assert!(!unlimited.log().contains("memory limit"));
}

#[test]
fn one_address_has_no_more_connections_than_it_may_and_others_have_theirs() {
    let server = Server::start(&["--max-connections-per-ip=2"]);
    let mut clients = [server.connect(), server.connect()];
    for client in &mut clients {
        exchange(client, b"in", b"in");
    }
    for _ in 0..10 {
        assert!(is_ended(&mut server.connect(), PATIENCE));
    }
    let mut other = connect_from("127.0.0.77:0", server.address());
    exchange(&mut other, b"in too", b"in too");
    let warning = server.wait_log("connection limit of an address reached");
    assert!(warning.contains("max=2") && warning.contains("127.0.0.1"), "{warning}");
    server.wait_stats(|line| line.contains(" open=3 ") && line.contains("closed_over_ip_limit=10"));
    let [first, mut second] = clients;
    drop(first);
    server.wait_stats(|line| line.contains(" open=2 "));
    exchange(&mut server.connect(), b"in now", b"in now");
    exchange(&mut second, b"still in", b"still in");
}

fn connect_from(local: &str, to: SocketAddr) -> TcpStream {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.bind(&local.parse::<SocketAddr>().unwrap().into()).unwrap();
    socket.connect(&to.into()).unwrap();
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

#[test]
fn a_silent_peer_is_asked_whether_it_is_there_if_that_is_wanted() {
    if !has_program("ss") {
        return;
    }
    for (options, expected) in [(&["--keepalive=60s"][..], true), (&[], false)] {
        let server = Server::start(options);
        let mut client = server.connect();
        exchange(&mut client, b"x", b"x");
        let filter = format!("sport = :{}", server.address().port());
        let output = Command::new("ss").args(["-tnoH", &filter]).output().unwrap();
        let line = String::from_utf8(output.stdout).unwrap();
        assert_eq!(line.contains("timer:(keepalive,"), expected, "{line}");
    }
}
