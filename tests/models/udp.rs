//! Datagrams on every model: services, the guard, errors, losses, and a drain.

use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::support::*;
use crate::{ALL, serve};

const UDP: [&str; 2] = ["--listen", "udp://127.0.0.1:0"];

fn serve_udp(model: &str, args: &[&str]) -> Server {
    let server = serve(model, &[args, &UDP].concat());
    assert!(server.listening()[0].starts_with("udp://127.0.0.1:"), "{:?}", server.listening());
    server
}

fn client(server: &Server) -> UdpSocket {
    let client = UdpSocket::bind("127.0.0.1:0").unwrap();
    client.connect(server.address()).unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    client
}

#[track_caller]
fn receive(client: &UdpSocket, expected: &[u8]) {
    let mut into = vec![0; 70_000];
    let len = client.recv(&mut into).unwrap_or_else(|error| panic!("no answer: {error}"));
    assert!(into[..len] == *expected, "{:?}", into[..len.min(99)].escape_ascii().to_string());
}

#[track_caller]
fn ask(client: &UdpSocket, sent: &[u8], expected: &[u8]) {
    client.send(sent).unwrap();
    receive(client, expected);
}

#[track_caller]
fn receive_nothing(client: &UdpSocket) {
    client.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    let received = client.recv(&mut [0; 100]);
    assert!(matches!(&received, Err(error) if error.kind() == ErrorKind::WouldBlock), "{received:?}");
    client.set_read_timeout(Some(PATIENCE)).unwrap();
}

/// A number out of a line of statistics; what is not there is 0.
fn counted(line: &str, name: &str) -> u64 {
    let found = line.split_whitespace().find_map(|word| word.strip_prefix(name)?.strip_prefix('='));
    found.map_or(0, |number| number.parse().expect("a number"))
}

#[test]
fn echo_sends_every_datagram_back_the_empty_and_the_largest_too() {
    for model in ALL {
        let server = serve_udp(model, &[]);
        let client = client(&server);
        for sent in [&b"one"[..], b"", b"exit\n", &vec![7; 65_507], b"last"] {
            ask(&client, sent, sent);
        }
        let stats = server.wait_stats(|line| line.contains("udp_sent=5"));
        assert_eq!(counted(&stats, "udp_received"), 5, "{stats}");
    }
}

#[test]
fn streams_and_datagrams_are_served_side_by_side() {
    for model in ALL {
        let server = serve(model, &["--listen", "tcp://127.0.0.1:0", "--listen", "udp://127.0.0.1:0"]);
        let [tcp, udp] = server.listening() else { panic!("two lines") };
        assert!(tcp.starts_with("tcp://") && udp.starts_with("udp://"), "in argument order: {tcp} {udp}");
        let mut stream = server.connect();
        exchange(&mut stream, b"stream", b"stream");
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket.connect(server.addresses()[1]).unwrap();
        ask(&socket, b"datagram", b"datagram");
        exchange(&mut stream, b"still", b"still");
    }
}

#[test]
fn greetings_are_held_back_all_at_the_same_time_but_on_iterative() {
    const DELAY: Duration = Duration::from_millis(100);
    for model in ALL {
        let server = serve_udp(model, &["greet", "--delay=100ms"]);
        let count = if model == "iterative" { 2 } else { 30 };
        let clients: Vec<_> = (0..count).map(|_| client(&server)).collect();
        let begun = Instant::now();
        for client in &clients {
            client.send(b"A\n").unwrap();
        }
        receive(&clients[0], b"Hello, A!\n");
        // Time is read once a turn, and spin looks at its sockets after that.
        assert!(begun.elapsed() >= DELAY * 9 / 10, "{model}: {:?}", begun.elapsed());
        for client in &clients[1..] {
            receive(client, b"Hello, A!\n");
        }
        let took = begun.elapsed();
        if model == "iterative" {
            assert!(took >= 2 * DELAY, "one after the other: {took:?}");
        } else {
            assert!(took < 20 * DELAY, "{model}: one after the other would take 3 s: {took:?}");
        }
    }
}

#[test]
fn ack_answers_exit_too_and_discard_prints_and_answers_nothing() {
    for model in ALL {
        let server = serve_udp(model, &["ack", "--print"]);
        let asks = client(&server);
        ask(&asks, b"exit\n", "已收到\n".as_bytes());
        ask(&asks, b"", "已收到".as_bytes());
        let sender = asks.local_addr().unwrap();
        assert_eq!([server.line(), server.line()], [format!("{sender} exit\\x0a"), format!("{sender} ")]);

        let server = serve_udp(model, &["discard", "--print"]);
        let tells = client(&server);
        let sender = tells.local_addr().unwrap();
        for (sent, shown) in [(&b"hello"[..], "hello"), (b"", ""), ("é\\".as_bytes(), r"\xc3\xa9\x5c")] {
            tells.send(sent).unwrap();
            assert_eq!(server.line(), format!("{sender} {shown}"), "{model}");
        }
        receive_nothing(&tells);
    }
}

/// A client on a port that belongs to the system's services, if we may have one.
fn low_port() -> Option<UdpSocket> {
    let bind = |port: u16| UdpSocket::bind(("127.0.0.1", port)).ok();
    let found = (900..1024).rev().find_map(bind);
    if found.is_none() {
        eprintln!("SKIPPED: no port below 1024 is to be had: not root?");
    }
    found
}

#[test]
fn low_ports_and_our_own_are_answered_only_when_asked_for() {
    for model in ALL {
        for any in [false, true] {
            let server = serve_udp(model, if any { &["--udp-any-source-port"] } else { &[] });
            // Our own port, on another address of this machine.
            let own = UdpSocket::bind(("127.0.0.2", server.address().port())).ok();
            let mut sent = 0;
            for client in [own, low_port()].into_iter().flatten() {
                client.connect(server.address()).unwrap();
                client.set_read_timeout(Some(PATIENCE)).unwrap();
                client.send(b"forged").unwrap();
                sent += 1;
                if any { receive(&client, b"forged") } else { receive_nothing(&client) }
            }
            let stats = server.wait_stats(|line| counted(line, "udp_received") == sent);
            assert_eq!(counted(&stats, "udp_guarded"), if any { 0 } else { sent }, "{model}: {stats}");
            ask(&client(&server), b"polite", b"polite");
        }
    }
}

#[test]
fn a_client_that_is_gone_before_its_reply_comes_harms_nobody() {
    for model in ALL {
        let server = serve_udp(model, &["greet", "--delay=20ms"]);
        for _ in 0..5 {
            client(&server).send(b"gone").unwrap();
        }
        let stays = client(&server);
        ask(&stays, b"A", b"Hello, A!");
        ask(&stays, b"B", b"Hello, B!");
        server.wait_stats(|line| counted(line, "udp_received") == 7);
    }
}

#[test]
fn what_the_kernel_drops_is_counted_so_that_everything_is_accounted_for() {
    const FLOOD: u64 = 2000;
    for model in ALL {
        let server = serve_udp(model, &["--udp-recv-buffer=8KiB"]);
        let floods = client(&server);
        server.signal(Signal::STOP);
        for _ in 0..FLOOD {
            floods.send(&[b'x'; 100]).unwrap();
        }
        server.signal(Signal::CONT);
        let stats = server.wait_stats(|line| counted(line, "udp_kernel_drops") > 0);
        receive(&floods, &[b'x'; 100]);
        let ended = server.stop();
        let last = ended.stderr.lines().find(|line| line.contains("stopped ")).expect("the last statistics");
        let [received, sent, drops] =
            ["udp_received", "udp_sent", "udp_kernel_drops"].map(|name| counted(last, name));
        assert!(drops > 0, "{model}: {last}");
        assert_eq!((received + drops, sent), (FLOOD, received), "{model}: {last}; before: {stats}");
    }
}

#[test]
fn a_drain_answers_what_is_queued_and_what_is_held_back() {
    for (model, args) in ALL.iter().flat_map(|model| [(model, &[][..]), (model, &["greet", "--delay=20ms"])])
    {
        let server = serve_udp(model, args);
        let clients: Vec<_> = (0..20).map(|_| client(&server)).collect();
        server.signal(Signal::STOP);
        for client in &clients {
            client.send(b"A").unwrap();
        }
        server.signal(Signal::TERM);
        server.signal(Signal::CONT);
        let begun = Instant::now();
        for client in &clients {
            receive(client, if args.is_empty() { b"A" } else { b"Hello, A!" });
        }
        let ended = server.wait();
        assert_eq!(ended.status.code(), Some(0), "{model}: {}", ended.stderr);
        assert!(begun.elapsed() < Duration::from_secs(5), "{model}: {:?}", begun.elapsed());
        assert!(!ended.stderr.contains("drain limit"), "{model}: {}", ended.stderr);
    }
}

#[test]
fn what_a_drain_leaves_unanswered_is_counted_and_said() {
    for model in ALL {
        let server = serve_udp(model, &["greet", "--delay=1h", "--drain=200ms"]);
        let client = client(&server);
        server.signal(Signal::STOP);
        for _ in 0..30 {
            client.send(b"A").unwrap();
        }
        server.signal(Signal::CONT);
        server.wait_stats(|line| counted(line, "udp_received") > 0);
        let ended = server.stop();
        let last = ended.stderr.lines().find(|line| line.contains("stopped ")).expect("the last statistics");
        assert_eq!(
            (counted(last, "udp_received"), counted(last, "udp_given_up")),
            (30, 30),
            "{model}: {last}"
        );
        assert!(ended.stderr.contains("unanswered_datagrams=30"), "{model}: {}", ended.stderr);
    }
}

#[test]
fn replies_held_back_beyond_the_queue_are_dropped_and_counted() {
    for model in ["loop", "threads", "spin"] {
        let server = serve_udp(model, &["greet", "--delay=100ms", "--udp-queue=3"]);
        let client = client(&server);
        for _ in 0..10 {
            client.send(b"A").unwrap();
        }
        for _ in 0..3 {
            receive(&client, b"Hello, A!");
        }
        receive_nothing(&client);
        let stats = server.wait_stats(|line| counted(line, "udp_received") == 10);
        assert_eq!(
            (counted(&stats, "udp_overflow"), counted(&stats, "udp_sent")),
            (7, 3),
            "{model}: {stats}"
        );
    }
}

#[test]
fn ipv6_is_answered() {
    if !has_ipv6() {
        return;
    }
    for model in ALL {
        let server = serve(model, &["--listen", "udp://[::1]:0"]);
        let client = UdpSocket::bind("[::1]:0").unwrap();
        client.connect::<SocketAddr>(server.address()).unwrap();
        client.set_read_timeout(Some(PATIENCE)).unwrap();
        ask(&client, b"six", b"six");
    }
}
