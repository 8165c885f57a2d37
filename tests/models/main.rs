//! `oneloop serve --model ...` from outside: what tests/serve asserts of the loop holds on the other models too, as far as
//! they can do it; and UDP and Unix sockets, on every model.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test says with a panic what went wrong")]

#[path = "../support/mod.rs"]
mod support;

mod clock;
mod drain;
mod drain_load;
mod panics;
mod peers;
mod restart;
mod room;
mod times;
mod udp;
mod unix;
mod unixgram;

use support::Server;

/// All of them.
const ALL: [&str; 4] = ["loop", "threads", "iterative", "spin"];

/// Those that tests/serve does not start.
const OTHERS: [&str; 3] = ["threads", "iterative", "spin"];

/// Those among them that serve several clients at once.
const CONCURRENT: [&str; 2] = ["threads", "spin"];

/// `oneloop serve --model MODEL ARGS`.
fn serve(model: &str, args: &[&str]) -> Server {
    eprintln!("model {model}");
    Server::start(&[args, &["--model", model]].concat())
}
