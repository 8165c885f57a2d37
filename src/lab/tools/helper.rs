//! A process beside the experiment's: ourselves, executed again, with a descriptor of the experiment as its standard input.
//!
//! For what one process cannot show alone: a child that inherits, dies of a signal, or holds a descriptor. What it does is the
//! `helper` of the experiment.

use std::io;
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};

use super::wait;

/// The hidden command of the program that runs an experiment's helper.
pub const COMMAND: &str = "lab-helper";

/// The process. Dropping it kills it.
#[derive(Debug)]
pub struct Helper(Child);

/// Starts the helper of experiment `id`, with `argument`, and `input` as its standard input.
///
/// # Errors
/// Those of fork(2) and execve(2).
pub fn start(id: &str, argument: &str, input: impl AsFd) -> io::Result<Helper> {
    let mut command = Command::new(program());
    command.arg0("oneloop").args([COMMAND, id, argument]);
    let child = command.stdin(input.as_fd().try_clone_to_owned()?).stdout(Stdio::null()).spawn()?;
    Ok(Helper(child))
}

/// This program. The link in /proc leads to it even when the file has been replaced, but names it badly in ps(1).
#[must_use]
pub fn program() -> PathBuf {
    std::env::current_exe().ok().filter(|path| path.exists()).unwrap_or_else(|| "/proc/self/exe".into())
}

impl Helper {
    /// Waits until it has ended, and says how.
    ///
    /// # Errors
    /// It did not end before the deadline.
    pub fn wait(&mut self) -> io::Result<ExitStatus> {
        let mut status = None;
        wait::until("the helper did not end", || {
            status = self.0.try_wait()?;
            Ok(status.is_some())
        })?;
        Ok(status.expect("we waited for it"))
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        // Both fail only for a process that was reaped before.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
