//! What one driver may keep for all its connections, and have of one address: watched from outside.

use super::conn::{Conn, Side};
use super::plan::{Dial, Ending};
use super::world::World;
use crate::reactor::{Config, OverLimit};

/// The ceilings of one run, and what was kept when the reactor last polled.
#[derive(Debug, Default)]
pub(super) struct Ceilings {
    memory: Option<usize>,
    address: Option<usize>,
    /// More was kept than lets connections that keep something be read.
    above_pause: bool,
    /// The reactor says that memory is short.
    pub(super) is_short: bool,
}

impl Ceilings {
    pub(super) fn of(config: &Config) -> Self {
        // Who is turned away because there are too many connections of any kind cannot be told from outside.
        let address = config.max_per_address.filter(|_| config.over_limit == OverLimit::Wait);
        Self { memory: config.limits.memory, address, above_pause: false, is_short: false }
    }
}

impl Conn {
    /// Bytes that are kept for it for certain: what was read and must still be answered.
    pub(super) fn surely_kept(&self) -> usize {
        let drops_input = matches!(self.plan.ending, Ending::Wrong | Ending::Stuck);
        if self.side == Side::Open && !drops_input { self.buffered().unwrap_or(0) } else { 0 }
    }
}

impl World {
    /// A turn is over: nobody has seen all of it, but what was seen must keep to the limit.
    pub(super) fn watch_memory(&mut self) {
        let Some(max) = self.ceilings.memory else { return };
        let kept: usize = self.active().iter().map(Conn::surely_kept).sum();
        if kept > max {
            self.fail(format!("all connections together keep {kept} bytes, they may {max}"));
        }
        self.ceilings.above_pause = kept > max - max / 4;
        for id in 0..self.clients {
            self.conns[id].kept_at_poll = self.conns[id].surely_kept();
        }
    }

    /// The reactor reads: not from who keeps something while memory is short.
    pub(super) fn watch_read(&mut self, id: usize) {
        if self.ceilings.above_pause && self.conns[id].kept_at_poll > 0 {
            self.fail(format!("connection #{id} keeps something and was read while memory was short"));
        }
    }

    /// The reactor has closed a connection unheard that it had accepted.
    pub(super) fn watch_turned_away(&mut self) {
        let Some(max) = self.ceilings.address else { return };
        let open = |conn: &&Conn| {
            conn.side == Side::Open && conn.token.is_some() && matches!(conn.plan.dial, Dial::In(_))
        };
        let count = self.active().iter().filter(open).count();
        if count < max {
            self.fail(format!("turned somebody away with only {count} connections of one address"));
        }
    }
}
