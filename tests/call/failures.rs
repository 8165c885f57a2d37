//! Every failure has its own message, names the address, and ends with 1.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use crate::peers::*;
use crate::support::*;

/// An address nobody listens on, as long as the socket is kept.
fn refusing() -> (socket2::Socket, SocketAddr) {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.bind(&"127.0.0.1:0".parse::<SocketAddr>().unwrap().into()).unwrap();
    let addr = socket.local_addr().unwrap().as_socket().unwrap();
    (socket, addr)
}

#[test]
fn nobody_listens() {
    let (_kept, addr) = refusing();
    let url = format!("tcp://{addr}");
    call(&url, &["a"]).expect_failure(1, "", &[&url, "connection refused", "is the server running?"]);
}

/// Connects until nobody more is taken: a listener with a queue as short as can be. `None` where there is no end.
fn fill_queue(addr: &socket2::SockAddr, kind: socket2::Domain) -> Option<Vec<socket2::Socket>> {
    let mut kept = Vec::new();
    for _ in 0..64 {
        let socket = socket2::Socket::new(kind, socket2::Type::STREAM, None).unwrap();
        if kind == socket2::Domain::UNIX {
            socket.set_nonblocking(true).unwrap();
            if socket.connect(addr).is_err() {
                return Some(kept);
            }
        } else if socket.connect_timeout(addr, Duration::from_millis(100)).is_err() {
            kept.push(socket);
            return Some(kept);
        }
        kept.push(socket);
    }
    eprintln!("SKIPPED: this system's queues have no end");
    None
}

#[test]
fn a_server_whose_queue_is_full_does_not_answer_in_time() {
    let listener = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    listener.bind(&"127.0.0.1:0".parse::<SocketAddr>().unwrap().into()).unwrap();
    listener.listen(0).unwrap();
    let addr = listener.local_addr().unwrap();
    let Some(_kept) = fill_queue(&addr, socket2::Domain::IPV4) else { return };
    let url = format!("tcp://{}", addr.as_socket().unwrap());
    let called = call(&url, &["--connect-timeout", "150ms", "a"]);
    called.expect_failure(1, "", &[&url, "no answer within 150ms", "--connect-timeout"]);
}

#[test]
fn a_unix_server_whose_queue_is_full_does_not_answer_in_time() {
    let folder = Folder::new("queue");
    let path = folder.path("full.sock");
    let addr = socket2::SockAddr::unix(&path).unwrap();
    let listener = socket2::Socket::new(socket2::Domain::UNIX, socket2::Type::STREAM, None).unwrap();
    listener.bind(&addr).unwrap();
    listener.listen(0).unwrap();
    let Some(_kept) = fill_queue(&addr, socket2::Domain::UNIX) else { return };
    let url = format!("unix:{path}");
    let called = call(&url, &["--connect-timeout", "150ms", "a"]);
    called.expect_failure(1, "", &[&url, "no answer within 150ms", "--connect-timeout"]);
}

#[test]
fn no_such_host() {
    let limits = ["--connect-timeout", "10s", "a"];
    call("tcp://nonexistent.invalid:9", &limits).expect_failure(1, "", &["host 'nonexistent.invalid'"]);
    call("udp://nonexistent.invalid:9", &limits).expect_failure(1, "", &["host 'nonexistent.invalid'"]);
}

#[test]
fn no_reply_in_time() {
    let (url, _) = once(|mut stream| stream.read_to_end(&mut Vec::new()).unwrap());
    call(&url, &["--timeout", "100ms", "--greeting", "0", "a", "b"]).expect_failure(
        1,
        "",
        &[&url, "no reply", "100ms", "--timeout"],
    );
}

/// What a call to a server that never stops talking said, and that it did not take much longer than its limit.
#[track_caller]
fn expect_endless(url: &str, messages: &[&str], limit: &str) -> Called {
    let started = Instant::now();
    let called = call(url, &[&["--greeting", "0", "--timeout", limit], messages].concat());
    let took = started.elapsed();
    assert_eq!(called.status.code(), Some(1), "{}", called.stderr);
    for text in [url, "did not end within", limit, "--timeout", "--no-reply"] {
        assert!(called.stderr.contains(text), "no '{text}' in: {}", called.stderr);
    }
    // Generous, because the machine may be busy; without a limit it would never end.
    assert!(took >= Duration::from_millis(500) && took < Duration::from_secs(10), "{took:?}");
    called
}

#[test]
fn a_raw_reply_that_goes_on_in_drops() {
    for messages in [&["a", "b"][..], &["a"]] {
        let (url, _) = once(|mut stream| {
            stream.set_nodelay(true).unwrap();
            let _ = stream.read(&mut [0; 16]).unwrap();
            // Until the other side is gone.
            while stream.write_all(b".").is_ok() {
                std::thread::sleep(Duration::from_millis(10));
            }
        });
        let called = expect_endless(&url, messages, "500ms");
        let dots = called.stdout.strip_suffix(b"\n").unwrap();
        assert!(dots.len() > 1 && dots.iter().all(|byte| *byte == b'.'), "what arrived is printed");
    }
}

#[test]
fn a_raw_reply_that_goes_on_in_a_flood() {
    let server = Server::start(&["source"]);
    let called = expect_endless(&url(&server), &["x"], "1s");
    assert!(called.stdout.len() > 1000, "what arrived is printed");
}

#[test]
fn no_end_in_time() {
    let (done, wait) = channel::<()>();
    let (url, _) = once(move |mut stream| {
        let _ = stream.read(&mut [0; 16]).unwrap();
        stream.write_all(b"ok").unwrap();
        let _ = wait.recv();
    });
    let called = call(&url, &["--timeout", "500ms", "--greeting", "0", "a"]);
    called.expect_failure(1, "ok\n", &[&url, "has not closed", "500ms", "--timeout"]);
    drop(done);
}

#[test]
fn a_server_that_takes_nothing() {
    let folder = Folder::new("stalled");
    // More than both sockets' buffers hold.
    let file = folder.file("sent", &vec![0; 64 << 20]);
    let (done, wait) = channel::<()>();
    let (url, _) = once(move |stream| {
        let _ = wait.recv();
        drop(stream);
    });
    let called = call(&url, &["--timeout", "200ms", "--greeting", "0", "--file", &file]);
    called.expect_failure(1, "", &[&url, "taken nothing for 200ms", "not sent"]);
    drop(done);
}

#[test]
fn a_reset() {
    let (url, _) = once(|mut stream| {
        let _ = stream.read(&mut [0; 16]).unwrap();
        reset(stream);
    });
    call(&url, &["--greeting", "0", "a", "b"]).expect_failure(1, "", &[&url, "reset the connection"]);
}

#[test]
fn a_server_that_is_gone_before_it_has_taken_everything() {
    let folder = Folder::new("gone");
    let file = folder.file("sent", &vec![b'x'; 64 << 20]);
    let (url, _) = once(|mut stream| {
        let _ = stream.read(&mut [0; 16]).unwrap();
        stream.write_all(b"enough").unwrap();
    });
    let called = call(&url, &["--greeting", "0", "--file", &file]);
    // Which of the two depends on whether the reset arrives before or behind a write. What was said may be lost to it.
    assert_eq!(called.status.code(), Some(1));
    let told = ["reset the connection", "before everything was sent"];
    assert!(told.iter().any(|text| called.stderr.contains(text)), "{}", called.stderr);
}

#[test]
fn a_local_address_that_is_taken_or_not_ours() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = listener.local_addr().unwrap().to_string();
    let (_kept, addr) = refusing();
    let url = format!("tcp://{addr}");
    call(&url, &["--bind", &taken, "a"]).expect_failure(1, "", &[&taken, "already in use", "port 0"]);
    call(&url, &["--bind", "192.0.2.7", "a"]).expect_failure(1, "", &["192.0.2.7", "`ip address`"]);
}

#[test]
fn a_local_address_of_the_other_family_is_a_mistake_in_the_arguments() {
    call("tcp://127.0.0.1:9", &["--bind", "::1", "a"]).expect_failure(2, "", &["--bind", "::1", "IPv6"]);
}

#[test]
fn a_file_that_cannot_be_read() {
    let folder = Folder::new("file");
    let missing = folder.path("missing");
    call("tcp://127.0.0.1:9", &["--file", &missing]).expect_failure(1, "", &[&missing, "No such file"]);
    let empty = folder.file("empty", b"");
    call("tcp://127.0.0.1:9", &["--file", &empty]).expect_failure(1, "", &[&empty, "empty"]);
}
