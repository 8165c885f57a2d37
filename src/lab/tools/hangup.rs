//! Waiting until the peer's end, or its reset, has arrived; and how to reset a connection oneself.
//!
//! Readable is not enough for that when there are bytes to be read before it.

use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use socket2::Socket;

use super::wait::{DEADLINE, too_late};

/// Closes so that the peer gets a RST instead of a FIN: SO_LINGER with a time of 0, socket(7).
///
/// # Errors
/// Those of setsockopt(2).
pub fn reset(socket: Socket) -> io::Result<()> {
    socket.set_linger(Some(Duration::ZERO))?;
    drop(socket);
    Ok(())
}

/// Closes, as a call for the notebook: `lab.call("close(c)", hangup::close(client))`.
///
/// # Errors
/// None: what close(2) may say, nobody can act upon.
pub fn close<T>(descriptor: T) -> io::Result<()> {
    drop(descriptor);
    Ok(())
}

/// Waits until the peer has ended its direction: POLLRDHUP, poll(2).
///
/// # Errors
/// It did not before the deadline.
pub fn end_arrived(socket: impl AsFd) -> io::Result<()> {
    wait_for(socket, PollFlags::RDHUP, "no end arrived")
}

/// Waits until the connection is over in both directions, which it is after a RST: POLLHUP.
///
/// # Errors
/// It was not before the deadline.
pub fn reset_arrived(socket: impl AsFd) -> io::Result<()> {
    wait_for(socket, PollFlags::empty(), "no reset arrived")
}

fn wait_for(socket: impl AsFd, flags: PollFlags, what: &str) -> io::Result<()> {
    let limit = Timespec::try_from(DEADLINE).expect("seconds fit");
    // POLLHUP and POLLERR are reported whether asked for or not.
    if poll(&mut [PollFd::new(&socket, flags)], Some(&limit))? > 0 { Ok(()) } else { Err(too_late(what)) }
}
