//! Sending with sendmmsg(2), or, to one peer, as one large datagram that the kernel cuts (udp(7), UDP_SEGMENT): the way
//! through the network stack is then walked once instead of once per datagram.

use std::io::{self, IoSlice};
use std::os::fd::OwnedFd;

use rustix::net::addr::SocketAddrArg;
use rustix::net::{MMsgHdr, SendAncillaryBuffer, SendFlags, sendmmsg, sendto};

use crate::kernel::BATCH;
use crate::session::Datagram;

#[cfg(feature = "udp-batch")]
mod segments;

pub(super) fn send<'a>(
    fd: &OwnedFd,
    mut batch: impl ExactSizeIterator<Item = Datagram<'a>>,
) -> io::Result<usize> {
    let count = batch.len().min(BATCH);
    if count == 1
        && let Some(Datagram { to, payload }) = batch.next()
    {
        sendto(fd, payload, SendFlags::DONTWAIT, &to)?;
        return Ok(1);
    }
    let batch: Vec<Datagram<'a>> = batch.take(count).collect();
    #[cfg(feature = "udp-batch")]
    if let Some(sent) = segments::send(fd, &batch)? {
        return Ok(sent);
    }
    send_each(fd, &batch)
}

fn send_each(fd: &OwnedFd, batch: &[Datagram<'_>]) -> io::Result<usize> {
    let mut parts = Vec::with_capacity(batch.len());
    parts.extend(batch.iter().map(|Datagram { to, payload }| {
        (to.as_any(), [IoSlice::new(payload)], SendAncillaryBuffer::default())
    }));
    let mut messages = Vec::with_capacity(batch.len());
    messages
        .extend(parts.iter_mut().map(|(to, slices, control)| MMsgHdr::new_with_addr(to, slices, control)));
    Ok(sendmmsg(fd, &mut messages, SendFlags::DONTWAIT)?)
}
