//! An address of `--listen`, with what may follow it.

use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use crate::address::Address;
use crate::os::multicast::Interface;

/// An address to listen at, as it was named: `udp://239.1.2.3:9999?if=10.0.0.1` names an interface too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Listen {
    pub(super) address: Address,
    interface: Option<Interface>,
}

impl Listen {
    /// A group and where it is joined, if that was said.
    pub(super) fn on_interface(&self) -> Option<(IpAddr, Interface)> {
        Some((self.address.socket_addr()?.ip(), self.interface.clone()?))
    }
}

impl From<Address> for Listen {
    fn from(address: Address) -> Self {
        Self { address, interface: None }
    }
}

impl FromStr for Listen {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let query = if text.starts_with("udp://") { text.split_once('?') } else { None };
        let (address, query) = query.map_or((text, None), |(address, query)| (address, Some(query)));
        let address = address.parse::<Address>().map_err(|error| error.why().to_owned())?;
        let is_group = address.socket_addr().is_some_and(|addr| addr.ip().is_multicast());
        if is_group && matches!(address, Address::Tcp(_)) {
            return Err("a multicast group has no TCP; write udp://".to_owned());
        }
        let interface = match query.map(|query| query.strip_prefix("if=")) {
            None => None,
            Some(None) => {
                return Err(
                    "only if=IF may follow the '?', as in udp://239.1.2.3:9999?if=10.0.0.1".to_owned()
                );
            }
            Some(Some(_)) if !is_group => {
                return Err(
                    "it is no multicast group, which alone is joined on an interface; leave '?if=' out"
                        .to_owned(),
                );
            }
            Some(Some(text)) => Some(text.parse::<Interface>()?),
        };
        match (&address, &interface) {
            (Address::Udp(SocketAddr::V6(_)), Some(Interface::Address(_))) => {
                Err("a group of IPv6 takes an interface by name or number, as in ?if=eth0".to_owned())
            }
            _ => Ok(Self { address, interface }),
        }
    }
}
