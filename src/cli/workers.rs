//! `oneloop serve --workers N`: processes of our own that share the ports, and the one that watches them.
//!
//! Worker 0 binds first and says where, so that port 0 is one port for all; then the others join. Once all have bound, the parent
//! says where they listen and lets them begin. The parent itself has no socket of the group: a connection that the kernel
//! gave to it would never be answered.

use std::env;
use std::ffi::OsString;
use std::io;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use log::{error, info, warn};
use rustix::process::Signal;
use serde::{Deserialize, Serialize};
use signal_hook::consts::{SIGINT, SIGUSR1};

use super::exit::{Exit, Failure};
use super::listen::announce;
use super::member::Member;
use super::signals::pass_signals;
use crate::address::Address;
use crate::fleet::{Fleet, News};

/// How long a worker may take to bind.
const START: Duration = Duration::from_secs(30);

/// What a worker is given beyond its own limit of the drain, before it is killed.
const GRACE: Duration = Duration::from_secs(5);

/// What the parent says to a worker.
#[derive(Debug, Serialize, Deserialize)]
enum Order {
    /// Bind: these addresses, or those of the arguments.
    Bind(Option<Vec<String>>),
    /// Serve.
    Begin,
}

/// What a worker says to its parent.
#[derive(Debug, Serialize, Deserialize)]
enum Report {
    /// It listens there, and waits for the order to begin.
    Bound(Vec<String>),
    /// It could not, or cannot go on. It ends now.
    Failed(String),
}

/// This process as a worker.
pub(super) struct Worker(Member);

impl Worker {
    pub(super) const fn new(member: Member) -> Self {
        Self(member)
    }

    /// The addresses to bind, unless they are those of the arguments.
    ///
    /// # Errors
    /// The parent is gone.
    pub(super) fn wait_bind(&mut self) -> Result<Option<Vec<Address>>, Failure> {
        match self.0.hear().map_err(|error| alone(&error))? {
            Order::Bind(Some(texts)) => parse(&texts).map(Some),
            Order::Bind(None) => Ok(None),
            Order::Begin => {
                Err(could_not("it was told to begin before it was told to bind: a bug".to_owned()))
            }
        }
    }

    /// Says that everything is bound, and waits until everybody else has.
    ///
    /// # Errors
    /// The parent is gone.
    pub(super) fn bound(&mut self, addresses: &[Address]) -> Result<(), Failure> {
        let texts = addresses.iter().map(ToString::to_string).collect();
        self.0.say(&Report::Bound(texts)).map_err(|error| alone(&error))?;
        match self.0.hear().map_err(|error| alone(&error))? {
            Order::Begin => Ok(()),
            Order::Bind(_) => Err(could_not("it was told to bind twice: a bug".to_owned())),
        }
    }

    pub(super) fn failed(&mut self, failure: &Failure) -> Exit {
        // When it cannot be said the parent is gone, and so is whoever would read it.
        let _ = self.0.say(&Report::Failed(failure.message.clone()));
        failure.exit
    }
}

fn alone(error: &io::Error) -> Failure {
    could_not(format!("the process that started this worker does not answer: {error}"))
}

fn could_not(message: String) -> Failure {
    Failure { exit: Exit::CouldNotRun, message }
}

fn parse(texts: &[String]) -> Result<Vec<Address>, Failure> {
    texts
        .iter()
        .map(|text| text.parse())
        .collect::<Result<_, _>>()
        .map_err(|error| could_not(format!("{error}")))
}

/// How many processes serve, and what their parent has to know about their end.
pub(super) struct Crew {
    pub(super) workers: usize,
    pub(super) drain: Duration,
    pub(super) then_exit: bool,
}

impl Crew {
    /// Starts the workers, and watches them until the last has ended.
    ///
    /// # Errors
    /// A worker that does not come up, or ends unasked.
    pub(super) fn run(&self) -> Result<Exit, Failure> {
        let mut fleet = Fleet::new();
        pass_signals(fleet.courier())?;
        let addresses = match start(&mut fleet, self.workers)? {
            Started::Listening(addresses) => addresses,
            Started::Stopped(signal) => return Ok(Exit::Signal(signal)),
        };
        announce(&addresses)?;
        for worker in 0..fleet.len() {
            // One that has ended since is among the news.
            let _ = order(&fleet, worker, &Order::Begin);
        }
        info!("workers serve count={}", fleet.len());
        Watch { fleet, crew: self, stops: 0, lost: None, until: None }.run()
    }
}

/// How starting went.
enum Started {
    Listening(Vec<Address>),
    /// By a signal, before anybody served.
    Stopped(i32),
}

fn start(fleet: &mut Fleet, workers: usize) -> Result<Started, Failure> {
    start_one(fleet, None)?;
    let texts = match wait_bound(fleet)? {
        Heard::Bound(texts) => texts,
        Heard::Stop(signal) => return Ok(Started::Stopped(signal)),
    };
    for _ in 1..workers {
        start_one(fleet, Some(texts.clone()))?;
    }
    for _ in 1..workers {
        if let Heard::Stop(signal) = wait_bound(fleet)? {
            return Ok(Started::Stopped(signal));
        }
    }
    parse(&texts).map(Started::Listening)
}

fn start_one(fleet: &mut Fleet, resolved: Option<Vec<String>>) -> Result<(), Failure> {
    let arguments: Vec<OsString> = env::args_os().skip(1).collect();
    let cannot = |error| could_not(format!("cannot start a worker: {error}"));
    let worker = fleet.start(&arguments).map_err(cannot)?;
    order(fleet, worker, &Order::Bind(resolved)).map_err(cannot)
}

fn order(fleet: &Fleet, worker: usize, order: &Order) -> io::Result<()> {
    fleet.say(worker, &serde_json::to_string(order)?)
}

/// What may come instead of trouble while workers start.
enum Heard {
    Bound(Vec<String>),
    Stop(i32),
}

fn wait_bound(fleet: &mut Fleet) -> Result<Heard, Failure> {
    let until = Instant::now() + START;
    loop {
        match fleet.next(Some(until.saturating_duration_since(Instant::now()))) {
            Some(News::Said { line, .. }) => match serde_json::from_str(&line) {
                Ok(Report::Bound(texts)) => return Ok(Heard::Bound(texts)),
                Ok(Report::Failed(message)) => return Err(could_not(message)),
                Err(error) => return Err(could_not(format!("a worker said something else: {error}: a bug"))),
            },
            Some(News::Ended { member, status }) => {
                return Err(could_not(format!("worker {member} ended before it listened: {status}")));
            }
            Some(News::Signal(SIGUSR1)) => {}
            Some(News::Signal(stop)) => return Ok(Heard::Stop(stop)),
            None => return Err(could_not(format!("a worker did not listen within {} s", START.as_secs()))),
        }
    }
}

/// The workers while they serve and while they end.
struct Watch<'a> {
    fleet: Fleet,
    crew: &'a Crew,
    /// Signals to stop that were passed on.
    stops: u32,
    /// The first worker that ended unasked, or badly.
    lost: Option<String>,
    /// When those who are still there are killed.
    until: Option<Instant>,
}

impl Watch<'_> {
    fn run(mut self) -> Result<Exit, Failure> {
        let mut at_once = None;
        while self.fleet.alive() > 0 {
            match self.next() {
                Some(News::Signal(SIGUSR1)) => self.fleet.signal(Signal::USR1),
                Some(News::Signal(signal)) => self.stop(signal),
                Some(News::Ended { member, status }) if self.stops > 1 => {
                    info!("worker ended worker={member} status=\"{status}\"");
                    at_once = at_once.or(status.code().filter(|code| *code > 128));
                }
                Some(News::Ended { member, status }) => self.ended(member, status),
                Some(News::Said { member, line }) => error!("worker failed worker={member} error={line:?}"),
                None => self.kill(),
            }
        }
        match (at_once, self.lost) {
            (Some(code), _) => Ok(Exit::Signal(code - 128)),
            (None, Some(message)) => Err(could_not(message)),
            (None, None) => Ok(Exit::Done),
        }
    }

    fn next(&mut self) -> Option<News> {
        let left = self.until.map(|until| until.saturating_duration_since(Instant::now()));
        self.fleet.next(left)
    }

    /// The first signal drains, the second ends at once; the workers know that themselves.
    fn stop(&mut self, signal: i32) {
        self.stops += 1;
        info!("passing a signal on signal={signal} workers={}", self.fleet.alive());
        self.fleet.signal(if signal == SIGINT { Signal::INT } else { Signal::TERM });
        let limit = if self.stops > 1 { GRACE } else { self.crew.drain.saturating_add(GRACE) };
        self.until = Instant::now().checked_add(limit);
    }

    fn ended(&mut self, member: usize, status: ExitStatus) {
        let asked = self.until.is_some() || self.crew.then_exit;
        if status.success() && asked {
            info!("worker ended worker={member}");
        } else {
            error!("worker ended unexpectedly worker={member} status=\"{status}\"");
            self.lost.get_or_insert_with(|| format!("worker {member} ended unexpectedly: {status}"));
        }
        if self.until.is_none() && self.fleet.alive() > 0 {
            warn!("draining the others workers={}", self.fleet.alive());
            self.fleet.signal(Signal::TERM);
            self.until = Instant::now().checked_add(self.crew.drain.saturating_add(GRACE));
        }
    }

    fn kill(&mut self) {
        warn!("workers do not end: killing them workers={}", self.fleet.alive());
        self.fleet.signal(Signal::KILL);
        self.until = Instant::now().checked_add(GRACE);
    }
}
