//! What a driver lends to one session after another: the time, the limits, a budget and a reply buffer.
//!
//! Replies of one pass are collected here and written at once, before anybody waits for writability. Only
//! what the kernel refuses is copied to the connection, so that an idle connection owns no buffer.

use std::ops::Range;
use std::time::{Instant, SystemTime};

use super::child::ChildSpec;
use super::clock::{Clock, Now};
use super::close_reason::{CloseReason, ProtocolError};
use super::datagram::DatagramTraffic;
use super::limits::{Limits, Spans};
use super::memory::Memory;

/// A reply buffer larger than this gives its memory back after the pass.
const KEEP_CAPACITY: usize = 256 * 1024;

/// Plain counters of one driver; only what happens inside sessions is counted here.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Bytes received.
    pub bytes_in: u64,
    /// Bytes the kernel accepted for sending.
    pub bytes_out: u64,
    /// Messages taken by protocols.
    pub frames: u64,
    /// How often a connection became congested.
    pub congested: u64,
}

/// What was asked for of the driver during one call, where [`Pass::asked`] says so: nothing almost always.
#[derive(Debug, Default)]
pub(crate) struct Requests {
    pub(crate) wake: Option<Instant>,
    pub(crate) error: Option<ProtocolError>,
    pub(crate) spawn: Option<Box<ChildSpec>>,
}

impl Requests {
    pub(crate) const WAKE: u8 = 1;
    pub(crate) const FINISH: u8 = 2;
    pub(crate) const CLOSE: u8 = 4;
    pub(crate) const WRITABLE: u8 = 8;
    pub(crate) const ERROR: u8 = 16;
    pub(crate) const SPAWN: u8 = 32;
}

impl Traffic {
    /// Bytes moved, both directions together.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.bytes_in + self.bytes_out
    }
}

/// What is left of a connection's share of one turn. A pass that comes to rest at once is not charged.
#[derive(Debug, Clone, Copy)]
struct Budget {
    bytes: u32,
    frames: u32,
}

impl From<&Limits> for Budget {
    fn from(limits: &Limits) -> Self {
        Self { bytes: u32::try_from(limits.read_budget).unwrap_or(u32::MAX), frames: limits.frame_budget }
    }
}

/// The part of a driver that its sessions share, one after the other.
///
/// In the order in which a request needs it: where each connection has a thread, and so a pass of its own, it comes out
/// of the processor's cache line by line.
#[derive(Debug)]
#[repr(C, align(64))]
pub struct Pass {
    now: Now,
    /// One connection's whole share, and what is left of it.
    share: Budget,
    budget: Budget,
    /// What was asked for: bits of the constants of [`Requests`]; zero is the fast path.
    pub(crate) asked: u8,
    // What every request touches ends with the second line, after the first three counters.
    /// The part of the current input that is to be written as it is, ahead of `replies`.
    pub(crate) direct: Range<usize>,
    pub(crate) replies: Vec<u8>,
    traffic: Traffic,
    pub(crate) requests: Requests,
    /// Why the session being driven ended in this pass.
    pub(crate) ended: Option<CloseReason>,
    pub(crate) spans: Spans,
    limits: Limits,
    datagrams: DatagramTraffic,
    /// What the sessions keep together.
    pub(crate) memory: Memory,
}

impl Pass {
    /// A pass that starts at `now`.
    #[must_use]
    pub fn new(limits: Limits, now: Now) -> Self {
        let spans = Spans::from(&limits);
        let share = Budget::from(&limits);
        let memory = Memory::new(limits.memory);
        Self {
            now,
            limits,
            spans,
            share,
            budget: share,
            direct: 0..0,
            replies: Vec::new(),
            asked: 0,
            requests: Requests::default(),
            ended: None,
            traffic: Traffic::default(),
            datagrams: DatagramTraffic::default(),
            memory,
        }
    }

    /// A pass with default limits at the origin of a clock of its own, for tests and fuzzing.
    #[must_use]
    pub fn for_tests(origin: Instant) -> Self {
        Self::new(Limits::default(), Clock::new(origin).at(origin, std::time::SystemTime::UNIX_EPOCH))
    }

    /// The time of this turn.
    #[inline]
    #[must_use]
    pub const fn now(&self) -> &Now {
        &self.now
    }

    /// Begins a new turn: later passes see this time.
    pub fn set_now(&mut self, now: Now) {
        self.now = now;
    }

    /// Only monotonic time goes on, by `clock`.
    #[inline]
    pub(crate) fn set_instant(&mut self, clock: Clock, instant: Instant) {
        self.now = clock.at(instant, self.now.wall);
    }

    /// Wall-clock time goes on.
    pub(crate) fn set_wall(&mut self, wall: SystemTime) {
        self.now.wall = wall;
    }

    /// The limits every session is held to.
    #[inline]
    #[must_use]
    pub const fn limits(&self) -> &Limits {
        &self.limits
    }

    /// What has gone through this pass so far.
    #[must_use]
    pub fn traffic(&self) -> &Traffic {
        &self.traffic
    }

    #[inline]
    pub(crate) fn traffic_mut(&mut self) -> &mut Traffic {
        &mut self.traffic
    }

    /// What has been counted of datagrams so far.
    #[must_use]
    pub const fn datagrams(&self) -> &DatagramTraffic {
        &self.datagrams
    }

    /// Takes what has been counted of datagrams, and of their bytes in and out, so that it counts from nothing again.
    pub(crate) fn take_datagrams(&mut self) -> (DatagramTraffic, Traffic) {
        (std::mem::take(&mut self.datagrams), std::mem::take(&mut self.traffic))
    }

    #[inline]
    pub(crate) fn datagrams_mut(&mut self) -> &mut DatagramTraffic {
        &mut self.datagrams
    }

    /// Takes what was asked for during a call, so that nothing is asked for any more.
    pub(crate) fn take_requests(&mut self) -> (u8, Requests) {
        (std::mem::take(&mut self.asked), std::mem::take(&mut self.requests))
    }

    /// Gives the next connection its full share.
    #[inline]
    pub(crate) fn refill(&mut self) {
        self.budget = self.share;
    }

    /// Charges bytes, in either direction, and messages to the connection's share.
    pub(crate) fn spend(&mut self, bytes: usize, frames: u32) {
        self.budget.bytes = self.budget.bytes.saturating_sub(u32::try_from(bytes).unwrap_or(u32::MAX));
        self.budget.frames = self.budget.frames.saturating_sub(frames);
    }

    /// Whether the share of bytes or of messages is used up.
    #[must_use]
    pub fn is_spent(&self) -> bool {
        self.budget.bytes == 0 || self.budget.frames == 0
    }

    /// Bytes waiting to be written in this pass.
    #[inline]
    #[must_use]
    pub fn queued(&self) -> usize {
        (self.direct.end - self.direct.start) + self.replies.len()
    }

    /// Forgets `count` bytes of output from the front: they are written.
    #[inline]
    pub(crate) fn consume(&mut self, count: usize) {
        if count == self.queued() {
            return self.clear_output();
        }
        let direct = (self.direct.end - self.direct.start).min(count);
        self.direct.start += direct;
        if direct < count {
            self.replies.drain(..count - direct);
        }
    }

    /// Throws the collected output away and says how much it was; for tests and benchmarks without a socket.
    pub fn discard_output(&mut self) -> usize {
        let count = self.queued();
        self.clear_output();
        count
    }

    /// Forgets what the session being driven has said, asked for and ended for: it is gone, in the middle of it.
    #[cold]
    pub(crate) fn abandon(&mut self) {
        self.clear_output();
        self.take_requests();
        self.ended = None;
    }

    /// Forgets all output.
    #[inline]
    pub(crate) fn clear_output(&mut self) {
        self.direct = 0..0;
        self.replies.clear();
        if self.replies.capacity() > KEEP_CAPACITY {
            self.replies = Vec::new();
        }
    }
}
