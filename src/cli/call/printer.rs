//! What was received goes to standard output: as it came, as digits or as text, with a newline added where one is missing.

use std::fmt;
use std::io::{self, Write};

use super::form::Form;
use super::hex;
use super::stop::Stop;
use crate::codec::TextDecoder;

/// Prints replies, whole or in parts.
#[derive(Debug)]
pub(super) struct Printer<W> {
    out: W,
    shown: Shown,
    /// What was printed last is not a newline.
    open: bool,
}

/// How replies are shown.
#[derive(Debug)]
enum Shown {
    Bytes,
    Hex,
    /// A character may begin in one part and end in the next.
    Text(Box<TextDecoder>),
}

impl<W: Write> Printer<W> {
    /// Replies are shown in the form in which messages are given.
    pub(super) fn new(out: W, form: Form) -> Self {
        let shown = match form {
            Form::Bytes => Shown::Bytes,
            Form::Hex => Shown::Hex,
            Form::Text(encoding) => Shown::Text(Box::new(encoding.decoder())),
        };
        Self { out, shown, open: false }
    }

    /// Prints a reply. One without bytes is an empty line.
    pub(super) fn whole(&mut self, payload: &[u8]) -> Result<(), Stop> {
        self.open = true;
        self.part(payload)?;
        self.finish()
    }

    /// Prints a reply behind whom it is from.
    pub(super) fn whole_from(&mut self, from: &dyn fmt::Display, payload: &[u8]) -> Result<(), Stop> {
        let printed = write!(self.out, "{from} ");
        self.check(printed)?;
        self.whole(payload)
    }

    /// Prints what has arrived of a reply. It is visible at once.
    pub(super) fn part(&mut self, bytes: &[u8]) -> Result<(), Stop> {
        let Some(last) = bytes.last() else { return Ok(()) };
        let printed = match &mut self.shown {
            Shown::Bytes => {
                self.open = *last != b'\n';
                self.out.write_all(bytes)
            }
            Shown::Hex => {
                self.open = true;
                let mut digits = Vec::with_capacity(2 * bytes.len());
                hex::write(bytes, &mut digits);
                self.out.write_all(&digits)
            }
            Shown::Text(decoder) => {
                let mut text = String::new();
                decoder.push(bytes, &mut text);
                if !text.is_empty() {
                    self.open = !text.ends_with('\n');
                }
                self.out.write_all(text.as_bytes())
            }
        };
        self.check(printed)
    }

    /// Ends a reply, and with it the text: nothing follows that half a character could wait for.
    pub(super) fn finish(&mut self) -> Result<(), Stop> {
        if let Shown::Text(decoder) = &mut self.shown {
            let mut text = String::new();
            decoder.finish(&mut text);
            self.open |= !text.is_empty();
            let printed = self.out.write_all(text.as_bytes());
            self.check(printed)?;
        }
        self.end()
    }

    /// Ends a reply printed in parts. Where only silence says that it has ended, half a character goes on waiting.
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

    fn printed(form: Form, print: impl Fn(&mut Printer<&mut Vec<u8>>)) -> String {
        let mut out = Vec::new();
        print(&mut Printer::new(&mut out, form));
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_newline_is_added_where_one_is_missing() {
        for (payload, text, hex) in
            [(&b""[..], "\n", "\n"), (b"a", "a\n", "61\n"), (b"a\n", "a\n", "610a\n"), (b"\n", "\n", "0a\n")]
        {
            assert_eq!(printed(Form::Bytes, |printer| printer.whole(payload).unwrap()), text);
            assert_eq!(printed(Form::Hex, |printer| printer.whole(payload).unwrap()), hex);
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
        assert_eq!(printed(Form::Bytes, parts), "a\nbc\nd\n");
        assert_eq!(printed(Form::Hex, parts), "610a62630a\n64\n");
    }

    #[test]
    fn half_a_character_waits_for_its_other_half_and_no_longer_than_the_text() {
        let gbk = Form::Text("gbk".parse().unwrap());
        let parts = |printer: &mut Printer<&mut Vec<u8>>| {
            for part in [&b"\xc4"[..], b"\xe3\xba", b"\xc3"] {
                printer.part(part).unwrap();
            }
            printer.end().unwrap();
            printer.part(b"a\xc4").unwrap();
            printer.finish().unwrap();
            printer.part(b"\xe3\xba\n").unwrap();
            printer.finish().unwrap();
        };
        assert_eq!(printed(gbk, parts), "你好\na\u{fffd}\n愫\n");
        let frames = |printer: &mut Printer<&mut Vec<u8>>| {
            printer.whole(b"\xc4").unwrap();
            printer.whole(b"\xe3\xba").unwrap();
            printer.whole(b"").unwrap();
        };
        assert_eq!(printed(gbk, frames), "\u{fffd}\n愫\n\n");
    }

    #[test]
    fn a_reader_that_is_gone_is_no_failure() {
        let (reader, writer) = io::pipe().unwrap();
        drop(reader);
        assert!(matches!(Printer::new(writer, Form::Bytes).whole(b"a"), Err(Stop::ReaderGone)));
    }
}
