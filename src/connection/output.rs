//! The writing half of a connection: what a pass has collected goes out at once, and only what the kernel refuses is kept.

use std::io::IoSlice;

use super::Connection;
use crate::attempt::{Attempt, Failure, FailureClass, attempt, attempt_again};
use crate::kernel::{Planted, Readiness, Stream};
use crate::session::{Pass, Protocol};

impl<T: Stream, P: Protocol> Connection<T, P> {
    /// Writes what a call without input has collected.
    pub(super) fn flush(&mut self, pass: &mut Pass) {
        if pass.queued() > 0 {
            self.write_pass(&[], pass);
        }
    }

    /// Writes what the pass has collected; `input` is what its direct part refers to. Mostly that part is
    /// all, and the kernel takes it. Says whether nothing else is left to do.
    #[inline(always)]
    pub(super) fn flush_input(&mut self, input: &[u8], pass: &mut Pass) -> bool {
        let direct = &input[pass.direct.clone()];
        let simple = self.session.is_plain() && pass.replies.is_empty() && !direct.is_empty();
        if simple && self.ready.has(Readiness::WRITABLE) {
            let written = self.stream.write(direct);
            if matches!(written, Ok(count) if count == direct.len()) {
                pass.traffic_mut().bytes_out += direct.len() as u64;
                pass.direct = 0..0;
                return true;
            }
            let written = attempt_again(written, || self.stream.write(direct));
            self.after_write(written, pass);
            if self.session.is_closed() {
                pass.clear_output();
            }
        }
        if pass.queued() > 0 && !self.write_replies(pass) {
            self.write_pass(input, pass);
        }
        self.session.is_plain()
    }

    /// The other plain case: nothing is sent back as it was read, and the kernel takes all the replies. Says whether it did.
    #[inline]
    fn write_replies(&mut self, pass: &mut Pass) -> bool {
        let len = pass.replies.len();
        let simple = len == pass.queued() && self.session.is_plain();
        if !simple || !self.ready.has(Readiness::WRITABLE) {
            return false;
        }
        let written = self.stream.write(&pass.replies);
        if matches!(written, Ok(count) if count == len) {
            pass.traffic_mut().bytes_out += len as u64;
            pass.clear_output();
            return true;
        }
        let written = attempt_again(written, || self.stream.write(&pass.replies));
        self.after_write(written, pass);
        false
    }

    #[cold]
    fn keep_unsent(&mut self, input: &[u8], pass: &mut Pass) {
        if !self.session.is_closed() && T::PLANTED != Planted::UnsentForgotten {
            let direct = pass.direct.clone();
            let replies = std::mem::take(&mut pass.replies);
            self.session.handle_unsent(&input[direct], &replies, pass);
            pass.replies = replies;
        }
    }

    /// Writes until everything is out or the kernel refuses; only what it refuses is copied.
    #[inline(never)]
    fn write_pass(&mut self, input: &[u8], pass: &mut Pass) {
        let behind = !self.session.poll_output().is_empty();
        while self.may_write() && !behind && pass.queued() > 0 {
            let direct = &input[pass.direct.clone()];
            let written = if pass.replies.is_empty() {
                attempt(|| self.stream.write(direct))
            } else if direct.is_empty() {
                attempt(|| self.stream.write(&pass.replies))
            } else {
                attempt(|| self.stream.write_vectored(&[IoSlice::new(direct), IoSlice::new(&pass.replies)]))
            };
            self.after_write(written, pass);
        }
        if pass.queued() > 0 {
            self.keep_unsent(input, pass);
        }
        pass.clear_output();
    }

    fn may_write(&self) -> bool {
        self.ready.has(Readiness::WRITABLE) && !self.session.is_closed() && !self.session.is_exhausted()
    }

    fn after_write(&mut self, written: Attempt<usize>, pass: &mut Pass) {
        if let Some(count) = self.note_write(written, pass) {
            pass.consume(count);
            if T::PLANTED == Planted::ShortWriteBlocks && pass.queued() > 0 {
                self.ready = self.ready.without(Readiness::WRITABLE);
            }
        }
    }

    /// Writes what earlier passes could not.
    pub(super) fn flush_kept(&mut self, pass: &mut Pass) {
        while self.session.wants_write() && self.ready.has(Readiness::WRITABLE) && !pass.is_spent() {
            let written = attempt(|| self.stream.write(self.session.poll_output()));
            match self.note_write(written, pass) {
                Some(count) => self.session.consume_output(count, pass),
                None => break,
            }
        }
    }

    fn note_write(&mut self, written: Attempt<usize>, pass: &mut Pass) -> Option<usize> {
        match written {
            Attempt::Done(0) => {
                self.session.handle_failure(Failure { class: FailureClass::PeerGone, errno: 0 }, pass);
                None
            }
            Attempt::Done(count) => {
                pass.spend(count, 0);
                pass.traffic_mut().bytes_out += count as u64;
                Some(count)
            }
            Attempt::WouldBlock => {
                self.ready = self.ready.without(Readiness::WRITABLE);
                None
            }
            Attempt::Failed(failure) => {
                self.session.handle_failure(failure, pass);
                None
            }
        }
    }
}
