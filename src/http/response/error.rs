//! Why a response is refused: typed, so that a program can decide, and told, so that a person can.

use std::fmt;

use super::{MAX_INTERIM, MAX_RESPONSE_HEAD, MAX_RESPONSE_HEADERS, MAX_RESPONSE_LINE};
use crate::http::chunked::ChunkError;
use crate::http::length::LengthError;

/// Why a response is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ResponseError {
    /// It is no HTTP/1 response: what is wrong with it.
    Head(&'static str),
    /// The head is longer than [`MAX_RESPONSE_HEAD`].
    HeadTooLong,
    /// A field is longer than [`MAX_RESPONSE_LINE`].
    LineTooLong,
    /// More fields than [`MAX_RESPONSE_HEADERS`].
    TooManyHeaders,
    /// One interim response after the other.
    TooManyInterim,
    /// The other side changes to another protocol, which nobody asked for.
    Upgraded,
    /// The length makes no sense.
    Length(LengthError),
    /// A Content-Length and a Transfer-Encoding: two lengths for one body.
    TwoLengths,
    /// A transfer coding other than chunked.
    Coding,
    /// The chunked body makes no sense.
    Chunk(ChunkError),
    /// The connection ended before the response did.
    Truncated {
        /// How many bytes of the body did not come, where that is known.
        missing: Option<u64>,
        /// It ended in the head, or before it.
        in_head: bool,
    },
}

impl ResponseError {
    pub(super) const fn of(error: httparse::Error) -> Self {
        match error {
            httparse::Error::TooManyHeaders => Self::TooManyHeaders,
            httparse::Error::Version => Self::Head("it does not begin with HTTP/1.1 or HTTP/1.0"),
            httparse::Error::Status => Self::Head("its status is no number, or its reason is no text"),
            httparse::Error::HeaderName => Self::Head("a header's name is none"),
            httparse::Error::HeaderValue => Self::Head("a header's value has bytes that it may not have"),
            httparse::Error::NewLine => Self::Head("a line has a carriage return within it"),
            httparse::Error::Token => Self::Head("it begins with something else"),
        }
    }
}

impl fmt::Display for ResponseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Head(why) => write!(f, "this is no HTTP response: {why}"),
            Self::HeadTooLong => write!(f, "the head is longer than {MAX_RESPONSE_HEAD} bytes"),
            Self::LineTooLong => write!(f, "a header is longer than {MAX_RESPONSE_LINE} bytes"),
            Self::TooManyHeaders => write!(f, "there are more than {MAX_RESPONSE_HEADERS} headers"),
            Self::TooManyInterim => write!(f, "more than {MAX_INTERIM} interim responses"),
            Self::Upgraded => f.write_str("status 101 changes to another protocol, which nobody asked for"),
            Self::Length(error) => error.fmt(f),
            Self::TwoLengths => f.write_str("there are a Content-Length and a Transfer-Encoding"),
            Self::Coding => f.write_str("its transfer coding is another than chunked"),
            Self::Chunk(error) => error.fmt(f),
            Self::Truncated { missing: Some(missing), .. } => {
                write!(f, "truncated: the connection ended, and {missing} bytes had not come")
            }
            Self::Truncated { in_head: true, .. } => {
                f.write_str("truncated: the connection ended before the headers did")
            }
            Self::Truncated { .. } => f.write_str("truncated: the connection ended before the last chunk"),
        }
    }
}

impl std::error::Error for ResponseError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Length(error) => Some(error),
            Self::Chunk(error) => Some(error),
            _ => None,
        }
    }
}
