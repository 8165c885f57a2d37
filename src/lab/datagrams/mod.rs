//! Streams have no boundaries; datagrams have, and are lost.

mod boundaries;
mod errors;
mod frames;
mod loss;
mod peers;
mod ports;
mod raw;
mod segments;
mod stream;

use super::experiment::Page;

pub(super) const PAGES: &[Page] = &[
    stream::PAGE,
    segments::PAGE,
    frames::PAGE,
    boundaries::PAGE,
    loss::PAGE,
    errors::PAGE,
    peers::PAGE,
    ports::PAGE,
    raw::PAGE,
];
