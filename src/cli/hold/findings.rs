//! What a run found, whoever held the connections.

use std::time::Duration;

use super::gauge::Memory;
use crate::address::Address;
use crate::hold::Outcome;

/// What a run found.
pub(super) struct Findings {
    pub(super) targets: Vec<Address>,
    pub(super) outcome: Outcome,
    /// How long opening took.
    pub(super) opening: Duration,
    /// How long they were held.
    pub(super) held: Duration,
    /// All of it, the check at the end included.
    pub(super) total: Duration,
    /// What was measured when all was open; `None` when it was interrupted before.
    pub(super) memory: Option<Memory>,
    pub(super) processes: usize,
    /// Local addresses, where it was not left to the system.
    pub(super) sources: Option<u128>,
    /// What interrupted it.
    pub(super) signal: Option<i32>,
}

impl Findings {
    /// A difference of memory, for each connection that was open when it was measured.
    pub(super) fn per_connection(&self, bytes: i64) -> Option<f64> {
        (self.outcome.opened > 0).then(|| bytes as f64 / self.outcome.opened as f64)
    }

    /// What a connection costs the processes that hold it.
    pub(super) fn user_memory(&self) -> Option<f64> {
        self.memory.as_ref()?;
        let (before, after) = self.outcome.private?;
        self.per_connection(after.cast_signed() - before.cast_signed())
    }
}
