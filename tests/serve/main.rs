//! `oneloop serve` from outside: the real program, real sockets, real signals.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test says with a panic what went wrong")]

#[path = "../support/mod.rs"]
mod support;

mod ceilings;
mod drain;
mod flood;
mod frames;
mod listening;
mod logging;
mod options;
mod peers;
mod printing;
mod services;
mod source;
mod timeouts;
