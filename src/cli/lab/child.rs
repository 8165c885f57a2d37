//! An experiment in a process of its own: the parent's side, and the child's.
//!
//! The child's standard input is a Unix socket, on which it writes each line of its notebook as a line of JSON, and under
//! `--slow` hears that it may go on. What it wrote is kept even when it hangs or dies.

use std::io::{self, BufRead, BufReader, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group, set_parent_process_death_signal};

use crate::lab::tools::helper;
use crate::lab::{self, Entry, Line, Verdict};

/// The hidden command of the child.
pub(in super::super) const COMMAND: &str = "lab-one";
/// Its argument when it has to wait at each step.
const SLOW: &str = "slow";
/// How long an experiment may go without writing its verdict; under `--slow`, without writing anything.
const DEADLINE: Duration = Duration::from_secs(10);
/// A child that writes more than this is out of hand.
const MAX_LINES: usize = 10_000;

/// What became of one experiment.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) entry: Entry,
    /// All but the verdict.
    pub(super) lines: Vec<Line>,
    pub(super) verdict: Verdict,
    /// Empty when it passed.
    pub(super) reason: String,
    pub(super) took: Duration,
}

/// Runs one. With `watch`, it waits at each step until `watch` returns, which is given each line as it comes.
pub(super) fn carry_out(entry: Entry, mut watch: Option<&mut dyn FnMut(&Line)>) -> Record {
    let begun = Instant::now();
    let mut lines = Vec::new();
    let (verdict, reason) = match Running::start(entry.experiment.id, watch.is_some()) {
        Ok(mut running) => running.listen(&mut lines, &mut watch).unwrap_or_else(|why| (Verdict::Fail, why)),
        Err(error) => (Verdict::Fail, format!("its process could not be started: {error}")),
    };
    Record { entry, lines, verdict, reason, took: begun.elapsed() }
}

/// The child. Dropping it kills it, and whatever it has started.
struct Running {
    child: Child,
    link: BufReader<UnixStream>,
}

impl Running {
    fn start(id: &str, is_slow: bool) -> io::Result<Self> {
        let (ours, theirs) = UnixStream::pair()?;
        let mut command = Command::new(helper::program());
        command.arg0("oneloop").args([COMMAND, id]).args(is_slow.then_some(SLOW));
        let child = command.stdin(OwnedFd::from(theirs)).stdout(Stdio::null()).process_group(0).spawn()?;
        // The command keeps the child's end of the socket; while that is open, the child's end goes unheard.
        drop(command);
        Ok(Self { child, link: BufReader::new(ours) })
    }

    /// Hears the child to its verdict.
    fn listen(
        &mut self,
        lines: &mut Vec<Line>,
        watch: &mut Option<&mut dyn FnMut(&Line)>,
    ) -> Result<(Verdict, String), String> {
        let mut deadline = Instant::now() + DEADLINE;
        while lines.len() < MAX_LINES {
            let line = self.next_line(deadline)?;
            if let Line::Verdict { verdict, reason } = line {
                return Ok((verdict, reason));
            }
            if let Some(watch) = watch {
                watch(&line);
                deadline = Instant::now() + DEADLINE;
                if matches!(line, Line::Step { .. }) {
                    // It fails when the child has died meanwhile, which the next read shows.
                    let _ = self.link.get_mut().write_all(b"\n");
                }
            }
            lines.push(line);
        }
        Err(format!("it wrote more than {MAX_LINES} lines"))
    }

    fn next_line(&mut self, deadline: Instant) -> Result<Line, String> {
        let left = deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
        self.link.get_ref().set_read_timeout(Some(left)).map_err(|error| error.to_string())?;
        let mut text = String::new();
        match self.link.read_line(&mut text) {
            Ok(0) => Err(format!(
                "its process ended without a verdict: {}",
                self.end().map_or_else(|e| e.to_string(), |s| s.to_string())
            )),
            Ok(_) => serde_json::from_str(&text).map_err(|error| format!("it wrote '{text}': {error}")),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                Err(format!("it did not end within {} s", DEADLINE.as_secs()))
            }
            Err(error) => Err(format!("it cannot be heard: {error}")),
        }
    }

    /// The child has closed its end, and ends, or is made to.
    fn end(&mut self) -> io::Result<ExitStatus> {
        let deadline = Instant::now() + Duration::from_secs(1);
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        self.child.kill()?;
        self.child.wait()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Unless it was reaped after an early end, its number, which is the group's too, is still its own.
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = kill_process_group(Pid::from_child(&self.child), Signal::KILL);
        }
        let _ = self.child.wait();
    }
}

/// The child's life: one experiment.
///
/// # Errors
/// The standard input is not the parent's socket.
pub(super) fn be(entry: &Entry, argument: Option<&str>) -> io::Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    let mut to = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    to.peer_addr()?;
    let mut from = BufReader::new(to.try_clone()?);
    let is_slow = argument == Some(SLOW);
    lab::run(entry, move |line| {
        let text = serde_json::to_string(line).expect("texts can always be written");
        let mut heard = to.write_all((text + "\n").as_bytes());
        if is_slow && matches!(line, Line::Step { .. }) {
            heard = heard.and_then(|()| from.read_line(&mut String::new()).map(drop));
        }
        if heard.is_err() {
            // The parent is gone.
            std::process::exit(1);
        }
    });
    Ok(())
}

/// The life of an experiment's helper process.
///
/// # Errors
/// Whatever it ran into.
pub(super) fn help(entry: &Entry, argument: &str) -> io::Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    lab::help(entry, argument)
}
