//! Who is being served, and what was counted: the state that all threads of a blocking server share.

use std::collections::HashMap;
use std::io::{self, PipeReader, PipeWriter, Write};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::blocking::Model;
use super::orders::Handle;
use super::peer::Peer;
use crate::address::Address;
use crate::error::Error;
use crate::os::datagrams::Drops;
use crate::os::stream::Socket;
use crate::reactor::addresses::Addresses;
use crate::reactor::throttle::Throttle;
use crate::reactor::{Config, OverLimit, Stats};
use crate::session::{Clock, CloseReason, DatagramTraffic, Guard, Span, Tick, Traffic};

/// Shared by all threads of one server.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) model: Model,
    pub(super) config: Config,
    pub(super) guard: Guard,
    pub(super) clock: Clock,
    pub(super) handle: Handle,
    stopping: AtomicBool,
    /// The drain's time is up, or a second order to stop came.
    over: AtomicBool,
    /// Why the server cannot go on.
    fatal: Mutex<Option<Error>>,
    /// Readable from the beginning of a drain on, for those who wait for a socket and for that.
    pub(super) stop_event: PipeReader,
    stop_writer: PipeWriter,
    inner: Mutex<Inner>,
    /// Somebody has ended.
    room: Condvar,
    /// Child processes under way.
    jobs: AtomicUsize,
}

#[derive(Debug, Default)]
struct Inner {
    peers: HashMap<u64, Arc<Peer>>,
    next_id: u64,
    /// Threads that accept or serve datagrams.
    listeners: usize,
    /// What the kernel has dropped at sockets that are open.
    drops: Vec<Drops>,
    stats: Stats,
    full: Throttle,
    /// Where connections come from, if that is limited.
    addresses: Option<Addresses>,
    crowded: Throttle,
    failing: Throttle,
}

/// How long to wait for threads whose sockets were shut down under them.
const AFTER_CUT: Duration = Duration::from_millis(500);

/// What became of a connection just accepted.
pub(super) enum Admission {
    Serve(Arc<Peer>),
    /// There are as many as may be: it is closed.
    Refused,
}

impl Shared {
    pub(super) fn new(model: Model, config: Config, guard: Guard, handle: Handle) -> io::Result<Self> {
        let (stop_event, stop_writer) = io::pipe()?;
        let inner = Inner { addresses: config.max_per_address.map(Addresses::new), ..Inner::default() };
        Ok(Self {
            model,
            config,
            guard,
            clock: Clock::new(Instant::now()),
            handle,
            stopping: AtomicBool::new(false),
            over: AtomicBool::new(false),
            fatal: Mutex::default(),
            stop_event,
            stop_writer,
            inner: Mutex::new(inner),
            room: Condvar::new(),
            jobs: AtomicUsize::new(0),
        })
    }

    pub(super) fn tick(&self) -> Tick {
        self.clock.at(Instant::now(), std::time::SystemTime::UNIX_EPOCH).tick
    }

    /// Waits for room where newcomers wait. Says whether there is some, and not whether a drain has begun: what is queued
    /// is served all the same.
    pub(super) fn wait_for_room(&self) {
        if self.config.over_limit == OverLimit::Refuse {
            return;
        }
        let mut inner = self.lock();
        while inner.stats.open >= self.config.max_connections as u64 && !self.is_over() {
            self.warn_full(&mut inner);
            inner = self
                .room
                .wait_timeout(inner, Duration::from_secs(1))
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }

    /// Counts a new connection, and lets it in if there is room.
    pub(super) fn admit(&self, socket: Socket, address: &Address, is_unix: bool) -> Admission {
        let mut inner = self.lock();
        inner.stats.accepted += 1;
        if inner.stats.open >= self.config.max_connections as u64 {
            inner.stats.closed[CloseReason::OverLimit.kind()] += 1;
            self.warn_full(&mut inner);
            return Admission::Refused;
        }
        if inner.addresses.as_ref().is_some_and(|all| !all.has_room(address)) {
            inner.stats.closed[CloseReason::OverAddressLimit.kind()] += 1;
            self.warn_crowded(&mut inner, address);
            return Admission::Refused;
        }
        inner.stats.open += 1;
        inner.stats.peak = inner.stats.peak.max(inner.stats.open);
        if self.is_over() {
            // Too late: it is closed with the rest.
            inner.stats.open -= 1;
            inner.stats.closed[CloseReason::Stopped.kind()] += 1;
            return Admission::Refused;
        }
        let id = inner.next_id;
        inner.next_id += 1;
        if let Some(addresses) = &mut inner.addresses {
            addresses.enter(id, address);
        }
        let peer = Arc::new(Peer::new(id, socket, is_unix));
        inner.peers.insert(id, peer.clone());
        if self.is_stopping() {
            peer.stop();
        }
        Admission::Serve(peer)
    }

    /// A connection has ended.
    pub(super) fn release(&self, peer: &Peer, reason: &CloseReason) {
        let mut inner = self.lock();
        inner.peers.remove(&peer.id);
        if let Some(addresses) = &mut inner.addresses {
            addresses.leave(peer.id);
        }
        inner.stats.open -= 1;
        inner.stats.closed[reason.kind()] += 1;
        peer.add_to(&mut inner.stats.traffic);
        drop(inner);
        self.notify_room();
        if self.is_stopping() {
            self.handle.wake();
        }
    }

    /// A thread that accepts or serves datagrams begins, or ends.
    pub(super) fn count_listener(&self, by: isize) {
        let mut inner = self.lock();
        inner.listeners = inner.listeners.saturating_add_signed(by);
        drop(inner);
        self.notify_room();
        self.handle.wake();
    }

    /// Whether one child more may be started; it counts from now on.
    pub(super) fn begin_job(&self) -> bool {
        let max = self.config.max_jobs;
        self.jobs
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |jobs| (jobs < max).then_some(jobs + 1))
            .is_ok()
    }

    /// A child has ended, or was not started after all.
    pub(super) fn end_job(&self) {
        self.jobs.fetch_sub(1, Ordering::AcqRel);
    }

    /// Adds what a thread has counted of datagrams since it last said so.
    pub(super) fn add_datagrams(&self, (datagrams, traffic): (DatagramTraffic, Traffic)) {
        let stats = &mut self.lock().stats;
        stats.datagrams += datagrams;
        stats.traffic.bytes_in += traffic.bytes_in;
        stats.traffic.bytes_out += traffic.bytes_out;
    }

    /// From now on the statistics count what the kernel drops at this socket.
    pub(super) fn watch_drops(&self, drops: Drops) {
        self.lock().drops.push(drops);
    }

    /// The socket is about to be closed: what was dropped there is counted for good.
    pub(super) fn keep_drops(&self, drops: Drops) {
        let mut inner = self.lock();
        inner.drops.retain(|other| *other != drops);
        inner.stats.kernel_drops += drops.read().unwrap_or(0);
    }

    /// Waits, for a moment at most, until those who were cut off have ended.
    pub(super) fn wait_for_ends(&self) {
        let inner = self.lock();
        let anybody = |inner: &mut Inner| !inner.peers.is_empty() || inner.listeners > 0;
        let _ = self.room.wait_timeout_while(inner, AFTER_CUT, anybody);
    }

    pub(super) fn count(&self, count: impl FnOnce(&mut Stats)) {
        count(&mut self.lock().stats);
    }

    /// Warns at most once a second; `write` is given how many warnings were left out.
    pub(super) fn warn(&self, write: impl FnOnce(u64)) {
        let now = self.tick();
        let permitted = self.lock().failing.permit(now);
        if let Some(suppressed) = permitted {
            write(suppressed);
        }
    }

    fn warn_crowded(&self, inner: &mut Inner, peer: &Address) {
        let max = self.config.max_per_address.unwrap_or_default();
        if let Some(suppressed) = inner.crowded.permit(self.tick()) {
            log::warn!(
                "connection limit of an address reached peer={peer} max={max} effect=\"newcomers are closed\" \
                 suppressed={suppressed}"
            );
        }
    }

    fn warn_full(&self, inner: &mut Inner) {
        let (open, max) = (inner.stats.open, self.config.max_connections);
        if let Some(suppressed) = inner.full.permit(self.tick()) {
            let effect = self.config.over_limit.effect();
            log::warn!(
                "connection limit reached open={open} max={max} effect=\"{effect}\" suppressed={suppressed}"
            );
        }
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    /// Whether nobody is served any more, finished or not.
    pub(super) fn is_over(&self) -> bool {
        self.over.load(Ordering::Acquire)
    }

    /// The server cannot go on.
    pub(super) fn fail(&self, error: Error) {
        *self.fatal.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
        self.handle.wake();
    }

    /// Why the server cannot go on, once.
    pub(super) fn take_failure(&self) -> Option<Error> {
        self.fatal.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn notify_room(&self) {
        if self.is_over() {
            self.room.notify_all();
        } else {
            self.room.notify_one();
        }
    }

    /// Begins a drain: everybody is told.
    pub(super) fn stop(&self) {
        let inner = self.lock();
        // Under the lock: whoever is admitted later sees it.
        self.stopping.store(true, Ordering::Release);
        let _ = (&self.stop_writer).write(&[1]);
        for peer in inner.peers.values() {
            peer.stop();
        }
    }

    /// Wakes the threads whose connections have been idle for too long.
    pub(super) fn wake_idle(&self, limit: Span) {
        let now = self.tick();
        for peer in self.lock().peers.values() {
            peer.wake_if_idle(now, limit);
        }
    }

    /// Cuts everybody off and says how many that were.
    pub(super) fn cut_off(&self) -> usize {
        let inner = self.lock();
        self.over.store(true, Ordering::Release);
        for peer in inner.peers.values() {
            peer.cut();
        }
        self.room.notify_all();
        inner.peers.len()
    }

    /// Whether nobody is served any more and nothing is listened to.
    pub(super) fn is_done(&self) -> bool {
        let inner = self.lock();
        inner.peers.is_empty() && inner.listeners == 0
    }

    /// What was counted, those who are being served included.
    pub(super) fn stats(&self) -> Stats {
        let inner = self.lock();
        let mut stats = inner.stats.clone();
        for peer in inner.peers.values() {
            peer.add_to(&mut stats.traffic);
        }
        stats.kernel_drops += inner.drops.iter().filter_map(Drops::read).sum::<u64>();
        stats
    }

    /// A thread that panicked has not left half a change behind: every change here is one statement.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
