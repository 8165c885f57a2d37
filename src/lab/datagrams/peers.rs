//! Who may send to whom: broadcast, and what connect means for a datagram socket.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use rustix::net::{SendFlags, getpeername, sendto};
use socket2::{Domain, Socket, Type};

use crate::lab::experiment::{Experiment, Page};
use crate::lab::notebook::{Lab, Stop};
use crate::lab::tools::{net, take, wait};

pub(super) const PAGE: Page =
    Page { path: "src/lab/datagrams/peers.rs", text: include_str!("peers.rs"), experiments: &[D14, D15] };

const D14: Experiment = Experiment {
    id: "D14",
    core: true,
    title: "Broadcast needs SO_BROADCAST",
    claim: "sendto a broadcast address fails with EACCES until SO_BROADCAST is set; then a socket bound to the wildcard address \
        receives it, and one bound to 127.0.0.1 does not.",
    why: "EACCES here is not about root. \"<broadcast>\" in Python is 255.255.255.255, which leaves by the default route only.",
    source: "ip(7); socket(7) SO_BROADCAST; UNP 20",
    needs: &[],
    run: broadcast_has_to_be_asked_for,
    helper: None,
};

fn broadcast_has_to_be_asked_for(lab: &mut Lab) -> Result<(), Stop> {
    lab.step(
        "Two receivers on one port, one on all addresses, one on 127.0.0.1; and a broadcast on the loopback",
    );
    let everywhere = reusing((Ipv4Addr::UNSPECIFIED, 0).into())?;
    let port = net::address(&everywhere)?.port();
    let one_address = reusing((Ipv4Addr::LOCALHOST, port).into())?;
    let all: SocketAddr = (Ipv4Addr::new(127, 255, 255, 255), port).into();
    let sender = net::udp()?;
    let to_all = || sendto(&sender, b"all", SendFlags::empty(), &all);
    let result = lab.call("sendto(s, \"all\", 127.255.255.255:port)", to_all());
    lab.expect("without SO_BROADCAST", &result, "EACCES");
    lab.call("setsockopt(s, SO_BROADCAST, 1)", sender.set_broadcast(true))?;
    let result = lab.call("sendto(s, \"all\", 127.255.255.255:port)", to_all());
    lab.expect("with SO_BROADCAST", &result, 3usize);
    wait::readable(&everywhere)?;
    let received = lab.call("recv(r, 16)", take::bytes(&everywhere, 16))?;
    lab.expect("what the one on 0.0.0.0 receives", received, b"all");
    lab.expect("the one on 127.0.0.1 receives nothing", wait::stays_unreadable(&one_address)?, true);

    lab.step("255.255.255.255; connect asks only for a route to it");
    let limited: SocketAddr = (Ipv4Addr::BROADCAST, port).into();
    let asking = Socket::new(Domain::IPV4, Type::DGRAM, None)?;
    asking.set_broadcast(true)?;
    let result = asking.connect(&limited.into());
    lab.number("connect(s, 255.255.255.255:port)", &result, "whether there is a default route");
    Ok(())
}

/// A UDP socket with SO_REUSEADDR, bound there.
fn reusing(at: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, None)?;
    socket.set_reuse_address(true)?;
    socket.bind(&at.into())?;
    Ok(socket)
}

const D15: Experiment = Experiment {
    id: "D15",
    core: true,
    title: "Connected UDP accepts only its peer; unconnected accepts anyone",
    claim: "An unconnected socket takes datagrams from anybody. After connect, those of others never reach it, and getpeername \
        and send work; but what strangers had sent before connect stays queued.",
    why: "A client that calls recv on an unconnected socket can be answered by any host. connect() also enables the errors of \
        ICMP.",
    source: "udp(7); connect(2); UNP 8.11",
    needs: &[],
    run: only_from_the_peer,
    helper: None,
};

fn only_from_the_peer(lab: &mut Lab) -> Result<(), Stop> {
    let (socket, peer, stranger) = (net::udp()?, net::udp()?, net::udp()?);
    let here = net::address(&socket)?;
    let to_us = |from: &Socket, message: &[u8]| sendto(from, message, SendFlags::empty(), &here);

    lab.step("Unconnected: a stranger's datagram is queued, and there is no peer");
    lab.call("sendto(stranger, \"early\", s)", to_us(&stranger, b"early"))?;
    wait::readable(&socket)?;
    let result = lab.call("getpeername(s)", getpeername(&socket).map(drop));
    lab.expect("getpeername", &result, "ENOTCONN");
    let result = lab.call("send(s, \"x\")", socket.send(b"x"));
    lab.expect("send without an address", &result, "EDESTADDRREQ");

    lab.step("connect, and what was queued before");
    lab.call("connect(s, peer)", socket.connect(&peer.local_addr()?))?;
    let is_peer = socket.peer_addr()?.as_socket() == Some(net::address(&peer)?);
    lab.expect("getpeername gives the peer", is_peer, true);
    let (message, from) = take::datagram(&socket, 16)?;
    let message = lab.call("recvfrom(s, 16)", Ok::<_, io::Error>(message))?;
    lab.expect("the stranger's, from before", message, b"early");
    lab.expect("it is the stranger's", from == net::address(&stranger)?, true);

    lab.step("What strangers send now");
    lab.call("sendto(stranger, \"late\", s)", to_us(&stranger, b"late"))?;
    lab.expect("the socket sees nothing", wait::stays_unreadable(&socket)?, true);
    lab.call("connect(stranger, s)", stranger.connect(&here.into()))?;
    lab.call("send(stranger, \"late\")", stranger.send(b"late"))?;
    wait::readable(&stranger)?;
    let result = lab.call("recv(stranger, 16, MSG_DONTWAIT)", take::bytes(&stranger, 16));
    lab.expect("to a stranger that is connected the port is dead", &result, "ECONNREFUSED");
    with_the_peer(lab, &socket, &peer)
}

fn with_the_peer(lab: &mut Lab, socket: &Socket, peer: &Socket) -> Result<(), Stop> {
    lab.step("What the peer sends, and what it receives");
    let sent = sendto(peer, b"hello", SendFlags::empty(), &net::address(socket)?);
    lab.call("sendto(peer, \"hello\", s)", sent)?;
    wait::readable(socket)?;
    let message = lab.call("recv(s, 16)", take::bytes(socket, 16))?;
    lab.expect("the peer's datagram", message, b"hello");
    lab.call("send(s, \"x\")", socket.send(b"x"))?;
    wait::readable(peer)?;
    let message = lab.call("recv(peer, 16)", take::bytes(peer, 16))?;
    lab.expect("send without an address reaches the peer", message, b"x");
    Ok(())
}
