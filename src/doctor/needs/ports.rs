//! Local ports: what a client connects from.

use std::net::Ipv4Addr;

use super::{Case, setting};
use crate::doctor::check::{Check, Effect, Limit};
use crate::doctor::number::{grouped, several, times};

/// Ports of the widest range that needs no privilege: 1024 to 65535.
const WIDEST: u64 = 64_512;

/// The first address that is proposed to connect from; the ones behind it are this machine's too.
const FIRST_SOURCE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

/// The most of them that are proposed: up to 127.255.255.254.
const MOST_SOURCES: u64 = (1 << 24) - 3;

pub(super) fn checks(case: &Case<'_>) -> Vec<Check> {
    let question = case.question;
    if !question.role.has_client() {
        return Vec::new();
    }
    let tcp = (question.targets.tcp > 0).then(|| tcp(case));
    let udp = (question.targets.udp > 0).then(|| udp(case));
    tcp.into_iter().chain(udp).collect()
}

/// A pair of source and destination is taken once: the same port serves for each target (ip(7), and checked with ten
/// ports and two targets).
fn tcp(case: &Case<'_>) -> Check {
    let targets = case.question.targets.tcp;
    let what = Kind {
        limit: Limit::TcpPorts,
        needed: case.question.tcp(),
        targets,
        multiplier: targets,
        beyond: "EADDRNOTAVAIL",
    };
    let check = what.check(case, &format!(" x {}", several(targets, "target", "targets")));
    let more = what.needed.div_ceil(times(case.question.source_count(), what.ports(case)).max(1));
    let advice = format!(
        "{} different targets: a server may have several --listen, the client as many URLs",
        grouped(more)
    );
    let most = what.scaled(case, times(case.question.source_count(), times(more, what.ports(case))));
    let check = if more > targets { check.without_root(advice, Some(most)) } else { check };
    what.with_root(case, check)
}

/// A UDP socket takes its port when it is bound, before it knows its target: targets do not multiply (checked likewise).
fn udp(case: &Case<'_>) -> Check {
    let what = Kind {
        limit: Limit::UdpPorts,
        needed: case.question.udp(),
        targets: case.question.targets.udp,
        multiplier: 1,
        beyond: "EAGAIN",
    };
    let check = what.check(case, "; a UDP socket has its port for itself, whatever the target");
    what.with_root(case, check)
}

/// What TCP and UDP do differently.
struct Kind {
    limit: Limit,
    needed: u64,
    targets: u64,
    /// Connections from one port of one source.
    multiplier: u64,
    /// The error.
    beyond: &'static str,
}

impl Kind {
    fn ports(&self, case: &Case<'_>) -> u64 {
        case.machine.ports.count().unwrap_or(0)
    }

    fn scaled(&self, case: &Case<'_>, most: u64) -> u64 {
        case.question.scaled(most, self.targets)
    }

    fn check(&self, case: &Case<'_>, factor: &str) -> Check {
        let (ports, sources) = (&case.machine.ports, case.question.source_count());
        let there = ports.count().map(|count| times(times(sources, self.multiplier), count));
        let most = there.map(|there| self.scaled(case, there));
        let reserved = match ports.reserved {
            0 => String::new(),
            reserved => format!(" ({} reserved)", grouped(reserved)),
        };
        let why = format!(
            "{} x {} ports{reserved}{factor}. Beyond it connect(2) fails with {}.{}",
            several(sources, "source", "sources"),
            grouped(self.ports(case)),
            self.beyond,
            time_wait(case),
        );
        let check = Check::new(self.limit, Effect::Stops, self.needed, there, most).saying(range(case), why);
        self.with_sources(case, check)
    }

    /// More addresses to connect from, where all of 127.0.0.0/8 is this machine.
    fn with_sources(&self, case: &Case<'_>, check: Check) -> Check {
        let per_source = times(self.multiplier, self.ports(case));
        let count = self.needed.div_ceil(per_source.max(1)).max(2);
        if !case.question.targets.is_loopback || count > MOST_SOURCES || count <= case.question.source_count()
        {
            return check;
        }
        let last = u32::from(FIRST_SOURCE).saturating_add(u32::try_from(count - 1).unwrap_or(u32::MAX));
        let most = self.scaled(case, times(per_source, count));
        check.without_root(format!("--source {FIRST_SOURCE}-{}", Ipv4Addr::from(last)), Some(most))
    }

    fn with_root(&self, case: &Case<'_>, check: Check) -> Check {
        let per_port = times(case.question.source_count(), self.multiplier);
        let mut check = check;
        if self.ports(case) < WIDEST - case.machine.ports.reserved.min(WIDEST) {
            let most = self.scaled(case, times(per_port, WIDEST - case.machine.ports.reserved.min(WIDEST)));
            check = check.with_root("sysctl -w net.ipv4.ip_local_port_range='1024 65535'", Some(most));
        }
        if !case.question.targets.is_loopback {
            let per_source = times(self.multiplier, self.ports(case)).max(1);
            let count = self.needed.div_ceil(per_source);
            check = check.with_root(
                format!(
                    "ip address add ADDRESS dev DEVICE, {} in all, then --source FIRST-LAST",
                    several(count, "address", "addresses")
                ),
                Some(self.scaled(case, times(per_source, count))),
            );
        }
        check
    }
}

fn range(case: &Case<'_>) -> String {
    const NAME: &str = "net.ipv4.ip_local_port_range";
    match case.machine.ports.range {
        Some((first, last)) => format!("{NAME} {first} {last}"),
        None => setting(NAME, None),
    }
}

/// Ports that a closed connection still keeps, where the system does not use them again.
fn time_wait(case: &Case<'_>) -> String {
    match (case.machine.sockets.time_wait, case.machine.sockets.time_wait_reuse) {
        (Some(count @ 1..), Some(0)) => {
            format!(" {} in TIME_WAIT now, each keeping its pair for a minute.", grouped(count))
        }
        _ => String::new(),
    }
}
