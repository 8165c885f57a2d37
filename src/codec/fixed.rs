//! Records of one size: the least a framing can cost, and what the measurements of throughput use.

use std::num::NonZeroU32;

use super::{Decoder, Encoder, Frame, FrameError};

/// Exactly `size` bytes, one frame after the other, with nothing between them.
///
/// The size is the maximum as well: there is no way to send a longer frame.
///
/// # Errors
/// [`FrameError::Truncated`] when the stream ends inside a frame; [`FrameError::WrongLength`] from
/// [`encode`](Encoder::encode) for a payload of any other length.
#[derive(Debug, Clone, Copy)]
pub struct Fixed {
    size: NonZeroU32,
}

impl Fixed {
    /// Frames of exactly `size` bytes.
    #[must_use]
    pub const fn new(size: NonZeroU32) -> Self {
        Self { size }
    }
}

impl Decoder for Fixed {
    #[inline]
    fn decode(&mut self, src: &[u8]) -> Result<Option<Frame>, FrameError> {
        let size = self.size.get() as usize;
        if src.len() < size {
            return Ok(None);
        }
        Ok(Some(Frame { payload: 0..size, consumed: size }))
    }

    fn decode_eof(&mut self, src: &[u8]) -> Result<Option<Frame>, FrameError> {
        match self.decode(src)? {
            None if !src.is_empty() => Err(FrameError::Truncated { have: src.len() as u64 }),
            whole => Ok(whole),
        }
    }
}

impl Encoder for Fixed {
    fn encode(&self, payload: &[u8], out: &mut Vec<u8>) -> Result<(), FrameError> {
        let (len, want) = (payload.len() as u64, u64::from(self.size.get()));
        if len != want {
            return Err(FrameError::WrongLength { len, want });
        }
        out.extend_from_slice(payload);
        Ok(())
    }

    /// Always: a frame is its payload.
    #[inline]
    fn is_canonical(&self, _frame: &Frame) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fixed(size: u32) -> Fixed {
        Fixed::new(NonZeroU32::new(size).unwrap())
    }

    #[test]
    fn frames_have_exactly_their_size() {
        let whole = || Ok(Some(Frame { payload: 0..3, consumed: 3 }));
        let cut = |have| Err(FrameError::Truncated { have });
        for (src, open, ended) in [
            (&b""[..], Ok(None), Ok(None)),
            (b"a", Ok(None), cut(1)),
            (b"ab", Ok(None), cut(2)),
            (b"abc", whole(), whole()),
            (b"abcd", whole(), whole()),
            (b"a\r\n", whole(), whole()),
        ] {
            assert_eq!(fixed(3).decode(src), open, "decode {src:?}");
            assert_eq!(fixed(3).decode_eof(src), ended, "decode_eof {src:?}");
        }
    }

    #[test]
    fn the_largest_size_waits_for_its_bytes() {
        assert_eq!(fixed(u32::MAX).decode(b"abc"), Ok(None));
    }

    #[test]
    fn encode_takes_that_size_only() {
        for (payload, want) in [
            (&b"abc"[..], Ok(())),
            (b"", Err(FrameError::WrongLength { len: 0, want: 3 })),
            (b"ab", Err(FrameError::WrongLength { len: 2, want: 3 })),
            (b"abcd", Err(FrameError::WrongLength { len: 4, want: 3 })),
        ] {
            let mut out = Vec::new();
            assert_eq!(fixed(3).encode(payload, &mut out), want);
            assert_eq!(out, if want.is_ok() { payload } else { b"" });
        }
    }

    #[test]
    fn every_frame_is_canonical_but_not_every_payload_is_one() {
        assert!(fixed(3).is_canonical(&Frame { payload: 0..3, consumed: 3 }));
        assert!(!fixed(3).is_identity());
    }
}
