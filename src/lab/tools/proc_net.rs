//! A connection as the kernel has it: its state, and what waits in its two queues (proc_net(5), /proc/net/tcp).

use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};

/// A row of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// As ss(8) has it, with underscores: `ESTABLISHED`, `CLOSE_WAIT`.
    pub state: &'static str,
    /// Bytes that the peer has not acknowledged. Of a listener: nothing.
    pub send_queue: u64,
    /// Bytes that the program has not read. Of a listener: connections that wait to be accepted.
    pub receive_queue: u64,
}

/// include/net/tcp_states.h, from 1 on.
const STATES: [&str; 12] = [
    "ESTABLISHED",
    "SYN_SENT",
    "SYN_RECV",
    "FIN_WAIT1",
    "FIN_WAIT2",
    "TIME_WAIT",
    "CLOSE",
    "CLOSE_WAIT",
    "LAST_ACK",
    "LISTEN",
    "CLOSING",
    "NEW_SYN_RECV",
];

/// The connection from `local` to `remote` as its `local` end is; `None` when there is none. IPv4.
///
/// # Errors
/// The table cannot be read.
pub fn tcp(local: SocketAddr, remote: SocketAddr) -> io::Result<Option<Row>> {
    Ok(rows()?.into_iter().find(|(from, to, _)| *from == local && *to == remote).map(|(_, _, row)| row))
}

/// The state alone; `gone` when there is no such connection.
///
/// # Errors
/// The table cannot be read.
pub fn state(local: SocketAddr, remote: SocketAddr) -> io::Result<&'static str> {
    Ok(tcp(local, remote)?.map_or("gone", |row| row.state))
}

/// The socket that listens at `local`.
///
/// # Errors
/// The table cannot be read.
pub fn listener(local: SocketAddr) -> io::Result<Option<Row>> {
    let found = rows()?.into_iter().find(|(at, _, row)| *at == local && row.state == "LISTEN");
    Ok(found.map(|(_, _, row)| row))
}

fn rows() -> io::Result<Vec<(SocketAddr, SocketAddr, Row)>> {
    let table = fs::read_to_string("/proc/net/tcp")?;
    Ok(table.lines().skip(1).filter_map(parse).collect())
}

/// `sl local_address rem_address st tx_queue:rx_queue ...`, everything in hexadecimal.
fn parse(line: &str) -> Option<(SocketAddr, SocketAddr, Row)> {
    let mut words = line.split_whitespace().skip(1);
    let (local, remote) = (address(words.next()?)?, address(words.next()?)?);
    let state = usize::from_str_radix(words.next()?, 16).ok()?;
    let (send, receive) = words.next()?.split_once(':')?;
    let row = Row {
        state: STATES.get(state.checked_sub(1)?)?,
        send_queue: u64::from_str_radix(send, 16).ok()?,
        receive_queue: u64::from_str_radix(receive, 16).ok()?,
    };
    Some((local, remote, row))
}

/// The address is a number in the machine's own byte order, the port is not.
fn address(text: &str) -> Option<SocketAddr> {
    let (ip, port) = text.split_once(':')?;
    let ip = Ipv4Addr::from(u32::from_str_radix(ip, 16).ok()?.to_ne_bytes());
    Some(SocketAddrV4::new(ip, u16::from_str_radix(port, 16).ok()?).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_endian = "little")]
    fn a_row_is_read_as_the_kernel_writes_it() {
        let line =
            "   1: 0100007F:1F90 0100007F:C350 08 0000000A:00000004 00:00000000 00000000     0        0 1 1";
        let (local, remote, row) = parse(line).unwrap();
        assert_eq!(
            (local.to_string(), remote.to_string()),
            ("127.0.0.1:8080".into(), "127.0.0.1:50000".into())
        );
        assert_eq!(row, Row { state: "CLOSE_WAIT", send_queue: 10, receive_queue: 4 });
    }
}
