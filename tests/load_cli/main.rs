//! `oneloop load` from outside: the real program.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test says with a panic what went wrong")]

#[path = "../support/mod.rs"]
mod support;

mod http;
mod limits;
mod options;
mod runs;
