//! Listening sockets, and where they really listen. Everything accepted sockets should have is set on the listener: on Linux they inherit
//! it (tcp(7), socket(7)), so that accepting costs no setsockopt.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixListener;
use std::time::Duration;

use socket2::{Domain, Protocol, SockAddr, SockRef, Socket, TcpKeepalive, Type};

use super::stream;
pub use super::stream::address_of;
use super::unix::{self, SocketFile};
use crate::address::{Address, UnixName};
use crate::error::Error;

/// How often a silent peer is asked before it counts as gone.
const PROBES: u32 = 4;

/// How a listening socket is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenOptions {
    /// How many established connections may wait to be accepted (listen(2)); the kernel cuts it to
    /// `net.core.somaxconn`. mio and std ask for 128. Default 4096.
    pub backlog: i32,
    /// Whether an IPv6 listener refuses IPv4 (IPV6_V6ONLY). Default false: `[::]` serves both.
    pub only_v6: bool,
    /// Who may connect to a Unix socket, as the permissions of its path. Default 0600: its owner.
    pub unix_mode: u32,
    /// A TCP peer that was silent for so long is asked whether it is there, four times within as long again (SO_KEEPALIVE); in
    /// whole seconds. Default `None`: never.
    pub keepalive: Option<Duration>,
    /// How long a TCP peer may leave unacknowledged what was sent to it (TCP_USER_TIMEOUT). Default `None`: as the kernel has it.
    pub user_timeout: Option<Duration>,
    /// Whether other TCP listeners of this user, in this process or another, may listen on the same port if they say so too
    /// (SO_REUSEPORT): the kernel gives each connection to one of them. Default false.
    pub reuse_port: bool,
}

impl Default for ListenOptions {
    fn default() -> Self {
        Self {
            backlog: 4096,
            only_v6: false,
            unix_mode: 0o600,
            keepalive: None,
            user_timeout: None,
            reuse_port: false,
        }
    }
}

/// A listening stream socket, non-blocking.
#[derive(Debug)]
pub enum StreamListener {
    /// TCP.
    Tcp(TcpListener),
    /// A Unix socket, and its path if it has one: removed when that is dropped.
    Unix(UnixListener, Option<SocketFile>),
}

impl StreamListener {
    /// Whether it is a Unix socket.
    #[must_use]
    pub const fn is_unix(&self) -> bool {
        matches!(self, Self::Unix(..))
    }

    /// Takes over the file of a Unix socket, which then outlives the listener: for whoever may have to end before the
    /// thread that listens does.
    #[must_use]
    pub fn take_file(&mut self) -> Option<SocketFile> {
        match self {
            Self::Tcp(_) => None,
            Self::Unix(_, file) => file.take(),
        }
    }

    /// Accepts one connection, close-on-exec; accepted sockets are non-blocking only if that is asked for, whatever the
    /// listener is (accept4(2)).
    ///
    /// # Errors
    /// accept(2); classified by [`attempt_accept`](crate::attempt::attempt_accept).
    pub fn accept(&self, nonblocking: bool) -> io::Result<(stream::Socket, Address)> {
        let (socket, address) = accept(self.as_fd(), nonblocking)?;
        Ok((socket, address.unwrap_or(Address::Unix(UnixName::Unnamed))))
    }
}

/// One system call.
#[cfg(target_os = "linux")]
fn accept(fd: BorrowedFd<'_>, nonblocking: bool) -> io::Result<(stream::Socket, Option<Address>)> {
    use rustix::net::{SocketFlags, acceptfrom_with};
    let flags = if nonblocking { SocketFlags::NONBLOCK } else { SocketFlags::empty() };
    let (fd, peer) = acceptfrom_with(fd, flags | SocketFlags::CLOEXEC)?;
    Ok((fd.into(), peer.map(stream::address_of)))
}

/// Elsewhere an accepted socket inherits what it should not, and not what it should.
#[cfg(not(target_os = "linux"))]
fn accept(fd: BorrowedFd<'_>, nonblocking: bool) -> io::Result<(stream::Socket, Option<Address>)> {
    let (socket, peer) = socket2::SockRef::from(&fd).accept()?;
    socket.set_nonblocking(nonblocking)?;
    let peer = peer.as_socket().map(Address::Tcp);
    if peer.is_some() {
        socket.set_tcp_nodelay(true)?;
    }
    Ok((std::os::fd::OwnedFd::from(socket).into(), peer))
}

impl AsFd for StreamListener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(listener) => listener.as_fd(),
            Self::Unix(listener, _) => listener.as_fd(),
        }
    }
}

/// Makes a non-blocking listener for TCP or a Unix socket, and says where it really listens: port 0 resolved.
///
/// # Errors
/// [`Error::Bind`], with the address and, where it is known, the remedy.
pub fn listen(address: &Address, options: &ListenOptions) -> Result<(StreamListener, Address), Error> {
    match address {
        Address::Tcp(addr) => {
            let listener = listen_tcp(*addr, options)?;
            let local = listener.local_addr().unwrap_or(*addr);
            Ok((StreamListener::Tcp(listener), Address::Tcp(local)))
        }
        Address::Unix(name) => {
            let bind = |source| Error::Bind { address: address.to_string(), source };
            let (listener, file) = unix::listen(name, options).map_err(bind)?;
            Ok((StreamListener::Unix(listener, file), address.clone()))
        }
        Address::Udp(_) | Address::Unixgram(_) | Address::Unknown => {
            Err(Error::Config(format!("{address} is no address of a stream socket; expected tcp: or unix:")))
        }
    }
}

/// Makes a non-blocking TCP listener with SO_REUSEADDR, a large backlog and TCP_NODELAY.
///
/// # Errors
/// [`Error::Bind`], with the address and, where it is known, the remedy.
pub fn listen_tcp(addr: SocketAddr, options: &ListenOptions) -> Result<TcpListener, Error> {
    let bind = |source| Error::Bind { address: format!("tcp://{addr}"), source };
    let socket = bind_tcp(addr, options).map_err(bind)?;
    socket.listen(options.backlog).map_err(bind)?;
    Ok(socket.into())
}

/// Asks whether nobody listens on a TCP address, or holds it in any other way, by binding it and letting it go. For whoever begins a
/// group with [`reuse_port`](ListenOptions::reuse_port): binding would join a group that is there already.
///
/// # Errors
/// [`Error::Bind`], as from [`listen_tcp`].
pub fn check_free_tcp(addr: SocketAddr, options: &ListenOptions) -> Result<(), Error> {
    let alone = ListenOptions { reuse_port: false, ..options.clone() };
    let bind = |source| Error::Bind { address: format!("tcp://{addr}"), source };
    bind_tcp(addr, &alone).map(drop).map_err(bind)
}

fn bind_tcp(addr: SocketAddr, options: &ListenOptions) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
    if addr.is_ipv6() {
        socket.set_only_v6(options.only_v6)?;
    }
    // A restart must not wait for TIME_WAIT to pass.
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(options.reuse_port)?;
    set_inherited(&socket, options)?;
    socket.set_nonblocking(true)?;
    socket.bind(&SockAddr::from(addr))?;
    Ok(socket)
}

/// Sets what accepted sockets are to have on a TCP listener, which may have been bound by somebody else.
///
/// # Errors
/// setsockopt(2).
pub fn set_inherited(listener: &impl AsFd, options: &ListenOptions) -> io::Result<()> {
    let socket = SockRef::from(listener);
    socket.set_tcp_nodelay(true)?;
    if let Some(silence) = options.keepalive {
        let step = (silence / PROBES).max(Duration::from_secs(1));
        let keepalive = TcpKeepalive::new().with_time(silence).with_interval(step).with_retries(PROBES);
        socket.set_tcp_keepalive(&keepalive)?;
    }
    #[cfg(target_os = "linux")]
    if options.user_timeout.is_some() {
        socket.set_tcp_user_timeout(options.user_timeout)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::net::TcpStream;

    #[test]
    fn accepted_sockets_inherit_nodelay_from_the_listener() {
        let listener = listen_tcp("127.0.0.1:0".parse().unwrap(), &ListenOptions::default()).unwrap();
        let _client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (accepted, _) = listener.accept().unwrap();
        assert_eq!(accepted.nodelay().unwrap(), cfg!(target_os = "linux"));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn accepted_sockets_inherit_what_finds_a_peer_that_vanished() {
        let options = ListenOptions {
            keepalive: Some(Duration::from_secs(60)),
            user_timeout: Some(Duration::from_millis(2500)),
            ..ListenOptions::default()
        };
        let listener = listen_tcp("127.0.0.1:0".parse().unwrap(), &options).unwrap();
        let _client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (accepted, _) = listener.accept().unwrap();
        let accepted = socket2::SockRef::from(&accepted);
        assert!(accepted.keepalive().unwrap());
        assert_eq!(accepted.tcp_keepalive_time().unwrap(), Duration::from_secs(60));
        assert_eq!(accepted.tcp_keepalive_interval().unwrap(), Duration::from_secs(15));
        assert_eq!(accepted.tcp_keepalive_retries().unwrap(), PROBES);
        assert_eq!(accepted.tcp_user_timeout().unwrap(), Some(Duration::from_millis(2500)));
    }

    #[test]
    fn a_taken_port_is_refused_with_its_address() {
        let first = listen_tcp("127.0.0.1:0".parse().unwrap(), &ListenOptions::default()).unwrap();
        let addr = first.local_addr().unwrap();
        let error = listen_tcp(addr, &ListenOptions::default()).unwrap_err().to_string();
        assert!(error.contains(&addr.to_string()), "{error}");
    }

    #[test]
    fn a_port_is_shared_by_those_who_say_so_and_whoever_begins_is_told_that_it_is_taken() {
        let shared = ListenOptions { reuse_port: true, ..ListenOptions::default() };
        let first = listen_tcp("127.0.0.1:0".parse().unwrap(), &shared).unwrap();
        let addr = first.local_addr().unwrap();
        assert!(listen_tcp(addr, &shared).is_ok());
        assert!(listen_tcp(addr, &ListenOptions::default()).is_err());
        assert!(check_free_tcp(addr, &shared).unwrap_err().to_string().contains(&addr.to_string()));
        drop(first);
        assert!(check_free_tcp(addr, &shared).is_ok());
    }

    #[test]
    fn a_dual_stack_listener_serves_ipv4_too() {
        let Ok(listener) = listen_tcp("[::]:0".parse().unwrap(), &ListenOptions::default()) else {
            return; // no IPv6 on this machine
        };
        let port = listener.local_addr().unwrap().port();
        let mut client = TcpStream::connect(("127.0.0.1", port)).unwrap();
        drop(listener.accept().unwrap());
        assert_eq!(client.read(&mut [0; 1]).unwrap(), 0);
    }

    #[test]
    fn an_ipv6_only_listener_leaves_ipv4_to_another() {
        let four = listen_tcp("0.0.0.0:0".parse().unwrap(), &ListenOptions::default()).unwrap();
        let mut addr: SocketAddr = "[::]:0".parse().unwrap();
        if listen_tcp(addr, &ListenOptions::default()).is_err() {
            return; // no IPv6 on this machine
        }
        addr.set_port(four.local_addr().unwrap().port());
        assert!(listen_tcp(addr, &ListenOptions::default()).is_err(), "both want IPv4");
        let only_v6 = ListenOptions { only_v6: true, ..ListenOptions::default() };
        assert!(listen_tcp(addr, &only_v6).is_ok());
    }
}
