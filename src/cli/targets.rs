//! Names of targets become addresses before any clock starts.

use std::io;
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

use super::exit::{Exit, Failure};
use crate::address::Address;
use crate::load::Sources;
use crate::os::resolve::{Target, resolve};

/// Addresses of `--source` that are tried before a run.
const TRIED: usize = 64;

/// Whose targets they are, and what is known about connecting.
pub(super) struct Lookup {
    /// The command, for its help.
    pub(super) command: &'static str,
    /// How long a lookup, and a try to connect, may take.
    pub(super) limit: Duration,
    pub(super) sources: Option<Sources>,
}

impl Lookup {
    /// One address for each target, in their order.
    ///
    /// # Errors
    /// A name has no address, or none of the family of `--source`; an address of `--source` is somebody else's.
    pub(super) fn addresses(&self, targets: &[Target]) -> Result<Vec<Address>, Failure> {
        self.check_sources()?;
        targets.iter().map(|target| self.address(target)).collect()
    }

    /// That no port is left and that an address is somebody else's are one error of connect(2): told apart here.
    fn check_sources(&self) -> Result<(), Failure> {
        let Some(sources) = self.sources else { return Ok(()) };
        let is_ours = |addr| match UdpSocket::bind((addr, 0)) {
            Err(error) => error.kind() != io::ErrorKind::AddrNotAvailable,
            Ok(_) => true,
        };
        let tried = usize::try_from(sources.count).unwrap_or(usize::MAX).min(TRIED);
        match (0..tried).map(|number| sources.of(number)).find(|addr| !is_ours(*addr)) {
            None => Ok(()),
            Some(addr) => Err(Failure {
                exit: Exit::CouldNotRun,
                message: format!(
                    "cannot connect from {addr}, which '--source' names: it is no address of this machine; add it to \
                     an interface, or name one of those that 'ip address' shows"
                ),
            }),
        }
    }

    fn address(&self, target: &Target) -> Result<Address, Failure> {
        let could_not = |message| Failure { exit: Exit::CouldNotRun, message };
        let mut found =
            resolve(target, self.limit).map_err(|error| could_not(format!("{target}: {error}")))?;
        if let Some(sources) = self.sources {
            let fits = |addr: SocketAddr| addr.is_ipv4() == sources.first.is_ipv4();
            found.retain(|address| address.socket_addr().is_none_or(fits));
            if found.is_empty() {
                return Err(Failure::usage_of(self.command)(format!(
                    "'{target}' has no address of the family of '--source {}'; give addresses of the other family",
                    sources.first
                )));
            }
        }
        // `localhost` is ::1 first on many machines, and many a server is not: who answers is asked once.
        let taken = found.iter().position(|address| found.len() == 1 || self.takes_connections(address));
        Ok(found.swap_remove(taken.unwrap_or(0)))
    }

    /// Whether the address of a stream takes a connection. A datagram's nobody can tell: the first is as good as any.
    fn takes_connections(&self, address: &Address) -> bool {
        match address {
            Address::Tcp(addr) => TcpStream::connect_timeout(addr, self.limit).is_ok(),
            _ => true,
        }
    }
}
