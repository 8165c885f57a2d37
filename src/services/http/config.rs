//! What one server's conversations share.

use std::time::Duration;

use super::host::Hosts;
use super::root::Root;

/// The default of [`HttpConfig::max_body`]: 1 MiB.
pub const DEFAULT_MAX_BODY: u64 = 1024 * 1024;

/// What every conversation of one HTTP server shares.
#[derive(Debug, Clone)]
pub struct HttpConfig {
    /// The folder whose files are served, where there is one.
    pub root: Option<Root>,
    /// Names under which requests are answered.
    pub hosts: Hosts,
    /// The longest body of a request, in bytes.
    pub max_body: u64,
    /// In each such span a body must bring 500 bytes for every second of it, unless we do not read: `None` for no limit.
    pub patience: Option<Duration>,
    /// Whether answers say when they were made. Without it the same request gets the same bytes at any time: for tests, and
    /// for machines without a clock (RFC 9110 section 6.6.1).
    pub dates: bool,
}

impl Default for HttpConfig {
    /// No files; addresses and `localhost` only; 1 MiB; 30 s.
    fn default() -> Self {
        let patience = Some(Duration::from_secs(30));
        Self { root: None, hosts: Hosts::default(), max_body: DEFAULT_MAX_BODY, patience, dates: true }
    }
}
