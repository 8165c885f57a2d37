//! What was received goes to standard output: as it came, with a newline added where one is missing.

use std::io::{self, Write};

use super::hex;
use super::stop::Stop;

/// Prints replies, whole or in parts.
#[derive(Debug)]
pub(super) struct Printer<W> {
    out: W,
    hex: bool,
    /// What was printed last is not a newline.
    open: bool,
}

impl<W: Write> Printer<W> {
    /// As hexadecimal digits, if `hex`.
    pub(super) const fn new(out: W, hex: bool) -> Self {
        Self { out, hex, open: false }
    }

    /// Prints a reply. One without bytes is an empty line.
    pub(super) fn whole(&mut self, payload: &[u8]) -> Result<(), Stop> {
        self.open |= payload.is_empty();
        self.part(payload)?;
        self.end()
    }

    /// Prints what has arrived of a reply. It is visible at once.
    pub(super) fn part(&mut self, bytes: &[u8]) -> Result<(), Stop> {
        let Some(last) = bytes.last() else { return Ok(()) };
        self.open = self.hex || *last != b'\n';
        let printed = if self.hex {
            let mut digits = Vec::with_capacity(2 * bytes.len());
            hex::write(bytes, &mut digits);
            self.out.write_all(&digits)
        } else {
            self.out.write_all(bytes)
        };
        self.check(printed)
    }

    /// Ends a reply printed in parts.
    pub(super) fn end(&mut self) -> Result<(), Stop> {
        if !self.open {
            return Ok(());
        }
        self.open = false;
        let printed = self.out.write_all(b"\n");
        self.check(printed)
    }

    /// Whether a reply is printed in part.
    pub(super) const fn is_open(&self) -> bool {
        self.open
    }

    fn check(&mut self, printed: io::Result<()>) -> Result<(), Stop> {
        printed.and_then(|()| self.out.flush()).map_err(|error| Stop::of_stdout(&error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(hex: bool, print: impl Fn(&mut Printer<&mut Vec<u8>>)) -> String {
        let mut out = Vec::new();
        print(&mut Printer::new(&mut out, hex));
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_newline_is_added_where_one_is_missing() {
        for (payload, text, hex) in
            [(&b""[..], "\n", "\n"), (b"a", "a\n", "61\n"), (b"a\n", "a\n", "610a\n"), (b"\n", "\n", "0a\n")]
        {
            assert_eq!(printed(false, |printer| printer.whole(payload).unwrap()), text);
            assert_eq!(printed(true, |printer| printer.whole(payload).unwrap()), hex);
        }
    }

    #[test]
    fn parts_are_one_reply() {
        let parts = |printer: &mut Printer<&mut Vec<u8>>| {
            for part in [&b"a\nb"[..], b"", b"c", b"\n"] {
                printer.part(part).unwrap();
            }
            printer.end().unwrap();
            printer.end().unwrap();
            printer.part(b"d").unwrap();
            printer.end().unwrap();
        };
        assert_eq!(printed(false, parts), "a\nbc\nd\n");
        assert_eq!(printed(true, parts), "610a62630a\n64\n");
    }

    #[test]
    fn a_reader_that_is_gone_is_no_failure() {
        let (reader, writer) = io::pipe().unwrap();
        drop(reader);
        assert!(matches!(Printer::new(writer, false).whole(b"a"), Err(Stop::ReaderGone)));
    }
}
