//! Lines of text: the framing a person can type, with netcat or telnet as the client.

use memchr::memchr;

use super::{DEFAULT_MAX_FRAME, Decoder, Encoder, Frame, FrameError};

/// Payload, then LF. One CR before the LF belongs to the terminator, so CRLF is accepted too.
///
/// | on the wire | payload |
/// |---|---|
/// | `ab` LF | `ab` |
/// | `ab` CR LF | `ab` |
/// | `ab` CR CR LF | `ab` CR |
/// | `a` CR `b` LF | `a` CR `b` |
/// | `ab`, end of stream | `ab` |
/// | `ab` CR, end of stream | `ab`: the CR is taken for the first half of a CRLF that was cut |
///
/// The encoder writes LF; after a payload that itself ends in CR it writes CRLF, because the other side would
/// take that CR for a part of the terminator. So every payload without LF is carried unchanged.
///
/// # Errors
/// [`FrameError::TooLong`] as soon as more than the maximum of payload bytes is there without an LF; `len` is
/// then the maximum + 1, whatever else has arrived. [`FrameError::ContainsDelimiter`] from
/// [`encode`](Encoder::encode) for a payload with an LF in it.
///
/// ```
/// use oneloop::codec::{Decoder, Encoder, Lines};
///
/// let mut lines = Lines::new(80);
/// let src = b"hello\r\nwor";
/// let frame = lines.decode(src)?.expect("a whole line");
/// assert_eq!(&src[frame.payload], b"hello");
/// assert_eq!(lines.decode(&src[frame.consumed..])?, None); // "wor": more bytes are needed
///
/// let mut out = Vec::new();
/// lines.encode(b"hello", &mut out)?;
/// assert_eq!(out, b"hello\n");
/// # Ok::<(), oneloop::codec::FrameError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Lines {
    max: u32,
    /// Invariant: the first `scanned` bytes of the input hold no LF. 0 after every frame.
    scanned: u32,
    /// The frame just returned was the end of the stream and had no LF. Its length alone cannot say so: `a`
    /// LF and `a` CR both are one byte of payload in two.
    unterminated: bool,
}

impl Lines {
    /// Lines of at most `max` payload bytes; a `max` above `u32::MAX` counts as `u32::MAX`.
    #[must_use]
    pub fn new(max: usize) -> Self {
        Self { max: u32::try_from(max).unwrap_or(u32::MAX), scanned: 0, unterminated: false }
    }
}

impl Default for Lines {
    /// Lines of at most [`DEFAULT_MAX_FRAME`] bytes.
    fn default() -> Self {
        Self::new(DEFAULT_MAX_FRAME)
    }
}

impl Decoder for Lines {
    #[inline]
    fn decode(&mut self, src: &[u8]) -> Result<Option<Frame>, FrameError> {
        let max = self.max as usize;
        // The longest line there may be, with CR and LF. What lies behind it cannot change the answer.
        let window = &src[..src.len().min(max.saturating_add(2))];
        let from = (self.scanned as usize).min(window.len());
        let found = memchr(b'\n', &window[from..]).map(|at| from + at);

        // Without an LF yet, a CR at the end may still turn out to be a part of the terminator.
        let end = without_cr(&window[..found.unwrap_or(window.len())]);
        if end > max {
            return Err(FrameError::TooLong { len: u64::from(self.max) + 1, max: u64::from(self.max) });
        }
        let Some(lf) = found else {
            self.scanned = u32::try_from(window.len()).unwrap_or(u32::MAX);
            return Ok(None);
        };
        self.scanned = 0;
        self.unterminated = false;
        Ok(Some(Frame { payload: 0..end, consumed: lf + 1 }))
    }

    /// Delivers a last line without LF as a frame; never [`FrameError::Truncated`].
    fn decode_eof(&mut self, src: &[u8]) -> Result<Option<Frame>, FrameError> {
        if let Some(frame) = self.decode(src)? {
            return Ok(Some(frame));
        }
        self.scanned = 0;
        if src.is_empty() {
            return Ok(None);
        }
        self.unterminated = true;
        Ok(Some(Frame { payload: 0..without_cr(src), consumed: src.len() }))
    }
}

impl Encoder for Lines {
    fn encode(&self, payload: &[u8], out: &mut Vec<u8>) -> Result<(), FrameError> {
        if payload.len() > self.max as usize {
            return Err(FrameError::TooLong { len: payload.len() as u64, max: u64::from(self.max) });
        }
        if memchr(b'\n', payload).is_some() {
            return Err(FrameError::ContainsDelimiter);
        }
        let terminator: &[u8] = if payload.ends_with(b"\r") { b"\r\n" } else { b"\n" };
        out.reserve(payload.len() + terminator.len());
        out.extend_from_slice(payload);
        out.extend_from_slice(terminator);
        Ok(())
    }

    /// Whether the terminator was a single LF.
    #[inline]
    fn is_canonical(&self, frame: &Frame) -> bool {
        !self.unterminated && frame.consumed.checked_sub(frame.payload.end) == Some(1)
    }
}

/// The length of `line` without the one CR at its end that is not payload.
#[inline]
fn without_cr(line: &[u8]) -> usize {
    line.len() - usize::from(line.ends_with(b"\r"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOO_LONG: FrameError = FrameError::TooLong { len: 4, max: 3 };

    fn frame(end: usize, consumed: usize) -> Option<Frame> {
        Some(Frame { payload: 0..end, consumed })
    }

    #[test]
    fn decode_finds_the_first_line() {
        for (src, want) in [
            (&b""[..], Ok(None)),
            (b"\n", Ok(frame(0, 1))),
            (b"\r\n", Ok(frame(0, 2))),
            (b"\r\r\n", Ok(frame(1, 3))),
            (b"ab\ncd\n", Ok(frame(2, 3))),
            (b"a\rb\n", Ok(frame(3, 4))),
            (b"ab", Ok(None)),
            (b"abc", Ok(None)),
            (b"abc\r", Ok(None)),
            (b"abc\r\n", Ok(frame(3, 5))),
            (b"abc\r\r", Err(TOO_LONG)),
            (b"abc\r\r\n", Err(TOO_LONG)),
            (b"abcd", Err(TOO_LONG)),
            (b"abcd\n", Err(TOO_LONG)),
            (b"abcd and so on, the line end is far away\n", Err(TOO_LONG)),
        ] {
            assert_eq!(Lines::new(3).decode(src), want, "{:?}", src.escape_ascii().to_string());
        }
    }

    #[test]
    fn the_end_of_the_stream_ends_the_last_line() {
        for (src, want) in [
            (&b""[..], Ok(None)),
            (b"ab\ncd", Ok(frame(2, 3))),
            (b"ab", Ok(frame(2, 2))),
            (b"ab\r", Ok(frame(2, 3))),
            (b"\r", Ok(frame(0, 1))),
            (b"abc\r", Ok(frame(3, 4))),
            (b"abcd", Err(TOO_LONG)),
            (b"abc\r\r", Err(TOO_LONG)),
        ] {
            assert_eq!(Lines::new(3).decode_eof(src), want, "{:?}", src.escape_ascii().to_string());
        }
    }

    #[test]
    fn encode_terminates_or_refuses() {
        for (payload, want) in [
            (&b""[..], Ok(&b"\n"[..])),
            (b"abc", Ok(b"abc\n")),
            (b"a\rb", Ok(b"a\rb\n")),
            (b"ab\r", Ok(b"ab\r\r\n")),
            (b"a\nb", Err(FrameError::ContainsDelimiter)),
            (b"ab\n", Err(FrameError::ContainsDelimiter)),
            (b"abcd", Err(TOO_LONG)),
        ] {
            let mut out = Vec::new();
            let got = Lines::new(3).encode(payload, &mut out);
            assert_eq!(got.map(|()| &out[..]), want, "{:?}", payload.escape_ascii().to_string());
        }
    }

    #[test]
    fn only_a_single_lf_is_canonical() {
        for (src, want) in
            [(&b"a\n"[..], true), (b"\n", true), (b"a\r\n", false), (b"a", false), (b"a\r", false)]
        {
            let mut lines = Lines::new(3);
            let frame = lines.decode_eof(src).unwrap().unwrap();
            assert_eq!(lines.is_canonical(&frame), want, "{:?}", src.escape_ascii().to_string());
        }
    }

    #[test]
    fn an_endless_line_is_scanned_once() {
        let src = vec![b'x'; DEFAULT_MAX_FRAME];
        let mut lines = Lines::default();
        for n in 0..=src.len() {
            assert_eq!(lines.decode(&src[..n]), Ok(None));
            assert_eq!(lines.scanned as usize, n);
        }
    }

    #[test]
    fn bytes_already_scanned_are_not_looked_at_again() {
        let mut lines = Lines::new(9);
        assert_eq!(lines.decode(b"abc"), Ok(None));
        // No caller may change bytes it has shown; doing it here makes a second look visible.
        assert_eq!(lines.decode(b"a\nc\n"), Ok(frame(3, 4)));
        assert_eq!(lines.scanned, 0);
        assert_eq!(lines.decode(b"a\nc\n"), Ok(frame(1, 2)));
    }

    #[test]
    fn a_shrunken_input_is_no_panic() {
        let mut lines = Lines::new(9);
        assert_eq!(lines.decode(b"abcdef"), Ok(None));
        assert_eq!(lines.decode(b"a"), Ok(None));
        assert_eq!(lines.scanned, 1);
    }

    #[test]
    fn a_maximum_beyond_u32_is_clamped() {
        let mut lines = Lines::new(usize::MAX);
        assert_eq!(lines.max, u32::MAX);
        assert_eq!(lines.decode(b"a\n"), Ok(frame(1, 2)));
    }
}
