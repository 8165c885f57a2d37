//! A program of Python's that runs to its end with one of our sockets as `s`: for what kills a process, and for samples as they
//! are printed.

use std::io::{self, Read};
use std::os::fd::AsFd;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus, Stdio};

use rustix::process::Signal;

use super::python::{self, Python};
use super::wait;

/// What every script begins with.
const BEGIN: &str = "import os, signal, socket, struct\ns = socket.socket(fileno=0)\n";

/// Runs `code` and returns what it printed, without a last line end, and how it ended. It must not print more than a pipe holds.
///
/// # Errors
/// There is no python3, or it did not end before the deadline.
pub fn run(code: &str, socket: impl AsFd) -> io::Result<(String, ExitStatus)> {
    let program = python::find().ok_or(io::ErrorKind::NotFound)?;
    let mut child = Killed(
        Command::new(program)
            .args(["-I", "-S", "-c", &format!("{BEGIN}{code}")])
            .stdin(socket.as_fd().try_clone_to_owned()?)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?,
    );
    let mut status = None;
    wait::until("the script did not end", || {
        status = child.0.try_wait()?;
        Ok(status.is_some())
    })?;
    let mut printed = String::new();
    if let Some(mut output) = child.0.stdout.take() {
        output.read_to_string(&mut printed)?;
    }
    Ok((printed.trim_end().to_owned(), status.expect("we waited for it")))
}

/// How a process ended, as the notebook has it: `exit 0`, `killed by SIGPIPE`.
#[must_use]
pub fn ending(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit {code}"),
        (None, Some(number)) if number == Signal::PIPE.as_raw() => "killed by SIGPIPE".to_owned(),
        (None, Some(number)) => format!("killed by signal {number}"),
        (None, None) => "neither".to_owned(),
    }
}

/// Has a waiting Python execute several lines: the definition of a sample.
///
/// # Errors
/// It has ended, or the lines are wrong.
pub fn define(python: &mut Python, code: &str) -> io::Result<()> {
    // What Rust writes as a literal of a string is one of Python's too, for text without control characters.
    match python.ask(&format!("exec({code:?})"))?.as_str() {
        "None" => Ok(()),
        error => Err(io::Error::other(format!("the sample is wrong: {error}"))),
    }
}

/// Nothing is left of it when an experiment breaks.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        // Both fail only for a process that was reaped before.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
