//! Waiting until the peer's end or its reset has arrived, and has been announced to everybody who waits for it.
//!
//! Both can be seen a moment before epoll is told. The kernel does it all under the socket's lock, and FIONREAD takes that lock: so does
//! [`super::wait::queued`].

use std::io;
use std::os::fd::AsFd;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::ioctl_fionread;

use super::wait::{DEADLINE, too_late};

/// Waits until the peer has ended its direction: POLLRDHUP.
///
/// # Errors
/// It did not before the deadline.
pub fn end(socket: impl AsFd) -> io::Result<()> {
    until(socket, PollFlags::RDHUP, "the peer's end did not arrive")
}

/// Waits until both directions have ended, which they have after a reset: POLLHUP.
///
/// # Errors
/// They had not before the deadline.
pub fn hangup(socket: impl AsFd) -> io::Result<()> {
    until(socket, PollFlags::empty(), "the hang-up did not arrive")
}

fn until(socket: impl AsFd, flags: PollFlags, what: &str) -> io::Result<()> {
    let limit = Timespec::try_from(DEADLINE).expect("seconds fit");
    if poll(&mut [PollFd::new(&socket, flags)], Some(&limit))? == 0 {
        return Err(too_late(what));
    }
    ioctl_fionread(&socket)?;
    Ok(())
}
