//! How many connections each address has, where that is limited. Without a limit none of this exists.

use std::collections::HashMap;
use std::net::IpAddr;

use crate::address::Address;

/// One address of IPv4, or the 64 bits of IPv6 that a site is given as one: whoever has one of these addresses has all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Site {
    V4([u8; 4]),
    V6([u8; 8]),
}

impl Site {
    /// `None` for a peer that is not on the network.
    fn of(address: &Address) -> Option<Self> {
        let Address::Tcp(addr) = address else { return None };
        Some(match addr.ip().to_canonical() {
            IpAddr::V4(ip) => Self::V4(ip.octets()),
            IpAddr::V6(ip) => {
                let [a, b, c, d, e, f, g, h, ..] = ip.octets();
                Self::V6([a, b, c, d, e, f, g, h])
            }
        })
    }
}

/// Connections by where they come from.
#[derive(Debug, Default)]
pub(crate) struct Addresses {
    max: usize,
    counts: HashMap<Site, usize>,
    /// Whose connection each is, by a number of the driver's: a connection that is gone has no address any more.
    sites: HashMap<u64, Site>,
}

impl Addresses {
    /// For at most `max` connections each.
    pub(crate) fn new(max: usize) -> Self {
        Self { max, ..Self::default() }
    }

    /// Whether there may be one more of this address.
    pub(crate) fn has_room(&self, address: &Address) -> bool {
        let count = Site::of(address).and_then(|site| self.counts.get(&site));
        count.is_none_or(|count| *count < self.max)
    }

    /// The connection `number` has begun.
    pub(crate) fn enter(&mut self, number: u64, address: &Address) {
        if let Some(site) = Site::of(address) {
            *self.counts.entry(site).or_default() += 1;
            self.sites.insert(number, site);
        }
    }

    /// The connection `number` has ended.
    pub(crate) fn leave(&mut self, number: u64) {
        let Some(site) = self.sites.remove(&number) else { return };
        if let Some(count) = self.counts.get_mut(&site) {
            *count -= 1;
            if *count == 0 {
                self.counts.remove(&site);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_address_of_ipv4_and_each_64_bits_of_ipv6_are_counted_by_themselves() {
        let mut addresses = Addresses::new(1);
        let at = |text: &str| text.parse::<Address>().unwrap();
        for (number, taken, same, other) in [
            (1, "tcp://127.0.0.1:1", "tcp://127.0.0.1:2", "tcp://127.0.0.2:1"),
            (2, "tcp://[2001:db8::1]:1", "tcp://[2001:db8::ffff:0:0:1]:1", "tcp://[2001:db8:0:1::1]:1"),
            (3, "tcp://10.0.0.1:1", "tcp://[::ffff:10.0.0.1]:1", "tcp://[::ffff:10.0.0.2]:1"),
        ] {
            assert!(addresses.has_room(&at(taken)));
            addresses.enter(number, &at(taken));
            assert!(!addresses.has_room(&at(same)) && addresses.has_room(&at(other)), "{taken}");
        }
        for number in 1..=3 {
            addresses.leave(number);
        }
        assert!(addresses.counts.is_empty() && addresses.sites.is_empty());
    }

    #[test]
    fn who_is_not_on_the_network_is_not_counted() {
        let mut addresses = Addresses::new(1);
        let unix = "unix:/a".parse().unwrap();
        for number in 0..3 {
            assert!(addresses.has_room(&unix));
            addresses.enter(number, &unix);
        }
        addresses.leave(0);
    }
}
