//! What a session remembers besides its protocol: a phase, flags, and a rare part that most do not need.

use std::time::Instant;

use super::buffers::Buffer;
use super::child::Child;
use super::clock::Tick;
use super::close_reason::CloseReason;

/// Where a conversation is. Flags refine `Open`; the other phases only move on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Phase {
    /// Messages are taken and answered.
    Open,
    /// No more messages: what is unsent is flushed.
    Flushing,
    /// All is sent and our side is shut down: input is discarded until the peer ends too.
    Lingering,
    /// Over. The reason is in [`Rare`], or in the pass in which it ended, or it is [`CloseReason::Eof`].
    Closed,
}

/// The peer has sent its last byte.
pub(super) const EOF: u16 = 1;
/// The protocol was told so and has nothing more to take.
pub(super) const EOF_DONE: u16 = 1 << 1;
/// Unsent output reached high water and has not fallen to low water since.
pub(super) const CONGESTED: u16 = 1 << 2;
/// The phase is not `Open` any more.
pub(super) const ENDING: u16 = 1 << 3;
/// Kept input may hold whole messages: the turn's budget, congestion or readiness stopped the decoding.
pub(super) const MORE_INPUT: u16 = 1 << 4;
/// The protocol asked to be called when there is room for output.
pub(super) const WANT_WRITABLE: u16 = 1 << 5;
/// The server is draining: end as soon as all is quiet.
pub(super) const STOPPING: u16 = 1 << 6;
/// A call failed for want of memory or buffers; no I/O until the retry deadline.
pub(super) const EXHAUSTED: u16 = 1 << 7;
/// The protocol is not ready for the next message.
pub(super) const NOT_READY: u16 = 1 << 8;
/// The rare part exists. Together with the other flags: zero means that only the idle limit concerns us.
pub(super) const RARE: u16 = 1 << 9;
/// The driver's memory is short and this session keeps some: nothing more is read.
pub(super) const HELD_BACK: u16 = 1 << 10;
/// A child was asked for or is running.
pub(super) const CHILD: u16 = 1 << 11;

/// The part of a session that most connections do not need most of the time.
#[derive(Debug, Default)]
pub(super) struct Rare {
    pub(super) inbox: Buffer,
    pub(super) outbox: Buffer,
    pub(super) wake: Option<Instant>,
    /// When the first byte of the unfinished frame in `inbox` arrived.
    pub(super) frame_since: Option<Tick>,
    /// When the outbox last made progress.
    pub(super) stalled_since: Tick,
    pub(super) retry_at: Tick,
    pub(super) linger_until: Tick,
    pub(super) lingered: usize,
    /// How much of the driver's memory is counted as this session's.
    pub(super) counted: usize,
    pub(super) reason: Option<CloseReason>,
    pub(super) child: Option<Child>,
}

impl Rare {
    pub(super) fn is_needed(&self) -> bool {
        let begun = self.wake.is_some() || self.child.is_some();
        begun || !self.inbox.is_empty() || !self.outbox.is_empty() || self.reason.is_some()
    }
}
