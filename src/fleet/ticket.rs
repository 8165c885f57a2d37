//! What makes a process a child of ours, and its way to talk with its parent.

use std::fmt;
use std::io::{self, BufRead, BufReader, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::str::FromStr;

/// The option behind which a child is given its ticket, before every other argument.
pub const OPTION: &str = "--fleet-member";

/// Which child this is, and whose: `NUMBER:PID`.
///
/// ```
/// use oneloop::fleet::Ticket;
///
/// let ticket: Ticket = "3:4711".parse()?;
/// assert_eq!((ticket.number(), ticket.to_string().as_str()), (3, "3:4711"));
/// assert!("3".parse::<Ticket>().is_err());
/// # Ok::<(), &'static str>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ticket {
    number: usize,
    parent: u32,
}

impl Ticket {
    pub(super) const fn new(number: usize, parent: u32) -> Self {
        Self { number, parent }
    }

    /// Counted from 0.
    #[must_use]
    pub const fn number(self) -> usize {
        self.number
    }

    /// Ties this process to its parent: it is killed when the parent dies, and fails if it is dead already. To be called
    /// first thing, before there are threads.
    ///
    /// # Errors
    /// The parent is gone, or was never ours; standard input is no socket.
    pub fn join(self) -> io::Result<(Orders, Reports)> {
        #[cfg(target_os = "linux")]
        rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))?;
        let parent = rustix::process::getppid().map(rustix::process::Pid::as_raw_pid);
        if parent.and_then(|pid| u32::try_from(pid).ok()) != Some(self.parent) {
            return Err(io::Error::other(format!("{OPTION} is for processes that oneloop itself starts")));
        }
        let stream = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
        let orders = Orders(BufReader::new(stream.try_clone()?));
        Ok((orders, Reports(stream)))
    }
}

impl fmt::Display for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.number, self.parent)
    }
}

impl FromStr for Ticket {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parts = text
            .split_once(':')
            .and_then(|(number, parent)| Some((number.parse().ok()?, parent.parse().ok()?)));
        let (number, parent) = parts.ok_or("expected NUMBER:PID; oneloop gives it to its own children")?;
        Ok(Self { number, parent })
    }
}

/// Lines from the parent.
#[derive(Debug)]
pub struct Orders(BufReader<UnixStream>);

impl Orders {
    /// Waits for the next line; `None` when the parent is gone.
    pub fn next_line(&mut self) -> Option<String> {
        let mut line = String::new();
        match self.0.read_line(&mut line) {
            Ok(length) if length > 0 => Some(line.trim_end_matches('\n').to_owned()),
            _ => None,
        }
    }
}

/// Lines to the parent.
#[derive(Debug)]
pub struct Reports(UnixStream);

impl Reports {
    /// Sends a line.
    ///
    /// # Errors
    /// The parent is gone.
    pub fn say(&mut self, line: &str) -> io::Result<()> {
        self.0.write_all(format!("{line}\n").as_bytes())
    }
}
