//! The two buffers a connection owns only while it needs them: an unfinished message, and unsent output.

/// Bytes in order, appended at the end and taken from the front.
///
/// Gives its memory back when it becomes empty: most connections are idle most of the time.
#[derive(Debug, Default)]
pub(crate) struct Buffer {
    bytes: Vec<u8>,
    /// Everything before this is taken. Invariant: `start <= bytes.len()`, and 0 when empty.
    start: usize,
}

impl Buffer {
    pub(crate) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.bytes.len() - self.start
    }

    /// Bytes of memory taken up.
    pub(crate) fn capacity(&self) -> usize {
        self.bytes.capacity()
    }

    pub(crate) fn as_slice(&self) -> &[u8] {
        &self.bytes[self.start..]
    }

    pub(crate) fn push(&mut self, more: &[u8]) {
        // Moving what is left is worth it once it is the smaller half, so that each byte moves O(1) times.
        if self.start > self.len() {
            self.bytes.drain(..self.start);
            self.start = 0;
        }
        self.bytes.extend_from_slice(more);
    }

    pub(crate) fn take_front(&mut self, count: usize) {
        self.start += count;
        debug_assert!(self.start <= self.bytes.len(), "took more than there was");
        if self.start >= self.bytes.len() {
            *self = Self::default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_out_in_the_order_they_went_in() {
        let mut buffer = Buffer::default();
        let mut expected = Vec::new();
        let mut taken = Vec::new();
        for round in 0..200_u8 {
            let piece: Vec<u8> = (0..round % 17).map(|i| i ^ round).collect();
            buffer.push(&piece);
            expected.extend_from_slice(&piece);
            let count = buffer.len().min(usize::from(round % 11));
            taken.extend_from_slice(&buffer.as_slice()[..count]);
            buffer.take_front(count);
        }
        taken.extend_from_slice(buffer.as_slice());
        assert_eq!(taken, expected);
    }

    #[test]
    fn an_emptied_buffer_owns_nothing() {
        let mut buffer = Buffer::default();
        buffer.push(&[1; 4096]);
        buffer.take_front(4096);
        assert!(buffer.is_empty());
        assert_eq!(buffer.bytes.capacity(), 0);
    }
}
