//! TIME_WAIT: how long it has to go, and whether this network has room for it at all.

use std::fs;
use std::io;
use std::net::SocketAddr;

use super::super::notebook::Stop;
use super::proc_udp::in_the_table;

/// include/net/tcp_states.h, as the table has it.
const TIME_WAIT: &str = "06";

/// In how many hundredths of a second the TIME_WAIT from `local` to `remote` ends; nothing where there is none.
///
/// # Errors
/// The table cannot be read.
pub fn remaining(local: SocketAddr, remote: SocketAddr) -> io::Result<Option<u64>> {
    let (Some(local), Some(remote)) = (in_the_table(local), in_the_table(remote)) else { return Ok(None) };
    let table = fs::read_to_string("/proc/net/tcp")?;
    // sl local remote st queues tr:when ...; of a TIME_WAIT tr is 3.
    let left = table.lines().find_map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let is_it = words.get(1..4) == Some(&[local.as_str(), remote.as_str(), TIME_WAIT]);
        words.get(5).filter(|_| is_it)?.strip_prefix("03:")
    });
    Ok(left.and_then(|left| u64::from_str_radix(left, 16).ok()))
}

/// How often a TIME_WAIT was left out because there were net.ipv4.tcp_max_tw_buckets of them: TCPTimeWaitOverflow, as nstat(8) has it.
///
/// # Errors
/// The table cannot be read.
pub fn overflows() -> io::Result<u64> {
    let table = fs::read_to_string("/proc/net/netstat")?;
    let mut rows = table.lines().filter(|line| line.starts_with("TcpExt:"));
    let (names, values) = (rows.next().unwrap_or_default(), rows.next().unwrap_or_default());
    let at = names.split_whitespace().position(|name| name == "TCPTimeWaitOverflow");
    Ok(at.and_then(|at| values.split_whitespace().nth(at)?.parse().ok()).unwrap_or(0))
}

/// Ends the experiment where TIME_WAITs were left out since there were `before` overflows: after a load test in the same network.
///
/// # Errors
/// A skip; or the table cannot be read.
pub fn skip_if_exhausted(before: u64) -> Result<(), Stop> {
    if overflows()? > before {
        return Err(Stop::skip(
            "net.ipv4.tcp_max_tw_buckets is exhausted in this network: no TIME_WAIT is kept",
        ));
    }
    Ok(())
}
