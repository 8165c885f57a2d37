//! Two datagram sockets on one port, and who binds when nobody has.

use std::io;
use std::net::SocketAddr;

use rustix::net::{SendFlags, sendto};
use socket2::{Domain, Socket, Type};

use crate::lab::experiment::{Experiment, Page};
use crate::lab::notebook::{Lab, Stop};
use crate::lab::tools::{net, take, wait};

pub(super) const PAGE: Page =
    Page { path: "src/lab/datagrams/ports.rs", text: include_str!("ports.rs"), experiments: &[D16, D17] };

const D16: Experiment = Experiment {
    id: "D16",
    core: true,
    title: "Two UDP sockets on one port: REUSEADDR steals, REUSEPORT spreads",
    claim: "Both with SO_REUSEADDR: bind succeeds, and ONE of them gets all unicast datagrams (on Linux the last bound). Both with \
        SO_REUSEPORT: datagrams are spread by a hash of the source; one source always hits the same socket. Neither: EADDRINUSE.",
    why: "SO_REUSEADDR on a UDP server lets a second copy silently take the traffic; unlike in TCP there is no check for a \
        listener.",
    source: "socket(7); UNP 7.5; udp4_lib_lookup2() in net/ipv4/udp.c",
    needs: &[],
    run: two_sockets_on_one_port,
    helper: None,
};

fn two_sockets_on_one_port(lab: &mut Lab) -> Result<(), Stop> {
    lab.step("Neither option");
    let first = bound(net::anywhere(), |_| Ok(()))?;
    let result = lab.call("bind(second, port)", bound(net::address(&first)?, |_| Ok(())));
    lab.expect("the second bind", &result, "EADDRINUSE");

    lab.step("Both with SO_REUSEADDR, and 64 senders");
    let reuse_address = |socket: &Socket| socket.set_reuse_address(true);
    let first = bound(net::anywhere(), reuse_address)?;
    let second = lab.call("bind(second, port)", bound(net::address(&first)?, reuse_address))?;
    let (at_first, at_second) = from_64_senders(&first, &second)?;
    let one_took_all = (at_first, at_second) == (64, 0) || (at_first, at_second) == (0, 64);
    lab.expect_that("at the first, at the second", "all at one of them", (at_first, at_second), one_took_all);
    let winner = if at_second > 0 { "the last bound" } else { "the first bound" };
    lab.number("who takes all", winner, "the order in which the kernel looks them up");

    lab.step("Both with SO_REUSEPORT, and 64 senders");
    let reuse_port = |socket: &Socket| socket.set_reuse_port(true);
    let first = bound(net::anywhere(), reuse_port)?;
    let second = lab.call("bind(second, port)", bound(net::address(&first)?, reuse_port))?;
    let (at_first, at_second) = from_64_senders(&first, &second)?;
    let both = at_first > 0 && at_second > 0;
    lab.expect_that("at the first, at the second", "each more than 0", (at_first, at_second), both);
    lab.expect("at both", at_first + at_second, 64usize);

    lab.step("One sender, and 16 datagrams");
    let sender = net::udp()?;
    let (at_first, at_second) = arrivals(&first, &second, &[&sender; 16])?;
    let one_has_all = at_first.min(at_second) == 0;
    lab.expect_that("at the first, at the second", "all at one of them", (at_first, at_second), one_has_all);
    Ok(())
}

fn bound(at: SocketAddr, option: impl Fn(&Socket) -> io::Result<()>) -> io::Result<Socket> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, None)?;
    option(&socket)?;
    socket.bind(&at.into())?;
    Ok(socket)
}

/// One datagram from each: how many came to either.
fn from_64_senders(first: &Socket, second: &Socket) -> io::Result<(usize, usize)> {
    let senders = (0..64).map(|_| net::udp()).collect::<io::Result<Vec<_>>>()?;
    arrivals(first, second, &senders.iter().collect::<Vec<_>>())
}

/// One datagram per sender to the port that both have: how many came to either, when all have come.
fn arrivals(first: &Socket, second: &Socket, senders: &[&Socket]) -> io::Result<(usize, usize)> {
    let port = net::address(first)?;
    for sender in senders {
        sendto(sender, b"x", SendFlags::empty(), &port)?;
    }
    let (mut at_first, mut at_second) = (0, 0);
    wait::until("not every datagram arrived", || {
        at_first += take::all_datagrams(first)?.len();
        at_second += take::all_datagrams(second)?.len();
        Ok(at_first + at_second >= senders.len())
    })?;
    Ok((at_first, at_second))
}

const D17: Experiment = Experiment {
    id: "D17",
    core: true,
    title: "The first sendto binds; bind afterwards fails EINVAL",
    claim: "An unbound UDP socket has port 0; the first sendto gives it a free port on 0.0.0.0 that stays for the socket's life; \
        bind afterwards fails with EINVAL. connect fixes the source address too.",
    why: "In Rust, UdpSocket::bind is the constructor, so the order cannot be got wrong; with socket2 it can.",
    source: "ip(7); udp(7) \"bound automatically\"",
    needs: &[],
    run: the_first_send_binds,
    helper: None,
};

fn the_first_send_binds(lab: &mut Lab) -> Result<(), Stop> {
    let receiver = net::udp()?;
    let to = net::address(&receiver)?;
    lab.step("A new socket");
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, None)?;
    let unbound = lab.call("getsockname(s)", net::address(&socket))?;
    lab.expect("its address", unbound, "0.0.0.0:0");

    lab.step("sendto, twice");
    lab.call("sendto(s, \"x\", r)", sendto(&socket, b"x", SendFlags::empty(), &to))?;
    let after_one = net::address(&socket)?;
    lab.expect("its IP address", after_one.ip().to_string(), "0.0.0.0");
    lab.expect("its port is still 0", after_one.port() == 0, false);
    lab.number("the port", after_one.port(), "net.ipv4.ip_local_port_range");
    lab.call("sendto(s, \"x\", r)", sendto(&socket, b"x", SendFlags::empty(), &to))?;
    lab.expect("the port is the same after another", net::address(&socket)? == after_one, true);

    lab.step("bind, too late");
    let result = lab.call("bind(s, 127.0.0.1:0)", socket.bind(&net::anywhere().into()));
    lab.expect("bind after sendto", &result, "EINVAL");

    lab.step("connect");
    lab.call("connect(s, r)", socket.connect(&to.into()))?;
    let connected = net::address(&socket)?;
    lab.expect("its IP address is the one it sends from", connected.ip().to_string(), "127.0.0.1");
    lab.expect("the port is the same", connected.port() == after_one.port(), true);
    Ok(())
}
