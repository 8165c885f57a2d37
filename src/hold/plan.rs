//! What one process opens: typed, checked options.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::words::Words;
use crate::address::Address;

/// The local address of each connection, by its number.
#[derive(Clone)]
pub struct Source(Arc<dyn Fn(u32) -> IpAddr + Send + Sync>);

impl Source {
    /// Asks `of` for each connection.
    pub fn new(of: impl Fn(u32) -> IpAddr + Send + Sync + 'static) -> Self {
        Self(Arc::new(of))
    }

    /// The address to connect from.
    #[must_use]
    pub fn of(&self, connection: u32) -> IpAddr {
        (self.0)(connection)
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Source({}, ...)", self.of(0))
    }
}

/// What one process opens and holds.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Where to connect, at least one; connection k goes to number k modulo their count.
    pub targets: Vec<Address>,
    /// The number of the first connection: other processes have those before it.
    pub first: u32,
    /// How many connections.
    pub connections: u32,
    /// Where to connect from. `None`: the system chooses.
    pub source: Option<Source>,
    /// What is said on each connection, and must come back. `None`: nothing, and what arrives is discarded.
    pub words: Option<Arc<Words>>,
    /// Connections that may be on their way at once, so that the target's queue is not overrun; at least 1.
    pub in_flight: usize,
    /// Connections begun per second. `None`: as fast as they are taken.
    pub connect_rate: Option<f64>,
    /// How long connecting and the first answer together may take, and each later answer.
    pub timeout: Duration,
    /// Connections are closed by a reset: no TIME_WAIT stays behind.
    pub reset_on_close: bool,
}
