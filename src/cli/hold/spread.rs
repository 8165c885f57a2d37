//! Child processes hold the connections; this one tells them when, and puts together what they found.

use std::env;
use std::ffi::OsString;
use std::time::{Duration, Instant};

use log::error;
use signal_hook::consts::SIGUSR1;

use super::findings::Findings;
use super::gauge::Gauge;
use super::options::{Options, Share};
use super::show::Show;
use super::wire::{Order, Report};
use crate::address::Address;
use crate::cli::exit::{Exit, Failure};
use crate::cli::signals::pass_signals;
use crate::fleet::{Fleet, News};
use crate::hold::{Kind, Outcome, Phase, Progress};

/// How long a process may take to start.
const START: Duration = Duration::from_secs(30);

/// How long a process may take to report after it was told to stop.
const GRACE: Duration = Duration::from_secs(5);

/// How often what is shown is brought up to date.
const BEAT: Duration = Duration::from_millis(100);

/// One child, as far as is known.
struct Holder {
    share: Share,
    ready: bool,
    is_open: bool,
    opened: u64,
    failed: u64,
    lost: u64,
    answered: u64,
    /// At its end, however that came.
    outcome: Option<Outcome>,
}

impl Holder {
    const fn new(share: Share) -> Self {
        Self {
            share,
            ready: false,
            is_open: false,
            opened: 0,
            failed: 0,
            lost: 0,
            answered: 0,
            outcome: None,
        }
    }

    /// Nobody knows what became of its connections, except that they are gone.
    fn died(&mut self, why: String) {
        let mut outcome = Outcome::new();
        outcome.opened = self.opened;
        outcome.lost.add(Kind::Other, self.opened);
        outcome.failed.add(Kind::Other, u64::from(self.share.connections) - self.opened);
        outcome.other = Some(why);
        outcome.private = None;
        self.outcome = Some(outcome);
    }
}

struct Spread<'a> {
    fleet: Fleet,
    holders: Vec<Holder>,
    phase: Phase,
    show: &'a mut Show,
}

/// # Errors
/// The processes cannot be started.
pub(super) fn run(
    options: &Options,
    targets: &[Address],
    shares: &[Share],
    show: &mut Show,
) -> Result<Findings, Failure> {
    let fleet = Fleet::new();
    pass_signals(fleet.courier())?;
    let holders = shares.iter().copied().map(Holder::new).collect();
    let mut spread = Spread { fleet, holders, phase: Phase::Opening, show };
    let mut signal = spread.start()?;
    // Measured with the children there: they are not what connections cost.
    let gauge = Gauge::begin(&options.pids);
    let started = Instant::now();
    if signal.is_none() {
        spread.begin(targets);
        signal = spread.follow(None, |holder| holder.is_open);
    }
    let opened = Instant::now();
    let memory = signal.is_none().then(|| gauge.end());
    if signal.is_none() {
        spread.phase = Phase::Holding;
        signal = spread.follow(opened.checked_add(options.hold_for), |_| false);
    }
    let checked = Instant::now();
    spread.end(&mut signal);
    let mut outcome = Outcome::new();
    for holder in &mut spread.holders {
        outcome.merge(&holder.outcome.take().unwrap_or_default());
    }
    Ok(Findings {
        targets: targets.to_vec(),
        outcome,
        opening: opened - started,
        held: checked - opened,
        total: started.elapsed(),
        memory,
        processes: shares.len(),
        sources: options.chosen_sources(targets).map(|sources| sources.count),
        signal,
    })
}

impl Spread<'_> {
    /// Starts everybody; `Some` when a signal came.
    fn start(&mut self) -> Result<Option<i32>, Failure> {
        let could_not = |message| Failure { exit: Exit::CouldNotRun, message };
        let arguments: Vec<OsString> = env::args_os().skip(1).collect();
        for _ in 0..self.holders.len() {
            self.fleet
                .start(&arguments)
                .map_err(|error| could_not(format!("cannot start a process: {error}")))?;
        }
        let signal = self.follow(Instant::now().checked_add(START), |holder| holder.ready);
        let dead = self.holders.iter().filter_map(|holder| holder.outcome.as_ref()?.other.clone()).next();
        match dead {
            Some(why) => Err(could_not(why)),
            None if signal.is_none() && self.holders.iter().any(|holder| !holder.ready) => {
                Err(could_not(format!("a process did not start within {} s", START.as_secs())))
            }
            None => Ok(signal),
        }
    }

    fn begin(&self, targets: &[Address]) {
        let targets: Vec<String> = targets.iter().map(ToString::to_string).collect();
        for (member, holder) in self.holders.iter().enumerate() {
            let Share { first, connections, processes } = holder.share;
            self.order(member, &Order::Open { targets: targets.clone(), first, connections, processes });
        }
    }

    /// Has everybody ask its connections, or stop, and waits for what they report.
    fn end(&mut self, signal: &mut Option<i32>) {
        self.phase = Phase::Checking;
        if signal.is_none() {
            self.order_all(&Order::Check);
            *signal = self.follow(None, |holder| holder.outcome.is_some());
        }
        if signal.is_some() {
            self.order_all(&Order::Stop);
            // A second signal ends the waiting.
            self.follow(Instant::now().checked_add(GRACE), |holder| holder.outcome.is_some());
        }
        for holder in self.holders.iter_mut().filter(|holder| holder.outcome.is_none()) {
            holder.died("a process did not report".to_owned());
        }
    }

    fn order_all(&self, order: &Order) {
        for member in 0..self.holders.len() {
            self.order(member, order);
        }
    }

    /// Who cannot be told has ended, and that is among the news.
    fn order(&self, member: usize, order: &Order) {
        if let Ok(line) = serde_json::to_string(order) {
            let _ = self.fleet.say(member, &line);
        }
    }

    /// Takes news until `done` is true of everybody who lives, or the time has come; `Some` when a signal did first.
    fn follow(&mut self, until: Option<Instant>, done: impl Fn(&Holder) -> bool) -> Option<i32> {
        loop {
            if self.holders.iter().all(|holder| holder.outcome.is_some() || done(holder)) {
                return None;
            }
            let now = Instant::now();
            let left = until.map_or(BEAT, |until| until.saturating_duration_since(now).min(BEAT));
            if left.is_zero() {
                return None;
            }
            match self.fleet.next(Some(left)) {
                Some(News::Signal(signal)) if signal != SIGUSR1 => return Some(signal),
                Some(News::Said { member, line }) => self.said(member, &line),
                Some(News::Ended { member, status }) if self.holders[member].outcome.is_none() => {
                    error!("process ended unexpectedly process={member} status=\"{status}\"");
                    self.holders[member].died(format!("process {member} ended: {status}"));
                }
                _ => {}
            }
            let progress = self.progress();
            self.show.progress(&progress);
        }
    }

    fn said(&mut self, member: usize, line: &str) {
        let holder = &mut self.holders[member];
        match serde_json::from_str(line) {
            Ok(Report::Ready) => holder.ready = true,
            Ok(Report::Now { opened, failed, lost, answered, is_open }) => {
                (holder.opened, holder.failed, holder.lost) = (opened, failed, lost);
                (holder.answered, holder.is_open) = (answered, is_open);
            }
            Ok(Report::Found(found)) => match found.outcome() {
                Ok(outcome) => holder.outcome = Some(outcome),
                Err(error) => holder.died(format!("process {member} reported badly: {error}")),
            },
            Ok(Report::Failed(why)) => holder.died(format!("process {member} could not: {why}")),
            Err(error) => holder.died(format!("process {member} said something else: {error}")),
        }
    }

    fn progress(&self) -> Progress {
        let sum = |count: fn(&Holder) -> u64| self.holders.iter().map(count).sum();
        Progress {
            phase: self.phase,
            opened: sum(|holder| holder.opened),
            failed: sum(|holder| holder.failed),
            lost: sum(|holder| holder.lost),
            answered: sum(|holder| holder.answered),
        }
    }
}
