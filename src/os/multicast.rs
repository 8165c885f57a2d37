//! Groups (ip(7), ipv6(7)): which interface a socket joins one on, or sends to one through.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::str::FromStr;

use socket2::{InterfaceIndexOrAddress, Socket};

/// The longest name of an interface: `IFNAMSIZ` is 16, one of them for a zero (netdevice(7)).
const MAX_NAME: usize = 15;

/// A network interface.
///
/// ```
/// use oneloop::os::multicast::Interface;
///
/// assert_eq!("eth0".parse(), Ok(Interface::Name("eth0".to_owned())));
/// assert_eq!("10.0.0.1".parse(), Ok(Interface::Address([10, 0, 0, 1].into())));
/// assert_eq!("2".parse(), Ok(Interface::Index(2)));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Interface {
    /// The one that has this address; for groups of IPv4 only.
    Address(Ipv4Addr),
    /// By its number, from 1 on.
    Index(u32),
    /// By its name.
    Name(String),
}

impl FromStr for Interface {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Ok(address) = text.parse() {
            return Ok(Self::Address(address));
        }
        if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
            return match text.parse() {
                Ok(index) if index > 0 => Ok(Self::Index(index)),
                _ => Err("the number of an interface is from 1 to 4294967295; `ip link` shows it"),
            };
        }
        let plain = text.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'/' | b':'));
        if plain && (1..=MAX_NAME).contains(&text.len()) {
            return Ok(Self::Name(text.to_owned()));
        }
        Err("expected an interface by its IPv4 address, name or number, as in 10.0.0.1, eth0 or 2")
    }
}

impl fmt::Display for Interface {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.fmt(f),
            Self::Index(index) => index.fmt(f),
            Self::Name(name) => f.write_str(name),
        }
    }
}

impl Interface {
    /// # Errors
    /// It has no number: it is an address, or there is no interface of this name.
    fn index(&self, socket: &Socket) -> io::Result<u32> {
        match self {
            Self::Index(index) => Ok(*index),
            Self::Name(name) => name_to_index(socket, name),
            Self::Address(_) => Err(io::Error::other(
                "a group of IPv6 takes an interface by name or number; `ip link` shows both",
            )),
        }
    }
}

#[cfg(target_os = "linux")]
fn name_to_index(socket: &Socket, name: &str) -> io::Result<u32> {
    rustix::net::netdevice::name_to_index(socket, name).map_err(|_| {
        io::Error::other(format!("there is no interface '{name}'; `ip link` shows those there are"))
    })
}

#[cfg(not(target_os = "linux"))]
fn name_to_index(_socket: &Socket, _name: &str) -> io::Result<u32> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "interfaces have names on Linux only; use the number"))
}

/// The address to bind for a group: one whose scope is an interface (RFC 4291, section 2.7) has its number in it.
pub(super) fn scoped(
    socket: &Socket,
    group: SocketAddr,
    interface: Option<&Interface>,
) -> io::Result<SocketAddr> {
    match (group, interface) {
        (SocketAddr::V6(mut group), Some(interface)) => {
            group.set_scope_id(interface.index(socket)?);
            Ok(group.into())
        }
        _ => Ok(group),
    }
}

/// Joins a group on an interface, or on the one the routes name.
pub(super) fn join(socket: &Socket, group: SocketAddr, interface: Option<&Interface>) -> io::Result<()> {
    let joined = match (group, interface) {
        (SocketAddr::V4(group), None | Some(Interface::Address(_))) => {
            let address = match interface {
                Some(Interface::Address(address)) => *address,
                _ => Ipv4Addr::UNSPECIFIED,
            };
            socket.join_multicast_v4(group.ip(), &address)
        }
        (SocketAddr::V4(group), Some(interface)) => {
            let index = InterfaceIndexOrAddress::Index(interface.index(socket)?);
            socket.join_multicast_v4_n(group.ip(), &index)
        }
        (SocketAddr::V6(group), interface) => {
            let index = interface.map_or(Ok(group.scope_id()), |interface| interface.index(socket))?;
            socket.join_multicast_v6(group.ip(), index)
        }
    };
    joined.map_err(explained)
}

/// The system's word for an interface that is not there does not say that one has to be named.
fn explained(error: io::Error) -> io::Error {
    use rustix::io::Errno;
    match error.raw_os_error().map(Errno::from_raw_os_error) {
        Some(Errno::NODEV | Errno::ADDRNOTAVAIL) => io::Error::other(
            "no interface to join the group on; name one of `ip address`, as in udp://239.1.2.3:9999?if=10.0.0.1",
        ),
        _ => error,
    }
}

/// How datagrams to a group leave.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sending {
    /// How many routers may pass them on, plus one (IP_MULTICAST_TTL); 0 stays on this machine. Default: the system's, 1.
    pub ttl: Option<u8>,
    /// Which way. Default: as the routes say.
    pub interface: Option<Interface>,
}

impl Sending {
    /// Makes it so for the group `to`.
    ///
    /// # Errors
    /// setsockopt(2); an interface that cannot be named so for this family.
    pub fn apply(&self, socket: &Socket, to: IpAddr) -> io::Result<()> {
        if let Some(ttl) = self.ttl {
            match to {
                IpAddr::V4(_) => socket.set_multicast_ttl_v4(ttl.into())?,
                IpAddr::V6(_) => socket.set_multicast_hops_v6(ttl.into())?,
            }
        }
        match (to, &self.interface) {
            (_, None) => Ok(()),
            (IpAddr::V4(_), Some(Interface::Address(address))) => {
                socket.set_multicast_if_v4(address).map_err(explained)
            }
            (IpAddr::V4(_), Some(_)) => Err(io::Error::other(
                "a group of IPv4 is sent to through an interface named by its address; `ip address` shows them",
            )),
            (IpAddr::V6(_), Some(interface)) => {
                socket.set_multicast_if_v6(interface.index(socket)?).map_err(explained)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interface_is_an_address_a_number_or_a_name() {
        for text in ["10.0.0.1", "7", "eth0", "br-lan.5"] {
            assert_eq!(text.parse::<Interface>().unwrap().to_string(), text);
        }
        for text in ["", "0", "99999999999", "sixteen-letters-", "a b", "a/b", "::1", "ü"] {
            assert!(text.parse::<Interface>().is_err(), "{text}");
        }
    }
}
