//! The name of a framing, as the operator writes it on the command line and as reports print it.

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;
use std::sync::Arc;

use super::{Codec, Delimited, Fixed, LengthPrefixed, Lines, Raw};

/// Which framing a connection speaks. The codec itself also needs a maximum, which is set elsewhere.
///
/// | text | codec |
/// |---|---|
/// | `raw` | [`Raw`](super::Raw) |
/// | `lines` | [`Lines`](super::Lines) |
/// | `delimited:TEXT` | [`Delimited`](super::Delimited) |
/// | `fixed:N` | [`Fixed`](super::Fixed), N bytes from 1 to 4294967295 |
/// | `len16`, `len32`, `len32le` | [`LengthPrefixed`](super::LengthPrefixed) |
///
/// TEXT is at least one byte. It may hold `\n`, `\r`, `\t`, `\0`, `\\`, and `\xNN` for any byte; what else it
/// holds stands for itself, as UTF-8. [`Display`](fmt::Display) writes what [`FromStr`] reads.
///
/// ```
/// use oneloop::codec::Framing;
///
/// let framing: Framing = r"delimited:\r\n".parse()?;
/// assert_eq!(framing, Framing::Delimited(b"\r\n"[..].into()));
/// assert_eq!(framing.to_string(), r"delimited:\r\n");
///
/// let error = "fixed:0".parse::<Framing>().unwrap_err();
/// assert_eq!(error.to_string(), "'0' is not a frame size; expected 1 to 4294967295, as in fixed:64");
/// # Ok::<(), oneloop::codec::ParseFramingError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Framing {
    /// `raw`: what one read returned.
    Raw,
    /// `lines`: ended by LF or CRLF.
    Lines,
    /// `delimited:TEXT`: ended by these bytes. [`FromStr`] never makes it empty.
    Delimited(Arc<[u8]>),
    /// `fixed:N`: exactly so many bytes.
    Fixed(NonZeroU32),
    /// `len16`: after an unsigned big-endian length of 2 bytes.
    Len16,
    /// `len32`: after an unsigned big-endian length of 4 bytes.
    Len32,
    /// `len32le`: after a signed little-endian length of 4 bytes.
    Len32Le,
}

/// Why a text names no [`Framing`]. Its display names the part that is wrong and what would be accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParseFramingError {
    problem: Problem,
    /// The part of the text that is wrong.
    value: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Problem {
    Unknown,
    EmptyDelimiter,
    Escape,
    Size,
}

impl Framing {
    /// The codec of this framing, for payloads of at most `max` bytes where the framing itself has no limit.
    ///
    /// # Panics
    /// When a delimiter is empty, which [`FromStr`] refuses.
    #[must_use]
    pub fn codec(&self, max: usize) -> Box<dyn Codec + Send + Sync> {
        match self {
            Self::Raw => Box::new(Raw),
            Self::Lines => Box::new(Lines::new(max)),
            Self::Delimited(text) => {
                Box::new(Delimited::new(text, max).expect("the parser refuses an empty one"))
            }
            Self::Fixed(size) => Box::new(Fixed::new(*size)),
            Self::Len16 => Box::new(LengthPrefixed::len16(max)),
            Self::Len32 => Box::new(LengthPrefixed::len32(max)),
            Self::Len32Le => Box::new(LengthPrefixed::len32le(max)),
        }
    }
}

impl FromStr for Framing {
    type Err = ParseFramingError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "raw" => return Ok(Self::Raw),
            "lines" => return Ok(Self::Lines),
            "len16" => return Ok(Self::Len16),
            "len32" => return Ok(Self::Len32),
            "len32le" => return Ok(Self::Len32Le),
            _ => {}
        }
        match text.split_once(':') {
            Some(("delimited", "")) => Err(ParseFramingError::new(Problem::EmptyDelimiter, text)),
            Some(("delimited", delimiter)) => Ok(Self::Delimited(unescape(delimiter)?.into())),
            Some(("fixed", size)) => {
                size.parse().map(Self::Fixed).map_err(|_| ParseFramingError::new(Problem::Size, size))
            }
            _ => Err(ParseFramingError::new(Problem::Unknown, text)),
        }
    }
}

impl fmt::Display for Framing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Raw => f.write_str("raw"),
            Self::Lines => f.write_str("lines"),
            Self::Delimited(delimiter) => {
                f.write_str("delimited:")?;
                delimiter.iter().try_for_each(|&byte| write_escaped(byte, f))
            }
            Self::Fixed(size) => write!(f, "fixed:{size}"),
            Self::Len16 => f.write_str("len16"),
            Self::Len32 => f.write_str("len32"),
            Self::Len32Le => f.write_str("len32le"),
        }
    }
}

impl ParseFramingError {
    fn new(problem: Problem, value: &str) -> Self {
        Self { problem, value: value.to_owned() }
    }
}

impl fmt::Display for ParseFramingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (what, expected) = match self.problem {
            Problem::Unknown => ("a framing", "raw, lines, delimited:TEXT, fixed:N, len16, len32 or len32le"),
            Problem::EmptyDelimiter => {
                ("a framing, its delimiter is empty", r"at least one byte, as in delimited:\r\n")
            }
            Problem::Escape => ("an escape in a delimiter", r"\n, \r, \t, \0, \\ or \xNN"),
            Problem::Size => ("a frame size", "1 to 4294967295, as in fixed:64"),
        };
        write!(f, "'{}' is not {what}; expected {expected}", self.value)
    }
}

impl std::error::Error for ParseFramingError {}

fn unescape(text: &str) -> Result<Vec<u8>, ParseFramingError> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        let (plain, escaped) = rest.split_at(at);
        let Some((byte, width)) = read_escape(escaped) else {
            let width = if escaped.starts_with(r"\x") { 4 } else { 2 };
            let wrong: String = escaped.chars().take(width).collect();
            return Err(ParseFramingError::new(Problem::Escape, &wrong));
        };
        bytes.extend_from_slice(plain.as_bytes());
        bytes.push(byte);
        rest = &escaped[width..];
    }
    bytes.extend_from_slice(rest.as_bytes());
    Ok(bytes)
}

/// The byte that the escape at the front of `text` stands for, and the length of the escape, all ASCII.
fn read_escape(text: &str) -> Option<(u8, usize)> {
    match text.as_bytes().get(1)? {
        b'n' => Some((b'\n', 2)),
        b'r' => Some((b'\r', 2)),
        b't' => Some((b'\t', 2)),
        b'0' => Some((0, 2)),
        b'\\' => Some((b'\\', 2)),
        b'x' => {
            // The digits are looked at first, because from_str_radix would take "+f" as well.
            let digits = text.get(2..4).filter(|s| s.bytes().all(|b| b.is_ascii_hexdigit()))?;
            u8::from_str_radix(digits, 16).ok().map(|byte| (byte, 4))
        }
        _ => None,
    }
}

fn write_escaped(byte: u8, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match byte {
        b'\n' => f.write_str(r"\n"),
        b'\r' => f.write_str(r"\r"),
        b'\t' => f.write_str(r"\t"),
        0 => f.write_str(r"\0"),
        b'\\' => f.write_str(r"\\"),
        b' '..=b'~' => write!(f, "{}", char::from(byte)),
        _ => write!(f, r"\x{byte:02x}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delimited(bytes: &[u8]) -> Framing {
        Framing::Delimited(bytes.into())
    }

    fn fixed(size: u32) -> Framing {
        Framing::Fixed(NonZeroU32::new(size).unwrap())
    }

    #[test]
    fn display_writes_what_from_str_reads() {
        for (text, want) in [
            ("raw", Framing::Raw),
            ("lines", Framing::Lines),
            ("len16", Framing::Len16),
            ("len32", Framing::Len32),
            ("len32le", Framing::Len32Le),
            ("fixed:1", fixed(1)),
            ("fixed:4294967295", fixed(u32::MAX)),
            ("delimited:;", delimited(b";")),
            ("delimited::", delimited(b":")),
            ("delimited: ", delimited(b" ")),
            (r"delimited:\n\r\t\0\\", delimited(b"\n\r\t\0\\")),
            (r"delimited:\01", delimited(b"\x001")),
            (r"delimited:a\xff\x7fb", delimited(b"a\xff\x7fb")),
        ] {
            assert_eq!(text.parse(), Ok(want.clone()), "{text}");
            assert_eq!(want.to_string(), text);
        }
    }

    #[test]
    fn other_spellings_are_read_too() {
        for (text, want) in [
            (r"delimited:\x0a\x41\xFF", delimited(b"\nA\xff")),
            ("delimited:é", delimited("é".as_bytes())),
            ("delimited:\n", delimited(b"\n")),
            ("fixed:064", fixed(64)),
        ] {
            assert_eq!(text.parse(), Ok(want), "{text:?}");
        }
    }

    #[test]
    fn every_delimiter_survives_display() {
        let all: Vec<u8> = (0..=u8::MAX).collect();
        assert_eq!(delimited(&all).to_string().parse(), Ok(delimited(&all)));
        for a in 0..=u8::MAX {
            for b in *b"\\0nx1f" {
                let framing = delimited(&[a, b]);
                assert_eq!(framing.to_string().parse(), Ok(framing));
            }
        }
    }

    #[test]
    fn an_error_names_what_is_wrong_and_what_would_be_right() {
        for (text, value, problem) in [
            ("", "", Problem::Unknown),
            ("line", "line", Problem::Unknown),
            ("RAW", "RAW", Problem::Unknown),
            ("raw:1", "raw:1", Problem::Unknown),
            ("fixed", "fixed", Problem::Unknown),
            ("delimited", "delimited", Problem::Unknown),
            ("delimited:", "delimited:", Problem::EmptyDelimiter),
            ("fixed:", "", Problem::Size),
            ("fixed:0", "0", Problem::Size),
            ("fixed:-1", "-1", Problem::Size),
            ("fixed:4294967296", "4294967296", Problem::Size),
            ("fixed:1 ", "1 ", Problem::Size),
            (r"delimited:a\q", r"\q", Problem::Escape),
            (r"delimited:a\", r"\", Problem::Escape),
            (r"delimited:\é", r"\é", Problem::Escape),
            (r"delimited:\x", r"\x", Problem::Escape),
            (r"delimited:\x4", r"\x4", Problem::Escape),
            (r"delimited:\x+fg", r"\x+f", Problem::Escape),
            (r"delimited:\x4é", r"\x4é", Problem::Escape),
        ] {
            let error = text.parse::<Framing>().unwrap_err();
            assert_eq!(error, ParseFramingError::new(problem, value), "{text}");
            let shown = error.to_string();
            assert!(shown.starts_with(&format!("'{value}' is not ")), "{shown}");
            assert!(shown.contains("; expected "), "{shown}");
        }
    }
}
