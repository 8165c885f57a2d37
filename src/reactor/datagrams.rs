//! Datagram sockets on the same poll as everything else.

use std::io;

use super::{Entry, Reactor, Slot, planted};
use crate::address::{Address, Endpoint};
use crate::connection::Progress;
use crate::error::Error;
use crate::kernel::{DatagramSocket, Kernel, Planted, Readiness, RecvBatch, Token};
use crate::port::Port;
use crate::session::{DatagramFactory, DatagramHandler, Datagrams, Guard, Peer};

/// What all datagram sockets of one reactor share. The room to receive into exists once there is one.
#[derive(Debug, Default)]
pub(super) struct Shared {
    batch: Option<Box<RecvBatch>>,
    guard: Guard,
    ports: Vec<Token>,
    /// Where those are bound that anybody may send to.
    bound: Vec<(Token, Address)>,
    /// Drops of sockets that are closed.
    drops: u64,
}

impl Shared {
    pub(super) fn new(any_source_port: bool) -> Self {
        Self { guard: Guard { any_source_port, own_ports: Vec::new() }, ..Self::default() }
    }
}

impl<K: Kernel> Reactor<K> {
    /// Adds a datagram socket of this kernel, bound to `local`; `make` is called once.
    ///
    /// # Errors
    /// [`Error::Bind`] when it cannot be registered with the poll.
    pub fn add_port(
        &mut self,
        socket: K::Datagrams,
        local: impl Into<Endpoint>,
        make: &DatagramFactory,
    ) -> Result<Token, Error> {
        let local = local.into();
        let address = local.address();
        let handler = make(&Peer { address: Address::Unknown, local: address.clone() });
        let bind = |source| Error::Bind { address: address.to_string(), source };
        let token = self.add_client_port(socket, handler).map_err(bind)?;
        self.shared.guard.own_ports.extend(local.socket_addr().map(|local| local.port()));
        self.shared.bound.push((token, address));
        Ok(token)
    }

    /// Adds a datagram socket of this kernel that talks to one peer, to be woken with [`wake`](Self::wake).
    ///
    /// # Errors
    /// epoll_ctl(2).
    pub fn add_client_port(
        &mut self,
        mut socket: K::Datagrams,
        handler: Box<dyn DatagramHandler>,
    ) -> io::Result<Token> {
        let token = self.slots.next_token();
        self.kernel.register_datagrams(&mut socket, token)?;
        let port = Port::new(socket, Datagrams::new(handler));
        self.slots.insert(Entry::new(Slot::Port(Box::new(port))));
        self.shared.batch.get_or_insert_default();
        self.shared.ports.push(token);
        Ok(token)
    }

    /// The room to receive into, which a simulation keeps from one reactor to the next.
    pub(crate) const fn batch_mut(&mut self) -> &mut Option<Box<RecvBatch>> {
        &mut self.shared.batch
    }

    /// Datagrams the kernel has dropped because they were not taken in time.
    pub(super) fn kernel_drops(&self) -> u64 {
        let open = self.shared.ports.iter().filter_map(|token| self.port(*token)?.socket().kernel_drops());
        self.shared.drops + open.sum::<u64>()
    }

    /// The address of a port that panicked, for an error.
    pub(super) fn address_of_port(&self, token: Token) -> Address {
        let bound = self.shared.bound.iter().find(|(other, _)| *other == token);
        bound.map_or(Address::Unknown, |(_, local)| local.clone())
    }

    fn port(&self, token: Token) -> Option<&Port<K::Datagrams>> {
        match &self.slots.get(token)?.slot {
            Slot::Port(port) => Some(port),
            _ => None,
        }
    }

    pub(super) fn serve_port(&mut self, token: Token, ready: Readiness, due: bool) {
        self.with_port(token, |port, shared, pass| {
            let Some(batch) = &mut shared.batch else { return Progress::Blocked };
            port.note(ready);
            if due {
                port.handle_timeout(batch, &shared.guard, pass)
            } else {
                port.drive(batch, &shared.guard, pass)
            }
        });
    }

    pub(super) fn wake_port(&mut self, token: Token) {
        self.with_port(token, |port, shared, pass| match &mut shared.batch {
            Some(batch) => port.handle_wake(batch, &shared.guard, pass),
            None => Progress::Blocked,
        });
    }

    pub(super) fn stop_port(&mut self, token: Token) {
        self.with_port(token, |port, shared, pass| {
            let Some(batch) = &mut shared.batch else { return Progress::Closed };
            port.handle_stop(batch, &shared.guard, pass)
        });
    }

    /// Serves a port, then queues, arms or closes it (invariant I4).
    fn with_port(
        &mut self,
        token: Token,
        serve: impl FnOnce(&mut Port<K::Datagrams>, &mut Shared, &mut crate::session::Pass) -> Progress,
    ) {
        let Some(Entry { slot: Slot::Port(port), .. }) = self.slots.get_mut(token) else { return };
        let progress = serve(port, &mut self.shared, &mut self.pass);
        let deadline = port.poll_timeout(&self.pass);
        match progress {
            Progress::Closed => self.close_port(token),
            Progress::Yielded if !planted::<K>(Planted::PortRequeueLost) => self.requeue(token),
            Progress::Yielded | Progress::Idle | Progress::Blocked => {}
        }
        self.arm(token, deadline);
    }

    /// Counts what is left unanswered, then closes.
    pub(super) fn abort_port(&mut self, token: Token) {
        if let Some(Entry { slot: Slot::Port(port), .. }) = self.slots.get_mut(token) {
            port.give_up(&mut self.pass);
        }
        self.close_port(token);
    }

    pub(super) fn close_port(&mut self, token: Token) {
        let drops = self.port(token).and_then(|port| port.socket().kernel_drops());
        if !planted::<K>(Planted::KernelDropsForgotten) {
            self.shared.drops += drops.unwrap_or(0);
        }
        self.shared.ports.retain(|other| *other != token);
        self.remove(token);
    }
}
