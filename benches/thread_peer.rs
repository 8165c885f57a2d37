//! The least a thread per connection can be: std's sockets, a loop of read and write, no limits, no counters. What
//! `serve echo --model threads` is measured against: `cargo bench --bench thread_peer -- 127.0.0.1:7000`.

#![allow(clippy::unwrap_used, reason = "a measuring aid ends with a panic")]

use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;

use oneloop::os::sockets::{ListenOptions, StreamListener, listen};

/// The same stack and buffer as the model has.
const STACK: usize = 128 * 1024;
const BUFFER: usize = 8 * 1024;

fn main() {
    let Some(address) = std::env::args().find(|argument| argument.contains(':')) else {
        return; // `cargo test` runs it without an address
    };
    let address = format!("tcp://{address}").parse().unwrap();
    let (StreamListener::Tcp(listener), _) = listen(&address, &ListenOptions::default()).unwrap() else {
        return;
    };
    listener.set_nonblocking(false).unwrap();
    for stream in listener.incoming() {
        let stream = stream.unwrap();
        thread::Builder::new().stack_size(STACK).spawn(move || echo(stream)).unwrap();
    }
}

fn echo(mut stream: TcpStream) {
    let mut buffer = [0; BUFFER];
    while let Ok(count) = stream.read(&mut buffer) {
        if count == 0 || stream.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
}
