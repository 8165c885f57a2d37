//! Child processes of the system: a program with two pipes and a pidfd, all non-blocking, in a process group of its own.

use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStderr, ChildStdout, Command, Stdio};

use rustix::io::Errno;
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, kill_process_group, pidfd_open, waitid,
};

use crate::kernel::{ChildProcess, GroupSignal, OutputStream};
use crate::session::{ChildSpec, ChildStatus};

/// A child with both its pipes.
#[derive(Debug)]
pub struct Process {
    child: Child,
    pid: Pid,
    stdout: Option<ChildStdout>,
    stderr: Option<ChildStderr>,
    /// Readable once it has ended.
    end: OwnedFd,
}

/// Starts a program. It inherits the working directory and what is not close-on-exec, which is nothing that this crate opens.
///
/// # Errors
/// fork(2), execve(2), pipe(2), pidfd_open(2). No process is left then.
pub fn spawn(spec: &ChildSpec) -> io::Result<Process> {
    let mut command = Command::new(&spec.program);
    command.args(&spec.arguments).env_clear().envs(spec.env.iter().map(|(name, value)| (name, value)));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
    let mut child = command.spawn()?;
    let pid = Pid::from_child(&child);
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let made = watch(pid, &stdout, &stderr);
    match made {
        Ok(end) => Ok(Process { child, pid, stdout, stderr, end }),
        Err(error) => {
            kill_and_reap(&mut child, pid);
            Err(error)
        }
    }
}

fn watch(pid: Pid, stdout: &Option<ChildStdout>, stderr: &Option<ChildStderr>) -> io::Result<OwnedFd> {
    if let Some(pipe) = stdout {
        rustix::io::ioctl_fionbio(pipe, true)?;
    }
    if let Some(pipe) = stderr {
        rustix::io::ioctl_fionbio(pipe, true)?;
    }
    Ok(pidfd_open(pid, PidfdFlags::empty())?)
}

/// The leader is not reaped yet, so the group's number cannot be another's.
fn kill_and_reap(child: &mut Child, pid: Pid) {
    let _ = kill_process_group(pid, Signal::KILL);
    // A process that was killed ends soon, but for one in the middle of a call of a broken device.
    let _ = child.wait();
}

impl ChildProcess for Process {
    fn read(&mut self, from: OutputStream, into: &mut [u8]) -> io::Result<usize> {
        let read = match from {
            OutputStream::Stdout => self.stdout.as_mut().map(|pipe| pipe.read(into)),
            OutputStream::Stderr => self.stderr.as_mut().map(|pipe| pipe.read(into)),
        };
        let read = read.unwrap_or(Ok(0))?;
        if read == 0 && !into.is_empty() {
            match from {
                OutputStream::Stdout => self.stdout = None,
                OutputStream::Stderr => self.stderr = None,
            }
        }
        Ok(read)
    }

    fn try_wait(&mut self) -> io::Result<Option<ChildStatus>> {
        // Left unreaped, so that its group keeps its number until it has been killed.
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        let status = match waitid(WaitId::Pid(self.pid), options) {
            Err(Errno::INTR) => return Ok(None),
            other => other?,
        };
        Ok(status.and_then(|status| {
            let exited = status.exit_status().map(ChildStatus::Exited);
            exited.or_else(|| status.terminating_signal().map(ChildStatus::Signalled))
        }))
    }

    fn signal(&mut self, signal: GroupSignal) {
        let signal = match signal {
            GroupSignal::Term => Signal::TERM,
            GroupSignal::Kill => Signal::KILL,
        };
        // It fails for a group in which nobody is left to be told.
        let _ = kill_process_group(self.pid, signal);
    }

    fn close_output(&mut self) {
        self.stdout = None;
        self.stderr = None;
    }

    fn id(&self) -> u32 {
        self.child.id()
    }

    fn descriptors(&self) -> [Option<BorrowedFd<'_>>; 3] {
        [self.stdout.as_ref().map(AsFd::as_fd), self.stderr.as_ref().map(AsFd::as_fd), Some(self.end.as_fd())]
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.close_output();
        kill_and_reap(&mut self.child, self.pid);
    }
}
