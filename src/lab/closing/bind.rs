//! Who may bind where.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use rustix::fs::{Uid, fchown};
use rustix::process::geteuid;
use rustix::thread::CapabilitySet;
use socket2::{Domain, SockAddr, Socket, Type};

use crate::lab::experiment::{Experiment, Page};
use crate::lab::notebook::{Lab, Stop};
use crate::lab::tools::capability::without;
use crate::lab::tools::{net, wait};

pub(super) const PAGE: Page =
    Page { path: "src/lab/closing/bind.rs", text: include_str!("bind.rs"), experiments: &[X09, X10, X12] };

const X09: Experiment = Experiment {
    id: "X09",
    core: true,
    title: "SO_REUSEPORT: several listeners, connections spread by hash",
    claim: "All sockets must set it before bind, and belong to the same user. 64 connections spread over two listeners (each \
        gets some, none is lost) by a hash of the addresses. A socket without it cannot join.",
    why: "Scaling out one reactor per core without a shared queue. The spread is by hash, not by load; and closing one of them \
        resets the connections in its queue.",
    source: "socket(7) SO_REUSEPORT (Linux 3.9)",
    needs: &[],
    run: two_listeners_share_a_port,
    helper: None,
};

fn two_listeners_share_a_port(lab: &mut Lab) -> Result<(), Stop> {
    lab.step("Two listeners with SO_REUSEPORT on one port, and 64 connections");
    let first = sharing(net::anywhere())?;
    let port = net::address(&first)?;
    let second = lab.call("setsockopt(second, SO_REUSEPORT, 1); bind(second, port)", sharing(port))?;
    first.listen(128)?;
    lab.call("listen(second)", second.listen(128))?;
    let clients = (0..64).map(|_| client_of(port)).collect::<io::Result<Vec<_>>>()?;
    let (mut at_first, mut at_second) = (0, 0);
    wait::until("64 connections were not accepted", || {
        at_first += accepted(&first)?;
        at_second += accepted(&second)?;
        Ok(at_first + at_second >= clients.len())
    })?;
    lab.expect("connections accepted by both", at_first + at_second, 64usize);
    let both = at_first > 0 && at_second > 0;
    lab.expect_that("accepted by one, by the other", "each more than 0", (at_first, at_second), both);

    lab.step("Who cannot join");
    let result = lab.call("bind(without SO_REUSEPORT, port)", net::socket()?.bind(&port.into()));
    lab.expect("a third without it", &result, "EADDRINUSE");
    drop((first, second, clients));
    let first = net::listener()?;
    let result = lab.call("bind(with SO_REUSEPORT, port)", sharing(net::address(&first)?));
    lab.expect("one with it, where the first has it not", &result, "EADDRINUSE");
    if geteuid().is_root() {
        a_socket_of_another_user(lab)?;
    }
    Ok(())
}

fn a_socket_of_another_user(lab: &mut Lab) -> Result<(), Stop> {
    const NOBODY: u32 = 65534;
    lab.step("A socket that belongs to another user");
    let first = sharing(net::anywhere())?;
    let foreign = net::socket()?;
    foreign.set_reuse_port(true)?;
    lab.call("fchown(third, nobody)", fchown(&foreign, Some(Uid::from_raw(NOBODY)), None))?;
    let result = lab.call("bind(third, port)", foreign.bind(&first.local_addr()?));
    lab.expect("one of another user", &result, "EADDRINUSE");
    Ok(())
}

fn sharing(at: SocketAddr) -> io::Result<Socket> {
    let socket = net::socket()?;
    socket.set_reuse_port(true)?;
    socket.bind(&at.into())?;
    Ok(socket)
}

fn client_of(at: SocketAddr) -> io::Result<Socket> {
    let client = net::socket()?;
    client.connect(&at.into())?;
    Ok(client)
}

/// How many connections could be accepted at once. They are closed.
fn accepted(listener: &Socket) -> io::Result<usize> {
    listener.set_nonblocking(true)?;
    let mut count = 0;
    loop {
        match listener.accept() {
            Ok(_) => count += 1,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(count),
            Err(error) => return Err(error),
        }
    }
}

const X10: Experiment = Experiment {
    id: "X10",
    core: true,
    title: "bind errors and port 0",
    claim: "Port 0 picks a free port (getsockname tells which). A second bind of one socket: EINVAL. The address of another \
        host: EADDRNOTAVAIL. A port below ip_unprivileged_port_start without the privilege: EACCES. An IPv6 address on an IPv4 \
        socket: EAFNOSUPPORT; an IPv4 address on an IPv6 socket: EINVAL, because it is too short.",
    why: "Tests should bind port 0 and ask local_addr(); an error text should name the address and the kind of error.",
    source: "bind(2); ip(7) ip_unprivileged_port_start, ip_local_port_range; capabilities(7) CAP_NET_BIND_SERVICE",
    needs: &[],
    run: what_bind_refuses,
    helper: None,
};

fn what_bind_refuses(lab: &mut Lab) -> Result<(), Stop> {
    lab.step("Port 0, and a second bind of the same socket");
    let socket = net::socket()?;
    lab.call("bind(s, 127.0.0.1:0)", socket.bind(&net::anywhere().into()))?;
    let port = net::address(&socket)?.port();
    lab.expect("getsockname says port 0", port == 0, false);
    lab.number("the port", port, "net.ipv4.ip_local_port_range");
    let result = lab.call("bind(s, 127.0.0.1:0)", socket.bind(&net::anywhere().into()));
    lab.expect("a second bind of one socket", &result, "EINVAL");

    lab.step("An address that no interface here has: 192.0.2.1, of the documentation's network");
    let elsewhere: SocketAddr = (Ipv4Addr::new(192, 0, 2, 1), 0).into();
    let result = lab.call("bind(s, 192.0.2.1:0)", net::socket()?.bind(&elsewhere.into()));
    lab.expect("the address of another host", &result, "EADDRNOTAVAIL");

    lab.step("An address of the other family");
    let loopback6: SocketAddr = (Ipv6Addr::LOCALHOST, 0).into();
    let result = lab.call("bind(s, [::1]:0)", net::socket()?.bind(&loopback6.into()));
    lab.expect("an IPv6 address on an IPv4 socket", &result, "EAFNOSUPPORT");
    match Socket::new(Domain::IPV6, Type::STREAM, None) {
        Ok(socket) => {
            let result = lab.call("bind(s6, 127.0.0.1:0)", socket.bind(&net::anywhere().into()));
            lab.expect("an IPv4 address on an IPv6 socket", &result, "EINVAL");
        }
        Err(error) => lab.number("an IPv6 socket", &error, "whether the kernel has IPv6"),
    }
    a_port_for_the_privileged(lab)
}

fn a_port_for_the_privileged(lab: &mut Lab) -> Result<(), Stop> {
    lab.step("A port for the privileged, without CAP_NET_BIND_SERVICE");
    let start = std::fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start")?;
    lab.number("the first port for all", start.trim(), "net.ipv4.ip_unprivileged_port_start");
    let start: u16 = start.trim().parse().map_err(io::Error::other)?;
    let Some(port) = start.checked_sub(1).filter(|port| *port > 0) else { return Ok(()) };
    let socket = net::socket()?;
    let at = SockAddr::from(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    let result = without(CapabilitySet::NET_BIND_SERVICE, || socket.bind(&at))?;
    let result = lab.call(format!("bind(s, 127.0.0.1:{port})"), result);
    lab.expect("the last port for the privileged", &result, "EACCES");
    Ok(())
}

const X12: Experiment = Experiment {
    id: "X12",
    core: false,
    title: "The IPv6 wildcard may also own the IPv4 port",
    claim: "A socket bound to [::]:p with IPV6_V6ONLY=0 accepts IPv4 clients as ::ffff:127.0.0.1, and 0.0.0.0:p then fails with \
        EADDRINUSE; with IPV6_V6ONLY=1 the two coexist.",
    why: "Listening on \"::\" alone serves both families on Linux by default; binding both fails unless V6ONLY is set \
        (socket2's set_only_v6).",
    source: "ipv6(7) IPV6_V6ONLY, bindv6only",
    needs: &[],
    run: one_wildcard_for_both_families,
    helper: None,
};

fn one_wildcard_for_both_families(lab: &mut Lab) -> Result<(), Stop> {
    let new = Socket::new(Domain::IPV6, Type::STREAM, None);
    let Ok(new) = new else { return Err(Stop::skip("needs IPv6")) };
    lab.number("IPV6_V6ONLY of a new socket", new.only_v6()?, "net.ipv6.bindv6only");

    lab.step("IPV6_V6ONLY off: one listener for both");
    let both = listener6(false).map_err(|error| Stop::skip(format!("needs IPv6: {error}")))?;
    let port = net::address(&both)?.port();
    let client = net::socket()?;
    lab.call("connect(c, 127.0.0.1:port)", client.connect(&at(Ipv4Addr::LOCALHOST, port)))?;
    wait::readable(&both)?;
    let (_server, peer) = both.accept()?;
    let peer = peer.as_socket().map(|peer| peer.ip().to_string());
    lab.expect("the client's address, as accept gives it", peer, "::ffff:127.0.0.1");
    let result = lab.call("bind(s4, 0.0.0.0:port)", net::socket()?.bind(&at(Ipv4Addr::UNSPECIFIED, port)));
    lab.expect("the IPv4 wildcard beside it", &result, "EADDRINUSE");

    lab.step("IPV6_V6ONLY on: two listeners side by side");
    let only = listener6(true)?;
    let port = net::address(&only)?.port();
    let beside = net::socket()?;
    let result = lab.call("bind(s4, 0.0.0.0:port)", beside.bind(&at(Ipv4Addr::UNSPECIFIED, port)));
    lab.expect("the IPv4 wildcard beside it", &result, "ok");
    let result = lab.call("listen(s4)", beside.listen(8));
    lab.expect("it listens", &result, "ok");
    net::socket()?.connect(&at(Ipv4Addr::LOCALHOST, port))?;
    wait::readable(&beside)?;
    lab.expect("an IPv4 client does not come to [::]", wait::stays_unreadable(&only)?, true);
    Ok(())
}

/// A listener on the IPv6 wildcard and a free port.
fn listener6(only: bool) -> io::Result<Socket> {
    let socket = Socket::new(Domain::IPV6, Type::STREAM, None)?;
    socket.set_only_v6(only)?;
    socket.bind(&SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)).into())?;
    socket.listen(8)?;
    Ok(socket)
}

fn at(ip: Ipv4Addr, port: u16) -> SockAddr {
    SocketAddr::from((ip, port)).into()
}
