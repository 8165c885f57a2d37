//! How a reactor is set up.

use std::time::Duration;

use crate::os::limits::open_files;
use crate::session::Limits;

/// What happens when as many connections are open as may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OverLimit {
    /// Stop accepting: newcomers wait in the kernel's queue and are served when others end.
    Wait,
    /// Accept and close at once: newcomers know immediately.
    Refuse,
}

impl OverLimit {
    /// What it means for newcomers, for the log.
    pub(crate) const fn effect(self) -> &'static str {
        match self {
            Self::Wait => "newcomers wait",
            Self::Refuse => "newcomers are closed",
        }
    }
}

/// Settings of one driver: a reactor, or another model.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Config {
    /// The limits of every conversation.
    pub limits: Limits,
    /// The most connections open at once. Default: the open-files limit less 64, kept for listeners, logs and children.
    pub max_connections: usize,
    /// What happens at that number. Default [`OverLimit::Wait`].
    pub over_limit: OverLimit,
    /// The most connections open at once from one address of IPv4, or from one /64 of IPv6; more are accepted and closed.
    /// TCP only. Never counted, and so not limited, by default.
    pub max_per_address: Option<usize>,
    /// Connections accepted per listener and turn. Default 64.
    pub accept_batch: u32,
    /// How long a drain may take before what is left is cut off. Default 10 s.
    pub drain: Duration,
    /// How long an outgoing connection may take to be made. Default 10 s.
    pub connect_timeout: Duration,
    /// The most child processes at once, those included that are being ended. Default 4.
    pub max_jobs: usize,
    /// Answer datagrams from source ports below 1024 and from our own ports too: two servers can then be made to answer
    /// each other for ever. Default false.
    pub any_source_port: bool,
    /// How often the statistics are logged; never by default.
    pub stats_interval: Option<Duration>,
}

/// Descriptors kept free of connections by default.
const RESERVED_DESCRIPTORS: usize = 64;

impl Config {
    /// For a reactor that only has clients: these limits, and nobody is guarded against.
    #[must_use]
    pub fn for_clients(limits: Limits, connect_timeout: Duration) -> Self {
        Self { limits, connect_timeout, any_source_port: true, ..Self::default() }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            max_connections: open_files().saturating_sub(RESERVED_DESCRIPTORS).max(1),
            over_limit: OverLimit::Wait,
            max_per_address: None,
            accept_batch: 64,
            drain: Duration::from_secs(10),
            connect_timeout: Duration::from_secs(10),
            max_jobs: 4,
            any_source_port: false,
            stats_interval: None,
        }
    }
}
