//! One service, one answer: every service says the same, byte by byte, on every model.
//!
//! The table of transcripts is played on a session alone, on the loop over the simulated kernel, and on real sockets of
//! every kind on the loop, threads, iterative and spin. Where messages are framed, it must not matter how the bytes are
//! cut either.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test says with a panic what went wrong")]

mod datagrams;
mod pair;
mod probe;
mod real;
mod simulated;
mod table;
