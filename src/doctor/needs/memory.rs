//! Memory: of connections at rest, and of data under way.
//!
//! The figures per connection are measured; docs/doctor.md says how. They are for connections at rest.

use super::{Case, left, rounded_up, setting_used};
use crate::doctor::check::{Check, Effect, Limit, Unit};
use crate::doctor::machine::Pages;
use crate::doctor::number::{bytes, less};
use crate::doctor::question::Model;

/// The kernel's, for one end of a TCP connection in a poll: socket 2,304, inode 832, file and name 384, watch 128, and
/// ports (Slab of /proc/meminfo grew by 8,277 to 8,343 bytes for both ends: Linux 6.18, 18,000 sockets on loopback).
const KERNEL_TCP: u64 = 4_200;

/// The same for a UDP socket (2,829 to 2,927 bytes, 9,000 sockets).
const KERNEL_UDP: u64 = 2_900;

/// The same for one end of a Unix stream connection (5,307 to 5,340 bytes for both, 18,000 sockets).
const KERNEL_UNIX: u64 = 2_700;

/// The kernel's, for a thread: its stack and its task (docs/measurements.md: 29.6 KB of `threads` less 5.8 of `loop`).
const KERNEL_THREAD: u64 = 23_800;

/// Ours, for a connection of a server on the loop (docs/measurements.md: 72 B).
const USER_LOOP: u64 = 72;

/// The same on threads (docs/measurements.md: 18,137 B).
const USER_THREAD: u64 = 18_137;

/// Ours, for a connection of a client: what `load` may take, not yet measured.
const USER_CLIENT: u64 = 300;

/// Ours, for a process without connections (docs/measurements.md: 3.3 MB with three).
const PROCESS: u64 = 4 << 20;

pub(super) fn checks(case: &Case<'_>) -> Vec<Check> {
    let question = case.question;
    let tcp = (question.targets.tcp > 0).then(|| tcp_pages(case));
    let udp = (question.targets.udp > 0 && question.role.has_client()).then(|| udp_pages(case));
    [Some(memory(case)), tcp, udp].into_iter().flatten().collect()
}

/// Bytes of all connections at rest.
fn at_rest(case: &Case<'_>, model: Model) -> u64 {
    let question = case.question;
    let (tcp, udp, unix) = (question.tcp(), question.udp(), question.unix());
    let kernel = |udp| total([(tcp, KERNEL_TCP), (udp, KERNEL_UDP), (unix, KERNEL_UNIX)]);
    let each = match model {
        Model::Loop => USER_LOOP,
        Model::Threads => USER_THREAD + KERNEL_THREAD,
    };
    let client = kernel(udp).saturating_add(total([(question.connections, USER_CLIENT)]));
    // A UDP server has one socket for all of them.
    let server = kernel(0).saturating_add(total([(question.streams(), each)]));
    let here = |is_here, amount| if is_here { amount } else { 0 };
    here(question.role.has_client(), client).saturating_add(here(question.role.has_server(), server))
}

fn total<const N: usize>(parts: [(u64, u64); N]) -> u64 {
    parts.iter().fold(0, |sum, (count, each)| sum.saturating_add(count.saturating_mul(*each)))
}

fn memory(case: &Case<'_>) -> Check {
    let (question, there) = (case.question, case.machine.memory.room());
    let own = case.processes.total().saturating_mul(PROCESS);
    let connections = at_rest(case, question.model);
    let needed = connections.saturating_add(own);
    // Processes that are taken as connections want them grow with these, but for one of each side.
    let sides = u64::from(question.role.has_client()) + u64::from(question.role.has_server());
    let fixed = if question.processes.is_some() { own } else { own.min(sides.saturating_mul(PROCESS)) };
    let room = there.map(|there| less(there, fixed));
    let grows = less(own, fixed);
    let most = case.enough_for(room, connections.saturating_add(grows));
    let mut check = Check::new(Limit::Memory, Effect::Stops, needed, there, most);
    check.unit = Unit::Bytes;
    let why = format!(
        "{} for each connection at rest, kernel included, and {} for each process. Data under way comes on top. Beyond \
         it the kernel ends processes.",
        bytes(connections / question.connections.max(1)),
        bytes(PROCESS),
    );
    let check = check.saying(where_from(case), why);
    let check = if question.model == Model::Threads && question.role.has_server() {
        let most = case.enough_for(room, at_rest(case, Model::Loop).saturating_add(grows));
        check.without_root("serve --model loop, which has no thread for each", most)
    } else {
        check
    };
    let check = if question.role == crate::doctor::Role::Both {
        check.without_root("the two sides on two machines", None)
    } else {
        check
    };
    if case.machine.memory.cgroup_room == there && there != case.machine.memory.available {
        check.with_root(
            format!("a higher memory.max of the control group, by {} or more", bytes(needed)),
            None,
        )
    } else {
        check.without_root("another machine with more memory", None)
    }
}

fn where_from(case: &Case<'_>) -> String {
    let memory = &case.machine.memory;
    match (memory.cgroup_room, memory.available) {
        (Some(group), system) if system.is_none_or(|system| group < system) => {
            "memory.max of the control group, less what is in use".to_owned()
        }
        _ => "MemAvailable".to_owned(),
    }
}

/// A socket with one small message in a queue takes a page: 17,664 pages were taken by 20,000 sockets with 64 bytes
/// each. At rest it takes none.
fn tcp_pages(case: &Case<'_>) -> Check {
    let role = case.question.role;
    let sides = u64::from(role.has_client()) + u64::from(role.has_server());
    let needed = case.question.tcp().saturating_mul(sides);
    pages(case, Limit::TcpMemory, "net.ipv4.tcp_mem", needed, case.machine.sockets.tcp)
}

fn udp_pages(case: &Case<'_>) -> Check {
    pages(case, Limit::UdpMemory, "net.ipv4.udp_mem", case.question.udp(), case.machine.sockets.udp)
}

fn pages(case: &Case<'_>, limit: Limit, name: &str, needed: u64, pages: Pages) -> Check {
    let there = left(pages.max, pages.used);
    let max = rounded_up(needed.saturating_mul(2));
    let what = if limit == Limit::TcpMemory { "sends slowly and drops" } else { "drops" };
    Check::new(limit, Effect::Slows, needed, there, case.enough_for(there, needed))
        .saying(
            setting_used(&format!("{name}, in pages,"), pages.max, pages.used),
            format!(
                "One page for each socket that has a message under way; none at rest. Beyond it the kernel {what}."
            ),
        )
        .with_root(format!("sysctl -w {name}='{} {} {max}'", max / 2, max / 4 * 3), None)
}
