//! Waiting: for a condition, with a deadline; or for nothing to happen, for a bounded time.
//!
//! No experiment sleeps and hopes: before it asserts that something happens it waits here until it has.

use std::io;
use std::os::fd::AsFd;
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::ioctl_fionread;

/// The longest wait for something that must happen. Generous, because both processors may be busy with something else.
pub const DEADLINE: Duration = Duration::from_secs(6);

/// How long nothing must happen before we believe it.
pub const QUIET: Duration = Duration::from_millis(50);

/// How often a condition is looked at for which there is no event.
const LOOK: Duration = Duration::from_millis(1);

/// Waits until `condition` holds.
///
/// # Errors
/// `what` did not happen before the deadline; or the error of the condition.
pub fn until(what: &str, mut condition: impl FnMut() -> io::Result<bool>) -> io::Result<()> {
    let deadline = Instant::now() + DEADLINE;
    while !condition()? {
        if Instant::now() >= deadline {
            return Err(too_late(what));
        }
        thread::sleep(LOOK);
    }
    Ok(())
}

/// Whether `condition` stays false for [`QUIET`].
///
/// # Errors
/// The error of the condition.
pub fn stays_false(mut condition: impl FnMut() -> io::Result<bool>) -> io::Result<bool> {
    let end = Instant::now() + QUIET;
    loop {
        if condition()? {
            return Ok(false);
        }
        if Instant::now() >= end {
            return Ok(true);
        }
        thread::sleep(LOOK);
    }
}

/// Waits until `fd` is readable, which an end and an error are too.
///
/// # Errors
/// It did not become so before the deadline.
pub fn readable(fd: impl AsFd) -> io::Result<()> {
    ready(fd, PollFlags::IN, "it did not become readable")
}

/// Waits until `fd` is writable.
///
/// # Errors
/// It did not become so before the deadline.
pub fn writable(fd: impl AsFd) -> io::Result<()> {
    ready(fd, PollFlags::OUT, "it did not become writable")
}

/// Waits until at least `count` bytes can be read: FIONREAD, tcp(7).
///
/// # Errors
/// They did not come before the deadline.
pub fn queued(fd: impl AsFd, count: u64) -> io::Result<()> {
    until(&format!("{count} bytes did not arrive"), || Ok(ioctl_fionread(&fd)? >= count))
}

/// Whether `fd` stays unreadable for [`QUIET`].
///
/// # Errors
/// Those of poll(2).
pub fn stays_unreadable(fd: impl AsFd) -> io::Result<bool> {
    Ok(!poll_for(fd, PollFlags::IN, QUIET)?)
}

fn ready(fd: impl AsFd, flags: PollFlags, what: &str) -> io::Result<()> {
    if poll_for(fd, flags, DEADLINE)? { Ok(()) } else { Err(too_late(what)) }
}

fn poll_for(fd: impl AsFd, flags: PollFlags, time: Duration) -> io::Result<bool> {
    let limit = Timespec::try_from(time).expect("seconds fit");
    Ok(poll(&mut [PollFd::new(&fd, flags)], Some(&limit))? > 0)
}

/// The error of a wait that was in vain.
pub(super) fn too_late(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, format!("{what} within {} s", DEADLINE.as_secs()))
}
