//! The limits every conversation is held to. One set per driver, shared by all its connections.

use std::time::Duration;

use super::clock::Span;

/// Limits of time and memory, with the defaults of `oneloop serve`. `None` switches a time limit off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// A connection on which nothing moves, and for which no timer is pending, ends after this. Default 1 h.
    pub idle: Option<Duration>,
    /// A frame must be complete this long after its first byte; further bytes do not prolong it. Default 30 s.
    pub frame: Option<Duration>,
    /// Unsent output must make progress at least this often. Default 30 s.
    pub write: Option<Duration>,
    /// How long a closing connection goes on discarding input, so that its last replies are not destroyed
    /// by a reset (RFC 2525 section 2.17). Default 2 s.
    pub linger: Duration,
    /// How much input a closing connection discards at most, in bytes. Default 1 MiB.
    pub linger_bytes: usize,
    /// A connection being drained is done once nothing has arrived for this long. Default 100 ms.
    pub quiet: Duration,
    /// Unsent bytes of one connection from which it is congested: nothing more is read from it. Default 64 KiB.
    pub high_water: usize,
    /// Unsent bytes down to which a congested connection must fall to be read again. Default 16 KiB.
    pub low_water: usize,
    /// Bytes, both directions together, that one connection may move in one turn before others are served. Default 256 KiB: with
    /// 64 KiB, bulk streams interleave so finely that both ends spend a third more CPU (docs/measurements.md).
    pub read_budget: usize,
    /// Frames that one connection may have answered in one turn. Default 128.
    pub frame_budget: u32,
    /// Bytes kept of a message that is not complete yet, whatever its protocol. Default 1 MiB and 64 KiB.
    pub max_partial: usize,
    /// Bytes that all connections of one driver together may keep of unfinished messages and unsent output. From three
    /// quarters of it on nothing more is read from who keeps some, from seven eighths on nobody is accepted, and beyond it
    /// the largest are ended. `None`, the default, is no limit; the blocking models keep none.
    pub memory: Option<usize>,
    /// Replies of one datagram socket that may wait to be sent, and as many that may be held back; further ones are
    /// dropped and counted. Default 1,024.
    pub datagrams: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            idle: Some(Duration::from_secs(3600)),
            frame: Some(Duration::from_secs(30)),
            write: Some(Duration::from_secs(30)),
            linger: Duration::from_secs(2),
            linger_bytes: 1024 * 1024,
            quiet: Duration::from_millis(100),
            high_water: 64 * 1024,
            low_water: 16 * 1024,
            read_budget: 256 * 1024,
            frame_budget: 128,
            max_partial: 1024 * 1024 + 64 * 1024,
            memory: None,
            datagrams: 1024,
        }
    }
}

/// The time limits as spans, converted once per driver instead of once per use.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spans {
    pub(crate) idle: Option<Span>,
    pub(crate) frame: Option<Span>,
    pub(crate) write: Option<Span>,
    pub(crate) linger: Span,
    pub(crate) quiet: Span,
    /// How long to wait before a call is repeated that failed for want of memory or buffers.
    pub(crate) retry: Span,
}

impl From<&Limits> for Spans {
    fn from(limits: &Limits) -> Self {
        Self {
            idle: limits.idle.map(at_least_a_tick),
            frame: limits.frame.map(at_least_a_tick),
            write: limits.write.map(at_least_a_tick),
            linger: at_least_a_tick(limits.linger),
            quiet: at_least_a_tick(limits.quiet),
            retry: at_least_a_tick(Duration::from_millis(10)),
        }
    }
}

/// A span of nothing would be due as soon as it begins, for ever (invariant I1).
fn at_least_a_tick(duration: Duration) -> Span {
    Span::from(duration.max(Duration::from_millis(1)))
}
