//! A reactor on the operating system: what only makes sense there.

use std::net::SocketAddr;

use super::mio_kernel::local_address;
use super::{Config, Handle, MioKernel, Reactor};
use crate::error::Error;
use crate::os::sockets::{ListenOptions, listen_tcp};
use crate::session::Factory;

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
        self.listen_with(addr, &ListenOptions::default(), make)
    }

    /// [`listen`](Self::listen) with options of its own.
    ///
    /// # Errors
    /// [`Error::Bind`].
    pub fn listen_with(
        &mut self,
        addr: SocketAddr,
        options: &ListenOptions,
        make: Factory,
    ) -> Result<SocketAddr, Error> {
        let listener = mio::net::TcpListener::from_std(listen_tcp(addr, options)?);
        let local = local_address(&listener, addr);
        self.add_listener(listener, crate::address::Address::Tcp(local), make)?;
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
