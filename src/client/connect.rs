//! Names become addresses, and the first address that takes the connection is used.

use std::ffi::OsStr;
use std::io;
use std::net::SocketAddr;
use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

use log::debug;
use rustix::io::Errno;
use rustix::net::SocketAddrUnix;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use super::error::{ClientError, ClientErrorKind};
use crate::address::{Address, UnixName};
use crate::attempt::{Attempt, attempt};
use crate::os::resolve::{Target, resolve};

/// How a client connects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectOptions {
    /// How long the lookup of the name may take, and then each address. Default 5 s.
    pub limit: Duration,
    /// The local address to connect from; port 0 takes any free one. Addresses of the other family are left out then.
    /// Default: the system chooses.
    pub bind: Option<SocketAddr>,
}

impl Default for ConnectOptions {
    fn default() -> Self {
        Self { limit: Duration::from_secs(5), bind: None }
    }
}

/// A socket and whom it is connected to.
pub(super) struct Connected {
    pub(super) socket: Socket,
    pub(super) address: Address,
}

/// How errors call the peer: the target, and its address where that is not the same.
pub(super) fn label(target: &Target, address: &Address) -> String {
    let (target, found) = (target.to_string(), address.to_string());
    if target == found { target } else { format!("{target} ({})", address.bare()) }
}

/// The addresses of `target` that can be reached from the address asked for.
pub(super) fn candidates(target: &Target, options: &ConnectOptions) -> Result<Vec<Address>, ClientError> {
    let fail = |kind| ClientError::new(target.to_string(), kind);
    let mut found = resolve(target, options.limit).map_err(|error| fail(ClientErrorKind::Lookup(error)))?;
    if let Some(local) = options.bind {
        let fits = |addr: SocketAddr| addr.is_ipv4() == local.is_ipv4();
        found.retain(|address| address.socket_addr().is_some_and(fits));
        if found.is_empty() {
            return Err(fail(ClientErrorKind::Family { local }));
        }
    }
    Ok(found)
}

/// Connects a stream socket to the first address that takes it.
pub(super) fn stream(target: &Target, options: &ConnectOptions) -> Result<Connected, ClientError> {
    if target.is_datagram() {
        return Err(ClientError::new(target.to_string(), ClientErrorKind::WrongSocket));
    }
    any_stream(target, candidates(target, options)?, options)
}

/// One address after the other.
fn any_stream(
    target: &Target,
    addresses: Vec<Address>,
    options: &ConnectOptions,
) -> Result<Connected, ClientError> {
    let mut failures = Vec::new();
    for address in addresses {
        match connect_stream(&address, options) {
            Ok(socket) => return Ok(Connected { socket, address }),
            Err(kind) => {
                let error = ClientError::new(label(target, &address), kind);
                debug!("not connected error=\"{error}\"");
                failures.push(error);
            }
        }
    }
    Err(match failures.len() {
        1 => failures.remove(0),
        _ => ClientError::new(target.to_string(), ClientErrorKind::AllFailed(failures)),
    })
}

fn connect_stream(address: &Address, options: &ConnectOptions) -> Result<Socket, ClientErrorKind> {
    let socket = match address {
        Address::Tcp(addr) => connect_tcp(*addr, options)?,
        Address::Unix(name) => connect_unix(name, options.limit)?,
        Address::Udp(_) | Address::Unixgram(_) | Address::Unknown => {
            return Err(ClientErrorKind::WrongSocket);
        }
    };
    socket.set_nonblocking(true).map_err(|error| ClientErrorKind::of(&error))?;
    Ok(socket)
}

fn connect_tcp(addr: SocketAddr, options: &ConnectOptions) -> Result<Socket, ClientErrorKind> {
    let fail = |error: io::Error| ClientErrorKind::of(&error);
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP)).map_err(fail)?;
    // Else the last part of a message may wait for the peer's delayed acknowledgement of the first (tcp(7)).
    socket.set_tcp_nodelay(true).map_err(fail)?;
    if let Some(local) = options.bind {
        // A chosen port may have been used a moment ago and be in TIME_WAIT.
        socket.set_reuse_address(local.port() != 0).map_err(fail)?;
        bind(&socket, local)?;
    }
    socket.connect_timeout(&addr.into(), options.limit).map_err(|error| late(&error, options.limit))?;
    Ok(socket)
}

/// A datagram socket that hears its peer only, and the peer's ICMP errors (udp(7)).
pub(super) fn connect_udp(addr: SocketAddr, options: &ConnectOptions) -> Result<Socket, ClientErrorKind> {
    let fail = |error: io::Error| ClientErrorKind::of(&error);
    let socket = Socket::new(Domain::for_address(addr), Type::DGRAM, Some(Protocol::UDP)).map_err(fail)?;
    if let Some(local) = options.bind {
        bind(&socket, local)?;
    }
    socket.connect(&addr.into()).map_err(|error| broadcast(&error, addr))?;
    socket.set_nonblocking(true).map_err(fail)?;
    Ok(socket)
}

/// A datagram socket that hears its peer only, with a name by which it can be answered: any free abstract one (unix(7), autobind).
pub(super) fn connect_unixgram(name: &UnixName) -> Result<Socket, ClientErrorKind> {
    let fail = |error: io::Error| ClientErrorKind::of(&error);
    let socket = Socket::new(Domain::UNIX, Type::DGRAM, None).map_err(fail)?;
    if !cfg!(target_os = "linux") {
        return Err(ClientErrorKind::WrongSocket);
    }
    rustix::net::bind(&socket, &SocketAddrUnix::new_unnamed()).map_err(|error| fail(error.into()))?;
    socket.connect(&unix_address(name)?).map_err(fail)?;
    socket.set_nonblocking(true).map_err(fail)?;
    Ok(socket)
}

pub(super) fn bind(socket: &Socket, local: SocketAddr) -> Result<(), ClientErrorKind> {
    let errno = |error: io::Error| error.raw_os_error().unwrap_or(0);
    socket.bind(&local.into()).map_err(|error| ClientErrorKind::Bind { local, errno: errno(error) })
}

/// A Unix socket connects at once, or waits for room in the listener's queue. There is nothing to poll for meanwhile:
/// a non-blocking connect says EAGAIN; so it blocks, within the socket's limit for sending (socket(7), SO_SNDTIMEO).
fn connect_unix(name: &UnixName, limit: Duration) -> Result<Socket, ClientErrorKind> {
    let fail = |error: io::Error| ClientErrorKind::of(&error);
    let address = unix_address(name)?;
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None).map_err(fail)?;
    socket.set_write_timeout(Some(limit.max(Duration::from_millis(1)))).map_err(fail)?;
    match attempt(|| socket.connect(&address)) {
        Attempt::Done(()) => Ok(socket),
        Attempt::WouldBlock => Err(ClientErrorKind::ConnectTimedOut { limit }),
        Attempt::Failed(failure) => Err(ClientErrorKind::of_errno(failure.errno)),
    }
}

fn unix_address(name: &UnixName) -> Result<SockAddr, ClientErrorKind> {
    let fail = |error: io::Error| ClientErrorKind::of(&error);
    match name {
        UnixName::Path(path) => SockAddr::unix(path).map_err(fail),
        UnixName::Abstract(name) if cfg!(target_os = "linux") => {
            let path = [&[0], name.as_slice()].concat();
            SockAddr::unix(OsStr::from_bytes(&path)).map_err(fail)
        }
        UnixName::Abstract(_) | UnixName::Unnamed => Err(ClientErrorKind::WrongSocket),
    }
}

/// A broadcast address has to be asked for (udp(7), EACCES).
fn broadcast(error: &io::Error, addr: SocketAddr) -> ClientErrorKind {
    match error.raw_os_error() {
        Some(errno) if errno == Errno::ACCESS.raw_os_error() && addr.is_ipv4() => ClientErrorKind::Broadcast,
        _ => ClientErrorKind::of(error),
    }
}

/// The limit of connect_timeout has no errno.
fn late(error: &io::Error, limit: Duration) -> ClientErrorKind {
    if error.kind() == io::ErrorKind::TimedOut && error.raw_os_error().is_none() {
        ClientErrorKind::ConnectTimedOut { limit }
    } else if error.raw_os_error() == Some(Errno::TIMEDOUT.raw_os_error()) {
        // The kernel gave up first (tcp(7), tcp_syn_retries).
        ClientErrorKind::Unreachable
    } else {
        ClientErrorKind::of(error)
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    /// An address nobody listens on while the socket is kept: bound, but not listening.
    fn refusing() -> (Socket, Address) {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.bind(&"127.0.0.1:0".parse::<SocketAddr>().unwrap().into()).unwrap();
        let addr = socket.local_addr().unwrap().as_socket().unwrap();
        (socket, Address::Tcp(addr))
    }

    #[test]
    fn addresses_are_tried_in_order_until_one_takes_the_connection() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let open = Address::Tcp(listener.local_addr().unwrap());
        let (_kept, refused) = refusing();
        let (target, options) = ("tcp://name:1".parse().unwrap(), ConnectOptions::default());
        let found = any_stream(&target, vec![refused.clone(), open.clone(), refused], &options);
        assert_eq!(found.ok().map(|found| found.address), Some(open));
    }

    #[test]
    fn when_no_address_takes_it_each_reason_is_told() {
        let ((_one, first), (_two, second)) = (refusing(), refusing());
        let (target, options) = ("tcp://name:1".parse().unwrap(), ConnectOptions::default());
        let error = any_stream(&target, vec![first.clone()], &options).err().unwrap();
        assert_eq!(error.kind(), &ClientErrorKind::Refused);
        let error = any_stream(&target, vec![first.clone(), second.clone()], &options).err().unwrap();
        assert!(matches!(error.kind(), ClientErrorKind::AllFailed(all) if all.len() == 2), "{error:?}");
        for address in [first, second] {
            let named = format!("tcp://name:1 ({}): connection refused", address.bare());
            assert!(error.to_string().contains(&named), "{error}");
        }
    }

    #[test]
    fn only_addresses_of_the_local_family_are_tried() {
        let bind = Some("[::1]:0".parse().unwrap());
        let options = ConnectOptions { bind, ..ConnectOptions::default() };
        let kind =
            |text: &str| candidates(&text.parse().unwrap(), &options).map_err(|error| error.kind().clone());
        assert_eq!(kind("tcp://[::2]:1").unwrap(), ["tcp://[::2]:1".parse().unwrap()]);
        let family = ClientErrorKind::Family { local: "[::1]:0".parse().unwrap() };
        assert_eq!(kind("tcp://127.0.0.1:1"), Err(family.clone()));
        assert_eq!(kind("unix:/a"), Err(family));
    }

    #[test]
    fn our_own_limit_is_told_from_the_kernels() {
        let limit = Duration::from_secs(1);
        let ours = late(&io::ErrorKind::TimedOut.into(), limit);
        assert_eq!(ours, ClientErrorKind::ConnectTimedOut { limit });
        let errno = |errno: Errno| late(&io::Error::from_raw_os_error(errno.raw_os_error()), limit);
        assert_eq!(errno(Errno::TIMEDOUT), ClientErrorKind::Unreachable);
        assert_eq!(errno(Errno::CONNREFUSED), ClientErrorKind::Refused);
    }

    #[test]
    fn each_client_has_its_own_kind_of_address() {
        let options = ConnectOptions::default();
        let error = stream(&"udp://127.0.0.1:1".parse().unwrap(), &options).err().unwrap();
        assert_eq!(error.kind(), &ClientErrorKind::WrongSocket);
    }
}
