//! What is said on each connection, and what must come back: the same.

use std::fmt;

use crate::codec::{Codec, FrameError, Framing};

/// The longest message.
const MAX_MESSAGE: usize = 1 << 20;

/// What the messages are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// So many letters, others on each connection and in each round, so that an answer that went astray is found out.
    Pattern(usize),
    /// Always these bytes.
    Fixed(Vec<u8>),
}

/// Why something cannot be said.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum WordsError {
    /// There would be no bytes to answer.
    Empty,
    /// More than 1 MiB.
    TooLong,
    /// The framing cannot carry it.
    Frame(FrameError),
    /// The framing's end could occur inside.
    Ambiguous,
}

impl fmt::Display for WordsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("it has no bytes that could be answered"),
            Self::TooLong => f.write_str("it is longer than 1MiB"),
            Self::Frame(error) => error.fmt(f),
            Self::Ambiguous => f.write_str("the delimiter could occur in it"),
        }
    }
}

impl std::error::Error for WordsError {}

/// One message and its echo, encoded.
pub struct Words {
    codec: Box<dyn Codec + Send + Sync>,
    content: Content,
}

impl fmt::Debug for Words {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Words").field("content", &self.content).finish_non_exhaustive()
    }
}

impl Words {
    /// # Errors
    /// The framing cannot carry the content, or would find something else in it.
    pub fn new(framing: &Framing, content: Content) -> Result<Self, WordsError> {
        let size = match &content {
            Content::Pattern(size) => *size,
            Content::Fixed(bytes) => bytes.len(),
        };
        if size > MAX_MESSAGE {
            return Err(WordsError::TooLong);
        }
        let is_letter = |byte: &u8| (FIRST..FIRST + 16).contains(byte);
        if let (Framing::Delimited(text), Content::Pattern(_)) = (framing, &content)
            && text.iter().all(is_letter)
        {
            return Err(WordsError::Ambiguous);
        }
        let words = Self { codec: framing.codec(MAX_MESSAGE), content };
        let mut encoded = Vec::new();
        words.codec.encode(&words.payload(0, 0), &mut encoded).map_err(WordsError::Frame)?;
        if encoded.is_empty() {
            return Err(WordsError::Empty);
        }
        // A terminator inside would make two messages of one.
        match framing.codec(MAX_MESSAGE).decode(&encoded) {
            Ok(Some(frame)) if frame.consumed == encoded.len() => Ok(words),
            Ok(_) => Err(WordsError::Ambiguous),
            Err(error) => Err(WordsError::Frame(error)),
        }
    }

    /// What is sent on this connection in this round, and what must come back.
    #[must_use]
    pub fn message(&self, connection: u32, round: u8) -> Vec<u8> {
        let mut encoded = Vec::new();
        // Whether it can be carried depends on its length only, and that was tried.
        let _ = self.codec.encode(&self.payload(connection, round), &mut encoded);
        encoded
    }

    fn payload(&self, connection: u32, round: u8) -> Vec<u8> {
        match &self.content {
            Content::Fixed(bytes) => bytes.clone(),
            Content::Pattern(size) => letters(u64::from(connection) << 8 | u64::from(round), *size),
        }
    }
}

/// The first of sixteen letters.
const FIRST: u8 = b'a';

/// Letters that look random and follow from the seed: sixteen of each number of a SplitMix64 sequence.
fn letters(seed: u64, size: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(size + 16);
    let mut state = seed.wrapping_mul(0xd129_0fb5_14c1_7a2f);
    while out.len() < size {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = (state ^ state >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        out.extend(
            (mixed ^ mixed >> 31)
                .to_le_bytes()
                .iter()
                .flat_map(|byte| [FIRST + (byte >> 4), FIRST + (byte & 15)]),
        );
    }
    out.truncate(size);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_connection_and_each_round_has_words_of_its_own() {
        let words = Words::new(&Framing::Raw, Content::Pattern(17)).unwrap();
        let all: std::collections::BTreeSet<Vec<u8>> = (0..100)
            .flat_map(|connection| [words.message(connection, 0), words.message(connection, 1)])
            .collect();
        assert_eq!(all.len(), 200);
        assert!(all.iter().all(|text| text.len() == 17 && text.iter().all(u8::is_ascii_lowercase)));
        assert_eq!(words.message(5, 1), words.message(5, 1));
    }

    #[test]
    fn framings_carry_them() {
        for (framing, extra) in
            [("raw", 0), ("lines", 1), ("delimited:;;", 2), ("fixed:8", 0), ("len16", 2), ("len32le", 4)]
        {
            let words = Words::new(&framing.parse().unwrap(), Content::Pattern(8)).unwrap();
            assert_eq!(words.message(1, 0).len(), 8 + extra, "{framing}");
        }
    }

    #[test]
    fn what_would_not_come_back_as_one_message_is_refused() {
        let refused =
            |framing: &str, content: Content| Words::new(&framing.parse().unwrap(), content).unwrap_err();
        assert_eq!(refused("raw", Content::Pattern(0)), WordsError::Empty);
        assert_eq!(refused("delimited:ab", Content::Pattern(8)), WordsError::Ambiguous);
        assert_eq!(refused("raw", Content::Pattern(MAX_MESSAGE + 1)), WordsError::TooLong);
        assert!(matches!(refused("fixed:9", Content::Pattern(8)), WordsError::Frame(_)));
        assert!(Words::new(&"lines".parse().unwrap(), Content::Fixed(b"a\nb".to_vec())).is_err());
    }
}
