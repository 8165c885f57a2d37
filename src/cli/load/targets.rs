//! Names become addresses before the clock starts.

use std::net::{SocketAddr, TcpStream};

use super::options::Options;
use crate::address::Address;
use crate::cli::exit::{Exit, Failure};
use crate::os::resolve::{Target, resolve};

/// One address for each target, in their order.
///
/// # Errors
/// A name has no address, or none of the family of `--source`.
pub(super) fn addresses(options: &Options) -> Result<Vec<Address>, Failure> {
    options.targets.iter().map(|target| address(target, options)).collect()
}

fn address(target: &Target, options: &Options) -> Result<Address, Failure> {
    let limit = options.plan.connect_timeout;
    let could_not = |message| Failure { exit: Exit::CouldNotRun, message };
    let mut found = resolve(target, limit).map_err(|error| could_not(format!("{target}: {error}")))?;
    if let Some(sources) = options.plan.sources {
        let fits = |addr: SocketAddr| addr.is_ipv4() == sources.first.is_ipv4();
        found.retain(|address| address.socket_addr().is_none_or(fits));
        if found.is_empty() {
            return Err(Failure::usage_of("load")(format!(
                "'{target}' has no address of the family of '--source {}'; give addresses of the other family",
                sources.first
            )));
        }
    }
    // `localhost` is ::1 first on many machines, and many a server is not: who answers is asked once.
    let taken = found.iter().position(|address| found.len() == 1 || takes_connections(address, options));
    Ok(found.swap_remove(taken.unwrap_or(0)))
}

/// Whether the address of a stream takes a connection. A datagram's nobody can tell: the first is as good as any.
fn takes_connections(address: &Address, options: &Options) -> bool {
    match address {
        Address::Tcp(addr) => TcpStream::connect_timeout(addr, options.plan.connect_timeout).is_ok(),
        _ => true,
    }
}
