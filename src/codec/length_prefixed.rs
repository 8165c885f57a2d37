//! A length, then that many bytes: the framing of most binary protocols, and of most attacks on them.

use super::{Decoder, Encoder, Frame, FrameError};

/// A length header of 2 or 4 bytes, then exactly that many bytes of payload. The header does not count itself.
///
/// | constructor | header | largest length |
/// |---|---|---|
/// | [`len16`](Self::len16) | unsigned, 2 bytes, big-endian | 65,535 |
/// | [`len32`](Self::len32) | unsigned, 4 bytes, big-endian | `u32::MAX` |
/// | [`len32le`](Self::len32le) | signed, 4 bytes, little-endian | `i32::MAX` |
///
/// The last is what the tutorials' `struct.pack('i', len)` and `write(fd, &len, sizeof(int))` put on the wire
/// on today's machines. Every constructor takes the maximum of payload bytes and lowers it to what the
/// header can hold.
///
/// # Errors
/// [`FrameError::TooLong`] at the header, before any payload byte; [`FrameError::Negative`] for a signed
/// length below zero; [`FrameError::Truncated`] when the stream ends inside a header or a payload.
///
/// ```
/// use oneloop::codec::{Decoder, Encoder, FrameError, LengthPrefixed};
///
/// let mut decoder = LengthPrefixed::len16(1000);
/// let src = b"\x00\x05hello\x00";
/// let frame = decoder.decode(src)?.expect("a whole frame");
/// assert_eq!(&src[frame.payload], b"hello");
/// assert_eq!(decoder.decode(b"\xff\xff"), Err(FrameError::TooLong { len: 65_535, max: 1000 }));
///
/// let mut out = Vec::new();
/// decoder.encode(b"hello", &mut out)?;
/// assert_eq!(out, b"\x00\x05hello");
/// # Ok::<(), FrameError>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct LengthPrefixed {
    header: Header,
    /// Invariant: at most what the header can hold.
    max: u32,
}

impl LengthPrefixed {
    /// Unsigned big-endian header of 2 bytes; at most `max` bytes of payload, or 65,535 if that is less.
    #[must_use]
    pub fn len16(max: usize) -> Self {
        Self::new(Header::Len16, max)
    }

    /// Unsigned big-endian header of 4 bytes; at most `max` bytes of payload, or `u32::MAX` if that is less.
    #[must_use]
    pub fn len32(max: usize) -> Self {
        Self::new(Header::Len32, max)
    }

    /// Signed little-endian header of 4 bytes; at most `max` bytes of payload, or `i32::MAX` if that is less.
    #[must_use]
    pub fn len32le(max: usize) -> Self {
        Self::new(Header::Len32Le, max)
    }

    fn new(header: Header, max: usize) -> Self {
        Self { header, max: u32::try_from(max).unwrap_or(u32::MAX).min(header.largest()) }
    }
}

impl Decoder for LengthPrefixed {
    #[inline]
    fn decode(&mut self, src: &[u8]) -> Result<Option<Frame>, FrameError> {
        let Some(len) = self.header.read(src)? else {
            return Ok(None);
        };
        if len > self.max {
            return Err(FrameError::TooLong { len: u64::from(len), max: u64::from(self.max) });
        }
        let (start, len) = (self.header.size(), len as usize);
        // Subtracted, not added: the header is there, but start + len may be more than a usize holds.
        if src.len() - start < len {
            return Ok(None);
        }
        Ok(Some(Frame { payload: start..start + len, consumed: start + len }))
    }

    fn decode_eof(&mut self, src: &[u8]) -> Result<Option<Frame>, FrameError> {
        match self.decode(src)? {
            None if !src.is_empty() => Err(FrameError::Truncated { have: src.len() as u64 }),
            whole => Ok(whole),
        }
    }
}

impl Encoder for LengthPrefixed {
    fn encode(&self, payload: &[u8], out: &mut Vec<u8>) -> Result<(), FrameError> {
        let too_long = FrameError::TooLong { len: payload.len() as u64, max: u64::from(self.max) };
        let len = u32::try_from(payload.len()).map_err(|_| too_long)?;
        if len > self.max {
            return Err(too_long);
        }
        out.reserve(self.header.size() + payload.len());
        self.header.write(len, out);
        out.extend_from_slice(payload);
        Ok(())
    }

    /// Always: a length has one spelling only.
    #[inline]
    fn is_canonical(&self, _frame: &Frame) -> bool {
        true
    }
}

#[derive(Debug, Clone, Copy)]
enum Header {
    Len16,
    Len32,
    Len32Le,
}

impl Header {
    /// Bytes of the header.
    #[inline]
    const fn size(self) -> usize {
        match self {
            Self::Len16 => 2,
            Self::Len32 | Self::Len32Le => 4,
        }
    }

    /// The largest length the header can hold.
    const fn largest(self) -> u32 {
        match self {
            Self::Len16 => u16::MAX as u32,
            Self::Len32 => u32::MAX,
            Self::Len32Le => i32::MAX.unsigned_abs(),
        }
    }

    /// The length at the front of `src`, or `None` while the header is not all there.
    #[inline]
    fn read(self, src: &[u8]) -> Result<Option<u32>, FrameError> {
        match self {
            Self::Len16 => Ok(src.first_chunk().map(|header| u16::from_be_bytes(*header).into())),
            Self::Len32 => Ok(src.first_chunk().map(|header| u32::from_be_bytes(*header))),
            Self::Len32Le => {
                let Some(len) = src.first_chunk().map(|header| i32::from_le_bytes(*header)) else {
                    return Ok(None);
                };
                u32::try_from(len).map(Some).map_err(|_| FrameError::Negative { len })
            }
        }
    }

    /// Appends the header for `len`, which is at most [`largest`](Self::largest).
    #[inline]
    fn write(self, len: u32, out: &mut Vec<u8>) {
        match self {
            Self::Len16 => out.extend_from_slice(&len.to_be_bytes()[2..]),
            Self::Len32 => out.extend_from_slice(&len.to_be_bytes()),
            // Up to i32::MAX the signed and the unsigned length are the same bytes.
            Self::Len32Le => out.extend_from_slice(&len.to_le_bytes()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Make = fn(usize) -> LengthPrefixed;

    const LEN16: Make = LengthPrefixed::len16;
    const LEN32: Make = LengthPrefixed::len32;
    const LEN32LE: Make = LengthPrefixed::len32le;

    fn frame(start: usize, end: usize) -> Result<Option<Frame>, FrameError> {
        Ok(Some(Frame { payload: start..end, consumed: end }))
    }

    fn too_long(len: u64) -> Result<Option<Frame>, FrameError> {
        Err(FrameError::TooLong { len, max: 3 })
    }

    #[test]
    fn decode_reads_the_header_and_waits_for_the_payload() {
        let more = || Ok(None);
        for (make, src, want) in [
            (LEN16, &b""[..], more()),
            (LEN16, b"\0", more()),
            (LEN16, b"\xff", more()),
            (LEN16, b"\0\0", frame(2, 2)),
            (LEN16, b"\0\x03ab", more()),
            (LEN16, b"\0\x03abcd", frame(2, 5)),
            (LEN16, b"\0\x04", too_long(4)),
            (LEN16, b"\x03\0", too_long(0x300)),
            (LEN32, b"\0\0\0", more()),
            (LEN32, b"\0\0\0\x02ab", frame(4, 6)),
            (LEN32, b"\0\0\0\x04abcd", too_long(4)),
            (LEN32, b"\xff\xff\xff\xff", too_long(u64::from(u32::MAX))),
            (LEN32LE, b"\x02\0\0", more()),
            (LEN32LE, b"\x02\0\0\0a", more()),
            (LEN32LE, b"\x02\0\0\0ab", frame(4, 6)),
            (LEN32LE, b"\0\0\0\x02", too_long(0x200_0000)),
            (LEN32LE, b"\xff\xff\xff\x7f", too_long(0x7fff_ffff)),
            (LEN32LE, b"\xff\xff\xff\xff", Err(FrameError::Negative { len: -1 })),
            (LEN32LE, b"\0\0\0\x80", Err(FrameError::Negative { len: i32::MIN })),
        ] {
            let decoder = make(3);
            assert_eq!(decoder.clone().decode(src), want, "{:?} {}", decoder.header, src.escape_ascii());
        }
    }

    #[test]
    fn the_end_of_the_stream_may_fall_between_frames_only() {
        let cut = |have| Err(FrameError::Truncated { have });
        for (src, want) in [
            (&b""[..], Ok(None)),
            (b"\0", cut(1)),
            (b"\0\x02", cut(2)),
            (b"\0\x02a", cut(3)),
            (b"\0\x02ab\0", frame(2, 4)),
            (b"\0\x04", too_long(4)),
        ] {
            assert_eq!(LengthPrefixed::len16(3).decode_eof(src), want, "{}", src.escape_ascii());
        }
    }

    #[test]
    fn encode_writes_the_header_or_refuses() {
        for (make, payload, want) in [
            (LEN16, &b"ab"[..], Ok(&b"\0\x02ab"[..])),
            (LEN32, b"ab", Ok(b"\0\0\0\x02ab")),
            (LEN32LE, b"ab", Ok(b"\x02\0\0\0ab")),
            (LEN32LE, b"", Ok(b"\0\0\0\0")),
            (LEN32, b"abcd", Err(FrameError::TooLong { len: 4, max: 3 })),
        ] {
            let mut out = Vec::new();
            assert_eq!(make(3).encode(payload, &mut out).map(|()| &out[..]), want);
        }
    }

    #[test]
    fn the_maximum_is_lowered_to_what_the_header_holds() {
        for (make, want) in [(LEN16, 65_535), (LEN32, u32::MAX), (LEN32LE, 0x7fff_ffff)] {
            assert_eq!(make(usize::MAX).max, want);
            assert_eq!(make(5).max, 5);
        }
    }

    #[test]
    fn len16_carries_its_largest_payload_and_no_more() {
        let payload = vec![b'x'; 65_536];
        let (mut codec, mut out) = (LengthPrefixed::len16(usize::MAX), Vec::new());
        let refused = FrameError::TooLong { len: 65_536, max: 65_535 };
        assert_eq!(codec.encode(&payload, &mut out), Err(refused));
        assert!(out.is_empty());
        assert_eq!(codec.encode(&payload[1..], &mut out), Ok(()));
        assert_eq!(codec.decode(&out), frame(2, 65_537));
    }
}
