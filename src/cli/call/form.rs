//! In what form messages are given and replies shown: bytes as they are, hexadecimal digits, or text in an encoding.

use super::super::text::encoded;
use super::args::CallArgs;
use super::hex;
use crate::codec::TextEncoding;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Bytes,
    Hex,
    /// UTF-8 here, this encoding there.
    Text(TextEncoding),
}

impl Form {
    pub(super) fn of(args: &CallArgs) -> Self {
        match args.encoding {
            _ if args.hex => Self::Hex,
            Some(encoding) => Self::Text(encoding),
            None => Self::Bytes,
        }
    }

    /// The message that was given.
    ///
    /// # Errors
    /// It is none in this form: the rest of a sentence about it.
    pub(super) fn parse(self, given: Vec<u8>) -> Result<Vec<u8>, String> {
        match self {
            Self::Bytes => Ok(given),
            Self::Hex => hex::parse(&given),
            Self::Text(encoding) => encoded(encoding, &given),
        }
    }
}
