//! The simulated machine below one reactor: its connections, its clock, its poll.

use std::fmt;

use super::ceilings::Ceilings;
use super::children::Process;
use super::conn::{Conn, Saw, Side};
use super::datagrams::Mail;
use super::faults::Faults;
use super::judge::nanos;
use super::plan::{Dial, MAX_FRAME, MS, NEVER, Setting};
use super::rng::{Rng, mix};
use crate::kernel::{Event, Token};
use crate::reactor::Config;

/// Polls that move nothing before the loop counts as spinning.
const MAX_IDLE_POLLS: u32 = 2000;
/// No plan takes that long.
const MAX_TIME: u64 = 3_600_000 * MS;
/// No run needs more kernel operations.
const MAX_OPERATIONS: u64 = 200_000;
/// Tokens of closed sockets that ghosts are made from.
const GHOSTS: usize = 8;

/// A listening socket.
#[derive(Debug, Default)]
pub(super) struct Listener {
    pub(super) queue: Vec<usize>,
    pub(super) token: Option<Token>,
    pub(super) pending: bool,
    pub(super) open: bool,
}

/// Who has an edge that was not reported yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    Conn(usize),
    Listener(usize),
    /// A datagram socket.
    Socket(usize),
    /// A child process: its pipes, and its end.
    Child(usize),
}

/// What the kernel itself has counted, to be compared with what the reactor has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counted {
    pub(super) operations: u64,
    pub(super) accepted: u64,
    pub(super) accept_errors: u64,
    pub(super) accept_pauses: u64,
    pub(super) shed: u64,
    pub(super) connected: u64,
    pub(super) dialled: u64,
    pub(super) unregistered: u64,
    pub(super) bytes_read: u64,
    pub(super) bytes_written: u64,
    pub(super) ghosts: u64,
}

/// Everything one run consists of. Kept from run to run for its memory.
#[derive(Default)]
pub(super) struct World {
    pub(super) rng: Rng,
    pub(super) now: u64,
    pub(super) faults: Faults,
    pub(super) setting: Setting,
    pub(super) conns: Vec<Conn>,
    /// How many of `conns` take part.
    pub(super) clients: usize,
    pub(super) listeners: [Listener; 3],
    pub(super) mail: Mail,
    pub(super) children: Vec<Process>,
    pub(super) ready: Vec<Source>,
    pub(super) closed: Vec<Token>,
    /// Outgoing connections whose time has come, for the runner.
    pub(super) to_dial: Vec<usize>,
    /// Stop orders not taken yet, and how many were.
    pub(super) stops: u32,
    pub(super) stops_taken: u32,
    pub(super) stopped_at: Option<u64>,
    pub(super) drought: (u64, u64),
    /// When the reactor was done.
    pub(super) ended_at: u64,
    /// How long a drain may take.
    pub(super) drain: u64,
    pub(super) descriptors: usize,
    /// The most a connection may keep in user memory.
    pub(super) memory: usize,
    /// What all connections together may keep, and one address may have.
    pub(super) ceilings: Ceilings,
    pub(super) counted: Counted,
    moved: u64,
    idle_polls: u32,
    trace: u64,
    pub(super) broken: Option<String>,
}

impl World {
    /// Begins the next run, with these decisions.
    pub(super) fn begin(&mut self, rng: Rng, faults: Faults, setting: Setting, config: &Config) {
        self.reset(rng);
        (self.faults, self.setting, self.clients) = (faults, setting, setting.clients);
        self.drain = nanos(config.drain);
        self.ceilings = Ceilings::of(config);
        self.memory = config.limits.high_water + config.limits.read_budget + MAX_FRAME + 4;
    }

    fn reset(&mut self, rng: Rng) {
        self.rng = rng;
        self.now = 0;
        self.clients = 0;
        for listener in &mut self.listeners {
            listener.queue.clear();
            *listener = Listener { queue: std::mem::take(&mut listener.queue), ..Listener::default() };
        }
        self.children.clear();
        self.ready.clear();
        self.closed.clear();
        self.to_dial.clear();
        (self.stops, self.stops_taken, self.stopped_at) = (0, 0, None);
        (self.descriptors, self.moved, self.idle_polls, self.trace) = (0, 0, 0, 0);
        self.counted = Counted::default();
        self.broken = None;
    }

    /// The connections that take part.
    pub(super) fn active(&self) -> &[Conn] {
        &self.conns[..self.clients]
    }

    /// An operation of the kernel; `what` goes into the run's trace.
    #[inline]
    pub(super) fn count(&mut self, what: u64) {
        self.counted.operations += 1;
        self.note(what);
    }

    /// Something that must be the same when the seed is.
    #[inline]
    pub(super) const fn note(&mut self, what: u64) {
        self.trace = mix(self.trace ^ what);
    }

    pub(super) const fn trace(&self) -> u64 {
        self.trace
    }

    /// Something went on: the loop does not spin.
    #[inline]
    pub(super) const fn progress(&mut self) {
        self.moved += 1;
    }

    /// Notes what broke; the first finding counts.
    #[cold]
    pub(super) fn fail(&mut self, what: String) {
        if self.broken.is_none() {
            self.broken = Some(format!("{what} (at {} ms)", self.now / MS));
        }
    }

    /// Waits as epoll_wait(2) would: lets the clients act until something is ready or the time is up.
    pub(super) fn poll(&mut self, timeout: Option<u64>, events: &mut Vec<Event>) {
        events.clear();
        self.count(1);
        self.watch_progress(timeout);
        if timeout != Some(0) {
            self.watch_sleep();
        }
        self.conns[..self.clients].iter_mut().for_each(Conn::settle_events);
        self.watch_limits();
        self.watch_memory();
        self.mail.settle_events();
        if self.faults.interrupts && self.rng.one_in(16) {
            return;
        }
        let until = timeout.map_or(NEVER, |timeout| self.now.saturating_add(timeout));
        loop {
            self.act();
            self.harvest(timeout == Some(0), events);
            if !events.is_empty() || !self.to_dial.is_empty() || self.may_stop() {
                break;
            }
            let next = self.next_act();
            if until <= next {
                if until == NEVER {
                    self.fail(format!("stalled: the loop sleeps for ever, {}", Waiting(self)));
                } else {
                    self.now = until;
                }
                break;
            }
            // A poll that returned late has left some behind.
            self.now = self.now.max(next);
        }
        if self.faults.late && self.rng.one_in(4) {
            self.now += self.rng.nanos_below(3 * MS);
        }
        self.disturb(events);
    }

    fn watch_progress(&mut self, timeout: Option<u64>) {
        let idle = self.moved == 0 && timeout == Some(0);
        self.idle_polls = if idle { self.idle_polls + 1 } else { 0 };
        self.moved = 0;
        if self.idle_polls > MAX_IDLE_POLLS || self.counted.operations > MAX_OPERATIONS {
            self.fail(format!("spins: {} operations, {}", self.counted.operations, Waiting(self)));
        }
        if self.now > MAX_TIME {
            self.fail(format!("stalled: an hour has passed, {}", Waiting(self)));
        }
    }

    /// The loop is about to wait: then no connection may have something to do that no event will announce.
    fn watch_sleep(&mut self) {
        // Where buffers may run out, the loop waits for a retry of its own; where memory is short, for that to end.
        if self.faults.no_buffers || self.ceilings.is_short {
            return;
        }
        if let Some(id) = self.active().iter().position(Conn::is_forgotten) {
            self.fail(format!("connection #{id} is forgotten, {}", Waiting(self)));
        }
        self.watch_mail();
    }

    fn next_act(&self) -> u64 {
        let clients = self.active().iter().map(Conn::next_act).min().unwrap_or(NEVER);
        let children = self.children.iter().map(Process::next_act).min().unwrap_or(NEVER);
        clients.min(children).min(self.mail.next_act()).min(self.setting.stops[0])
    }

    /// Everybody does what is due.
    fn act(&mut self) {
        self.act_mail();
        self.act_children();
        for id in 0..self.clients {
            let conn = &mut self.conns[id];
            if conn.next_act() > self.now {
                continue;
            }
            let edge = match conn.side {
                Side::Planned => {
                    self.start(id);
                    continue;
                }
                Side::Connecting => conn.answer(self.now),
                _ => conn.act(self.now, &mut self.rng),
            };
            if edge {
                self.edge(Source::Conn(id));
            }
        }
        while self.setting.stops[0] <= self.now {
            self.setting.stops = [self.setting.stops[1], NEVER];
            self.stops += 1;
        }
    }

    /// A client connects, or the runner is asked to let the reactor connect.
    fn start(&mut self, id: usize) {
        let conn = &mut self.conns[id];
        conn.send_at = NEVER;
        match conn.plan.dial {
            Dial::Out(_) => self.to_dial.push(id),
            Dial::In(listener) if self.listeners[listener].open => {
                conn.side = Side::Queued;
                conn.send_at = self.now;
                self.listeners[listener].queue.push(id);
                self.edge(Source::Listener(listener));
            }
            Dial::In(_) => {
                conn.side = Side::Closed;
                conn.finish(Saw::Refused);
            }
        }
    }

    /// A socket is gone: its descriptor is free, its token must find nothing any more.
    pub(super) fn forget(&mut self, source: Source, token: Option<Token>) {
        self.descriptors -= 1;
        self.forget_source(source, token);
    }

    /// A child was reaped; it has no descriptor that counts.
    pub(super) fn forget_child(&mut self, at: usize, token: Option<Token>) {
        self.forget_source(Source::Child(at), token);
    }

    fn forget_source(&mut self, source: Source, token: Option<Token>) {
        self.progress();
        self.ready.retain(|other| *other != source);
        if let Some(token) = token {
            if self.closed.len() == GHOSTS {
                self.closed.remove(0);
            }
            self.closed.push(token);
        }
    }

    /// What stays open without anybody there: listeners and datagram sockets.
    pub(super) fn kept(&self) -> usize {
        let sockets = self.mail.sockets[..self.mail.count].iter().filter(|socket| socket.open);
        self.setting.listener_count + sockets.count()
    }

    /// It is time to order the end: all is quiet and nobody has done so yet.
    pub(super) fn may_stop(&self) -> bool {
        self.stops + self.stops_taken == 0 && self.is_quiet()
    }

    /// The reactor is gone: what is under way arrives, and who still comes is refused.
    pub(super) fn run_down(&mut self) {
        while self.next_act() != NEVER {
            self.now = self.now.max(self.next_act());
            self.act();
            while let Some(id) = self.to_dial.pop() {
                self.conns[id].leave_undialled();
            }
        }
    }

    /// Every client has ended, the reactor has closed every connection, and every datagram is accounted for.
    pub(super) fn is_quiet(&self) -> bool {
        let all_closed = self.active().iter().all(|conn| conn.done && conn.side == Side::Closed);
        all_closed && self.has_no_children() && self.mail.is_quiet()
    }
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("World")
            .field("now", &self.now)
            .field("counted", &self.counted)
            .finish_non_exhaustive()
    }
}

/// Names the connections that still wait.
struct Waiting<'a>(&'a World);

impl fmt::Display for Waiting<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("waiting:")?;
        for (id, conn) in self.0.active().iter().enumerate() {
            if !conn.done || conn.side != Side::Closed {
                let (sent, read) = (conn.sent, conn.read);
                let (written, received) = (conn.written, conn.received);
                write!(f, " [#{id} {:?} {:?} {:?}", conn.plan.service, conn.plan.ending, conn.side)?;
                write!(f, " sent={sent} read={read} written={written} received={received}")?;
                write!(f, " fin={} done={}]", conn.fin, conn.done)?;
            }
        }
        if !self.0.mail.is_quiet() {
            write!(f, " [datagrams {:?} overflow={}]", self.0.mail.counted, self.0.mail.overflow)?;
        }
        Ok(())
    }
}
