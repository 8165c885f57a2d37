//! Which limits bit between two readings of the counters, in sentences.

use std::fmt;

use super::counters::{Counter, Counters};
use super::number::several;

/// Segments sent again are noise below this share of those sent.
const RETRANSMITTED_SHARE: u64 = 100;

/// One limit that bit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Which counter says so.
    pub counter: Counter,
    /// By how much it grew.
    pub by: u64,
    /// What happened, with the number, e.g. `the listen queue overflowed 1,204 times`.
    pub meaning: String,
    /// Why, and what to change.
    pub remedy: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.meaning, self.remedy)
    }
}

/// What the kernel dropped between two readings because a limit was reached; the first one listed matters most.
///
/// Resets, failed attempts to connect and a few segments sent again are no limits and are left out;
/// [`Counters::since`] has them.
#[must_use]
pub fn delta(before: &Counters, after: &Counters) -> Vec<Finding> {
    let grown = |counter| after.since(before, counter);
    let bitten = bites(&grown).into_iter().filter(|(_, by)| *by > 0);
    bitten
        .map(|(counter, by)| {
            let (meaning, remedy) = words(counter, by, after);
            Finding { counter, by, meaning, remedy }
        })
        .collect()
}

/// The counters that stand for a limit, and by how much it bit: what one counts that another counts too is taken off.
fn bites(grown: &impl Fn(Counter) -> u64) -> [(Counter, u64); 16] {
    use Counter as C;
    let besides = |all: C, parts: &[C]| {
        let known = parts.iter().fold(0_u64, |sum, part| sum.saturating_add(grown(*part)));
        (all, grown(all).saturating_sub(known))
    };
    let alone = |counter| (counter, grown(counter));
    let again = grown(C::RetransSegs);
    let is_noise = again.saturating_mul(RETRANSMITTED_SHARE) < grown(C::OutSegs);
    [
        alone(C::ListenOverflows),
        besides(C::ListenDrops, &[C::ListenOverflows, C::ReqQFullDrop]),
        alone(C::ReqQFullDrop),
        alone(C::ReqQFullDoCookies),
        alone(C::ConntrackDrop),
        alone(C::BacklogFull),
        alone(C::AbortOnMemory),
        alone(C::MemoryPressures),
        alone(C::RcvPruned),
        alone(C::BacklogDrop),
        alone(C::UdpRcvbufErrors),
        alone(C::UdpMemErrors),
        besides(C::UdpInErrors, &[C::UdpRcvbufErrors, C::UdpMemErrors, C::UdpInCsumErrors]),
        alone(C::UdpSndbufErrors),
        alone(C::TimeWaitOverflow),
        (C::RetransSegs, if is_noise { 0 } else { again }),
    ]
}

/// What happened, and what to change.
fn words(counter: Counter, by: u64, now: &Counters) -> (String, String) {
    let meaning = match counter {
        Counter::ListenOverflows => format!("listen queue overflowed {}", times(by)),
        Counter::ListenDrops => {
            format!("{} dropped by a listener with room in its queue", many(by, "handshake"))
        }
        Counter::ReqQFullDrop => format!("{} dropped, the handshake queue was full", many(by, "SYN")),
        Counter::ReqQFullDoCookies => {
            format!("{} answered with a cookie, the handshake queue was full", many(by, "SYN"))
        }
        Counter::ConntrackDrop => format!("connection tracking had no room {}", times(by)),
        Counter::BacklogFull => format!("{} dropped before any socket saw them", many(by, "packet")),
        Counter::AbortOnMemory => {
            format!("{} ended by the kernel for want of memory", many(by, "connection"))
        }
        Counter::MemoryPressures => format!("TCP came under memory pressure {}", times(by)),
        Counter::RcvPruned => {
            format!("{} thrown away for want of room in a receive buffer", many(by, "segment"))
        }
        Counter::BacklogDrop => format!("{} dropped because the socket was busy", many(by, "segment")),
        Counter::UdpRcvbufErrors => format!("{} dropped, the receive buffer was full", many(by, "datagram")),
        Counter::UdpMemErrors => format!("{} dropped for want of UDP memory", many(by, "datagram")),
        Counter::UdpSndbufErrors => format!("{} not sent, the send buffer was full", many(by, "datagram")),
        Counter::TimeWaitOverflow => {
            format!("{} forgotten instead of kept in TIME_WAIT", many(by, "connection"))
        }
        Counter::RetransSegs => {
            format!("{} sent again, more than one in {RETRANSMITTED_SHARE}", many(by, "segment"))
        }
        _ => format!("{} not delivered", many(by, "datagram")),
    };
    (meaning, remedy(counter, now))
}

fn remedy(counter: Counter, now: &Counters) -> String {
    let value = |setting: Option<u64>| setting.map_or_else(String::new, |value| format!(" {value}"));
    match counter {
        Counter::ListenOverflows => {
            let somaxconn = value(now.somaxconn);
            return format!(
                "the target's backlog (somaxconn{somaxconn}) is too small, or it accepts too slowly; raise \
                 net.core.somaxconn and the target's backlog, or connect more slowly with --connect-rate"
            );
        }
        Counter::BacklogFull => {
            let backlog = value(now.netdev_backlog);
            return format!("raise net.core.netdev_max_backlog{backlog}");
        }
        Counter::ListenDrops => "mostly for want of memory",
        Counter::ReqQFullDrop | Counter::ReqQFullDoCookies => {
            "raise the target's backlog, net.core.somaxconn and net.ipv4.tcp_max_syn_backlog, or connect more slowly with \
             --connect-rate"
        }
        Counter::ConntrackDrop => "raise net.netfilter.nf_conntrack_max, or exempt these connections (notrack)",
        Counter::AbortOnMemory | Counter::MemoryPressures => {
            "raise net.ipv4.tcp_mem, or have less data under way at once"
        }
        Counter::RcvPruned => "the receiver reads too slowly, or net.ipv4.tcp_rmem is too small",
        Counter::BacklogDrop => "the receiver reads too slowly, or net.core.rmem_max is too small",
        Counter::UdpRcvbufErrors => {
            "the receiver reads too slowly; raise net.core.rmem_max and its buffer (serve --udp-recv-buffer), or send less"
        }
        Counter::UdpMemErrors => "raise net.ipv4.udp_mem, or have less data under way at once",
        Counter::UdpSndbufErrors => "raise net.core.wmem_max, or send less at once",
        Counter::TimeWaitOverflow => {
            "more than net.ipv4.tcp_max_tw_buckets closed within a minute; harmless to a test, and --close rst avoids it"
        }
        Counter::RetransSegs => "something between the two ends lost them: a full queue or a bad link",
        _ => "a filter of the socket refused them, or memory was short",
    }
    .to_owned()
}

fn times(by: u64) -> String {
    several(by, "time", "times")
}

fn many(by: u64, one: &str) -> String {
    several(by, one, &format!("{one}s"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Counters that are all 0 but these.
    fn counters(values: &[(Counter, u64)]) -> Counters {
        let mut counters = Counters::default();
        counters.somaxconn = Some(4_096);
        for (counter, _) in bites(&|_| 0) {
            counters.set(counter, Some(0));
        }
        for counter in [Counter::OutSegs, Counter::EstabResets, Counter::AttemptFails, Counter::UdpNoPorts] {
            counters.set(counter, Some(0));
        }
        for (counter, value) in values {
            counters.set(*counter, Some(*value));
        }
        counters
    }

    fn found(values: &[(Counter, u64)]) -> Vec<(Counter, u64)> {
        let found = delta(&counters(&[]), &counters(values));
        found.iter().map(|finding| (finding.counter, finding.by)).collect()
    }

    #[test]
    fn a_full_listen_queue_is_a_sentence() {
        let after = counters(&[(Counter::ListenOverflows, 1_204), (Counter::ListenDrops, 1_204)]);
        let found = delta(&counters(&[]), &after);
        assert_eq!(found.len(), 1, "{found:?}");
        let text = found[0].to_string();
        let expected = "listen queue overflowed 1,204 times: the target's backlog (somaxconn 4096) is too small, or it \
                        accepts too slowly";
        assert!(text.starts_with(expected), "{text}");
    }

    #[test]
    fn what_two_counters_count_is_said_once() {
        use Counter as C;
        assert_eq!(
            found(&[(C::ListenOverflows, 5), (C::ReqQFullDrop, 2), (C::ListenDrops, 8)]),
            [(C::ListenOverflows, 5), (C::ListenDrops, 1), (C::ReqQFullDrop, 2)]
        );
        assert_eq!(found(&[(C::UdpRcvbufErrors, 9), (C::UdpInErrors, 9)]), [(C::UdpRcvbufErrors, 9)]);
        assert_eq!(found(&[(C::UdpInErrors, 3)]), [(C::UdpInErrors, 3)]);
    }

    #[test]
    fn what_is_no_limit_is_no_finding() {
        assert_eq!(
            found(&[(Counter::EstabResets, 9), (Counter::AttemptFails, 9), (Counter::UdpNoPorts, 9)]),
            []
        );
        assert_eq!(found(&[(Counter::OutSegs, 10_000), (Counter::RetransSegs, 99)]), []);
        assert_eq!(
            found(&[(Counter::OutSegs, 10_000), (Counter::RetransSegs, 100)]),
            [(Counter::RetransSegs, 100)]
        );
    }

    #[test]
    fn only_what_grew_counts_and_what_is_missing_does_not() {
        let full = counters(&[(Counter::ListenOverflows, 7)]);
        assert_eq!(delta(&full, &full), []);
        assert_eq!(delta(&Counters::default(), &full), []);
        assert_eq!(delta(&full, &Counters::default()), []);
    }

    #[test]
    fn every_limit_has_its_words() {
        for (counter, _) in bites(&|_| 0) {
            let (meaning, remedy) = words(counter, 1, &Counters::default());
            assert!(meaning.contains('1') && !remedy.is_empty(), "{counter:?}: {meaning}: {remedy}");
            assert!(counter == Counter::UdpInErrors || !meaning.ends_with("not delivered"), "{counter:?}");
        }
    }
}
