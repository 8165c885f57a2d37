//! Sending with sendmmsg(2), or, to one peer, as one large datagram that the kernel cuts (udp(7), UDP_SEGMENT): the way
//! through the network stack is then walked once instead of once per datagram.

use std::array;
use std::fmt;
use std::io::{self, IoSlice};
use std::os::fd::OwnedFd;

use rustix::net::addr::SocketAddrArg;
use rustix::net::{MMsgHdr, SendAncillaryBuffer, SendFlags, SocketAddrAny, sendmmsg, sendto};

use super::inet;
use crate::kernel::BATCH;
use crate::session::Datagram;

#[cfg(feature = "udp-batch")]
mod segments;

/// The memory of one call, used again for each: the allocator took a tenth of the instructions. Empty in between.
#[derive(Default)]
pub(super) struct Sender {
    batch: Vec<Datagram<'static>>,
    addresses: Vec<SocketAddrAny>,
    messages: Vec<MMsgHdr<'static>>,
}

impl Sender {
    pub(super) fn send<'a>(
        &mut self,
        fd: &OwnedFd,
        mut datagrams: impl ExactSizeIterator<Item = Datagram<'a>>,
    ) -> io::Result<usize> {
        let count = datagrams.len().min(BATCH);
        if count == 1
            && let Some(Datagram { to, payload }) = datagrams.next()
        {
            sendto(fd, payload, SendFlags::DONTWAIT, &inet(to))?;
            return Ok(1);
        }
        let mut batch = emptied(std::mem::take(&mut self.batch), |_| unreachable!("it is empty"));
        batch.extend(datagrams.take(count));
        let sent = self.send_batch(fd, &batch);
        self.batch = emptied(batch, |_| unreachable!("it is empty"));
        sent
    }

    fn send_batch(&mut self, fd: &OwnedFd, batch: &[Datagram<'_>]) -> io::Result<usize> {
        #[cfg(feature = "udp-batch")]
        if let Some(sent) = segments::send(fd, batch)? {
            return Ok(sent);
        }
        self.send_each(fd, batch)
    }

    fn send_each(&mut self, fd: &OwnedFd, batch: &[Datagram<'_>]) -> io::Result<usize> {
        self.addresses.clear();
        self.addresses.extend(batch.iter().map(|datagram| inet(datagram.to).as_any()));
        let slices: [_; BATCH] =
            array::from_fn(|at| [IoSlice::new(batch.get(at).map_or(&[], |datagram| datagram.payload))]);
        let mut controls: [_; BATCH] = array::from_fn(|_| SendAncillaryBuffer::default());
        let mut messages = emptied(std::mem::take(&mut self.messages), |_| unreachable!("it is empty"));
        let parts = self.addresses.iter().zip(&slices).zip(&mut controls);
        messages.extend(parts.map(|((to, slices), control)| MMsgHdr::new_with_addr(to, slices, control)));
        let sent = sendmmsg(fd, &mut messages, SendFlags::DONTWAIT);
        self.messages = emptied(messages, |_| unreachable!("it is empty"));
        Ok(sent?)
    }
}

/// The memory of a vector for things of another lifetime: what has the same size is collected in place.
fn emptied<A, B>(mut from: Vec<A>, never: impl FnMut(A) -> B) -> Vec<B> {
    from.clear();
    from.into_iter().map(never).collect()
}

impl fmt::Debug for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender").finish_non_exhaustive()
    }
}
