//! Listeners: accept until EAGAIN within a batch, and what to do when accepting fails.

use log::{Level, log_enabled, trace, warn};
use std::time::Duration;

use super::{Entry, OverLimit, Reactor, Slot, planted};
use crate::address::Address;
use crate::attempt::{Attempt, Failure, FailureClass, attempt_accept};
use crate::connection::{Connection, Progress};
use crate::error::Error;
use crate::kernel::{Kernel, Planted, Token};
use crate::session::{CloseReason, Factory, Peer, Protocol, Remote, Tick};

/// How long accepting rests when no descriptor, buffer or memory is left. No event announces the end of it.
const PAUSE: Duration = Duration::from_millis(100);

/// Connections told by the reserve descriptor that there is no room, per pause.
const SHED_BATCH: u32 = 64;

/// Failures in a row, each that of one connection as it seems, after which the listener is given a rest all the
/// same: one that fails without taking anybody from the queue (a security module's EPERM) would be asked for ever.
const FAILURES: u32 = 64;

/// A listener and how its connections begin.
pub(super) struct Listening<K: Kernel> {
    listener: K::Listener,
    /// Another process accepts from it when this one stops.
    pub(super) is_shared: bool,
    /// Failures in a row: since accepting last succeeded, found nobody, or was given a rest.
    failures: u32,
    /// Accepting rests until then, whatever events say: a newcomer's arrival frees no descriptor.
    rests_until: Option<Tick>,
    /// Our address, and that of the peer accepted last.
    peer: Peer,
    make: Factory,
}

impl<K: Kernel> std::fmt::Debug for Listening<K> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Listening").field("address", &self.peer.local).finish_non_exhaustive()
    }
}

/// Why a listener stopped accepting for this turn.
enum Stopped {
    /// Nobody waits any more.
    Drained,
    /// The batch is done, more may wait.
    Batch,
    /// As many connections as may be.
    Full,
    /// Memory is short.
    Short,
    /// Accepting failed.
    Failed(Failure),
}

impl<K: Kernel> Reactor<K> {
    /// Adds a listener of this kernel; `make` is called for every connection it accepts.
    ///
    /// # Errors
    /// [`Error::Bind`] when it cannot be registered with the poll.
    pub fn add_listener(
        &mut self,
        listener: K::Listener,
        address: Address,
        make: Factory,
    ) -> Result<(), Error> {
        self.insert_listener(listener, address, make, false)
    }

    /// [`add_listener`](Self::add_listener) for a socket on which another process accepts when this one stops: a drain closes
    /// it at once, without accepting who is queued.
    ///
    /// # Errors
    /// [`Error::Bind`] when it cannot be registered with the poll.
    pub fn add_shared_listener(
        &mut self,
        listener: K::Listener,
        address: Address,
        make: Factory,
    ) -> Result<(), Error> {
        self.insert_listener(listener, address, make, true)
    }

    fn insert_listener(
        &mut self,
        mut listener: K::Listener,
        address: Address,
        make: Factory,
        is_shared: bool,
    ) -> Result<(), Error> {
        let token = self.slots.next_token();
        self.kernel
            .register_listener(&mut listener, token)
            .map_err(|source| Error::Bind { address: address.to_string(), source })?;
        let slot = Slot::Listener(Box::new(Listening {
            listener,
            is_shared,
            failures: 0,
            rests_until: None,
            peer: Peer { address: Address::Unknown, local: address },
            make,
        }));
        self.slots.insert(Entry::new(slot));
        Ok(())
    }

    pub(super) fn is_full(&self) -> bool {
        self.stats.open >= self.config.max_connections as u64
    }

    pub(super) fn serve_listener(&mut self, token: Token) {
        let now = self.pass.now().tick;
        if let Some(Entry { slot: Slot::Listener(listening), .. }) = self.slots.get_mut(token) {
            if listening.rests_until.is_some_and(|until| !until.is_due(now)) {
                return;
            }
            listening.rests_until = None;
        }
        match self.accept_batch(token) {
            Stopped::Drained if self.state.is_draining() => {
                self.remove(token);
            }
            Stopped::Drained => {}
            Stopped::Batch if planted::<K>(Planted::AcceptBatchForgotten) => {}
            Stopped::Batch => self.requeue(token),
            Stopped::Full => {
                self.rest_listener(token);
                self.warn_full();
            }
            Stopped::Short if planted::<K>(Planted::MemoryRestForgotten) => {}
            Stopped::Short => {
                self.rest_listener(token);
                self.note_memory_rest();
            }
            Stopped::Failed(failure) if failure.class == FailureClass::Fatal => {
                self.end_listener(token, failure)
            }
            Stopped::Failed(failure) => self.pause(token, failure),
        }
    }

    /// Until a connection ends, or memory is there.
    fn rest_listener(&mut self, token: Token) {
        if !self.paused.contains(&token) {
            self.paused.push(token);
        }
    }

    fn accept_batch(&mut self, token: Token) -> Stopped {
        for _ in 0..self.config.accept_batch {
            let full = self.is_full();
            if full && self.config.over_limit == OverLimit::Wait {
                return Stopped::Full;
            }
            if self.pass.memory.refuses() {
                return Stopped::Short;
            }
            let Some(Entry { slot: Slot::Listener(listening), .. }) = self.slots.get_mut(token) else {
                return Stopped::Drained;
            };
            match attempt_accept(|| self.kernel.accept(&listening.listener)) {
                Attempt::Done((stream, address)) => {
                    listening.failures = 0;
                    listening.peer.address = address;
                    let counted = self.addresses.as_ref();
                    let crowded = counted.is_some_and(|all| !all.has_room(&listening.peer.address));
                    let protocol =
                        if full || crowded { None } else { Some((listening.make)(&listening.peer)) };
                    self.stats.accepted += 1;
                    self.count_open();
                    match protocol {
                        Some(protocol) => self.begin(stream, protocol, token),
                        None if full => self.refuse(&stream),
                        None => self.refuse_address(&stream),
                    }
                }
                Attempt::WouldBlock => {
                    listening.failures = 0;
                    return Stopped::Drained;
                }
                Attempt::Failed(failure) => {
                    let one_lost = failure.class == FailureClass::Retry;
                    self.stats.accept_errors += u64::from(one_lost);
                    listening.failures += 1;
                    if !one_lost || listening.failures >= FAILURES {
                        listening.failures = 0;
                        return Stopped::Failed(failure);
                    }
                }
            }
        }
        Stopped::Batch
    }

    /// A new connection: registered for its whole life, then opened.
    fn begin(&mut self, stream: K::Stream, protocol: Box<dyn Protocol>, listener: Token) {
        if log_enabled!(Level::Trace) {
            trace!("accepted peer={}", stream.address());
        }
        let mut connection = Connection::new(stream, protocol, &self.pass);
        let token = self.slots.next_token();
        if let Err(source) = self.kernel.register_stream(connection.stream_mut(), token) {
            return self.not_registered(connection, &source);
        }
        let progress = connection.open(&mut self.pass);
        let deadline = connection.session().poll_timeout(&self.pass);
        self.slots.insert(Entry::new(Slot::Peer(connection)));
        if self.addresses.is_some() {
            self.enter_address(token, listener);
        }
        self.arm(token, deadline);
        if progress != Progress::Blocked {
            self.after_drive(token, progress, false);
        }
        if self.state.is_draining() {
            self.stop_peer(token);
        }
    }

    fn not_registered(&mut self, mut connection: super::Conn<K>, source: &std::io::Error) {
        let reason = CloseReason::Io(Failure::of_stream(source));
        connection.session_mut().handle_closed(&reason, &mut self.pass);
        self.count_close(&reason);
        self.stats.register_errors += 1;
        if let Some(suppressed) = self.warnings.register.permit(self.pass.now().tick) {
            warn!("cannot register a connection error=\"{source}\" suppressed={suppressed}");
        }
    }

    /// Over the limit: counted, and closed when this returns to the caller.
    fn refuse(&mut self, stream: &K::Stream) {
        self.count_close(&CloseReason::OverLimit);
        if log_enabled!(Level::Debug) {
            log::debug!("closed peer={} reason=\"over_limit\"", stream.address());
        }
        self.warn_full();
    }

    /// One more of its address than may be: counted, and closed when this returns to the caller.
    #[cold]
    fn refuse_address(&mut self, stream: &K::Stream) {
        self.count_close(&CloseReason::OverAddressLimit);
        if let Some(suppressed) = self.warnings.over_address.permit(self.pass.now().tick) {
            let (peer, max) = (stream.address(), self.config.max_per_address.unwrap_or_default());
            warn!(
                "connection limit of an address reached peer={peer} max={max} effect=\"newcomers are closed\" \
                 suppressed={suppressed}"
            );
        }
    }

    /// The connection that was accepted last is one more of its address.
    #[cold]
    fn enter_address(&mut self, token: Token, listener: Token) {
        if let Some(Entry { slot: Slot::Listener(listening), .. }) = self.slots.get(listener)
            && let Some(addresses) = &mut self.addresses
        {
            addresses.enter(super::key_of(token).into(), &listening.peer.address);
        }
    }

    fn warn_full(&mut self) {
        if let Some(suppressed) = self.warnings.over_limit.permit(self.pass.now().tick) {
            let (open, max) = (self.stats.open, self.config.max_connections);
            let effect = self.config.over_limit.effect();
            warn!(
                "connection limit reached open={open} max={max} effect=\"{effect}\" suppressed={suppressed}"
            );
        }
    }

    /// Out of descriptors, buffers or memory, or nothing but failures: tell those who wait if that is the policy, and try again later.
    fn pause(&mut self, token: Token, failure: Failure) {
        self.stats.accept_pauses += 1;
        if self.config.over_limit == OverLimit::Refuse && failure.class == FailureClass::Exhausted {
            self.shed(token);
        }
        if let Some(suppressed) = self.warnings.exhausted.permit(self.pass.now().tick) {
            let open = self.stats.open;
            warn!("accepting paused error=\"{failure}\" open={open} retry_ms=100 suppressed={suppressed}");
        }
        if planted::<K>(Planted::AcceptRetryForgotten) {
            return;
        }
        let retry = self.pass.now().tick.after(PAUSE.into());
        if let Some(Entry { slot: Slot::Listener(listening), .. }) = self.slots.get_mut(token) {
            listening.rests_until = Some(retry);
        }
        self.arm(token, Some(retry));
    }

    fn shed(&mut self, token: Token) {
        for _ in 0..SHED_BATCH {
            let Some(Entry { slot: Slot::Listener(listening), .. }) = self.slots.get_mut(token) else {
                return;
            };
            match self.kernel.shed(&listening.listener) {
                Ok(true) => self.stats.shed += 1,
                Ok(false) | Err(_) => return,
            }
        }
    }

    /// The listener itself is unusable. Spinning on it would be worse than ending.
    fn end_listener(&mut self, token: Token, failure: Failure) {
        if let Some(Entry { slot: Slot::Listener(listening), .. }) = self.remove(token) {
            let address = listening.peer.local.to_string();
            log::error!("listener unusable address={address} error=\"{failure}\"");
            self.fatal = Some(Error::Listener { address, errno: failure.errno });
        }
    }

    pub(super) fn requeue(&mut self, token: Token) {
        if let Some(entry) = self.slots.get_mut(token) {
            super::enqueue(entry, token, &mut self.waiting);
        }
    }
}
