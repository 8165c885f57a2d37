//! Making connections: the first ones, and those that take the place of others.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use super::Worker;
use crate::address::Address;
use crate::kernel::Token;
use crate::load::client::{Client, not_connected};
use crate::load::datagram::Sender;
use crate::load::http::HttpClient;
use crate::load::opening::{Begin, untried};
use crate::load::plan::{Close, Protocol as Target};
use crate::load::shared::{Carry, Phase};
use crate::os::datagrams::DatagramPort;
use crate::os::dial::{Dial, dial};
use crate::session::{ConnectError, Protocol};

impl Worker {
    pub(super) fn take_ended(&mut self, now: u64) {
        let ended = std::mem::take(&mut *self.shared.ended.borrow_mut());
        for one in ended {
            self.opening.add(one, now);
        }
    }

    /// Begins the connections whose time has come, and says what time it is then.
    pub(super) fn begin_connections(&mut self) -> u64 {
        let mut now = self.shared.time.now();
        let is_started = self.shared.phase.get() != Phase::Opening;
        while let Some(begin) = self.opening.take(now, self.shared.in_flight.get(), is_started) {
            match begin {
                Begin::First(local) => {
                    let number = local * self.orders.plan.loops + self.orders.number;
                    self.connect(untried(u32::try_from(number).unwrap_or(u32::MAX)).number, Carry::default());
                }
                Begin::Again(ended) => self.connect(ended.number, ended.carry),
            }
            now = self.shared.time.now();
        }
        now
    }

    fn connect(&mut self, number: u32, carry: Carry) {
        let plan = Arc::clone(&self.orders.plan);
        let target = &plan.targets[number as usize % plan.targets.len()];
        let source = plan.sources.map(|sources| sources.of(number as usize));
        let made = match target {
            Address::Udp(peer) => self.open_socket(number, *peer, source),
            _ => self.begin_connection(target, source, number, carry),
        };
        match made {
            Ok(token) => self.tokens[number as usize / plan.loops] = token,
            Err(error) => not_connected(&self.shared, number, carry, error),
        }
    }

    fn begin_connection(
        &mut self,
        target: &Address,
        source: Option<IpAddr>,
        number: u32,
        carry: Carry,
    ) -> Result<Token, ConnectError> {
        let client: Box<dyn Protocol> = match self.orders.plan.exchange.protocol {
            Target::Http { .. } => Box::new(HttpClient::new(&self.shared, number, carry)),
            _ => Box::new(Client::new(&self.shared, number, carry)),
        };
        let wanted = Dial { source, reset_on_close: self.orders.plan.close == Close::Rst };
        let stream = dial(target, &wanted).map_err(|error| typed(&error))?;
        let token = self.reactor.add_connecting(stream, client)?;
        self.shared.in_flight.set(self.shared.in_flight.get() + 1);
        Ok(token)
    }

    fn open_socket(
        &mut self,
        number: u32,
        peer: SocketAddr,
        source: Option<IpAddr>,
    ) -> Result<Token, ConnectError> {
        let socket = DatagramPort::connect(peer, source).map_err(|error| typed(&error))?;
        let handler = Sender::new(&self.shared, number);
        let token = self.reactor.add_client_port(socket, Box::new(handler));
        let token = token.map_err(|error| typed(&error))?;
        self.shared.open.set(self.shared.open.get() + 1);
        self.shared.tally.borrow_mut().connections.opened += 1;
        Ok(token)
    }
}

fn typed(error: &io::Error) -> ConnectError {
    ConnectError::from_errno(error.raw_os_error().unwrap_or(0))
}
