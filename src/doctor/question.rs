//! What is asked: how many connections, from where to where, and who is on this machine.

use std::collections::HashSet;

use super::number::mul_div;
use crate::address::Address;

/// Which side of the connections is on this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The side that connects: `load`, `hold`.
    Client,
    /// The side that accepts: `serve`.
    Server,
    /// Both, in processes of their own.
    Both,
}

impl Role {
    /// As the command line calls it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Server => "server",
            Self::Both => "both",
        }
    }

    /// Whether the connecting side is here.
    #[must_use]
    pub const fn has_client(self) -> bool {
        matches!(self, Self::Client | Self::Both)
    }

    /// Whether the accepting side is here.
    #[must_use]
    pub const fn has_server(self) -> bool {
        matches!(self, Self::Server | Self::Both)
    }
}

/// How the server drives connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Model {
    /// One thread for all of them.
    Loop,
    /// A thread for each.
    Threads,
}

impl Model {
    /// As the command line calls it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Loop => "loop",
            Self::Threads => "threads",
        }
    }
}

/// Where connections go, counted: they take turns on the targets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Targets {
    /// Different TCP addresses.
    pub tcp: u64,
    /// Different UDP addresses.
    pub udp: u64,
    /// Different Unix sockets.
    pub unix: u64,
    /// Whether every one that has a host has it in 127.0.0.0/8, all of which is this machine.
    pub is_loopback: bool,
}

impl Default for Targets {
    /// One TCP port of this machine.
    fn default() -> Self {
        Self { tcp: 1, udp: 0, unix: 0, is_loopback: true }
    }
}

impl Targets {
    /// Counts addresses, each once; none at all count as one TCP port of this machine.
    #[must_use]
    pub fn of(addresses: &[Address]) -> Self {
        let mut targets = Self { tcp: 0, udp: 0, unix: 0, is_loopback: true };
        for address in addresses.iter().collect::<HashSet<_>>() {
            match address {
                Address::Tcp(_) => targets.tcp += 1,
                Address::Udp(_) => targets.udp += 1,
                Address::Unix(_) => targets.unix += 1,
                // A Unix datagram socket is one descriptor of each side, and no limit of the system is about it.
                Address::Unixgram(_) | Address::Unknown => {}
            }
            let elsewhere = |ip: std::net::IpAddr| !(ip.is_ipv4() && ip.is_loopback());
            targets.is_loopback &= !address.socket_addr().is_some_and(|addr| elsewhere(addr.ip()));
        }
        if targets.total() == 0 { Self::default() } else { targets }
    }

    /// All of them.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.tcp.saturating_add(self.udp).saturating_add(self.unix)
    }
}

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// Connections, or UDP sockets, open at once.
    pub connections: u64,
    /// Which side is here.
    pub role: Role,
    /// How the server drives them.
    pub model: Model,
    /// Processes on each side. `None`: as many as it takes, as `hold` and `serve --workers` have them.
    pub processes: Option<u64>,
    /// Where they go.
    pub targets: Targets,
    /// Local addresses to connect from. `None`: the one the system chooses.
    pub sources: Option<u128>,
}

impl Question {
    /// So many connections to one TCP port of this machine, both sides here, on the loop, in as many processes as it
    /// takes. The fields change that.
    #[must_use]
    pub fn new(connections: u64) -> Self {
        Self {
            connections,
            role: Role::Both,
            model: Model::Loop,
            processes: None,
            targets: Targets::default(),
            sources: None,
        }
    }

    /// What a client asks before it connects to these addresses: where all of them are on this machine by their looks
    /// (loopback, Unix sockets), the server needs its share of it too.
    #[must_use]
    pub fn of_client(connections: u64, targets: &[Address]) -> Self {
        let is_here = |target: &Address| target.socket_addr().is_none_or(|addr| addr.ip().is_loopback());
        let role = if targets.iter().all(is_here) { Role::Both } else { Role::Client };
        Self { role, targets: Targets::of(targets), ..Self::new(connections) }
    }

    /// Connections over TCP.
    pub(super) fn tcp(&self) -> u64 {
        self.share(self.targets.tcp)
    }

    /// UDP sockets of the client. A UDP server has one for all of them.
    pub(super) fn udp(&self) -> u64 {
        self.share(self.targets.udp)
    }

    /// Connections over Unix sockets.
    pub(super) fn unix(&self) -> u64 {
        self.share(self.targets.unix)
    }

    /// Connections that the server has a descriptor for.
    pub(super) fn streams(&self) -> u64 {
        self.share(self.targets.tcp.saturating_add(self.targets.unix))
    }

    /// Sockets on this machine, both sides together.
    pub(super) fn sockets(&self) -> u64 {
        let client = if self.role.has_client() { self.connections } else { 0 };
        let server = if self.role.has_server() { self.streams() } else { 0 };
        client.saturating_add(server)
    }

    /// How many connections in all there can be when `most` of those to so many targets can.
    pub(super) fn scaled(&self, most: u64, targets: u64) -> u64 {
        mul_div(most, self.targets.total(), targets)
    }

    /// Local addresses to connect from.
    pub(super) fn source_count(&self) -> u64 {
        u64::try_from(self.sources.unwrap_or(1)).unwrap_or(u64::MAX - 1)
    }

    /// The connections of so many targets, rounded up.
    fn share(&self, targets: u64) -> u64 {
        let all = u128::from(self.targets.total().max(1));
        let share = (u128::from(self.connections) * u128::from(targets)).div_ceil(all);
        u64::try_from(share).unwrap_or(u64::MAX - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn targets(urls: &[&str]) -> Targets {
        Targets::of(&urls.iter().map(|url| url.parse().unwrap()).collect::<Vec<_>>())
    }

    #[test]
    fn targets_are_counted_once_each() {
        let counted = targets(&["tcp://127.0.0.1:1", "tcp://127.0.0.1:2", "tcp://127.0.0.1:1", "unix:/a"]);
        assert_eq!(counted, Targets { tcp: 2, udp: 0, unix: 1, is_loopback: true });
        assert_eq!(targets(&[]), Targets::default());
    }

    #[test]
    fn only_127_is_loopback_with_many_addresses() {
        for (url, expected) in [
            ("tcp://127.9.9.9:1", true),
            ("tcp://[::1]:1", false),
            ("udp://10.0.0.1:1", false),
            ("unix:/a", true),
        ] {
            assert_eq!(targets(&[url]).is_loopback, expected, "{url}");
        }
    }

    #[test]
    fn connections_take_turns_on_the_targets() {
        let mut question = Question::new(10);
        question.targets = Targets { tcp: 2, udp: 1, unix: 0, is_loopback: true };
        assert_eq!((question.tcp(), question.udp(), question.unix()), (7, 4, 0));
        assert_eq!((question.streams(), question.sockets()), (7, 17));
        assert_eq!(question.scaled(20, 2), 30);
    }

    #[test]
    fn a_client_counts_the_server_where_it_is_here_too() {
        let role = |urls: &[&str]| {
            let targets: Vec<Address> = urls.iter().map(|url| url.parse().unwrap()).collect();
            Question::of_client(1, &targets).role
        };
        assert_eq!(role(&["tcp://127.0.0.1:1", "tcp://[::1]:1", "unix:/a"]), Role::Both);
        assert_eq!(role(&["tcp://127.0.0.1:1", "tcp://10.0.0.1:1"]), Role::Client);
    }

    #[test]
    fn absurd_numbers_do_not_overflow() {
        let mut question = Question::new(u64::MAX - 1);
        question.targets.tcp = u64::MAX;
        question.sources = Some(u128::MAX);
        assert_eq!(question.tcp(), u64::MAX - 1);
        assert_eq!(question.source_count(), u64::MAX - 1);
    }
}
