//! The two ends of a connection by their addresses: what becomes of them when the program has closed them.

use std::io;
use std::net::SocketAddr;

use socket2::Socket;

use super::{net, proc_net, wait};

/// A client's address and its server's.
#[derive(Debug, Clone, Copy)]
pub struct Ends {
    /// Where the client is bound.
    pub client: SocketAddr,
    /// Where the server's end is.
    pub server: SocketAddr,
}

/// The state of the client's end and of the server's, as ss(8) has them with underscores; `gone` where there is none.
pub type States = (&'static str, &'static str);

impl Ends {
    /// Of two sockets that are connected with each other.
    ///
    /// # Errors
    /// Those of getsockname(2).
    pub fn of(client: &Socket, server: &Socket) -> io::Result<Self> {
        Ok(Self { client: net::address(client)?, server: net::address(server)? })
    }

    /// Their states now.
    ///
    /// # Errors
    /// The table cannot be read.
    pub fn states(&self) -> io::Result<States> {
        Ok((proc_net::state(self.client, self.server)?, proc_net::state(self.server, self.client)?))
    }

    /// Waits until they are in these states, because the ACK of a FIN may be late; returns in which they are then, or at the deadline.
    ///
    /// # Errors
    /// The table cannot be read.
    pub fn settle(&self, client: &str, server: &str) -> io::Result<States> {
        let waited = wait::until("other states", || Ok(self.states()? == (client, server)));
        match waited {
            Err(error) if error.kind() != io::ErrorKind::TimedOut => Err(error),
            _ => self.states(),
        }
    }
}
