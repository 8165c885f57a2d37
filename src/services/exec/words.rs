//! A text as words, without a shell: what quotes and backslashes mean, and nothing else.

/// Splits a text in words.
///
/// Words are separated by blanks, tabs and line ends. `'…'` holds everything as it is. `"…"` too, but for `\"` and `\\`.
/// Elsewhere a backslash takes the next byte as it is. Nothing else has a meaning: `*`, `$`, `|`, `;` and `>` are letters.
///
/// # Errors
/// A quote or a backslash without its end.
///
/// ```
/// # #[cfg(feature = "exec")] {
/// use oneloop::services::split_words;
///
/// assert_eq!(split_words(br#"log 'two words' a"b c"d \' ''"#)?, [&b"log"[..], b"two words", b"ab cd", b"'", b""]);
/// assert!(split_words(b"it's").is_err());
/// # }
/// # Ok::<(), &'static str>(())
/// ```
pub fn split_words(text: &[u8]) -> Result<Vec<Vec<u8>>, &'static str> {
    let mut words = Vec::new();
    let mut word: Option<Vec<u8>> = None;
    let mut rest = text.iter().copied();
    while let Some(byte) = rest.next() {
        match byte {
            b' ' | b'\t' | b'\r' | b'\n' => words.extend(word.take()),
            b'\'' => quoted(&mut rest, byte, word.get_or_insert_default())?,
            b'"' => quoted(&mut rest, byte, word.get_or_insert_default())?,
            b'\\' => word.get_or_insert_default().push(rest.next().ok_or("a backslash at the end")?),
            other => word.get_or_insert_default().push(other),
        }
    }
    words.extend(word);
    Ok(words)
}

fn quoted(rest: &mut impl Iterator<Item = u8>, quote: u8, word: &mut Vec<u8>) -> Result<(), &'static str> {
    while let Some(byte) = rest.next() {
        match byte {
            end if end == quote => return Ok(()),
            b'\\' if quote == b'"' => match rest.next() {
                Some(byte @ (b'"' | b'\\')) => word.push(byte),
                Some(byte) => word.extend([b'\\', byte]),
                None => break,
            },
            other => word.push(other),
        }
    }
    Err("a quote without its end")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_what_the_rule_says() {
        for (text, expected) in [
            ("", &[][..]),
            (" \t\r\n ", &[]),
            ("a  b\n", &["a", "b"]),
            ("'a b'", &["a b"]),
            (r#""a \"b\" \\ \n""#, &[r#"a "b" \ \n"#]),
            (r"a\ b \\", &["a b", r"\"]),
            ("''", &[""]),
            ("a''b", &["ab"]),
            ("rm -rf $HOME; ls | wc > x", &["rm", "-rf", "$HOME;", "ls", "|", "wc", ">", "x"]),
        ] {
            let words = split_words(text.as_bytes()).unwrap();
            assert_eq!(
                words,
                expected.iter().map(|word| word.as_bytes().to_vec()).collect::<Vec<_>>(),
                "{text}"
            );
        }
        for text in ["'", "a \"b", "\\", "\"\\"] {
            assert!(split_words(text.as_bytes()).is_err(), "{text}");
        }
    }
}
