//! This process holds all connections.

use std::time::{Duration, Instant};

use signal_hook::consts::SIGUSR1;

use super::findings::Findings;
use super::gauge::{Gauge, Memory};
use super::options::{Options, Share};
use super::show::Show;
use crate::address::Address;
use crate::cli::exit::Failure;
use crate::cli::signals::pass_signals;
use crate::fleet::{Fleet, News};
use crate::hold::{Order, Phase, Progress, hold};

/// What happened besides what became of connections.
struct Course<'a> {
    hold_for: Duration,
    /// Nobody is in it: signals come by it.
    signals: Fleet,
    gauge: Gauge<'a>,
    opened: Option<(Instant, Memory)>,
    checked: Option<Instant>,
    signal: Option<i32>,
}

/// # Errors
/// The event loop cannot be made, or died.
pub(super) fn run(
    options: &Options,
    targets: &[Address],
    share: Share,
    show: &mut Show,
) -> Result<Findings, Failure> {
    let plan = options.plan(targets.to_vec(), share);
    let signals = Fleet::new();
    pass_signals(signals.courier())?;
    let gauge = Gauge::begin(&options.pids);
    let mut course =
        Course { hold_for: options.hold_for, signals, gauge, opened: None, checked: None, signal: None };
    let started = Instant::now();
    let outcome = hold(&plan, &mut |progress| {
        show.progress(progress);
        course.direct(progress)
    })?;
    let ended = Instant::now();
    let opened = course.opened.as_ref().map_or(ended, |(at, _)| *at);
    Ok(Findings {
        targets: targets.to_vec(),
        outcome,
        opening: opened - started,
        held: course.checked.unwrap_or(ended) - opened,
        total: ended - started,
        memory: course.opened.map(|(_, memory)| memory),
        processes: 1,
        sources: options.chosen_sources(targets).map(|sources| sources.count),
        signal: course.signal,
    })
}

impl Course<'_> {
    fn direct(&mut self, progress: &Progress) -> Order {
        match self.signals.next(Some(Duration::ZERO)) {
            Some(News::Signal(signal)) if signal != SIGUSR1 => {
                self.signal = Some(signal);
                return Order::Stop;
            }
            _ => {}
        }
        match progress.phase {
            Phase::Opening => Order::Continue,
            Phase::Checking => {
                self.checked.get_or_insert_with(Instant::now);
                Order::Continue
            }
            Phase::Holding => {
                let (since, _) = self.opened.get_or_insert_with(|| (Instant::now(), self.gauge.end()));
                if since.elapsed() >= self.hold_for { Order::Check } else { Order::Continue }
            }
        }
    }
}
