//! Limits of time: idle, frame, write, linger.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use crate::support::*;
use crate::{OTHERS, serve};

/// Limits are kept in whole milliseconds, counted from the one that has begun.
const TICK: Duration = Duration::from_millis(1);

/// Waits for a moment in which nothing may come, and says whether the end came instead.
fn has_ended(client: &mut TcpStream) -> bool {
    client.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
    match client.read(&mut [0; 1]) {
        Ok(count) => {
            assert_eq!(count, 0);
            true
        }
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::WouldBlock);
            false
        }
    }
}

#[test]
fn an_idle_connection_ends_and_an_active_one_does_not() {
    const IDLE: Duration = Duration::from_millis(300);
    for model in OTHERS {
        let server = serve(model, &["--idle-timeout=300ms", "-v"]);
        let mut active = server.connect();
        let begun = Instant::now();
        while begun.elapsed() < 2 * IDLE {
            exchange(&mut active, b"x", b"x");
            assert!(!has_ended(&mut active), "{model}: not idle, and ended");
            active.set_read_timeout(Some(PATIENCE)).unwrap();
        }
        drop(active);
        let begun = Instant::now();
        let mut idle = server.connect();
        expect_end(&mut idle);
        assert!(begun.elapsed() >= IDLE - TICK, "{model}: {:?}", begun.elapsed());
        assert!(server.wait_logs("closed slot=", 2)[1].contains("reason=\"idle\""));
        drop(idle);
        exchange(&mut server.connect(), b"y", b"y");
    }
}

#[test]
fn a_message_dribbled_byte_by_byte_is_reaped_by_the_frame_deadline() {
    for model in OTHERS {
        let server = serve(model, &["--framing=lines", "--frame-timeout=400ms", "-v"]);
        let mut client = server.connect();
        let begun = Instant::now();
        while !has_ended(&mut client) {
            let _ = client.write_all(b"x");
            assert!(begun.elapsed() < PATIENCE, "never reaped");
        }
        let took = begun.elapsed();
        assert!(took >= Duration::from_millis(400) - TICK, "{model}: reaped after {took:?}");
        assert!(took < Duration::from_millis(1400), "{model}: reaped after {took:?}");
        client.shutdown(Shutdown::Write).unwrap();
        assert!(server.wait_log("closed slot=").contains("frame_timeout"));
        drop(client);
        exchange(&mut server.connect(), b"ok\n", b"ok\n");
    }
}

#[test]
fn a_client_that_never_reads_ends_by_the_write_deadline() {
    for model in OTHERS {
        let server = serve(model, &["--write-timeout=300ms", "-v"]);
        let mut client = server.connect();
        client.set_write_timeout(Some(Duration::from_millis(100))).unwrap();
        while client.write(&[b'x'; 64 * 1024]).is_ok() {}
        let line = server.wait_log("closed slot=");
        assert!(line.contains("write_timeout"), "{model}: {line}");
        let stats = server.wait_stats(|line| line.contains("open=0"));
        assert!(stats.contains("closed_write_timeout=1"), "{model}: {stats}");
        drop(client);
        exchange(&mut server.connect(), b"ok", b"ok");
    }
}

#[test]
fn the_write_deadline_is_not_kept_to_a_multiple_of_itself() {
    for model in OTHERS {
        // What the kernel takes grows while a send waits, and each growth is progress.
        let server = serve(model, &["source", "--write-timeout=2s", "-v"]);
        let begun = Instant::now();
        let client = server.connect();
        let line = server.wait_log("closed slot=");
        assert!(line.contains("write_timeout"), "{model}: {line}");
        assert!(begun.elapsed() < Duration::from_secs(5), "{model}: {:?}", begun.elapsed());
        drop(client);
    }
}

#[test]
fn a_client_that_reads_late_gets_everything() {
    for model in OTHERS {
        let server = serve(model, &["--write-timeout=off"]);
        let mut client = server.connect();
        client.set_write_timeout(Some(Duration::from_millis(100))).unwrap();
        let mut sent = 0;
        while let Ok(count) = client.write(&[b'x'; 10_000]) {
            sent += count;
        }
        client.shutdown(Shutdown::Write).unwrap();
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).unwrap();
        assert_eq!(answer.len(), sent, "{model}");
    }
}

#[test]
fn a_closing_connection_lingers_and_no_longer_than_it_may() {
    for model in OTHERS {
        let server = serve(model, &["greet", "--framing=lines", "--linger=200ms", "-v"]);
        let mut client = server.connect();
        // Closed over what is unread, the socket would be reset, and the answer lost.
        let unread = [&b"A\nexit\n"[..], &[b'x'; 200_000]].concat();
        exchange(&mut client, &unread, b"Hello, A!\n");
        expect_end(&mut client);
        // The client keeps its side open, so that only the limit can end it.
        let begun = Instant::now();
        assert!(server.wait_log("closed slot=").contains("finished"));
        assert!(begun.elapsed() < Duration::from_millis(1500), "{model}: {:?}", begun.elapsed());
    }
}

#[test]
fn an_answer_is_held_back_without_counting_as_idle_and_everybody_waits_at_the_same_time() {
    for model in crate::CONCURRENT {
        let server = serve(model, &["greet", "--delay=300ms", "--idle-timeout=100ms"]);
        let mut clients: Vec<_> = (0..50).map(|_| server.connect()).collect();
        let begun = Instant::now();
        for client in &mut clients {
            client.write_all(b"A").unwrap();
        }
        for client in &mut clients {
            expect(client, b"Hello, A!");
        }
        let took = begun.elapsed();
        assert!(took >= Duration::from_millis(300), "{model}: {took:?}");
        assert!(took < Duration::from_secs(5), "one after the other would take 15 s: {took:?}");
    }
}
