//! What the fuzz targets do with their input. tests/fuzz_corpus.rs does the same with the corpora, without a fuzzer.

#![allow(dead_code, unreachable_pub, reason = "each target needs its own part")]

pub mod codecs;
pub mod datagrams;
pub mod http;
pub mod input;
#[path = "../../support/reference.rs"]
pub mod reference;
pub mod responses;
pub mod session;
