//! `--encoding`: how the value is read, what is typed becomes bytes, and what was received is shown.

use std::io::Write as _;

use crate::codec::{ParseEncodingError, TextEncoding};

/// Reads the value of the option.
pub(super) fn encoding(label: &str) -> Result<TextEncoding, String> {
    label.parse().map_err(|_| ParseEncodingError::EXPECTED.to_owned())
}

/// An encoding that is sent in, not only received.
///
/// # Errors
/// It is for receiving only.
pub(super) fn check_sending(encoding: Option<TextEncoding>, who: &str) -> Result<(), String> {
    match encoding {
        Some(encoding) if !encoding.can_encode() => Err(format!(
            "'--encoding {encoding}' cannot be used with '{who}': {encoding} can be read and not written (WHATWG Encoding \
             Standard); choose another, such as utf-8 or gbk"
        )),
        _ => Ok(()),
    }
}

/// The bytes of what was typed, which is UTF-8.
///
/// # Errors
/// It is not, or the encoding does not have one of its characters: the rest of a sentence that names it.
pub(super) fn encoded(encoding: TextEncoding, typed: &[u8]) -> Result<Vec<u8>, String> {
    let text = std::str::from_utf8(typed).map_err(|error| {
        format!(
            "it is not UTF-8 (byte {}), and --encoding takes UTF-8; leave the option out to send bytes as they are",
            error.valid_up_to() + 1
        )
    })?;
    encoding
        .encode(text)
        .map_err(|error| format!("{error}; leave the character out or choose another --encoding"))
}

/// Text without what a terminal obeys: control characters and the backslash as `\xNN`, and what turns the direction of
/// writing around or cannot be seen as `\u{NNNN}`.
pub(super) fn write_text(line: &mut Vec<u8>, text: &str) {
    for char in text.chars() {
        // Writing to a vector does not fail.
        let _ = match char {
            '\\' => write!(line, "\\x5c"),
            _ if char.is_control() => write!(line, "\\x{:02x}", u32::from(char)),
            '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' => {
                write!(line, "\\u{{{:04x}}}", u32::from(char))
            }
            _ => write!(line, "{char}"),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_shown_and_what_a_terminal_obeys_is_not() {
        for (text, shown) in [
            ("é 你好 😀\u{fffd}", "é 你好 😀\u{fffd}"),
            ("a\n\u{1b}[2J\u{7f}\u{85}\\", "a\\x0a\\x1b[2J\\x7f\\x85\\x5c"),
            ("\u{202e}x\u{2066}\u{200b}\u{feff}", "\\u{202e}x\\u{2066}\\u{200b}\\u{feff}"),
        ] {
            let mut line = Vec::new();
            write_text(&mut line, text);
            assert_eq!(String::from_utf8(line).unwrap(), shown);
        }
    }

    #[test]
    fn what_cannot_be_sent_says_why() {
        let gbk = encoding("gbk").unwrap();
        assert_eq!(encoded(gbk, "你".as_bytes()).unwrap(), b"\xc4\xe3");
        assert!(encoded(gbk, b"ab\xff").unwrap_err().contains("byte 3"));
        assert!(encoded(gbk, "😀".as_bytes()).unwrap_err().contains("U+1F600"));
        assert!(encoding("klingon").unwrap_err().contains("gb18030"));
        let utf_16 = encoding("utf-16").unwrap();
        assert!(check_sending(Some(utf_16), "call").unwrap_err().contains("read and not written"));
        assert!(check_sending(Some(gbk), "call").is_ok() && check_sending(None, "call").is_ok());
    }
}
