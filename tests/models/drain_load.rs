//! SIGTERM under load, on every stream transport: what was received or queued is answered, the accept queue included.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, RwLock};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use rustix::process::Signal;

use crate::support::*;
use crate::{ALL, serve};

/// A connection of either kind.
trait Wire: Read + Write {}
impl<T: Read + Write> Wire for T {}

type Connect = Arc<dyn Fn() -> io::Result<Box<dyn Wire>> + Send + Sync>;

/// What clients share.
#[derive(Default)]
struct Shared {
    /// The message under way is the last. Whoever begins one holds it until it is sent: what is sent later than the signal
    /// may be too late.
    stop: RwLock<bool>,
    answered: AtomicU64,
}

impl Shared {
    /// Sends one message, unless it is over, on what `connect` gives.
    fn send<W: Wire>(
        &self,
        connect: impl FnOnce() -> io::Result<W>,
        message: &[u8],
    ) -> io::Result<Option<W>> {
        let stop = self.stop.read().unwrap();
        if *stop {
            return Ok(None);
        }
        let mut wire = connect()?;
        wire.write_all(message)?;
        Ok(Some(wire))
    }

    fn hear(&self, mut wire: impl Wire, message: &[u8]) -> io::Result<()> {
        let mut answer = vec![0; message.len()];
        wire.read_exact(&mut answer)?;
        assert!(answer == message, "another answer");
        self.answered.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

/// Says one thing after the other on one connection, and waits for the end of the stream in the end.
fn stay(connect: &Connect, shared: &Shared, size: usize) -> io::Result<()> {
    let mut wire = connect()?;
    let message: Vec<u8> = (0..251_u8).cycle().take(size).collect();
    while shared.send(|| Ok(&mut *wire), &message)?.is_some() {
        shared.hear(&mut *wire, &message)?;
    }
    match wire.read(&mut [0; 1])? {
        0 => Ok(()),
        _ => Err(io::Error::other("more than was asked for")),
    }
}

/// Makes a connection for each message.
fn come_and_go(connect: &Connect, shared: &Shared) -> io::Result<()> {
    let message = b"a short visit";
    while let Some(wire) = shared.send(|| connect(), message)? {
        shared.hear(wire, message)?;
    }
    Ok(())
}

fn drain_under_load(server: Server, connect: Connect, staying: &[usize]) {
    let shared = Arc::<Shared>::default();
    let mut clients: Vec<JoinHandle<io::Result<()>>> = Vec::new();
    for &size in staying {
        let (connect, shared) = (Arc::clone(&connect), Arc::clone(&shared));
        clients.push(thread::spawn(move || stay(&connect, &shared, size)));
    }
    for _ in 0..4 {
        let (connect, shared) = (Arc::clone(&connect), Arc::clone(&shared));
        clients.push(thread::spawn(move || come_and_go(&connect, &shared)));
    }
    let until = Instant::now() + PATIENCE;
    while shared.answered.load(Ordering::Relaxed) < 500 {
        assert!(Instant::now() < until && clients.iter().all(|client| !client.is_finished()));
        thread::yield_now();
    }
    // Held still, the server has everything that is under way in its queues: messages, and connections not accepted.
    let mut stop = shared.stop.write().unwrap();
    server.signal(Signal::STOP);
    server.signal(Signal::TERM);
    server.signal(Signal::CONT);
    *stop = true;
    drop(stop);
    for client in clients {
        client.join().unwrap().expect("everything is answered, and ends properly");
    }
    let ended = server.wait();
    assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
    assert!(!ended.stderr.contains("drain limit"), "{}", ended.stderr);
}

/// Iterative has no time for visitors while somebody stays.
fn staying(model: &str) -> &'static [usize] {
    if model == "iterative" { &[] } else { &[1, 100, 5000, 200_000] }
}

#[test]
fn over_tcp_a_drain_under_load_loses_nothing() {
    for model in ALL {
        let server = serve(model, &[]);
        let address = server.address();
        let connect = move || -> io::Result<Box<dyn Wire>> {
            let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            stream.set_write_timeout(Some(PATIENCE))?;
            Ok(Box::new(stream))
        };
        drain_under_load(server, Arc::new(connect), staying(model));
    }
}

#[test]
fn over_unix_sockets_a_drain_under_load_loses_nothing() {
    for model in ALL {
        let name = format!("oneloop-drain-{}-{model}", std::process::id());
        let path = std::env::temp_dir().join(name);
        let server = serve(model, &[&format!("--listen=unix:{}", path.display())]);
        server.wait_log("listening");
        let connect = move || -> io::Result<Box<dyn Wire>> {
            let stream = UnixStream::connect(&path)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            stream.set_write_timeout(Some(PATIENCE))?;
            Ok(Box::new(stream))
        };
        drain_under_load(server, Arc::new(connect), staying(model));
    }
}
