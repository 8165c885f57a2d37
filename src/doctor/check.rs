//! One limit of the machine: what is needed, what there is, and what can be done.

use super::machine::UNLIMITED;

/// A limit that can stand in the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Limit {
    /// Open files of one process (RLIMIT_NOFILE).
    Descriptors,
    /// Open files of the whole system (fs.file-max).
    SystemFiles,
    /// Sockets that one user may have in polls (fs.epoll.max_user_watches).
    EpollWatches,
    /// Local TCP ports to connect from.
    TcpPorts,
    /// Local UDP ports.
    UdpPorts,
    /// Memory that is free, in the system or the control group.
    Memory,
    /// Pages that all TCP sockets may have for data (net.ipv4.tcp_mem).
    TcpMemory,
    /// The same of UDP sockets (net.ipv4.udp_mem).
    UdpMemory,
    /// Connections that wait to be accepted (net.core.somaxconn).
    AcceptQueue,
    /// Handshakes under way (net.ipv4.tcp_max_syn_backlog).
    SynQueue,
    /// Datagrams that wait to be received by the server (net.core.rmem_max).
    UdpBuffer,
    /// Connections the firewall follows (nf_conntrack_max).
    Conntrack,
    /// Closed connections that are remembered (net.ipv4.tcp_max_tw_buckets).
    TimeWait,
    /// Threads that a `serve --model threads` starts.
    OwnThreads,
    /// Threads of the system (kernel.threads-max).
    Threads,
    /// Numbers for processes and threads (kernel.pid_max).
    Pids,
    /// Memory mappings of one process (vm.max_map_count).
    Mappings,
    /// Tasks of the control group (pids.max).
    CgroupTasks,
    /// Tasks of this user (RLIMIT_NPROC).
    UserTasks,
}

impl Limit {
    /// In words.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.names().1
    }

    /// In JSON.
    #[must_use]
    pub const fn key(self) -> &'static str {
        self.names().0
    }

    const fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::Descriptors => ("descriptors", "descriptors per process"),
            Self::SystemFiles => ("system_files", "open files, system"),
            Self::EpollWatches => ("epoll_watches", "epoll watches"),
            Self::TcpPorts => ("tcp_ports", "local TCP ports"),
            Self::UdpPorts => ("udp_ports", "local UDP ports"),
            Self::Memory => ("memory", "memory"),
            Self::TcpMemory => ("tcp_memory", "pages of TCP data"),
            Self::UdpMemory => ("udp_memory", "pages of UDP data"),
            Self::AcceptQueue => ("accept_queue", "accept queue"),
            Self::SynQueue => ("syn_queue", "handshake queue"),
            Self::UdpBuffer => ("udp_buffer", "datagrams waiting"),
            Self::Conntrack => ("conntrack", "connection tracking"),
            Self::TimeWait => ("time_wait", "TIME_WAIT"),
            Self::OwnThreads => ("own_threads", "threads of a server"),
            Self::Threads => ("threads", "threads, system"),
            Self::Pids => ("pids", "process numbers"),
            Self::Mappings => ("mappings", "mappings per process"),
            Self::CgroupTasks => ("cgroup_tasks", "tasks, control group"),
            Self::UserTasks => ("user_tasks", "tasks of this user"),
        }
    }
}

/// What amounts are counted in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Things.
    Count,
    /// Bytes.
    Bytes,
}

/// What happens beyond a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// There are no more connections.
    Stops,
    /// There are, later or at a price.
    Slows,
}

/// How it looks for one limit. Ordered by how urgent it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// It cannot be done.
    Stops,
    /// It can be done, but little is left, or something has to be minded.
    Tight,
    /// There is plenty.
    Ok,
    /// What there is cannot be read.
    Unknown,
}

impl Verdict {
    /// In text and JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Stops => "stops",
            Self::Tight => "tight",
            Self::Ok => "ok",
            Self::Unknown => "unknown",
        }
    }
}

/// Something to do about a limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remedy {
    /// A command, an option, or advice in words.
    pub action: String,
    /// The most connections afterwards, as far as this limit goes; `None` when that cannot be said.
    pub most: Option<u64>,
}

/// What can be done about a limit, the cheapest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Remedies {
    /// By anybody.
    pub without_root: Vec<Remedy>,
    /// By root.
    pub with_root: Vec<Remedy>,
}

/// One limit, looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// Which.
    pub limit: Limit,
    /// The setting as the system calls it, with its value.
    pub setting: String,
    /// What amounts are counted in.
    pub unit: Unit,
    /// How much of it is needed.
    pub needed: u64,
    /// How much there is. `None`: unknown; [`UNLIMITED`]: no limit.
    pub there: Option<u64>,
    /// The most connections that are possible with what there is, asked as they were. `None`: unknown;
    /// [`UNLIMITED`]: no limit.
    pub most: Option<u64>,
    /// What happens beyond it.
    pub effect: Effect,
    /// How it looks.
    pub verdict: Verdict,
    /// How the need was computed, and what happens beyond the limit.
    pub why: String,
    /// What can be done; empty where nothing has to be.
    pub remedies: Remedies,
}

impl Check {
    /// Compares a need with what there is; tight above nine tenths of it.
    pub(super) fn new(
        limit: Limit,
        effect: Effect,
        needed: u64,
        there: Option<u64>,
        most: Option<u64>,
    ) -> Self {
        let verdict = match there {
            None => Verdict::Unknown,
            Some(UNLIMITED) => Verdict::Ok,
            Some(there) if needed > there && effect == Effect::Stops => Verdict::Stops,
            Some(there) if needed > there - there / 10 => Verdict::Tight,
            Some(_) => Verdict::Ok,
        };
        Self {
            limit,
            setting: String::new(),
            unit: Unit::Count,
            needed,
            there,
            most,
            effect,
            verdict,
            why: String::new(),
            remedies: Remedies::default(),
        }
    }

    /// Adds the setting and the reason.
    pub(super) fn saying(mut self, setting: impl Into<String>, why: impl Into<String>) -> Self {
        (self.setting, self.why) = (setting.into(), why.into());
        self
    }

    /// Changes the verdict.
    pub(super) const fn judged(mut self, verdict: Verdict) -> Self {
        self.verdict = verdict;
        self
    }

    /// Adds what anybody can do, unless nothing has to be done.
    pub(super) fn without_root(mut self, action: impl Into<String>, most: Option<u64>) -> Self {
        if self.wants_remedy() {
            self.remedies.without_root.push(Remedy { action: action.into(), most });
        }
        self
    }

    /// Adds what root can do, unless nothing has to be done.
    pub(super) fn with_root(mut self, action: impl Into<String>, most: Option<u64>) -> Self {
        if self.wants_remedy() {
            self.remedies.with_root.push(Remedy { action: action.into(), most });
        }
        self
    }

    const fn wants_remedy(&self) -> bool {
        matches!(self.verdict, Verdict::Stops | Verdict::Tight)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(effect: Effect, needed: u64, there: Option<u64>) -> Verdict {
        Check::new(Limit::TcpPorts, effect, needed, there, there).verdict
    }

    #[test]
    fn a_need_is_compared_with_what_there_is() {
        for (needed, there, expected) in [
            (90, Some(100), Verdict::Ok),
            (91, Some(100), Verdict::Tight),
            (100, Some(100), Verdict::Tight),
            (101, Some(100), Verdict::Stops),
            (u64::MAX, Some(UNLIMITED), Verdict::Ok),
            (1, None, Verdict::Unknown),
            (0, Some(0), Verdict::Ok),
        ] {
            assert_eq!(verdict(Effect::Stops, needed, there), expected, "{needed} of {there:?}");
        }
        assert_eq!(verdict(Effect::Slows, 1_000, Some(100)), Verdict::Tight);
    }

    #[test]
    fn remedies_are_for_what_needs_one() {
        let check = |needed| {
            Check::new(Limit::Pids, Effect::Stops, needed, Some(100), Some(100)).with_root("a", None)
        };
        assert_eq!(check(10).remedies.with_root.len(), 0);
        assert_eq!(check(101).remedies.with_root.len(), 1);
    }
}
