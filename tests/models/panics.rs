//! A service that panics on a thread of the blocking models.

use std::io::{Read, Write};
use std::net::{TcpStream, UdpSocket};
use std::sync::mpsc::channel;
use std::thread;

use oneloop::codec::Lines;
use oneloop::models::{Blocking, Model};
use oneloop::os::datagrams::{DatagramOptions, bind_udp};
use oneloop::os::sockets::{ListenOptions, StreamListener, listen};
use oneloop::reactor::Outcome;
use oneloop::session::{Context, EachDatagram, Framed, Service, datagram_factory, factory};
use oneloop::{Address, Config};

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
