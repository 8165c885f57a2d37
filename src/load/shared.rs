//! What the connections of one thread share: what is to be said, when, and what is counted.
//!
//! Protocols are boxes in the reactor's hands and cannot be reached from outside; so they report here, and are told
//! here. It stays in one thread, and nothing is borrowed for longer than one call.

use std::cell::{Cell, RefCell, RefMut};
use std::time::{Duration, Instant};

use super::http::Wire;
use super::plan::{Plan, Protocol};
use super::profile::Schedule;
use super::report::ErrorKind;
use super::script::Script;
use super::tally::{Stamp, Tally};

/// Never, on the run's clock.
pub(super) const NEVER: u64 = u64::MAX;

/// The run's clock: nanoseconds since an origin that all threads share.
#[derive(Debug)]
pub(super) enum Time {
    Real {
        origin: Instant,
        /// What the system's monotonic clock said then, in nanoseconds.
        base: u64,
    },
    /// Set by hand, for tests.
    #[cfg(test)]
    Virtual(Cell<u64>),
}

impl Time {
    /// The clock that begins at `origin`.
    pub(super) fn since(origin: Instant) -> Self {
        Self::Real { origin, base: monotonic().saturating_sub(nanos(origin.elapsed())) }
    }

    /// Read for every request: straight from the system's clock, without what [`Instant`] does around it.
    #[inline]
    pub(super) fn now(&self) -> u64 {
        match self {
            Self::Real { base, .. } => monotonic().saturating_sub(*base),
            #[cfg(test)]
            Self::Virtual(now) => now.get(),
        }
    }

    /// A moment of this clock as others know it.
    pub(super) fn instant(&self, at: u64) -> Instant {
        match self {
            Self::Real { origin, .. } => *origin + Duration::from_nanos(at),
            #[cfg(test)]
            Self::Virtual(_) => Instant::now(),
        }
    }
}

/// CLOCK_MONOTONIC (clock_gettime(2)), which [`Instant`] is made of too, in nanoseconds.
#[inline]
fn monotonic() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    // Neither is ever negative.
    u64::try_from(time.tv_sec).unwrap_or(0) * 1_000_000_000 + u64::try_from(time.tv_nsec).unwrap_or(0)
}

/// A length of time on the run's clock; what is longer than 146 years is that.
pub(super) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(NEVER / 4).min(NEVER / 4)
}

/// What connections may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Connect, and wait.
    Opening,
    /// Make requests.
    Running,
    /// Make those that were due before the end, and wait for answers.
    Ending,
}

/// The slots of an open arrival.
#[derive(Debug, Clone, Copy)]
pub(super) struct Slots {
    pub(super) schedule: Schedule,
    /// Connections of the whole run: each takes every so-many-th slot.
    pub(super) connections: u64,
    /// Slots there are; [`NEVER`] when only time ends them.
    pub(super) count: u64,
}

impl Slots {
    /// Nanoseconds from the start at which connection `number` has its slot of this round; `NEVER` when it has none.
    pub(super) fn due(&self, number: u32, round: u64) -> u64 {
        let slot = round.saturating_mul(self.connections).saturating_add(number.into());
        if slot < self.count { self.schedule.slot(slot) } else { NEVER }
    }
}

/// A connection that has ended, and where its successor goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ended {
    pub(super) number: u32,
    pub(super) carry: Carry,
    /// It had never been made, or had got no answer: its successor waits a little.
    pub(super) in_vain: bool,
    /// There is no use in trying again.
    pub(super) hopeless: bool,
}

/// What goes on from one connection to the next under the same number.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Carry {
    /// Requests sent so far: no number is given twice.
    pub(super) seq: u64,
    /// Rounds of slots used so far.
    pub(super) round: u64,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) script: Script,
    pub(super) wire: Wire,
    pub(super) time: Time,
    /// `None`: closed arrival.
    pub(super) slots: Option<Slots>,
    pub(super) connections: usize,
    pub(super) pipeline: u64,
    pub(super) verify: bool,
    /// Each connection has one request under way, sent as soon as the last is answered, and answered with its own bytes.
    pub(super) is_straight: bool,
    /// Nanoseconds; [`NEVER`] without one.
    pub(super) timeout: u64,
    pub(super) lifetime: u64,
    pub(super) phase: Cell<Phase>,
    /// The start of the run, the start and the end of what is measured.
    pub(super) start: Cell<u64>,
    pub(super) measure_from: Cell<u64>,
    pub(super) end: Cell<u64>,
    /// Closed arrival: requests that may still be made.
    pub(super) left: Cell<u64>,
    /// Requests sent, and those of them that will not be answered any more or are answered.
    pub(super) sent: Cell<u64>,
    pub(super) settled: Cell<u64>,
    /// When the last answer came; without answers, when the last request went or came.
    pub(super) last: Cell<u64>,
    /// Requests of the measured time that were sent.
    pub(super) counted: Cell<u64>,
    /// What belongs to the whole run, or to its measured time.
    pub(super) tally: RefCell<Tally>,
    /// What belongs to the warm-up, for those who watch.
    pub(super) warmup: RefCell<Tally>,
    pub(super) ended: RefCell<Vec<Ended>>,
    /// Connections open, and in the making.
    pub(super) open: Cell<u64>,
    pub(super) in_flight: Cell<usize>,
}

impl Shared {
    /// Nothing is open, sent or counted yet, and there is no end of requests.
    pub(super) fn new(script: Script, time: Time, plan: &Plan, slots: Option<Slots>) -> Self {
        let is_straight = slots.is_none() && plan.pipeline <= 1 && plan.verify && script.is_echoed_whole();
        Self {
            is_straight,
            script,
            wire: Wire::new(&plan.exchange),
            time,
            slots,
            connections: plan.connections,
            pipeline: plan.pipeline.max(1) as u64,
            verify: plan.verify && plan.exchange.protocol != Protocol::Discard,
            timeout: nanos(plan.timeout),
            lifetime: plan.lifetime.map_or(NEVER, nanos),
            phase: Cell::new(Phase::Opening),
            start: Cell::new(NEVER),
            measure_from: Cell::new(NEVER),
            end: Cell::new(NEVER),
            left: Cell::new(NEVER),
            sent: Cell::new(0),
            settled: Cell::new(0),
            last: Cell::new(0),
            counted: Cell::new(0),
            tally: RefCell::new(Tally::new()),
            warmup: RefCell::new(Tally::new()),
            ended: RefCell::default(),
            open: Cell::new(0),
            in_flight: Cell::new(0),
        }
    }

    /// Whether another request may be made now in closed arrival; if so it is taken from what is left.
    #[inline]
    pub(super) fn may_send(&self) -> bool {
        let left = self.left.get();
        if self.phase.get() != Phase::Running || left == 0 {
            return false;
        }
        self.left.set(left - 1);
        true
    }

    /// When connection `number` has its slot of this round, on the run's clock; [`NEVER`] when it has none, or not yet.
    pub(super) fn due(&self, number: u32, round: u64) -> u64 {
        let Some(slots) = self.slots.as_ref().filter(|_| self.phase.get() != Phase::Opening) else {
            return NEVER;
        };
        let due = slots.due(number, round).saturating_add(self.start.get());
        if due < self.end.get() { due } else { NEVER }
    }

    /// Notes a request that goes out.
    #[inline]
    pub(super) fn note_sent(&self, due: u64, bytes: usize) {
        self.sent.set(self.sent.get() + 1);
        self.counted.set(self.counted.get() + u64::from(due >= self.measure_from.get()));
        self.tally_of(due).bytes_out += bytes as u64;
    }

    /// Where a request counts that was due then.
    #[inline]
    pub(super) fn tally_of(&self, due: u64) -> RefMut<'_, Tally> {
        if due >= self.measure_from.get() { self.tally.borrow_mut() } else { self.warmup.borrow_mut() }
    }

    /// Notes how much too late a request left whose connection was free.
    pub(super) fn note_lag(&self, due: u64, now: u64) {
        if due >= self.measure_from.get() {
            self.tally.borrow_mut().lag.saturating_record(now.saturating_sub(due));
        }
    }

    /// Notes an answer.
    #[inline]
    pub(super) fn note_answer(&self, stamp: Stamp, now: u64, bytes: usize) {
        self.settled.set(self.settled.get() + 1);
        self.last.set(now);
        let mut tally = self.tally_of(stamp.due);
        if now < self.end.get() {
            // What the warm-up left behind is answered in place of what the end will cut off.
            tally.in_time += u64::from(now >= self.measure_from.get());
        }
        tally.requests += 1;
        tally.verified += u64::from(self.verify);
        tally.bytes_in += bytes as u64;
        tally.corrected.saturating_record(now.saturating_sub(stamp.due));
        if self.slots.is_some() {
            tally.service.saturating_record(now.saturating_sub(stamp.sent));
        }
    }

    /// Notes requests that have no answer, and count when they go, or come, by themselves.
    pub(super) fn note_moved(&self, due: u64, now: u64, count: u64) {
        self.settled.set(self.settled.get() + count);
        self.last.set(now);
        let mut tally = self.tally_of(due);
        tally.requests += count;
        if now < self.end.get() {
            tally.in_time += if now >= self.measure_from.get() { count } else { 0 };
        }
    }

    pub(super) fn error(&self, kind: ErrorKind, text: impl FnOnce() -> String) {
        self.tally.borrow_mut().error(kind, text);
    }

    /// Requests that are neither answered nor given up.
    pub(super) fn owed(&self) -> u64 {
        self.sent.get() - self.settled.get()
    }
}
