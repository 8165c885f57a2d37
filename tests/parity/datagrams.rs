//! The services that have a form for datagrams, on every model: the handler alone, then real sockets.

use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use oneloop::services::{Ack, AckConfig, DEFAULT_ACK, Discard, Echo, Greet, GreetConfig, Sink};
use oneloop::session::{DatagramFactory, EachDatagram, MAX_DATAGRAM, Peer, datagram_factory};
use oneloop::testing::DatagramPair;

use crate::real::{Model, PATIENCE, Server, early};

/// What is sent, and what each is answered with, in turn.
struct Case {
    name: &'static str,
    make: DatagramFactory,
    talk: Vec<(Vec<u8>, Vec<u8>)>,
    takes: Duration,
}

const DELAY: Duration = Duration::from_millis(30);

fn talk(pairs: &[(&[u8], &[u8])]) -> Vec<(Vec<u8>, Vec<u8>)> {
    pairs.iter().map(|(sent, reply)| (sent.to_vec(), reply.to_vec())).collect()
}

fn greet(delay: Duration) -> DatagramFactory {
    let config =
        Arc::new(GreetConfig { banner: b"unsaid".to_vec(), delay, strip_line_end: true, exit: false });
    datagram_factory(move |_| EachDatagram::new(Greet::new(Arc::clone(&config))))
}

fn table() -> Vec<Case> {
    let largest = vec![0xa5; MAX_DATAGRAM];
    let ack = Arc::new(AckConfig { strip_line_end: true, exit: false, ..AckConfig::default() });
    let received = DEFAULT_ACK.as_bytes();
    let received_line = [received, b"\r\n"].concat();
    let names: &[(&[u8], &[u8])] = &[
        (b"Travis", b"Hello, Travis!"),
        (b"JOHN\n", b"Hello, JOHN!\n"),
        (b"", b"Hello, !"),
        (b"exit", b"Hello, exit!"),
        (b"after exit\r\n", b"Hello, after exit!\r\n"),
    ];
    vec![
        Case {
            name: "echo",
            make: datagram_factory(|_| EachDatagram::new(Echo)),
            talk: talk(&[(b"one", b"one"), (b"", b""), (b"exit\n", b"exit\n"), (&largest, &largest)]),
            takes: Duration::ZERO,
        },
        Case { name: "greet", make: greet(Duration::ZERO), talk: talk(names), takes: Duration::ZERO },
        Case { name: "greet, delayed", make: greet(DELAY), talk: talk(names), takes: 5 * DELAY },
        Case {
            name: "ack",
            make: datagram_factory(move |_| EachDatagram::new(Ack::new(Arc::clone(&ack)))),
            talk: talk(&[(b"one", received), (b"", received), (b"exit\r\n", &received_line)]),
            takes: Duration::ZERO,
        },
    ]
}

#[test]
fn a_handler_alone_answers_every_datagram() {
    let from: SocketAddr = "127.0.0.1:5000".parse().unwrap();
    for case in table() {
        let peer = Peer { address: oneloop::Address::Unknown, local: oneloop::Address::Unknown };
        let mut pair = DatagramPair::new(Boxed((case.make)(&peer)));
        for (sent, reply) in case.talk {
            let mut replies = pair.send(&sent, from);
            if !case.takes.is_zero() {
                assert_eq!(replies, [], "{}: before its time", case.name);
                replies = pair.advance(DELAY);
            }
            assert!(replies == [(reply, from)], "{}: {:?}", case.name, sent.escape_ascii().to_string());
        }
    }
}

struct Boxed(Box<dyn oneloop::session::DatagramHandler>);

impl oneloop::session::DatagramHandler for Boxed {
    fn on_datagram(&mut self, data: &[u8], cx: &mut oneloop::session::DatagramContext<'_>) {
        self.0.on_datagram(data, cx);
    }
}

fn client(server: SocketAddr) -> UdpSocket {
    let client = UdpSocket::bind("127.0.0.1:0").unwrap();
    client.connect(server).unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    client
}

fn answers_every_datagram(model: Model) {
    let (table, (prints, printed)) = (table(), channel());
    let sink = Sink::new(move |_from, message| prints.send(message.to_vec()).unwrap());
    let discard = datagram_factory(move |_| EachDatagram::new(Discard::new(Some(sink.clone()))));
    let mut ports: Vec<_> = table.iter().map(|case| case.make.clone()).collect();
    ports.push(discard);
    let server = Server::start(model, Vec::new(), ports);
    let addresses: Vec<_> = server.addresses.iter().filter_map(|address| address.socket_addr()).collect();
    let mut into = vec![0; 70_000];
    for (case, address) in table.iter().zip(&addresses) {
        let (begun, client) = (Instant::now(), client(*address));
        for (sent, reply) in &case.talk {
            client.send(sent).unwrap();
            let len = client.recv(&mut into).unwrap_or_else(|error| panic!("{}: {error}", case.name));
            assert!(into[..len] == **reply, "{}: {:?}", case.name, sent.escape_ascii().to_string());
        }
        assert!(begun.elapsed() >= early(case.takes), "{}: took only {:?}", case.name, begun.elapsed());
    }
    let client = client(*addresses.last().unwrap());
    for sent in [&b"one"[..], b"", b"exit"] {
        client.send(sent).unwrap();
        assert_eq!(printed.recv_timeout(PATIENCE).unwrap(), sent);
    }
    client.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
    assert_eq!(client.recv(&mut into).unwrap_err().kind(), ErrorKind::WouldBlock, "discard answers nothing");
    server.stop();
}

#[test]
fn the_loop_answers_every_datagram() {
    answers_every_datagram(Model::Loop);
}

#[test]
fn threads_answer_every_datagram() {
    answers_every_datagram(Model::Threads);
}

#[test]
fn iterative_answers_every_datagram() {
    answers_every_datagram(Model::Iterative);
}

#[test]
fn spin_answers_every_datagram() {
    answers_every_datagram(Model::Spin);
}
