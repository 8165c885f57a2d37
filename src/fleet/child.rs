//! One child, as its parent has it.

use std::env;
use std::ffi::OsString;
use std::io::{self, BufRead, BufReader, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{self, Command};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};

use super::News;
use super::ticket::{OPTION, Ticket};

/// How long a child may let a line wait that is sent to it.
const PATIENCE: Duration = Duration::from_secs(5);

/// A child process. Dropping it kills and reaps it.
#[derive(Debug)]
pub(super) struct Child {
    link: Arc<UnixStream>,
    process: Arc<Mutex<process::Child>>,
    pid: u32,
    /// Its end has been reported.
    pub(super) ended: bool,
}

impl Child {
    pub(super) fn start(number: usize, arguments: &[OsString], tell: Sender<News>) -> io::Result<Self> {
        let (ours, theirs) = UnixStream::pair()?;
        ours.set_write_timeout(Some(PATIENCE))?;
        let ticket = Ticket::new(number, process::id());
        let mut command = Command::new(program());
        command.arg0("oneloop").arg(OPTION).arg(ticket.to_string()).args(arguments);
        let process = command.stdin(OwnedFd::from(theirs)).process_group(0).spawn()?;
        // The command keeps the child's end of the socket; while that is open, the child's end goes unheard.
        drop(command);
        let pid = process.id();
        let child = Self { link: Arc::new(ours), process: Arc::new(Mutex::new(process)), pid, ended: false };
        let (link, process) = (Arc::clone(&child.link), Arc::clone(&child.process));
        let watch = move || watch(number, &link, &process, &tell);
        thread::Builder::new().name(format!("child-{number}")).spawn(watch)?;
        Ok(child)
    }

    pub(super) const fn pid(&self) -> u32 {
        self.pid
    }

    pub(super) fn say(&self, line: &str) -> io::Result<()> {
        (&*self.link).write_all(format!("{line}\n").as_bytes())
    }

    /// Its number is its own until it is reaped, and that happens under the lock only.
    pub(super) fn signal(&self, signal: Signal) {
        let mut process = lock(&self.process);
        if matches!(process.try_wait(), Ok(None)) {
            // It fails only for a process that has ended, which is what the news will say.
            let _ = kill_process(Pid::from_child(&process), signal);
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        let mut process = lock(&self.process);
        // Both fail only for a process that was reaped before.
        let _ = process.kill();
        let _ = process.wait();
    }
}

/// This program. The link in /proc leads to it even when the file has been replaced, but names it badly in ps(1).
fn program() -> PathBuf {
    env::current_exe().ok().filter(|path| path.exists()).unwrap_or_else(|| "/proc/self/exe".into())
}

/// A thread's life: the child's lines, then its end.
fn watch(member: usize, link: &UnixStream, process: &Mutex<process::Child>, tell: &Sender<News>) {
    for line in BufReader::new(link).lines().map_while(Result::ok) {
        // It fails when the fleet is gone, and then the child is being killed.
        let _ = tell.send(News::Said { member, line });
    }
    let pid = Pid::from_child(&lock(process));
    // Waits without reaping, so that nobody has to wait for the lock meanwhile.
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
    while matches!(waitid(WaitId::Pid(pid), options), Err(Errno::INTR)) {}
    if let Ok(status) = lock(process).wait() {
        let _ = tell.send(News::Ended { member, status });
    }
}

/// Nothing is done under the lock that could leave it half done.
fn lock(process: &Mutex<process::Child>) -> MutexGuard<'_, process::Child> {
    process.lock().unwrap_or_else(PoisonError::into_inner)
}
