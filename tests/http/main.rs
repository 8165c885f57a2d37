//! `oneloop serve http` from outside: the real program on every model, real sockets, real files.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test says with a panic what went wrong")]

#[path = "../support/mod.rs"]
mod support;

mod answers;
mod client;
mod files;
mod hostile;
mod tools;

/// Every model, and `serve http` on it.
const MODELS: [&str; 4] = ["loop", "threads", "iterative", "spin"];

fn start(model: &str, args: &[&str]) -> support::Server {
    support::Server::start(&[&["http", "--model", model], args].concat())
}
