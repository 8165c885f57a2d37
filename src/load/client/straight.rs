//! The straight path: what happens with almost every answer of almost every run, and nothing else.
//!
//! A connection awaits one answer, it comes in one piece and is right, and the next request goes out. It asks nothing that
//! is known beforehand, and does what [`Line::take`] would do, which takes over wherever anything is different.

use super::{Line, State};
use crate::load::shared::Shared;
use crate::load::tally::Stamp;
use crate::session::Context;

impl Line {
    /// Whether these bytes are the one answer that is awaited, whole and right.
    #[inline(always)]
    pub(super) fn is_answered_by(&self, shared: &Shared, input: &[u8]) -> bool {
        let is_awaited = self.state == State::Ready && !self.old && self.sent == self.answered + 1;
        is_awaited
            && self.received == 0
            && input.len() == shared.script.reply_len
            && input == shared.script.plain(self.number, self.answered)
    }

    /// Counts that answer, and makes the next request.
    #[inline(always)]
    pub(super) fn turn_around(&mut self, shared: &Shared, cx: &mut Context<'_>) {
        let now = shared.time.now();
        self.answered += 1;
        self.fruitful = true;
        shared.note_answer(self.only, now, shared.script.reply_len);
        if shared.may_send() {
            cx.write(shared.script.plain(self.number, self.sent));
            self.only = Stamp { due: now, sent: now };
            self.sent += 1;
            shared.note_sent(now, shared.script.request_len);
        }
    }
}
