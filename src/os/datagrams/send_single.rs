//! Sending with sendto(2), one datagram per call.

use std::io;
use std::os::fd::OwnedFd;

use rustix::net::{SendFlags, sendto};

use crate::session::Datagram;

pub(super) fn send<'a>(
    fd: &OwnedFd,
    mut batch: impl ExactSizeIterator<Item = Datagram<'a>>,
) -> io::Result<usize> {
    let Some(Datagram { to, payload }) = batch.next() else { return Ok(0) };
    sendto(fd, payload, SendFlags::DONTWAIT, &to)?;
    Ok(1)
}
