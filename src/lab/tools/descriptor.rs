//! The two flags of a descriptor that matter here, by whoever set them.

use std::io;
use std::os::fd::AsFd;

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::{FdFlags, fcntl_getfd};

/// Whether O_NONBLOCK is set: fcntl(2), F_GETFL. It belongs to the open file description.
///
/// # Errors
/// Those of the call.
pub fn is_nonblocking(fd: impl AsFd) -> io::Result<bool> {
    Ok(fcntl_getfl(fd)?.contains(OFlags::NONBLOCK))
}

/// Sets or clears O_NONBLOCK: F_SETFL.
///
/// # Errors
/// Those of the calls.
pub fn set_nonblocking(fd: impl AsFd, on: bool) -> io::Result<()> {
    let mut flags = fcntl_getfl(&fd)?;
    flags.set(OFlags::NONBLOCK, on);
    Ok(fcntl_setfl(fd, flags)?)
}

/// Whether FD_CLOEXEC is set: F_GETFD. It belongs to this one descriptor.
///
/// # Errors
/// Those of the call.
pub fn is_close_on_exec(fd: impl AsFd) -> io::Result<bool> {
    Ok(fcntl_getfd(fd)?.contains(FdFlags::CLOEXEC))
}

/// `set` or `clear`: how the notebook writes a flag.
#[must_use]
pub const fn flag(is_set: bool) -> &'static str {
    if is_set { "set" } else { "clear" }
}
