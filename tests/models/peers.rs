//! Clients that half-close, reset, do not read, and come in numbers.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::thread;
use std::time::{Duration, Instant};

use crate::support::*;
use crate::{CONCURRENT, OTHERS, serve};

#[test]
fn ten_megabytes_then_a_half_close_all_come_back_and_then_the_end() {
    let sent: Vec<u8> = (0..10_000_000_u32).map(|at| at.to_le_bytes()[0] ^ at.to_le_bytes()[2]).collect();
    for model in OTHERS {
        let server = serve(model, &[]);
        let mut client = server.connect();
        let mut writer = client.try_clone().unwrap();
        let mut answer = Vec::new();
        thread::scope(|scope| {
            scope.spawn(|| {
                writer.write_all(&sent).unwrap();
                writer.shutdown(Shutdown::Write).unwrap();
            });
            client.read_to_end(&mut answer).unwrap();
        });
        assert_eq!(answer.len(), sent.len(), "{model}");
        assert!(answer == sent, "{model}: the bytes differ");
    }
}

#[test]
fn a_client_that_resets_at_any_moment_harms_nobody_and_leaves_nothing_behind() {
    for model in OTHERS {
        let server = serve(model, &["--framing=lines", "-v"]);
        let mut other = server.connect();
        exchange(&mut other, b"before\n", b"before\n");
        let descriptors = server.descriptors();
        // Iterative has room for one.
        let mut other = (model != "iterative").then_some(other);
        for _ in 0..5 {
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
            if let Some(other) = &mut other {
                exchange(other, b"still\n", b"still\n");
            }
        }
        let open = usize::from(other.is_some());
        let stats = server.wait_stats(|line| line.contains(&format!(" open={open} ")));
        assert!(stats.contains("closed_peer_gone="), "{model}: {stats}");
        assert!(!stats.contains("closed_io_error"), "{model}: {stats}");
        assert_eq!(server.descriptors(), descriptors - 1 + open, "{model}");
        exchange(other.get_or_insert_with(|| server.connect()), b"after\n", b"after\n");
    }
}

#[test]
fn a_reset_while_an_answer_is_pending_harms_nobody() {
    for model in OTHERS {
        let server = serve(model, &["greet", "--delay=50ms", "-v"]);
        for _ in 0..5 {
            let mut client = server.connect();
            client.write_all(b"A").unwrap();
            reset(client);
        }
        exchange(&mut server.connect(), b"B", b"Hello, B!");
        server.wait_logs("closed slot=", 6);
    }
}

#[test]
fn a_reset_while_the_server_waits_to_write_harms_nobody() {
    for model in OTHERS {
        let server = serve(model, &["-v"]);
        let mut client = server.connect();
        client.set_write_timeout(Some(Duration::from_millis(100))).unwrap();
        while client.write(&[b'x'; 64 * 1024]).is_ok() {}
        reset(client);
        let line = server.wait_log("closed slot=");
        assert!(line.contains("peer_gone"), "{model}: {line}");
        exchange(&mut server.connect(), b"B", b"B");
    }
}

#[test]
fn clients_that_never_read_cost_little() {
    const DEAF: u64 = 30;
    for (model, clients) in [("threads", DEAF), ("iterative", 1), ("spin", DEAF)] {
        let server = serve(model, &[]);
        exchange(&mut server.connect(), b"x", b"x");
        let before = server.memory();
        let mut deaf: Vec<_> = (0..clients).map(|_| server.connect()).collect();
        for client in &mut deaf {
            client.set_write_timeout(Some(Duration::from_millis(30))).unwrap();
            while client.write(&[b'x'; 256 * 1024]).is_ok() {}
        }
        // High water, or a thread's stack and buffer, and as much again for what an allocator does not give back.
        let grown = server.memory().saturating_sub(before);
        assert!(grown < clients * 2 * 128 * 1024 + (4 << 20), "{model}: {grown} bytes for {clients}");
        if model != "iterative" {
            exchange(&mut server.connect(), b"y", b"y");
        }
    }
}

#[test]
fn a_thousand_connections_come_and_go() {
    for model in CONCURRENT {
        let server = serve(model, &[]);
        let mut first = server.connect();
        exchange(&mut first, b"first", b"first");
        let (descriptors, threads) = (server.descriptors(), server.threads());
        for _ in 0..10 {
            let mut clients: Vec<_> = (0..100).map(|_| server.connect()).collect();
            for client in &mut clients {
                exchange(client, b"x", b"x");
            }
            let more = if model == "threads" { 100 } else { 0 };
            assert!(server.threads() >= threads + more, "{model}: {} threads", server.threads());
        }
        server.wait_stats(|line| line.contains(" open=1 ") && line.contains("closed_eof=1000"));
        // A thread that has let go of its connection is not quite gone yet.
        let until = Instant::now() + PATIENCE;
        while server.threads() != threads || server.descriptors() != descriptors {
            assert!(
                Instant::now() < until,
                "{} threads, {} descriptors",
                server.threads(),
                server.descriptors()
            );
            thread::yield_now();
        }
        exchange(&mut first, b"last", b"last");
    }
}

#[test]
fn many_connections_one_after_the_other_on_iterative() {
    let server = serve("iterative", &[]);
    exchange(&mut server.connect(), b"first", b"first");
    server.wait_stats(|line| line.contains("open=0"));
    let descriptors = server.descriptors();
    for _ in 0..299 {
        exchange(&mut server.connect(), b"x", b"x");
    }
    server.wait_stats(|line| line.contains("open=0") && line.contains("closed_eof=300"));
    assert_eq!(server.descriptors(), descriptors);
}
