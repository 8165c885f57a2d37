//! Waking a protocol from outside: for a driver that knows when something is to be done.

use super::{Entry, Reactor, Slot};
use crate::kernel::{Kernel, Token};

impl<K: Kernel> Reactor<K> {
    /// Calls the [`on_wake`](crate::session::Protocol::on_wake) of this connection, or datagram socket, at once and sends what it
    /// says. Nothing happens when it is gone, or not connected yet. The time it sees is that of the last
    /// [`turn`](Self::turn), or of [`refresh`](Self::refresh).
    pub fn wake(&mut self, token: Token) {
        let Some(Entry { slot, .. }) = self.slots.get_mut(token) else { return };
        match slot {
            Slot::Peer(connection) => {
                let progress = connection.handle_wake(self.scratch.bytes(), &mut self.pass);
                self.after_drive(token, progress, false);
            }
            Slot::Port(_) => self.wake_port(token),
            Slot::Connecting(_) | Slot::Listener(_) | Slot::Job(_) => {}
        }
    }

    /// Ends a connection, made or in the making, as its protocol's [`close`](crate::session::Context::close) would.
    pub fn close_now(&mut self, token: Token) {
        match self.slots.get_mut(token) {
            Some(Entry { slot: Slot::Peer(_), .. }) => {
                self.close(token, Some(crate::session::CloseReason::Closed))
            }
            Some(Entry { slot: Slot::Connecting(_), .. }) => {
                self.not_connected(token, crate::session::CloseReason::Closed);
            }
            Some(Entry { slot: Slot::Port(_), .. }) => self.abort_port(token),
            _ => {}
        }
    }

    /// Reads the clock for what is done between two turns.
    pub fn refresh(&mut self) {
        self.read_clock();
    }
}
