//! One server takes over from another: the listening socket is somebody else's, and both have it.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use rustix::process::Signal;

use crate::ALL;
use crate::support::*;

/// Clients that connect, say something, hear it, and leave, one after the other, until they are told to stop.
struct Load {
    stop: Arc<AtomicBool>,
    served: Arc<AtomicU64>,
    clients: Vec<JoinHandle<std::io::Result<()>>>,
}

impl Load {
    fn start(address: SocketAddr) -> Self {
        let (stop, served) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default());
        let clients = (0..3).map(|_| {
            let (stop, served) = (Arc::clone(&stop), Arc::clone(&served));
            thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    converse(address)?;
                    served.fetch_add(1, Ordering::Relaxed);
                }
                Ok(())
            })
        });
        let clients = clients.collect();
        Self { stop, served, clients }
    }

    /// Waits until so many more were served.
    fn wait(&self, more: u64) {
        let (until, before) = (Instant::now() + PATIENCE, self.served.load(Ordering::Relaxed));
        while self.served.load(Ordering::Relaxed) < before + more {
            assert!(Instant::now() < until && self.clients.iter().all(|client| !client.is_finished()));
            thread::yield_now();
        }
    }

    /// Ends, and says how many were served. Nobody may have been refused or reset.
    fn finish(self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        for client in self.clients {
            client.join().unwrap().expect("neither refused nor reset");
        }
        self.served.load(Ordering::Relaxed)
    }
}

fn converse(address: SocketAddr) -> std::io::Result<()> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(b"hello")?;
    let mut answer = [0; 5];
    stream.read_exact(&mut answer)?;
    assert_eq!(&answer, b"hello");
    Ok(())
}

/// The number behind `name=` in the last line of the log that says that all is over.
fn accepted(log: &str) -> u64 {
    let line = log.lines().rev().find(|line| line.contains("stopped open=0")).expect("the last statistics");
    let rest = line.split_once(" accepted=").expect("a number").1;
    rest.split(' ').next().and_then(|number| number.parse().ok()).expect("a number")
}

#[test]
fn a_restart_under_load_refuses_and_resets_nobody() {
    for model in ALL {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let start = || Server::start_with_socket(listener.try_clone().unwrap(), &["--model", model]);
        let mut server = start();
        assert_eq!(server.address(), address);
        let load = Load::start(address);
        let mut counts = Vec::new();
        for _ in 0..4 {
            load.wait(100);
            let successor = start();
            server.signal(Signal::TERM);
            let ended = std::mem::replace(&mut server, successor).wait();
            assert_eq!(ended.status.code(), Some(0), "{model}: {}", ended.stderr);
            counts.push(accepted(&ended.stderr));
        }
        load.wait(100);
        let served = load.finish();
        counts.push(accepted(&server.stop().stderr));
        assert!(counts.iter().all(|count| *count > 0), "{model}: {counts:?}");
        assert_eq!(counts.iter().sum::<u64>(), served, "{model}: {counts:?}");
    }
}

#[test]
fn who_is_queued_when_one_server_ends_is_served_by_the_next() {
    for model in ALL {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let start = || Server::start_with_socket(listener.try_clone().unwrap(), &["--model", model]);
        let server = start();
        server.signal(Signal::STOP);
        let mut queued: Vec<_> = (0..50).map(|_| server.connect()).collect();
        for client in &mut queued {
            client.write_all(b"queued").unwrap();
        }
        server.signal(Signal::TERM);
        server.signal(Signal::CONT);
        // Whom it had begun to accept it serves to the end.
        let ended = server.wait();
        assert_eq!(ended.status.code(), Some(0), "{model}: {}", ended.stderr);
        let next = start();
        for mut client in queued {
            expect(&mut client, b"queued");
        }
        drop(next);
    }
}

#[test]
fn the_path_of_an_inherited_unix_socket_stays() {
    let folder = std::env::temp_dir().join(format!("oneloop-restart-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    for model in ALL {
        let path = folder.join(model);
        let listener = UnixListener::bind(&path).unwrap();
        let server = Server::start_with_socket(listener.try_clone().unwrap(), &["--model", model]);
        assert_eq!(server.listening(), [format!("unix:{}", path.display())]);
        let mut client = UnixStream::connect(&path).unwrap();
        client.set_read_timeout(Some(PATIENCE)).unwrap();
        client.write_all(b"hello").unwrap();
        client.read_exact(&mut [0; 5]).unwrap();
        drop(client);
        assert_eq!(server.stop().status.code(), Some(0));
        UnixStream::connect(&path).expect("it is still listened to, by whoever bound it");
    }
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn an_inherited_udp_socket_is_served() {
    for model in ALL {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let server = Server::start_with_socket(socket.try_clone().unwrap(), &["--model", model]);
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        client.set_read_timeout(Some(PATIENCE)).unwrap();
        client.send_to(b"hello", server.address()).unwrap();
        assert_eq!(client.recv_from(&mut [0; 9]).unwrap(), (5, socket.local_addr().unwrap()));
        assert_eq!(server.stop().status.code(), Some(0));
    }
}

#[test]
fn an_address_that_is_named_takes_the_socket_that_listens_there_and_others_are_bound() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("tcp://{}", listener.local_addr().unwrap());
    let server = Server::start_with_socket(listener.try_clone().unwrap(), &["--listen", &url]);
    exchange(&mut server.connect(), b"x", b"x");
    drop(server);
    let server = Server::start_with_socket(listener, &["--listen", "tcp://127.0.0.1:0"]);
    assert_ne!(format!("tcp://{}", server.address()), url);
    let warning = server.wait_log("an inherited socket is not served");
    assert!(warning.contains(&url), "{warning}");
}
