//! How long a message is that is still being read: too long a one is refused before all of it is in memory.

use super::messages::MAX_MESSAGE;

/// How much of a message has been read, and how much it may be.
#[derive(Debug, Clone, Copy)]
pub(super) struct Length {
    /// The most bytes of a message.
    max: usize,
    /// Two digits are a byte, and blanks are none.
    pub(super) hex: bool,
    text: usize,
    digits: usize,
    /// The last byte is a CR, which may belong to the end of a line.
    cr: bool,
}

impl Length {
    /// Nothing read yet of at most `max` bytes, and [`MAX_MESSAGE`] in any case.
    pub(super) fn new(max: usize, hex: bool) -> Self {
        Self { max: max.min(MAX_MESSAGE), hex, text: 0, digits: 0, cr: false }
    }

    pub(super) fn add(&mut self, bytes: &[u8]) {
        let Some(last) = bytes.last() else { return };
        self.cr = *last == b'\r';
        self.text += bytes.len();
        if self.hex {
            self.digits += bytes.iter().filter(|byte| !byte.is_ascii_whitespace()).count();
        }
    }

    pub(super) const fn restart(&mut self) {
        (self.text, self.digits, self.cr) = (0, 0, false);
    }

    /// # Errors
    /// It is too long already: the rest of a sentence about it.
    pub(super) fn check(&self) -> Result<(), String> {
        let Self { max, text, .. } = *self;
        let bytes = if self.hex { self.digits / 2 } else { text - usize::from(self.cr) };
        if bytes > max {
            let hint = if max < MAX_MESSAGE { "; --max-frame allows more" } else { "" };
            return Err(format!("longer than a message may be, which is {max} bytes{hint}"));
        }
        // Blanks take memory as well.
        if self.hex && text > MAX_MESSAGE {
            return Err(format!("longer than {MAX_MESSAGE} digits and blanks"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fits(max: usize, hex: bool, pieces: &[&str]) -> bool {
        let mut length = Length::new(max, hex);
        pieces.iter().for_each(|piece| length.add(piece.as_bytes()));
        length.check().is_ok()
    }

    #[test]
    fn bytes_count_and_a_cr_at_the_end_may_not() {
        assert!(fits(4, false, &["ab", "cd", ""]) && fits(4, false, &["abcd\r", ""]));
        assert!(!fits(4, false, &["ab", "cde"]) && !fits(4, false, &["abcd\r", "e"]));
    }

    #[test]
    fn of_digits_pairs_count_and_blanks_do_not() {
        assert!(fits(2, true, &["00 f", "f\r\n    \t"]));
        assert!(!fits(2, true, &["00 f", "f 0", "1"]));
    }

    #[test]
    fn a_new_message_starts_from_nothing() {
        let mut length = Length::new(1, false);
        length.add(b"ab");
        assert_eq!(
            length.check().unwrap_err(),
            "longer than a message may be, which is 1 bytes; --max-frame allows more"
        );
        length.restart();
        assert_eq!(length.check(), Ok(()));
    }
}
