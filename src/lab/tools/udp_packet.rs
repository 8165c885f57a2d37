//! UDP datagrams made by hand, to send what no UDP socket would: one whose checksum is wrong. Needs CAP_NET_RAW.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use socket2::{Domain, Protocol, Socket, Type};

/// IANA's number of UDP.
const UDP: u16 = 17;
/// Source port, destination port, length, checksum: RFC 768.
const HEADER: usize = 8;

/// Sends `payload` from port 9 to `to`, over the loopback, with its checksum right or wrong.
///
/// # Errors
/// EPERM without CAP_NET_RAW; those of sendto(2).
pub fn send(to: SocketAddr, payload: &[u8], is_right: bool) -> io::Result<()> {
    let raw = Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::UDP))?;
    raw.send_to(&packet(to.port(), payload, is_right)?, &SocketAddr::new(to.ip(), 0).into())?;
    Ok(())
}

fn packet(port: u16, payload: &[u8], is_right: bool) -> io::Result<Vec<u8>> {
    const DISCARD: u16 = 9;
    let length = u16::try_from(HEADER + payload.len()).map_err(io::Error::other)?;
    let mut packet = Vec::new();
    for field in [DISCARD, port, length, 0] {
        packet.extend(field.to_be_bytes());
    }
    packet.extend(payload);
    let right = checksum(&packet, length);
    // 0 would mean that there is none.
    let sent = if is_right { right } else { right.checked_add(1).unwrap_or(1) };
    packet[6..HEADER].copy_from_slice(&sent.to_be_bytes());
    Ok(packet)
}

/// The ones' complement sum over the packet and what RFC 768 puts before it: both addresses, the protocol and the length.
fn checksum(packet: &[u8], length: u16) -> u16 {
    let loopback = Ipv4Addr::LOCALHOST.octets();
    let before =
        [loopback, loopback].concat().into_iter().chain(UDP.to_be_bytes()).chain(length.to_be_bytes());
    let all: Vec<u8> = before.chain(packet.iter().copied()).collect();
    let sum = all.chunks(2).fold(0u32, |sum, pair| {
        let word = u16::from_be_bytes([pair[0], pair.get(1).copied().unwrap_or(0)]);
        let sum = sum + u32::from(word);
        (sum & 0xffff) + (sum >> 16)
    });
    match !u16::try_from(sum).expect("folded to 16 bits") {
        0 => u16::MAX,
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_sums_up_to_nothing_if_its_checksum_is_right() {
        for (is_right, claimed) in [(true, u16::MAX), (false, u16::MAX - 1)] {
            let packet = packet(53, b"abc", is_right).unwrap();
            assert_eq!(packet.len(), 11);
            assert_eq!(
                checksum(&packet, 11),
                claimed,
                "the sum over a packet with its checksum is 0, which is written as 0xffff"
            );
        }
    }
}
