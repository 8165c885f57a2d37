//! UDP sockets (udp(7)): making them, and receiving and sending many datagrams per system call. Unix datagram sockets beside them.

#[cfg_attr(not(all(feature = "udp-batch", target_os = "linux")), path = "recv_single.rs")]
mod recv;
#[cfg_attr(not(target_os = "linux"), path = "send_single.rs")]
mod send;

mod drops;
mod unixgram;

pub use self::unixgram::{UnixgramOptions, bind_unixgram};

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use rustix::net::AddressFamily;
use socket2::{Domain, Protocol, Socket, Type};

use super::unix::SocketFile;
use crate::address::Endpoint;
use crate::error::Error;
use crate::kernel::{BATCH, DatagramSocket, RecvBatch};
use crate::os::multicast::{self, Interface};
use crate::session::Datagram;

/// Datagrams a client's socket receives per call: clients are many, and the headers are kept for each.
const CLIENT_BATCH: usize = 4;

/// How a UDP socket is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatagramOptions {
    /// Bytes of kernel memory for datagrams that wait to be received (SO_RCVBUF); what exceeds it is dropped. A datagram
    /// counts with its bookkeeping, a small one as about 768 bytes. More than `net.core.rmem_max` needs CAP_NET_ADMIN,
    /// and is cut without it. Default 4 MiB: with the usual 208 KiB, 190 small datagrams at once are too many.
    pub recv_buffer: usize,
    /// Whether an IPv6 socket refuses IPv4 (IPV6_V6ONLY). Default false: `[::]` serves both.
    pub only_v6: bool,
    /// Whether other UDP sockets of this user, in this process or another, may have the same port if they say so too
    /// (SO_REUSEPORT): the kernel gives all datagrams of one sender to the same one of them. Default false.
    pub reuse_port: bool,
    /// Where a multicast group is joined, when the address is one. Default: as the routes say.
    pub interface: Option<Interface>,
}

impl Default for DatagramOptions {
    fn default() -> Self {
        Self { recv_buffer: 4 * 1024 * 1024, only_v6: false, reuse_port: false, interface: None }
    }
}

/// A bound datagram socket, of UDP or Unix.
#[derive(Debug)]
pub struct BoundDatagrams {
    fd: OwnedFd,
    /// Removed with it.
    file: Option<SocketFile>,
}

impl BoundDatagrams {
    /// Takes the file out, for whoever is to remove it.
    pub fn take_file(&mut self) -> Option<SocketFile> {
        self.file.take()
    }
}

impl From<UdpSocket> for BoundDatagrams {
    fn from(socket: UdpSocket) -> Self {
        Self { fd: socket.into(), file: None }
    }
}

impl AsFd for BoundDatagrams {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// A datagram socket with what it needs to receive many datagrams per call. It stays in one thread.
#[derive(Debug)]
pub struct DatagramPort {
    fd: OwnedFd,
    receiver: Receiver,
    sender: send::Sender,
    drops: Drops,
    peer: Option<SocketAddr>,
    /// Removed with it.
    _file: Option<SocketFile>,
}

#[derive(Debug)]
enum Receiver {
    Udp(recv::Receiver),
    Unix(unixgram::Receiver),
}

/// A way to ask what the kernel has dropped at a socket, for other threads than the one that has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drops {
    inode: u64,
    is_v6: bool,
}

impl Drops {
    /// Datagrams dropped so far because the receive buffer was full; `None` where the system does not say, or when the
    /// socket is closed.
    #[must_use]
    pub fn read(&self) -> Option<u64> {
        drops::read(self.inode, self.is_v6)
    }
}

/// Binds a non-blocking UDP socket, and says where: port 0 resolved. The address may be a multicast group, which is joined; several
/// programs of one machine may be in it on the same port, and each is given everything.
///
/// # Errors
/// [`Error::Bind`], with the address and, where it is known, the remedy.
pub fn bind_udp(addr: SocketAddr, options: &DatagramOptions) -> Result<(UdpSocket, SocketAddr), Error> {
    bind(addr, options).map_err(|source| Error::Bind { address: format!("udp://{addr}"), source })
}

/// Asks whether nobody has a UDP address, by binding it and letting it go. For whoever begins a group with
/// [`reuse_port`](DatagramOptions::reuse_port): binding would join a group that is there already.
///
/// # Errors
/// [`Error::Bind`], as from [`bind_udp`].
pub fn check_free_udp(addr: SocketAddr, options: &DatagramOptions) -> Result<(), Error> {
    bind_udp(addr, &DatagramOptions { reuse_port: false, ..options.clone() }).map(drop)
}

fn bind(addr: SocketAddr, options: &DatagramOptions) -> io::Result<(UdpSocket, SocketAddr)> {
    let socket = Socket::new(Domain::for_address(addr), Type::DGRAM, Some(Protocol::UDP))?;
    if addr.is_ipv6() {
        socket.set_only_v6(options.only_v6)?;
    }
    socket.set_reuse_port(options.reuse_port)?;
    set_recv_buffer(&socket, options.recv_buffer)?;
    socket.set_nonblocking(true)?;
    if addr.ip().is_multicast() {
        bind_group(&socket, addr, options.interface.as_ref())?;
    } else {
        socket.bind(&addr.into())?;
    }
    let socket = UdpSocket::from(socket);
    let local = socket.local_addr()?;
    Ok((socket, local))
}

/// Bound to the group itself the socket is given nothing else. What it sends has the interface's address all the same.
fn bind_group(socket: &Socket, group: SocketAddr, interface: Option<&Interface>) -> io::Result<()> {
    let group = multicast::scoped(socket, group, interface)?;
    socket.set_reuse_address(true)?;
    socket.bind(&group.into())?;
    multicast::join(socket, group, interface)
}

/// As much as the system allows, which is less than asked for without privileges.
fn set_recv_buffer(socket: &Socket, bytes: usize) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    if rustix::net::sockopt::set_socket_recv_buffer_size_force(socket, bytes).is_ok() {
        return Ok(());
    }
    socket.set_recv_buffer_size(bytes)
}

impl DatagramPort {
    /// Takes a non-blocking socket over.
    ///
    /// # Errors
    /// fstat(2), getsockname(2).
    pub fn new(socket: impl Into<BoundDatagrams>) -> io::Result<Self> {
        let BoundDatagrams { fd, file } = socket.into();
        let family = rustix::net::getsockname(&fd)?.address_family();
        let receiver = match family {
            AddressFamily::UNIX => Receiver::Unix(unixgram::Receiver::default()),
            _ => Receiver::Udp(recv::Receiver::new(BATCH, family == AddressFamily::INET)),
        };
        let inode = rustix::fs::fstat(&fd)?.st_ino;
        let drops = Drops { inode, is_v6: family == AddressFamily::INET6 };
        let sender = send::Sender::default();
        Ok(Self { fd, receiver, sender, drops, peer: None, _file: file })
    }

    /// A non-blocking socket of a client, connected to `peer`: it receives from nobody else, and is told when nobody is there
    /// (udp(7)).
    ///
    /// # Errors
    /// socket(2), bind(2), connect(2).
    pub fn connect(peer: SocketAddr, source: Option<IpAddr>) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(peer), Type::DGRAM, Some(Protocol::UDP))?;
        socket.set_nonblocking(true)?;
        if let Some(source) = source {
            super::dial::bind_source(&socket, source)?;
        }
        socket.connect(&peer.into())?;
        let fd = OwnedFd::from(socket);
        let inode = rustix::fs::fstat(&fd)?.st_ino;
        let drops = Drops { inode, is_v6: peer.is_ipv6() };
        let receiver = Receiver::Udp(recv::Receiver::new(CLIENT_BATCH, peer.is_ipv4()));
        let sender = send::Sender::default();
        Ok(Self { fd, receiver, sender, drops, peer: Some(peer), _file: None })
    }

    /// What other threads may ask.
    #[must_use]
    pub const fn drops(&self) -> Drops {
        self.drops
    }
}

/// Where a UDP socket sends to. It receives from nobody else, so that there is nobody else to answer.
#[inline]
fn inet(to: &Endpoint) -> SocketAddr {
    to.socket_addr().unwrap_or(SocketAddr::from(([0, 0, 0, 0], 0)))
}

/// Bytes of kernel memory really given for datagrams that wait (SO_RCVBUF, less what the kernel adds for itself).
///
/// # Errors
/// getsockopt(2).
pub fn recv_buffer(socket: &UdpSocket) -> io::Result<usize> {
    let doubled = rustix::net::sockopt::socket_recv_buffer_size(socket)?;
    Ok(if cfg!(target_os = "linux") { doubled / 2 } else { doubled })
}

impl AsFd for DatagramPort {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl AsRawFd for DatagramPort {
    fn as_raw_fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }
}

impl DatagramSocket for DatagramPort {
    fn recv_batch(&mut self, batch: &mut RecvBatch) -> io::Result<bool> {
        match &mut self.receiver {
            Receiver::Udp(receiver) => receiver.recv(&self.fd, batch),
            Receiver::Unix(receiver) => receiver.recv(&self.fd, batch),
        }
    }

    fn send_batch<'a>(&mut self, batch: impl ExactSizeIterator<Item = Datagram<'a>>) -> io::Result<usize> {
        match self.receiver {
            Receiver::Udp(_) => self.sender.send(&self.fd, batch),
            Receiver::Unix(_) => unixgram::send(&self.fd, batch),
        }
    }

    fn peer(&self) -> Option<Endpoint> {
        self.peer.map(Endpoint::Inet)
    }

    fn kernel_drops(&self) -> Option<u64> {
        self.drops.read()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bound() -> (DatagramPort, SocketAddr) {
        let (socket, addr) = bind_udp("127.0.0.1:0".parse().unwrap(), &DatagramOptions::default()).unwrap();
        (DatagramPort::new(socket).unwrap(), addr)
    }

    /// A client whose datagrams have arrived once they are sent: loopback delivers at once (and the test waits for it).
    fn wait_readable(port: &DatagramPort) {
        let mut fds = [rustix::event::PollFd::new(port, rustix::event::PollFlags::IN)];
        rustix::event::poll(&mut fds, None).unwrap();
    }

    #[test]
    fn many_datagrams_come_in_one_batch_and_go_back_to_their_senders() {
        let (mut port, addr) = bound();
        let clients = [(); 3].map(|()| UdpSocket::bind("127.0.0.1:0").unwrap());
        let large = vec![7; crate::session::MAX_DATAGRAM];
        let sent: Vec<&[u8]> = vec![b"one", b"", &large, b"four", b"five"];
        for (number, data) in sent.iter().enumerate() {
            clients[number % 3].send_to(data, addr).unwrap();
        }
        let mut batch = RecvBatch::new();
        while batch.len() < sent.len() {
            wait_readable(&port);
            assert!(port.recv_batch(&mut batch).unwrap(), "then it is empty");
        }
        let received: Vec<_> = batch.iter().collect();
        assert_eq!(received.iter().map(|(data, _)| *data).collect::<Vec<_>>(), sent);
        let mut replies = received.iter().map(|(payload, to)| Datagram { to, payload });
        let mut done = 0;
        while done < sent.len() {
            done += port.send_batch(replies.clone().skip(done).collect::<Vec<_>>().into_iter()).unwrap();
        }
        assert_eq!(replies.next().and_then(|first| first.to.socket_addr()), clients[0].local_addr().ok());
        let mut into = vec![0; 70_000];
        for (number, data) in sent.iter().enumerate() {
            let (len, from) = clients[number % 3].recv_from(&mut into).unwrap();
            assert_eq!((&into[..len], from), (*data, addr));
        }
        assert_eq!(port.recv_batch(&mut RecvBatch::new()).unwrap_err().kind(), io::ErrorKind::WouldBlock);
    }

    #[test]
    fn a_port_is_shared_by_those_who_say_so_and_whoever_begins_is_told_that_it_is_taken() {
        let shared = DatagramOptions { reuse_port: true, ..DatagramOptions::default() };
        let (first, addr) = bind_udp("127.0.0.1:0".parse().unwrap(), &shared).unwrap();
        assert!(bind_udp(addr, &shared).is_ok());
        assert!(bind_udp(addr, &DatagramOptions::default()).is_err());
        assert!(check_free_udp(addr, &shared).is_err());
        drop(first);
        assert!(check_free_udp(addr, &shared).is_ok());
    }

    #[test]
    fn what_the_kernel_drops_is_counted() {
        let options = DatagramOptions { recv_buffer: 4096, ..DatagramOptions::default() };
        let (socket, addr) = bind_udp("127.0.0.1:0".parse().unwrap(), &options).unwrap();
        let port = DatagramPort::new(socket).unwrap();
        assert_eq!(port.kernel_drops(), Some(0));
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        for _ in 0..100 {
            client.send_to(&[0; 100], addr).unwrap();
        }
        let mut fds = [rustix::event::PollFd::new(&port, rustix::event::PollFlags::IN)];
        rustix::event::poll(&mut fds, None).unwrap();
        assert!(port.kernel_drops() > Some(0));
    }
}
