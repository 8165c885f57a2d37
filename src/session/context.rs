//! What a protocol may ask of its driver while it is being called.

use std::fmt;
use std::ops::Range;
use std::time::{Duration, Instant, SystemTime};

use super::child::ChildSpec;
use super::close_reason::ProtocolError;
use super::pass::{Pass, Requests};
use crate::address::Address;
use crate::codec::{Encoder, Frame};

/// Who the other side is. The address is looked up when somebody asks (getpeername(2)), not kept per connection.
///
/// ```
/// use oneloop::Address;
/// use oneloop::session::Remote;
///
/// let peer: Address = "tcp://127.0.0.1:9999".parse()?;
/// assert_eq!(peer.address().to_string(), "tcp://127.0.0.1:9999");
/// # Ok::<(), oneloop::address::ParseAddressError>(())
/// ```
pub trait Remote {
    /// The peer's address, [`Address::Unknown`] when the connection is already gone.
    fn address(&self) -> Address;
}

impl Remote for Address {
    fn address(&self) -> Address {
        self.clone()
    }
}

/// A protocol's way to the outside for the length of one call.
///
/// Writing never fails and never blocks: bytes are collected, sent when the call returns, and kept if the
/// kernel refuses them. A protocol that writes much without being asked should watch [`room`](Self::room).
pub struct Context<'a> {
    pub(crate) pass: &'a mut Pass,
    pub(crate) remote: &'a dyn Remote,
    /// What the driver read, whole; `at` is where the input of the current call begins in it.
    pub(crate) input: &'a [u8],
    pub(crate) at: usize,
    /// Whether `input` lives until the pass is written, so that parts of it need no copy.
    pub(crate) direct: bool,
    /// Unsent bytes from earlier passes.
    pub(crate) backlog: usize,
    pub(crate) framing: Option<Framing<'a>>,
}

/// Set while a [`Framed`](super::Framed) service is called with a framing that changes the bytes.
#[derive(Clone, Copy)]
pub(crate) struct Framing<'a> {
    pub(crate) encoder: &'a dyn Encoder,
    /// The frame being answered, if any.
    pub(crate) frame: Option<&'a Frame>,
}

impl<'a> Context<'a> {
    /// For a call without input.
    pub(crate) fn new(pass: &'a mut Pass, remote: &'a dyn Remote, backlog: usize) -> Self {
        Self::with_input(pass, remote, backlog, &[], 0, false)
    }

    /// For a call about `input[at..]`; `direct` when `input` outlives the pass.
    #[inline]
    pub(crate) fn with_input(
        pass: &'a mut Pass,
        remote: &'a dyn Remote,
        backlog: usize,
        input: &'a [u8],
        at: usize,
        direct: bool,
    ) -> Self {
        Self { pass, remote, input, at, direct, backlog, framing: None }
    }

    /// Monotonic time, read once per turn of the driver.
    #[must_use]
    pub fn now(&self) -> Instant {
        self.pass.now().instant
    }

    /// Wall-clock time for printing, up to a second old.
    #[must_use]
    pub fn wall(&self) -> SystemTime {
        self.pass.now().wall
    }

    /// The peer's address.
    #[must_use]
    pub fn peer(&self) -> Address {
        self.remote.address()
    }

    /// How many bytes can be written before the connection counts as congested.
    #[must_use]
    pub fn room(&self) -> usize {
        self.pass.limits().high_water.saturating_sub(self.backlog + self.pass.queued())
    }

    /// Sends `payload` as one message: framed when the protocol is [`Framed`](super::Framed), as it is otherwise.
    ///
    /// A payload that the framing cannot carry ends the conversation with a protocol error.
    pub fn reply(&mut self, payload: &[u8]) {
        match self.framing {
            None => self.write(payload),
            Some(framing) => {
                let result = framing.encoder.encode(payload, &mut self.pass.replies);
                self.note_error(result);
            }
        }
    }

    /// [`reply`](Self::reply) for a payload in pieces.
    pub fn reply_parts(&mut self, parts: &[&[u8]]) {
        if self.framing.is_some() {
            return self.reply(&parts.concat());
        }
        for part in parts {
            self.write(part);
        }
    }

    /// Sends a part of the current input as one message, without copying it where that is possible.
    ///
    /// `range` counts in the slice given to the current call: the input of
    /// [`on_bytes`](super::Protocol::on_bytes), or the frame of [`on_frame`](super::Service::on_frame).
    ///
    /// # Panics
    /// When `range` is outside that slice, at the latest when it is to be written.
    #[inline(always)]
    pub fn reply_input(&mut self, range: Range<usize>) {
        match self.framing {
            None => self.write_input(self.at + range.start..self.at + range.end),
            Some(framing) => self.reply_framed_input(framing, range),
        }
    }

    #[cold]
    #[inline(never)]
    fn reply_framed_input(&mut self, framing: Framing<'_>, range: Range<usize>) {
        let frame = framing.frame.cloned().unwrap_or(Frame { payload: 0..0, consumed: 0 });
        let whole = range.start == 0 && range.end == frame.payload.len();
        if whole && framing.encoder.is_canonical(&frame) {
            return self.write_input(self.at..self.at + frame.consumed);
        }
        let first = self.at + frame.payload.start;
        let payload = &self.input[first + range.start..first + range.end];
        let result = framing.encoder.encode(payload, &mut self.pass.replies);
        self.note_error(result);
    }

    /// Sends bytes as they are, whatever the framing.
    pub fn write(&mut self, bytes: &[u8]) {
        self.pass.replies.extend_from_slice(bytes);
    }

    /// Sends what `fill` puts at the front of a buffer of `count` bytes, as they are; it says how many those are. For what
    /// is read from elsewhere, so that it need not be copied twice.
    pub fn write_with(&mut self, count: usize, fill: impl FnOnce(&mut [u8]) -> usize) {
        let replies = &mut self.pass.replies;
        let before = replies.len();
        replies.resize(before + count, 0);
        let filled = fill(&mut replies[before..]).min(count);
        replies.truncate(before + filled);
    }

    /// Calls [`on_writable`](super::Protocol::on_writable) as soon as there is room, once.
    pub fn want_writable(&mut self) {
        self.pass.asked |= Requests::WRITABLE;
    }

    /// Calls [`on_wake`](super::Protocol::on_wake) at `when` or up to a millisecond later. One wake-up is
    /// kept; a new one replaces it.
    pub fn wake_at(&mut self, when: Instant) {
        self.pass.asked |= Requests::WAKE;
        self.pass.requests.wake = Some(when);
    }

    /// [`wake_at`](Self::wake_at), counted from now.
    pub fn wake_after(&mut self, delay: Duration) {
        // A delay beyond what Instant can hold is as good as never; a year is as good as that.
        const NEVER: Duration = Duration::from_secs(365 * 24 * 3600);
        self.wake_at(self.now().checked_add(delay).unwrap_or(self.now() + NEVER));
    }

    /// Runs a program. What it prints, and how it ends, comes to [`on_child`](super::Protocol::on_child). It is ended when
    /// this conversation ends before it.
    ///
    /// One at a time: what is asked for while one runs is not run. Not every driver has children: then it is
    /// [not started](super::ChildEvent::NotStarted).
    pub fn spawn(&mut self, spec: ChildSpec) {
        self.pass.asked |= Requests::SPAWN;
        self.pass.requests.spawn = Some(Box::new(spec));
    }

    /// What was asked for with [`wake_at`](Self::wake_at) is not wanted any more.
    pub fn cancel_wake(&mut self) {
        self.pass.asked |= Requests::WAKE;
        self.pass.requests.wake = None;
    }

    /// Ends the conversation politely: no further message is read, replies are flushed, the sending side is
    /// shut down, and what still arrives is discarded for a while.
    pub fn finish(&mut self) {
        self.pass.asked |= Requests::FINISH;
    }

    /// Ends the conversation at once. Output the kernel has not accepted is lost.
    pub fn close(&mut self) {
        self.pass.asked |= Requests::CLOSE;
    }

    /// A part of the input that follows nothing, or the part before it, is written from where it is.
    #[inline(always)]
    fn write_input(&mut self, range: Range<usize>) {
        debug_assert!(range.start <= range.end && range.end <= self.input.len(), "range outside the input");
        let pass = &mut *self.pass;
        if self.direct && pass.replies.is_empty() && pass.direct.end == 0 {
            pass.direct = range;
        } else {
            self.write_more_input(range);
        }
    }

    #[cold]
    #[inline(never)]
    fn write_more_input(&mut self, range: Range<usize>) {
        let pass = &mut *self.pass;
        if self.direct && pass.replies.is_empty() && pass.direct.end == range.start {
            pass.direct.end = range.end;
        } else {
            pass.replies.extend_from_slice(&self.input[range]);
        }
    }

    /// The same context with a framing, for the length of one call into a service.
    pub(crate) fn framed<'b>(&'b mut self, encoder: &'b dyn Encoder, frame: Option<&'b Frame>) -> Context<'b>
    where
        'a: 'b,
    {
        Context {
            pass: self.pass,
            remote: self.remote,
            input: self.input,
            at: self.at,
            direct: self.direct,
            backlog: self.backlog,
            framing: Some(Framing { encoder, frame }),
        }
    }

    fn note_error(&mut self, result: Result<(), crate::codec::FrameError>) {
        if let Err(error) = result {
            self.pass.asked |= Requests::ERROR;
            self.pass.requests.error.get_or_insert(ProtocolError::Frame(error));
        }
    }
}

impl fmt::Debug for Context<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context").field("pass", &self.pass).finish_non_exhaustive()
    }
}
