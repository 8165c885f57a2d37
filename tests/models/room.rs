//! More clients than there may be, or than there are descriptors for.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, prlimit};

use crate::support::*;
use crate::{CONCURRENT, serve};

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

/// Asserts that no answer comes for a while.
fn assert_waits(client: &mut TcpStream) {
    client.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    assert_eq!(client.read(&mut [0; 1]).unwrap_err().kind(), ErrorKind::WouldBlock, "answered too early");
    client.set_read_timeout(Some(PATIENCE)).unwrap();
}

/// The same, and the server does not spin meanwhile.
fn assert_waits_quietly(server: &Server, client: &mut TcpStream) {
    let (begun, cpu) = (Instant::now(), server.cpu());
    assert_waits(client);
    assert_waits(client);
    let (wall, cpu) = (begun.elapsed(), server.cpu() - cpu);
    assert!(cpu < wall / 4, "{cpu:?} of processor time in {wall:?}");
}

#[test]
fn newcomers_over_the_limit_are_closed_and_a_place_that_becomes_free_is_given_away() {
    for model in CONCURRENT {
        let server = serve(model, &["--max-connections=3", "-v"]);
        let mut clients: Vec<_> = (0..3).map(|_| server.connect()).collect();
        for client in &mut clients {
            exchange(client, b"in", b"in");
        }
        for _ in 0..20 {
            assert!(is_refused(&mut server.connect()));
        }
        for client in &mut clients {
            exchange(client, b"still in", b"still in");
        }
        let warning = server.wait_log("connection limit reached");
        assert!(warning.contains("WARN") && warning.contains("max=3"), "{warning}");
        let stats = server.wait_stats(|line| line.contains(" open=3 "));
        assert!(stats.contains("closed_over_limit=20"), "{stats}");
        drop(clients.pop());
        // The server learns of an end only in its own time.
        let until = Instant::now() + PATIENCE;
        while is_refused(&mut server.connect()) {
            assert!(Instant::now() < until, "no place became free");
        }
    }
}

#[test]
fn without_a_limit_of_their_own_newcomers_wait_and_are_served_in_the_end() {
    for model in CONCURRENT {
        // The default keeps 64 descriptors free: room for 6 connections.
        let server = Server::start_limited(70, &["--model", model]);
        server.wait_log("max_connections=6 ");
        let mut clients: Vec<_> = (0..20).map(|_| server.connect()).collect();
        for client in &mut clients {
            client.write_all(b"x").unwrap();
        }
        for client in &mut clients[..6] {
            expect(client, b"x");
        }
        if model == "spin" {
            assert_waits(&mut clients[6])
        } else {
            assert_waits_quietly(&server, &mut clients[6])
        }
        // Each that leaves lets one of those in who came long before, without any new arrival, and at once.
        let begun = Instant::now();
        for _ in 0..14 {
            drop(clients.remove(0));
            expect(&mut clients[5], b"x");
        }
        assert!(begun.elapsed() < Duration::from_secs(5), "{model}: {:?}", begun.elapsed());
    }
}

#[test]
fn at_the_descriptor_limit_old_clients_are_unharmed_and_those_who_wait_are_served_when_others_leave() {
    for model in CONCURRENT {
        let server = serve(model, &[]);
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
        assert!(warning.to_lowercase().contains("too many open files"), "{warning}");
        if model == "spin" {
            assert_waits(&mut waiting[0])
        } else {
            assert_waits_quietly(&server, &mut waiting[0])
        }
        for client in &mut waiting {
            exchange(clients.last_mut().expect("one is left"), b"still in", b"still in");
            drop(clients.pop());
            expect(client, b"x");
        }
    }
}

#[test]
fn at_the_descriptor_limit_models_with_a_limit_of_their_own_close_newcomers() {
    for model in CONCURRENT {
        let server = Server::start_limited(24, &["--model", model, "--max-connections=1000"]);
        let (mut clients, mut refused) = (Vec::new(), 0);
        for _ in 0..60 {
            let mut client = server.connect();
            if is_refused(&mut client) { refused += 1 } else { clients.push(client) }
        }
        assert!(clients.len() >= 8 && refused >= 30, "{model}: {} served, {refused} refused", clients.len());
        for client in &mut clients {
            exchange(client, b"still in", b"still in");
        }
        if model == "threads" {
            assert_waits_quietly(&server, &mut clients[0]);
        }
        // It rests between two attempts, spin too.
        let stats = server.wait_stats(|line| line.contains("accept_pauses="));
        let pauses = stats.split("accept_pauses=").nth(1).and_then(|rest| rest.split(' ').next());
        let pauses: u32 = pauses.and_then(|count| count.parse().ok()).unwrap();
        assert!(pauses < 1000, "{model}: {stats}");
    }
}

#[test]
fn iterative_serves_a_second_client_when_the_first_has_ended() {
    let server = serve("iterative", &["--listen", "tcp://127.0.0.1:0", "--listen", "tcp://127.0.0.1:0"]);
    let (mut first, mut second) = (server.connect(), server.connect());
    exchange(&mut first, b"one", b"one");
    second.write_all(b"two").unwrap();
    assert_waits_quietly(&server, &mut second);
    exchange(&mut first, b"one more", b"one more");
    // Each listener has its own turn.
    exchange(&mut connect(server.addresses()[1]), b"other", b"other");
    drop(first);
    expect(&mut second, b"two");
}

#[test]
fn one_address_has_no_more_connections_than_it_may() {
    for model in CONCURRENT {
        let server = serve(model, &["--max-connections-per-ip=2"]);
        let mut clients: Vec<_> = (0..2).map(|_| server.connect()).collect();
        for client in &mut clients {
            exchange(client, b"in", b"in");
        }
        for _ in 0..10 {
            assert!(is_refused(&mut server.connect()));
        }
        let warning = server.wait_log("connection limit of an address reached");
        assert!(warning.contains("max=2") && warning.contains("127.0.0.1"), "{warning}");
        server.wait_stats(|line| line.contains(" open=2 ") && line.contains("closed_over_ip_limit=10"));
        drop(clients.pop());
        server.wait_stats(|line| line.contains(" open=1 "));
        exchange(&mut server.connect(), b"in now", b"in now");
    }
}
