#![no_main]
//! See bodies/session.rs.

mod bodies;

libfuzzer_sys::fuzz_target!(|data: &[u8]| bodies::session::run(data));
