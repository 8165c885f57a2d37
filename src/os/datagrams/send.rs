//! Sending with sendmmsg(2).

use std::io::{self, IoSlice};
use std::os::fd::OwnedFd;

use rustix::net::addr::SocketAddrArg;
use rustix::net::{MMsgHdr, SendAncillaryBuffer, SendFlags, sendmmsg, sendto};

use crate::kernel::BATCH;
use crate::session::Datagram;

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
    let mut parts = Vec::with_capacity(count);
    parts.extend(batch.take(count).map(|Datagram { to, payload }| {
        (to.as_any(), [IoSlice::new(payload)], SendAncillaryBuffer::default())
    }));
    let mut messages = Vec::with_capacity(count);
    messages
        .extend(parts.iter_mut().map(|(to, slices, control)| MMsgHdr::new_with_addr(to, slices, control)));
    Ok(sendmmsg(fd, &mut messages, SendFlags::DONTWAIT)?)
}
