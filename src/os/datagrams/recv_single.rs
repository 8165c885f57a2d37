//! Receiving with recvfrom(2), one datagram per call.

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;

use rustix::net::{RecvFlags, recvfrom};

use crate::kernel::RecvBatch;

/// Nothing has to be kept between two calls.
#[derive(Debug)]
pub(super) struct Receiver;

impl Receiver {
    pub(super) fn new(_most: usize, _is_v4: bool) -> Self {
        Self
    }

    pub(super) fn recv(&mut self, fd: &OwnedFd, batch: &mut RecvBatch) -> io::Result<bool> {
        let before = batch.len();
        while !batch.is_full() {
            match recvfrom(fd, batch.slot(), RecvFlags::DONTWAIT) {
                Ok((_, len, from)) => {
                    let from = from.and_then(|from| SocketAddr::try_from(from).ok());
                    batch.push(len, from.unwrap_or(SocketAddr::from(([0, 0, 0, 0], 0))));
                }
                Err(error) if batch.len() == before => return Err(error.into()),
                // Whatever it is, the next call will say so again; but for an error already taken off the socket.
                Err(error) => return Ok(error == rustix::io::Errno::WOULDBLOCK),
            }
        }
        Ok(false)
    }
}
