//! What a protocol is: bytes in, requests to the driver out. It knows no socket, no thread and no clock.

use std::num::NonZeroUsize;

use super::child::ChildEvent;
use super::clock::Now;
use super::close_reason::{CloseReason, ProtocolError};
use super::context::Context;

/// What a protocol made of the bytes it was shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Not a whole message yet: show me the same bytes again with more behind them.
    NeedMore,
    /// I took this many bytes from the front: one message, or a part of a large body.
    Consumed(NonZeroUsize),
}

impl Step {
    /// [`Consumed`](Self::Consumed) for a count that may be zero, which asks for more.
    #[must_use]
    pub fn consumed(count: usize) -> Self {
        NonZeroUsize::new(count).map_or(Self::NeedMore, Self::Consumed)
    }
}

/// One side of one conversation, at the level of bytes. Object safe.
///
/// The same implementation runs on every driver: an event loop, a blocking thread, a simulation, a fuzz
/// target. Everything it wants goes through the [`Context`]. For protocols made of frames implement
/// [`Service`](super::Service) instead and wrap it in [`Framed`](super::Framed).
///
/// ```
/// use oneloop::session::{Context, Protocol, ProtocolError, Step};
/// use oneloop::testing::SessionPair;
///
/// /// Answers every byte with the number of bytes seen so far, modulo 256.
/// struct Count(u8);
///
/// impl Protocol for Count {
///     fn on_bytes(&mut self, input: &[u8], cx: &mut Context<'_>) -> Result<Step, ProtocolError> {
///         for _ in input {
///             self.0 = self.0.wrapping_add(1);
///             cx.write(&[self.0]);
///         }
///         Ok(Step::consumed(input.len()))
///     }
/// }
///
/// let mut pair = SessionPair::new(Count(0));
/// assert_eq!(pair.send(b"abc"), [1, 2, 3]);
/// ```
pub trait Protocol {
    /// Whether the next message may be given to it. A protocol that waits for a timer of its own, or has not
    /// produced all of its answer, says `false` until then; unread bytes stay in the kernel and close the TCP
    /// window by themselves.
    ///
    /// Invariant: while it is not ready a wake-up is pending ([`Context::wake_at`]), output is asked for
    /// ([`Context::want_writable`]) or a child runs ([`Context::spawn`]), or the connection would be stuck.
    fn ready(&self) -> bool {
        true
    }

    /// The conversation begins.
    fn on_open(&mut self, cx: &mut Context<'_>) {
        let _ = cx;
    }

    /// Bytes arrived; `input` begins at the first byte not yet consumed and is never empty.
    ///
    /// Consume at most one message per call: the driver counts messages against the connection's turn.
    ///
    /// # Errors
    /// [`ProtocolError`] ends the conversation: replies already given are flushed, then it closes.
    fn on_bytes(&mut self, input: &[u8], cx: &mut Context<'_>) -> Result<Step, ProtocolError>;

    /// Asked for by [`Context::want_writable`], or after congestion: there is room for output.
    fn on_writable(&mut self, cx: &mut Context<'_>) {
        let _ = cx;
    }

    /// The peer has sent its last byte, and `rest` is what no message was made of. Called again, with less,
    /// until it answers [`Step::NeedMore`].
    ///
    /// The default finishes the conversation: everything is answered, so there is nothing left to say.
    ///
    /// # Errors
    /// [`ProtocolError`], typically [`FrameError::Truncated`](crate::codec::FrameError::Truncated).
    fn on_eof(&mut self, rest: &[u8], cx: &mut Context<'_>) -> Result<Step, ProtocolError> {
        let _ = rest;
        cx.finish();
        Ok(Step::NeedMore)
    }

    /// The time asked for with [`Context::wake_at`] or [`Context::wake_after`] has come.
    fn on_wake(&mut self, cx: &mut Context<'_>) {
        let _ = cx;
    }

    /// The child asked for with [`Context::spawn`] printed something, has ended, or was not started.
    fn on_child(&mut self, event: ChildEvent<'_>, cx: &mut Context<'_>) {
        let _ = (event, cx);
    }

    /// A message has begun and is not whole within the frame limit. What is written now is the last word: the conversation
    /// is finished afterwards.
    fn on_overdue(&mut self, cx: &mut Context<'_>) {
        let _ = cx;
    }

    /// The server is draining: what is begun may be brought to its end, nothing new should be started.
    fn on_stop(&mut self, cx: &mut Context<'_>) {
        let _ = cx;
    }

    /// The conversation has ended. The last call.
    fn on_close(&mut self, reason: &CloseReason, now: &Now) {
        let _ = (reason, now);
    }
}

impl<P: Protocol + ?Sized> Protocol for Box<P> {
    #[inline]
    fn ready(&self) -> bool {
        (**self).ready()
    }
    fn on_open(&mut self, cx: &mut Context<'_>) {
        (**self).on_open(cx);
    }
    #[inline]
    fn on_bytes(&mut self, input: &[u8], cx: &mut Context<'_>) -> Result<Step, ProtocolError> {
        (**self).on_bytes(input, cx)
    }
    fn on_writable(&mut self, cx: &mut Context<'_>) {
        (**self).on_writable(cx);
    }
    fn on_eof(&mut self, rest: &[u8], cx: &mut Context<'_>) -> Result<Step, ProtocolError> {
        (**self).on_eof(rest, cx)
    }
    fn on_wake(&mut self, cx: &mut Context<'_>) {
        (**self).on_wake(cx);
    }
    fn on_child(&mut self, event: ChildEvent<'_>, cx: &mut Context<'_>) {
        (**self).on_child(event, cx);
    }
    fn on_overdue(&mut self, cx: &mut Context<'_>) {
        (**self).on_overdue(cx);
    }
    fn on_stop(&mut self, cx: &mut Context<'_>) {
        (**self).on_stop(cx);
    }
    fn on_close(&mut self, reason: &CloseReason, now: &Now) {
        (**self).on_close(reason, now);
    }
}
