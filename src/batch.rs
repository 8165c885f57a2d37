//! Where datagrams are received to, many per system call.

use std::fmt;

use crate::address::Endpoint;

/// The most datagrams per system call: for so long, a tenth of a millisecond, everybody else on the same thread waits.
pub const BATCH: usize = 64;

/// Room for one datagram of any size. The odd lines behind it keep the slots' beginnings, which are all that small
/// datagrams touch, from falling on the same few lines of the processor's cache.
const STRIDE: usize = 64 * 1024 + 3 * 64;

/// Datagrams received by one call, with their senders. One per driver; untouched room costs no memory.
pub struct RecvBatch {
    arena: Vec<u8>,
    /// Invariant: `arena` has this many slots.
    room: usize,
    received: Vec<(usize, Endpoint)>,
}

impl RecvBatch {
    /// Room for [`BATCH`] datagrams.
    #[must_use]
    pub fn new() -> Self {
        Self::with_room(BATCH)
    }

    /// Room for `room` datagrams, from one to [`BATCH`].
    #[must_use]
    pub fn with_room(room: usize) -> Self {
        let room = room.clamp(1, BATCH);
        Self { arena: vec![0; room * STRIDE], room, received: Vec::with_capacity(room) }
    }

    /// Forgets what was received.
    pub fn clear(&mut self) {
        self.received.clear();
    }

    /// How many were received.
    #[must_use]
    pub fn len(&self) -> usize {
        self.received.len()
    }

    /// Whether none was received.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.received.is_empty()
    }

    /// Whether no further one has room.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.received.len() == self.room
    }

    /// The room for the next datagram. To be received into, then [`push`](Self::push)ed.
    ///
    /// # Panics
    /// When [`is_full`](Self::is_full).
    pub fn slot(&mut self) -> &mut [u8] {
        let start = self.received.len() * STRIDE;
        &mut self.arena[start..start + STRIDE]
    }

    /// The room for all the next datagrams, in order, and the list of lengths and senders to be filled.
    pub fn slots(&mut self) -> (impl Iterator<Item = &mut [u8]>, &mut Vec<(usize, Endpoint)>) {
        (self.arena.chunks_exact_mut(STRIDE).skip(self.received.len()), &mut self.received)
    }

    /// The datagram in the next [`slot`](Self::slot) has so many bytes and came from there.
    pub fn push(&mut self, len: usize, from: impl Into<Endpoint>) {
        debug_assert!(len <= STRIDE && !self.is_full(), "no datagram is longer than its slot");
        self.received.push((len, from.into()));
    }

    /// What was received, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &Endpoint)> {
        let slots = self.arena.chunks_exact(STRIDE);
        slots.zip(&self.received).map(|(slot, (len, from))| (&slot[..*len], from))
    }
}

impl Default for RecvBatch {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for RecvBatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecvBatch").field("received", &self.received.len()).finish_non_exhaustive()
    }
}
