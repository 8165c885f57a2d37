//! Outgoing connections on real sockets: made, refused, in vain, out of ports, and ended by a drain.

#![allow(clippy::unwrap_used, reason = "a test says with a panic what went wrong")]

use std::cell::RefCell;
use std::net::{SocketAddr, TcpListener};
use std::rc::Rc;
use std::time::{Duration, Instant};

use oneloop::codec::Lines;
use oneloop::services::Echo;
use oneloop::session::{
    CloseReason, ConnectError, Context, Framed, Now, Protocol, ProtocolError, Step, factory,
};
use oneloop::{Address, Config, Reactor};

const PATIENCE: Duration = Duration::from_secs(30);

/// Limits are kept in whole milliseconds.
const TICK: Duration = Duration::from_millis(1);

/// What a caller has seen: bytes received, and how it ended.
#[derive(Debug, Default)]
struct Seen {
    opened: bool,
    received: Vec<u8>,
    closed: Option<CloseReason>,
}

/// Says something when the connection is made, and finishes when as much has come back.
struct Caller {
    says: Vec<u8>,
    seen: Rc<RefCell<Seen>>,
}

impl Protocol for Caller {
    fn on_open(&mut self, cx: &mut Context<'_>) {
        self.seen.borrow_mut().opened = true;
        cx.write(&self.says);
    }

    fn on_bytes(&mut self, input: &[u8], cx: &mut Context<'_>) -> Result<Step, ProtocolError> {
        let mut seen = self.seen.borrow_mut();
        seen.received.extend_from_slice(input);
        if seen.received.len() >= self.says.len() {
            cx.finish();
        }
        Ok(Step::consumed(input.len()))
    }

    fn on_close(&mut self, reason: &CloseReason, _now: &Now) {
        let before = self.seen.borrow_mut().closed.replace(reason.clone());
        assert_eq!(before, None, "closed twice");
    }
}

fn call(reactor: &mut Reactor, to: SocketAddr, says: &[u8]) -> Rc<RefCell<Seen>> {
    let seen = Rc::new(RefCell::new(Seen::default()));
    let caller = Caller { says: says.to_vec(), seen: Rc::clone(&seen) };
    if let Err(error) = reactor.connect(&Address::Tcp(to), Box::new(caller)) {
        // Some outcomes are known before connect(2) returns, on loopback for example.
        seen.borrow_mut().closed = Some(CloseReason::Connect(error));
    }
    seen
}

fn turn_until_closed(reactor: &mut Reactor, seen: &RefCell<Seen>) -> CloseReason {
    let until = Instant::now() + PATIENCE;
    loop {
        if let Some(reason) = &seen.borrow().closed {
            return reason.clone();
        }
        assert!(Instant::now() < until, "still not decided");
        reactor.turn(Some(Duration::from_millis(100))).unwrap();
    }
}

fn config(connect_timeout: Duration) -> Config {
    let mut config = Config::default();
    config.connect_timeout = connect_timeout;
    config
}

#[test]
fn one_loop_talks_to_itself_over_every_address_family() {
    for address in ["127.0.0.1:0", "[::1]:0"] {
        let mut reactor = Reactor::new().unwrap();
        let make = factory(|_| Framed::new(Lines::default(), Echo));
        let Ok(address) = reactor.listen(address.parse().unwrap(), make) else {
            assert!(address.starts_with('['), "IPv6 alone may be missing");
            continue;
        };
        let calls: Vec<_> =
            (0..100).map(|k| (k, call(&mut reactor, address, format!("{k}\n").as_bytes()))).collect();
        for (k, seen) in &calls {
            assert_eq!(turn_until_closed(&mut reactor, seen), CloseReason::Finished);
            assert_eq!(seen.borrow().received, format!("{k}\n").as_bytes());
        }
        let stats = reactor.stats();
        assert_eq!((stats.connected, stats.closed_as(&CloseReason::Finished)), (100, 100), "{stats}");
        reactor.stop();
        reactor.run().unwrap();
        assert_eq!((reactor.stats().open, reactor.slots_in_use()), (0, 0));
    }
}

#[test]
fn a_refused_connection_says_so_and_leaves_nothing_behind() {
    let mut reactor = Reactor::new().unwrap();
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let seen = call(&mut reactor, nobody, b"hello?\n");
    let reason = turn_until_closed(&mut reactor, &seen);
    assert_eq!(reason, CloseReason::Connect(ConnectError::Refused));
    assert!(!seen.borrow().opened, "never made, and yet opened");
    assert_eq!((reactor.stats().open, reactor.slots_in_use()), (0, 0));
}

/// A listener whose queue is full: further connections are neither made nor refused.
fn deaf() -> (socket2::Socket, Vec<std::net::TcpStream>, SocketAddr) {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
    socket.bind(&any.into()).unwrap();
    socket.listen(0).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    let mut filling = Vec::new();
    while let Ok(client) = std::net::TcpStream::connect_timeout(&address, Duration::from_millis(200)) {
        filling.push(client);
        assert!(filling.len() < 100, "the queue never fills");
    }
    (socket, filling, address)
}

#[test]
fn a_connection_that_is_neither_made_nor_refused_ends_at_its_limit() {
    let (_listener, _filling, address) = deaf();
    let mut reactor = Reactor::with_config(config(Duration::from_millis(300))).unwrap();
    let begun = Instant::now();
    let seen = call(&mut reactor, address, b"hello?\n");
    assert_eq!(turn_until_closed(&mut reactor, &seen), CloseReason::Connect(ConnectError::TimedOut));
    assert!(begun.elapsed() >= Duration::from_millis(300) - TICK && !seen.borrow().opened);
    assert_eq!((reactor.stats().open, reactor.slots_in_use()), (0, 0));
}

#[test]
fn the_limit_of_a_connection_counts_from_its_beginning_not_from_the_last_turn() {
    let (_listener, _filling, address) = deaf();
    let limit = Duration::from_millis(300);
    let mut reactor = Reactor::with_config(config(limit)).unwrap();
    // The owner of the loop is busy with something else before it begins to connect.
    let made = Instant::now();
    while made.elapsed() < 2 * limit {
        std::thread::park_timeout(2 * limit);
    }
    let begun = Instant::now();
    let seen = call(&mut reactor, address, b"hello?\n");
    assert_eq!(turn_until_closed(&mut reactor, &seen), CloseReason::Connect(ConnectError::TimedOut));
    assert!(begun.elapsed() >= limit - TICK, "gave up after {:?}", begun.elapsed());
}

#[test]
fn a_drain_does_not_wait_for_connections_in_the_making() {
    let (_listener, _filling, address) = deaf();
    let mut reactor = Reactor::with_config(config(PATIENCE)).unwrap();
    let seen = call(&mut reactor, address, b"hello?\n");
    reactor.handle().stop();
    let begun = Instant::now();
    reactor.run().unwrap();
    assert!(begun.elapsed() < PATIENCE);
    assert_eq!(seen.borrow().closed, Some(CloseReason::Stopped));
}

#[test]
fn a_loop_that_has_ended_ends_at_once_when_it_is_run_again() {
    let mut reactor = Reactor::new().unwrap();
    reactor.listen("127.0.0.1:0".parse().unwrap(), factory(|_| Framed::new(Lines::default(), Echo))).unwrap();
    let handle = reactor.handle();
    std::thread::spawn(move || handle.stop()).join().unwrap();
    let first = reactor.run().unwrap();
    assert_eq!(reactor.run().unwrap(), first);
    assert_eq!(reactor.slots_in_use(), 0);
}
