//! Where it listens and what it says about it.

use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::support::*;

#[test]
fn echo_on_ipv4() {
    let server = Server::start(&[]);
    exchange(&mut server.connect(), b"hello\r\n\0\xff", b"hello\r\n\0\xff");
}

#[test]
fn echo_on_ipv6() {
    if !has_ipv6() {
        return;
    }
    let server = Server::start(&["--listen", "tcp://[::1]:0"]);
    assert!(server.address().is_ipv6());
    exchange(&mut server.connect(), b"hello", b"hello");
}

#[test]
fn every_address_of_ipv6_is_every_address_of_ipv4_too() {
    if !has_ipv6() {
        return;
    }
    let server = Server::start(&["--listen", "tcp://[::]:0"]);
    let port = server.address().port();
    exchange(&mut connect(SocketAddr::from((Ipv4Addr::LOCALHOST, port))), b"four", b"four");
    exchange(&mut connect(format!("[::1]:{port}").parse().unwrap()), b"six", b"six");
}

#[test]
fn several_listeners_are_printed_in_argument_order_and_nothing_else_is() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let first = format!("tcp://{free}");
    let server = Server::start(&[
        "--listen",
        "tcp://127.0.0.2:0",
        "--listen",
        &first,
        "--listen",
        "tcp://127.0.0.1:0",
    ]);
    let addresses = server.addresses().to_vec();
    assert_eq!(addresses[0].ip().to_string(), "127.0.0.2");
    assert_eq!(addresses[1], free);
    assert_eq!(addresses[2].ip().to_string(), "127.0.0.1");
    assert!(addresses.iter().all(|address| address.port() != 0));
    for address in addresses {
        exchange(&mut connect(address), b"here", b"here");
    }
    let ended = server.stop();
    assert_eq!(ended.stdout, [""; 0], "only the listening lines go to standard output");
    assert_eq!(ended.status.code(), Some(0));
}

#[test]
fn a_taken_port_is_named_with_a_remedy_and_nothing_is_announced() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("tcp://{}", taken.local_addr().unwrap());
    let mut command = oneloop();
    command.args(["serve", "--listen", "tcp://127.0.0.1:0", "--listen", &url]);
    let ended = run(command);
    assert_eq!(ended.status.code(), Some(1), "{}", ended.stderr);
    assert_eq!(ended.stdout, [""; 0]);
    let message = ended.stderr.lines().find(|line| line.starts_with("oneloop: ")).expect("a message");
    for expected in [url.as_str(), "already in use", "--listen"] {
        assert!(message.contains(expected), "{message}");
    }
}

#[test]
fn a_restart_on_the_same_port_binds_at_once() {
    let server = Server::start(&[]);
    let url = format!("tcp://{}", server.address());
    let mut client = server.connect();
    exchange(&mut client, b"one", b"one");
    // The server ends its side first, so its end of the connection is left in TIME_WAIT.
    server.signal(Signal::TERM);
    expect_end(&mut client);
    drop(client);
    assert_eq!(server.wait().status.code(), Some(0));
    let again = Server::start(&["--listen", &url]);
    exchange(&mut again.connect(), b"two", b"two");
}

/// Whatever else the machine does: the best of some restarts counts.
#[test]
fn the_first_reply_after_a_kill_under_load_comes_within_a_second() {
    let mut server = Server::start(&[]);
    let url = format!("tcp://{}", server.address());
    let mut took = Vec::new();
    for _ in 0..10 {
        let mut clients: Vec<_> = (0..50).map(|_| server.connect()).collect();
        for client in &mut clients {
            exchange(client, b"one", b"one");
            client.write_all(b"never answered, perhaps").unwrap();
        }
        server.signal(Signal::KILL);
        server.wait();
        let begin = Instant::now();
        server = Server::start(&["--listen", &url]);
        exchange(&mut server.connect(), b"two", b"two");
        took.push(begin.elapsed());
        if begin.elapsed() < Duration::from_secs(1) {
            return;
        }
    }
    panic!("{took:?}");
}

#[test]
fn a_restart_after_a_kill_with_connections_open_binds_at_once() {
    let server = Server::start(&[]);
    let url = format!("tcp://{}", server.address());
    let mut client = server.connect();
    exchange(&mut client, b"one", b"one");
    server.signal(Signal::KILL);
    server.wait();
    let again = Server::start(&["--listen", &url]);
    exchange(&mut again.connect(), b"two", b"two");
}

#[test]
fn nobody_reading_standard_output_is_no_reason_not_to_serve() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut child = oneloop();
    child.args(["serve", "--listen", &format!("tcp://{free}")]).stdout(writer).stderr(Stdio::piped());
    let mut child = child.spawn().unwrap();
    let mut log = std::io::BufRead::lines(std::io::BufReader::new(child.stderr.take().unwrap()));
    let listening = log.by_ref().map_while(Result::ok).any(|line| line.contains("listening"));
    let served = listening.then(|| {
        let mut client = connect(free);
        client.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        client.write_all(b"x").and_then(|()| std::io::Read::read_exact(&mut client, &mut [0; 1])).is_ok()
    });
    let died = child.try_wait().unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!((served, died), (Some(true), None));
}

#[test]
fn a_standard_output_that_cannot_be_written_is_an_error() {
    let Ok(full) = std::fs::OpenOptions::new().write(true).open("/dev/full") else {
        eprintln!("SKIPPED: this system has no /dev/full");
        return;
    };
    let output = oneloop().args(["serve", "--listen", "tcp://127.0.0.1:0"]).stdout(full).output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("oneloop: cannot write to standard output"), "{stderr}");
}
