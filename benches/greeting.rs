//! Clients of the tutorials' greeting server, all at once from one thread: each connects, waits for the banner, sends one
//! name, waits for the answer and leaves.
//!
//! `oneloop serve greet --banner 'Welcome!' --delay 1s` in one terminal, in another
//! `cargo bench --bench greeting -- 127.0.0.1:9999 10000`.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a measuring aid prints, and ends with a panic")]

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use oneloop::session::{CloseReason, Context, Now, Protocol, ProtocolError, Step};
use oneloop::{Address, Config, Reactor};

const BANNER: &[u8] = b"Welcome!";

/// When each client was done, or why it was not.
#[derive(Default)]
struct Results {
    greeted: Vec<Duration>,
    answered: Vec<Duration>,
    failed: Vec<String>,
    ended: usize,
}

struct Client {
    name: String,
    begun: Instant,
    /// What is expected next, in full.
    expected: Vec<u8>,
    named: bool,
    done: bool,
    results: Rc<RefCell<Results>>,
}

impl Protocol for Client {
    fn on_bytes(&mut self, input: &[u8], cx: &mut Context<'_>) -> Result<Step, ProtocolError> {
        if input.len() < self.expected.len() {
            return Ok(Step::NeedMore);
        }
        if input != self.expected {
            return Err(ProtocolError::Violation("not what was expected"));
        }
        let after = cx.now() - self.begun;
        if self.named {
            self.results.borrow_mut().answered.push(after);
            self.done = true;
            cx.close();
        } else {
            self.results.borrow_mut().greeted.push(after);
            self.named = true;
            cx.write(self.name.as_bytes());
            self.expected = format!("Hello, {}!", self.name).into_bytes();
        }
        Ok(Step::consumed(input.len()))
    }

    fn on_close(&mut self, reason: &CloseReason, _now: &Now) {
        let mut results = self.results.borrow_mut();
        results.ended += 1;
        if !self.done {
            results.failed.push(reason.to_string());
        }
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let [address, clients] = &arguments[..] else {
        return; // `cargo test` runs it without arguments
    };
    let to = Address::Tcp(address.parse().unwrap());
    let clients: usize = clients.parse().unwrap();
    let mut config = Config::default();
    config.connect_timeout = Duration::from_secs(60);
    let mut reactor = Reactor::with_config(config).unwrap();
    let results = Rc::new(RefCell::new(Results::default()));
    let begun = Instant::now();
    for number in 0..clients {
        let (name, results) = (format!("client {number}"), results.clone());
        let client = Client { name, begun, expected: BANNER.to_vec(), named: false, done: false, results };
        reactor.connect(&to, Box::new(client)).unwrap();
        if number % 256 == 255 {
            reactor.turn(Some(Duration::ZERO)).unwrap();
        }
    }
    while results.borrow().ended < clients {
        reactor.turn(None).unwrap();
    }
    report(&mut results.borrow_mut(), clients, begun.elapsed());
}

fn report(results: &mut Results, clients: usize, took: Duration) {
    println!(
        "{clients} clients, {} answered, all done after {:.3} s",
        results.answered.len(),
        took.as_secs_f64()
    );
    for (what, times) in [("greeted", &mut results.greeted), ("answered", &mut results.answered)] {
        times.sort();
        if let (Some(first), Some(last)) = (times.first(), times.last()) {
            println!(
                "{what}: the first after {:.3} s, the last after {:.3} s",
                first.as_secs_f64(),
                last.as_secs_f64()
            );
        }
    }
    results.failed.sort();
    for failures in results.failed.chunk_by(|a, b| a == b) {
        println!("failed: {} x {}", failures.len(), failures[0]);
    }
}
