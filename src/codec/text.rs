//! Text in other encodings than UTF-8 (WHATWG Encoding Standard): a decoder that keeps half a character until the rest of it
//! has arrived, and an encoder that refuses what it cannot say.

use std::fmt;
use std::str::FromStr;

use encoding_rs::{DecoderResult, EncoderResult, Encoding};

/// An encoding of text, by any of its labels: `utf-8`, `gbk`, `gb18030`, `big5`, `shift_jis`, `euc-kr`, `windows-1252`.
///
/// ```
/// use oneloop::codec::TextEncoding;
///
/// let gbk: TextEncoding = "gbk".parse()?;
/// assert_eq!(gbk.encode("你好")?, b"\xc4\xe3\xba\xc3");
///
/// let (mut decoder, mut text) = (gbk.decoder(), String::new());
/// decoder.push(b"\xc4\xe3\xba", &mut text);
/// assert_eq!(text, "你"); // half a character is kept
/// decoder.push(b"\xc3", &mut text);
/// assert_eq!(text, "你好");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TextEncoding(&'static Encoding);

impl TextEncoding {
    /// Whether text can be sent in it. UTF-16 is for receiving only, as in the standard.
    #[must_use]
    pub fn can_encode(self) -> bool {
        self.0.output_encoding() == self.0
    }

    /// The bytes of `text`. Every encoding that can be sent has ASCII as ASCII.
    ///
    /// # Errors
    /// The encoding is for receiving only, or does not have one of the characters. Nothing is put in its place.
    pub fn encode(self, text: &str) -> Result<Vec<u8>, EncodeError> {
        let fail = |problem| Err(EncodeError { encoding: self, problem });
        if !self.can_encode() {
            return fail(EncodeProblem::DecodeOnly);
        }
        let mut encoder = self.0.new_encoder();
        let mut bytes = Vec::with_capacity(text.len() + 16);
        let mut rest = text;
        loop {
            let (result, read) = encoder.encode_from_utf8_to_vec_without_replacement(rest, &mut bytes, true);
            rest = &rest[read..];
            match result {
                EncoderResult::InputEmpty => return Ok(bytes),
                EncoderResult::Unmappable(char) => return fail(EncodeProblem::Missing(char)),
                EncoderResult::OutputFull => bytes.reserve(rest.len().max(16)),
            }
        }
    }

    /// A decoder for one stream of bytes, or for one message.
    #[must_use]
    pub fn decoder(self) -> TextDecoder {
        TextDecoder { decoder: self.0.new_decoder_with_bom_removal(), encoding: self }
    }

    /// The text of a whole message.
    #[must_use]
    pub fn decode(self, bytes: &[u8]) -> String {
        let mut text = String::new();
        let mut decoder = self.decoder();
        decoder.push(bytes, &mut text);
        decoder.finish(&mut text);
        text
    }
}

/// Decodes a stream of bytes as they come. What is no text becomes U+FFFD; a byte order mark at the beginning is left out.
pub struct TextDecoder {
    decoder: encoding_rs::Decoder,
    encoding: TextEncoding,
}

impl TextDecoder {
    /// Appends the text of `bytes` to `text`. The beginning of a character waits for its end.
    pub fn push(&mut self, bytes: &[u8], text: &mut String) {
        self.run(bytes, false, text);
    }

    /// The stream has ended: the beginning of a character that still waits becomes U+FFFD. Another stream may begin.
    pub fn finish(&mut self, text: &mut String) {
        self.run(b"", true, text);
        self.decoder = self.encoding.0.new_decoder_with_bom_removal();
    }

    fn run(&mut self, mut bytes: &[u8], last: bool, text: &mut String) {
        loop {
            let room = self.decoder.max_utf8_buffer_length(bytes.len());
            text.reserve(room.unwrap_or(bytes.len()));
            let (result, read) = self.decoder.decode_to_string_without_replacement(bytes, text, last);
            bytes = &bytes[read..];
            match result {
                DecoderResult::InputEmpty => return,
                DecoderResult::Malformed(..) => text.push(char::REPLACEMENT_CHARACTER),
                DecoderResult::OutputFull => {}
            }
        }
    }
}

impl fmt::Debug for TextDecoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TextDecoder").field("encoding", &self.encoding).finish_non_exhaustive()
    }
}

impl fmt::Display for TextEncoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.name().to_ascii_lowercase())
    }
}

impl FromStr for TextEncoding {
    type Err = ParseEncodingError;

    /// Takes every label of the standard, in any case, but for those whose content it refuses to read, such as `iso-2022-kr`.
    fn from_str(label: &str) -> Result<Self, Self::Err> {
        match Encoding::for_label_no_replacement(label.as_bytes()) {
            Some(encoding) => Ok(Self(encoding)),
            None => Err(ParseEncodingError { label: label.to_owned() }),
        }
    }
}

/// A label that names no encoding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParseEncodingError {
    label: String,
}

impl ParseEncodingError {
    /// What would be accepted, for messages that have already named the label.
    pub const EXPECTED: &'static str = "no encoding has this name; expected for example utf-8, gbk, gb18030, big5, \
                                        shift_jis, euc-kr, iso-8859-1 or windows-1252";
}

impl fmt::Display for ParseEncodingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "'{}': {}", self.label, Self::EXPECTED)
    }
}

impl std::error::Error for ParseEncodingError {}

/// Why a text cannot be sent in an encoding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EncodeError {
    encoding: TextEncoding,
    problem: EncodeProblem,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum EncodeProblem {
    DecodeOnly,
    Missing(char),
}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let encoding = self.encoding;
        match self.problem {
            EncodeProblem::DecodeOnly => {
                write!(
                    f,
                    "{encoding} is for receiving only (WHATWG Encoding Standard, get an output encoding)"
                )
            }
            EncodeProblem::Missing(char) => {
                let code = u32::from(char);
                write!(f, "{encoding} does not have the character '{}' (U+{code:04X})", char.escape_debug())
            }
        }
    }
}

impl std::error::Error for EncodeError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoding(label: &str) -> TextEncoding {
        label.parse().unwrap()
    }

    #[test]
    fn text_survives_every_encoding_that_has_it_however_it_is_cut() {
        for (label, text, bytes) in [
            ("gbk", "你好, A!\n", &b"\xc4\xe3\xba\xc3, A!\n"[..]),
            ("GB2312", "已收到", b"\xd2\xd1\xca\xd5\xb5\xbd"),
            ("utf-8", "é€😀", "é€😀".as_bytes()),
            ("big5", "中", b"\xa4\xa4"),
            ("shift_jis", "ア亜", b"\x83\x41\x88\x9f"),
            ("euc-kr", "한", b"\xc7\xd1"),
            ("latin1", "é€", b"\xe9\x80"),
            ("iso-2022-jp", "亜a", b"\x1b$B0!\x1b(Ba"),
        ] {
            let encoding = encoding(label);
            assert_eq!(encoding.encode(text).unwrap(), bytes, "{label}");
            assert_eq!(encoding.decode(bytes), text, "{label}");
            for size in 1..=bytes.len() {
                let (mut decoder, mut got) = (encoding.decoder(), String::new());
                bytes.chunks(size).for_each(|chunk| decoder.push(chunk, &mut got));
                decoder.finish(&mut got);
                assert_eq!(got, text, "{label} in pieces of {size}");
            }
        }
    }

    #[test]
    fn a_long_text_is_encoded_whole() {
        let text = "好".repeat(100_000);
        let bytes = encoding("gbk").encode(&text).unwrap();
        assert_eq!(bytes.len(), 200_000);
        assert_eq!(encoding("gbk").decode(&bytes), text);
    }

    #[test]
    fn what_is_no_text_is_marked_and_a_cut_character_too() {
        assert_eq!(encoding("utf-8").decode(b"a\xffb\xe4\xbd"), "a\u{fffd}b\u{fffd}");
        assert_eq!(encoding("gbk").decode(b"a\xc4"), "a\u{fffd}");
        let (mut decoder, mut text) = (encoding("gbk").decoder(), String::new());
        decoder.push(b"\xc4", &mut text);
        decoder.finish(&mut text);
        decoder.push(b"\xe3", &mut text);
        decoder.push(b"\xba", &mut text);
        assert_eq!(text, "\u{fffd}愫", "a new stream begins anew");
    }

    #[test]
    fn a_character_that_is_missing_is_refused_and_nothing_put_in_its_place() {
        let error = encoding("gbk").encode("a😀b").unwrap_err().to_string();
        assert_eq!(error, "gbk does not have the character '😀' (U+1F600)");
        assert!(encoding("latin1").encode("你").is_err());
        let error = encoding("latin1").encode("\u{1b}[m\u{202e}").unwrap_err().to_string();
        assert!(!error.contains('\u{202e}'), "{error}");
    }

    #[test]
    fn utf_16_is_read_and_not_written() {
        for label in ["utf-16", "utf-16le", "utf-16be"] {
            let error = encoding(label).encode("a").unwrap_err().to_string();
            assert!(error.contains("receiving only"), "{error}");
        }
        assert_eq!(encoding("utf-16be").decode(b"\0a\x4f\x60"), "a你");
        assert_eq!(encoding("utf-16le").decode(b"\xff\xfea\0"), "a", "the byte order mark is no text");
    }

    #[test]
    fn an_unknown_label_names_itself_and_examples() {
        for label in ["klingon", "", "iso-2022-kr", "gbk "] {
            match label.parse::<TextEncoding>() {
                Err(error) => {
                    let error = error.to_string();
                    assert!(error.contains(label) && error.contains("gb18030"), "{error}");
                }
                // The standard has blanks around a label mean nothing.
                Ok(encoding) => assert_eq!((label, encoding.to_string().as_str()), ("gbk ", "gbk")),
            }
        }
    }
}
