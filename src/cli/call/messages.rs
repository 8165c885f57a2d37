//! What is sent: the arguments, a file, or the lines of standard input as they come.

use std::fs::File;
use std::io::{self, IsTerminal, Read, Write};
use std::os::fd::BorrowedFd;
use std::path::Path;
use std::time::Duration;

use memchr::memchr;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::form::Form;
use super::length::Length;
use super::stop::Stop;
use crate::attempt::{Attempt, attempt};

/// The largest file, and the longest line: they are kept in memory as a whole.
pub(super) const MAX_MESSAGE: usize = 1 << 30;

/// One read from standard input.
const READ_SIZE: usize = 64 * 1024;

/// Where messages come from.
pub(super) enum Messages {
    /// All are known.
    Given(std::vec::IntoIter<Vec<u8>>),
    /// Lines of standard input.
    Typed(Lines),
}

impl Messages {
    pub(super) fn given(messages: Vec<Vec<u8>>) -> Self {
        Self::Given(messages.into_iter())
    }

    /// Whether it is known that no message follows.
    pub(super) fn is_over(&self) -> bool {
        match self {
            Self::Given(messages) => messages.len() == 0,
            Self::Typed(lines) => lines.is_over(),
        }
    }

    /// Whether messages may come that nobody knows of yet.
    pub(super) fn may_grow(&self) -> bool {
        matches!(self, Self::Typed(lines) if !lines.is_over())
    }

    /// How many messages are known to be left, when nothing more can be sent.
    pub(super) fn left(&mut self) -> Result<usize, Stop> {
        match self {
            Self::Given(messages) => Ok(messages.len()),
            Self::Typed(lines) => lines.left(),
        }
    }
}

/// The content of a file as one message.
pub(super) fn read_file(path: &Path, mut length: Length, form: Form) -> Result<Vec<u8>, Stop> {
    let name = path.display();
    let fail = |error| Stop::failed(format!("cannot read '{name}': {error}"));
    let file = File::open(path).map_err(fail)?;
    let (mut content, mut start) = (Vec::new(), 0);
    // Piece by piece: what is too long may have no end.
    while (&file).take(READ_SIZE as u64).read_to_end(&mut content).map_err(fail)? > 0 {
        length.add(&content[start..]);
        length.check().map_err(|why| Stop::failed(format!("'{name}' is {why}")))?;
        start = content.len();
    }
    form.parse(content).map_err(|why| Stop::failed(format!("'{name}': {why}")))
}

/// The lines of standard input, read without waiting, so that the connection can be watched meanwhile.
pub(super) struct Lines {
    input: io::Stdin,
    buffer: Vec<u8>,
    /// Invariant: no LF lies within the first `scanned` bytes.
    scanned: usize,
    ended: bool,
    /// Lines taken.
    number: u64,
    /// Of the first `scanned` bytes.
    length: Length,
    form: Form,
    /// An empty line is no message.
    skip_empty: bool,
    /// Whether somebody types, who is shown a prompt, and whether it stands there.
    typed: bool,
    prompted: bool,
}

impl Lines {
    pub(super) fn new(length: Length, form: Form, skip_empty: bool) -> Self {
        let input = io::stdin();
        let typed = input.is_terminal();
        let buffer = Vec::new();
        Self {
            input,
            buffer,
            scanned: 0,
            ended: false,
            number: 0,
            length,
            form,
            skip_empty,
            typed,
            prompted: false,
        }
    }

    /// The next line that has been read, without its LF or CRLF.
    pub(super) fn next(&mut self) -> Result<Option<Vec<u8>>, Stop> {
        while let Some(line) = self.take_line() {
            self.prompted = false;
            self.number += 1;
            let number = self.number;
            let fail = |why| Stop::failed(format!("line {number} of standard input: {why}"));
            let message = self.form.parse(line).map_err(fail)?;
            if !(self.skip_empty && message.is_empty()) {
                return Ok(Some(message));
            }
        }
        Ok(None)
    }

    fn take_line(&mut self) -> Option<Vec<u8>> {
        if let Some(at) = memchr(b'\n', &self.buffer[self.scanned..]) {
            let rest = self.buffer.split_off(self.scanned + at + 1);
            let mut line = std::mem::replace(&mut self.buffer, rest);
            self.restart();
            line.pop();
            if line.last() == Some(&b'\r') {
                line.pop();
            }
            return Some(line);
        }
        self.length.add(&self.buffer[self.scanned..]);
        self.scanned = self.buffer.len();
        if !self.ended || self.buffer.is_empty() {
            return None;
        }
        self.restart();
        Some(std::mem::take(&mut self.buffer))
    }

    const fn restart(&mut self) {
        self.scanned = 0;
        self.length.restart();
    }

    /// Whether standard input has ended and every line was taken.
    pub(super) const fn is_over(&self) -> bool {
        self.ended && self.buffer.is_empty()
    }

    /// Reads what is there. To be called when standard input is readable, because it waits otherwise.
    pub(super) fn fill(&mut self) -> Result<(), Stop> {
        let line = self.number + 1;
        self.length.check().map_err(|why| Stop::failed(format!("line {line} of standard input is {why}")))?;
        let start = self.buffer.len();
        self.buffer.resize(start + READ_SIZE, 0);
        let (input, room) = (&self.input, &mut self.buffer[start..]);
        let read = attempt(|| Ok(rustix::io::read(input, &mut *room)?));
        let count = if let Attempt::Done(count) = read { count } else { 0 };
        self.buffer.truncate(start + count);
        match read {
            Attempt::Failed(failure) => Err(Stop::failed(format!("cannot read standard input: {failure}"))),
            Attempt::Done(0) => {
                self.ended = true;
                Ok(())
            }
            Attempt::Done(_) | Attempt::WouldBlock => Ok(()),
        }
    }

    /// Shows whoever types that it is their turn.
    pub(super) fn prompt(&mut self) {
        if self.typed && !self.prompted {
            self.prompted = true;
            // Nobody is left to be told when it fails.
            let _ = write!(io::stderr(), "> ");
        }
    }

    /// The prompt is not the last thing on the screen any more.
    pub(super) const fn unprompt(&mut self) {
        self.prompted = false;
    }

    /// How many lines are there already, without waiting for more.
    fn left(&mut self) -> Result<usize, Stop> {
        let mut count = 0;
        loop {
            while self.next()?.is_some() {
                count += 1;
            }
            // One line is enough to say that not everything was sent; a pipe may be endless.
            if count > 0 || self.ended || !self.wait(None, Some(Duration::ZERO))?.0 {
                return Ok(count);
            }
            self.fill()?;
        }
    }

    /// Waits until standard input or `other` is readable: which of them is.
    pub(super) fn wait(
        &self,
        other: Option<BorrowedFd<'_>>,
        limit: Option<Duration>,
    ) -> Result<(bool, bool), Stop> {
        let limit = limit.and_then(|limit| Timespec::try_from(limit).ok());
        let mut fds = vec![PollFd::new(&self.input, PollFlags::IN)];
        fds.extend(other.map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)));
        match attempt(|| Ok(poll(&mut fds, limit.as_ref())?)) {
            Attempt::Failed(failure) => Err(Stop::failed(format!("cannot wait for input: {failure}"))),
            Attempt::Done(_) | Attempt::WouldBlock => {
                let ready = |at: usize| fds.get(at).is_some_and(|fd| !fd.revents().is_empty());
                Ok((ready(0), ready(1)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &[u8], ended: bool, skip_empty: bool) -> Vec<Vec<u8>> {
        let mut lines = Lines::new(Length::new(MAX_MESSAGE, false), Form::Bytes, skip_empty);
        lines.ended = ended;
        let mut found = Vec::new();
        // Byte by byte, so that nothing depends on how much was read at once.
        for byte in text {
            lines.buffer.push(*byte);
            lines.ended = false;
            found.extend(std::iter::from_fn(|| lines.next().unwrap()));
        }
        lines.ended = ended;
        found.extend(std::iter::from_fn(|| lines.next().unwrap()));
        found
    }

    #[test]
    fn a_line_is_a_message_without_its_end() {
        assert_eq!(lines(b"a\nb c\r\n\nd\re\n", false, false), [&b"a"[..], b"b c", b"", b"d\re"]);
        assert_eq!(lines(b"a\n\r\n\nb\n", false, true), [b"a", b"b"]);
    }

    #[test]
    fn the_last_line_needs_no_end() {
        assert_eq!(lines(b"a\nb", false, false), [b"a"]);
        assert_eq!(lines(b"a\nb", true, false), [b"a", b"b"]);
        assert_eq!(lines(b"a\n", true, false), [b"a"]);
        assert_eq!(lines(b"", true, false).len(), 0);
    }

    #[test]
    fn bad_digits_name_their_line() {
        let mut lines = Lines::new(Length::new(MAX_MESSAGE, true), Form::Hex, true);
        lines.buffer.extend_from_slice(b"00 ff\n\nxy\n");
        assert_eq!(lines.next().unwrap(), Some(vec![0, 255]));
        let Err(Stop::Failed(failure)) = lines.next() else { panic!("it is no number") };
        assert!(failure.message.starts_with("line 3 of standard input: 'x'"), "{}", failure.message);
    }
}
