//! Outgoing connections: begun without waiting, decided by an event or the connect timeout.

use std::fmt;

use super::{Entry, Reactor, Slot};
use crate::address::Address;
use crate::connection::Connection;
use crate::kernel::{Kernel, Readiness, Token};
use crate::session::{CloseReason, ConnectError, Protocol, Tick};

/// A connection in the making.
pub(super) struct Connecting<K: Kernel> {
    /// The socket and the protocol, until they become a connection.
    parts: Option<(K::Stream, Box<dyn Protocol>)>,
    until: Tick,
    /// What events have said; the connection starts with it, for no event repeats it.
    ready: Readiness,
}

impl<K: Kernel> Connecting<K> {
    pub(super) fn note(&mut self, ready: Readiness) {
        self.ready = self.ready.and(ready);
    }
}

impl<K: Kernel> fmt::Debug for Connecting<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connecting").field("ready", &self.ready).finish_non_exhaustive()
    }
}

fn typed(error: std::io::Error) -> ConnectError {
    ConnectError::from_errno(error.raw_os_error().unwrap_or(0))
}

impl<K: Kernel> Reactor<K> {
    /// Begins to connect to `to`. When the connection is made `protocol` is opened; when it is not, its
    /// `on_close` gets [`CloseReason::Connect`] with the kind of failure.
    ///
    /// # Errors
    /// [`ConnectError`] when it is known at once that nothing will come of it: no descriptor, no local port, or
    /// refused by this machine itself. `protocol` is dropped then, uncalled.
    pub fn connect(&mut self, to: &Address, protocol: Box<dyn Protocol>) -> Result<Token, ConnectError> {
        // The owner of the loop may have been busy since the last turn: the limit counts from now.
        self.read_clock();
        let stream = self.kernel.connect(to).map_err(typed)?;
        self.begin_connecting(stream, protocol)
    }

    /// [`connect`](Self::connect), once connecting has been begun elsewhere, as by [`dial`](crate::os::dial::dial).
    ///
    /// # Errors
    /// [`ConnectError`] when the socket cannot be registered. `protocol` is dropped then, uncalled.
    pub fn add_connecting(
        &mut self,
        stream: K::Stream,
        protocol: Box<dyn Protocol>,
    ) -> Result<Token, ConnectError> {
        self.read_clock();
        self.begin_connecting(stream, protocol)
    }

    fn begin_connecting(
        &mut self,
        mut stream: K::Stream,
        protocol: Box<dyn Protocol>,
    ) -> Result<Token, ConnectError> {
        let token = self.slots.next_token();
        self.kernel.register_stream(&mut stream, token).map_err(typed)?;
        let until = self.pass.now().tick.after(self.config.connect_timeout.into());
        let connecting = Connecting { parts: Some((stream, protocol)), until, ready: Readiness::NONE };
        let slot = Slot::Connecting(Box::new(connecting));
        self.slots.insert(Entry::new(slot));
        self.count_open();
        self.arm(token, Some(until));
        Ok(token)
    }

    pub(super) fn serve_connecting(&mut self, token: Token, due: bool) {
        let Some(Entry { slot: Slot::Connecting(connecting), .. }) = self.slots.get_mut(token) else {
            return;
        };
        let Some((stream, _)) = &connecting.parts else { return };
        match self.kernel.connect_result(stream) {
            Ok(true) => self.connected(token),
            Ok(false) if due && connecting.until.is_due(self.pass.now().tick) => {
                self.not_connected(token, CloseReason::Connect(ConnectError::TimedOut));
            }
            Ok(false) => {
                let until = connecting.until;
                self.arm(token, Some(until));
            }
            Err(error) => {
                let error = ConnectError::from_errno(error.raw_os_error().unwrap_or(0));
                self.not_connected(token, CloseReason::Connect(error));
            }
        }
    }

    /// The same slot and token go on as a connection: it is registered already.
    fn connected(&mut self, token: Token) {
        let Some(entry) = self.slots.get_mut(token) else { return };
        let Slot::Connecting(connecting) = &mut entry.slot else { return };
        let ready = connecting.ready;
        let Some((stream, protocol)) = connecting.parts.take() else { return };
        let mut connection = Connection::new(stream, protocol, &self.pass);
        connection.note(ready);
        let progress = connection.open(&mut self.pass);
        entry.slot = Slot::Peer(connection);
        self.stats.connected += 1;
        self.after_drive(token, progress, true);
        if self.state.is_draining() {
            self.stop_peer(token);
        }
    }

    pub(super) fn not_connected(&mut self, token: Token, reason: CloseReason) {
        let Some(entry) = self.remove(token) else { return };
        if let Slot::Connecting(connecting) = entry.slot
            && let Some((_, mut protocol)) = connecting.parts
        {
            protocol.on_close(&reason, self.pass.now());
            self.count_close(&reason);
            log::debug!("not connected reason=\"{reason}\"");
        }
    }
}
