//! One reactor on loopback, driven by blocking clients in a second thread: `cargo bench --bench loopback`.
//!
//! A smoke figure for whoever changes the loop. Both sides run here, so it says less about the server than a
//! generator on its own core would; docs/measurements.md has those.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread::JoinHandle;

use divan::Bencher;
use divan::counter::{BytesCount, ItemsCount};
use oneloop::Reactor;
use oneloop::codec::Raw;
use oneloop::reactor::Handle;
use oneloop::services::Echo;
use oneloop::session::{Framed, factory};

fn main() {
    divan::main();
}

/// An echo server in a thread of its own.
struct Server {
    address: SocketAddr,
    handle: Handle,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    fn start() -> Self {
        let (tell, told) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            let mut reactor = Reactor::new().expect("a poll");
            let any = "127.0.0.1:0".parse().expect("an address");
            let address = reactor.listen(any, factory(|_| Framed::new(Raw, Echo))).expect("a free port");
            tell.send((address, reactor.handle())).expect("the benchmark waits");
            reactor.run().expect("the loop");
        });
        let (address, handle) = told.recv().expect("the server starts");
        Self { address, handle, thread: Some(thread) }
    }

    fn connect(&self) -> TcpStream {
        let client = TcpStream::connect(self.address).expect("the server listens");
        client.set_nodelay(true).expect("an open socket");
        client
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.handle.stop_now();
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// One round trip on each of many connections: all requests are sent, then all answers read.
#[divan::bench(args = [1, 100])]
fn round_trips(bencher: Bencher<'_, '_>, connections: usize) {
    let server = Server::start();
    let mut clients: Vec<TcpStream> = (0..connections).map(|_| server.connect()).collect();
    let mut answer = [0; 64];
    bencher.counter(ItemsCount::new(connections)).bench_local(|| {
        for client in &mut clients {
            client.write_all(&[b'x'; 64]).expect("the server reads");
        }
        for client in &mut clients {
            client.read_exact(&mut answer).expect("the server answers");
        }
        assert_eq!(answer, [b'x'; 64]);
    });
}

/// 64 KiB there and back on one connection.
#[divan::bench]
fn stream(bencher: Bencher<'_, '_>) {
    let server = Server::start();
    let mut client = server.connect();
    let chunk = vec![b'x'; 64 * 1024];
    let mut answer = vec![0; 64 * 1024];
    bencher.counter(BytesCount::new(chunk.len())).bench_local(|| {
        client.write_all(&chunk).expect("the server reads");
        client.read_exact(&mut answer).expect("the server answers");
        assert_eq!(answer[0], b'x');
    });
}

/// Connect, one round trip, close.
#[divan::bench]
fn connect_echo_close(bencher: Bencher<'_, '_>) {
    let server = Server::start();
    let mut answer = [0; 64];
    bencher.counter(ItemsCount::new(1_usize)).bench_local(|| {
        let mut client = server.connect();
        client.write_all(&[b'x'; 64]).expect("the server reads");
        client.read_exact(&mut answer).expect("the server answers");
    });
}
