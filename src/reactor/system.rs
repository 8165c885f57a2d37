//! A reactor on the operating system: what only makes sense there.

use std::net::SocketAddr;

use super::{Config, Handle, MioKernel, Reactor};
use crate::address::Address;
use crate::error::Error;
use crate::os::datagrams::{DatagramOptions, DatagramPort, bind_udp};
use crate::os::sockets::{self, ListenOptions};
use crate::session::{DatagramFactory, Factory};

impl Reactor<MioKernel> {
    /// A reactor on the operating system, with default settings.
    ///
    /// # Errors
    /// [`Error::Poll`] when no poll can be made.
    pub fn new() -> Result<Self, Error> {
        Self::with_config(Config::default())
    }

    /// A reactor on the operating system.
    ///
    /// # Errors
    /// [`Error::Poll`] when no poll can be made.
    pub fn with_config(config: Config) -> Result<Self, Error> {
        Ok(Self::with_kernel(MioKernel::new().map_err(Error::Poll)?, config))
    }

    /// Listens on a TCP address and returns the one really bound, port 0 resolved.
    ///
    /// # Errors
    /// [`Error::Bind`] with the address and, where it is known, the remedy.
    pub fn listen(&mut self, addr: SocketAddr, make: Factory) -> Result<SocketAddr, Error> {
        let local = self.listen_with(&Address::Tcp(addr), &ListenOptions::default(), make)?;
        Ok(local.socket_addr().unwrap_or(addr))
    }

    /// Listens on a TCP address or a Unix socket, and returns the address really bound.
    ///
    /// # Errors
    /// [`Error::Bind`].
    pub fn listen_with(
        &mut self,
        address: &Address,
        options: &ListenOptions,
        make: Factory,
    ) -> Result<Address, Error> {
        let (listener, local) = sockets::listen(address, options)?;
        self.add_listener(listener.into(), local.clone(), make)?;
        Ok(local)
    }

    /// Answers datagrams on a UDP address and returns the one really bound, port 0 resolved.
    ///
    /// # Errors
    /// [`Error::Bind`].
    pub fn listen_udp(
        &mut self,
        addr: SocketAddr,
        options: &DatagramOptions,
        make: &DatagramFactory,
    ) -> Result<SocketAddr, Error> {
        let (socket, local) = bind_udp(addr, options)?;
        let port = DatagramPort::new(socket);
        let bind = |source| Error::Bind { address: format!("udp://{local}"), source };
        self.add_port(port.map_err(bind)?, local, make)?;
        Ok(local)
    }

    /// A handle that stops this reactor from another thread.
    #[must_use]
    pub fn handle(&self) -> Handle {
        Handle { orders: self.kernel.orders.clone() }
    }

    /// Lets SIGINT and SIGTERM drain this reactor (a second one ends it at once), and SIGUSR1 log its statistics.
    ///
    /// # Errors
    /// [`Error::Signals`].
    #[cfg(feature = "signals")]
    pub fn watch_signals(&mut self) -> Result<(), Error> {
        self.kernel.watch_signals().map_err(Error::Signals)
    }
}
