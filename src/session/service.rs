//! Protocols made of frames: a [`Service`] answers frames, [`Framed`] puts it behind a codec.

use super::child::ChildEvent;
use super::clock::Now;
use super::close_reason::{CloseReason, ProtocolError};
use super::context::Context;
use super::protocol::{Protocol, Step};
use crate::codec::{Decoder, Encoder, FrameError};

/// One side of one conversation, at the level of frames.
///
/// ```
/// use oneloop::codec::Lines;
/// use oneloop::session::{Context, Framed, Service};
/// use oneloop::testing::SessionPair;
///
/// struct Shout;
///
/// impl Service for Shout {
///     fn on_frame(&mut self, frame: &[u8], cx: &mut Context<'_>) {
///         cx.reply(&frame.to_ascii_uppercase());
///     }
/// }
///
/// let mut pair = SessionPair::new(Framed::new(Lines::default(), Shout));
/// assert_eq!(pair.send(b"hello\r\nwor"), b"HELLO\n");
/// assert_eq!(pair.send(b"ld\n"), b"WORLD\n");
/// ```
pub trait Service {
    /// See [`Protocol::ready`].
    fn ready(&self) -> bool {
        true
    }

    /// See [`Protocol::on_open`].
    fn on_open(&mut self, cx: &mut Context<'_>) {
        let _ = cx;
    }

    /// One frame arrived; `frame` is its payload and may be empty.
    fn on_frame(&mut self, frame: &[u8], cx: &mut Context<'_>);

    /// See [`Protocol::on_writable`].
    fn on_writable(&mut self, cx: &mut Context<'_>) {
        let _ = cx;
    }

    /// The peer has sent its last frame and all were delivered. The default finishes the conversation.
    fn on_eof(&mut self, cx: &mut Context<'_>) {
        cx.finish();
    }

    /// See [`Protocol::on_wake`].
    fn on_wake(&mut self, cx: &mut Context<'_>) {
        let _ = cx;
    }

    /// See [`Protocol::on_child`].
    fn on_child(&mut self, event: ChildEvent<'_>, cx: &mut Context<'_>) {
        let _ = (event, cx);
    }

    /// See [`Protocol::on_stop`].
    fn on_stop(&mut self, cx: &mut Context<'_>) {
        let _ = cx;
    }

    /// See [`Protocol::on_close`].
    fn on_close(&mut self, reason: &CloseReason, now: &Now) {
        let _ = (reason, now);
    }
}

/// A [`Service`] behind a codec: together a [`Protocol`].
#[derive(Debug, Clone, Default)]
pub struct Framed<C, S> {
    codec: C,
    service: S,
}

impl<C: Decoder + Encoder, S: Service> Framed<C, S> {
    /// Puts `service` behind `codec`.
    pub const fn new(codec: C, service: S) -> Self {
        Self { codec, service }
    }

    /// Calls the service with a context that knows how to frame replies. A framing that changes nothing is
    /// left out, so that raw services pay no dynamic call.
    #[inline]
    fn call(&mut self, cx: &mut Context<'_>, hook: impl FnOnce(&mut S, &mut Context<'_>)) {
        if self.codec.is_identity() {
            hook(&mut self.service, cx);
        } else {
            hook(&mut self.service, &mut cx.framed(&self.codec, None));
        }
    }

    #[inline(always)]
    fn deliver(
        &mut self,
        found: Option<crate::codec::Frame>,
        input: &[u8],
        cx: &mut Context<'_>,
    ) -> Option<Step> {
        let frame = found?;
        let payload = &input[frame.payload.clone()];
        if self.codec.is_identity() {
            self.service.on_frame(payload, cx);
        } else {
            self.service.on_frame(payload, &mut cx.framed(&self.codec, Some(&frame)));
        }
        Some(Step::consumed(frame.consumed))
    }
}

impl<C: Decoder + Encoder, S: Service> Protocol for Framed<C, S> {
    #[inline]
    fn ready(&self) -> bool {
        self.service.ready()
    }

    fn on_open(&mut self, cx: &mut Context<'_>) {
        self.call(cx, Service::on_open);
    }

    #[inline]
    fn on_bytes(&mut self, input: &[u8], cx: &mut Context<'_>) -> Result<Step, ProtocolError> {
        let found = self.codec.decode(input)?;
        Ok(self.deliver(found, input, cx).unwrap_or(Step::NeedMore))
    }

    fn on_writable(&mut self, cx: &mut Context<'_>) {
        self.call(cx, Service::on_writable);
    }

    fn on_eof(&mut self, rest: &[u8], cx: &mut Context<'_>) -> Result<Step, ProtocolError> {
        let found = self.codec.decode_eof(rest)?;
        if let Some(step) = self.deliver(found, rest, cx) {
            return Ok(step);
        }
        if !rest.is_empty() {
            return Err(FrameError::Truncated { have: rest.len() as u64 }.into());
        }
        self.call(cx, Service::on_eof);
        Ok(Step::NeedMore)
    }

    fn on_wake(&mut self, cx: &mut Context<'_>) {
        self.call(cx, Service::on_wake);
    }

    fn on_child(&mut self, event: ChildEvent<'_>, cx: &mut Context<'_>) {
        self.call(cx, |service, cx| service.on_child(event, cx));
    }

    fn on_stop(&mut self, cx: &mut Context<'_>) {
        self.call(cx, Service::on_stop);
    }

    fn on_close(&mut self, reason: &CloseReason, now: &Now) {
        self.service.on_close(reason, now);
    }
}
