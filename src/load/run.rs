//! One run: threads are started together, watched, and what they found is put together.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use super::collector::Collector;
use super::plan::{Arrival, Plan};
use super::profile::Schedule;
use super::report::{Report, Second};
use super::script::Script;
use super::shared::{NEVER, Shared, Slots, Time};
use super::tally::Tally;
use super::worker::{Orders, Worker};
use crate::os::usage::ThreadTime;

/// Ends a run before its time, from another thread: what was found until then is reported. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Ends the run within a tenth of a second.
    pub fn stop(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// Whether that was asked for.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// Why there is no report.
#[derive(Debug)]
#[non_exhaustive]
pub enum Failure {
    /// Not one connection could be made: to which target, and why.
    NoConnection {
        /// E.g. `tcp://127.0.0.1:9999`.
        target: String,
        /// E.g. `refused: nobody listens there`.
        why: String,
    },
    /// Connections were made, and all were lost before the run began.
    NoneLeft {
        /// E.g. `tcp://127.0.0.1:9999`.
        target: String,
        /// What ended the first one.
        why: String,
    },
    /// A thread of the generator ended in a panic: a bug.
    Panicked,
    /// The system refused what a run needs.
    SetUp {
        /// E.g. `starting a thread`.
        what: &'static str,
        /// What it said.
        source: io::Error,
    },
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoConnection { target, why } => {
                write!(f, "not one connection to {target} could be made: {why}")
            }
            Self::NoneLeft { target, why } => {
                write!(
                    f,
                    "connections to {target} were made, and all were lost before the first request: {why}"
                )
            }
            Self::Panicked => f.write_str(
                "a thread of the generator panicked: this is a bug, and nothing it counted is shown",
            ),
            Self::SetUp { what, source } => write!(f, "{what} failed: {source}"),
        }
    }
}

impl std::error::Error for Failure {}

/// What a thread says to the one that collects.
#[derive(Debug)]
pub(super) enum Message {
    /// So many connections of thread `number` are open while more are made.
    Opening { number: usize, open: u64 },
    /// Every connection was tried.
    Opened { number: usize, open: u64, made: u64, why_not: Option<String> },
    /// What was counted in second `number`, or a part of it.
    Piece { number: u64, ends: bool, tally: Box<Tally>, warmup: Option<Box<Tally>> },
    /// What is measured has ended, and what it cost, in how long: that is known a little later.
    Measured { ended: u64, wall: Duration, spent: ThreadTime, spun: Duration },
    /// All is done: so many requests were due in the measured time; the last second handed over, and the connections open then.
    Finished { due: u64, last: u64, open: u64 },
    /// A thread cannot go on.
    Failed(Failure),
}

/// Runs a plan and says what was found. `observe` is told of every second as it ends, in this thread.
///
/// # Errors
/// [`Failure`]: nothing could be measured at all.
pub fn run(plan: &Plan, stop: &Stop, observe: &mut dyn FnMut(&Second)) -> Result<Report, Failure> {
    let plan = Arc::new(plan.clone());
    let origin = Instant::now();
    let (tell, told) = channel();
    let mut threads = Vec::new();
    let mut starts = Vec::new();
    for number in 0..plan.loops.max(1) {
        let (start, go) = channel();
        let orders =
            Orders { plan: Arc::clone(&plan), number, origin, stop: stop.clone(), tell: tell.clone(), go };
        let thread = std::thread::Builder::new().name(format!("load-{number}")).spawn(move || work(orders));
        threads.push(thread.map_err(|source| Failure::SetUp { what: "starting a thread", source })?);
        starts.push(start);
    }
    drop(tell);
    let wanted = starts.len();
    let collected = Collector::new(&plan, observe).collect(&told, starts, origin, stop);
    if collected.is_err() {
        stop.stop();
    }
    // What a thread that panicked had to say is on standard error; without it there is no report to be believed.
    let ended = threads.into_iter().map(std::thread::JoinHandle::join).filter(Result::is_ok).count();
    let collector = collected?;
    if ended < wanted {
        return Err(Failure::Panicked);
    }
    Ok(collector.report(stop))
}

fn work(orders: Orders) {
    let tell = orders.tell.clone();
    let done = shared(&orders).and_then(|shared| Worker::new(orders, shared)).and_then(Worker::run);
    if let Err(failure) = done {
        // The other side has gone only when the run was given up.
        let _ = tell.send(Message::Failed(failure));
    }
}

fn shared(orders: &Orders) -> Result<Shared, Failure> {
    let plan = &orders.plan;
    let script = Script::new(&plan.exchange)
        .map_err(|error| Failure::SetUp { what: "framing a message", source: io::Error::other(error) })?;
    let (loops, number) = (plan.loops.max(1) as u64, orders.number as u64);
    let total = plan.requests.unwrap_or(NEVER);
    let slots = match plan.arrival {
        Arrival::Closed => None,
        Arrival::Open(profile) => {
            let schedule = Schedule::new(profile, plan.warmup, plan.duration.unwrap_or_default());
            Some(Slots { schedule, connections: plan.connections as u64, count: total })
        }
    };
    let shared = Shared::new(script, Time::since(orders.origin), plan, slots);
    if total != NEVER {
        shared.left.set(total / loops + u64::from(number < total % loops));
    }
    Ok(shared)
}
