//! A connected stream socket of any family, by its descriptor alone. It reads and writes through rustix, which makes
//! the system call in place.

use std::io::{self, IoSlice, Read, Write};
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;

use rustix::net::{
    AddressFamily, RecvFlags, SendAncillaryBuffer, SendFlags, Shutdown, SocketAddrAny, SocketAddrUnix,
};

use crate::address::{Address, UnixName};
use crate::kernel::Stream;
use crate::session::Remote;

/// A TCP or Unix stream socket.
#[derive(Debug)]
pub struct Socket(OwnedFd);

impl From<OwnedFd> for Socket {
    fn from(fd: OwnedFd) -> Self {
        Self(fd)
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl AsRawFd for Socket {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

impl Socket {
    /// recv(2), for whoever shares the socket: about one part in a hundred of a request cheaper than read(2), which comes to
    /// the same after the file system's checks.
    ///
    /// # Errors
    /// recv(2).
    #[inline]
    pub fn recv(&self, into: &mut [u8]) -> io::Result<usize> {
        let (len, _) = rustix::net::recv(&self.0, into, RecvFlags::empty()).map_err(failed)?;
        Ok(len)
    }

    /// recv(2) that does not wait, whatever the socket does.
    ///
    /// # Errors
    /// recv(2), EAGAIN among them.
    #[inline]
    pub fn recv_now(&self, into: &mut [u8]) -> io::Result<usize> {
        let (len, _) = rustix::net::recv(&self.0, into, RecvFlags::DONTWAIT).map_err(failed)?;
        Ok(len)
    }

    /// send(2) without SIGPIPE, for whoever shares the socket.
    ///
    /// # Errors
    /// send(2).
    #[inline]
    pub fn send(&self, bytes: &[u8]) -> io::Result<usize> {
        send(self.as_fd(), bytes)
    }

    /// [`send`](Self::send) for bytes in pieces.
    ///
    /// # Errors
    /// sendmsg(2).
    pub fn send_vectored(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        Ok(rustix::net::sendmsg(&self.0, slices, &mut SendAncillaryBuffer::default(), SendFlags::NOSIGNAL)?)
    }
}

impl Read for Socket {
    #[inline]
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.recv(into)
    }
}

impl Write for Socket {
    #[inline]
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.send(bytes)
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.send_vectored(slices)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// [`Socket::send`] by the descriptor, for whoever keeps that closer at hand.
#[inline(always)]
pub(crate) fn send(fd: BorrowedFd<'_>, bytes: &[u8]) -> io::Result<usize> {
    rustix::net::send(fd, bytes, SendFlags::NOSIGNAL).map_err(failed)
}

#[cold]
#[inline(never)]
fn failed(errno: rustix::io::Errno) -> io::Error {
    errno.into()
}

impl Remote for Socket {
    fn address(&self) -> Address {
        match rustix::net::getpeername(&self.0) {
            Ok(Some(peer)) => address_of(peer),
            Ok(None) => Address::Unix(UnixName::Unnamed),
            Err(_) => Address::Unknown,
        }
    }
}

impl Stream for Socket {
    fn shutdown_write(&self) -> io::Result<()> {
        Ok(rustix::net::shutdown(&self.0, Shutdown::Write)?)
    }
}

/// The address of a stream socket, as the system gives it.
#[must_use]
pub fn address_of(any: SocketAddrAny) -> Address {
    if any.address_family() == AddressFamily::UNIX {
        return Address::Unix(
            SocketAddrUnix::try_from(any).map_or(UnixName::Unnamed, |name| unix_name(&name)),
        );
    }
    SocketAddr::try_from(any).map_or(Address::Unknown, Address::Tcp)
}

fn unix_name(name: &SocketAddrUnix) -> UnixName {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    if let Some(name) = name.abstract_name().filter(|name| !name.is_empty()) {
        return UnixName::Abstract(name.to_vec());
    }
    match name.path_bytes() {
        Some(path) if !path.is_empty() => {
            let path = path.strip_suffix(&[0]).unwrap_or(path);
            UnixName::Path(std::ffi::OsStr::from_bytes(path).into())
        }
        _ => UnixName::Unnamed,
    }
}
