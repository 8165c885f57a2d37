//! What waits in a UDP socket's queue as the kernel counts it: memory, not bytes or datagrams (proc_net(5), /proc/net/udp).

use std::fs;
use std::io;

use socket2::Socket;

use super::{net, wait};

/// Waits until `count` datagrams are queued, all of one size, if the first is already queued and alone.
///
/// The kernel tells nobody how many there are. It does tell how much memory they take, and those of one size take the same.
///
/// # Errors
/// They did not arrive before the deadline; the table cannot be read.
pub fn times_what_is_there(
    socket: &Socket,
    count: u64,
    send: impl FnOnce() -> io::Result<()>,
) -> io::Result<()> {
    let one = memory(socket)?;
    send()?;
    wait::until("the datagrams did not arrive", || Ok(memory(socket)? >= one * count))
}

/// What the table has of the socket: `sl local_address rem_address st tx_queue:rx_queue ...`, in hexadecimal. IPv4.
fn memory(socket: &Socket) -> io::Result<u64> {
    let port = format!(":{:04X}", net::address(socket)?.port());
    let table = fs::read_to_string("/proc/net/udp")?;
    let mut rows = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let row = rows.find(|words| words.get(1).is_some_and(|local| local.ends_with(&port)));
    let queue = row.and_then(|words| u64::from_str_radix(words.get(4)?.split_once(':')?.1, 16).ok());
    queue.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "the socket is not in /proc/net/udp"))
}
