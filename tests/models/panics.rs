//! A service that panics ends one conversation, on every model.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use oneloop::codec::Lines;
use oneloop::kernel::Kernel;
use oneloop::models::{Blocking, Model, SpinKernel};
use oneloop::os::datagrams::{DatagramOptions, DatagramPort, bind_udp};
use oneloop::os::sockets::{ListenOptions, StreamListener, listen};
use oneloop::reactor::{MioKernel, Outcome, Reactor, Stats};
use oneloop::session::{
    ChildEvent, ChildSpec, CloseReason, Context, EachDatagram, Factory, Framed, Now, Service,
    datagram_factory, factory,
};
use oneloop::{Address, Config, Error};

use crate::support::*;

/// Echoes, until it is asked to panic.
#[derive(Clone)]
struct Fragile;

impl Service for Fragile {
    fn on_frame(&mut self, frame: &[u8], cx: &mut Context<'_>) {
        assert_ne!(frame, b"panic", "as asked");
        cx.reply(frame);
    }
}

fn listener() -> (StreamListener, Address) {
    listen(&"tcp://127.0.0.1:0".parse().unwrap(), &ListenOptions::default()).unwrap()
}

fn let_it_panic(client: &mut TcpStream) {
    exchange(client, b"one\n", b"one\n");
    client.write_all(b"panic\n").unwrap();
    // Whether it ends or is reset does not matter: it is over.
    let _ = client.read_to_end(&mut Vec::new());
}

#[test]
fn a_panic_ends_one_connection_and_frees_its_place() {
    for model in [Model::Threads, Model::Iterative] {
        let mut config = Config::default();
        config.max_connections = 1;
        let mut server = Blocking::new(model, config).unwrap();
        let (listener, local) = listener();
        let address = local.socket_addr().unwrap();
        server.add_listener(listener, local, factory(|_| Framed::new(Lines::default(), Fragile)));
        let (handle, (says, outcome)) = (server.handle(), channel());
        thread::spawn(move || says.send(server.run()).unwrap());
        for _ in 0..3 {
            let_it_panic(&mut connect(address));
            // There is room for one: it is served only because the place is free again.
            exchange(&mut connect(address), b"two\n", b"two\n");
        }
        handle.stop();
        let outcome = outcome.recv_timeout(PATIENCE).expect("it drains").unwrap();
        assert_eq!(outcome, Outcome::default(), "{model:?}");
    }
}

#[test]
fn a_panic_on_the_thread_of_a_datagram_socket_ends_the_server_instead_of_leaving_it_deaf() {
    for model in [Model::Threads, Model::Iterative] {
        let mut server = Blocking::new(model, Config::default()).unwrap();
        let (socket, local) = bind_udp("127.0.0.1:0".parse().unwrap(), &DatagramOptions::default()).unwrap();
        server.add_port(socket, local, datagram_factory(|_| EachDatagram::new(Fragile)));
        let (says, outcome) = channel();
        thread::spawn(move || says.send(server.run()).unwrap());
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        client.send_to(b"panic", local).unwrap();
        let error = outcome.recv_timeout(PATIENCE).expect("it ends").unwrap_err().to_string();
        assert!(error.contains(&format!("udp://{local}")) && error.contains("panicked"), "{error}");
    }
}

/// Panics where it is asked to; "wait" keeps the whole loop until the test says so.
struct Anywhere {
    panics_at: Vec<u8>,
    gate: Arc<Gate>,
}

/// The loop says that it waits, and waits.
struct Gate {
    waits: Sender<()>,
    go: Mutex<Receiver<()>>,
    /// Connections that are to panic while they begin: in the factory, or in `on_open`.
    factories: AtomicU32,
    opens: AtomicU32,
}

fn take(count: &AtomicU32) -> bool {
    count.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |count| count.checked_sub(1)).is_ok()
}

impl Service for Anywhere {
    fn on_open(&mut self, _cx: &mut Context<'_>) {
        assert!(!take(&self.gate.opens), "as asked");
    }

    fn on_frame(&mut self, frame: &[u8], cx: &mut Context<'_>) {
        match frame {
            b"frame" => {
                cx.reply(b"never seen");
                panic!("as asked");
            }
            b"wake" => cx.wake_after(Duration::from_millis(1)),
            b"wait" => {
                self.gate.waits.send(()).unwrap();
                self.gate.go.lock().unwrap().recv_timeout(PATIENCE).unwrap();
            }
            _ => {}
        }
        self.panics_at = frame.to_vec();
        cx.reply(frame);
    }

    fn on_eof(&mut self, cx: &mut Context<'_>) {
        assert_ne!(self.panics_at, b"eof", "as asked");
        cx.finish();
    }

    fn on_wake(&mut self, _cx: &mut Context<'_>) {
        panic!("as asked");
    }

    fn on_stop(&mut self, _cx: &mut Context<'_>) {
        assert_ne!(self.panics_at, b"stop", "as asked");
    }

    fn on_close(&mut self, _reason: &CloseReason, _now: &Now) {
        assert_ne!(self.panics_at, b"close", "as asked");
    }
}

/// A loop on a thread of its own.
struct Running {
    address: SocketAddr,
    stop: Box<dyn Fn() + Send>,
    ended: Receiver<(Result<Outcome, Error>, Stats)>,
    gate: Arc<Gate>,
    waits: Receiver<()>,
    go: Sender<()>,
}

impl Running {
    /// On the operating system, or on one without readiness.
    fn start(spins: bool, config: Config) -> Self {
        let ((waits_in, waits), (go, go_out)) = (channel(), channel());
        let gate = Gate {
            waits: waits_in,
            go: Mutex::new(go_out),
            factories: AtomicU32::new(0),
            opens: AtomicU32::new(0),
        };
        let gate = Arc::new(gate);
        let shared = Arc::clone(&gate);
        let make = factory(move |_| {
            assert!(!take(&shared.factories), "as asked");
            Framed::new(Lines::default(), Anywhere { panics_at: Vec::new(), gate: Arc::clone(&shared) })
        });
        let (listener, local) = listener();
        let address = local.socket_addr().unwrap();
        let (says, ended) = channel();
        let stop: Box<dyn Fn() + Send> = if spins {
            let kernel = SpinKernel::new().unwrap();
            let handle = kernel.handle();
            thread::spawn(move || {
                says.send(run(Reactor::with_kernel(kernel, config), listener, local, make)).unwrap()
            });
            Box::new(move || handle.stop())
        } else {
            let (tells, handle) = channel();
            thread::spawn(move || {
                let reactor: Reactor<MioKernel> = Reactor::with_config(config).unwrap();
                tells.send(reactor.handle()).unwrap();
                says.send(run(reactor, listener, local, make)).unwrap();
            });
            let handle = handle.recv_timeout(PATIENCE).unwrap();
            Box::new(move || handle.stop())
        };
        Self { address, stop, ended, gate, waits, go }
    }

    /// Drains, and says what was counted.
    fn stop(&self) -> Stats {
        (self.stop)();
        let (outcome, stats) = self.ended.recv_timeout(PATIENCE).expect("it drains");
        assert_eq!(outcome.unwrap(), Outcome::default());
        assert_eq!((stats.open, stats.buffered), (0, 0), "{stats}");
        assert_eq!(stats.closed_total(), stats.accepted, "{stats}");
        stats
    }
}

fn run<K: Kernel<Datagrams = DatagramPort>>(
    mut reactor: Reactor<K>,
    listener: StreamListener,
    local: Address,
    make: Factory,
) -> (Result<Outcome, Error>, Stats)
where
    K::Listener: From<StreamListener>,
{
    reactor.add_listener(listener.into(), local, make).unwrap();
    (reactor.run(), reactor.stats())
}

#[test]
fn a_panic_at_any_moment_ends_one_connection_and_frees_all_it_had() {
    for spins in [false, true] {
        let mut config = Config::default();
        // There is room for one: everybody is served only because all before are really gone.
        (config.max_connections, config.max_per_address) = (1, Some(1));
        config.limits.memory = Some(1024 * 1024);
        let server = Running::start(spins, config);
        for said in [&b"frame\n"[..], b"close\n", b"eof\n", b"wake\n", b"one\nframe\nunfinished"] {
            let mut client = connect(server.address);
            client.write_all(said).unwrap();
            if said != b"wake\n" {
                client.shutdown(Shutdown::Write).unwrap();
            }
            let _ = client.read_to_end(&mut Vec::new());
            exchange(&mut connect(server.address), b"two\n", b"two\n");
        }
        for count in [&server.gate.factories, &server.gate.opens] {
            count.store(1, Ordering::Relaxed);
            let _ = connect(server.address).read_to_end(&mut Vec::new());
            exchange(&mut connect(server.address), b"two\n", b"two\n");
        }
        let stats = server.stop();
        assert_eq!(stats.closed_as(&CloseReason::Panicked), 7, "{stats}");
        assert_eq!(stats.accepted, 14, "{stats}");
    }
}

#[test]
fn a_panic_costs_nobody_else_of_the_same_turn_their_event() {
    for spins in [false, true] {
        let server = Running::start(spins, Config::default());
        let mut clients: Vec<TcpStream> = (0..30).map(|_| connect(server.address)).collect();
        for client in &mut clients {
            exchange(client, b"hello\n", b"hello\n");
        }
        let mut keeper = connect(server.address);
        keeper.write_all(b"wait\n").unwrap();
        server.waits.recv_timeout(PATIENCE).expect("the loop waits");
        // All of this is one turn's when the loop goes on.
        for (number, client) in clients.iter_mut().enumerate() {
            client.write_all(if number % 3 == 0 { b"frame\n" } else { b"hello\n" }).unwrap();
        }
        let mut newcomer = connect(server.address);
        server.go.send(()).unwrap();
        expect(&mut keeper, b"wait\n");
        exchange(&mut newcomer, b"new\n", b"new\n");
        for (number, client) in clients.iter_mut().enumerate() {
            if number % 3 == 0 {
                let _ = client.read_to_end(&mut Vec::new());
            } else {
                expect(client, b"hello\n");
            }
        }
        drop((clients, keeper, newcomer));
        let stats = server.stop();
        assert_eq!(stats.closed_as(&CloseReason::Panicked), 10, "{stats}");
    }
}

#[test]
fn a_panic_in_a_drain_keeps_nobody_else_from_ending() {
    for spins in [false, true] {
        let server = Running::start(spins, Config::default());
        let mut clients: Vec<TcpStream> = (0..9).map(|_| connect(server.address)).collect();
        for (number, client) in clients.iter_mut().enumerate() {
            let said: &[u8] = if number % 3 == 0 { b"stop\n" } else { b"hello\n" };
            exchange(client, said, said);
        }
        let stats = server.stop();
        assert_eq!(stats.closed_as(&CloseReason::Panicked), 3, "{stats}");
        assert_eq!(stats.closed_as(&CloseReason::Drained), 6, "{stats}");
    }
}

#[test]
fn a_panic_in_the_handler_of_a_datagram_socket_ends_the_loop_with_an_error() {
    let mut reactor = Reactor::new().unwrap();
    let make = datagram_factory(|_| EachDatagram::new(Fragile));
    let local =
        reactor.listen_udp("127.0.0.1:0".parse().unwrap(), &DatagramOptions::default(), &make).unwrap();
    let client = UdpSocket::bind("127.0.0.1:0").unwrap();
    client.send_to(b"panic", local).unwrap();
    let error = reactor.run().unwrap_err().to_string();
    assert!(error.contains(&format!("udp://{local}")) && error.contains("panicked"), "{error}");
}

/// Runs a child, and panics over its output or over its end.
struct Parent {
    pids: Sender<u32>,
    at_end: bool,
}

impl Service for Parent {
    fn on_frame(&mut self, frame: &[u8], cx: &mut Context<'_>) {
        self.at_end = frame == b"end";
        let script = if self.at_end { "exit 0" } else { "echo $$; exec sleep 60" };
        cx.spawn(ChildSpec {
            program: "/bin/sh".into(),
            arguments: ["-c", script].map(Into::into).to_vec(),
            env: vec![("PATH".into(), "/usr/bin:/bin".into())],
            time_limit: None,
            max_output: None,
        });
    }

    fn on_child(&mut self, event: ChildEvent<'_>, _cx: &mut Context<'_>) {
        match event {
            ChildEvent::Stdout(pid) => {
                let pid = std::str::from_utf8(pid).unwrap().trim().parse().unwrap();
                self.pids.send(pid).unwrap();
                panic!("as asked");
            }
            ChildEvent::Ended(_) => assert!(!self.at_end, "as asked"),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_panic_over_a_child_ends_its_connection_and_the_child() {
    let ((pids, heard), (tells, told)) = (channel(), channel());
    let running = thread::spawn(move || {
        let mut reactor: Reactor<MioKernel> = Reactor::with_config(Config::default()).unwrap();
        let make =
            factory(move |_| Framed::new(Lines::default(), Parent { pids: pids.clone(), at_end: false }));
        let address = reactor.listen("127.0.0.1:0".parse().unwrap(), make).unwrap();
        tells.send((reactor.handle(), address)).unwrap();
        (reactor.run(), reactor.stats(), reactor.jobs())
    });
    let (handle, address) = told.recv_timeout(PATIENCE).unwrap();
    for said in [&b"output\n"[..], b"end\n"] {
        let mut client = connect(address);
        client.write_all(said).unwrap();
        let _ = client.read_to_end(&mut Vec::new());
    }
    let child = heard.recv_timeout(PATIENCE).expect("it has started");
    let (there, deadline) = (format!("/proc/{child}"), Instant::now() + PATIENCE);
    while std::path::Path::new(&there).exists() {
        assert!(Instant::now() < deadline, "the child outlives its connection");
        thread::yield_now();
    }
    handle.stop();
    let (outcome, stats, jobs) = running.join().unwrap();
    assert_eq!((outcome.unwrap(), jobs), (Outcome::default(), 0));
    assert_eq!(stats.closed_as(&CloseReason::Panicked), 2, "{stats}");
}
