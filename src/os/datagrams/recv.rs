//! Receiving with recvmmsg(2), through nix: rustix does not have it.

use std::array;
use std::fmt;
use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, OwnedFd};

use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrIn, SockaddrLike, SockaddrStorage, recvmmsg};

use crate::kernel::{BATCH, RecvBatch};

/// The headers of one call, used again for each.
pub(super) struct Receiver {
    headers: Headers,
    /// Datagrams per call, at most [`BATCH`].
    most: usize,
}

/// Addresses of IPv4 take 16 bytes instead of 128, which are copied for every datagram.
enum Headers {
    V4(MultiHeaders<SockaddrIn>),
    Any(MultiHeaders<SockaddrStorage>),
}

impl Receiver {
    pub(super) fn new(most: usize, is_v4: bool) -> Self {
        let headers = if is_v4 {
            Headers::V4(MultiHeaders::preallocate(most, None))
        } else {
            Headers::Any(MultiHeaders::preallocate(most, None))
        };
        Self { headers, most }
    }

    pub(super) fn recv(&mut self, fd: &OwnedFd, batch: &mut RecvBatch) -> io::Result<bool> {
        match &mut self.headers {
            Headers::V4(headers) => {
                recv(fd, headers, self.most, batch, |addr| Some(SocketAddr::from((addr.ip(), addr.port()))))
            }
            Headers::Any(headers) => recv(fd, headers, self.most, batch, socket_addr),
        }
    }
}

#[inline]
fn recv<S: SockaddrLike + Copy>(
    fd: &OwnedFd,
    headers: &mut MultiHeaders<S>,
    most: usize,
    batch: &mut RecvBatch,
    address: impl Fn(&S) -> Option<SocketAddr>,
) -> io::Result<bool> {
    let (slots, received) = batch.slots();
    let before = received.len();
    let mut slots = slots.take(most).map(|slot| [IoSliceMut::new(slot)]);
    let mut room = 0;
    let mut slices: [_; BATCH] = array::from_fn(|_| match slots.next() {
        Some(slot) => {
            room += 1;
            slot
        }
        None => [IoSliceMut::new(&mut [])],
    });
    let slices = slices[..room].iter_mut();
    let messages = recvmmsg(fd.as_raw_fd(), headers, slices, MsgFlags::MSG_DONTWAIT, None)?;
    for message in messages {
        // A sender without an address has no port either: nobody could be answered.
        let from = message.address.as_ref().and_then(&address);
        let from = from.unwrap_or(SocketAddr::from(([0, 0, 0, 0], 0)));
        received.push((message.bytes, from.into()));
    }
    Ok(received.len() - before < room)
}

#[inline]
fn socket_addr(addr: &SockaddrStorage) -> Option<SocketAddr> {
    if let Some(addr) = addr.as_sockaddr_in() {
        return Some(SocketAddr::from((addr.ip(), addr.port())));
    }
    addr.as_sockaddr_in6().map(|addr| SocketAddr::V6((*addr).into()))
}

impl fmt::Debug for Receiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver").finish_non_exhaustive()
    }
}
