//! Beginning to connect: a non-blocking stream socket on its way, with what clients want of it.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::time::Duration;

use socket2::{Domain, Protocol, SockAddr, Type};

use super::stream::Socket;
use crate::address::{Address, UnixName};

/// What a client wants of its socket.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Dial {
    /// The local address to connect from; its port is chosen when the destination is known (IP_BIND_ADDRESS_NO_PORT, ip(7)), so
    /// that each destination has all ports. `None`: the system chooses both.
    pub source: Option<IpAddr>,
    /// Closing resets the connection (SO_LINGER 0, socket(7)): no TIME_WAIT stays behind, and unsent data is lost.
    pub reset_on_close: bool,
}

/// Begins to connect. The outcome comes as an event on the socket, which is non-blocking and close-on-exec.
///
/// # Errors
/// socket(2), bind(2), connect(2); not EINPROGRESS. A Unix socket whose backlog is full fails with EAGAIN.
pub fn dial(to: &Address, dial: &Dial) -> io::Result<Socket> {
    match to {
        Address::Tcp(addr) => dial_tcp(*addr, dial),
        Address::Unix(name) => dial_unix(name),
        Address::Udp(_) | Address::Unixgram(_) | Address::Unknown => Err(io::ErrorKind::InvalidInput.into()),
    }
}

fn dial_tcp(addr: SocketAddr, dial: &Dial) -> io::Result<Socket> {
    let socket = new_socket(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_tcp_nodelay(true)?;
    if dial.reset_on_close {
        socket.set_linger(Some(Duration::ZERO))?;
    }
    if let Some(source) = dial.source {
        bind_source(&socket, source)?;
    }
    begin(&socket, &addr.into())?;
    Ok(OwnedFd::from(socket).into())
}

fn dial_unix(name: &UnixName) -> io::Result<Socket> {
    let addr = match name {
        UnixName::Path(path) => SockAddr::unix(path)?,
        // socket2 takes a leading NUL for the abstract namespace (unix(7)).
        #[cfg(any(target_os = "linux", target_os = "android"))]
        UnixName::Abstract(name) => {
            use std::os::unix::ffi::OsStrExt;
            let name = [&[0], name.as_slice()].concat();
            SockAddr::unix(std::ffi::OsStr::from_bytes(&name))?
        }
        _ => return Err(io::ErrorKind::InvalidInput.into()),
    };
    let socket = new_socket(Domain::UNIX, Type::STREAM, None)?;
    begin(&socket, &addr)?;
    Ok(OwnedFd::from(socket).into())
}

/// A non-blocking, close-on-exec socket in one system call where there is one.
fn new_socket(domain: Domain, kind: Type, protocol: Option<Protocol>) -> io::Result<socket2::Socket> {
    #[cfg(any(target_os = "linux", target_os = "android", target_os = "freebsd"))]
    return socket2::Socket::new(domain, kind.nonblocking(), protocol);
    #[cfg(not(any(target_os = "linux", target_os = "android", target_os = "freebsd")))]
    {
        let socket = socket2::Socket::new(domain, kind, protocol)?;
        socket.set_nonblocking(true)?;
        Ok(socket)
    }
}

fn begin(socket: &socket2::Socket, addr: &SockAddr) -> io::Result<()> {
    match socket.connect(addr) {
        Err(error) if error.raw_os_error() == Some(rustix::io::Errno::INPROGRESS.raw_os_error()) => Ok(()),
        other => other,
    }
}

/// Binds to an address without choosing a port yet.
pub(super) fn bind_source(socket: &socket2::Socket, source: IpAddr) -> io::Result<()> {
    #[cfg(all(feature = "udp-batch", target_os = "linux"))]
    nix::sys::socket::setsockopt(socket, nix::sys::socket::sockopt::IpBindAddressNoPort, &true)?;
    socket.bind(&SocketAddr::new(source, 0).into())
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;
    use crate::session::Remote;

    fn wait_writable(socket: &Socket) {
        let mut fds = [rustix::event::PollFd::new(socket, rustix::event::PollFlags::OUT)];
        rustix::event::poll(&mut fds, None).unwrap();
    }

    #[test]
    fn a_source_is_connected_from() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let to = Address::Tcp(listener.local_addr().unwrap());
        let source = Some("127.0.0.77".parse().unwrap());
        let socket = dial(&to, &Dial { source, ..Dial::default() }).unwrap();
        wait_writable(&socket);
        let (_, from) = listener.accept().unwrap();
        assert_eq!(from.ip().to_string(), "127.0.0.77");
        assert_eq!(socket.address(), to);
    }

    #[test]
    fn unix_sockets_of_both_kinds_are_reached() {
        use std::os::linux::net::SocketAddrExt;
        use std::os::unix::net::{SocketAddr as UnixAddr, UnixListener};
        let name = format!("oneloop-dial-{}", std::process::id());
        let listener = UnixListener::bind_addr(&UnixAddr::from_abstract_name(&name).unwrap()).unwrap();
        let to = Address::Unix(UnixName::Abstract(name.into_bytes()));
        let socket = dial(&to, &Dial::default()).unwrap();
        listener.accept().unwrap();
        assert_eq!(socket.address(), to);
        let missing = Address::Unix(UnixName::Path("/nonexistent/socket".into()));
        assert_eq!(dial(&missing, &Dial::default()).unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn a_socket_that_resets_says_so() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let to = Address::Tcp(listener.local_addr().unwrap());
        let socket = dial(&to, &Dial { reset_on_close: true, ..Dial::default() }).unwrap();
        wait_writable(&socket);
        let (mut accepted, _) = listener.accept().unwrap();
        drop(socket);
        let error = std::io::Read::read(&mut accepted, &mut [0; 1]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    }
}
