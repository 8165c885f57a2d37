//! One thread of a run: a reactor, its connections, and the moments at which something is to be done.

mod connect;
mod ending;

use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender};
use std::time::{Duration, Instant};

use crate::kernel::Token;
use crate::load::cursor::Cursor;
use crate::load::opening::{IN_FLIGHT, Opening};
use crate::load::plan::{Plan, Protocol};
use crate::load::run::{Failure, Message, Stop};
use crate::load::shared::{NEVER, Phase, Shared, nanos};
use crate::load::tally::Tally;
use crate::os::usage::{ThreadTime, online_processors, pin};
use crate::reactor::{Config, Reactor};
use crate::session::Limits;

/// How often a stop order is looked for, and connections are looked through, in nanoseconds.
const TICK: u64 = 10_000_000;

/// A slot that is closer than this, in nanoseconds, is waited for without sleeping: a sleep and its end take about as long.
const SPIN: u64 = 50_000;

/// Asking in vain takes less than this, in nanoseconds; else something else ran meanwhile.
const INTERRUPTED: u64 = 20_000;

/// Connections that are told to begin before the first answers are looked at.
const BURST: usize = 64;

/// A second of the run's clock.
pub(super) const SECOND: u64 = 1_000_000_000;

/// What a thread is started with.
pub(super) struct Orders {
    pub(super) plan: Arc<Plan>,
    /// The thread's number, from 0.
    pub(super) number: usize,
    /// Where the run's clock begins.
    pub(super) origin: Instant,
    pub(super) stop: Stop,
    pub(super) tell: Sender<Message>,
    /// Says when the run starts, once all threads have their connections.
    pub(super) go: Receiver<u64>,
}

/// See the module.
pub(super) struct Worker {
    orders: Orders,
    reactor: Reactor,
    shared: Rc<Shared>,
    /// By local number. Those that do not exist have a token that finds nothing.
    tokens: Vec<Token>,
    opening: Opening,
    /// Open arrival: the next slot of this thread.
    cursor: Option<Cursor>,
    /// Slots that were due, and those of them that belong to the measured time.
    due: u64,
    due_measured: u64,
    /// The next connection to be looked at for timeouts, and when.
    sweep: usize,
    next_tick: u64,
    next_cut: u64,
    armed: u64,
    /// Whole seconds handed over.
    seconds: u64,
    /// Open arrival: when last all that was due was sent and answered.
    content: u64,
    /// Requests sent, and when there were fewer.
    progress: (u64, u64),
    /// Whether there is another processor for the target, and the time that waiting without sleep has taken.
    may_spin: bool,
    spun: u64,
    /// What had been spent when what is measured began.
    spent: ThreadTime,
}

impl Worker {
    pub(super) fn new(orders: Orders, shared: Shared) -> Result<Self, Failure> {
        if orders.plan.pin {
            #[cfg(target_os = "linux")]
            pin(orders.number).map_err(|source| Failure::SetUp { what: "pinning a thread", source })?;
        }
        let mut reactor = Reactor::with_config(config(&orders.plan)).map_err(|error| Failure::SetUp {
            what: "making a poll",
            source: std::io::Error::other(error),
        })?;
        // Made before connections can take the last descriptor.
        reactor.set_alarm(Instant::now()).map_err(no_timer)?;
        let count = orders.plan.local_connections(orders.number);
        let now = shared.time.now();
        let cursor = shared.slots.map(|slots| Cursor::new(slots, orders.number, orders.plan.loops));
        Ok(Self {
            reactor,
            shared: Rc::new(shared),
            tokens: vec![Token::WAKER; count],
            opening: Opening::new(count, orders.plan.connect_rate, orders.plan.loops, now),
            cursor,
            due: 0,
            due_measured: 0,
            sweep: 0,
            next_tick: now + TICK,
            next_cut: now + SECOND,
            armed: NEVER,
            seconds: 0,
            content: 0,
            progress: (0, 0),
            may_spin: online_processors() > 1,
            spun: 0,
            spent: ThreadTime::default(),
            orders,
        })
    }

    /// Connects, waits for the start, and generates load until the end.
    pub(super) fn run(mut self) -> Result<(), Failure> {
        while !self.orders.stop.is_stopped() && !self.is_open() {
            let now = self.begin_connections();
            self.take_ended(now);
            self.watch_opening(now);
            self.wait(now)?;
        }
        let made = self.shared.tally.borrow().connections.opened;
        let why_not = self.shared.tally.borrow().examples.first().map(|example| example.text.clone());
        let (number, open) = (self.orders.number, self.shared.open.get());
        self.tell(Message::Opened { number, open, made, why_not });
        let Ok(start) = self.orders.go.recv() else { return Ok(()) };
        self.wait_until(start)?;
        self.start(start);
        self.wake_all()?;
        while !self.is_over() {
            let now = self.shared.time.now();
            self.advance(now);
            self.wait(now)?;
        }
        self.finish();
        Ok(())
    }

    /// Shows how far it has come, and gives up where nobody is.
    fn watch_opening(&mut self, now: u64) {
        if now < self.next_tick {
            return;
        }
        self.next_tick = now + TICK;
        let open = self.shared.open.get();
        if open == 0 && self.shared.tally.borrow().errors.total() >= IN_FLIGHT as u64 {
            self.opening.give_up();
        }
        if now >= self.next_cut {
            self.next_cut = now + SECOND;
            self.tell(Message::Opening { number: self.orders.number, open });
        }
    }

    /// Whether every connection was tried once and is decided.
    fn is_open(&self) -> bool {
        self.opening.is_first_round_over() && self.shared.in_flight.get() == 0
    }

    fn start(&mut self, start: u64) {
        let (shared, plan) = (&self.shared, &self.orders.plan);
        let from = start + nanos(plan.warmup);
        shared.start.set(start);
        shared.measure_from.set(from);
        shared.end.set(plan.duration.map_or(NEVER, |duration| from + nanos(duration)));
        shared.phase.set(Phase::Running);
        self.next_cut = if from == start { start + SECOND } else { from.min(start + SECOND) };
        self.next_tick = start + TICK;
        self.spent = ThreadTime::now();
        if let Some(cursor) = &mut self.cursor {
            cursor.start();
        }
    }

    /// Closed arrival: everybody may begin, a few at a time, so that the first answers are not left lying.
    fn wake_all(&mut self) -> Result<(), Failure> {
        if self.cursor.is_some() {
            return Ok(());
        }
        for chunk in 0..self.tokens.len().div_ceil(BURST) {
            let end = self.tokens.len().min((chunk + 1) * BURST);
            for local in chunk * BURST..end {
                self.reactor.wake(self.tokens[local]);
            }
            self.turn(Some(Duration::ZERO))?;
            self.advance(self.shared.time.now());
        }
        Ok(())
    }

    /// Does what is due.
    fn advance(&mut self, now: u64) {
        self.reactor.refresh();
        if now >= self.next_cut {
            self.cut(now);
        }
        self.take_ended(now);
        if self.shared.phase.get() == Phase::Running {
            self.begin_connections();
        }
        self.wake_due(now);
        if now >= self.next_tick {
            self.tick(now);
        }
    }

    fn wake_due(&mut self, now: u64) {
        let start = self.shared.start.get();
        let Some(cursor) = &mut self.cursor else { return };
        let (end, from) = (self.shared.end.get(), self.shared.measure_from.get());
        while let Some((at, local)) = cursor.take(now - start) {
            if start + at >= end {
                cursor.end();
                break;
            }
            self.due += 1;
            self.due_measured += u64::from(start + at >= from);
            self.reactor.wake(self.tokens[local]);
        }
    }

    /// Looks at a part of the connections: some may have waited for too long, or be too old.
    fn tick(&mut self, now: u64) {
        self.next_tick = now + TICK;
        let plan = &self.orders.plan;
        let limit = plan.timeout.min(plan.lifetime.unwrap_or(plan.timeout));
        let round = (nanos(limit) / 10).clamp(TICK, SECOND);
        let ticks = usize::try_from(round / TICK).unwrap_or(1);
        for _ in 0..self.tokens.len().div_ceil(ticks) {
            let Some(token) = self.tokens.get(self.sweep) else { break };
            self.reactor.wake(*token);
            self.sweep = (self.sweep + 1) % self.tokens.len();
        }
        self.note_progress(now);
        let is_running = self.shared.phase.get() == Phase::Running;
        if is_running && (now >= self.shared.end.get() || self.is_used_up() || self.is_given_up(now)) {
            self.end(now);
        }
    }

    /// Nothing new is begun.
    fn end(&mut self, now: u64) {
        let read_at = now;
        let now = now.min(self.shared.end.get());
        self.cut(now);
        self.shared.end.set(now);
        self.shared.phase.set(Phase::Ending);
        self.next_cut = NEVER;
        self.progress.1 = read_at;
        let spent = ThreadTime::now().since(&self.spent);
        let spun = Duration::from_nanos(self.spun);
        // A number of requests is done with the last answer, not when that is noticed; none is done at once.
        let (last, from) = (self.shared.last.get(), self.shared.measure_from.get());
        let is_unanswered = last == 0 && self.shared.sent.get() > 0;
        let ended = if self.is_used_up() && !is_unanswered { now.min(last.max(from)) } else { now };
        let wall = Duration::from_nanos(read_at.saturating_sub(from));
        self.tell(Message::Measured { ended, wall, spent, spun });
    }

    fn finish(mut self) {
        let now = self.shared.time.now();
        if self.shared.phase.get() == Phase::Running {
            self.end(now);
        }
        let last = self.seconds + 1;
        self.hand_over(last, true);
        let due = if self.cursor.is_some() { self.due_measured } else { self.shared.counted.get() };
        self.tell(Message::Finished { due, last, open: self.shared.open.get() });
    }

    /// Hands over what was counted up to each boundary that has passed: a whole second, or the end of the warm-up.
    fn cut(&mut self, now: u64) {
        let (start, from) = (self.shared.start.get(), self.shared.measure_from.get());
        while self.next_cut <= now {
            let passed = self.next_cut - start;
            let ends = passed.is_multiple_of(SECOND);
            self.hand_over(passed.div_ceil(SECOND), ends);
            if self.next_cut == from {
                (self.spent, self.spun) = (ThreadTime::now(), 0);
            }
            self.seconds = passed / SECOND;
            let whole = start + (self.seconds + 1) * SECOND;
            self.next_cut = if self.next_cut < from { whole.min(from) } else { whole };
        }
    }

    fn hand_over(&self, number: u64, ends: bool) {
        let mut tally = self.shared.tally.replace(Tally::new());
        tally.open = self.shared.open.get();
        let is_used = self.shared.warmup.borrow().is_used();
        let warmup = is_used.then(|| Box::new(self.shared.warmup.replace(Tally::new())));
        self.tell(Message::Piece { number, ends, tally: Box::new(tally), warmup });
    }

    fn tell(&self, message: Message) {
        // The other side has gone only when the run was given up.
        let _ = self.orders.tell.send(message);
    }

    /// Waits until something happens or is due.
    fn wait(&mut self, now: u64) -> Result<(), Failure> {
        let next = self.next_moment();
        if next <= now {
            return self.turn(Some(Duration::ZERO));
        } else if self.next_slot() <= now + SPIN && self.may_spin {
            return self.spin(now);
        }
        if next != self.armed || self.armed <= now {
            let Self { reactor, shared, .. } = self;
            let at = shared.time.instant(next);
            reactor.set_alarm(at).map_err(no_timer)?;
            self.armed = next;
        }
        self.turn(None)
    }

    /// Asks for events again and again: the next slot is closer than any sleep ends in time. What that takes is
    /// neither work nor delay, if nothing comes of it.
    fn spin(&mut self, now: u64) -> Result<(), Failure> {
        let settled = self.shared.settled.get();
        self.turn(Some(Duration::ZERO))?;
        let took = self.shared.time.now() - now;
        if self.shared.settled.get() == settled && took < INTERRUPTED {
            self.spun += took;
        }
        Ok(())
    }

    /// Lets nothing but time pass, and what the target says by itself.
    fn wait_until(&mut self, moment: u64) -> Result<(), Failure> {
        while self.shared.time.now() < moment {
            let at = self.shared.time.instant(moment);
            self.reactor.set_alarm(at).map_err(no_timer)?;
            self.turn(None)?;
        }
        self.armed = NEVER;
        Ok(())
    }

    fn next_slot(&self) -> u64 {
        let slot = self.cursor.as_ref().map_or(NEVER, Cursor::next_at);
        if slot == NEVER { NEVER } else { self.shared.start.get().saturating_add(slot) }
    }

    fn next_moment(&self) -> u64 {
        let slot = self.next_slot();
        let opening = match self.shared.phase.get() {
            Phase::Ending => NEVER,
            phase => self.opening.next_at(self.shared.in_flight.get(), phase == Phase::Running),
        };
        slot.min(opening).min(self.next_tick).min(self.next_cut)
    }

    fn turn(&mut self, wait: Option<Duration>) -> Result<(), Failure> {
        self.reactor
            .turn(wait)
            .map_err(|error| Failure::SetUp { what: "polling", source: std::io::Error::other(error) })
    }
}

/// A reactor's settings for clients: only the generator ends connections.
fn config(plan: &Plan) -> Config {
    let mut limits = Limits { idle: None, frame: None, write: None, datagrams: 1 << 16, ..Limits::default() };
    if plan.exchange.protocol != Protocol::Discard {
        // Who stopped reading while much is unsent could wait for a target that does the same.
        (limits.high_water, limits.low_water) = (usize::MAX / 4, usize::MAX / 8);
    }
    limits.max_partial = usize::MAX / 4;
    Config::for_clients(limits, plan.connect_timeout)
}

const fn no_timer(source: std::io::Error) -> Failure {
    Failure::SetUp { what: "setting a timer", source }
}
