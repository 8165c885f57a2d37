//! `--source`: a network, a range, or one address.

use std::net::IpAddr;

use crate::load::Sources;

const EXPECTED: &str = "expected numeric addresses, as in 127.0.0.0/24, 127.0.0.1-127.0.0.9 or 10.0.0.1";

/// Parses `ADDR/BITS`, `ADDR-ADDR` or `ADDR`.
pub(super) fn parse(text: &str) -> Result<Sources, String> {
    let sources = if let Some((network, bits)) = text.split_once('/') {
        of_network(network, bits)?
    } else if let Some((first, last)) = text.split_once('-') {
        of_range(address(first)?, address(last)?)?
    } else {
        Sources { first: address(text)?, count: 1 }
    };
    if sources.first.is_unspecified() || sources.first.is_multicast() {
        return Err(format!("{} is no address to connect from; {EXPECTED}", sources.first));
    }
    Ok(sources)
}

fn address(text: &str) -> Result<IpAddr, String> {
    text.parse().map_err(|_| EXPECTED.to_owned())
}

/// Addresses as numbers, and of how many bits.
fn number(address: IpAddr) -> (u128, u32) {
    match address {
        IpAddr::V4(address) => (u128::from(u32::from(address)), 32),
        IpAddr::V6(address) => (u128::from(address), 128),
    }
}

/// The address `step` behind `first`, of the same family.
fn behind(first: IpAddr, step: u128) -> IpAddr {
    Sources { first, count: step + 1 }.of(usize::try_from(step).unwrap_or(0))
}

fn of_network(network: &str, bits: &str) -> Result<Sources, String> {
    let network = address(network)?;
    let (number, width) = number(network);
    let is_digits = !bits.is_empty() && bits.bytes().all(|byte| byte.is_ascii_digit());
    let bits = bits.parse::<u32>().ok().filter(|bits| is_digits && (1..=width).contains(bits));
    let Some(bits) = bits else {
        return Err(format!("expected a prefix of 1 to {width} bits, as in 127.0.0.0/24"));
    };
    let all = 1_u128 << (width - bits);
    if number % all != 0 {
        return Err(format!(
            "{network}/{bits} is an address in a network, not the network; write {network}-LAST, or the network's \
             first address"
        ));
    }
    // An IPv4 network's first and last address are its own and its broadcast's; an IPv6 network's first is its
    // routers' (RFC 4291, 2.6.1).
    let (skipped, left) = match (width, all) {
        (_, 1 | 2) => (0, all),
        (32, _) => (1, all - 2),
        _ => (1, all - 1),
    };
    Ok(Sources { first: behind(network, skipped), count: left })
}

fn of_range(first: IpAddr, last: IpAddr) -> Result<Sources, String> {
    if first.is_ipv4() != last.is_ipv4() {
        return Err("both ends must be IPv4, or both IPv6".to_owned());
    }
    let steps = number(last).0.checked_sub(number(first).0);
    let steps = steps.ok_or("the last address comes before the first; write the smaller one first")?;
    Ok(Sources { first, count: steps.saturating_add(1) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_ranges_and_single_addresses() {
        for (text, first, count) in [
            ("127.0.0.1", "127.0.0.1", 1),
            ("127.0.0.1-127.0.0.9", "127.0.0.1", 9),
            ("127.0.0.5-127.0.0.5", "127.0.0.5", 1),
            ("127.0.0.0/24", "127.0.0.1", 254),
            ("127.0.0.0/8", "127.0.0.1", (1 << 24) - 2),
            ("127.0.0.2/31", "127.0.0.2", 2),
            ("127.0.0.2/32", "127.0.0.2", 1),
            ("fd00::/64", "fd00::1", (1 << 64) - 1),
            ("8000::/1", "8000::1", (1 << 127) - 1),
            ("fd00::2/128", "fd00::2", 1),
            ("fd00::1-fd00::ff", "fd00::1", 255),
        ] {
            assert_eq!(parse(text), Ok(Sources { first: first.parse().unwrap(), count }), "{text}");
        }
    }

    #[test]
    fn what_is_none_is_refused() {
        for (text, expected) in [
            ("", "127.0.0.0/24"),
            ("localhost", "127.0.0.0/24"),
            ("127.0.0.1:80", "127.0.0.0/24"),
            ("127.0.0.1-9", "127.0.0.0/24"),
            ("127.0.0.0/", "1 to 32"),
            ("127.0.0.0/0", "1 to 32"),
            ("127.0.0.0/33", "1 to 32"),
            ("127.0.0.0/+8", "1 to 32"),
            ("fd00::/129", "1 to 128"),
            ("127.0.0.5/24", "not the network"),
            ("127.0.0.9-127.0.0.1", "smaller one first"),
            ("127.0.0.1-::1", "both IPv6"),
            ("0.0.0.0", "no address to connect from"),
            ("224.0.0.0/4", "no address to connect from"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
