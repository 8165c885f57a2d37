//! The table on real sockets, TCP and Unix, on every model.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use oneloop::address::Address;
use oneloop::kernel::Kernel;
use oneloop::models::{self, Blocking, SpinKernel};
use oneloop::os::datagrams::{DatagramOptions, DatagramPort, bind_udp};
use oneloop::os::sockets::{ListenOptions, StreamListener, listen};
use oneloop::reactor::Outcome;
use oneloop::session::{DatagramFactory, Factory};
use oneloop::testing::sim::Step;
use oneloop::{Config, Reactor};

use crate::probe::{Seen, seen};
use crate::table::{Case, table};

/// How long anything may take that should happen at once, on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// How long a client waits until the first part of a message was looked at. What is looked at no more, behind an `exit` or
/// an error, is sent on all the same.
const GLANCE: Duration = Duration::from_millis(2);

/// Sends of more than this may have to wait until answers are read.
const AT_ONCE: usize = 32 * 1024;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Model {
    Loop,
    Threads,
    Iterative,
    Spin,
}

/// A server in this process, on a thread of its own; stopping it must drain it.
pub(crate) struct Server {
    stop: Box<dyn Fn()>,
    thread: JoinHandle<Outcome>,
    folder: PathBuf,
    /// For each factory of streams TCP, then Unix; then UDP.
    pub(crate) addresses: Vec<Address>,
}

/// What a server's thread says when it is ready.
type Ready = Sender<(Box<dyn Fn() + Send>, Vec<Address>)>;

impl Server {
    pub(crate) fn start(model: Model, streams: Vec<Factory>, datagrams: Vec<DatagramFactory>) -> Self {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("oneloop-parity-{}-{number}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&folder).unwrap();
        let (says, ready) = channel();
        let plan = Plan { folder: folder.clone(), streams, datagrams };
        let thread = thread::spawn(move || match model {
            Model::Loop => plan.react(Reactor::with_config(Config::default()).unwrap(), &says, |reactor| {
                let handle = reactor.handle();
                Box::new(move || handle.stop())
            }),
            Model::Spin => {
                let kernel = SpinKernel::new().unwrap();
                let handle = kernel.handle();
                let stop = || -> Box<dyn Fn() + Send> { Box::new(move || handle.stop()) };
                plan.react(Reactor::with_kernel(kernel, Config::default()), &says, |_| stop())
            }
            Model::Threads => plan.block(models::Model::Threads, &says),
            Model::Iterative => plan.block(models::Model::Iterative, &says),
        });
        let (stop, addresses) = ready.recv_timeout(PATIENCE).expect("it starts");
        Self { stop, thread, folder, addresses }
    }

    /// Drains it; nobody is left to be cut off.
    pub(crate) fn stop(self) {
        (self.stop)();
        assert_eq!(self.thread.join().unwrap(), Outcome::default());
        std::fs::remove_dir(&self.folder).expect("it has removed its sockets");
    }
}

/// What is to be served.
struct Plan {
    folder: PathBuf,
    streams: Vec<Factory>,
    datagrams: Vec<DatagramFactory>,
}

impl Plan {
    fn listeners(&self) -> impl Iterator<Item = (StreamListener, Address, Factory)> + '_ {
        self.streams.iter().enumerate().flat_map(|(at, make)| {
            let path = self.folder.join(at.to_string());
            let both = ["tcp://127.0.0.1:0".to_owned(), format!("unix:{}", path.display())];
            both.map(|address| {
                let (listener, local) = listen(&address.parse().unwrap(), &ListenOptions::default()).unwrap();
                (listener, local, make.clone())
            })
        })
    }

    fn react<K>(
        self,
        mut reactor: Reactor<K>,
        ready: &Ready,
        stop: impl FnOnce(&Reactor<K>) -> Box<dyn Fn() + Send>,
    ) -> Outcome
    where
        K: Kernel<Datagrams = DatagramPort>,
        K::Listener: From<StreamListener>,
    {
        let mut addresses = Vec::new();
        for (listener, local, make) in self.listeners() {
            reactor.add_listener(listener.into(), local.clone(), make).unwrap();
            addresses.push(local);
        }
        for make in &self.datagrams {
            let (socket, local) = bind_udp(any_port(), &DatagramOptions::default()).unwrap();
            reactor.add_port(DatagramPort::new(socket).unwrap(), local, make).unwrap();
            addresses.push(Address::Udp(local));
        }
        ready.send((stop(&reactor), addresses)).unwrap();
        reactor.run().unwrap()
    }

    fn block(self, model: models::Model, ready: &Ready) -> Outcome {
        let mut server = Blocking::new(model, Config::default()).unwrap();
        let mut addresses = Vec::new();
        for (listener, local, make) in self.listeners() {
            addresses.push(local.clone());
            server.add_listener(listener, local, make);
        }
        for make in &self.datagrams {
            let (socket, local) = bind_udp(any_port(), &DatagramOptions::default()).unwrap();
            server.add_port(socket, local, make.clone());
            addresses.push(Address::Udp(local));
        }
        let handle = server.handle();
        ready.send((Box::new(move || handle.stop()), addresses)).unwrap();
        server.run().unwrap()
    }
}

fn any_port() -> SocketAddr {
    "127.0.0.1:0".parse().unwrap()
}

/// A client's socket, whose calls all have a deadline.
enum Client {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Client {
    fn connect(address: &Address) -> Self {
        match (address, address.socket_addr()) {
            (Address::Unix(name), _) => {
                let stream = UnixStream::connect(name.path().expect("a path")).unwrap();
                stream.set_read_timeout(Some(PATIENCE)).unwrap();
                stream.set_write_timeout(Some(PATIENCE)).unwrap();
                Self::Unix(stream)
            }
            (_, addr) => {
                let stream = TcpStream::connect_timeout(&addr.expect("an address"), PATIENCE).unwrap();
                stream.set_nodelay(true).unwrap();
                stream.set_read_timeout(Some(PATIENCE)).unwrap();
                stream.set_write_timeout(Some(PATIENCE)).unwrap();
                Self::Tcp(stream)
            }
        }
    }

    fn read(&self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => (&mut &*stream).read(into),
            Self::Unix(stream) => (&mut &*stream).read(into),
        }
    }

    fn write_all(&self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => (&mut &*stream).write_all(bytes),
            Self::Unix(stream) => (&mut &*stream).write_all(bytes),
        }
    }

    fn end(&self) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.shutdown(Shutdown::Write),
            Self::Unix(stream) => stream.shutdown(Shutdown::Write),
        }
    }

    fn expect(&self, expected: &[u8], name: &str) {
        let mut heard = vec![0; expected.len()];
        let mut len = 0;
        while len < heard.len() {
            match self.read(&mut heard[len..]) {
                Ok(0) => break,
                Ok(count) => len += count,
                Err(error) => {
                    panic!("{name}: {error} after {:?}", heard[..len.min(99)].escape_ascii().to_string())
                }
            }
        }
        let text = heard[..len.min(99)].escape_ascii().to_string();
        assert!(heard[..len] == *expected, "{name}: heard {len} bytes of {}: {text:?}", expected.len());
    }

    fn expect_end(&self, optional: &[u8], name: &str) {
        let (mut buffer, mut len) = (vec![0; 64 * 1024], 0);
        loop {
            match self.read(&mut buffer) {
                Ok(0) => return,
                Ok(count) => {
                    let heard = buffer[..count].escape_ascii().to_string();
                    let right = optional[len..].starts_with(&buffer[..count]);
                    assert!(right, "{name}: instead of the end came {:?}", &heard[..heard.len().min(99)]);
                    len += count;
                }
                Err(error) => panic!("{name}: instead of the end came {error}"),
            }
        }
    }
}

fn play(address: &Address, case: &Case, steps: &[Step], seen: &Seen) {
    let (begun, client) = (Instant::now(), Client::connect(address));
    let name = format!("{} on {address}", case.name);
    let (mut sent, mut optional): (_, &[u8]) = (0, b"");
    thread::scope(|scope| {
        let mut steps = steps.iter().peekable();
        while let Some(step) = steps.next() {
            match step {
                Step::Send(bytes) if bytes.len() > AT_ONCE => {
                    let ends = steps.next_if_eq(&&Step::Eof).is_some();
                    let client = &client;
                    scope.spawn(move || {
                        client.write_all(bytes).unwrap();
                        assert!(ends && client.end().is_ok(), "a large send is the last one");
                    });
                }
                Step::Send(bytes) => {
                    client.write_all(bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
                    sent += bytes.len();
                    if matches!(steps.peek(), Some(Step::Send(_))) {
                        glance(seen, sent);
                    }
                }
                Step::Hear(bytes) => client.expect(bytes, &name),
                Step::HearSome(bytes) => optional = bytes,
                Step::Eof => client.end().unwrap(),
                Step::End => client.expect_end(optional, &name),
            }
        }
    });
    assert!(begun.elapsed() >= early(case.takes), "{name}: took only {:?}", begun.elapsed());
}

/// Time is read once a turn, and spin looks at its sockets after that: what comes meanwhile seems to have come earlier.
pub(crate) fn early(takes: Duration) -> Duration {
    takes * 9 / 10
}

/// Gives the server time to look at the first part of a message by itself.
fn glance(seen: &Seen, sent: usize) {
    let until = Instant::now() + GLANCE;
    while seen.count() < sent && Instant::now() < until {
        thread::yield_now();
    }
}

fn keeps_to_every_transcript(model: Model) {
    let table = table();
    let all_seen: Vec<_> = table.iter().map(|_| Seen::default()).collect();
    let streams = table.iter().zip(&all_seen).map(|(case, at)| seen(&case.make, at)).collect();
    let server = Server::start(model, streams, Vec::new());
    for ((case, seen), addresses) in table.iter().zip(&all_seen).zip(server.addresses.chunks(2)) {
        // What takes its time is cut where time is virtual.
        let variants = if case.takes.is_zero() { case.variants() } else { vec![case.steps.clone()] };
        for steps in variants {
            for address in addresses {
                play(address, case, &steps, seen);
            }
        }
    }
    server.stop();
}

#[test]
fn the_loop_keeps_to_every_transcript() {
    keeps_to_every_transcript(Model::Loop);
}

#[test]
fn threads_keep_to_every_transcript() {
    keeps_to_every_transcript(Model::Threads);
}

#[test]
fn iterative_keeps_to_every_transcript() {
    keeps_to_every_transcript(Model::Iterative);
}

#[test]
fn spin_keeps_to_every_transcript() {
    keeps_to_every_transcript(Model::Spin);
}
