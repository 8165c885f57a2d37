//! A child process under way: what to read of it, when to end it, and when it is over. Every driver with children has this.
//!
//! Sans IO but for the calls on [`ChildProcess`]. Ending is SIGTERM to the process group, 2 s, SIGKILL. The process is not
//! reaped before its group has been killed, so that the group's number is still its own: no grandchild is left, and no
//! stranger is hit.

use std::fmt;
use std::io;
use std::os::fd::BorrowedFd;
use std::time::Duration;

use crate::attempt::{Attempt, attempt};
use crate::kernel::Planted;
use crate::session::{ChildEnd, ChildEvent, ChildLimit, ChildSpec, ChildStatus, Span, Tick};

/// How long after SIGTERM a process group is killed.
pub const TERM_GRACE: Duration = Duration::from_secs(2);

/// How long the pipes of a process that has ended may stay open, silently, in the hands of processes it has left behind.
const PIPE_GRACE: Duration = Duration::from_millis(500);

/// What a group that was killed may still be read of, in bytes: what its pipes held.
const AFTER_KILL: u64 = 256 * 1024;

/// Which of a child's streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutputStream {
    /// Its standard output.
    Stdout,
    /// Its standard error.
    Stderr,
}

/// What a process group is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GroupSignal {
    /// SIGTERM: end.
    Term,
    /// SIGKILL.
    Kill,
}

/// A child as the kernel gives it. Dropping it kills its group, closes its pipes and reaps it.
pub trait ChildProcess: fmt::Debug {
    /// Reads what it has printed. 0 is the end of that stream.
    ///
    /// # Errors
    /// `WouldBlock` means "an event will tell"; any other counts as the end of that stream.
    fn read(&mut self, from: OutputStream, into: &mut [u8]) -> io::Result<usize>;

    /// How it has ended, if it has. It is not reaped by that.
    ///
    /// # Errors
    /// waitid(2).
    fn try_wait(&mut self) -> io::Result<Option<ChildStatus>>;

    /// Signals its process group.
    fn signal(&mut self, signal: GroupSignal);

    /// Closes both streams: what it prints from now on fails.
    fn close_output(&mut self);

    /// Its number in the log.
    fn id(&self) -> u32;

    /// Standard output and standard error while they are open, and what becomes readable with the end of the process, for
    /// poll(2). None where there are no descriptors.
    fn descriptors(&self) -> [Option<BorrowedFd<'_>>; 3] {
        [None; 3]
    }

    /// A bug planted on purpose, as for [`Stream::PLANTED`](crate::kernel::Stream::PLANTED).
    fn planted(&self) -> Planted {
        Planted::Nothing
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Running,
    /// It has ended; others may hold its pipes.
    Left,
    /// SIGTERM was sent.
    Ending,
    /// SIGKILL was sent.
    Killed,
}

/// One stream: whether its end is still to come, and whether an event said that there is something.
#[derive(Debug, Clone, Copy)]
struct Pipe {
    open: bool,
    ready: bool,
}

/// A child process under way.
#[derive(Debug)]
pub struct Job {
    child: Box<dyn ChildProcess>,
    pipes: [Pipe; 2],
    /// Which stream to look at first: they take turns.
    first: usize,
    /// An event may have been about the end of the process.
    asks: bool,
    status: Option<ChildStatus>,
    limit: Option<ChildLimit>,
    /// How much more it may print.
    left: u64,
    phase: Phase,
    /// When the phase must have ended, but for [`Phase::Running`].
    until: Option<Tick>,
    /// The end of its time.
    time_up: Option<Tick>,
}

impl Job {
    /// A child that has just been started with this specification.
    #[must_use]
    pub fn new(child: Box<dyn ChildProcess>, spec: &ChildSpec, now: Tick) -> Self {
        Self {
            child,
            pipes: [Pipe { open: true, ready: false }; 2],
            first: 0,
            asks: false,
            status: None,
            limit: None,
            left: spec.max_output.unwrap_or(u64::MAX),
            phase: Phase::Running,
            until: None,
            time_up: spec
                .time_limit
                .map(|limit| now.after(Span::from(limit).max(Span::from(Duration::from_millis(1))))),
        }
    }

    /// Its number in the log.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What to wait for: the end of the process, and its output if somebody `listens`.
    pub fn descriptors(&self, listens: bool) -> impl Iterator<Item = BorrowedFd<'_>> {
        let [stdout, stderr, end] = self.child.descriptors();
        let open = |at: usize| listens && self.pipes[at].open;
        let output = [stdout.filter(|_| open(0)), stderr.filter(|_| open(1))].into_iter().flatten();
        output.chain(end.filter(|_| self.status.is_none()))
    }

    /// An event: something can be read, or the process has ended.
    pub fn note(&mut self) {
        for pipe in &mut self.pipes {
            pipe.ready = true;
        }
        self.asks = true;
    }

    /// What is to be told next, reading at most once into `into`. `None`: nothing before the next event or deadline.
    /// After [`ChildEvent::Ended`] the job is to be dropped.
    pub fn poll<'a>(&mut self, into: &'a mut [u8], now: Tick) -> Option<ChildEvent<'a>> {
        let hasty = self.child.planted() == Planted::ChildEndHasty;
        if hasty {
            self.ask(now);
        }
        while let Some(at) = self.readable().filter(|_| !hasty || self.status.is_none()) {
            self.first = 1 - at;
            if let Some(count) = self.read(at, into, now) {
                let bytes = &into[..count];
                return Some(if at == 0 { ChildEvent::Stdout(bytes) } else { ChildEvent::Stderr(bytes) });
            }
        }
        self.ask(now);
        let status = self.status.filter(|_| hasty || !self.is_open())?;
        Some(ChildEvent::Ended(ChildEnd { status, limit: self.limit }))
    }

    /// Whether [`poll`](Self::poll) would do something now (invariant I4: if so, and somebody listens, it is queued).
    #[must_use]
    pub fn can_go_on(&self) -> bool {
        self.readable().is_some()
            || self.asks && self.status.is_none()
            || self.status.is_some() && !self.is_open()
    }

    /// When [`handle_timeout`](Self::handle_timeout) is to be called.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Tick> {
        Tick::earliest(self.until, self.time_up)
    }

    /// Acts on what is due.
    pub fn handle_timeout(&mut self, now: Tick) {
        // Whoever is not read is not asked either, and may have ended long ago.
        self.asks = true;
        self.ask(now);
        if self.time_up.is_some_and(|at| at.is_due(now)) {
            self.time_up = None;
            match self.phase {
                Phase::Running => {
                    self.limit = Some(ChildLimit::Time);
                    self.terminate(now);
                }
                // It has ended; who writes on is not it.
                Phase::Left => self.kill(now),
                Phase::Ending | Phase::Killed => {}
            }
        }
        if self.until.is_some_and(|at| at.is_due(now)) {
            self.until = None;
            self.on_phase_over(now);
        }
    }

    /// Nobody listens any more, or the server ends: its pipes are closed, and it is ended.
    pub fn abandon(&mut self, now: Tick) {
        if self.phase == Phase::Running {
            self.terminate(now);
        }
        self.close_output();
        self.asks = true;
        self.ask(now);
    }

    /// Ends it at once, by SIGKILL.
    pub fn kill(&mut self, now: Tick) {
        self.child.signal(GroupSignal::Kill);
        self.left = self.left.min(AFTER_KILL);
        self.phase = Phase::Killed;
        self.until = Some(now.after(PIPE_GRACE.into()));
        self.time_up = None;
    }

    fn on_phase_over(&mut self, now: Tick) {
        // Who is not read cannot come to the end of its pipes: the reader's own limit counts then.
        let paused = self.readable().is_some();
        match self.phase {
            Phase::Running => {}
            Phase::Left if paused => self.until = Some(now.after(PIPE_GRACE.into())),
            Phase::Left | Phase::Ending => self.kill(now),
            Phase::Killed if self.status.is_some() && !paused => self.close_output(),
            Phase::Killed => self.until = Some(now.after(PIPE_GRACE.into())),
        }
    }

    fn terminate(&mut self, now: Tick) {
        self.child.signal(GroupSignal::Term);
        self.phase = Phase::Ending;
        self.until = Some(now.after(TERM_GRACE.into()));
    }

    /// Asks whether it has ended, where that may be.
    fn ask(&mut self, now: Tick) {
        if !std::mem::take(&mut self.asks) || self.status.is_some() {
            return;
        }
        self.status = match self.child.try_wait() {
            Ok(status) => status,
            // Somebody else has reaped it: how it ended is not known, but that it did.
            Err(_) => Some(ChildStatus::Exited(255)),
        };
        if self.status.is_some() && self.phase == Phase::Running {
            self.phase = Phase::Left;
            self.until = Some(now.after(PIPE_GRACE.into()));
        }
    }

    fn read(&mut self, at: usize, into: &mut [u8], now: Tick) -> Option<usize> {
        let from = if at == 0 { OutputStream::Stdout } else { OutputStream::Stderr };
        match attempt(|| self.child.read(from, into)) {
            Attempt::Done(count) if count > 0 => self.allow(count, now),
            Attempt::WouldBlock => {
                self.pipes[at].ready = false;
                None
            }
            Attempt::Done(_) | Attempt::Failed(_) => {
                self.pipes[at].open = false;
                None
            }
        }
    }

    /// How much of what was read may be told.
    fn allow(&mut self, count: usize, now: Tick) -> Option<usize> {
        let count64 = count as u64;
        if count64 <= self.left {
            self.left -= count64;
            return Some(count);
        }
        let allowed = usize::try_from(self.left).unwrap_or(count);
        self.left = 0;
        if matches!(self.phase, Phase::Running | Phase::Left) {
            self.limit = Some(ChildLimit::Output);
        }
        match self.phase {
            Phase::Running => self.terminate(now),
            Phase::Left => self.kill(now),
            Phase::Ending | Phase::Killed => {}
        }
        // After the signal: whoever is to hear it would hear SIGPIPE first.
        self.close_output();
        (allowed > 0).then_some(allowed)
    }

    fn close_output(&mut self) {
        self.child.close_output();
        for pipe in &mut self.pipes {
            pipe.open = false;
        }
    }

    fn readable(&self) -> Option<usize> {
        [self.first, 1 - self.first].into_iter().find(|at| self.pipes[*at].open && self.pipes[*at].ready)
    }

    fn is_open(&self) -> bool {
        self.pipes.iter().any(|pipe| pipe.open)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::rc::Rc;

    use super::*;

    /// What a test has the child do, and what it was told.
    #[derive(Debug, Default)]
    struct Script {
        output: [Vec<u8>; 2],
        /// Nobody holds the pipes any more.
        pipes_end: bool,
        status: Option<ChildStatus>,
        signals: Vec<GroupSignal>,
    }

    #[derive(Debug)]
    struct Scripted(Rc<RefCell<Script>>);

    impl ChildProcess for Scripted {
        fn read(&mut self, from: OutputStream, into: &mut [u8]) -> io::Result<usize> {
            let mut script = self.0.borrow_mut();
            let pipes_end = script.pipes_end;
            let output = &mut script.output[usize::from(from == OutputStream::Stderr)];
            let count = output.len().min(into.len());
            if count == 0 && !pipes_end {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            into[..count].copy_from_slice(&output[..count]);
            output.drain(..count);
            Ok(count)
        }
        fn try_wait(&mut self) -> io::Result<Option<ChildStatus>> {
            Ok(self.0.borrow().status)
        }
        fn signal(&mut self, signal: GroupSignal) {
            self.0.borrow_mut().signals.push(signal);
        }
        fn close_output(&mut self) {}
        fn id(&self) -> u32 {
            7
        }
    }

    fn job(time_limit: Option<u64>, max_output: Option<u64>) -> (Job, Rc<RefCell<Script>>) {
        let script = Rc::new(RefCell::new(Script::default()));
        let spec = ChildSpec {
            program: "/x".into(),
            arguments: Vec::new(),
            env: Vec::new(),
            time_limit: time_limit.map(Duration::from_millis),
            max_output,
        };
        (Job::new(Box::new(Scripted(Rc::clone(&script))), &spec, at(0)), script)
    }

    fn at(ms: u32) -> Tick {
        Tick::at_millis(ms)
    }

    fn due(job: &mut Job) -> Tick {
        let at = job.poll_timeout().expect("there is a deadline");
        job.handle_timeout(at);
        at
    }

    #[test]
    fn the_end_is_told_after_all_output_whatever_comes_first() {
        let (mut job, script) = job(None, None);
        script.borrow_mut().output = [b"out".to_vec(), b"err".to_vec()];
        script.borrow_mut().status = Some(ChildStatus::Exited(3));
        assert!(!job.can_go_on(), "no event, nothing to do");
        job.note();
        let mut buffer = [0; 2];
        for expected in [
            ChildEvent::Stdout(b"ou"),
            ChildEvent::Stderr(b"er"),
            ChildEvent::Stdout(b"t"),
            ChildEvent::Stderr(b"r"),
        ] {
            assert_eq!(job.poll(&mut buffer, at(1)), Some(expected));
        }
        assert_eq!(job.poll(&mut buffer, at(1)), None);
        script.borrow_mut().pipes_end = true;
        job.note();
        let end = ChildEnd { status: ChildStatus::Exited(3), limit: None };
        assert_eq!(job.poll(&mut buffer, at(1)), Some(ChildEvent::Ended(end)));
    }

    #[test]
    fn who_runs_too_long_is_told_and_then_killed() {
        let (mut job, script) = job(Some(100), None);
        assert_eq!(due(&mut job), at(100));
        assert_eq!(script.borrow().signals, [GroupSignal::Term]);
        assert_eq!(due(&mut job), at(2100));
        assert_eq!(script.borrow().signals, [GroupSignal::Term, GroupSignal::Kill]);
        script.borrow_mut().status = Some(ChildStatus::Signalled(9));
        script.borrow_mut().pipes_end = true;
        job.note();
        let end = ChildEnd { status: ChildStatus::Signalled(9), limit: Some(ChildLimit::Time) };
        assert_eq!(job.poll(&mut [0; 8], at(2101)), Some(ChildEvent::Ended(end)));
    }

    #[test]
    fn who_prints_too_much_is_cut_to_the_byte() {
        let (mut job, script) = job(None, Some(4));
        script.borrow_mut().output[0] = b"abcdef".to_vec();
        job.note();
        assert_eq!(job.poll(&mut [0; 8], at(1)), Some(ChildEvent::Stdout(b"abcd")));
        assert_eq!(script.borrow().signals, [GroupSignal::Term]);
        script.borrow_mut().status = Some(ChildStatus::Signalled(15));
        job.note();
        let end = ChildEnd { status: ChildStatus::Signalled(15), limit: Some(ChildLimit::Output) };
        assert_eq!(job.poll(&mut [0; 8], at(2)), Some(ChildEvent::Ended(end)));
    }

    #[test]
    fn pipes_held_by_others_delay_the_end_for_a_moment_only() {
        let (mut job, script) = job(Some(10_000), None);
        script.borrow_mut().status = Some(ChildStatus::Exited(0));
        job.note();
        assert_eq!(job.poll(&mut [0; 8], at(1)), None);
        assert_eq!(due(&mut job), at(501));
        assert_eq!(script.borrow().signals, [GroupSignal::Kill]);
        // Somebody has left the group and holds them still.
        due(&mut job);
        let end = ChildEnd { status: ChildStatus::Exited(0), limit: None };
        assert_eq!(job.poll(&mut [0; 8], at(1002)), Some(ChildEvent::Ended(end)));
    }

    #[test]
    fn a_reader_that_pauses_loses_nothing_of_what_a_command_that_has_ended_printed() {
        let (mut job, script) = job(Some(1000), None);
        script.borrow_mut().output[0] = b"late".to_vec();
        script.borrow_mut().status = Some(ChildStatus::Exited(0));
        job.note();
        // Nobody polls: every deadline comes meanwhile.
        for _ in 0..20 {
            due(&mut job);
        }
        script.borrow_mut().pipes_end = true;
        assert_eq!(job.poll(&mut [0; 8], at(20_000)), Some(ChildEvent::Stdout(b"late")));
        let end = ChildEnd { status: ChildStatus::Exited(0), limit: None };
        assert_eq!(job.poll(&mut [0; 8], at(20_000)), Some(ChildEvent::Ended(end)));
    }
}
