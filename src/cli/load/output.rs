//! Standard output. A reader that goes away has what it wanted: that is no error, but nothing more is written.

use std::io::{self, Write};

use crate::cli::exit::{Exit, Failure};

/// Standard output, or for tests anything else.
#[derive(Debug)]
pub(super) struct Output<W> {
    to: W,
    /// Why nothing more is written.
    failed: Option<io::Error>,
}

impl<W: Write> Output<W> {
    pub(super) const fn new(to: W) -> Self {
        Self { to, failed: None }
    }

    /// Writes a line, or several. What goes wrong is remembered.
    pub(super) fn put(&mut self, text: &str) {
        if self.failed.is_some() {
            return;
        }
        let end = if text.ends_with('\n') { "" } else { "\n" };
        let written = self.to.write_all(format!("{text}{end}").as_bytes()).and_then(|()| self.to.flush());
        self.failed = written.err();
    }

    /// Whether nobody reads any more.
    pub(super) fn is_unread(&self) -> bool {
        self.failed.as_ref().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
    }

    /// Says what went wrong.
    pub(super) fn finish(&self) -> Result<(), Failure> {
        match &self.failed {
            Some(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Failure {
                exit: Exit::CouldNotRun,
                message: format!("cannot write to standard output: {error}"),
            }),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_ends_its_line_once() {
        let mut out = Output::new(Vec::new());
        out.put("a");
        out.put("b\nc\n");
        assert_eq!(out.to, b"a\nb\nc\n");
    }

    #[test]
    fn a_reader_that_is_gone_is_no_failure() {
        let (reader, writer) = io::pipe().unwrap();
        drop(reader);
        let mut out = Output::new(writer);
        out.put("a");
        out.put("b");
        assert!(out.is_unread() && out.finish().is_ok());
    }
}
