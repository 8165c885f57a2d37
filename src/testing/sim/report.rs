//! What one run came to.

use std::fmt;
use std::ops::AddAssign;
use std::time::Duration;

use super::world::World;
use crate::reactor::Stats;
use crate::session::{CloseReason, DatagramTraffic};

/// A run that was survived, or the sum of several.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// Connections that were served.
    pub connections: u64,
    /// Bytes that the reactor read.
    pub bytes_received: u64,
    /// Bytes that the reactor wrote.
    pub bytes_sent: u64,
    /// Datagrams, as the reactor counted them.
    pub datagrams: DatagramTraffic,
    /// Datagrams dropped by the simulated kernel because a queue was full.
    pub kernel_drops: u64,
    /// System calls of the simulated kernel.
    pub operations: u64,
    /// Child processes started.
    pub jobs: u64,
    /// Child processes that were ended because nobody listened to them any more.
    pub jobs_abandoned: u64,
    /// Turns of the loop.
    pub turns: u64,
    /// How conversations ended, by [`CloseReason::kind`].
    pub closed: [u64; CloseReason::KINDS],
    /// Virtual time that passed.
    pub elapsed: Duration,
    /// Follows from every system call and its outcome: the same seed gives the same trace.
    pub trace: u64,
}

impl Report {
    pub(super) fn of(world: &World, stats: &Stats) -> Self {
        Self {
            connections: stats.accepted + stats.connected,
            bytes_received: world.counted.bytes_read,
            bytes_sent: world.counted.bytes_written,
            datagrams: stats.datagrams,
            kernel_drops: stats.kernel_drops,
            operations: world.counted.operations,
            jobs: stats.jobs,
            jobs_abandoned: stats.jobs_abandoned,
            turns: stats.turns,
            closed: stats.closed,
            elapsed: Duration::from_nanos(world.now),
            trace: world.trace(),
        }
    }
}

impl AddAssign for Report {
    fn add_assign(&mut self, other: Self) {
        self.connections += other.connections;
        self.bytes_received += other.bytes_received;
        self.bytes_sent += other.bytes_sent;
        add(&mut self.datagrams, &other.datagrams);
        self.kernel_drops += other.kernel_drops;
        self.operations += other.operations;
        self.jobs += other.jobs;
        self.jobs_abandoned += other.jobs_abandoned;
        self.turns += other.turns;
        for (sum, more) in self.closed.iter_mut().zip(other.closed) {
            *sum += more;
        }
        self.elapsed += other.elapsed;
        self.trace ^= other.trace;
    }
}

fn add(sum: &mut DatagramTraffic, other: &DatagramTraffic) {
    sum.received += other.received;
    sum.sent += other.sent;
    sum.guarded += other.guarded;
    sum.overflow += other.overflow;
    sum.send_errors += other.send_errors;
    sum.recv_errors += other.recv_errors;
}

/// A run that broke a promise.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Failure {
    /// The run follows from it.
    pub seed: u64,
    /// What broke.
    pub what: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, what } = self;
        write!(f, "seed {seed}: {what}\nreplay with: ONELOOP_SEED={seed} cargo test --test simulation")
    }
}

impl std::error::Error for Failure {}
