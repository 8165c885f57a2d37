//! Framing: where one message ends and the next begins.
//!
//! A TCP connection is a stream of bytes; two sends may arrive as one read and one send as two (tcp(7)).
//! A [`Decoder`] finds frames in the bytes that have arrived, an [`Encoder`] wraps a payload so that the
//! other side's decoder finds it. Both know bytes only: no socket, no clock.
//!
//! | framing | on the wire | module |
//! |---|---|---|
//! | raw | what one read returned | [`Raw`] |
//! | lines | payload, LF (CRLF accepted) | [`Lines`] |
//! | delimited | payload, a chosen text | [`Delimited`] |
//! | fixed | exactly N bytes | [`Fixed`] |
//! | len16, len32, len32le | length header, payload | [`LengthPrefixed`] |
//!
//! Every decoder has a maximum frame size and refuses a larger frame at the earliest byte that shows it.
//! A decoder never allocates: a length on the wire is compared with the maximum and nothing else.

mod delimited;
mod fixed;
mod framing;
mod length_prefixed;
mod lines;
mod raw;
#[cfg(feature = "encoding")]
mod text;

pub use self::delimited::Delimited;
pub use self::fixed::Fixed;
pub use self::framing::{Framing, ParseFramingError};
pub use self::length_prefixed::LengthPrefixed;
pub use self::lines::Lines;
pub use self::raw::Raw;
#[cfg(feature = "encoding")]
pub use self::text::{EncodeError, ParseEncodingError, TextDecoder, TextEncoding};

use std::fmt;
use std::ops::Range;

/// The default maximum frame size: 1 MiB.
pub const DEFAULT_MAX_FRAME: usize = 1024 * 1024;

/// One frame found at the front of the decoder's input, as offsets into that input.
///
/// Offsets rather than a slice, so that the caller may go on borrowing its buffer as it likes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// The payload, without header or terminator. Invariant: `payload.end <= consumed`.
    pub payload: Range<usize>,
    /// How many bytes of the input this frame took, header and terminator included. At least 1.
    pub consumed: usize,
}

/// Finds the first frame in the bytes that have arrived.
///
/// The input always begins at the first byte not yet consumed, and between two calls it only grows at its
/// end until a frame is found. A decoder may therefore remember how far it has scanned, and must forget it
/// when it returns a frame.
///
/// ```
/// use oneloop::codec::{Decoder, Frame, FrameError};
///
/// /// Frames of one length byte and so many bytes: `2 h i`.
/// struct Len8;
///
/// impl Decoder for Len8 {
///     fn decode(&mut self, src: &[u8]) -> Result<Option<Frame>, FrameError> {
///         let Some(&len) = src.first() else { return Ok(None) };
///         let end = 1 + usize::from(len);
///         Ok((src.len() >= end).then_some(Frame { payload: 1..end, consumed: end }))
///     }
///
///     fn decode_eof(&mut self, src: &[u8]) -> Result<Option<Frame>, FrameError> {
///         match self.decode(src)? {
///             None if !src.is_empty() => Err(FrameError::Truncated { have: src.len() as u64 }),
///             found => Ok(found),
///         }
///     }
/// }
///
/// assert_eq!(Len8.decode(b"\x02hi\x03th"), Ok(Some(Frame { payload: 1..3, consumed: 3 })));
/// assert_eq!(Len8.decode(b"\x03th"), Ok(None));
/// assert_eq!(Len8.decode_eof(b"\x03th"), Err(FrameError::Truncated { have: 3 }));
/// ```
pub trait Decoder {
    /// Returns the first frame of `src`, or `None` when more bytes are needed.
    ///
    /// # Errors
    /// [`FrameError`] when the bytes can never become a frame. The connection ends then; the decoder is not
    /// called again.
    fn decode(&mut self, src: &[u8]) -> Result<Option<Frame>, FrameError>;

    /// Like [`decode`](Self::decode), when the peer has sent its last byte: `src` is all there will be.
    ///
    /// # Errors
    /// [`FrameError::Truncated`] when `src` is the beginning of a frame that was cut off.
    fn decode_eof(&mut self, src: &[u8]) -> Result<Option<Frame>, FrameError>;
}

/// Wraps payloads so that the matching [`Decoder`] finds them again.
///
/// ```
/// use oneloop::codec::{Encoder, FrameError};
///
/// /// One length byte, then the payload.
/// struct Len8;
///
/// impl Encoder for Len8 {
///     fn encode(&self, payload: &[u8], out: &mut Vec<u8>) -> Result<(), FrameError> {
///         let Ok(len) = u8::try_from(payload.len()) else {
///             return Err(FrameError::TooLong { len: payload.len() as u64, max: 255 });
///         };
///         out.push(len);
///         out.extend_from_slice(payload);
///         Ok(())
///     }
/// }
///
/// let mut out = Vec::new();
/// Len8.encode(b"hi", &mut out)?;
/// assert_eq!(out, b"\x02hi");
/// assert!(Len8.encode(&[0; 256], &mut out).is_err());
/// # Ok::<(), FrameError>(())
/// ```
pub trait Encoder {
    /// Appends the frame of `payload` to `out`.
    ///
    /// # Errors
    /// [`FrameError`] when this framing cannot carry `payload`; `out` is left as it was.
    fn encode(&self, payload: &[u8], out: &mut Vec<u8>) -> Result<(), FrameError>;

    /// Whether encoding changes nothing, so that a reply may be written as it is. Only [`Raw`] says yes.
    fn is_identity(&self) -> bool {
        false
    }

    /// Whether encoding the payload of `frame`, just decoded, would give the very bytes it was decoded from.
    ///
    /// An echo is then sent from the buffer it was read into, without a copy. `false` is always correct.
    fn is_canonical(&self, frame: &Frame) -> bool {
        let _ = frame;
        false
    }
}

/// Both directions of a framing.
pub trait Codec: Decoder + Encoder {}

impl<C: Decoder + Encoder> Codec for C {}

/// Why bytes are not a frame, or a payload cannot become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum FrameError {
    /// The frame announces, or already has, more than `max` bytes of payload.
    TooLong {
        /// Decoding: bytes announced by the header, or the maximum + 1 where there is no header, however
        /// much has arrived. Encoding: bytes of the payload.
        len: u64,
        /// The maximum of this decoder or the largest length its header can hold.
        max: u64,
    },
    /// A signed length header (the tutorials' native `int`) is below zero.
    Negative {
        /// The length as sent.
        len: i32,
    },
    /// The peer ended its stream inside a frame.
    Truncated {
        /// Bytes that had arrived of the frame.
        have: u64,
    },
    /// A payload for [`Fixed`] has not exactly the frame's size.
    WrongLength {
        /// Bytes of the payload.
        len: u64,
        /// Bytes of every frame.
        want: u64,
    },
    /// A payload contains its own terminator, so that the other side would see two frames.
    ContainsDelimiter,
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong { len, max } => {
                write!(f, "frame of {len} bytes is longer than the maximum of {max}")
            }
            Self::Negative { len } => write!(f, "frame length {len} is negative"),
            Self::Truncated { have } => write!(f, "stream ended inside a frame, after {have} bytes of it"),
            Self::WrongLength { len, want } => {
                write!(f, "payload of {len} bytes does not fit frames of exactly {want}")
            }
            Self::ContainsDelimiter => write!(f, "payload contains the frame delimiter"),
        }
    }
}

impl std::error::Error for FrameError {}
