//! The kernel's counters of what it dropped, read before and after a run.
//!
//! They belong to the network namespace, not to a process: what others do meanwhile is counted too.

use std::fs;
use std::path::Path;

/// What is counted, as the kernel names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Counter {
    /// Handshakes that ended while the accept queue was full.
    ListenOverflows,
    /// The same, and those that ended for want of memory.
    ListenDrops,
    /// SYNs dropped because the handshake queue was full.
    ReqQFullDrop,
    /// SYNs answered with a cookie because it was full.
    ReqQFullDoCookies,
    /// Connections forgotten instead of kept in TIME_WAIT.
    TimeWaitOverflow,
    /// Connections ended for want of memory.
    AbortOnMemory,
    /// How often the kernel began to save memory for TCP.
    MemoryPressures,
    /// Received segments thrown away for want of room in a receive buffer.
    RcvPruned,
    /// Segments dropped because a socket was busy and its backlog full.
    BacklogDrop,
    /// Attempts to connect that failed.
    AttemptFails,
    /// Connections that were reset.
    EstabResets,
    /// Segments sent.
    OutSegs,
    /// Segments sent again.
    RetransSegs,
    /// Datagrams that could not be delivered to their socket.
    UdpInErrors,
    /// Those of them for which the receive buffer was full.
    UdpRcvbufErrors,
    /// Datagrams that could not be sent for want of room.
    UdpSndbufErrors,
    /// Those that came damaged.
    UdpInCsumErrors,
    /// Those for which all UDP sockets together had too much memory.
    UdpMemErrors,
    /// Datagrams for a port where nobody listens.
    UdpNoPorts,
    /// Packets dropped because a processor's queue was full.
    BacklogFull,
    /// Connections the firewall could not follow because its table was full.
    ConntrackDrop,
}

/// A counter and where it is: the table and the name in /proc/net/netstat and snmp, and the name in snmp6.
const PLACES: [(Counter, &str, &str, &str); COUNT] = [
    (Counter::ListenOverflows, "TcpExt", "ListenOverflows", ""),
    (Counter::ListenDrops, "TcpExt", "ListenDrops", ""),
    (Counter::ReqQFullDrop, "TcpExt", "TCPReqQFullDrop", ""),
    (Counter::ReqQFullDoCookies, "TcpExt", "TCPReqQFullDoCookies", ""),
    (Counter::TimeWaitOverflow, "TcpExt", "TCPTimeWaitOverflow", ""),
    (Counter::AbortOnMemory, "TcpExt", "TCPAbortOnMemory", ""),
    (Counter::MemoryPressures, "TcpExt", "TCPMemoryPressures", ""),
    (Counter::RcvPruned, "TcpExt", "RcvPruned", ""),
    (Counter::BacklogDrop, "TcpExt", "TCPBacklogDrop", ""),
    (Counter::AttemptFails, "Tcp", "AttemptFails", ""),
    (Counter::EstabResets, "Tcp", "EstabResets", ""),
    (Counter::OutSegs, "Tcp", "OutSegs", ""),
    (Counter::RetransSegs, "Tcp", "RetransSegs", ""),
    (Counter::UdpInErrors, "Udp", "InErrors", "Udp6InErrors"),
    (Counter::UdpRcvbufErrors, "Udp", "RcvbufErrors", "Udp6RcvbufErrors"),
    (Counter::UdpSndbufErrors, "Udp", "SndbufErrors", "Udp6SndbufErrors"),
    (Counter::UdpInCsumErrors, "Udp", "InCsumErrors", "Udp6InCsumErrors"),
    (Counter::UdpMemErrors, "Udp", "MemErrors", "Udp6MemErrors"),
    (Counter::UdpNoPorts, "Udp", "NoPorts", "Udp6NoPorts"),
    (Counter::BacklogFull, "", "", ""),
    (Counter::ConntrackDrop, "", "", ""),
];

const COUNT: usize = Counter::ConntrackDrop as usize + 1;

/// Columns of /proc/net/stat/nf_conntrack that count connections not followed.
const CONNTRACK_DROPS: [&str; 3] = ["insert_failed", "drop", "early_drop"];

/// The kernel's counters at one moment, and the settings that explain them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counters {
    /// In the order of [`Counter`]. What a kernel has not got is `None`.
    values: [Option<u64>; COUNT],
    /// net.core.somaxconn.
    pub(super) somaxconn: Option<u64>,
    /// net.core.netdev_max_backlog.
    pub(super) netdev_backlog: Option<u64>,
}

impl Counters {
    /// Those of this machine: `/` is the root. Another root serves tests. What is not there is unknown.
    #[must_use]
    pub fn read(root: &Path) -> Self {
        let text = |path: &str| fs::read_to_string(root.join(path)).unwrap_or_default();
        let setting = |path: &str| text(path).trim().parse().ok();
        let mut counters = Self::parse(&[text("proc/net/netstat"), text("proc/net/snmp")].concat());
        counters.add_v6(&text("proc/net/snmp6"));
        counters.set(Counter::BacklogFull, softnet_drops(&text("proc/net/softnet_stat")));
        counters.set(Counter::ConntrackDrop, conntrack_drops(&text("proc/net/stat/nf_conntrack")));
        counters.somaxconn = setting("proc/sys/net/core/somaxconn");
        counters.netdev_backlog = setting("proc/sys/net/core/netdev_max_backlog");
        counters
    }

    /// Reads pairs of lines, names and values, each with the name of its table. A table may have several pairs.
    pub(super) fn parse(text: &str) -> Self {
        let mut counters = Self::default();
        let mut lines = text.lines().peekable();
        while let Some(line) = lines.next() {
            let Some((table, names)) = line.split_once(':') else { continue };
            let values = lines.peek().and_then(|next| next.strip_prefix(table)?.strip_prefix(':'));
            let Some(values) = values else { continue };
            for (name, value) in names.split_whitespace().zip(values.split_whitespace()) {
                let place = PLACES.iter().find(|place| place.1 == table && place.2 == name);
                if let Some((counter, ..)) = place {
                    counters.set(*counter, value.parse().ok());
                }
            }
            lines.next();
        }
        counters
    }

    /// Reads a counter for each line, and adds it to that of IPv4. TCP counts both together.
    pub(super) fn add_v6(&mut self, text: &str) {
        for line in text.lines() {
            let mut words = line.split_whitespace();
            let (Some(name), Some(value)) =
                (words.next(), words.next().and_then(|word| word.parse::<u64>().ok()))
            else {
                continue;
            };
            if let Some((counter, ..)) = PLACES.iter().find(|place| place.3 == name) {
                let sum = self.of(*counter).unwrap_or(0).wrapping_add(value);
                self.set(*counter, Some(sum));
            }
        }
    }

    /// What a counter says; `None` when this kernel has not got it.
    #[must_use]
    pub const fn of(&self, counter: Counter) -> Option<u64> {
        self.values[counter as usize]
    }

    pub(super) const fn set(&mut self, counter: Counter, value: Option<u64>) {
        self.values[counter as usize] = value;
    }

    /// How much a counter has grown since `before`; 0 when either is unknown.
    #[must_use]
    pub fn since(&self, before: &Self, counter: Counter) -> u64 {
        match (before.of(counter), self.of(counter)) {
            (Some(before), Some(after)) => grown(before, after),
            _ => 0,
        }
    }
}

/// 32-bit kernels count in 32 bits and begin again at 0. Any other counter that has fallen has been reset.
fn grown(before: u64, after: u64) -> u64 {
    const WRAP: u64 = 1 << 32;
    match after.checked_sub(before) {
        Some(by) => by,
        None if before < WRAP && before > WRAP / 2 && after < WRAP / 2 => WRAP - before + after,
        None => 0,
    }
}

/// The second column, hexadecimal, of each processor.
fn softnet_drops(text: &str) -> Option<u64> {
    let drops = text.lines().filter_map(|line| u64::from_str_radix(line.split_whitespace().nth(1)?, 16).ok());
    drops.reduce(u64::wrapping_add)
}

/// Columns with names in the first line, hexadecimal, a line for each processor.
fn conntrack_drops(text: &str) -> Option<u64> {
    let mut lines = text.lines();
    let columns: Vec<usize> = lines
        .next()?
        .split_whitespace()
        .enumerate()
        .filter(|(_, name)| CONNTRACK_DROPS.contains(name))
        .map(|(at, _)| at)
        .collect();
    let values = lines.flat_map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let value = |at: &usize| u64::from_str_radix(words.get(*at)?, 16).ok();
        columns.iter().filter_map(value).collect::<Vec<_>>()
    });
    values.reduce(u64::wrapping_add)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEW: &str = "\
TcpExt: SyncookiesSent ListenOverflows ListenDrops TCPTimeWaitOverflow TCPReqQFullDoCookies TCPReqQFullDrop
TcpExt: 0 12 15 3 4 5
IpExt: InNoRoutes
IpExt: 0
Tcp: RtoAlgorithm MaxConn AttemptFails EstabResets OutSegs RetransSegs
Tcp: 1 -1 182 77 317793846 6560
Udp: InDatagrams NoPorts InErrors OutDatagrams RcvbufErrors
Udp: 202336056 3497 1940608 179583144 1940600
";

    #[test]
    fn counters_are_found_by_name() {
        let counters = Counters::parse(NEW);
        for (counter, value) in [
            (Counter::ListenOverflows, Some(12)),
            (Counter::ListenDrops, Some(15)),
            (Counter::ReqQFullDrop, Some(5)),
            (Counter::AttemptFails, Some(182)),
            (Counter::UdpNoPorts, Some(3_497)),
            (Counter::UdpRcvbufErrors, Some(1_940_600)),
            (Counter::UdpMemErrors, None),
            (Counter::AbortOnMemory, None),
        ] {
            assert_eq!(counters.of(counter), value, "{counter:?}");
        }
    }

    #[test]
    fn every_counter_has_its_place() {
        for (at, place) in PLACES.iter().enumerate() {
            assert_eq!(place.0 as usize, at);
        }
    }

    #[test]
    fn a_table_may_go_on_in_further_lines() {
        let counters = Counters::parse(
            "TcpExt: ListenOverflows\nTcpExt: 1\nTcpExt: ListenDrops TCPBacklogDrop\nTcpExt: 2\nTcpExt: RcvPruned\n",
        );
        assert_eq!(counters.of(Counter::ListenOverflows), Some(1));
        assert_eq!(counters.of(Counter::ListenDrops), Some(2));
        assert_eq!(counters.of(Counter::BacklogDrop), None, "a name without a value");
        assert_eq!(counters.of(Counter::RcvPruned), None, "names without values");
    }

    #[test]
    fn nonsense_is_unknown() {
        for text in
            ["", "x", "TcpExt:\n", "TcpExt: ListenDrops\nOther: 1\n", "TcpExt: ListenDrops\nTcpExt: -1\n"]
        {
            assert_eq!(Counters::parse(text), Counters::default(), "{text}");
        }
    }

    #[test]
    fn datagrams_over_ipv6_count_too() {
        let mut counters = Counters::parse(NEW);
        counters
            .add_v6("Ip6InReceives   \t17189\nUdp6RcvbufErrors   \t11\nUdp6MemErrors\t2\nUdp6NoPorts\tx\n");
        assert_eq!(counters.of(Counter::UdpRcvbufErrors), Some(1_940_611));
        assert_eq!(counters.of(Counter::UdpMemErrors), Some(2));
    }

    #[test]
    fn processors_are_added_up() {
        assert_eq!(softnet_drops("00000001 0000000a 00000000\n00000001 00000001 0\n"), Some(11));
        assert_eq!(softnet_drops(""), None);
        let text = "entries  searched insert_failed drop early_drop icmp\n00000000  01 0000000b 00000001 00000000 5\n\
                    00000000  01 00000001 00000001 00000002 5\n";
        assert_eq!(conntrack_drops(text), Some(16));
        assert_eq!(conntrack_drops("entries\n0\n"), None);
    }

    #[test]
    fn a_counter_that_wrapped_has_grown_and_one_that_was_reset_has_not() {
        assert_eq!(grown(5, 7), 2);
        assert_eq!(grown(u64::from(u32::MAX), 1), 2);
        assert_eq!(grown(1_000, 1), 0);
        assert_eq!(grown(1 << 40, 1), 0);
    }

    #[test]
    fn this_machine_has_counters() {
        let counters = Counters::read(Path::new("/"));
        if cfg!(target_os = "linux") {
            assert!(counters.of(Counter::ListenOverflows).is_some(), "{counters:?}");
        }
    }
}
