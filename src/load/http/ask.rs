//! When a request goes out: at once, or when its slot is due; and when one has waited for too long.

use std::time::Duration;

use super::{Line, State, Why};
use crate::load::report::ErrorKind;
use crate::load::shared::{NEVER, Shared};
use crate::load::tally::Stamp;
use crate::session::Context;

impl Line {
    /// Makes the requests that may be made now.
    #[inline]
    pub(super) fn go_on(&mut self, shared: &Shared, now: u64, why: Why, cx: &mut Context<'_>) {
        if self.old && self.end_if_old(cx) {
            return;
        }
        if shared.slots.is_some() {
            return self.send_due(shared, now, why, cx);
        }
        while self.owed() < shared.pipeline && shared.may_send() {
            self.send(shared, Stamp { due: now, sent: now }, cx);
        }
    }

    /// Open arrival: sends what is due, as far as the pipeline allows. What has to wait is late, and counts so.
    fn send_due(&mut self, shared: &Shared, now: u64, why: Why, cx: &mut Context<'_>) {
        if self.due == NEVER {
            self.due = shared.due(self.number, self.round);
        }
        let was_free = why == Why::Woken && self.owed() == 0;
        while self.due <= now && self.owed() < shared.pipeline {
            let due = self.due;
            if was_free {
                shared.note_lag(due, now);
            }
            self.send(shared, Stamp { due, sent: now }, cx);
            self.round += 1;
            self.due = shared.due(self.number, self.round);
        }
    }

    #[inline]
    fn send(&mut self, shared: &Shared, stamp: Stamp, cx: &mut Context<'_>) {
        let request = shared.wire.request(self.number);
        cx.write(request);
        *self.stamp(self.sent) = stamp;
        self.sent += 1;
        shared.note_sent(stamp.due, request.len());
    }

    /// The driver has looked at the clock: the run has begun, a slot is due, or nothing has come for too long.
    pub(super) fn wake(&mut self, shared: &Shared, cx: &mut Context<'_>) {
        let now = shared.time.now();
        match self.state {
            State::New | State::Over => {}
            State::Closing if now.saturating_sub(self.only.sent) >= shared.timeout => {
                // It has said that it would close, and owes nothing: that it does not is no fault in what is measured.
                self.state = State::Over;
                cx.close();
            }
            State::Closing => {}
            State::Ready => {
                self.old |= self.until <= now;
                let oldest = self.stamp(self.answered).sent;
                if self.owed() > 0 && now.saturating_sub(oldest) >= shared.timeout {
                    let limit = Duration::from_nanos(shared.timeout);
                    return self.fail(shared, ErrorKind::Timeout, &format!("no answer within {limit:?}"), cx);
                }
                self.go_on(shared, now, Why::Woken, cx);
            }
        }
    }

    /// Ends a connection whose lifetime is over, once everything is answered.
    fn end_if_old(&mut self, cx: &mut Context<'_>) -> bool {
        if self.owed() == 0 {
            self.state = State::Over;
            cx.close();
        }
        self.old
    }
}
