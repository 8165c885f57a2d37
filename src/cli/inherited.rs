//! Sockets that whoever started this process has bound for it: LISTEN_FDS and LISTEN_PID (sd_listen_fds(3)).
//!
//! They are shared: with whoever bound them, and with the process that serves before or after this one. So they are left as they
//! are when this process ends: no path is removed, and who waits in their queue is not lost.

use std::io;
use std::net::UdpSocket;
use std::os::fd::{AsFd, BorrowedFd};

use listenfd::ListenFd;
use log::warn;
use rustix::net::sockopt::socket_acceptconn;

use super::listen::{Bound, BoundSocket};
use crate::address::Address;
use crate::os::sockets::{ListenOptions, StreamListener, address_of, set_inherited};

/// Sockets that were inherited and that nobody has taken yet.
#[derive(Default)]
pub(super) struct Inherited(Vec<Bound>);

impl Inherited {
    /// Takes them from the environment, which then says no more of them to children.
    ///
    /// # Errors
    /// A descriptor that is no socket to be served.
    pub(super) fn from_env() -> Result<Self, String> {
        let mut fds = ListenFd::from_env();
        (0..fds.len())
            .map(|at| {
                take(&mut fds, at).map_err(|error| {
                    format!(
                        "cannot serve the inherited descriptor {} (LISTEN_FDS): {error}; expected listening sockets of TCP or \
                         Unix, and sockets of UDP",
                        at + 3
                    )
                })
            })
            .collect::<Result<_, _>>()
            .map(Self)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Where they listen, in their order.
    pub(super) fn addresses(&self) -> Vec<Address> {
        self.0.iter().map(|bound| bound.address.clone()).collect()
    }

    /// Takes the one that listens there.
    ///
    /// # Errors
    /// It cannot be set up as the options say.
    pub(super) fn take(&mut self, address: &Address, options: &ListenOptions) -> io::Result<Option<Bound>> {
        let Some(at) = self.0.iter().position(|bound| bound.address == *address) else { return Ok(None) };
        let bound = self.0.remove(at);
        if let (BoundSocket::Stream(listener), Address::Tcp(_)) = (&bound.socket, address) {
            set_inherited(listener, options)?;
        }
        Ok(Some(bound))
    }

    /// Says which ones nobody has asked for. They are closed here, and stay with whoever else has them.
    pub(super) fn drop_rest(self) {
        for bound in self.0 {
            warn!("an inherited socket is not served address={} remedy=\"--listen\"", bound.address);
        }
    }
}

fn take(fds: &mut ListenFd, at: usize) -> io::Result<Bound> {
    if let Ok(Some(socket)) = fds.take_udp_socket(at) {
        return udp(socket);
    }
    let listener = if let Ok(Some(listener)) = fds.take_unix_listener(at) {
        StreamListener::Unix(listener, None)
    } else {
        let listener = fds.take_tcp_listener(at)?;
        StreamListener::Tcp(listener.ok_or(io::ErrorKind::NotFound)?)
    };
    let address = address_of(rustix::net::getsockname(&listener)?);
    check_listens(listener.as_fd())?;
    rustix::io::ioctl_fionbio(&listener, true)?;
    Ok(Bound { address, socket: BoundSocket::Stream(listener), is_shared: true })
}

fn udp(socket: UdpSocket) -> io::Result<Bound> {
    socket.set_nonblocking(true)?;
    let address = Address::Udp(socket.local_addr()?);
    Ok(Bound { address, socket: BoundSocket::Datagrams(socket.into()), is_shared: true })
}

fn check_listens(fd: BorrowedFd<'_>) -> io::Result<()> {
    if socket_acceptconn(fd)? { Ok(()) } else { Err(io::Error::other("the socket does not listen")) }
}
