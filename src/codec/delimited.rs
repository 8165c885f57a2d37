//! Messages ended by a text of the operator's choice: NUL, CRLF, a blank line, `--end--`.

use std::fmt;
use std::sync::Arc;

use memchr::memmem::Finder;

use super::{Decoder, Encoder, Frame, FrameError};

/// Payload, then the delimiter. The first occurrence counts; it is not part of the payload.
///
/// A last piece without delimiter is delivered when the stream ends, the beginning of a delimiter at its end
/// included: it is payload after all.
///
/// A clone shares the delimiter and its prepared search. Make one value and clone it for each connection.
///
/// # Errors
/// [`FrameError::TooLong`] as soon as the bytes show that the payload has more than the maximum, that is when
/// no delimiter can begin at or before it any more; `len` is then the maximum + 1, whatever else has arrived.
/// [`FrameError::ContainsDelimiter`] from [`encode`](Encoder::encode) when the other side would find a
/// delimiter before the end of the payload.
///
/// ```
/// use oneloop::codec::{Decoder, Delimited};
///
/// let mut decoder = Delimited::new(b"--", 80).expect("the delimiter is not empty");
/// let frame = decoder.decode(b"one--two")?.expect("a whole frame");
/// assert_eq!((frame.payload, frame.consumed), (0..3, 5));
/// # Ok::<(), oneloop::codec::FrameError>(())
/// ```
#[derive(Clone)]
pub struct Delimited {
    /// Invariant: its needle, the delimiter, is not empty.
    finder: Arc<Finder<'static>>,
    max: u32,
    /// Invariant: no delimiter lies within the first `scanned` bytes of the input. 0 after every frame.
    scanned: u32,
}

impl Delimited {
    /// Frames of at most `max` payload bytes, each ended by `delimiter`. `None` when `delimiter` is empty.
    ///
    /// A `max` above `u32::MAX` counts as `u32::MAX`.
    #[must_use]
    pub fn new(delimiter: impl AsRef<[u8]>, max: usize) -> Option<Self> {
        let delimiter = delimiter.as_ref();
        if delimiter.is_empty() {
            return None;
        }
        Some(Self {
            finder: Arc::new(Finder::new(delimiter).into_owned()),
            max: u32::try_from(max).unwrap_or(u32::MAX),
            scanned: 0,
        })
    }

    /// The text that ends a frame. Never empty.
    #[must_use]
    #[inline]
    pub fn delimiter(&self) -> &[u8] {
        self.finder.needle()
    }

    fn too_long(&self) -> FrameError {
        FrameError::TooLong { len: u64::from(self.max) + 1, max: u64::from(self.max) }
    }

    /// Whether `src`, longer than the maximum and without delimiter, ends in the beginning of a delimiter
    /// that would still leave a payload within the maximum.
    ///
    /// Asked for fewer inputs per frame than the delimiter has bytes, so it may compare position by position.
    fn may_still_end(&self, src: &[u8]) -> bool {
        let first = (src.len() + 1).saturating_sub(self.delimiter().len());
        (first..=self.max as usize).any(|start| self.delimiter().starts_with(&src[start..]))
    }
}

impl fmt::Debug for Delimited {
    /// The prepared search is left out: it is long and says nothing that the delimiter does not.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delimited")
            .field("delimiter", &format_args!("b\"{}\"", self.delimiter().escape_ascii()))
            .field("max", &self.max)
            .field("scanned", &self.scanned)
            .finish()
    }
}

impl Decoder for Delimited {
    #[inline]
    fn decode(&mut self, src: &[u8]) -> Result<Option<Frame>, FrameError> {
        let width = self.delimiter().len();
        let max = self.max as usize;
        // The longest frame there may be. What lies behind it cannot change the answer.
        let window = &src[..src.len().min(max.saturating_add(width))];
        // All but the last byte of a delimiter may have been there at the end of the last scan.
        let from = (self.scanned as usize).saturating_sub(width - 1).min(window.len());

        if let Some(at) = self.finder.find(&window[from..]) {
            self.scanned = 0;
            let end = from + at;
            return Ok(Some(Frame { payload: 0..end, consumed: end + width }));
        }
        if window.len() > max && !self.may_still_end(window) {
            return Err(self.too_long());
        }
        self.scanned = u32::try_from(window.len()).unwrap_or(u32::MAX);
        Ok(None)
    }

    /// Delivers a last piece without delimiter as a frame; never [`FrameError::Truncated`].
    fn decode_eof(&mut self, src: &[u8]) -> Result<Option<Frame>, FrameError> {
        if let Some(frame) = self.decode(src)? {
            return Ok(Some(frame));
        }
        self.scanned = 0;
        if src.is_empty() {
            return Ok(None);
        }
        if src.len() > self.max as usize {
            return Err(self.too_long());
        }
        Ok(Some(Frame { payload: 0..src.len(), consumed: src.len() }))
    }
}

impl Encoder for Delimited {
    fn encode(&self, payload: &[u8], out: &mut Vec<u8>) -> Result<(), FrameError> {
        if payload.len() > self.max as usize {
            return Err(FrameError::TooLong { len: payload.len() as u64, max: u64::from(self.max) });
        }
        let before = out.len();
        out.reserve(payload.len() + self.delimiter().len());
        out.extend_from_slice(payload);
        out.extend_from_slice(self.delimiter());
        // Looked for in the frame and not in the payload alone: with the delimiter "aa" the payload "xa"
        // holds none, and yet its frame "xaaa" has one that begins too early.
        if self.finder.find(&out[before..]) != Some(payload.len()) {
            out.truncate(before);
            return Err(FrameError::ContainsDelimiter);
        }
        Ok(())
    }

    /// Whether the frame had its delimiter.
    #[inline]
    fn is_canonical(&self, frame: &Frame) -> bool {
        frame.consumed.checked_sub(frame.payload.end) == Some(self.delimiter().len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::DEFAULT_MAX_FRAME;

    const TOO_LONG: FrameError = FrameError::TooLong { len: 4, max: 3 };

    fn delimited(delimiter: &[u8], max: usize) -> Delimited {
        Delimited::new(delimiter, max).unwrap()
    }

    fn frame(end: usize, consumed: usize) -> Option<Frame> {
        Some(Frame { payload: 0..end, consumed })
    }

    #[test]
    fn decode_finds_the_first_delimiter() {
        for (delimiter, src, want) in [
            (&b"--"[..], &b""[..], Ok(None)),
            (b"--", b"--", Ok(frame(0, 2))),
            (b"--", b"---", Ok(frame(0, 2))),
            (b"--", b"a-b--c--", Ok(frame(3, 5))),
            (b"--", b"abc", Ok(None)),
            (b"--", b"abc-", Ok(None)),
            (b"--", b"abc--", Ok(frame(3, 5))),
            (b"--", b"abcd", Err(TOO_LONG)),
            (b"--", b"abc-d", Err(TOO_LONG)),
            (b"--", b"abcd--", Err(TOO_LONG)),
            (b"aab", b"xaaaa", Ok(None)),
            (b"aab", b"xaaaab", Ok(frame(3, 6))),
            (b"aab", b"xaaaaa", Err(TOO_LONG)),
            (b"\0", b"abc\0", Ok(frame(3, 4))),
            (b"\0", b"abcd", Err(TOO_LONG)),
        ] {
            let got = delimited(delimiter, 3).decode(src);
            assert_eq!(got, want, "{} in {}", delimiter.escape_ascii(), src.escape_ascii());
        }
    }

    #[test]
    fn the_end_of_the_stream_ends_the_last_piece() {
        for (src, want) in [
            (&b""[..], Ok(None)),
            (b"ab--c", Ok(frame(2, 4))),
            (b"ab", Ok(frame(2, 2))),
            (b"ab-", Ok(frame(3, 3))),
            (b"abc-", Err(TOO_LONG)),
            (b"abcd", Err(TOO_LONG)),
        ] {
            assert_eq!(delimited(b"--", 3).decode_eof(src), want, "{}", src.escape_ascii());
        }
    }

    #[test]
    fn encode_delimits_or_refuses() {
        for (delimiter, payload, want) in [
            (&b"--"[..], &b""[..], Ok(&b"--"[..])),
            (b"--", b"abc", Ok(b"abc--")),
            (b"--", b"a-b", Ok(b"a-b--")),
            (b"--", b"a--", Err(FrameError::ContainsDelimiter)),
            (b"--", b"ab-", Err(FrameError::ContainsDelimiter)),
            (b"\r\n", b"ab\r", Ok(b"ab\r\r\n")),
            (b"--", b"abcd", Err(TOO_LONG)),
        ] {
            let mut out = b"before".to_vec();
            let got = delimited(delimiter, 3).encode(payload, &mut out);
            assert_eq!(got.map(|()| &out[6..]), want, "{}", payload.escape_ascii());
            assert!(want.is_ok() || out == b"before");
        }
    }

    #[test]
    fn only_a_frame_with_its_delimiter_is_canonical() {
        for (src, want) in [(&b"ab--"[..], true), (b"--", true), (b"ab", false), (b"ab-", false)] {
            let mut decoder = delimited(b"--", 3);
            let frame = decoder.decode_eof(src).unwrap().unwrap();
            assert_eq!(decoder.is_canonical(&frame), want, "{}", src.escape_ascii());
        }
    }

    #[test]
    fn an_endless_piece_is_scanned_once() {
        let src = vec![b'-'; DEFAULT_MAX_FRAME];
        let mut decoder = delimited(b"--end--", DEFAULT_MAX_FRAME);
        for n in 0..=src.len() {
            assert_eq!(decoder.decode(&src[..n]), Ok(None));
            assert_eq!(decoder.scanned as usize, n);
        }
    }

    #[test]
    fn only_a_delimiter_less_one_byte_is_looked_at_again() {
        let mut decoder = delimited(b"==", 9);
        assert_eq!(decoder.decode(b"abc="), Ok(None));
        // No caller may change bytes it has shown; doing it here makes a second look visible.
        assert_eq!(decoder.decode(b"a==="), Ok(None), "up to byte 3 all has been scanned");
        assert_eq!(decoder.decode(b"a===="), Ok(frame(3, 5)));
        assert_eq!(decoder.scanned, 0);
        assert_eq!(decoder.decode(b"a===="), Ok(frame(1, 3)));
    }

    #[test]
    fn a_shrunken_input_is_no_panic() {
        let mut decoder = delimited(b"--", 9);
        assert_eq!(decoder.decode(b"abcdef"), Ok(None));
        assert_eq!(decoder.decode(b"a"), Ok(None));
        assert_eq!(decoder.scanned, 1);
    }

    #[test]
    fn new_refuses_nothing_and_clamps_the_maximum() {
        assert!(Delimited::new(b"", 3).is_none());
        assert_eq!(delimited(b"-", usize::MAX).max, u32::MAX);
    }

    #[test]
    fn a_clone_shares_the_delimiter() {
        let one = delimited(b"--", 3);
        assert!(Arc::ptr_eq(&one.finder, &one.clone().finder));
    }

    #[test]
    fn debug_shows_the_delimiter_and_not_the_search() {
        let shown = format!("{:?}", delimited(b"\r\n", 3));
        assert_eq!(shown, r#"Delimited { delimiter: b"\r\n", max: 3, scanned: 0 }"#);
    }
}
