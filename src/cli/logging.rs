//! Logs go to standard error; `RUST_LOG` has the last word about which.
//!
//! They get there through a thread of their own: whoever reads standard error may stop reading, and a pipe that
//! is full must not stall the loop. What does not fit into the queue is dropped and counted.

use std::io::{self, IsTerminal, Write};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread;
use std::time::Duration;

use clap::Args;
use env_logger::{Builder, Env, Target, WriteStyle};
use log::LevelFilter;

/// Lines that may wait for standard error, about 100 bytes each.
const QUEUE: usize = 4096;

/// How long the end of the program waits for lines that standard error does not take.
const PATIENCE: Duration = Duration::from_secs(1);

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

/// The way to the thread that writes; none if there is no such thread.
pub(super) struct Writer(Option<SyncSender<Entry>>);

impl Writer {
    /// Waits until everything logged so far is written, but not for ever.
    pub(super) fn flush(&self) {
        let (done, written) = sync_channel(1);
        // A full queue is that of a reader who does not read: there is nothing to wait for.
        if self.0.as_ref().is_some_and(|writer| writer.try_send(Entry::Flush(done)).is_ok()) {
            let _ = written.recv_timeout(PATIENCE);
        }
    }
}

/// Starts logging to standard error at `level`, unless `RUST_LOG` says otherwise. To be called once.
pub(super) fn init(level: LevelFilter) -> Writer {
    let mut builder = Builder::from_env(Env::default().default_filter_or(level.as_str()));
    let (sender, entries) = sync_channel(QUEUE);
    let writer = thread::Builder::new().name("log".to_owned()).spawn(move || write_all(&entries));
    // Without a thread the lines are written where they are made: better than none.
    let sender = writer.ok().map(|_| sender);
    if let Some(sender) = sender.clone() {
        if colours() {
            builder.write_style(WriteStyle::Always);
        }
        builder.target(Target::Pipe(Box::new(Queue { sender, dropped: 0 })));
    }
    builder.init();
    Writer(sender)
}

/// A pipe to the thread looks like no terminal, so that this has to be found out here.
fn colours() -> bool {
    let unset = |name| std::env::var_os(name).is_none_or(|value| value.is_empty());
    unset("RUST_LOG_STYLE") && unset("NO_COLOR") && io::stderr().is_terminal()
}

enum Entry {
    Line(Vec<u8>),
    Dropped(u64),
    Flush(SyncSender<()>),
}

/// The loop's end: never waits.
struct Queue {
    sender: SyncSender<Entry>,
    dropped: u64,
}

impl Write for Queue {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if self.dropped > 0 && self.sender.try_send(Entry::Dropped(self.dropped)).is_ok() {
            self.dropped = 0;
        }
        if let Err(TrySendError::Full(_)) = self.sender.try_send(Entry::Line(line.to_vec())) {
            self.dropped += 1;
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The thread's end. Nobody is left to be told when writing fails.
fn write_all(entries: &Receiver<Entry>) {
    for entry in entries {
        let _ = match entry {
            Entry::Line(line) => io::stderr().write_all(&line),
            Entry::Dropped(count) => {
                writeln!(io::stderr(), "[log lines dropped, standard error was not read: {count}]")
            }
            Entry::Flush(done) => done.send(()).map_err(io::Error::other),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_dropped_and_said_once_there_is_room() {
        let (sender, entries) = sync_channel(2);
        let mut queue = Queue { sender, dropped: 0 };
        for line in [b"one", b"two", b"new", b"new"] {
            assert_eq!(queue.write(line).unwrap(), 3);
        }
        let first_two: Vec<_> = entries.try_iter().collect();
        assert!(
            matches!(&first_two[..], [Entry::Line(one), Entry::Line(two)] if one == b"one" && two == b"two")
        );
        queue.write_all(b"six").unwrap();
        let then: Vec<_> = entries.try_iter().collect();
        assert!(matches!(&then[..], [Entry::Dropped(2), Entry::Line(six)] if six == b"six"));
    }
}
