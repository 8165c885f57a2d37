//! Content-Length: digits, and nothing but digits.

use std::fmt;

/// Reads the value of one Content-Length field: `42`, or a list of equal numbers, `42, 42` (RFC 9110, 8.6).
///
/// Digits only: what `str::parse` also takes, `+42` for one, is read by the next server as something else.
///
/// # Errors
/// [`LengthError`]: the connection must end, because nobody knows where the next message begins.
///
/// ```
/// use oneloop::http::{LengthError, parse_length};
///
/// assert_eq!(parse_length(b"42"), Ok(42));
/// assert_eq!(parse_length(b"+42"), Err(LengthError::Malformed));
/// ```
pub fn parse_length(value: &[u8]) -> Result<u64, LengthError> {
    let mut parts = value.split(|byte| *byte == b',').map(number);
    // A split has one part at least.
    let first = parts.next().unwrap_or(Err(LengthError::Malformed))?;
    parts.try_fold(first, |first, part| agree(first, part?))
}

/// Adds one more Content-Length field to what those before it said.
///
/// # Errors
/// [`LengthError`], of which [`Differing`](LengthError::Differing) is how requests are smuggled.
///
/// ```
/// use oneloop::http::{LengthError, agree_on_length};
///
/// assert_eq!(agree_on_length(None, b"42"), Ok(42));
/// assert_eq!(agree_on_length(Some(42), b"42"), Ok(42));
/// assert_eq!(agree_on_length(Some(42), b"43"), Err(LengthError::Differing { first: 42, second: 43 }));
/// ```
pub fn agree_on_length(seen: Option<u64>, value: &[u8]) -> Result<u64, LengthError> {
    let length = parse_length(value)?;
    seen.map_or(Ok(length), |seen| agree(seen, length))
}

/// Why a Content-Length is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum LengthError {
    /// Something that is no digit, or nothing at all.
    Malformed,
    /// More than 64 bits hold.
    TooLarge,
    /// Two fields, or two parts of one, that do not say the same.
    Differing {
        /// What was said first.
        first: u64,
        /// What was said then.
        second: u64,
    },
}

impl fmt::Display for LengthError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed => f.write_str("Content-Length is no number"),
            Self::TooLarge => f.write_str("Content-Length is more than 64 bits hold"),
            Self::Differing { first, second } => write!(f, "Content-Length is both {first} and {second}"),
        }
    }
}

impl std::error::Error for LengthError {}

fn agree(first: u64, second: u64) -> Result<u64, LengthError> {
    if first == second { Ok(first) } else { Err(LengthError::Differing { first, second }) }
}

/// One number between spaces and tabs.
fn number(part: &[u8]) -> Result<u64, LengthError> {
    let digits = trim(part);
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(LengthError::Malformed);
    }
    let add = |sum: u64, digit: &u8| sum.checked_mul(10)?.checked_add(u64::from(digit - b'0'));
    digits.iter().try_fold(0, add).ok_or(LengthError::TooLarge)
}

/// Without the spaces and tabs around it: `trim_ascii` would take line ends and form feeds too.
fn trim(mut part: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = part {
        part = rest;
    }
    part
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_64_bits_are_read() {
        for (value, length) in [
            (&b"0"[..], 0),
            (b"007", 7),
            (b" 42\t", 42),
            (b"42, 42 ,42", 42),
            (b"42,042", 42),
            (b"18446744073709551615", u64::MAX),
            (b"000000000000000000000000000000000001", 1),
        ] {
            assert_eq!(parse_length(value), Ok(length), "{}", value.escape_ascii());
        }
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for value in [
            &b""[..],
            b" ",
            b"+1",
            b"-1",
            b"0x10",
            b"1e3",
            b"1.0",
            b"1 2",
            b"1,",
            b",1",
            b",",
            b"1\n",
            b"\x0b1",
            b"1_000",
            b"\xb2",
            b"1\0",
        ] {
            assert_eq!(parse_length(value), Err(LengthError::Malformed), "{}", value.escape_ascii());
        }
        for value in [&b"18446744073709551616"[..], b"99999999999999999999999999"] {
            assert_eq!(parse_length(value), Err(LengthError::TooLarge), "{}", value.escape_ascii());
        }
    }

    #[test]
    fn lengths_must_agree() {
        let differing = Err(LengthError::Differing { first: 1, second: 2 });
        assert_eq!(parse_length(b"1, 2"), differing);
        assert_eq!(agree_on_length(Some(1), b"2"), differing);
        assert_eq!(agree_on_length(Some(1), b"1, 1"), Ok(1));
        assert_eq!(agree_on_length(Some(1), b"x"), Err(LengthError::Malformed));
    }
}
