//! Logs go to standard error; `RUST_LOG` has the last word about which.
//!
//! Whoever reads standard error may stop reading, and a pipe that is full must not stall the loop: a line that
//! would have to wait is dropped and counted. (A thread that waits instead would cost every turn of the loop 50
//! instructions: the C library's system calls take longer in a process with two threads.)

use std::io::{self, IsTerminal, Write};
use std::os::fd::AsFd;

use clap::Args;
use env_logger::{Builder, Env, Target, WriteStyle};
use log::LevelFilter;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// What a pipe that is ready takes without waiting (pipe(7), PIPE_BUF).
const AT_ONCE: usize = 4096;

/// How much is logged.
#[derive(Debug, Clone, Copy, Args)]
#[command(next_help_heading = "Logging")]
pub(super) struct Verbosity {
    /// Log more: -v one line per closed connection, -vv one per accepted connection too
    #[arg(short, long, action = clap::ArgAction::Count, global = true, conflicts_with = "quiet")]
    verbose: u8,
    /// Log less: -q only errors, -qq nothing
    #[arg(short, long, action = clap::ArgAction::Count, global = true)]
    quiet: u8,
}

impl Verbosity {
    pub(super) const fn level(self) -> LevelFilter {
        match (self.verbose, self.quiet) {
            (0, 0) => LevelFilter::Info,
            (1, 0) => LevelFilter::Debug,
            (_, 0) => LevelFilter::Trace,
            (_, 1) => LevelFilter::Error,
            _ => LevelFilter::Off,
        }
    }
}

/// Starts logging to standard error at `level`, unless `RUST_LOG` says otherwise. To be called once. A process that works for another
/// puts its number into each line.
pub(super) fn init(level: LevelFilter, member: Option<usize>) {
    let mut builder = Builder::from_env(Env::default().default_filter_or(level.as_str()));
    if colours() {
        builder.write_style(WriteStyle::Always);
    }
    let member = member.map(|number| format!("worker={number} ")).unwrap_or_default();
    builder.format(move |line, record| {
        let (time, style) = (line.timestamp(), line.default_level_style(record.level()));
        let (level, target) = (record.level(), record.target());
        write!(line, "[{time} {style}{level:<5}{style:#} {target}] {member}")?;
        write!(Printable(&mut *line), "{}", record.args())?;
        line.write_all(b"\n")
    });
    builder.target(Target::Pipe(Box::new(Unhurried { to: io::stderr(), dropped: 0 }))).init();
}

/// The logger takes its target for no terminal, so that this has to be found out here.
fn colours() -> bool {
    let unset = |name| std::env::var_os(name).is_none_or(|value| value.is_empty());
    unset("RUST_LOG_STYLE") && unset("NO_COLOR") && io::stderr().is_terminal()
}

/// Whatever a message quotes, and whoever wrote that: a line stays a line, and no terminal obeys it.
struct Printable<W>(W);

impl<W: Write> Write for Printable<W> {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        for piece in text.split_inclusive(|byte| !matches!(byte, b' '..=b'~')) {
            match piece.split_last() {
                Some((last, plain)) if !matches!(last, b' '..=b'~') => {
                    self.0.write_all(plain)?;
                    write!(self.0, "\\x{last:02x}")?;
                }
                _ => self.0.write_all(piece)?,
            }
        }
        Ok(text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// A writer that never waits for its reader.
struct Unhurried<W> {
    to: W,
    /// Lines that found no room since the last one that did.
    dropped: u64,
}

impl<W: Write + AsFd> Unhurried<W> {
    fn has_room(&self) -> bool {
        let mut fds = [PollFd::new(&self.to, PollFlags::OUT)];
        // An error here is one that writing will show as well.
        !matches!(poll(&mut fds, Some(&Timespec::default())), Ok(0))
    }

    fn put(&mut self, line: &[u8]) -> io::Result<()> {
        for piece in line.chunks(AT_ONCE) {
            if !self.has_room() {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            self.to.write_all(piece)?;
        }
        Ok(())
    }
}

impl<W: Write + AsFd> Write for Unhurried<W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if self.dropped > 0 {
            let note = format!("[{} log lines dropped: standard error was not read]\n", self.dropped);
            if self.put(note.as_bytes()).is_ok() {
                self.dropped = 0;
            }
        }
        // Nobody is left to be told when it fails.
        self.dropped += u64::from(self.put(line).is_err());
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn what_would_have_to_wait_is_dropped_and_that_is_said_once_there_is_room() {
        let (mut reader, writer) = io::pipe().unwrap();
        let mut log = Unhurried { to: writer, dropped: 0 };
        let line = [b'x'; AT_ONCE];
        let mut written = 0;
        while log.dropped < 3 {
            log.write_all(&line).unwrap();
            written += 1;
        }
        let mut kept = vec![0; (written - 3) * AT_ONCE];
        reader.read_exact(&mut kept).unwrap();
        log.write_all(b"new\n").unwrap();
        drop(log);
        let mut rest = String::new();
        reader.read_to_string(&mut rest).unwrap();
        assert_eq!(rest, "[3 log lines dropped: standard error was not read]\nnew\n");
    }

    #[test]
    fn every_byte_that_is_not_printable_ascii_is_escaped() {
        for (text, shown) in [
            ("", ""),
            ("a b~", "a b~"),
            ("\n", "\\x0a"),
            ("\x1b[31m\x7f\0x", "\\x1b[31m\\x7f\\x00x"),
            ("ü \u{202e}", "\\xc3\\xbc \\xe2\\x80\\xae"),
        ] {
            let mut line = Vec::new();
            write!(Printable(&mut line), "{text}").unwrap();
            assert_eq!(String::from_utf8(line).unwrap(), shown);
        }
    }
}
