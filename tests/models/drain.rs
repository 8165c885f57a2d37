//! SIGINT and SIGTERM: what was received or queued is answered, then it ends. And SIGUSR1.

use std::io::Write;
use std::net::Shutdown;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::support::*;
use crate::{CONCURRENT, OTHERS, serve};

/// Less than the drain's limit of 10 s, with room for a busy machine.
const QUICK: Duration = Duration::from_secs(5);

/// It ends by itself, with 0, well before the drain's limit.
#[track_caller]
fn assert_drains(server: Server, begun: Instant) {
    let ended = server.wait();
    assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
    assert!(begun.elapsed() < QUICK, "{:?}: {}", begun.elapsed(), ended.stderr);
    assert!(!ended.stderr.contains("drain limit"), "{}", ended.stderr);
    assert!(ended.stderr.contains("draining") && ended.stderr.contains("stopped"), "{}", ended.stderr);
}

#[test]
fn an_idle_server_ends_at_once() {
    for model in OTHERS {
        for signal in [Signal::TERM, Signal::INT] {
            let server = serve(model, &["--listen=tcp://127.0.0.1:0", "--listen", "udp://127.0.0.1:0"]);
            let begun = Instant::now();
            server.signal(signal);
            assert_drains(server, begun);
        }
    }
}

#[test]
fn a_pending_answer_is_given_and_idle_connections_end() {
    for model in OTHERS {
        let server = serve(model, &["greet", "--banner=hi", "--delay=1s"]);
        let mut pending = server.connect();
        expect(&mut pending, b"hi");
        // Iterative has no time for it until the other one has ended.
        let mut idle = server.connect();
        if model != "iterative" {
            expect(&mut idle, b"hi");
        }
        pending.write_all(b"A").unwrap();
        server.wait_stats(|line| line.contains("frames=1"));
        let begun = Instant::now();
        server.signal(Signal::TERM);
        if model != "iterative" {
            expect_end(&mut idle);
            assert!(begun.elapsed() < Duration::from_millis(950), "an idle one waits for the others");
        }
        expect(&mut pending, b"Hello, A!");
        expect_end(&mut pending);
        drop(pending);
        if model == "iterative" {
            expect(&mut idle, b"hi");
            expect_end(&mut idle);
        }
        drop(idle);
        assert_drains(server, begun);
    }
}

#[test]
fn connections_not_accepted_yet_are_answered() {
    for (model, clients) in [("threads", 100), ("iterative", 100), ("spin", 100)] {
        let server = serve(model, &[]);
        let mut old = server.connect();
        exchange(&mut old, b"old", b"old");
        // The server is held still, so that all of this is in its queues when it goes on.
        server.signal(Signal::STOP);
        let mut queued: Vec<_> = (0..clients).map(|_| server.connect()).collect();
        for (client, number) in queued.iter_mut().zip(0..) {
            client.write_all(b"queued").unwrap();
            // Most keep their side open: on iterative they must not wait for a moment of quiet one after the other.
            if number % 10 == 0 {
                client.shutdown(Shutdown::Write).unwrap();
            }
        }
        old.write_all(b"received").unwrap();
        let begun = Instant::now();
        server.signal(Signal::TERM);
        server.signal(Signal::CONT);
        expect(&mut old, b"received");
        expect_end(&mut old);
        drop(old);
        for mut client in queued {
            expect(&mut client, b"queued");
            expect_end(&mut client);
        }
        assert_drains(server, begun);
    }
}

#[test]
fn a_message_that_is_begun_may_come_to_its_end() {
    for model in OTHERS {
        let server = serve(model, &["--framing=lines"]);
        let mut client = server.connect();
        exchange(&mut client, b"one\nbeg", b"one\n");
        let begun = Instant::now();
        server.signal(Signal::TERM);
        server.wait_log("draining");
        exchange(&mut client, b"un\n", b"begun\n");
        expect_end(&mut client);
        drop(client);
        assert_drains(server, begun);
    }
}

#[test]
fn a_stream_without_an_end_is_ended() {
    for model in OTHERS {
        let server = serve(model, &["source"]);
        let mut client = server.connect();
        expect(&mut client, &[0, 1, 2]);
        let begun = Instant::now();
        server.signal(Signal::TERM);
        std::io::copy(&mut client, &mut std::io::sink()).expect("a clean end");
        drop(client);
        assert_drains(server, begun);
    }
}

#[test]
fn the_limit_cuts_off_what_is_left_and_says_how_many_that_are() {
    for model in CONCURRENT {
        let server = serve(model, &["greet", "--delay=1h", "--drain=200ms", "--idle-timeout=off"]);
        let mut clients: Vec<_> = (0..2).map(|_| server.connect()).collect();
        for client in &mut clients {
            client.write_all(b"A").unwrap();
        }
        server.wait_stats(|line| line.contains("frames=2"));
        assert_cut_off(server, "cut_off=2");
    }
    let server = serve("iterative", &["greet", "--delay=1h", "--drain=200ms", "--idle-timeout=off"]);
    let mut client = server.connect();
    client.write_all(b"A").unwrap();
    server.wait_stats(|line| line.contains("frames=1"));
    assert_cut_off(server, "cut_off=1");
}

fn assert_cut_off(server: Server, count: &str) {
    let begun = Instant::now();
    let ended = server.stop();
    assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
    // In whole milliseconds, counted from the one that has begun.
    assert!(
        begun.elapsed() >= Duration::from_millis(198) && begun.elapsed() < QUICK,
        "{:?}",
        begun.elapsed()
    );
    let warning = ended.stderr.lines().find(|line| line.contains("drain limit")).expect("a warning");
    assert!(warning.contains("WARN") && warning.contains(count), "{warning}");
}

#[test]
fn a_second_signal_ends_it_at_once_with_its_number() {
    for model in OTHERS {
        for (second, code) in [(Signal::TERM, 143), (Signal::INT, 130)] {
            let server = serve(model, &["greet", "--delay=1h"]);
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
}

#[test]
fn statistics_are_logged_when_asked_for_and_at_an_interval() {
    for model in OTHERS {
        let server = serve(model, &["--framing=lines"]);
        let mut client = server.connect();
        exchange(&mut client, b"one\ntwo\n", b"one\ntwo\n");
        let line = server.wait_stats(|line| line.contains("frames=2"));
        let expected = "open=1 peak=1 accepted=1 frames=2 bytes_in=8 bytes_out=8";
        assert!(line.contains(expected), "{line}");
        let server = serve(model, &["--stats-interval=50ms"]);
        let begun = Instant::now();
        server.wait_logs("stats ", 3);
        assert!(begun.elapsed() >= Duration::from_millis(90), "{:?}", begun.elapsed());
    }
}
