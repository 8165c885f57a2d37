//! No framing at all: for services that look at bytes and not at messages, such as echo and discard.

use super::{Decoder, Encoder, Frame, FrameError};

/// Every read is one frame: the bytes as they arrived, with nothing added and nothing taken away.
///
/// Where a frame ends depends on the network and on the other side's buffers, so it must not mean anything.
/// There is no maximum of its own: a frame is as long as what the caller has read.
#[derive(Debug, Clone, Copy, Default)]
pub struct Raw;

impl Decoder for Raw {
    /// Returns all of `src`, or `None` when it is empty. Never fails.
    #[inline]
    fn decode(&mut self, src: &[u8]) -> Result<Option<Frame>, FrameError> {
        if src.is_empty() {
            return Ok(None);
        }
        Ok(Some(Frame { payload: 0..src.len(), consumed: src.len() }))
    }

    #[inline]
    fn decode_eof(&mut self, src: &[u8]) -> Result<Option<Frame>, FrameError> {
        self.decode(src)
    }
}

impl Encoder for Raw {
    /// Appends `payload` as it is. Never fails.
    #[inline]
    fn encode(&self, payload: &[u8], out: &mut Vec<u8>) -> Result<(), FrameError> {
        out.extend_from_slice(payload);
        Ok(())
    }

    #[inline]
    fn is_identity(&self) -> bool {
        true
    }

    #[inline]
    fn is_canonical(&self, _frame: &Frame) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_one_frame_and_nothing_is_none() {
        for (src, want) in [
            (&b""[..], None),
            (b"a", Some(Frame { payload: 0..1, consumed: 1 })),
            (b"a\r\n\0b", Some(Frame { payload: 0..5, consumed: 5 })),
        ] {
            assert_eq!(Raw.decode(src), Ok(want.clone()), "decode {src:?}");
            assert_eq!(Raw.decode_eof(src), Ok(want), "decode_eof {src:?}");
        }
    }

    #[test]
    fn encoding_changes_nothing() {
        let mut out = b"before ".to_vec();
        assert_eq!(Raw.encode(b"a\n", &mut out), Ok(()));
        assert_eq!(out, b"before a\n");
        assert!(Raw.is_identity());
        assert!(Raw.is_canonical(&Frame { payload: 0..2, consumed: 2 }));
    }
}
