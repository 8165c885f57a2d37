//! A listener that fails, over a kernel that is real but for that.

#![allow(clippy::unwrap_used, reason = "a test says with a panic what went wrong")]

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant, SystemTime};

use mio::net::TcpListener;
use oneloop::codec::Raw;
use oneloop::kernel::{Event, Kernel, Token};
use oneloop::os::sockets::{ListenOptions, listen_tcp};
use oneloop::reactor::{MioKernel, Socket};
use oneloop::services::Echo;
use oneloop::session::{Framed, factory};
use oneloop::{Address, Config, Reactor};

/// accept(2) as a security module may have it: refused, and nobody is taken from the queue.
#[derive(Debug)]
struct Forbidding {
    inner: MioKernel,
    forbids: bool,
    asked: u32,
}

impl Kernel for Forbidding {
    type Stream = Socket;
    type Listener = TcpListener;

    fn now(&mut self) -> Instant {
        self.inner.now()
    }
    fn wall(&mut self) -> SystemTime {
        self.inner.wall()
    }
    fn poll(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        self.inner.poll(timeout)
    }
    fn events(&self) -> impl Iterator<Item = Event> + '_ {
        self.inner.events()
    }
    fn accept(&mut self, listener: &TcpListener) -> io::Result<(Socket, Address)> {
        self.asked += 1;
        if self.forbids {
            return Err(io::Error::from_raw_os_error(rustix::io::Errno::PERM.raw_os_error()));
        }
        self.inner.accept(listener)
    }
    fn shed(&mut self, listener: &TcpListener) -> io::Result<bool> {
        self.inner.shed(listener)
    }
    fn connect(&mut self, to: &Address) -> io::Result<Socket> {
        self.inner.connect(to)
    }
    fn connect_result(&mut self, stream: &Socket) -> io::Result<bool> {
        self.inner.connect_result(stream)
    }
    fn register_stream(&mut self, stream: &mut Socket, token: Token) -> io::Result<()> {
        self.inner.register_stream(stream, token)
    }
    fn register_listener(&mut self, listener: &mut TcpListener, token: Token) -> io::Result<()> {
        self.inner.register_listener(listener, token)
    }
}

#[test]
fn a_listener_that_only_fails_is_asked_rarely_and_serves_those_who_waited_once_it_works() {
    let kernel = Forbidding { inner: MioKernel::new().unwrap(), forbids: true, asked: 0 };
    let mut reactor = Reactor::with_kernel(kernel, Config::default());
    let listener = listen_tcp("127.0.0.1:0".parse().unwrap(), &ListenOptions::default()).unwrap();
    let address = listener.local_addr().unwrap();
    let listener = TcpListener::from_std(listener);
    reactor
        .add_listener(listener, oneloop::Address::Tcp(address), factory(|_| Framed::new(Raw, Echo)))
        .unwrap();

    let mut client = TcpStream::connect(address).unwrap();
    client.write_all(b"still here").unwrap();
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_millis(350) {
        reactor.turn(Some(Duration::from_millis(10))).unwrap();
    }
    let asked = reactor.kernel().asked;
    assert!((1..1000).contains(&asked), "asked {asked} times in {:?}", begun.elapsed());

    reactor.kernel_mut().forbids = false;
    while reactor.stats().traffic.bytes_out == 0 {
        assert!(begun.elapsed() < Duration::from_secs(30), "nobody came back for the one who waits");
        reactor.turn(Some(Duration::from_millis(50))).unwrap();
    }
    let mut answer = [0; 10];
    client.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"still here");
}
