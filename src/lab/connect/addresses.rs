//! The four numbers of a connection: when both ends are one, when they are dissolved, and when they run out.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use rustix::net::{RecvFlags, connect_unspec, recv};
use socket2::{Domain, Socket, Type};

use crate::lab::experiment::{Experiment, Need, Page};
use crate::lab::notebook::{Lab, Stop};
use crate::lab::tools::connecting::{closed_port, connect, peer};
use crate::lab::tools::python::Python;
use crate::lab::tools::{drain, net, proc_net, wait};

pub(super) const PAGE: Page = Page {
    path: "src/lab/connect/addresses.rs",
    text: include_str!("addresses.rs"),
    experiments: &[C08, C09, C11],
};

const C08: Experiment = Experiment {
    id: "C08",
    core: true,
    title: "TCP can connect to itself",
    claim: "bind(p) then connect(p) on one socket succeeds with no listener (simultaneous open): getsockname == getpeername, and \
        everything written is read back.",
    why: "A client retrying a dead local port in the ephemeral range can, by chance, connect to itself and even hold the port \
        against the real server. Compare the two addresses after connecting to loopback.",
    source: "RFC 9293 3.5 simultaneous open",
    needs: &[],
    run: a_socket_connects_to_itself,
    helper: None,
};

fn a_socket_connects_to_itself(lab: &mut Lab) -> Result<(), Stop> {
    lab.step("A socket that is bound, and nobody listens there: another one is refused");
    let (itself, address) = closed_port()?;
    let other = net::socket()?;
    let result = lab.call("connect(other, p)", connect(&other, address));
    lab.expect("a connect from anywhere else", result, "ECONNREFUSED");

    lab.step("It connects to its own address");
    let result = lab.call("connect(c, p)", connect(&itself, address));
    lab.expect("a connect to itself", result, "ok");
    lab.expect("getpeername, as getsockname", peer(&itself), net::address(&itself)?);
    lab.expect("the state", proc_net::state(address, address)?, "ESTABLISHED");

    lab.step("What it writes is what it reads");
    lab.call("send(c, \"hello\")", itself.send(b"hello"))?;
    lab.expect("recv(c, 5)", drain::exactly(&itself, 5)?, b"hello");

    lab.step("The real server comes back, and cannot have its port");
    let server = net::socket()?;
    lab.call("setsockopt(server, SO_REUSEADDR, 1)", server.set_reuse_address(true))?;
    let result = lab.call("bind(server, p)", server.bind(&address.into()));
    lab.expect("the server's bind", result, "EADDRINUSE");
    Ok(())
}

const C09: Experiment = Experiment {
    id: "C09",
    core: false,
    title: "connect(AF_UNSPEC) dissolves an association",
    claim: "On a connected UDP socket connect with family AF_UNSPEC removes the peer (getpeername ENOTCONN, any source accepted \
        again), and a port that the kernel had chosen; on TCP it aborts the connection (peer gets RST) and the descriptor can \
        connect again.",
    why: "std, mio and socket2 have no call for it; rustix has connect_unspec. For UDP just use an unconnected socket, or make a \
        new one.",
    source: "connect(2) \"Connectionless sockets may dissolve the association\"; UNP 8.11",
    needs: &[],
    run: an_association_is_dissolved,
    helper: None,
};

fn an_association_is_dissolved(lab: &mut Lab) -> Result<(), Stop> {
    lab.step("A UDP socket that is connected hears its peer and nobody else");
    let (socket, first, second) = (udp_at_a_port()?, net::udp()?, net::udp()?);
    let here = net::address(&socket)?;
    lab.call("connect(u, first)", connect(&socket, net::address(&first)?))?;
    second.send_to(b"second", &here.into())?;
    lab.expect("nothing from the second", wait::stays_unreadable(&socket)?, true);
    first.send_to(b"first", &here.into())?;
    lab.expect("recv(u)", drain::exactly(&socket, 5)?, b"first");

    lab.step("Connected to nobody, it hears everybody again");
    lab.call("connect(u, AF_UNSPEC)", connect_unspec(&socket))?;
    let result = lab.call("getpeername(u)", peer(&socket));
    lab.expect("its peer", result, "ENOTCONN");
    lab.expect("its own address, as before", net::address(&socket)?, here);
    second.send_to(b"second", &here.into())?;
    lab.expect("recv(u)", drain::exactly(&socket, 6)?, b"second");
    connect(&first, here)?;
    lab.call("connect(first, AF_UNSPEC)", connect_unspec(&first))?;
    let port = net::address(&first)?.port();
    lab.number("the port left to a socket that was bound to port 0", port, "the kernel; 0 is none");

    lab.step("On TCP it is an abortion: the peer gets a RST");
    let listener = net::listener()?;
    let (client, server) = net::pair_of(&listener, net::socket()?)?;
    lab.call("connect(c, AF_UNSPEC)", connect_unspec(&client))?;
    wait::readable(&server)?;
    let result =
        lab.call("recv(s, 16)", recv(&server, &mut [0; 16], RecvFlags::empty()).map(|(count, _)| count));
    lab.expect("what the peer reads", result, "ECONNRESET");
    lab.expect("the client's peer", peer(&client), "ENOTCONN");

    lab.step("And the descriptor is as good as new");
    let (client, server) = net::pair_of(&listener, client)?;
    lab.call("send(c, \"x\")", client.send(b"x"))?;
    lab.expect("recv(s)", drain::exactly(&server, 1)?, b"x");
    Ok(())
}

/// One that was bound to this very port: where the kernel chose it, it is given back when the association is dissolved.
fn udp_at_a_port() -> io::Result<Socket> {
    let port = net::address(&net::udp()?)?;
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, None)?;
    socket.bind(&port.into())?;
    Ok(socket)
}

const C11: Experiment = Experiment {
    id: "C11",
    core: true,
    title: "Running out of client ports: EADDRNOTAVAIL, per destination",
    claim: "One source IP can hold only as many connections to one (dst IP, dst port) as there are ephemeral ports; the next \
        connect fails at once with EADDRNOTAVAIL. Another destination IP (127.0.0.2) or source IP works again. Shown with \
        IP_LOCAL_PORT_RANGE narrowed to 2 ports.",
    why: "The first wall a connection-count load test hits (about 28 000 by default), long before server limits. Spread \
        sources/destinations over 127.0.0.x.",
    source: "connect(2) EADDRNOTAVAIL; ip(7) ip_local_port_range; IP_LOCAL_PORT_RANGE (option 51, Linux 6.3), ignored where it is \
        not inside ip_local_port_range",
    needs: &[Need::Python, Need::Linux(6, 3)],
    run: the_ports_run_out,
    helper: None,
};

fn the_ports_run_out(lab: &mut Lab) -> Result<(), Stop> {
    let first = Ipv4Addr::LOCALHOST;
    let second = Ipv4Addr::new(127, 0, 0, 2);
    lab.step("A listener on every address of the loopback, and clients that may use two ports");
    let listener = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    listener.bind(&SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)).into())?;
    listener.listen(16)?;
    let port = net::address(&listener)?.port();
    let (low, high) = two_ports()?;

    lab.step("Two connections to 127.0.0.1, and a third");
    let mut held = Vec::new();
    for (what, from, to, claimed) in [
        ("the first connection", first, first, "ok"),
        ("the second, on the other port", first, first, "ok"),
        ("the third, to the same place", first, first, "EADDRNOTAVAIL"),
        ("to another address, 127.0.0.2", first, second, "ok"),
        ("to the same place from another address, 127.0.0.2", second, first, "ok"),
    ] {
        let client = narrowed(low, high)?;
        if from != first {
            client.bind(&SocketAddr::from((from, 0)).into())?;
        }
        let result = lab.call(format!("connect(c, {to})"), connect(&client, (to, port).into()));
        let is_connected = result.is_ok();
        lab.expect(what, result, claimed);
        if is_connected {
            let used = net::address(&client)?.port();
            lab.expect_that("its port", "one of the two", used, (low..=high).contains(&used));
        }
        held.push(client);
    }
    let (lowest, highest) = port_range()?;
    let ports = format!("{lowest} to {highest}");
    lab.number("ports that a client of this machine may have", ports, "net.ipv4.ip_local_port_range");
    Ok(())
}

/// Two adjacent ports inside of [`port_range`] that nobody uses.
fn two_ports() -> io::Result<(u16, u16)> {
    let (_, highest) = port_range()?;
    for _ in 0..100 {
        let (_bound, low) = closed_port()?;
        let high = SocketAddr::from((Ipv4Addr::LOCALHOST, low.port().saturating_add(1)));
        if high.port() <= highest && net::socket()?.bind(&high.into()).is_ok() {
            return Ok((low.port(), high.port()));
        }
    }
    Err(io::ErrorKind::AddrInUse.into())
}

fn port_range() -> io::Result<(u16, u16)> {
    let text = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range")?;
    let mut ports = text.split_whitespace().map(str::parse);
    match (ports.next(), ports.next()) {
        (Some(Ok(lowest)), Some(Ok(highest))) => Ok((lowest, highest)),
        _ => Err(io::ErrorKind::InvalidData.into()),
    }
}

/// A TCP socket whose port, when the kernel chooses one, is one of these. No safe crate has the option.
fn narrowed(low: u16, high: u16) -> Result<Socket, Stop> {
    let socket = net::socket()?;
    let range = (u32::from(high) << 16) | u32::from(low);
    let call = format!("s.setsockopt(socket.IPPROTO_IP, 51, struct.pack('=I', {range}))");
    let answer = Python::with(&socket)?.ask(&call)?;
    match answer.as_str() {
        "None" => Ok(socket),
        error => Err(Stop::skip(format!("IP_LOCAL_PORT_RANGE cannot be set here: {error}"))),
    }
}
