//! A thread that waits inside a system call, watched from outside.

use std::io;
use std::sync::mpsc::{self, Receiver, TryRecvError};
use std::thread;

use rustix::thread::{Pid, gettid};

use super::wait::{self, DEADLINE};

/// A thread that is asleep in a call, or was.
#[derive(Debug)]
pub struct Asleep<T> {
    thread: Pid,
    result: Receiver<T>,
    returned: Option<T>,
}

/// Starts a thread that makes `call`, and returns when it has gone to sleep in it, or has returned.
///
/// # Errors
/// No thread is to be had, or it neither sleeps nor returns.
pub fn start<T: Send + 'static>(call: impl FnOnce() -> T + Send + 'static) -> io::Result<Asleep<T>> {
    let (tell, ids) = mpsc::channel();
    let (give, result) = mpsc::channel();
    thread::Builder::new().spawn(move || {
        // Both fail only when the experiment has ended meanwhile.
        let _ = tell.send(gettid());
        let _ = give.send(call());
    })?;
    let thread = ids.recv_timeout(DEADLINE).map_err(io::Error::other)?;
    let mut asleep = Asleep { thread, result, returned: None };
    wait::until("the thread did not go to sleep", || Ok(asleep.has_returned() || asleep.is_in_state('S')))?;
    Ok(asleep)
}

impl<T> Asleep<T> {
    /// Whether it has not returned from its call and does not for as long as we look.
    ///
    /// # Errors
    /// None at present.
    pub fn stays_asleep(&mut self) -> io::Result<bool> {
        wait::stays_false(|| Ok(self.has_returned()))
    }

    /// Waits until the call has returned.
    ///
    /// # Errors
    /// It did not before the deadline.
    pub fn woken(mut self) -> io::Result<T> {
        if !self.has_returned() {
            self.returned = self.result.recv_timeout(DEADLINE).ok();
        }
        self.returned.ok_or_else(|| wait::too_late("the call did not return"))
    }

    /// Whether the call has returned.
    pub fn has_returned(&mut self) -> bool {
        if self.returned.is_none() {
            match self.result.try_recv() {
                Ok(result) => self.returned = Some(result),
                Err(TryRecvError::Empty | TryRecvError::Disconnected) => {}
            }
        }
        self.returned.is_some()
    }

    /// proc_pid_stat(5): the state follows the name in parentheses.
    ///
    /// A thread that sleeps while we look sleeps in its call, not before it: what it could wait for elsewhere is a lock of ours, and we
    /// hold none while we read this.
    fn is_in_state(&self, state: char) -> bool {
        let path = format!("/proc/self/task/{}/stat", self.thread.as_raw_nonzero());
        let stat = std::fs::read_to_string(path).unwrap_or_default();
        stat.rsplit(") ").next().is_some_and(|rest| rest.starts_with(state))
    }
}
