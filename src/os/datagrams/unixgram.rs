//! Unix datagram sockets (unix(7)): nothing is lost, sizes are kept, and whoever has bound a name can be answered.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;

use rustix::io::Errno;
use rustix::net::SocketAddrUnix;
use rustix::net::{RecvFlags, SendFlags, recvfrom, sendto};

use super::BoundDatagrams;
use crate::address::{Address, Endpoint, UnixName};
use crate::error::Error;
use crate::kernel::RecvBatch;
use crate::os::stream::address_of;
use crate::os::unix;
use crate::session::Datagram;

/// How a Unix datagram socket is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnixgramOptions {
    /// Who may send to a path: its permissions, set before it exists. Default 0600, the owner alone.
    pub mode: u32,
    /// Bytes of kernel memory for replies that nobody has received yet (SO_SNDBUF): those of all peers together. Default 4 MiB.
    pub send_buffer: usize,
}

impl Default for UnixgramOptions {
    fn default() -> Self {
        Self { mode: 0o600, send_buffer: 4 * 1024 * 1024 }
    }
}

/// Binds a non-blocking Unix datagram socket. A path that a server left behind is taken over, and removed with the socket.
///
/// # Errors
/// [`Error::Bind`], with the address and, where it is known, the remedy.
pub fn bind_unixgram(name: &UnixName, options: &UnixgramOptions) -> Result<BoundDatagrams, Error> {
    let bind = || {
        let (socket, file) = unix::bind_datagrams(name, options.mode)?;
        socket.set_send_buffer_size(options.send_buffer)?;
        Ok(BoundDatagrams { fd: socket.into(), file })
    };
    bind().map_err(|source| Error::Bind { address: Address::Unixgram(name.clone()).to_string(), source })
}

/// Receives with recvfrom(2), one datagram per call.
#[derive(Debug, Default)]
pub(super) struct Receiver {
    /// What was found behind the datagrams of the last call.
    failed: Option<Errno>,
}

impl Receiver {
    pub(super) fn recv(&mut self, fd: &OwnedFd, batch: &mut RecvBatch) -> io::Result<bool> {
        let before = batch.len();
        while !batch.is_full() {
            let error = match self.failed.take().map_or_else(|| receive(fd, batch), Err) {
                Ok(()) => continue,
                Err(error) => error,
            };
            if batch.len() == before {
                return Err(error.into());
            }
            if error != Errno::AGAIN {
                self.failed = Some(error);
            }
            return Ok(error == Errno::AGAIN);
        }
        Ok(false)
    }
}

/// Adds one datagram. One that is longer than its room is an error instead of a piece of it.
fn receive(fd: &OwnedFd, batch: &mut RecvBatch) -> Result<(), Errno> {
    let slot = batch.slot();
    let room = slot.len();
    let (_, len, from) = recvfrom(fd, slot, RecvFlags::DONTWAIT | RecvFlags::TRUNC)?;
    if len > room {
        return Err(Errno::MSGSIZE);
    }
    let name = match from.map(address_of) {
        Some(Address::Unix(name)) => name,
        _ => UnixName::Unnamed,
    };
    batch.push(len, Endpoint::Unix(Arc::new(name)));
    Ok(())
}

/// Sends the first one. A peer that does not take it loses it: no event would say that it does now, and everybody else would
/// wait for it.
pub(super) fn send<'a>(
    fd: &OwnedFd,
    mut batch: impl ExactSizeIterator<Item = Datagram<'a>>,
) -> io::Result<usize> {
    let Some(Datagram { to, payload }) = batch.next() else { return Ok(0) };
    match sendto(fd, payload, SendFlags::DONTWAIT, &address(to)?) {
        Ok(_) => Ok(1),
        Err(Errno::AGAIN) => Err(Errno::TIMEDOUT.into()),
        Err(error) => Err(error.into()),
    }
}

/// # Errors
/// EDESTADDRREQ: a socket without a name cannot be answered.
fn address(to: &Endpoint) -> io::Result<SocketAddrUnix> {
    match to {
        Endpoint::Unix(name) => match &**name {
            UnixName::Path(path) => Ok(SocketAddrUnix::new(path.as_os_str().as_bytes())?),
            #[cfg(any(target_os = "linux", target_os = "android"))]
            UnixName::Abstract(name) => Ok(SocketAddrUnix::new_abstract_name(name)?),
            _ => Err(Errno::DESTADDRREQ.into()),
        },
        Endpoint::Inet(_) => Err(Errno::DESTADDRREQ.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixDatagram;

    use super::super::DatagramPort;
    use super::*;
    use crate::kernel::DatagramSocket;

    #[test]
    fn names_are_answered_and_what_is_too_long_or_from_nobody_is_told() {
        let name = format!("oneloop-unixgram-{}", std::process::id());
        let at = UnixName::Abstract(name.clone().into());
        let bound = bind_unixgram(&at, &UnixgramOptions::default()).unwrap();
        let mut port = DatagramPort::new(bound).unwrap();
        let mut batch = RecvBatch::new();
        assert_eq!(port.recv_batch(&mut batch).unwrap_err().kind(), io::ErrorKind::WouldBlock);

        let client = UnixDatagram::unbound().unwrap();
        let server = SocketAddrUnix::new_abstract_name(name.as_bytes()).unwrap();
        let say = |client: &UnixDatagram, bytes: &[u8]| {
            sendto(client, bytes, SendFlags::empty(), &server).unwrap();
        };
        let nameless = UnixDatagram::unbound().unwrap();
        say(&nameless, b"nameless");
        rustix::net::bind(&client, &SocketAddrUnix::new_unnamed()).unwrap();
        say(&client, &[0; 70_000]);
        say(&client, b"");
        assert!(!port.recv_batch(&mut batch).unwrap(), "something is behind it");
        assert_eq!(batch.iter().next().map(|(data, _)| data), Some(&b"nameless"[..]));
        let unnamed = batch.iter().next().unwrap().1.clone();
        assert_eq!(unnamed, Endpoint::Unix(UnixName::Unnamed.into()));
        batch.clear();
        assert_eq!(
            port.recv_batch(&mut batch).unwrap_err().raw_os_error(),
            Some(Errno::MSGSIZE.raw_os_error())
        );
        assert!(port.recv_batch(&mut batch).unwrap(), "then it is empty");
        let (data, from) = batch.iter().next().unwrap();
        assert_eq!(data, b"");
        let reply = |to: &Endpoint, port: &mut DatagramPort| {
            port.send_batch([Datagram { to, payload: b"reply" }].into_iter())
        };
        assert_eq!(reply(from, &mut port).unwrap(), 1);
        let mut into = [0; 9];
        assert_eq!(client.recv(&mut into).unwrap(), 5);
        assert_eq!(
            reply(&unnamed, &mut port).unwrap_err().raw_os_error(),
            Some(Errno::DESTADDRREQ.raw_os_error())
        );
        drop(client);
        assert_eq!(reply(from, &mut port).unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
    }

    #[test]
    fn a_peer_that_takes_nothing_loses_its_replies_and_holds_nobody_up() {
        let name = format!("oneloop-unixgram-full-{}", std::process::id());
        let at = UnixName::Abstract(name.into());
        let mut port = DatagramPort::new(bind_unixgram(&at, &UnixgramOptions::default()).unwrap()).unwrap();
        let [lazy, other] = ["lazy", "other"].map(|who| {
            let socket = UnixDatagram::unbound().unwrap();
            let name = format!("oneloop-unixgram-{who}-{}", std::process::id());
            rustix::net::bind(&socket, &SocketAddrUnix::new_abstract_name(name.as_bytes()).unwrap()).unwrap();
            (socket, Endpoint::Unix(UnixName::Abstract(name.into()).into()))
        });
        let mut say = |to: &Endpoint| port.send_batch([Datagram { to, payload: b"x" }].into_iter());
        let refused = (0..100_000).find_map(|_| say(&lazy.1).err()).expect("its queue is full some time");
        assert_ne!(refused.kind(), io::ErrorKind::WouldBlock);
        assert_eq!(say(&other.1).unwrap(), 1);
    }
}
