//! One recv(2), as bytes or as a count. It waits only if the socket blocks; wait for what must come before.

use std::io;
use std::os::fd::AsFd;

use rustix::net::{RecvFlags, recv};

/// recv(2) of at most `most` bytes; empty at the end of a stream.
///
/// # Errors
/// Those of the call.
pub fn bytes(socket: impl AsFd, most: usize, flags: RecvFlags) -> io::Result<Vec<u8>> {
    let mut buffer = vec![0; most];
    let (count, _) = recv(socket, &mut buffer[..], flags)?;
    buffer.truncate(count);
    Ok(buffer)
}

/// recv(2) of at most 64 bytes, which does not wait: how many came, 0 at the end of a stream.
///
/// # Errors
/// Those of the call; EAGAIN when there is nothing.
pub fn count(socket: impl AsFd) -> io::Result<usize> {
    Ok(recv(socket, &mut [0; 64], RecvFlags::DONTWAIT)?.0)
}
