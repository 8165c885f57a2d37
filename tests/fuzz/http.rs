#![no_main]
//! See bodies/http.rs.

mod bodies;

libfuzzer_sys::fuzz_target!(|data: &[u8]| bodies::http::run(data));
