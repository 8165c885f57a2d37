#![no_main]
//! See bodies/datagrams.rs.

mod bodies;

libfuzzer_sys::fuzz_target!(|data: &[u8]| bodies::datagrams::run(data));
