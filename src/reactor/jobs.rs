//! Child processes on the same poll as everything else.
//!
//! A job is a slot with one token for its two pipes and its end: an event says only that one of them has something, and all
//! are asked. It is read while its connection wants output. While that is congested the job rests, its edge spent, and is
//! queued again as soon as there is room (invariant I4): see [`Reactor::tend_child`].

use std::fmt;

use log::debug;

use super::{Entry, Reactor, Slot, planted};
use crate::job::Job;
use crate::kernel::{Kernel, Planted, Readiness, Token};
use crate::session::{ChildEnd, ChildEvent, ChildSpec, SpawnFailure};

/// A child and the connection it runs for, while there is one.
pub(super) struct Running {
    job: Job,
    owner: Option<Token>,
}

/// What a connection was told.
enum Told {
    Output,
    /// Nothing yet: its child has ended.
    End(ChildEnd),
}

impl Running {
    pub(super) fn note(&mut self) {
        self.job.note();
    }
}

impl fmt::Debug for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Running").field("job", &self.job).field("owner", &self.owner).finish()
    }
}

impl<K: Kernel> Reactor<K> {
    /// Child processes under way.
    #[must_use]
    pub const fn jobs(&self) -> usize {
        self.jobs
    }

    /// After a connection was driven: starts the child it asks for, ends the one it does not want any more, and lets one
    /// be read that waited for room.
    pub(super) fn tend_child(&mut self, token: Token) {
        while let Some(Entry { slot: Slot::Peer(connection), .. }) = self.slots.get_mut(token) {
            let session = connection.session_mut();
            if !session.has_child() {
                return;
            }
            if let Some(spec) = session.poll_spawn() {
                if self.start_job(token, &spec) {
                    return;
                }
                continue;
            }
            if let Some(child) = session.poll_abandoned() {
                return self.abandon_job(child);
            }
            if let Some(child) = session.child().filter(|_| session.wants_child_output()) {
                self.resume_job(child);
            }
            return;
        }
    }

    /// Says whether the child runs. If not, its protocol was told, and may have asked for something else.
    fn start_job(&mut self, owner: Token, spec: &ChildSpec) -> bool {
        let token = self.slots.next_token();
        let max = self.config.max_jobs;
        let spawned = if self.jobs >= max {
            Err(SpawnFailure::TooMany { max })
        } else {
            let failed = |error: std::io::Error| SpawnFailure::Failed(error.raw_os_error().unwrap_or(0));
            self.kernel.spawn(spec, token).map_err(failed)
        };
        let child = match spawned {
            Ok(child) => child,
            Err(failure) => {
                self.refuse_job(owner, failure);
                return false;
            }
        };
        let job = Job::new(child, spec, self.pass.now().tick);
        debug!("child started pid={} program={}", job.id(), spec.program.display());
        let deadline = job.poll_timeout();
        let running = Running { job, owner: Some(owner) };
        self.slots.insert(Entry::new(Slot::Job(Some(Box::new(running)))));
        self.jobs += 1;
        self.stats.jobs += 1;
        self.arm(token, deadline);
        if let Some(Entry { slot: Slot::Peer(connection), .. }) = self.slots.get_mut(owner) {
            connection.session_mut().handle_spawned(token.0 as u64);
        }
        true
    }

    fn refuse_job(&mut self, owner: Token, failure: SpawnFailure) {
        self.stats.jobs_refused += 1;
        debug!("child not started error=\"{failure}\"");
        let Some(entry) = self.slots.get_mut(owner) else { return };
        let Slot::Peer(connection) = &mut entry.slot else { return };
        connection.handle_child(ChildEvent::NotStarted(failure), &mut self.pass);
        // It may have to be closed, flushed or read on.
        super::enqueue(entry, owner, &mut self.waiting);
    }

    /// There is room for output again: what its pipes hold has spent its edge.
    fn resume_job(&mut self, child: u64) {
        if planted::<K>(Planted::ChildResumeForgotten) {
            return;
        }
        let token = token_of(child);
        let Some(entry) = self.slots.get_mut(token) else { return };
        if let Slot::Job(Some(running)) = &entry.slot
            && running.job.can_go_on()
        {
            super::enqueue(entry, token, &mut self.waiting);
        }
    }

    /// The connection it runs for has ended, or wants no more of it.
    pub(super) fn abandon_job(&mut self, child: u64) {
        if planted::<K>(Planted::ChildForgotten) {
            return;
        }
        let token = token_of(child);
        let now = self.pass.now().tick;
        let Some(Entry { slot: Slot::Job(Some(running)), .. }) = self.slots.get_mut(token) else { return };
        running.owner = None;
        running.job.abandon(now);
        self.stats.jobs_abandoned += 1;
        self.settle_job(token);
    }

    pub(super) fn serve_job(&mut self, token: Token, ready: Readiness, due: bool) {
        let now = self.pass.now().tick;
        let Some(Entry { slot: Slot::Job(slot), .. }) = self.slots.get_mut(token) else { return };
        let Some(mut running) = slot.take() else { return };
        if ready != Readiness::NONE {
            running.note();
        }
        if due {
            running.job.handle_timeout(now);
        }
        let owner = running.owner;
        let mut told = None;
        if let Some(owner) = owner {
            self.shielded(owner, |reactor| told = reactor.tell_owner(owner, &mut running.job));
            if self.slots.get(owner).is_none() {
                // Its protocol panicked while it was told.
                running.owner = None;
                running.job.abandon(now);
            }
        }
        if let Some(Entry { slot: Slot::Job(slot), .. }) = self.slots.get_mut(token) {
            *slot = Some(running);
        }
        match told {
            Some(Told::End(end)) => self.remove_job(token, Some(end)),
            _ => self.settle_job(token),
        }
        if let (Some(owner), true) = (owner, told.is_some()) {
            self.shielded(owner, |reactor| reactor.go_on(owner));
        }
    }

    /// What has become possible for a connection by what its child has told.
    fn go_on(&mut self, owner: Token) {
        let Some(Entry { slot: Slot::Peer(connection), .. }) = self.slots.get_mut(owner) else { return };
        let progress = connection.go_on(self.scratch.bytes(), &mut self.pass);
        self.after_drive(owner, progress, false);
    }

    /// Hands on what the job has for its connection, as far as that takes it.
    fn tell_owner(&mut self, owner: Token, job: &mut Job) -> Option<Told> {
        let Slot::Peer(connection) = &mut self.slots.get_mut(owner)?.slot else { return None };
        let now = self.pass.now().tick;
        self.pass.refill();
        while !self.pass.is_spent() && connection.session().wants_child_output() {
            let scratch = self.scratch.bytes();
            let room = connection.session().child_room(&self.pass).min(scratch.len());
            let Some(event) = job.poll(&mut scratch[..room], now) else { break };
            if let ChildEvent::Ended(end) = event {
                return Some(Told::End(end));
            }
            self.pass.spend(event.len(), 1);
            connection.handle_child(event, &mut self.pass);
        }
        Some(Told::Output)
    }

    /// After a job was served: it waits for an event or a deadline, or is over.
    fn settle_job(&mut self, token: Token) {
        let now = self.pass.now().tick;
        let Some(Entry { slot: Slot::Job(Some(running)), .. }) = self.slots.get_mut(token) else { return };
        if running.owner.is_none() && matches!(running.job.poll(&mut [], now), Some(ChildEvent::Ended(_))) {
            return self.remove_job(token, None);
        }
        let at = running.job.poll_timeout();
        self.arm(token, at);
    }

    /// Kills what is left of its group, reaps it, and tells its connection how it ended: who hears of the end finds nothing
    /// of it any more.
    fn remove_job(&mut self, token: Token, end: Option<ChildEnd>) {
        let Some(Entry { slot: Slot::Job(Some(running)), .. }) = self.remove(token) else { return };
        self.jobs -= 1;
        debug!("child ended pid={}", running.job.id());
        let owner = running.owner;
        drop(running);
        if let (Some(owner), Some(end)) = (owner, end) {
            self.shielded(owner, |reactor| reactor.tell_end(owner, end));
        }
    }

    fn tell_end(&mut self, owner: Token, end: ChildEnd) {
        if let Some(Entry { slot: Slot::Peer(connection), .. }) = self.slots.get_mut(owner) {
            connection.handle_child(ChildEvent::Ended(end), &mut self.pass);
        }
    }

    /// Every child is killed, now.
    pub(super) fn kill_jobs(&mut self) {
        for token in self.slots.tokens() {
            if matches!(self.slots.get(token), Some(Entry { slot: Slot::Job(_), .. })) {
                self.remove_job(token, None);
            }
        }
    }
}

/// Tokens are words, and words have at most 64 bits.
fn token_of(child: u64) -> Token {
    Token(usize::try_from(child).expect("it was made of a token"))
}
