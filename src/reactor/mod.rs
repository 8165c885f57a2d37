//! The event loop: one thread, one poll, every connection.
//!
//! One turn is four steps, in this order:
//!
//! 1. **Poll**, with a timeout of zero if anybody waits, else until the nearest deadline. Read the clock once.
//! 2. **Note** events: they are copied. No I/O happens while the poll's events are gone through.
//! 3. **Note deadlines** that are due.
//! 4. **Serve** what was noted, each within its budget of bytes and frames; who is not finished waits. Then
//!    serve those who wait, in order, until the turn has moved its share of bytes.

mod accept;
pub(crate) mod addresses;
#[cfg(all(feature = "load", target_os = "linux"))]
mod alarm;
mod config;
mod connect;
mod datagrams;
mod deadlines;
mod drain;
mod handle;
mod jobs;
mod memory;
mod mio_kernel;
mod panics;
mod scratch;
mod serve;
#[cfg(feature = "signals")]
mod signals;
pub(crate) mod slots;
mod stats;
mod system;
pub(crate) mod throttle;
mod wake;

pub use self::config::{Config, OverLimit};
pub use self::handle::Handle;
pub use self::mio_kernel::{Listener, MioKernel};
pub use self::stats::Stats;

use std::collections::VecDeque;
use std::time::Duration;

use log::{error, info};

use self::accept::Listening;
use self::addresses::Addresses;
use self::connect::Connecting;
use self::deadlines::Deadlines;
use self::drain::State;
use self::jobs::Running;
use self::memory::Shortage;
use self::scratch::Scratch;
use self::slots::{Slots, key_of};
use self::throttle::Throttle;
use crate::connection::Connection;
use crate::error::Error;
use crate::kernel::{Event, Kernel, Planted, Readiness, Stream, Token};
use crate::port::Port;
use crate::session::{Clock, Pass, Protocol, Tick};

/// Connections there is room for from the start; untouched room costs no memory.
const ROOM: usize = 1024;

/// How old the cached wall clock may become, in milliseconds.
const WALL_AGE_MS: u32 = 1000;

/// A connection as the reactor keeps it.
type Conn<K> = Connection<<K as Kernel>::Stream, Box<dyn Protocol>>;

/// What a token refers to. Connections are kept inline: there are many. The rest is boxed: there are few.
#[derive(Debug)]
enum Slot<K: Kernel> {
    Peer(Conn<K>),
    Connecting(Box<Connecting<K>>),
    Listener(Box<Listening<K>>),
    Port(Box<Port<K::Datagrams>>),
    /// A child process. Empty while it is served.
    Job(Option<Box<Running>>),
}

/// The slot is in the queue of those who wait for their turn.
const QUEUED: u8 = 1;
/// The slot's deadline has fired.
const DUE: u8 = 2;

/// A slot with what the loop notes about it.
#[derive(Debug)]
struct Entry<K: Kernel> {
    /// [`QUEUED`] and [`DUE`]; zero for a connection that only waits for events.
    marks: u8,
    slot: Slot<K>,
}

impl<K: Kernel> Entry<K> {
    const fn new(slot: Slot<K>) -> Self {
        Self { marks: 0, slot }
    }
}

/// How a loop ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Outcome {
    /// Connections that were cut off because the drain's time was up, or a second order to stop came.
    pub cut_off: usize,
    /// The number of the signal that ended the loop at once, before the drain had ended.
    pub signal: Option<i32>,
}

/// An event loop over a [`Kernel`], by default the operating system's.
///
/// ```no_run
/// use oneloop::codec::Lines;
/// use oneloop::services::Echo;
/// use oneloop::session::{Framed, factory};
///
/// fn main() -> Result<(), oneloop::Error> {
///     let mut reactor = oneloop::Reactor::new()?;
///     let address = "127.0.0.1:9999".parse().expect("a numeric address");
///     reactor.listen(address, factory(|_peer| Framed::new(Lines::default(), Echo)))?;
///     reactor.run()?;
///     Ok(())
/// }
/// ```
#[derive(Debug)]
pub struct Reactor<K: Kernel = MioKernel> {
    kernel: K,
    slots: Slots<Entry<K>>,
    /// What has happened since the last step four: events, and deadlines that fired.
    events: Vec<Event>,
    /// The last snapshot's memory.
    spare: Vec<Event>,
    /// Who was not finished within a turn's budget.
    waiting: VecDeque<Token>,
    deadlines: Deadlines,
    pass: Pass,
    scratch: Scratch,
    clock: Clock,
    wall_read: Tick,
    config: Config,
    stats: Stats,
    state: State,
    /// Listeners that wait for a connection to end, or for memory.
    paused: Vec<Token>,
    /// Memory is short.
    shortage: Option<Shortage>,
    /// Where connections come from, if that is limited.
    addresses: Option<Box<Addresses>>,
    next_report: Option<Tick>,
    warnings: Warnings,
    shared: datagrams::Shared,
    /// Child processes under way, those included that nobody listens to any more.
    jobs: usize,
    /// Set when a listener or the poll has become unusable.
    fatal: Option<Error>,
    /// A panic in a user's code ends one conversation: while [`run`](Self::run) runs.
    shields: bool,
}

/// One throttle per kind of warning.
#[derive(Debug, Default)]
struct Warnings {
    over_limit: Throttle,
    exhausted: Throttle,
    over_address: Throttle,
    memory: Throttle,
    memory_ends: Throttle,
    protocol: Throttle,
    register: Throttle,
}

impl<K: Kernel> Reactor<K> {
    /// A reactor on a kernel of your choice.
    pub fn with_kernel(mut kernel: K, config: Config) -> Self {
        let origin = kernel.now();
        let clock = Clock::new(origin);
        let now = clock.at(origin, kernel.wall());
        let scratch = Scratch::new(config.limits.read_budget);
        let next_report = config.stats_interval.map(|interval| now.tick.after(interval.into()));
        let shared = datagrams::Shared::new(config.any_source_port);
        let addresses = config.max_per_address.map(|max| Box::new(Addresses::new(max)));
        Self {
            kernel,
            slots: Slots::with_capacity(ROOM),
            events: Vec::new(),
            spare: Vec::new(),
            waiting: VecDeque::new(),
            deadlines: Deadlines::with_capacity(ROOM),
            pass: Pass::new(config.limits.clone(), now),
            scratch,
            clock,
            wall_read: now.tick,
            config,
            stats: Stats::default(),
            state: State::Running,
            paused: Vec::new(),
            shortage: None,
            addresses,
            next_report,
            warnings: Warnings::default(),
            shared,
            jobs: 0,
            fatal: None,
            shields: false,
        }
    }

    /// Runs until a drain has ended or a second order to stop came. A reactor that has ended stays ended: run
    /// again, it returns the same outcome at once.
    ///
    /// A protocol that panics is dropped without another call, with its connection, and everybody else goes on
    /// ([`CloseReason::Panicked`](crate::session::CloseReason::Panicked)), unless the program is built to abort on panics.
    ///
    /// # Errors
    /// [`Error::Poll`], [`Error::Listener`], or [`Error::Panicked`] from the handler of a datagram socket: the loop is dead.
    pub fn run(&mut self) -> Result<Outcome, Error> {
        self.shields = true;
        while !self.is_done() {
            self.turn(None)?;
        }
        Ok(self.finish())
    }

    /// One turn, waiting at most `max_wait` for something to happen. A protocol's panic is the caller's, and the loop is
    /// not to be used after it.
    ///
    /// # Errors
    /// [`Error::Poll`] or [`Error::Listener`]: the loop is dead.
    pub fn turn(&mut self, max_wait: Option<Duration>) -> Result<(), Error> {
        let timeout = self.poll_timeout(max_wait);
        self.kernel.poll(timeout).map_err(|source| {
            error!("poll failed error=\"{source}\"");
            Error::Poll(source)
        })?;
        self.stats.turns += 1;
        self.read_clock();
        self.note_events();
        self.note_deadlines();
        self.serve_ready();
        match self.fatal.take() {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    /// Whether [`run`](Self::run) would return now.
    pub fn is_done(&self) -> bool {
        self.state.is_over(self.stats.open, self.slots.len())
    }

    /// What was counted so far.
    #[must_use]
    pub fn stats(&self) -> Stats {
        Stats {
            traffic: *self.pass.traffic(),
            datagrams: *self.pass.datagrams(),
            buffered: self.pass.memory.held() as u64,
            read_pauses: self.pass.memory.pauses,
            kernel_drops: self.kernel_drops(),
            ..self.stats.clone()
        }
    }

    /// The kernel below.
    #[must_use]
    pub const fn kernel(&self) -> &K {
        &self.kernel
    }

    /// The kernel below, for a test that plays the other side.
    pub const fn kernel_mut(&mut self) -> &mut K {
        &mut self.kernel
    }

    /// Slots in use: connections, those in the making, and listeners.
    #[must_use]
    pub fn slots_in_use(&self) -> usize {
        self.slots.len()
    }

    fn poll_timeout(&self, max_wait: Option<Duration>) -> Option<Duration> {
        if !self.waiting.is_empty() {
            return Some(Duration::ZERO);
        }
        let own = Tick::earliest(self.next_report, self.state.deadline());
        let own = Tick::earliest(own, self.shortage_deadline());
        let until = Tick::earliest(self.deadlines.next(), own).map(|at| self.pass.now().until(at));
        match (until, max_wait) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (one, other) => one.or(other),
        }
    }

    fn read_clock(&mut self) {
        let instant = self.kernel.now();
        let mut now = self.clock.at(instant, self.pass.now().wall);
        if now.tick.since(self.wall_read) >= WALL_AGE_MS {
            now.wall = self.kernel.wall();
            self.wall_read = now.tick;
        }
        self.pass.set_now(now);
    }

    #[inline(never)]
    fn note_events(&mut self) {
        // Taken out for the loop, so that its length stays in a register.
        let mut events = std::mem::take(&mut self.events);
        events.extend(self.kernel.events());
        self.events = events;
    }

    fn note_deadlines(&mut self) {
        let now = self.pass.now().tick;
        while let Some(key) = self.deadlines.pop_due(now) {
            let Some(token) = self.slots.token_of(key) else { continue };
            if let Some(entry) = self.slots.get_mut(token) {
                entry.marks |= DUE;
                if entry.marks & QUEUED == 0 {
                    self.events.push(Event { token, ready: Readiness::NONE });
                }
            }
        }
        if self.next_report.is_some_and(|at| at.is_due(now)) {
            self.report();
            self.next_report = self.config.stats_interval.map(|interval| now.after(interval.into()));
        }
        if self.state.deadline().is_some_and(|at| at.is_due(now)) {
            self.cut_off();
        }
    }

    fn report(&self) {
        info!("stats {}", self.stats());
    }

    fn arm(&mut self, token: Token, at: Option<Tick>) {
        if let Some(at) = at {
            self.deadlines.arm(key_of(token), at);
        }
    }

    /// Its deadline entry stays: it fires for nobody, or too early for whoever has the key then.
    fn remove(&mut self, token: Token) -> Option<Entry<K>> {
        self.kernel.forget(token);
        self.slots.remove(token)
    }
}

/// Whether the simulated kernel below has planted this bug; a constant.
const fn planted<K: Kernel>(bug: Planted) -> bool {
    K::Stream::PLANTED as u8 == bug as u8
}

fn enqueue<K: Kernel>(entry: &mut Entry<K>, token: Token, waiting: &mut VecDeque<Token>) {
    if entry.marks & QUEUED == 0 {
        entry.marks |= QUEUED;
        waiting.push_back(token);
    }
}
