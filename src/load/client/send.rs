//! What goes out, and when: at once, when its slot is due, or as much as is taken.

use super::{Line, State, Why};
use crate::load::plan::Protocol as Target;
use crate::load::report::ErrorKind;
use crate::load::shared::{NEVER, Phase, Shared};
use crate::load::tally::Stamp;
use crate::session::Context;

impl Line {
    /// Makes the requests that may be made now.
    #[inline]
    pub(super) fn go_on(&mut self, shared: &Shared, now: u64, why: Why, cx: &mut Context<'_>) {
        if self.old && self.end_if_old(cx) {
            return;
        }
        match shared.script.protocol() {
            Target::Source => {}
            Target::Discard if shared.slots.is_none() => {
                if shared.phase.get() == Phase::Running {
                    cx.want_writable();
                }
            }
            Target::Discard => self.pour_due(shared, now, why, cx),
            _ if shared.slots.is_some() => self.send_due(shared, now, why, cx),
            _ => {
                while self.sent - self.answered < shared.pipeline && shared.may_send() {
                    self.send(shared, Stamp { due: now, sent: now }, cx);
                }
            }
        }
    }

    /// Open arrival: sends what is due, as far as the pipeline allows. What has to wait is late, and counts so.
    fn send_due(&mut self, shared: &Shared, now: u64, why: Why, cx: &mut Context<'_>) {
        if self.due == NEVER {
            self.find_due(shared);
        }
        let was_free = why == Why::Woken && self.sent == self.answered;
        while self.due <= now && self.sent - self.answered < shared.pipeline {
            self.send_next_due(shared, now, was_free, cx);
        }
    }

    #[inline]
    fn send_next_due(&mut self, shared: &Shared, now: u64, was_free: bool, cx: &mut Context<'_>) {
        let due = self.due;
        if was_free {
            shared.note_lag(due, now);
        }
        self.send(shared, Stamp { due, sent: now }, cx);
        self.round += 1;
        self.find_due(shared);
    }

    /// Discard, open arrival: what is due, as far as the connection takes it. What it does not take waits to be sent, not in
    /// memory, and was not sent when the run ends.
    fn pour_due(&mut self, shared: &Shared, now: u64, why: Why, cx: &mut Context<'_>) {
        if self.due == NEVER {
            self.find_due(shared);
        }
        // Whether something waited in this process when its moment came is all that tells whose fault lateness is.
        let was_free = why == Why::Woken && cx.room() > 0;
        while self.due <= now && cx.room() > 0 {
            self.send_next_due(shared, now, was_free, cx);
        }
        if self.due <= now {
            cx.want_writable();
        }
    }

    fn find_due(&mut self, shared: &Shared) {
        self.due = shared.due(self.number, self.round);
    }

    #[inline]
    fn send(&mut self, shared: &Shared, stamp: Stamp, cx: &mut Context<'_>) {
        shared.script.write_request(self.number, self.sent, |piece| cx.write(piece));
        *self.stamp(self.sent) = stamp;
        self.sent += 1;
        shared.note_sent(stamp.due, shared.script.request_len);
        if shared.script.protocol() == Target::Discard {
            self.answered += 1;
            shared.note_moved(stamp.due, stamp.sent, 1);
        }
    }

    /// Discard: as much as the connection takes.
    pub(super) fn pour(&mut self, shared: &Shared, cx: &mut Context<'_>) {
        let now = shared.time.now();
        if self.state != State::Ready || shared.script.protocol() != Target::Discard || self.end_if_old(cx) {
            return;
        } else if shared.slots.is_some() {
            return self.pour_due(shared, now, Why::Answered, cx);
        }
        let mut room = cx.room();
        while room > 0 && shared.may_send() {
            self.send(shared, Stamp { due: now, sent: now }, cx);
            room = room.saturating_sub(shared.script.request_len);
        }
        if shared.phase.get() == Phase::Running && shared.left.get() > 0 {
            cx.want_writable();
        }
    }

    /// The driver has looked at the clock: the run has begun, a slot is due, or nothing has come for too long.
    pub(super) fn wake(&mut self, shared: &Shared, cx: &mut Context<'_>) {
        if self.state == State::Failed {
            return;
        }
        let now = shared.time.now();
        self.old |= self.until <= now;
        if self.state == State::Greeting && now.saturating_sub(self.only.sent) >= shared.timeout {
            return self.fail_timeout(shared, "no banner", cx);
        }
        if self.sent > self.answered && shared.script.protocol() != Target::Source {
            let oldest = self.stamp(self.answered).sent;
            if now.saturating_sub(oldest) >= shared.timeout {
                return self.fail_timeout(shared, "no answer", cx);
            }
        }
        if self.state == State::Ready {
            self.go_on(shared, now, Why::Woken, cx);
        }
    }

    /// Ends a connection whose lifetime is over, once everything is answered.
    pub(super) fn end_if_old(&mut self, cx: &mut Context<'_>) -> bool {
        if self.old && self.sent == self.answered {
            self.state = State::Failed;
            cx.close();
        }
        self.old
    }

    #[cold]
    fn fail_timeout(&mut self, shared: &Shared, what: &str, cx: &mut Context<'_>) {
        let (number, message) = (self.number, self.answered);
        let limit = std::time::Duration::from_nanos(shared.timeout);
        shared.error(ErrorKind::Timeout, || {
            format!("connection {number}, message {message}: {what} within {limit:?}")
        });
        self.state = State::Failed;
        cx.close();
    }

    /// The first connections end after different parts of their lifetime, so that they are not all made anew at once.
    pub(super) fn first_lifetime(&self, shared: &Shared, now: u64) -> u64 {
        if shared.lifetime == NEVER {
            return NEVER;
        }
        let fresh = shared.phase.get() == Phase::Opening;
        let part = u64::from(self.number) % 64 + 1;
        now + if fresh { shared.lifetime / 64 * part } else { shared.lifetime }
    }
}
