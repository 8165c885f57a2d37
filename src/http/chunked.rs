//! The chunked transfer coding, read as it comes (RFC 9112, 7.1).

use std::fmt;
use std::ops::Range;

/// The longest line that begins a chunk, its extensions and line end included.
pub const MAX_CHUNK_LINE: u32 = 256;

/// All trailer fields together, line ends included.
pub const MAX_TRAILERS: u32 = 8 * 1024;

/// Finds the bytes of a body in its chunks, in any pieces they come in.
///
/// It keeps three numbers and never a byte. Extensions and trailer fields are checked, bounded and left out. Lines end
/// with CR LF and with nothing else: a reader that takes a bare LF, and one that does not, see two different bodies.
///
/// ```
/// use oneloop::http::Chunked;
///
/// let mut chunked = Chunked::new();
/// let (mut input, mut body) = (&b"5\r\nhello\r\n1;x=y\r\n!\r\n0\r\n\r\nnext"[..], Vec::new());
/// while !chunked.is_done() {
///     let piece = chunked.decode(input)?;
///     assert!(piece.consumed > 0, "more input is needed");
///     body.extend_from_slice(&input[piece.body]);
///     input = &input[piece.consumed..];
/// }
/// assert_eq!((&body[..], input), (&b"hello!"[..], &b"next"[..]));
/// # Ok::<(), oneloop::http::ChunkError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chunked {
    state: State,
    /// Bytes of the line that has begun, or of all trailers.
    line: u32,
}

/// What [`Chunked::decode`] found at the front of its input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// How much of the input is dealt with. Less than all of it after a piece of the body, and at the body's end.
    pub consumed: usize,
    /// Which part of the input belongs to the body; often none. Invariant: `body.end <= consumed`.
    pub body: Range<usize>,
}

/// Why a chunked body is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ChunkError {
    /// No hexadecimal digit where a chunk's size must be.
    Size,
    /// A size of more than 64 bits.
    TooLarge,
    /// The line of a chunk's size is longer than [`MAX_CHUNK_LINE`].
    LineTooLong,
    /// The trailers are longer than [`MAX_TRAILERS`].
    TrailersTooLong,
    /// A byte that may not be in an extension, or not after a size.
    Extension,
    /// No CR LF where a line or a chunk must end; a bare LF, for one.
    LineEnd,
    /// A trailer that is no field, or a folded one.
    Trailer,
}

impl fmt::Display for ChunkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Size => f.write_str("a chunk's size is no hexadecimal number"),
            Self::TooLarge => f.write_str("a chunk's size is more than 64 bits hold"),
            Self::LineTooLong => {
                write!(f, "the line of a chunk's size is longer than {MAX_CHUNK_LINE} bytes")
            }
            Self::TrailersTooLong => write!(f, "the trailers are longer than {MAX_TRAILERS} bytes"),
            Self::Extension => f.write_str("a chunk's size is followed by something that is no extension"),
            Self::LineEnd => f.write_str("a line of the chunked body does not end with CR LF"),
            Self::Trailer => f.write_str("a trailer is no header field"),
        }
    }
}

impl std::error::Error for ChunkError {}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Before the first digit.
    Begin,
    Size(u64),
    /// Spaces after a size, which only a semicolon may follow.
    Space(u64),
    Extension(u64),
    SizeLf(u64),
    /// So many bytes are left; at least 1.
    Data(u64),
    DataCr,
    DataLf,
    /// At the beginning of a line after the last chunk.
    Trailers,
    Name,
    Value,
    ValueLf,
    LastLf,
    Done,
}

impl Default for Chunked {
    fn default() -> Self {
        Self::new()
    }
}

impl Chunked {
    /// Before the first byte of a body.
    #[must_use]
    pub const fn new() -> Self {
        Self { state: State::Begin, line: 0 }
    }

    /// Whether the body has ended, its trailers included. What follows belongs to the next message.
    #[must_use]
    pub const fn is_done(&self) -> bool {
        matches!(self.state, State::Done)
    }

    /// Goes on to the next piece of the body, its end, or the end of `input`, whichever is first.
    ///
    /// Nothing is consumed only when `input` is empty or the body [has ended](Self::is_done).
    ///
    /// # Errors
    /// [`ChunkError`]: the connection must end. The decoder is not to be used again.
    pub fn decode(&mut self, input: &[u8]) -> Result<Piece, ChunkError> {
        let mut at = 0;
        while let Some(&byte) = input.get(at) {
            match self.state {
                State::Done => break,
                State::Data(left) => return Ok(self.piece(left, at, input.len())),
                state => self.state = self.step(state, byte)?,
            }
            at += 1;
        }
        Ok(Piece { consumed: at, body: at..at })
    }

    /// What is there of the `left` bytes of the chunk, which begin at `start`.
    fn piece(&mut self, left: u64, start: usize, end: usize) -> Piece {
        let there = (end - start).min(usize::try_from(left).unwrap_or(usize::MAX));
        self.state = match left - there as u64 {
            0 => State::DataCr,
            left => State::Data(left),
        };
        Piece { consumed: start + there, body: start..start + there }
    }

    /// One byte that is not the body's.
    fn step(&mut self, state: State, byte: u8) -> Result<State, ChunkError> {
        match state {
            State::Begin | State::Size(_) | State::Space(_) | State::Extension(_) | State::SizeLf(_) => {
                self.line += 1;
                if self.line > MAX_CHUNK_LINE {
                    return Err(ChunkError::LineTooLong);
                }
                let next = size_line(state, byte)?;
                if matches!(next, State::Data(_) | State::Trailers) {
                    self.line = 0;
                }
                Ok(next)
            }
            State::DataCr if byte == b'\r' => Ok(State::DataLf),
            State::DataLf if byte == b'\n' => Ok(State::Begin),
            State::Trailers | State::Name | State::Value | State::ValueLf | State::LastLf => {
                self.line += 1;
                if self.line > MAX_TRAILERS {
                    return Err(ChunkError::TrailersTooLong);
                }
                trailer(state, byte)
            }
            State::DataCr | State::DataLf | State::Data(_) | State::Done => Err(ChunkError::LineEnd),
        }
    }
}

/// One byte of a chunk's first line.
fn size_line(state: State, byte: u8) -> Result<State, ChunkError> {
    match (state, byte) {
        (State::SizeLf(size), b'\n') => Ok(if size == 0 { State::Trailers } else { State::Data(size) }),
        (State::Size(size) | State::Extension(size), b'\r') => Ok(State::SizeLf(size)),
        (State::Size(size) | State::Space(size), b';') => Ok(State::Extension(size)),
        (State::Size(size) | State::Space(size), b' ' | b'\t') => Ok(State::Space(size)),
        (State::Extension(size), b'\t' | b' '..=b'~' | 0x80..) => Ok(State::Extension(size)),
        (State::Begin, _) => digit(byte).map(State::Size).ok_or(ChunkError::Size),
        (State::Size(size), _) if digit(byte).is_some() => {
            let digit = digit(byte).unwrap_or(0);
            size.checked_mul(16).map(|size| State::Size(size | digit)).ok_or(ChunkError::TooLarge)
        }
        (State::SizeLf(_), _) | (_, b'\n') => Err(ChunkError::LineEnd),
        _ => Err(ChunkError::Extension),
    }
}

/// One byte after the last chunk.
fn trailer(state: State, byte: u8) -> Result<State, ChunkError> {
    match (state, byte) {
        (State::Trailers, b'\r') => Ok(State::LastLf),
        (State::LastLf, b'\n') => Ok(State::Done),
        (State::Trailers | State::Name, _) if is_token(byte) => Ok(State::Name),
        (State::Name, b':') => Ok(State::Value),
        (State::Value, b'\r') => Ok(State::ValueLf),
        (State::Value, b'\t' | b' '..=b'~' | 0x80..) => Ok(State::Value),
        (State::ValueLf, b'\n') => Ok(State::Trailers),
        (State::LastLf | State::ValueLf, _) | (_, b'\n') => Err(ChunkError::LineEnd),
        _ => Err(ChunkError::Trailer),
    }
}

fn digit(byte: u8) -> Option<u64> {
    char::from(byte).to_digit(16).map(u64::from)
}

/// Whether a field's name may contain it (RFC 9110, 5.6.2).
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests;
