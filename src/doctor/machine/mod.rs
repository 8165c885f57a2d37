//! The limits of a system, read from its files.
//!
//! Everything comes from files below a root (proc(5), cgroups(7)), so that tests can make up machines. A file that is
//! missing, or that nobody understands, leaves `None`.

mod cgroup;
mod files;

use std::path::Path;

use self::files::Tree;

/// Where a limit is known to be none.
pub const UNLIMITED: u64 = u64::MAX;

/// The limits of a system and what is in use. `None` is unknown, [`UNLIMITED`] is no limit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Machine {
    /// The kernel's release, e.g. `6.18.0`.
    pub release: Option<String>,
    /// Processors this process may use.
    pub cpus: Option<u64>,
    /// What this user may do.
    pub privileges: Privileges,
    /// Open files.
    pub files: Files,
    /// Local ports.
    pub ports: Ports,
    /// Queues and tables of the network.
    pub sockets: Sockets,
    /// Processes and threads.
    pub tasks: Tasks,
    /// Memory, in bytes.
    pub memory: Memory,
}

/// What this user may do (capabilities(7)).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Privileges {
    /// The effective user is root.
    pub is_root: bool,
    /// CAP_SYS_RESOURCE: it may raise hard limits.
    pub may_raise_limits: bool,
    /// CAP_NET_ADMIN: it may exceed net.core.rmem_max.
    pub may_force_buffers: bool,
}

/// Open files.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Files {
    /// Of one process, in force (RLIMIT_NOFILE).
    pub soft: Option<u64>,
    /// Of one process, up to which it may raise that by itself.
    pub hard: Option<u64>,
    /// Up to which root may raise that (fs.nr_open).
    pub nr_open: Option<u64>,
    /// Of the system (fs.file-max).
    pub system: Option<u64>,
    /// Of the system, in use (fs.file-nr).
    pub system_used: Option<u64>,
    /// Watches of one user's polls (fs.epoll.max_user_watches).
    pub epoll_watches: Option<u64>,
}

/// Local ports.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ports {
    /// The first and the last one to choose from (net.ipv4.ip_local_port_range).
    pub range: Option<(u16, u16)>,
    /// How many of them are reserved (net.ipv4.ip_local_reserved_ports).
    pub reserved: u64,
}

impl Ports {
    /// How many can be chosen from.
    #[must_use]
    pub fn count(&self) -> Option<u64> {
        let (first, last) = self.range?;
        Some((u64::from(last) + 1).saturating_sub(u64::from(first)).saturating_sub(self.reserved))
    }
}

/// Pages, of 4 KiB on most machines, for the data of all sockets of a kind (tcp(7), udp(7)).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pages {
    /// The most.
    pub max: Option<u64>,
    /// In use (/proc/net/sockstat).
    pub used: Option<u64>,
}

/// Queues and tables of the network.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sockets {
    /// What a backlog is cut to (net.core.somaxconn).
    pub somaxconn: Option<u64>,
    /// Handshakes under way without cookies (net.ipv4.tcp_max_syn_backlog).
    pub syn_backlog: Option<u64>,
    /// Whether cookies are used when that is full (net.ipv4.tcp_syncookies is not 0).
    pub has_syncookies: Option<bool>,
    /// The most bytes an unprivileged receive buffer may be given (net.core.rmem_max).
    pub rmem_max: Option<u64>,
    /// Data of TCP sockets.
    pub tcp: Pages,
    /// Data of UDP sockets.
    pub udp: Pages,
    /// TCP sockets in use.
    pub tcp_used: Option<u64>,
    /// Connections in TIME_WAIT.
    pub time_wait: Option<u64>,
    /// The most of these (net.ipv4.tcp_max_tw_buckets).
    pub time_wait_max: Option<u64>,
    /// Whether their ports are used again (net.ipv4.tcp_tw_reuse): 0 no, 1 yes, 2 on loopback.
    pub time_wait_reuse: Option<u64>,
    /// Connections the firewall can follow; `None` also where it follows none at all.
    pub conntrack_max: Option<u64>,
    /// Those it follows now.
    pub conntrack_used: Option<u64>,
}

/// Processes and threads.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tasks {
    /// Threads of the system (kernel.threads-max).
    pub threads_max: Option<u64>,
    /// Numbers for them (kernel.pid_max).
    pub pid_max: Option<u64>,
    /// Threads there are now (/proc/loadavg).
    pub running: Option<u64>,
    /// Memory mappings of one process (vm.max_map_count).
    pub mappings: Option<u64>,
    /// Threads of this user (RLIMIT_NPROC).
    pub user: Option<u64>,
    /// Threads that the control group still lets start (pids.max less pids.current).
    pub cgroup_room: Option<u64>,
}

/// Memory, in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Memory {
    /// Free, or made free without swapping (MemAvailable).
    pub available: Option<u64>,
    /// What the control group still lets use (memory.max less what cannot be given back).
    pub cgroup_room: Option<u64>,
}

impl Memory {
    /// The smaller one of both.
    #[must_use]
    pub fn room(&self) -> Option<u64> {
        match (self.available, self.cgroup_room) {
            (Some(system), Some(group)) => Some(system.min(group)),
            (system, group) => system.or(group),
        }
    }
}

impl Machine {
    /// This machine.
    #[must_use]
    pub fn read() -> Self {
        Self::read_at(Path::new("/"))
    }

    /// A machine whose `proc` and `sys/fs/cgroup` are below `root`.
    #[must_use]
    pub fn read_at(root: &Path) -> Self {
        let tree = Tree::new(root);
        Self {
            release: tree.text("proc/sys/kernel/osrelease").map(|text| text.trim().to_owned()),
            cpus: tree.field("proc/self/status", "Cpus_allowed_list:").map(|list| files::range_size(&list)),
            privileges: privileges(&tree),
            files: files(&tree),
            ports: ports(&tree),
            sockets: sockets(&tree),
            tasks: tasks(&tree),
            memory: memory(&tree),
        }
    }
}

fn privileges(tree: &Tree<'_>) -> Privileges {
    const NET_ADMIN: u32 = 12;
    const SYS_RESOURCE: u32 = 24;
    let status = |name| tree.field("proc/self/status", name);
    // Real, effective, saved, file system.
    let effective = status("Uid:").and_then(|ids| ids.split_whitespace().nth(1).map(str::to_owned));
    let capabilities =
        status("CapEff:").and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok()).unwrap_or(0);
    let has = |bit: u32| capabilities >> bit & 1 == 1;
    Privileges {
        is_root: effective.as_deref() == Some("0"),
        may_raise_limits: has(SYS_RESOURCE),
        may_force_buffers: has(NET_ADMIN),
    }
}

fn files(tree: &Tree<'_>) -> Files {
    let (soft, hard) = tree.rlimit("Max open files");
    let system = tree.numbers("proc/sys/fs/file-nr");
    Files {
        soft,
        hard,
        nr_open: tree.number("proc/sys/fs/nr_open"),
        system: tree.number("proc/sys/fs/file-max"),
        system_used: system.first().copied(),
        epoll_watches: tree.number("proc/sys/fs/epoll/max_user_watches"),
    }
}

fn ports(tree: &Tree<'_>) -> Ports {
    let range = match tree.numbers("proc/sys/net/ipv4/ip_local_port_range")[..] {
        [first, last] => u16::try_from(first).ok().zip(u16::try_from(last).ok()),
        _ => None,
    };
    let list = tree.text("proc/sys/net/ipv4/ip_local_reserved_ports").unwrap_or_default();
    let within = |(first, last): (u64, u64)| match range {
        Some((low, high)) => (last.min(high.into()) + 1).saturating_sub(first.max(low.into())),
        None => 0,
    };
    Ports { range, reserved: files::ranges(&list).map(within).sum() }
}

fn sockets(tree: &Tree<'_>) -> Sockets {
    let ipv4 = |name: &str| tree.number(&format!("proc/sys/net/ipv4/{name}"));
    let netfilter = |name: &str| tree.number(&format!("proc/sys/net/netfilter/{name}"));
    let third = |name: &str| tree.numbers(&format!("proc/sys/net/ipv4/{name}")).get(2).copied();
    let used = |kind: &str, word: &str| tree.word_after("proc/net/sockstat", kind, word);
    Sockets {
        somaxconn: tree.number("proc/sys/net/core/somaxconn"),
        syn_backlog: ipv4("tcp_max_syn_backlog"),
        has_syncookies: ipv4("tcp_syncookies").map(|value| value != 0),
        rmem_max: tree.number("proc/sys/net/core/rmem_max"),
        tcp: Pages { max: third("tcp_mem"), used: used("TCP:", "mem") },
        udp: Pages { max: third("udp_mem"), used: used("UDP:", "mem") },
        tcp_used: used("TCP:", "inuse"),
        time_wait: used("TCP:", "tw"),
        time_wait_max: ipv4("tcp_max_tw_buckets"),
        time_wait_reuse: ipv4("tcp_tw_reuse"),
        conntrack_max: netfilter("nf_conntrack_max"),
        conntrack_used: netfilter("nf_conntrack_count"),
    }
}

fn tasks(tree: &Tree<'_>) -> Tasks {
    // The fourth field: running/existing (proc_loadavg(5)).
    let load = tree.text("proc/loadavg").unwrap_or_default();
    let existing = load.split_whitespace().nth(3).and_then(|field| field.split_once('/'));
    Tasks {
        threads_max: tree.number("proc/sys/kernel/threads-max"),
        pid_max: tree.number("proc/sys/kernel/pid_max"),
        running: existing.and_then(|(_, all)| all.parse().ok()),
        mappings: tree.number("proc/sys/vm/max_map_count"),
        user: tree.rlimit("Max processes").0,
        cgroup_room: cgroup::tasks_room(tree),
    }
}

fn memory(tree: &Tree<'_>) -> Memory {
    let available = tree.field("proc/meminfo", "MemAvailable:").and_then(|text| files::leading(&text));
    Memory {
        available: available.map(|kib| kib.saturating_mul(1024)),
        cgroup_room: cgroup::memory_room(tree),
    }
}

#[cfg(test)]
mod tests;
