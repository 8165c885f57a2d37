//! Bytes in: messages are handed to the protocol one by one, and what is not a whole message yet is kept.

use super::buffers::Buffer;
use super::close_reason::CloseReason;
use super::context::{Context, Remote};
use super::pass::{Pass, Requests};
use super::protocol::{Protocol, Step};
use super::{CONGESTED, EOF, EOF_DONE, EXHAUSTED, MORE_INPUT, NOT_READY, Phase, RARE, Session};
use crate::codec::FrameError;

/// Where replies to an input stand: whether they may be written from it, and behind how many unsent bytes.
#[derive(Debug, Clone, Copy)]
struct Output {
    direct: bool,
    backlog: usize,
}

impl<P: Protocol> Session<P> {
    /// Bytes arrived. What the protocol does not take yet is kept; replies are in the pass.
    ///
    /// Afterwards the driver writes [`Pass`] output (which may refer to `input`) and gives the unsent rest to
    /// [`handle_unsent`](Self::handle_unsent).
    #[inline(always)]
    pub fn handle_bytes(&mut self, input: &[u8], remote: &dyn Remote, pass: &mut Pass) {
        debug_assert!(self.wants_read(), "bytes read that were not wanted");
        self.active = pass.now().tick;
        if self.flags & RARE != 0 {
            return self.handle_more_bytes(input, remote, pass);
        }
        let used = self.feed(input, Output { direct: true, backlog: 0 }, remote, pass);
        if used < input.len() {
            self.keep_input(&input[used..], pass);
        }
    }

    /// Bytes arrived on a session that keeps something already: an unfinished message, or unsent output.
    #[inline(never)]
    fn handle_more_bytes(&mut self, input: &[u8], remote: &dyn Remote, pass: &mut Pass) {
        let backlog = self.poll_output().len();
        let rare = self.rare_mut();
        if !rare.inbox.is_empty() {
            rare.inbox.push(input);
            return self.feed_inbox(remote, pass);
        }
        let used = self.feed(input, Output { direct: true, backlog }, remote, pass);
        if used < input.len() {
            self.keep_input(&input[used..], pass);
        }
    }

    /// The peer has sent its last byte.
    pub fn handle_eof(&mut self, remote: &dyn Remote, pass: &mut Pass) {
        self.flags |= EOF;
        if self.phase == Phase::Lingering {
            self.enter(Phase::Closed);
        } else if self.wants_resume() {
            self.handle_resume(remote, pass);
        }
    }

    /// Goes on with kept input, after [`wants_resume`](Self::wants_resume) said yes.
    pub fn handle_resume(&mut self, remote: &dyn Remote, pass: &mut Pass) {
        self.active = pass.now().tick;
        if self.flags & MORE_INPUT != 0 {
            self.feed_inbox(remote, pass);
        }
        while self.flags & (EOF | EOF_DONE | MORE_INPUT) == EOF && self.can_take() && !pass.is_spent() {
            self.feed_eof(remote, pass);
        }
    }

    #[inline]
    pub(super) fn can_take(&self) -> bool {
        self.phase == Phase::Open && self.flags & (CONGESTED | NOT_READY | EXHAUSTED) == 0
    }

    /// Gives messages to the protocol until something says stop; returns how many bytes it took.
    #[inline(always)]
    fn feed(&mut self, input: &[u8], output: Output, remote: &dyn Remote, pass: &mut Pass) -> usize {
        let first = self.feed_one(input, 0, output, remote, pass);
        if first >= input.len() {
            return input.len();
        }
        self.feed_rest(input, first, output, remote, pass)
    }

    /// All messages but the first of one input.
    #[inline(never)]
    fn feed_rest(
        &mut self,
        input: &[u8],
        first: usize,
        output: Output,
        remote: &dyn Remote,
        pass: &mut Pass,
    ) -> usize {
        let (mut used, mut taken) = (first, first);
        while taken > 0 && used < input.len() && self.may_feed_on(output.backlog, pass) {
            taken = self.feed_one(input, used, output, remote, pass);
            used += taken;
        }
        used.min(input.len())
    }

    /// Shows the protocol `input[at..]`; returns how many bytes it took, 0 when it needs more.
    #[inline(always)]
    fn feed_one(
        &mut self,
        input: &[u8],
        at: usize,
        Output { direct, backlog }: Output,
        remote: &dyn Remote,
        pass: &mut Pass,
    ) -> usize {
        let mut cx = Context::with_input(pass, remote, backlog, input, at, direct);
        let step = match self.protocol.on_bytes(&input[at..], &mut cx) {
            Ok(Step::Consumed(count)) => count.get(),
            other => return self.stop_feeding(other, pass),
        };
        pass.traffic_mut().frames += 1;
        self.grant_if_any(pass);
        step
    }

    /// The bytes at hand are not a whole message, or no message at all.
    #[inline(never)]
    fn stop_feeding(&mut self, step: Result<Step, super::ProtocolError>, pass: &mut Pass) -> usize {
        if let Err(error) = step {
            pass.asked |= Requests::ERROR;
            pass.requests.error.get_or_insert(error);
        }
        self.grant(pass);
        0
    }

    /// Whether the next message may be taken at once; if only our limits are against it, notes that there may be one.
    #[inline(never)]
    fn may_feed_on(&mut self, backlog: usize, pass: &mut Pass) -> bool {
        if self.phase != Phase::Open {
            return false;
        }
        pass.spend(0, 1);
        let congested = backlog + pass.queued() >= pass.limits().high_water;
        let stopped = congested || self.flags & NOT_READY != 0 || pass.is_spent();
        if stopped {
            self.flags |= MORE_INPUT;
        }
        !stopped
    }

    #[inline(never)]
    fn feed_inbox(&mut self, remote: &dyn Remote, pass: &mut Pass) {
        self.flags &= !MORE_INPUT;
        let output = Output { direct: false, backlog: self.poll_output().len() };
        let mut inbox = std::mem::take(&mut self.rare_mut().inbox);
        let used = self.feed(inbox.as_slice(), output, remote, pass);
        inbox.take_front(used);
        if self.phase != Phase::Open {
            return;
        }
        let left = inbox.len();
        self.rare_mut().inbox = inbox;
        self.note_partial(used > 0, left, pass);
    }

    /// Keeps what is not taken yet. After the end of the conversation nobody wants it.
    #[cold]
    fn keep_input(&mut self, rest: &[u8], pass: &Pass) {
        if self.phase == Phase::Open {
            self.rare_mut().inbox.push(rest);
            self.note_partial(true, rest.len(), pass);
        }
    }

    /// Starts the clock of an unfinished frame with its first byte, and bounds its size.
    fn note_partial(&mut self, is_new: bool, left: usize, pass: &Pass) {
        let partial = left > 0 && self.flags & MORE_INPUT == 0;
        let now = pass.now().tick;
        let rare = self.rare_mut();
        if !partial {
            rare.frame_since = None;
        } else if is_new || rare.frame_since.is_none() {
            rare.frame_since = Some(now);
        }
        let max = pass.limits().max_partial;
        if partial && left > max {
            let error = FrameError::TooLong { len: left as u64, max: max as u64 };
            self.finish(CloseReason::Protocol(error.into()));
        }
    }

    /// Shows the protocol the end of the stream, once per call.
    fn feed_eof(&mut self, remote: &dyn Remote, pass: &mut Pass) {
        let mut inbox =
            self.rare.as_mut().map_or_else(Buffer::default, |rare| std::mem::take(&mut rare.inbox));
        let backlog = self.poll_output().len();
        let mut cx = Context::with_input(pass, remote, backlog, inbox.as_slice(), 0, false);
        match self.protocol.on_eof(inbox.as_slice(), &mut cx) {
            Ok(Step::Consumed(count)) if !inbox.is_empty() => {
                pass.traffic_mut().frames += 1;
                inbox.take_front(count.get().min(inbox.len()));
            }
            other => {
                self.flags |= EOF_DONE;
                inbox = Buffer::default();
                if let Err(error) = other {
                    pass.requests.error.get_or_insert(error);
                }
            }
        }
        pass.spend(0, 1);
        if !inbox.is_empty() {
            self.rare_mut().inbox = inbox;
        }
        self.grant(pass);
    }
}
