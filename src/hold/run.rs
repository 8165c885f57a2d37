//! One process's share: connections are opened at a measured pace, held, asked, and closed.

use std::collections::HashMap;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use super::held::{Note, Stage};
use super::kinds::Kind;
use super::opening::Attempts;
use super::outcome::Outcome;
use super::plan::Plan;
use crate::error::Error;
use crate::kernel::Token;
use crate::os::memory::private_bytes;
use crate::reactor::{Config, Reactor};
use crate::session::Limits;

/// How often the owner is asked what to do, at least.
pub(super) const BEAT: Duration = Duration::from_millis(50);

/// What is going on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Connections are being opened.
    Opening,
    /// All that could be opened are open, and rest.
    Holding,
    /// They are being asked whether they are still there.
    Checking,
}

/// How far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// What is going on.
    pub phase: Phase,
    /// Opened so far.
    pub opened: u64,
    /// Not opened.
    pub failed: u64,
    /// Opened and lost.
    pub lost: u64,
    /// Asked, and still there.
    pub answered: u64,
}

/// What the owner wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Go on.
    Continue,
    /// End holding: ask everybody. Without meaning in other phases.
    Check,
    /// End now.
    Stop,
}

/// Opens the plan's connections and holds them. `direct` is told how far it is, twenty times a second and whenever the phase
/// changes, and says what to do; connections are held until it says [`Order::Check`], or until none is left, and closed when this returns.
///
/// # Errors
/// The event loop cannot be made, or died.
pub fn hold(plan: &Plan, direct: &mut dyn FnMut(&Progress) -> Order) -> Result<Outcome, Error> {
    let before = private_bytes(std::process::id()).ok();
    let mut holder = Holder::new(plan)?;
    let mut stopped = holder.open(direct)?;
    let after = private_bytes(std::process::id()).ok();
    holder.outcome.private = before.zip(after);
    stopped = stopped || (holder.is_somebody_there() && (holder.rest(direct)? || holder.check(direct)?));
    // Whoever did not answer in time is lost by now.
    holder.outcome.survived = holder.outcome.opened - holder.outcome.lost.total();
    holder.outcome.untried = u64::from(plan.connections - holder.begun) + holder.under_way.len() as u64;
    holder.outcome.stopped = stopped;
    Ok(holder.outcome)
}

/// A connection that has to do something before long.
#[derive(Debug)]
pub(super) struct UnderWay {
    pub(super) token: Token,
    pub(super) since: Instant,
}

pub(super) struct Holder<'a> {
    pub(super) plan: &'a Plan,
    pub(super) reactor: Reactor,
    notes: Receiver<Note>,
    pub(super) tell: Sender<Note>,
    phase: Phase,
    /// Connections tried so far.
    pub(super) begun: u32,
    /// By number from the plan's first: those that were opened and may still be there.
    tokens: Vec<Option<Token>>,
    pub(super) under_way: HashMap<u32, UnderWay>,
    pub(super) started: Instant,
    pub(super) attempts: Attempts,
    answered: u64,
    outcome: Outcome,
}

impl<'a> Holder<'a> {
    fn new(plan: &'a Plan) -> Result<Self, Error> {
        let config = Config {
            // Resting is what they are here for. Who takes too long is closed by this file, without a timer of its own each.
            limits: Limits { idle: None, frame: None, ..Limits::default() },
            connect_timeout: plan.timeout.saturating_add(Duration::from_secs(1)),
            ..Config::default()
        };
        let (tell, notes) = channel();
        Ok(Self {
            plan,
            reactor: Reactor::with_config(config)?,
            notes,
            tell,
            phase: Phase::Opening,
            begun: 0,
            tokens: vec![None; plan.connections as usize],
            under_way: HashMap::new(),
            started: Instant::now(),
            attempts: Attempts::default(),
            answered: 0,
            outcome: Outcome::new(),
        })
    }

    /// Until every connection is opened or has failed; whether it was told to stop.
    fn open(&mut self, direct: &mut dyn FnMut(&Progress) -> Order) -> Result<bool, Error> {
        let mut tell_at = Instant::now();
        while self.has_more() || !self.under_way.is_empty() {
            self.begin_some();
            self.turn(if self.can_begin() { Duration::ZERO } else { self.wait() })?;
            if Instant::now() >= tell_at {
                tell_at = Instant::now() + BEAT;
                if direct(&self.progress()) == Order::Stop {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    fn is_somebody_there(&self) -> bool {
        self.outcome.opened > self.outcome.lost.total()
    }

    /// Until the owner wants them asked, or nobody is left to ask; whether it wants to stop instead.
    fn rest(&mut self, direct: &mut dyn FnMut(&Progress) -> Order) -> Result<bool, Error> {
        self.phase = Phase::Holding;
        loop {
            match direct(&self.progress()) {
                Order::Continue if self.is_somebody_there() => self.turn(BEAT)?,
                Order::Continue | Order::Check => return Ok(false),
                Order::Stop => return Ok(true),
            }
        }
    }

    /// Asks everybody who is still there; whether it was told to stop.
    fn check(&mut self, direct: &mut dyn FnMut(&Progress) -> Order) -> Result<bool, Error> {
        self.phase = Phase::Checking;
        let mut next = 0;
        let mut stopped = false;
        while !stopped && (next < self.tokens.len() || !self.under_way.is_empty()) {
            self.reactor.refresh();
            while next < self.tokens.len() && self.under_way.len() < self.plan.in_flight {
                self.ask(next);
                next += 1;
            }
            self.turn(BEAT)?;
            stopped = direct(&self.progress()) == Order::Stop;
        }
        self.under_way.clear();
        Ok(stopped)
    }

    fn ask(&mut self, at: usize) {
        if let Some(token) = self.tokens[at] {
            let number = self.plan.first + u32::try_from(at).expect("connections are counted in 32 bits");
            self.under_way.insert(number, UnderWay { token, since: Instant::now() });
            self.reactor.wake(token);
        }
    }

    fn turn(&mut self, at_most: Duration) -> Result<(), Error> {
        self.reactor.turn(Some(at_most))?;
        while let Ok(note) = self.notes.try_recv() {
            self.take(note);
        }
        self.give_up_overdue();
        Ok(())
    }

    fn progress(&self) -> Progress {
        Progress {
            phase: self.phase,
            opened: self.outcome.opened,
            failed: self.outcome.failed.total(),
            lost: self.outcome.lost.total(),
            answered: self.answered,
        }
    }
}

/// What connections tell.
impl Holder<'_> {
    pub(super) fn take(&mut self, note: Note) {
        match note {
            Note::Connected { number, at } => {
                if let Some(under_way) = self.under_way.get(&number) {
                    let took = at.saturating_duration_since(under_way.since).as_nanos();
                    self.outcome.connect.saturating_record(u64::try_from(took).unwrap_or(u64::MAX).max(1));
                }
            }
            Note::Opened { number } => {
                if let Some(under_way) = self.under_way.remove(&number) {
                    self.outcome.opened += 1;
                    let at = (number - self.plan.first) as usize;
                    self.tokens[at] = Some(under_way.token);
                }
            }
            Note::Answered { number } => {
                self.answered += u64::from(self.under_way.remove(&number).is_some());
            }
            Note::Gone { number, stage, kind, other } => {
                if let Some(reason) = other {
                    self.outcome.other.get_or_insert_with(|| reason.to_string());
                }
                self.gone(number, stage, kind);
            }
        }
    }

    /// Counts a connection that is not there any more, unless it was counted when it was given up.
    fn gone(&mut self, number: u32, stage: Stage, kind: Kind) {
        let at = (number - self.plan.first) as usize;
        let was_open = self.tokens[at].take().is_some();
        let was_under_way = self.under_way.remove(&number).is_some();
        let never_begun = stage == Stage::Opening && self.begun as usize == at;
        if was_open {
            self.outcome.lost.add(kind, 1);
        } else if was_under_way || never_begun {
            self.outcome.failed.add(kind, 1);
        }
    }

    /// Closes those who take too long.
    fn give_up_overdue(&mut self) {
        let now = Instant::now();
        let limit = self.plan.timeout;
        let is_overdue = |under_way: &UnderWay| now.saturating_duration_since(under_way.since) >= limit;
        let overdue: Vec<(u32, Token)> = self
            .under_way
            .iter()
            .filter(|(_, under_way)| is_overdue(under_way))
            .map(|(number, under_way)| (*number, under_way.token))
            .collect();
        for (number, token) in overdue {
            self.gone(number, Stage::Asked, Kind::TimedOut);
            self.reactor.close_now(token);
        }
    }
}
