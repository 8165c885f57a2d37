//! A datagram socket of the simulated kernel: two bounded queues and an edge for each.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;

use super::super::Bug;
use super::super::kernel::Shared;
use super::super::plan::{MS, NEVER};
use super::super::rng::Rng;
use super::super::world::Source;
use super::{FIRST_OWN_PORT, calls};
use crate::kernel::{DatagramSocket, Planted, Readiness, RecvBatch, Token};
use crate::session::Datagram;

/// How often a turn may serve a socket without an event: for its deadline, and out of the queue.
const SERVED: u32 = 2;

/// Where the server's datagram socket is.
pub(in super::super) fn own_address(at: usize) -> SocketAddr {
    let port = FIRST_OWN_PORT + u16::try_from(at).expect("few sockets");
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

/// What the kernel has of one socket.
#[derive(Debug, Default)]
pub(in super::super) struct Socket {
    pub(in super::super) open: bool,
    pub(in super::super) registered: bool,
    /// Its handler is a service for each datagram.
    pub(in super::super) each: bool,
    pub(in super::super) token: Option<Token>,
    /// An edge is not reported yet.
    pub(in super::super) pending: bool,
    /// Numbers of the datagrams that wait to be received, at most `room`.
    pub(super) queue: VecDeque<usize>,
    pub(super) room: usize,
    pub(super) drops: u64,
    /// Datagrams that have not left the machine; at most `out_room`.
    pub(super) in_flight: usize,
    pub(super) out_room: usize,
    /// How long one takes to leave at most; 0 for no time.
    leave_gap: u64,
    pub(super) leave_at: u64,
    /// Refused, so that space becomes an edge; and until an event says so.
    pub(super) nospace: bool,
    pub(super) refused: bool,
    /// The last moment at which the server knew of something that kept it from sending.
    pub(super) clear_since: u64,
    /// The last call on it.
    pub(super) touched_at: u64,
    /// Out of buffers: not to be touched before this.
    pub(super) rests_until: u64,
    /// An error about an earlier reply, which the next call reports.
    pub(super) errno: i32,
    /// How many events have said so that no refusal has taken back (invariant I5).
    pub(super) may_read: u32,
    pub(super) may_write: u32,
    /// A drain has asked without an event.
    pub(super) asked: bool,
    /// How often it may be served in this turn at most, and the datagrams received in it.
    pub(super) served: u32,
    pub(super) taken: u32,
    /// Replies that are not sent or refused for good, and the most there ever were.
    pub(super) unsettled: u64,
    pub(super) peak: u64,
    /// The last reply that was not held back: its datagram's number, and which one it was.
    pub(super) last: (usize, u8),
}

impl Socket {
    /// Begins anew, with the memory of the last run.
    pub(super) fn begin(&mut self, rng: &mut Rng) {
        let mut queue = std::mem::take(&mut self.queue);
        queue.clear();
        let tiny = rng.is_counted();
        *self = Self {
            each: rng.coin(),
            queue,
            room: if tiny { rng.pick(&[8, 1]) } else { rng.pick(&[2, 8, 64, 64]) },
            out_room: rng.between(1, if tiny { 2 } else { 8 }),
            leave_gap: if tiny { rng.pick(&[0, MS / 8]) } else { rng.pick(&[0, MS / 8, 5 * MS]) },
            leave_at: NEVER,
            may_write: 1,
            served: SERVED,
            ..Self::default()
        };
    }

    /// What epoll would report now (udp_poll in the Linux source).
    pub(in super::super) fn level(&self) -> Readiness {
        let readable = !self.queue.is_empty() || self.errno != 0;
        Readiness::new(readable, self.has_space())
    }

    /// An event with this readiness was reported.
    pub(in super::super) fn note_event(&mut self, ready: Readiness, now: u64) {
        self.served += 1;
        self.may_read += u32::from(ready.has(Readiness::READABLE));
        if ready.has(Readiness::WRITABLE) {
            self.may_write += 1;
            if std::mem::take(&mut self.refused) {
                self.clear_since = self.clear_since.max(now);
            }
        }
    }

    /// All events so far were noted; several say no more than one.
    pub(in super::super) fn settle_events(&mut self) {
        self.may_read = self.may_read.min(1);
        self.may_write = self.may_write.min(1);
        (self.served, self.taken) = (SERVED, 0);
    }

    /// Half of the buffer is free, as Linux has it (sock_writeable).
    fn has_space(&self) -> bool {
        2 * self.in_flight <= self.out_room
    }

    pub(super) const fn space(&self) -> usize {
        self.out_room - self.in_flight
    }

    /// One datagram was sent.
    pub(super) fn note_sent(&mut self, now: u64, rng: &mut Rng) {
        if self.leave_gap > 0 {
            self.in_flight += 1;
            if self.leave_at == NEVER {
                self.leave_at = now + 1 + rng.nanos_below(self.leave_gap);
            }
        }
    }

    /// One datagram leaves the machine if it is time. Returns whether that makes an edge.
    pub(super) fn leave(&mut self, now: u64, rng: &mut Rng) -> bool {
        if self.leave_at > now {
            return false;
        }
        self.in_flight -= 1;
        let more = self.in_flight > 0;
        self.leave_at = if more { now + 1 + rng.nanos_below(self.leave_gap) } else { NEVER };
        let space = self.nospace && self.has_space();
        self.nospace &= !space;
        space
    }
}

/// A datagram socket of the simulated kernel, as the reactor holds it.
pub(in super::super) struct SimDatagrams<B> {
    world: Shared,
    pub(in super::super) at: usize,
    bug: PhantomData<B>,
}

impl<B> SimDatagrams<B> {
    /// Opens the run's socket `at`, which takes a descriptor.
    pub(in super::super) fn open(world: &Shared, at: usize) -> Self {
        let mut opened = world.borrow_mut();
        opened.descriptors += 1;
        opened.mail.sockets[at].open = true;
        Self { world: Rc::clone(world), at, bug: PhantomData }
    }
}

impl<B: Bug> DatagramSocket for SimDatagrams<B> {
    const PLANTED: Planted = B::PLANTED;

    fn recv_batch(&mut self, batch: &mut RecvBatch) -> io::Result<bool> {
        calls::recv(&mut self.world.borrow_mut(), self.at, batch)
    }

    fn send_batch<'a>(&mut self, batch: impl ExactSizeIterator<Item = Datagram<'a>>) -> io::Result<usize> {
        calls::send(&mut self.world.borrow_mut(), self.at, batch)
    }

    fn kernel_drops(&self) -> Option<u64> {
        Some(self.world.borrow().mail.sockets[self.at].drops)
    }
}

impl<B> Drop for SimDatagrams<B> {
    fn drop(&mut self) {
        // Unreachable only while a panic unwinds through the world itself; the run has failed then anyway.
        let Ok(mut world) = self.world.try_borrow_mut() else { return };
        calls::close(&mut world, self.at);
        let token = world.mail.sockets[self.at].token.take();
        world.forget(Source::Socket(self.at), token);
    }
}

impl<B> fmt::Debug for SimDatagrams<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimDatagrams").field("at", &self.at).finish_non_exhaustive()
    }
}
