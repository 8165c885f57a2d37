//! Replies held back for a while, earliest first.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::time::Instant;

use crate::address::Endpoint;

/// Bytes that may be held at most, whatever their number.
const MAX_BYTES: usize = 4 * 1024 * 1024;

#[derive(Debug)]
pub(super) struct Reply {
    at: Instant,
    /// Replies of one moment leave in the order in which they were made.
    seq: u64,
    pub(super) to: Endpoint,
    pub(super) payload: Box<[u8]>,
}

/// Replies by the moment at which they are to leave.
#[derive(Debug, Default)]
pub(super) struct Held {
    heap: BinaryHeap<Reply>,
    bytes: usize,
    seq: u64,
}

impl Held {
    pub(super) fn len(&self) -> usize {
        self.heap.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.heap.is_empty()
    }

    /// Holds a reply until `at`, unless `max` are held already; says whether it does.
    pub(super) fn push(&mut self, at: Instant, to: &Endpoint, payload: &[u8], max: usize) -> bool {
        if self.heap.len() >= max || self.bytes + payload.len() > MAX_BYTES {
            return false;
        }
        self.bytes += payload.len();
        self.seq += 1;
        self.heap.push(Reply { at, seq: self.seq, to: to.clone(), payload: payload.into() });
        true
    }

    pub(super) fn next(&self) -> Option<Instant> {
        self.heap.peek().map(|reply| reply.at)
    }

    /// Takes one reply whose moment has come.
    pub(super) fn pop_due(&mut self, now: Instant) -> Option<Reply> {
        if self.next()? > now {
            return None;
        }
        let reply = self.heap.pop()?;
        self.bytes -= reply.payload.len();
        Some(reply)
    }
}

impl Ord for Reply {
    /// The earliest is the greatest, because the heap gives the greatest first.
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at, other.seq).cmp(&(self.at, self.seq))
    }
}

impl PartialOrd for Reply {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Reply {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Reply {}
