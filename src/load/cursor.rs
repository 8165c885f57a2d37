//! The slots of one thread, in the order of time.

use super::shared::{NEVER, Slots};

/// Goes through the slots of the connections `number`, `number + loops`, ... round by round.
#[derive(Debug, Clone)]
pub(super) struct Cursor {
    slots: Slots,
    number: usize,
    loops: usize,
    /// The next slot: its round, its connection's local number, and when it is, counted from the start.
    round: u64,
    local: usize,
    next: u64,
}

impl Cursor {
    /// One that is not started.
    pub(super) const fn new(slots: Slots, number: usize, loops: usize) -> Self {
        Self { slots, number, loops, round: 0, local: 0, next: NEVER }
    }

    pub(super) fn start(&mut self) {
        self.next = self.slots.due(self.connection(), self.round);
    }

    /// The next slot, if it is due at `now`: when it was, and whose it is, by local number.
    pub(super) fn take(&mut self, now: u64) -> Option<(u64, usize)> {
        if self.next > now {
            return None;
        }
        let taken = (self.next, self.local);
        self.local += 1;
        if u64::from(self.connection()) >= self.slots.connections {
            (self.local, self.round) = (0, self.round + 1);
        }
        self.start();
        Some(taken)
    }

    /// No more slots.
    pub(super) const fn end(&mut self) {
        self.next = NEVER;
    }

    pub(super) const fn is_over(&self) -> bool {
        self.next == NEVER
    }

    /// When the next slot is due; [`NEVER`] when there is none.
    pub(super) const fn next_at(&self) -> u64 {
        self.next
    }

    fn connection(&self) -> u32 {
        u32::try_from(self.local * self.loops + self.number).unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::profile::{Profile, Schedule};
    use super::*;

    const MS: u64 = 1_000_000;

    fn slots(connections: u64, count: u64) -> Slots {
        let schedule = Schedule::new(Profile::constant(1000.0), Duration::ZERO, Duration::from_secs(1));
        Slots { schedule, connections, count }
    }

    fn all(mut cursor: Cursor) -> Vec<(u64, usize)> {
        cursor.start();
        std::iter::from_fn(|| cursor.take(u64::MAX - 1)).map(|(at, local)| (at / MS, local)).collect()
    }

    #[test]
    fn one_thread_has_every_slot_and_connections_take_turns() {
        let got = all(Cursor::new(slots(3, 7), 0, 1));
        assert_eq!(got, [(0, 0), (1, 1), (2, 2), (3, 0), (4, 1), (5, 2), (6, 0)]);
    }

    #[test]
    fn the_rate_is_global_however_many_threads_there_are() {
        for connections in [2, 3, 5, 8] {
            let parts: Vec<_> =
                (0..2).flat_map(|number| all(Cursor::new(slots(connections, 100), number, 2))).collect();
            let mut times: Vec<_> = parts.iter().map(|(at, _)| *at).collect();
            times.sort_unstable();
            assert_eq!(times, (0..100).collect::<Vec<_>>(), "{connections} connections");
        }
    }

    #[test]
    fn nothing_is_due_before_its_time() {
        let mut cursor = Cursor::new(slots(1, 10), 0, 1);
        assert_eq!(cursor.take(u64::MAX - 1), None, "not started");
        cursor.start();
        assert_eq!(cursor.take(0), Some((0, 0)));
        assert_eq!((cursor.take(MS - 1), cursor.next_at()), (None, MS));
        assert_eq!(cursor.take(MS), Some((MS, 0)));
    }
}
