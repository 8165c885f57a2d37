//! What became of the connections of one process, or of several.

use super::kinds::Kinds;
use crate::histogram::{Nanos, nanos};

/// What became of the connections.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// Connected, and the first message came back.
    pub opened: u64,
    /// Of those opened: answered at the end too; when the run was stopped before, those that were still open.
    pub survived: u64,
    /// Not opened, and why.
    pub failed: Kinds,
    /// Opened and lost, and why.
    pub lost: Kinds,
    /// Never tried: the run was stopped, or there was no use in trying.
    pub untried: u64,
    /// How long connecting took, in nanoseconds: from connect(2) until the loop saw that it is made.
    pub connect: Nanos,
    /// The first error of the kind `other`, in words.
    pub other: Option<String>,
    /// Memory of the holding processes, in bytes: before opening, and when all was open. `None` where the system does not say.
    pub private: Option<(u64, u64)>,
    /// It was stopped before its end.
    pub stopped: bool,
}

impl Outcome {
    /// Nothing has happened yet.
    #[must_use]
    pub fn new() -> Self {
        Self {
            opened: 0,
            survived: 0,
            failed: Kinds::default(),
            lost: Kinds::default(),
            untried: 0,
            connect: nanos(),
            other: None,
            private: Some((0, 0)),
            stopped: false,
        }
    }

    /// Adds what another process found.
    pub fn merge(&mut self, more: &Self) {
        self.opened += more.opened;
        self.survived += more.survived;
        self.failed.merge(&more.failed);
        self.lost.merge(&more.lost);
        self.untried += more.untried;
        self.connect.add(&more.connect).expect("all are made by nanos(), with the same bounds");
        self.other = self.other.take().or_else(|| more.other.clone());
        let sum = |(a, b): ((u64, u64), (u64, u64))| (a.0 + b.0, a.1 + b.1);
        self.private = self.private.zip(more.private).map(sum);
        self.stopped |= more.stopped;
    }
}

impl Default for Outcome {
    fn default() -> Self {
        Self::new()
    }
}
