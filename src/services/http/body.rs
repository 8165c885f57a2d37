//! The body of a request as it comes: where it ends, and that it is not longer than it may be.

use std::ops::Range;

use crate::http::{BodyLength, ChunkError, Chunked};

/// What is still to come of a body.
#[derive(Debug)]
pub(super) struct Body {
    rest: Rest,
    /// Bytes of it that may still come.
    allowed: u64,
    /// Bytes of it that have come.
    received: u64,
}

#[derive(Debug)]
enum Rest {
    Known(u64),
    Chunked(Chunked),
}

/// Why a body is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BodyError {
    TooLarge,
    Chunk(ChunkError),
}

/// A piece of a body at the front of the input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Taken {
    /// Bytes of the input that are dealt with; 0 only when there is no input, or the body has ended.
    pub(super) consumed: usize,
    /// Which of them are the body's.
    pub(super) part: Range<usize>,
    pub(super) is_last: bool,
}

impl Body {
    /// # Errors
    /// It announces more than `max` bytes.
    pub(super) fn new(length: BodyLength, max: u64) -> Result<Self, BodyError> {
        let rest = match length {
            BodyLength::Known(length) if length > max => return Err(BodyError::TooLarge),
            BodyLength::Known(length) => Rest::Known(length),
            BodyLength::Chunked => Rest::Chunked(Chunked::new()),
        };
        Ok(Self { rest, allowed: max, received: 0 })
    }

    pub(super) const fn is_chunked(&self) -> bool {
        matches!(self.rest, Rest::Chunked(_))
    }

    /// Bytes of the body itself so far.
    pub(super) const fn received(&self) -> u64 {
        self.received
    }

    /// The next piece.
    pub(super) fn take(&mut self, input: &[u8]) -> Result<Taken, BodyError> {
        let taken = match &mut self.rest {
            Rest::Known(left) => {
                let count = usize::try_from(*left).unwrap_or(usize::MAX).min(input.len());
                *left -= count as u64;
                Taken { consumed: count, part: 0..count, is_last: *left == 0 }
            }
            Rest::Chunked(chunked) => {
                let piece = chunked.decode(input).map_err(BodyError::Chunk)?;
                Taken { consumed: piece.consumed, part: piece.body, is_last: chunked.is_done() }
            }
        };
        let count = taken.part.len() as u64;
        self.allowed = self.allowed.checked_sub(count).ok_or(BodyError::TooLarge)?;
        self.received += count;
        Ok(taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(mut body: Body, mut input: &[u8]) -> Result<(Vec<u8>, usize), BodyError> {
        let mut whole = Vec::new();
        loop {
            let taken = body.take(input)?;
            whole.extend_from_slice(&input[taken.part]);
            input = &input[taken.consumed..];
            if taken.is_last {
                assert_eq!(body.received(), whole.len() as u64);
                return Ok((whole, input.len()));
            }
            assert!(taken.consumed > 0, "it does not end");
        }
    }

    #[test]
    fn a_body_ends_where_it_says_and_not_later_than_it_may() {
        let known = |length, max| Body::new(BodyLength::Known(length), max);
        assert_eq!(all(known(3, 3).unwrap(), b"abcGET"), Ok((b"abc".to_vec(), 3)));
        assert_eq!(known(4, 3).unwrap_err(), BodyError::TooLarge);
        let chunked = |max| Body::new(BodyLength::Chunked, max).unwrap();
        let input = b"2\r\nab\r\n1\r\nc\r\n0\r\n\r\nGET";
        assert_eq!(all(chunked(3), input), Ok((b"abc".to_vec(), 3)));
        assert_eq!(all(chunked(2), input), Err(BodyError::TooLarge));
        assert_eq!(all(chunked(9), b"x\r\n"), Err(BodyError::Chunk(ChunkError::Size)));
        assert_eq!(all(chunked(9), b"ffffffffffffffff0\r\n"), Err(BodyError::Chunk(ChunkError::TooLarge)));
    }
}
