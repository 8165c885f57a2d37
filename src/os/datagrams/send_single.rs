//! Sending with sendto(2), one datagram per call.

use std::io;
use std::os::fd::OwnedFd;

use rustix::net::{SendFlags, sendto};

use super::inet;
use crate::session::Datagram;

/// Nothing has to be kept between two calls.
#[derive(Debug, Default)]
pub(super) struct Sender;

impl Sender {
    pub(super) fn send<'a>(
        &mut self,
        fd: &OwnedFd,
        mut batch: impl ExactSizeIterator<Item = Datagram<'a>>,
    ) -> io::Result<usize> {
        let Some(Datagram { to, payload }) = batch.next() else { return Ok(0) };
        sendto(fd, payload, SendFlags::DONTWAIT, &inet(to))?;
        Ok(1)
    }
}
