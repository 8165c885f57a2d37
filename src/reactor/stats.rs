//! What a reactor has counted: plain integers, one set per loop.

use std::fmt;

use crate::session::{CloseReason, DatagramTraffic, Traffic};

/// Counters since the start. Every connection that was ever open is in `closed` once it has ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Connections accepted, those over the limit included.
    pub accepted: u64,
    /// Outgoing connections made.
    pub connected: u64,
    /// Connections open now, outgoing ones in the making included.
    pub open: u64,
    /// The most connections ever open at once.
    pub peak: u64,
    /// Conversations ended, by [`CloseReason::kind`].
    pub closed: [u64; CloseReason::KINDS],
    /// accept(2) failed for a connection that never was.
    pub accept_errors: u64,
    /// Accepting paused because no descriptor, buffer or memory was left, or nothing but failures came.
    pub accept_pauses: u64,
    /// Connections closed unheard with the reserve descriptor.
    pub shed: u64,
    /// Bytes of memory that connections keep for unfinished messages and unsent output, now.
    pub buffered: u64,
    /// How often memory became short, reading from a connection was paused for it, and a listener rested for it. Those
    /// who were ended are in `closed`, as [`CloseReason::OverMemory`].
    pub memory_shortages: u64,
    /// See `memory_shortages`.
    pub read_pauses: u64,
    /// See `memory_shortages`.
    pub memory_rests: u64,
    /// Connections that could not be registered with the poll.
    pub register_errors: u64,
    /// Connections closed because no thread could be started for them.
    pub spawn_errors: u64,
    /// Child processes started.
    pub jobs: u64,
    /// Child processes asked for and not started.
    pub jobs_refused: u64,
    /// Child processes ended because nobody listened to them any more.
    pub jobs_abandoned: u64,
    /// Events for something that was already gone.
    pub stale_events: u64,
    /// Turns of the loop.
    pub turns: u64,
    /// Bytes and messages.
    pub traffic: Traffic,
    /// Datagrams.
    pub datagrams: DatagramTraffic,
    /// Datagrams the kernel dropped because its receive buffer was full.
    pub kernel_drops: u64,
}

impl Stats {
    /// How many conversations ended for this kind of reason.
    #[must_use]
    pub fn closed_as(&self, reason: &CloseReason) -> u64 {
        self.closed[reason.kind()]
    }

    /// How many conversations ended.
    #[must_use]
    pub fn closed_total(&self) -> u64 {
        self.closed.iter().sum()
    }
}

impl fmt::Display for Stats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let udp = self.datagrams;
        let Traffic { bytes_in, bytes_out, frames, congested } = self.traffic;
        write!(f, "open={} peak={} accepted={}", self.open, self.peak, self.accepted)?;
        write!(f, " frames={frames} bytes_in={bytes_in} bytes_out={bytes_out}")?;
        for (name, count) in [
            ("turns", self.turns),
            ("connected", self.connected),
            ("congested", congested),
            ("accept_errors", self.accept_errors),
            ("accept_pauses", self.accept_pauses),
            ("shed", self.shed),
            ("buffered", self.buffered),
            ("memory_shortages", self.memory_shortages),
            ("read_pauses", self.read_pauses),
            ("memory_rests", self.memory_rests),
            ("register_errors", self.register_errors),
            ("spawn_errors", self.spawn_errors),
            ("jobs", self.jobs),
            ("jobs_refused", self.jobs_refused),
            ("jobs_abandoned", self.jobs_abandoned),
            ("stale_events", self.stale_events),
            ("udp_received", udp.received),
            ("udp_sent", udp.sent),
            ("udp_guarded", udp.guarded),
            ("udp_overflow", udp.overflow),
            ("udp_send_errors", udp.send_errors),
            ("udp_given_up", udp.given_up),
            ("udp_recv_errors", udp.recv_errors),
            ("udp_kernel_drops", self.kernel_drops),
        ] {
            if count > 0 {
                write!(f, " {name}={count}")?;
            }
        }
        for (name, count) in CloseReason::NAMES.iter().zip(self.closed) {
            if count > 0 {
                write!(f, " closed_{name}={count}")?;
            }
        }
        Ok(())
    }
}
