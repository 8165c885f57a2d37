//! What the kernel has dropped for want of room, from /proc/net/udp (udp(7), proc_net(5)).

use std::fs;

/// Drops of the socket with this inode; `None` where the system does not say.
pub(super) fn read(inode: u64, is_v6: bool) -> Option<u64> {
    let path = if is_v6 { "/proc/net/udp6" } else { "/proc/net/udp" };
    find(&fs::read_to_string(path).ok()?, inode)
}

/// The tenth column is the inode and the last one the drops.
fn find(table: &str, inode: u64) -> Option<u64> {
    table.lines().skip(1).find_map(|line| {
        let mut columns = line.split_ascii_whitespace();
        let found: u64 = columns.nth(9)?.parse().ok()?;
        if found != inode {
            return None;
        }
        columns.next_back()?.parse().ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_of_the_socket_is_found() {
        let table = "   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops\n\
            123: 0100007F:270F 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 4711 2 0000000000000000 17\n\
            124: 0100007F:2710 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 4712 2 0000000000000000 0\n";
        assert_eq!(find(table, 4711), Some(17));
        assert_eq!(find(table, 4712), Some(0));
        assert_eq!(find(table, 4713), None);
    }
}
