//! Where to listen: what the arguments name, checked together, then bound in their order.

use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::num::NonZeroI32;

use log::{info, warn};

use super::args::{Model, ServeArgs, ServiceName};
use super::exit::{Exit, Failure};
use super::inherited::Inherited;
use super::named::Listen;
use crate::address::Address;
use crate::codec::Framing;
use crate::error::Error;
use crate::os::datagrams::{
    self, BoundDatagrams, DatagramOptions, UnixgramOptions, bind_udp, bind_unixgram, check_free_udp,
};
use crate::os::multicast::Interface;
use crate::os::sockets::{self, ListenOptions, StreamListener, check_free_tcp};

/// Where `oneloop serve` listens when nothing else is said.
const DEFAULT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 9999);

/// The most processes that share the ports.
const MAX_WORKERS: usize = 256;

/// What is to be bound, and how.
pub(super) struct Plan {
    pub(super) addresses: Vec<Address>,
    pub(super) streams: ListenOptions,
    pub(super) datagrams: DatagramOptions,
    /// Whether the size of the receive buffer was asked for.
    buffer_wanted: bool,
    /// This process is the first of those that share the ports.
    begins_group: bool,
    /// On which interface multicast groups are joined, where that was said.
    interfaces: Vec<(IpAddr, Interface)>,
}

/// A socket that listens.
pub(super) struct Bound {
    pub(super) address: Address,
    pub(super) socket: BoundSocket,
    /// Others have it too, and serve it after us: who waits in its queue is theirs once we end.
    pub(super) is_shared: bool,
}

pub(super) enum BoundSocket {
    Stream(StreamListener),
    Datagrams(BoundDatagrams),
}

impl Plan {
    /// # Errors
    /// Addresses, or options about them, that make no sense with the service, with each other, or at all.
    pub(super) fn from_args(args: &ServeArgs) -> Result<Self, String> {
        let addresses = match &args.listen[..] {
            [] => defaults(args),
            given => given.iter().map(|listen| listen.address.clone()).collect(),
        };
        check_twice(&addresses)?;
        check_options(args, &addresses)?;
        check_workers(args, &addresses)?;
        if has_datagrams(&addresses) {
            check_datagrams(args, &addresses)?;
        }
        let streams = ListenOptions {
            backlog: args.backlog.map_or(ListenOptions::default().backlog, NonZeroI32::get),
            unix_mode: args.unix_mode.unwrap_or(ListenOptions::default().unix_mode),
            keepalive: args.keepalive.and_then(|limit| limit.0),
            user_timeout: args.user_timeout.and_then(|limit| limit.0),
            ..ListenOptions::default()
        };
        let recv_buffer = args.udp_recv_buffer.unwrap_or(DatagramOptions::default().recv_buffer);
        let datagrams = DatagramOptions { recv_buffer, ..DatagramOptions::default() };
        Ok(Self {
            addresses,
            streams,
            datagrams,
            buffer_wanted: args.udp_recv_buffer.is_some(),
            begins_group: false,
            interfaces: args.listen.iter().filter_map(Listen::on_interface).collect(),
        })
    }

    pub(super) fn has_datagrams(&self) -> bool {
        has_datagrams(&self.addresses)
    }

    /// Has the ports shared with other processes: begins their group, or joins it at the addresses where the first one listens.
    pub(super) fn share(&mut self, resolved: Option<Vec<Address>>) {
        (self.streams.reuse_port, self.datagrams.reuse_port) = (true, true);
        match resolved {
            Some(addresses) => self.addresses = addresses,
            None => self.begins_group = true,
        }
    }

    /// Takes what was inherited, and binds everything else, in order.
    ///
    /// # Errors
    /// [`Error::Bind`] with the first address that cannot be had. Those before it are closed again.
    pub(super) fn bind(&self, mut inherited: Inherited) -> Result<Vec<Bound>, Error> {
        let bound = self.addresses.iter().map(|address| {
            let source = |source| Error::Bind { address: address.to_string(), source };
            match inherited.take(address, &self.streams).map_err(source)? {
                Some(bound) => Ok(bound),
                None => self.bind_one(address),
            }
        });
        let bound = bound.collect::<Result<_, _>>()?;
        inherited.drop_rest();
        Ok(bound)
    }

    fn bind_one(&self, address: &Address) -> Result<Bound, Error> {
        let only_v6 = has_ipv4_beside(address, &self.addresses);
        if let Address::Udp(addr) = address {
            let interface = self.interfaces.iter().find(|(group, _)| *group == addr.ip());
            let interface = interface.map(|(_, interface)| interface.clone());
            let options = DatagramOptions { only_v6, interface, ..self.datagrams.clone() };
            if self.begins_group {
                check_free_udp(*addr, &options)?;
            }
            let (socket, local) = bind_udp(*addr, &options)?;
            self.warn_of_small_buffer(&socket);
            let socket = BoundSocket::Datagrams(socket.into());
            return Ok(Bound { address: Address::Udp(local), socket, is_shared: false });
        }
        if let Address::Unixgram(name) = address {
            let options = UnixgramOptions { mode: self.streams.unix_mode, ..UnixgramOptions::default() };
            let socket = BoundSocket::Datagrams(bind_unixgram(name, &options)?);
            return Ok(Bound { address: address.clone(), socket, is_shared: false });
        }
        let options = ListenOptions { only_v6, ..self.streams.clone() };
        if let (Address::Tcp(addr), true) = (address, self.begins_group) {
            check_free_tcp(*addr, &options)?;
        }
        let (listener, address) = sockets::listen(address, &options)?;
        Ok(Bound { address, socket: BoundSocket::Stream(listener), is_shared: false })
    }

    /// The default is as much as there is to be had; a number named by somebody is worth a word.
    fn warn_of_small_buffer(&self, socket: &UdpSocket) {
        let asked = self.datagrams.recv_buffer;
        if let Ok(given) = datagrams::recv_buffer(socket)
            && given < asked
            && self.buffer_wanted
        {
            warn!(
                "the kernel cuts the receive buffer asked={asked} given={given} remedy=\"sysctl net.core.rmem_max\""
            );
        }
    }
}

/// One line per listener on standard output. Nobody reading them is no reason not to serve.
pub(super) fn announce(bound: &[Address]) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    let written = bound.iter().try_for_each(|address| {
        info!("listening address={address}");
        writeln!(out, "listening {address}")
    });
    match written.and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Failure {
            exit: Exit::CouldNotRun,
            message: format!("cannot write to standard output: {error}"),
        }),
        _ => Ok(()),
    }
}

/// What one expects of a server that nothing was said about: TCP, and on the loop UDP on the same poll.
fn defaults(args: &ServeArgs) -> Vec<Address> {
    let mut addresses = vec![Address::Tcp(DEFAULT)];
    if args.model == Model::Loop && has_datagram_form(args.service) {
        addresses.push(Address::Udp(DEFAULT));
    }
    addresses
}

const fn has_datagram_form(service: ServiceName) -> bool {
    use ServiceName::{Ack, Discard, Echo, Exec, Greet, Http, Once, Source};
    match service {
        Echo | Greet | Ack | Discard => true,
        Once | Source | Exec | Http => false,
    }
}

fn has_datagrams(addresses: &[Address]) -> bool {
    addresses.iter().any(|address| address.endpoint().is_some())
}

fn has_udp(addresses: &[Address]) -> bool {
    addresses.iter().any(|address| matches!(address, Address::Udp(_)))
}

/// Whether `address` is `[::]` and another one of its kind is to have IPv4 on its port: then it must not take that too.
fn has_ipv4_beside(address: &Address, all: &[Address]) -> bool {
    let Some(addr) = address.socket_addr() else { return false };
    let all_v6 = addr.is_ipv6() && addr.ip().is_unspecified() && addr.port() != 0;
    let same_kind = |other: &&Address| std::mem::discriminant(*other) == std::mem::discriminant(address);
    let others = all.iter().filter(same_kind).filter_map(Address::socket_addr);
    all_v6 && others.into_iter().any(|other| other.is_ipv4() && other.port() == addr.port())
}

fn check_twice(addresses: &[Address]) -> Result<(), String> {
    for (at, address) in addresses.iter().enumerate() {
        let any_port = address.socket_addr().is_some_and(|addr| addr.port() == 0);
        if !any_port && addresses[..at].contains(address) {
            return Err(format!("'--listen {address}' is given twice; name each address once"));
        }
    }
    Ok(())
}

/// Options about a kind of address that is not there.
fn check_options(args: &ServeArgs, addresses: &[Address]) -> Result<(), String> {
    let has_path = addresses.iter().any(
        |address| matches!(address, Address::Unix(name) | Address::Unixgram(name) if name.path().is_some()),
    );
    let has_stream = addresses.iter().any(|address| address.endpoint().is_none());
    let has_udp = has_udp(addresses);
    let has_tcp = addresses.iter().any(|address| matches!(address, Address::Tcp(_)));
    let tcp = "tcp://127.0.0.1:9999";
    for (option, given, possible, example) in [
        ("--unix-mode", args.unix_mode.is_some(), has_path, "unix:/run/my.sock"),
        ("--max-connections-per-ip", args.max_connections_per_ip.is_some(), has_tcp, tcp),
        ("--keepalive", args.keepalive.is_some(), has_tcp, tcp),
        ("--user-timeout", args.user_timeout.is_some(), has_tcp, tcp),
        ("--udp-recv-buffer", args.udp_recv_buffer.is_some(), has_udp, "udp://127.0.0.1:9999"),
        ("--udp-queue", args.udp_queue.is_some(), has_datagrams(addresses), "udp://127.0.0.1:9999"),
        ("--udp-any-source-port", args.udp_any_source_port, has_udp, "udp://127.0.0.1:9999"),
        ("--allow-amplification", args.allow_amplification, has_udp, "udp://127.0.0.1:9999"),
    ] {
        if given && !possible {
            return Err(format!(
                "'{option}' has nothing to act on; it goes with an address like '--listen {example}'"
            ));
        }
    }
    if !has_stream {
        check_connections(args)?;
    }
    if !has_stream && args.framing != Framing::Raw {
        return Err(format!(
            "'--framing {}' cannot be used with UDP alone: a datagram is a message already; leave the option out",
            args.framing
        ));
    }
    Ok(())
}

/// What several processes cannot share.
fn check_workers(args: &ServeArgs, addresses: &[Address]) -> Result<(), String> {
    let Some(workers) = args.workers.filter(|count| *count > 1) else { return Ok(()) };
    if workers > MAX_WORKERS {
        return Err(format!("'--workers {workers}' is too many: expected at most {MAX_WORKERS}"));
    }
    if let Some(address) =
        addresses.iter().find(|address| matches!(address, Address::Unix(_) | Address::Unixgram(_)))
    {
        return Err(format!(
            "'--listen {address}' cannot be used with '--workers {workers}': the kernel shares ports of TCP and UDP between \
             processes (SO_REUSEPORT), and a Unix socket has none; serve it from a process of its own"
        ));
    }
    let in_group = |address: &&Address| address.socket_addr().is_some_and(|addr| addr.ip().is_multicast());
    if let Some(address) = addresses.iter().find(in_group) {
        return Err(format!(
            "'--listen {address}' cannot be used with '--workers {workers}': the kernel gives what is sent to a group to every \
             socket, and each worker would answer it; leave the option out"
        ));
    }
    if args.print {
        return Err(format!(
            "'--print' cannot be used with '--workers {workers}': lines of several processes would be torn into each other; \
             leave one of them out"
        ));
    }
    Ok(())
}

/// Options about connections, when there are none. A banner is no such: on UDP it is left out, as greet says.
fn check_connections(args: &ServeArgs) -> Result<(), String> {
    for (option, given) in [
        ("--max-connections", args.max_connections.is_some()),
        ("--max-memory", args.max_memory.is_some()),
        ("--high-water", args.high_water.is_some()),
        ("--low-water", args.low_water.is_some()),
        ("--backlog", args.backlog.is_some()),
        ("--idle-timeout", args.idle_timeout.is_some()),
        ("--write-timeout", args.write_timeout.is_some()),
        ("--linger", args.linger.is_some()),
    ] {
        if given {
            return Err(format!(
                "'{option}' is about a connection, and UDP alone has none; leave it out, or listen on tcp:// or unix: too"
            ));
        }
    }
    Ok(())
}

fn check_datagrams(args: &ServeArgs, addresses: &[Address]) -> Result<(), String> {
    let service = args.service;
    if !has_datagram_form(service) {
        return Err(format!(
            "'serve {service}' cannot listen on udp://: it is about a connection, and a datagram has none; listen on \
             tcp:// or unix:"
        ));
    }
    let longer = matches!(service, ServiceName::Greet | ServiceName::Ack);
    let public = addresses
        .iter()
        .find(|address| matches!(address, Address::Udp(addr) if !addr.ip().to_canonical().is_loopback()));
    match public {
        Some(address) if longer && !args.allow_amplification => Err(format!(
            "'serve {service}' on '{address}' answers with more than it was sent, to whoever the sender claims to be: \
             others could use that against third parties; listen on 127.0.0.1 or [::1], or say --allow-amplification"
        )),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_address_of_ipv6_leaves_ipv4_to_a_listener_of_its_own_on_the_same_port() {
        for (listen, expected) in [
            (["tcp://[::]:7", "tcp://0.0.0.0:7"], true),
            (["tcp://[::]:7", "tcp://127.0.0.1:7"], true),
            (["udp://[::]:7", "udp://127.0.0.1:7"], true),
            (["udp://[::]:7", "tcp://127.0.0.1:7"], false),
            (["tcp://[::]:7", "tcp://0.0.0.0:8"], false),
            (["tcp://[::]:0", "tcp://0.0.0.0:0"], false),
            (["tcp://[::1]:7", "tcp://0.0.0.0:7"], false),
            (["tcp://[::]:7", "unix:@a"], false),
        ] {
            let listen = listen.map(|text| text.parse().unwrap());
            assert_eq!(has_ipv4_beside(&listen[0], &listen), expected, "{listen:?}");
            assert!(!has_ipv4_beside(&listen[1], &listen));
        }
    }
}
