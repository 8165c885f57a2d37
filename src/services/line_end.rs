//! What netcat and telnet put behind every raw message.

/// Splits at most one trailing LF or CRLF off.
pub(super) fn split_line_end(message: &[u8]) -> (&[u8], &[u8]) {
    let end = match message {
        [.., b'\r', b'\n'] => 2,
        [.., b'\n'] => 1,
        _ => 0,
    };
    message.split_at(message.len() - end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn at_most_one_line_end_is_split_off() {
        for (message, text, end) in [
            ("", "", ""),
            ("a", "a", ""),
            ("a\n", "a", "\n"),
            ("a\r\n", "a", "\r\n"),
            ("a\r", "a\r", ""),
            ("\n", "", "\n"),
            ("\r\n", "", "\r\n"),
            ("a\n\n", "a\n", "\n"),
            ("a\r\n\r\n", "a\r\n", "\r\n"),
            ("\na", "\na", ""),
        ] {
            assert_eq!(split_line_end(message.as_bytes()), (text.as_bytes(), end.as_bytes()), "{message:?}");
        }
    }
}
