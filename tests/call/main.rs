//! `oneloop call` from outside: the real program, against `oneloop serve` and against servers that misbehave.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test says with a panic what went wrong")]

#[path = "../support/mod.rs"]
mod support;

mod datagrams;
mod encoding;
mod failures;
mod framings;
mod options;
mod peers;
mod stdin;
mod stream;
mod unix;
