//! Child processes as a conversation sees them: asked for, heard from, never touched.
//!
//! A protocol asks with [`Context::spawn`](super::Context::spawn) and is told through
//! [`Protocol::on_child`]; starting, watching, reading and ending the process is the driver's work. One
//! conversation has at most one child at a time.

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use super::close_reason::CloseReason;
use super::context::{Context, Remote};
use super::pass::Pass;
use super::protocol::Protocol;
use super::state::CHILD;
use super::{CONGESTED, EXHAUSTED, HELD_BACK, NOT_READY, Phase, Session};

/// What the smallest read from a child asks for, however little room there is.
const LEAST_READ: usize = 4096;
/// Room left for what a protocol puts around each piece of output.
const FRAME_ROOM: usize = 16;

/// A program to be run: standard input is empty, the environment is `env` and nothing else, the process group is its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChildSpec {
    /// The program's file; no search path is used.
    pub program: PathBuf,
    /// Its arguments, without its name.
    pub arguments: Vec<OsString>,
    /// Its whole environment.
    pub env: Vec<(OsString, OsString)>,
    /// How long it may run before its process group is sent SIGTERM, and SIGKILL 2 s later. `None`: for ever.
    pub time_limit: Option<Duration>,
    /// How many bytes it may print, on both streams together, before it is ended like that. `None`: without an end.
    pub max_output: Option<u64>,
}

/// What a protocol is told about its child, in this order: output in any mixture, then one end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ChildEvent<'a> {
    /// It printed this on its standard output; never empty.
    Stdout(&'a [u8]),
    /// It printed this on its standard error; never empty.
    Stderr(&'a [u8]),
    /// It has ended, and all it printed was delivered.
    Ended(ChildEnd),
    /// It could not be started.
    NotStarted(SpawnFailure),
}

impl ChildEvent<'_> {
    /// Bytes of output in it.
    #[must_use]
    pub const fn len(&self) -> usize {
        match self {
            Self::Stdout(bytes) | Self::Stderr(bytes) => bytes.len(),
            Self::Ended(_) | Self::NotStarted(_) => 0,
        }
    }

    /// Whether it is about something else than output.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// How a child ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChildEnd {
    /// What wait(2) says.
    pub status: ChildStatus,
    /// The limit for which it was ended, if that is why.
    pub limit: Option<ChildLimit>,
}

/// What wait(2) says about a process that has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChildStatus {
    /// It called exit(3) with this status, 0 to 255.
    Exited(i32),
    /// This signal ended it.
    Signalled(i32),
}

/// A limit that ended a child.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChildLimit {
    /// It ran for too long.
    Time,
    /// It printed too much.
    Output,
}

/// Why a child was not started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpawnFailure {
    /// As many are running as may be.
    TooMany {
        /// How many that are.
        max: usize,
    },
    /// The system refused: the errno, 0 where there is none.
    Failed(i32),
}

impl fmt::Display for ChildStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exited(status) => write!(f, "status {status}"),
            Self::Signalled(signal) => write!(f, "signal {signal}"),
        }
    }
}

impl fmt::Display for SpawnFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooMany { max } => {
                write!(f, "{max} commands are running already, which is the most; try again later")
            }
            Self::Failed(0) => f.write_str("children cannot be started here"),
            Self::Failed(errno) => std::io::Error::from_raw_os_error(*errno).fmt(f),
        }
    }
}

/// What is known of a conversation's child.
#[derive(Debug)]
pub(super) enum Child {
    /// Asked for; the driver has not taken it yet.
    Asked(Box<ChildSpec>),
    /// The driver's number of it.
    Running(u64),
}

impl<P: Protocol> Session<P> {
    /// Whether a child was asked for or is running.
    #[inline]
    #[must_use]
    pub const fn has_child(&self) -> bool {
        self.flags & CHILD != 0
    }

    /// Whether a child is to be started: [`poll_spawn`](Self::poll_spawn) has it.
    #[must_use]
    pub fn wants_child(&self) -> bool {
        self.has_child() && self.rare.as_ref().is_some_and(|rare| matches!(rare.child, Some(Child::Asked(_))))
    }

    /// The child to be started, once. To be answered with [`handle_spawned`](Self::handle_spawned), or with
    /// [`ChildEvent::NotStarted`].
    pub fn poll_spawn(&mut self) -> Option<Box<ChildSpec>> {
        let is_open = self.phase == Phase::Open;
        let child = self.rare.as_mut().map(|rare| &mut rare.child)?;
        match child.take()? {
            Child::Asked(spec) if is_open => Some(spec),
            Child::Asked(_) => {
                self.flags &= !CHILD;
                None
            }
            running @ Child::Running(_) => {
                *child = Some(running);
                None
            }
        }
    }

    /// The child runs, and is `id` to the driver.
    pub fn handle_spawned(&mut self, id: u64) {
        self.flags |= CHILD;
        self.rare_mut().child = Some(Child::Running(id));
    }

    /// The driver's number of the child that runs.
    #[must_use]
    pub fn child(&self) -> Option<u64> {
        match self.rare.as_ref()?.child {
            Some(Child::Running(id)) => Some(id),
            _ => None,
        }
    }

    /// The child nobody listens to any more, once: the conversation has ended before it. To be ended by the driver.
    pub fn poll_abandoned(&mut self) -> Option<u64> {
        if self.phase == Phase::Open { None } else { self.take_child() }
    }

    /// The child that runs, once: the conversation is about to be dropped.
    pub(crate) fn take_child(&mut self) -> Option<u64> {
        let id = self.child()?;
        self.forget_child();
        Some(id)
    }

    /// Whether output of the child, or its end, can be taken now. While not, its pipes are not to be read: it
    /// waits, as any program does whose output is not read.
    #[must_use]
    pub fn wants_child_output(&self) -> bool {
        let waits = CONGESTED | EXHAUSTED | HELD_BACK;
        self.phase == Phase::Open && self.flags & (CHILD | waits) == CHILD
    }

    /// How many bytes of output to read at most, so that what is kept stays at the high water mark.
    #[must_use]
    pub fn child_room(&self, pass: &Pass) -> usize {
        let kept = self.poll_output().len() + pass.queued() + FRAME_ROOM;
        pass.limits().high_water.saturating_sub(kept).max(LEAST_READ)
    }

    /// The child printed something, or has ended, or was not started.
    pub fn handle_child(&mut self, event: ChildEvent<'_>, remote: &dyn Remote, pass: &mut Pass) {
        if let ChildEvent::Ended(_) | ChildEvent::NotStarted(_) = event {
            self.forget_child();
        }
        if self.phase != Phase::Open {
            return;
        }
        self.active = pass.now().tick;
        let mut cx = Context::new(pass, remote, self.poll_output().len());
        self.protocol.on_child(event, &mut cx);
        self.grant_if_any(pass);
    }

    /// Whether the end of the peer's stream is to be acted on although nothing is read: a child runs for this peer.
    #[must_use]
    pub const fn watches_peer(&self) -> bool {
        matches!(self.phase, Phase::Open) && self.flags & (CHILD | NOT_READY) == CHILD | NOT_READY
    }

    /// The peer has ended its side while its child was running: it has left.
    pub fn handle_left(&mut self) {
        self.finish(CloseReason::Eof);
    }

    pub(super) fn grant_child(&mut self, spec: Box<ChildSpec>) {
        debug_assert!(!self.has_child(), "one child at a time");
        if !self.has_child() {
            self.flags |= CHILD;
            self.rare_mut().child = Some(Child::Asked(spec));
        }
    }

    fn forget_child(&mut self) {
        self.flags &= !CHILD;
        if let Some(rare) = &mut self.rare {
            rare.child = None;
        }
    }
}
