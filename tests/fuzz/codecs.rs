#![no_main]
//! See bodies/codecs.rs.

mod bodies;

libfuzzer_sys::fuzz_target!(|data: &[u8]| bodies::codecs::run(data));
