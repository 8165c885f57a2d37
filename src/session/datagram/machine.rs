//! The sans-IO state of one datagram socket.

use std::fmt;

use super::held::Held;
use super::outbox::{Datagram, Outbox};
use super::{DatagramContext, DatagramHandler, Guard};
use crate::address::Endpoint;
use crate::session::clock::Tick;
use crate::session::pass::Pass;

/// A handler, the replies the kernel has not taken yet, and those held back.
pub struct Datagrams {
    handler: Box<dyn DatagramHandler>,
    outbox: Outbox,
    held: Held,
    /// Take nothing more while a reply is held back.
    one_at_a_time: bool,
    stop: Stop,
}

/// How far a drain has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stop {
    No,
    /// What is queued in the kernel is still taken.
    Emptying,
    /// The queue was empty once: nothing more is taken.
    Emptied,
}

impl Datagrams {
    /// The state of a new socket.
    #[must_use]
    pub fn new(handler: Box<dyn DatagramHandler>) -> Self {
        Self {
            handler,
            outbox: Outbox::default(),
            held: Held::default(),
            one_at_a_time: false,
            stop: Stop::No,
        }
    }

    /// Like a server that sleeps before it answers: takes nothing more while a reply is held back. To be used with
    /// batches of one.
    #[must_use]
    pub fn one_at_a_time(mut self) -> Self {
        self.one_at_a_time = true;
        self
    }

    /// A datagram arrived.
    #[inline]
    pub fn handle_datagram(&mut self, data: &[u8], from: &Endpoint, guard: &Guard, pass: &mut Pass) {
        pass.traffic_mut().bytes_in += data.len() as u64;
        pass.datagrams_mut().received += 1;
        if !guard.permits(from) {
            pass.datagrams_mut().guarded += 1;
            return;
        }
        let (outbox, held) = (&mut self.outbox, &mut self.held);
        self.handler.on_datagram(data, &mut DatagramContext { pass, outbox, held, from });
    }

    /// The handler of a client is to be woken; it talks to `peer`.
    pub fn handle_wake(&mut self, peer: &Endpoint, pass: &mut Pass) {
        let (outbox, held) = (&mut self.outbox, &mut self.held);
        self.handler.on_wake(&mut DatagramContext { pass, outbox, held, from: peer });
    }

    /// A call on the socket failed.
    pub fn handle_error(&mut self, errno: i32) {
        self.handler.on_error(errno);
    }

    /// Lets the held replies go whose moment has come.
    pub fn handle_timeout(&mut self, pass: &mut Pass) {
        while let Some(reply) = self.held.pop_due(pass.now().instant) {
            let kept = self.outbox.push(&reply.to, &reply.payload, pass.limits().datagrams);
            pass.datagrams_mut().overflow += u64::from(!kept);
        }
    }

    /// The server is draining: once the kernel's queue was empty nothing more is taken.
    pub fn handle_stop(&mut self) {
        if self.stop == Stop::No {
            self.stop = Stop::Emptying;
        }
    }

    /// The kernel's queue is empty.
    pub fn handle_emptied(&mut self) {
        if self.stop == Stop::Emptying {
            self.stop = Stop::Emptied;
        }
    }

    /// When the first held reply is to leave.
    #[must_use]
    pub fn poll_timeout(&self, pass: &Pass) -> Option<Tick> {
        self.held.next().map(|at| pass.now().tick_at(at))
    }

    /// The replies to be sent, in order.
    pub fn poll_output(&self) -> impl ExactSizeIterator<Item = Datagram<'_>> {
        self.outbox.iter()
    }

    /// `count` replies from the front are sent, or given up.
    pub fn consume_output(&mut self, count: usize) {
        self.outbox.consume(count);
    }

    /// Whether another datagram may be taken.
    #[must_use]
    pub fn wants_read(&self) -> bool {
        self.stop != Stop::Emptied && !(self.one_at_a_time && self.is_busy())
    }

    /// Whether there is something to send.
    #[must_use]
    pub fn wants_write(&self) -> bool {
        self.outbox.len() > 0
    }

    /// Whether a drain has come to its end.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.stop == Stop::Emptied && !self.is_busy()
    }

    /// Replies that have not been sent.
    #[must_use]
    pub fn owed(&self) -> usize {
        self.outbox.len() + self.held.len()
    }

    /// Whether a reply is owed.
    fn is_busy(&self) -> bool {
        self.outbox.len() > 0 || !self.held.is_empty()
    }
}

impl fmt::Debug for Datagrams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Datagrams")
            .field("queued", &self.outbox.len())
            .field("held", &!self.held.is_empty())
            .field("stop", &self.stop)
            .finish_non_exhaustive()
    }
}
