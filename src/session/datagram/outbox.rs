//! Replies on their way to the kernel: one buffer for all of a turn, and where each one is in it.

use std::ops::Range;

use crate::address::Endpoint;

/// Bytes that may wait at most, whatever their number: a few hundred of the largest datagrams.
const MAX_BYTES: usize = 4 * 1024 * 1024;

/// A buffer larger than this gives its memory back once it is empty.
const KEEP_CAPACITY: usize = 256 * 1024;

/// One datagram to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Datagram<'a> {
    /// Where to.
    pub to: &'a Endpoint,
    /// The payload; may be empty.
    pub payload: &'a [u8],
}

#[derive(Debug)]
struct Entry {
    to: Endpoint,
    range: Range<usize>,
}

/// Replies in order.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    bytes: Vec<u8>,
    entries: Vec<Entry>,
    /// Entries before this are sent. Invariant: at most `entries.len()`, and 0 when all are sent.
    sent: usize,
}

impl Outbox {
    pub(super) fn len(&self) -> usize {
        self.entries.len() - self.sent
    }

    /// Adds a reply, unless `max` wait already; says whether it did.
    pub(super) fn push(&mut self, to: &Endpoint, payload: &[u8], max: usize) -> bool {
        if self.sent > self.len() {
            self.compact();
        }
        if self.len() >= max || self.bytes.len() + payload.len() > MAX_BYTES {
            return false;
        }
        let start = self.bytes.len();
        self.bytes.extend_from_slice(payload);
        self.entries.push(Entry { to: to.clone(), range: start..self.bytes.len() });
        true
    }

    /// The replies that are not sent yet, in order.
    pub(super) fn iter(&self) -> impl ExactSizeIterator<Item = Datagram<'_>> {
        self.entries[self.sent..]
            .iter()
            .map(|entry| Datagram { to: &entry.to, payload: &self.bytes[entry.range.clone()] })
    }

    /// Forgets `count` replies from the front.
    pub(super) fn consume(&mut self, count: usize) {
        self.sent += count;
        debug_assert!(self.sent <= self.entries.len(), "more sent than there were");
        if self.sent >= self.entries.len() {
            self.clear();
        }
    }

    fn clear(&mut self) {
        self.entries.clear();
        self.bytes.clear();
        self.sent = 0;
        if self.bytes.capacity() > KEEP_CAPACITY {
            *self = Self::default();
        }
    }

    /// Moves what is left to the front: worth it once that is the smaller half.
    fn compact(&mut self) {
        let gone = self.entries[self.sent - 1].range.end;
        self.entries.drain(..self.sent);
        self.bytes.drain(..gone);
        for entry in &mut self.entries {
            entry.range = entry.range.start - gone..entry.range.end - gone;
        }
        self.sent = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn to(port: u16) -> Endpoint {
        std::net::SocketAddr::from(([127, 0, 0, 1], port)).into()
    }

    #[test]
    fn replies_come_out_in_order_whatever_was_taken_in_between() {
        let mut outbox = Outbox::default();
        let (mut pushed, mut taken) = (0_u16, 0_u16);
        for round in 0..500_u16 {
            for _ in 0..round % 7 {
                assert!(outbox.push(
                    &to(pushed),
                    &pushed.to_be_bytes()[..usize::from(pushed % 3)],
                    usize::MAX
                ));
                pushed += 1;
            }
            let count = outbox.len().min(usize::from(round % 5));
            for (at, datagram) in (taken..).zip(outbox.iter().take(count)) {
                assert_eq!(
                    datagram,
                    Datagram { to: &to(at), payload: &at.to_be_bytes()[..usize::from(at % 3)] }
                );
            }
            outbox.consume(count);
            taken += u16::try_from(count).unwrap();
            assert_eq!(outbox.len(), usize::from(pushed - taken));
            assert!(outbox.entries.len() <= 2 * outbox.len() + 8, "what was sent is forgotten");
        }
    }

    #[test]
    fn what_exceeds_the_bound_is_refused() {
        let mut outbox = Outbox::default();
        assert!(outbox.push(&to(1), b"", 2) && outbox.push(&to(1), b"a", 2));
        assert!(!outbox.push(&to(1), b"b", 2));
        outbox.consume(1);
        assert!(outbox.push(&to(1), b"b", 2));
        assert!(!outbox.push(&to(1), &vec![0; MAX_BYTES], 9));
    }
}
