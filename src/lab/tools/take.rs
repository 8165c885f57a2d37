//! One receive that never waits, and what it brought as bytes: the experiment has waited before, or wants to see EAGAIN.

use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;

use rustix::net::{RecvFlags, recv, recvfrom};

/// recv(2) with MSG_DONTWAIT of at most `count` bytes. Empty at the end of a stream, and for an empty datagram.
///
/// # Errors
/// Those of the call.
pub fn bytes(socket: impl AsFd, count: usize) -> io::Result<Vec<u8>> {
    let mut buffer = vec![0; count];
    let (length, _) = recv(socket, &mut buffer[..], RecvFlags::DONTWAIT)?;
    buffer.truncate(length);
    Ok(buffer)
}

/// recvfrom(2) with MSG_DONTWAIT: also who sent it.
///
/// # Errors
/// Those of the call; a sender without an Internet address.
pub fn datagram(socket: impl AsFd, count: usize) -> io::Result<(Vec<u8>, SocketAddr)> {
    let mut buffer = vec![0; count];
    let (length, _, from) = recvfrom(socket, &mut buffer[..], RecvFlags::DONTWAIT)?;
    buffer.truncate(length);
    let from = from.and_then(|from| from.try_into().ok()).ok_or(io::ErrorKind::InvalidData)?;
    Ok((buffer, from))
}

/// Every datagram that is queued, until there is none.
///
/// # Errors
/// Those of the call, except EAGAIN.
pub fn all_datagrams(socket: impl AsFd) -> io::Result<Vec<Vec<u8>>> {
    let mut all = Vec::new();
    loop {
        match bytes(&socket, 65_535) {
            Ok(one) => all.push(one),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(all),
            Err(error) => return Err(error),
        }
    }
}
