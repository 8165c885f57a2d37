//! Queues and tables of the network: beyond most of them connections are late, not lost.

use super::{BACKLOG, Case, left, rounded_up, setting, setting_used};
use crate::doctor::check::{Check, Effect, Limit, Verdict};
use crate::doctor::machine::UNLIMITED;
use crate::doctor::number::{bytes, grouped};

/// What `serve` asks for each UDP socket (SO_RCVBUF).
const UDP_BUFFER: u64 = 4 << 20;

/// The most that it takes.
const LARGEST_BUFFER: u64 = 1 << 30;

/// What a datagram of 64 bytes takes of it: 190 of them fill 212,992 bytes.
const DATAGRAM: u64 = 1_121;

pub(super) fn checks(case: &Case<'_>) -> Vec<Check> {
    let (question, targets) = (case.question, &case.question.targets);
    let (client, server) = (question.role.has_client(), question.role.has_server());
    let checks = [
        (server && targets.tcp + targets.unix > 0).then(|| accept_queue(case)),
        (server && targets.tcp > 0).then(|| syn_queue(case)),
        (server && targets.udp > 0).then(|| udp_buffer(case)),
        (targets.tcp + targets.udp > 0).then(|| conntrack(case)).flatten(),
        (client && targets.tcp > 0).then(|| time_wait(case)),
    ];
    checks.into_iter().flatten().collect()
}

/// A queue that holds what it was asked for is no worry, even when it is smaller than the crowd.
fn enough(check: Check) -> Check {
    match (check.verdict, check.there) {
        (Verdict::Tight, Some(there)) if check.needed <= there => check.judged(Verdict::Ok),
        _ => check,
    }
}

fn accept_queue(case: &Case<'_>) -> Check {
    let there = case.machine.sockets.somaxconn;
    let needed = case.question.streams().min(BACKLOG);
    let why = format!(
        "The server asks for {} for each listener, and the kernel cuts that. Who comes while it is full tries again \
         after a second (TCP), or is refused with EAGAIN (Unix sockets).",
        grouped(BACKLOG)
    );
    let check = Check::new(Limit::AcceptQueue, Effect::Slows, needed, there, there);
    enough(check)
        .saying(setting("net.core.somaxconn", there), why)
        .without_root("load --connect-rate 5000: slower than the server accepts", None)
        .with_root(format!("sysctl -w net.core.somaxconn={BACKLOG}"), None)
}

fn syn_queue(case: &Case<'_>) -> Check {
    let sockets = &case.machine.sockets;
    let needed = case.question.tcp().min(BACKLOG);
    // With cookies the accept queue is what counts.
    let there = if sockets.has_syncookies == Some(true) { Some(UNLIMITED) } else { sockets.syn_backlog };
    enough(Check::new(Limit::SynQueue, Effect::Slows, needed, there, there))
        .saying(
            setting("net.ipv4.tcp_max_syn_backlog", sockets.syn_backlog),
            "Handshakes under way; it counts without net.ipv4.tcp_syncookies only. Beyond it clients try again after a \
             second.",
        )
        .with_root("sysctl -w net.ipv4.tcp_syncookies=1", Some(UNLIMITED))
        .with_root(format!("sysctl -w net.ipv4.tcp_max_syn_backlog={BACKLOG}"), None)
}

fn udp_buffer(case: &Case<'_>) -> Check {
    let max = case.machine.sockets.rmem_max;
    let is_forced = case.machine.privileges.may_force_buffers;
    let given = if is_forced { Some(UDP_BUFFER) } else { max.map(|max| max.min(UDP_BUFFER)) };
    // The kernel doubles what it is asked for (socket(7)).
    let there = given.map(|given| given.saturating_mul(2) / DATAGRAM);
    let needed = case.question.udp().div_ceil(case.question.targets.udp.max(1));
    let most = there.map(|there| case.question.scaled(there, 1));
    let size = given.map_or_else(|| "unknown size".to_owned(), bytes);
    let check = Check::new(Limit::UdpBuffer, Effect::Slows, needed, there, most).saying(
        setting("net.core.rmem_max", max),
        format!(
            "Datagrams of 64 bytes that a server's buffer of {size} holds, against one from each client at once. What \
             exceeds it is dropped and counted."
        ),
    );
    let wanted = (needed.saturating_mul(DATAGRAM) / 2).div_ceil(1 << 20).max(UDP_BUFFER >> 20);
    let option = format!("serve --udp-recv-buffer {wanted}MiB");
    match (is_forced, wanted <= LARGEST_BUFFER >> 20) {
        (_, false) => check.without_root("a lower rate, or more targets", None),
        (true, true) => check.without_root(option, None),
        (false, true) => {
            let bytes = wanted << 20;
            check
                .without_root("a lower rate, or more targets", None)
                .with_root(format!("sysctl -w net.core.rmem_max={bytes}, then {option}"), None)
        }
    }
}

/// One entry for each connection. Where nothing is followed now, no rule asks for it, and the table stays empty.
fn conntrack(case: &Case<'_>) -> Option<Check> {
    let sockets = &case.machine.sockets;
    let max = sockets.conntrack_max?;
    let needed = case.question.tcp().saturating_add(case.question.udp());
    let there = left(Some(max), sockets.conntrack_used);
    let follows_none = sockets.conntrack_used == Some(0);
    let effect = if follows_none { Effect::Slows } else { Effect::Stops };
    let check = Check::new(Limit::Conntrack, effect, needed, there, case.enough_for(there, needed));
    let why = if follows_none {
        "One entry for each connection. Nothing is followed now, so no rule seems to ask for it. If one does, packets \
         of newcomers are dropped beyond the limit."
    } else {
        "One entry for each connection that a firewall's rules follow. Beyond it packets of newcomers are dropped."
    };
    let wanted = rounded_up(needed.saturating_add(sockets.conntrack_used.unwrap_or(0)));
    Some(
        check
            .saying(setting_used("net.netfilter.nf_conntrack_max", Some(max), sockets.conntrack_used), why)
            .with_root(format!("sysctl -w net.netfilter.nf_conntrack_max={wanted}"), None),
    )
}

fn time_wait(case: &Case<'_>) -> Check {
    let sockets = &case.machine.sockets;
    let needed = case.question.tcp();
    let there = left(sockets.time_wait_max, sockets.time_wait);
    Check::new(Limit::TimeWait, Effect::Slows, needed, there, case.enough_for(there, needed))
        .saying(
            setting_used("net.ipv4.tcp_max_tw_buckets", sockets.time_wait_max, sockets.time_wait),
            "Whoever closes first remembers the connection for a minute. Beyond it the kernel forgets at once, which does \
             no harm to a test.",
        )
        .without_root("load --close rst: nothing is remembered", None)
        .with_root(format!("sysctl -w net.ipv4.tcp_max_tw_buckets={}", rounded_up(needed)), None)
}
