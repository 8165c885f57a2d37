//! Bytes as hexadecimal digits, for protocols that are not text.

/// Reads digits in pairs; blanks may stand anywhere between the pairs, and inside them.
pub(super) fn parse(text: &[u8]) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::with_capacity(text.len() / 2);
    let mut high = None;
    for &byte in text.iter().filter(|byte| !byte.is_ascii_whitespace()) {
        let Some(digit) = char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok()) else {
            return Err(format!(
                "'{}' is no hexadecimal digit; expected pairs of 0-9 and a-f, as in '00 ff 10'",
                byte.escape_ascii()
            ));
        };
        match high.take() {
            None => high = Some(digit << 4),
            Some(high) => bytes.push(high | digit),
        }
    }
    match high {
        None => Ok(bytes),
        Some(_) => Err("it has an odd number of hexadecimal digits; a byte has two, as in '0a'".to_owned()),
    }
}

/// Appends two digits for each byte.
pub(super) fn write(bytes: &[u8], out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    out.extend(bytes.iter().flat_map(|byte| [byte >> 4, byte & 15].map(|digit| DIGITS[usize::from(digit)])));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_come_in_pairs_and_blanks_do_not_count() {
        for (text, want) in [("", &b""[..]), ("00ff10", b"\0\xff\x10"), (" 0 0\tFf 1\n0 ", b"\0\xff\x10")] {
            assert_eq!(parse(text.as_bytes()).unwrap(), want, "{text}");
        }
        for (text, expected) in
            [("0", "odd"), ("00 f", "odd"), ("0x00", "'x'"), ("é", r"'\xc3'"), ("+1", "'+'")]
        {
            let error = parse(text.as_bytes()).unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }

    #[test]
    fn every_byte_survives() {
        let all: Vec<u8> = (0..=255).collect();
        let mut text = Vec::new();
        write(&all, &mut text);
        assert!(text.starts_with(b"000102") && text.ends_with(b"feff"));
        assert_eq!(parse(&text).unwrap(), all);
    }
}
