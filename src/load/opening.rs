//! Which connections are to be made, and when: the first time at the pace asked for, again after a rest.

use std::collections::VecDeque;
use std::time::Duration;

use super::shared::{Carry, Ended, NEVER, nanos};

/// Connections in the making at once, all threads together: less than any server's backlog, so that none is dropped and
/// waits for a second. When so many failed and none was made, no more are tried.
pub(super) const IN_FLIGHT: usize = 100;

/// Seconds; longer than any run.
const FOR_EVER: f64 = 1e9;

/// A connection that could not be made, or was of no use, is tried again after this, in nanoseconds.
const REST: u64 = 100_000_000;

/// The queue of connections to be made by one thread.
#[derive(Debug)]
pub(super) struct Opening {
    /// Those never tried yet: the next one, and how many there are.
    next: usize,
    count: usize,
    /// Those to be made again, and not before when.
    again: VecDeque<(u64, Ended)>,
    /// Connections in the making at once.
    most: usize,
    /// Nanoseconds between two, and when the next one may be begun.
    gap: u64,
    not_before: u64,
}

/// One connection to be begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Begin {
    /// Number n of this thread, for the first time.
    First(usize),
    /// In place of this one.
    Again(Ended),
}

impl Opening {
    /// `rate`: connections begun per second by all `loops` threads together.
    pub(super) fn new(count: usize, rate: Option<f64>, loops: usize, now: u64) -> Self {
        let loops = loops.max(1);
        let rate = rate.map(|rate| rate / loops as f64);
        let most = (IN_FLIGHT / loops).max(1);
        let gap = rate.map_or(Duration::ZERO, |rate| Duration::from_secs_f64((1.0 / rate).min(FOR_EVER)));
        Self { next: 0, count, again: VecDeque::new(), most, gap: nanos(gap), not_before: now }
    }

    /// Whether every connection was tried once.
    pub(super) const fn is_first_round_over(&self) -> bool {
        self.next == self.count
    }

    /// Those never tried are not tried any more.
    pub(super) const fn give_up(&mut self) {
        self.next = self.count;
    }

    /// A connection has ended and is wanted again.
    pub(super) fn add(&mut self, ended: Ended, now: u64) {
        if ended.hopeless {
            return;
        }
        let at = if ended.in_vain { now + REST } else { now };
        self.again.push_back((at, ended));
    }

    /// The connection to begin now, if any. Before the run starts nobody is tried twice: where some targets never answer, it would
    /// never start.
    pub(super) fn take(&mut self, now: u64, in_flight: usize, is_started: bool) -> Option<Begin> {
        if in_flight >= self.most || now < self.not_before {
            return None;
        }
        let begin = if self.next < self.count {
            self.next += 1;
            Begin::First(self.next - 1)
        } else if !is_started {
            return None;
        } else {
            let at = self.again.iter().position(|(at, _)| *at <= now)?;
            Begin::Again(self.again.remove(at)?.1)
        };
        self.not_before = self.not_before.max(now.saturating_sub(self.gap)) + self.gap;
        Some(begin)
    }

    /// When there is something to begin next; [`NEVER`] when there is not.
    pub(super) fn next_at(&self, in_flight: usize, is_started: bool) -> u64 {
        if in_flight >= self.most {
            return NEVER;
        }
        let wanted = if self.next < self.count {
            0
        } else if !is_started {
            NEVER
        } else {
            self.again.iter().map(|(at, _)| *at).min().unwrap_or(NEVER)
        };
        if wanted == NEVER { NEVER } else { wanted.max(self.not_before) }
    }
}

/// For a connection that never came to be.
pub(super) const fn untried(number: u32) -> Ended {
    Ended { number, carry: Carry { seq: 0, round: 0 }, in_vain: true, hopeless: false }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    #[test]
    fn no_more_are_in_the_making_than_a_backlog_holds() {
        let mut opening = Opening::new(1000, None, 1, 0);
        let begun = (0..).take_while(|n| opening.take(0, *n, false).is_some()).count();
        assert_eq!(begun, IN_FLIGHT);
        assert_eq!(opening.take(0, IN_FLIGHT - 1, false), Some(Begin::First(IN_FLIGHT)));
    }

    #[test]
    fn they_are_begun_at_the_rate_asked_for() {
        let mut opening = Opening::new(5, Some(300.0), 3, 0);
        let mut begun = Vec::new();
        let mut now = 0;
        while !opening.is_first_round_over() {
            while opening.take(now, 0, false).is_some() {
                begun.push(now / MS);
            }
            now = opening.next_at(0, false).max(now);
        }
        assert_eq!(begun, [0, 10, 20, 30, 40]);
    }

    #[test]
    fn what_failed_rests_and_what_is_hopeless_is_left() {
        let mut opening = Opening::new(0, None, 1, 0);
        opening.add(untried(7), 0);
        opening.add(Ended { hopeless: true, ..untried(8) }, 0);
        opening.add(Ended { in_vain: false, ..untried(9) }, 0);
        assert_eq!(opening.take(0, 0, true), Some(Begin::Again(Ended { in_vain: false, ..untried(9) })));
        assert_eq!(opening.take(0, 0, true), None);
        assert_eq!(opening.next_at(0, true), REST);
        assert_eq!(opening.take(REST, 0, true), Some(Begin::Again(untried(7))));
        assert_eq!(opening.next_at(0, true), NEVER);
    }

    #[test]
    fn nobody_is_tried_twice_before_the_start() {
        let mut opening = Opening::new(1, None, 1, 0);
        assert_eq!(opening.take(0, 0, false), Some(Begin::First(0)));
        opening.add(untried(0), 0);
        assert_eq!((opening.take(REST, 0, false), opening.next_at(0, false)), (None, NEVER));
        assert_eq!(opening.take(REST, 0, true), Some(Begin::Again(untried(0))));
    }
}
