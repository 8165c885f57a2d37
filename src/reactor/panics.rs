//! A panic in a user's code ends the one conversation it was about, as it does on a thread of its own.
//!
//! Only [`run`](super::Reactor::run) does this, and only where panics unwind. It costs a conversation nothing: what
//! catches is around the whole of a turn's events, and who was being served is found out only once somebody has panicked.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use log::error;

use super::slots::key_of;
use super::{Entry, Reactor, Slot};
use crate::error::Error;
use crate::kernel::{Event, Kernel, Token};
use crate::session::{CloseReason, Remote};

/// Events on their way to be served. Dropped by a panic, it says how many were left, the one being served included.
///
/// That one is taken off afterwards, so that the straight path needs one register for both.
pub(super) struct Unserved<'a> {
    pub(super) events: &'a [Event],
    left: &'a mut usize,
}

impl<'a> Unserved<'a> {
    pub(super) const fn new(events: &'a [Event], left: &'a mut usize) -> Self {
        Self { events, left }
    }
}

impl Drop for Unserved<'_> {
    fn drop(&mut self) {
        *self.left = self.events.len();
    }
}

impl<K: Kernel> Reactor<K> {
    /// Serves events, and what follows from them. Who panics is ended, and the others are served.
    pub(super) fn serve_shielded(&mut self, events: &[Event]) {
        if !self.shields {
            return self.serve_noted(events, &mut 0);
        }
        let mut rest = events;
        loop {
            let mut left = 0;
            let serve = AssertUnwindSafe(|| self.serve_noted(rest, &mut left));
            let Err(panic) = catch_unwind(serve) else { return };
            let [begun, others @ ..] = &rest[rest.len() - left..] else {
                // Without an event there is nobody to blame: it is a bug of the loop itself.
                resume_unwind(panic);
            };
            self.end_panicked(begun.token);
            rest = others;
        }
    }

    /// Does something about one slot; if its user's code panics, that slot is ended.
    pub(super) fn shielded(&mut self, token: Token, act: impl FnOnce(&mut Self)) {
        if !self.shields {
            act(self);
        } else if catch_unwind(AssertUnwindSafe(|| act(self))).is_err() {
            self.end_panicked(token);
        }
    }

    /// What was begun in the pass is forgotten with whoever had begun it.
    #[cold]
    fn end_panicked(&mut self, token: Token) {
        self.pass.abandon();
        match self.slots.get_mut(token).map(|entry| &mut entry.slot) {
            Some(Slot::Listener(_)) => {
                self.count_lost_newcomer();
                // Its event is spent, and more may wait.
                self.requeue(token);
            }
            Some(Slot::Port(_)) => {
                let address = self.address_of_port(token).to_string();
                error!("a service panicked address={address}: nobody would answer there any more");
                self.fatal = Some(Error::Panicked { address });
            }
            Some(Slot::Peer(connection)) => {
                error!(
                    "a service panicked peer={} effect=\"its connection is ended\"",
                    connection.stream().address()
                );
                connection.session_mut().forget(&mut self.pass);
                let child = connection.session().child();
                self.drop_panicked(token);
                if let Some(child) = child {
                    self.abandon_job(child);
                }
            }
            // What is done about a child for a connection is shielded in that connection's name.
            Some(Slot::Job(_)) => error!("a job of token {} panicked: it is a bug of the loop", token.0),
            Some(Slot::Connecting(_)) | None => self.drop_panicked(token),
        }
    }

    /// Dropping what belongs to the user may panic as well.
    fn drop_panicked(&mut self, token: Token) {
        let _ = catch_unwind(AssertUnwindSafe(|| drop(self.remove(token))));
        if let Some(addresses) = &mut self.addresses {
            addresses.leave(key_of(token).into());
        }
        self.count_lost();
    }

    /// A connection that was accepted, and whose service panicked before it had begun.
    fn count_lost_newcomer(&mut self) {
        error!("a service panicked while a connection began effect=\"it is ended\"");
        if !self.count_lost() {
            self.stats.accepted += 1;
            self.stats.closed[CloseReason::Panicked.kind()] += 1;
        }
    }

    /// Connections that are counted as open and are not there any more; says whether there was one.
    fn count_lost(&mut self) -> bool {
        let is_open = |entry: &&Entry<K>| matches!(entry.slot, Slot::Peer(_) | Slot::Connecting(_));
        let open = self.slots.iter().map(|(_, entry)| entry).filter(is_open).count() as u64;
        let lost = self.stats.open.saturating_sub(open);
        self.stats.open -= lost;
        self.stats.closed[CloseReason::Panicked.kind()] += lost;
        lost > 0
    }
}
