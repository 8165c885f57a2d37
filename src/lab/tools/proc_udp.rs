//! What only the kernel's table knows of a UDP socket: how many datagrams it threw away (proc_net(5), /proc/net/udp).

use std::fs;
use std::io;
use std::net::{IpAddr, SocketAddr};

/// How many datagrams for the socket bound to `local` were dropped since it exists. IPv4.
///
/// # Errors
/// The table cannot be read, or has no such socket.
pub fn drops(local: SocketAddr) -> io::Result<u64> {
    let table = fs::read_to_string("/proc/net/udp")?;
    let wanted = in_the_table(local).ok_or(io::ErrorKind::InvalidInput)?;
    let row = table.lines().find(|line| line.split_whitespace().nth(1) == Some(&wanted));
    let drops = row.and_then(|row| row.split_whitespace().last()?.parse().ok());
    drops.ok_or_else(|| {
        io::Error::new(io::ErrorKind::NotFound, format!("no drops of {local} in /proc/net/udp"))
    })
}

/// As the kernel writes it: the address is a number in the machine's own byte order, the port is not.
pub(super) fn in_the_table(address: SocketAddr) -> Option<String> {
    let IpAddr::V4(ip) = address.ip() else { return None };
    Some(format!("{:08X}:{:04X}", u32::from_ne_bytes(ip.octets()), address.port()))
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use super::*;

    #[test]
    fn a_socket_is_found_in_the_table() {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let local = socket.local_addr().unwrap();
        assert_eq!(drops(local).unwrap(), 0);
        let row = in_the_table("127.0.0.1:53".parse().unwrap()).unwrap();
        assert!(row.ends_with(":0035"), "{row}");
    }
}
