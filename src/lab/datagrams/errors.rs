//! Errors of datagram sockets: who hears of them, and when.

use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::os::fd::AsRawFd;

use nix::sys::socket::{ControlMessageOwned, MsgFlags, SockaddrIn, recvmsg, setsockopt, sockopt};
use rustix::event::epoll::EventFlags;
use rustix::net::{SendFlags, sendto};
use socket2::Socket;

use crate::lab::experiment::{Experiment, Page};
use crate::lab::notebook::{Lab, Stop};
use crate::lab::tools::epoll::{Epoll, mask};
use crate::lab::tools::{net, take, wait};

pub(super) const PAGE: Page =
    Page { path: "src/lab/datagrams/errors.rs", text: include_str!("errors.rs"), experiments: &[D10, D11] };

const D10: Experiment = Experiment {
    id: "D10",
    core: true,
    title: "Connected UDP learns of a dead port (ICMP -> ECONNREFUSED); unconnected does not",
    claim: "Connected: the first send succeeds, then there is one ECONNREFUSED on the next send, recv or SO_ERROR, and the mask \
        is OUT|ERR WITHOUT IN; one error per ICMP message. Unconnected: never an error. With IP_RECVERR even an unconnected \
        socket gets it, and by MSG_ERRQUEUE whose datagram it was.",
    why: "ECONNREFUSED from a UDP recv is not fatal: log it and go on. Unconnected server sockets are immune. The event is an \
        error event only: a handler that tests is_readable() alone never collects it, and the error then comes out of a \
        later send that has nothing to do with it.",
    source: "udp(7) ERRORS; IP_RECVERR in ip(7); UNP 8.9, 8.11",
    needs: &[],
    run: a_dead_port,
    helper: None,
};

fn a_dead_port(lab: &mut Lab) -> Result<(), Stop> {
    lab.step("A connected socket: the first send, and the event that follows");
    let dead = nobody()?;
    let socket = net::udp()?;
    lab.call("connect(s, dead)", socket.connect(&dead.into()))?;
    refused(lab, &socket)?;
    let result = lab.call("recv(s, 16, MSG_DONTWAIT)", take::bytes(&socket, 16));
    lab.expect("the next recv", &result, "ECONNREFUSED");
    let result = lab.call("recv(s, 16, MSG_DONTWAIT)", take::bytes(&socket, 16));
    lab.expect("the one after it", &result, "EAGAIN");

    lab.step("A send collects the error too, and is not sent");
    refused(lab, &socket)?;
    let result = lab.call("send(s, \"x\")", socket.send(b"x"));
    lab.expect("the next send", &result, "ECONNREFUSED");
    lab.expect("no other error follows", wait::stays_unreadable(&socket)?, true);

    lab.step("So does SO_ERROR");
    refused(lab, &socket)?;
    let error = lab.call("getsockopt(s, SO_ERROR)", socket.take_error())?;
    lab.expect("SO_ERROR", &error, "ECONNREFUSED");
    lab.expect("SO_ERROR once more", &socket.take_error()?, "nothing");
    unconnected(lab, dead)
}

/// A send to a port where nobody is, which succeeds, and the event that tells.
fn refused(lab: &mut Lab, socket: &Socket) -> Result<(), Stop> {
    let sent = lab.call("send(s, \"x\")", socket.send(b"x"));
    lab.expect("the first send", &sent, 1usize);
    wait::readable(socket)?;
    lab.expect("the mask", events_of(socket)?, "OUT|ERR");
    Ok(())
}

/// What epoll says of it now.
fn events_of(socket: &Socket) -> io::Result<EventFlags> {
    let epoll = Epoll::new()?;
    epoll.add(socket, 1, EventFlags::IN | EventFlags::OUT)?;
    Ok(mask(&epoll.now()?))
}

/// Where a socket was that is closed.
fn nobody() -> io::Result<SocketAddr> {
    net::address(&net::udp()?)
}

fn unconnected(lab: &mut Lab, dead: SocketAddr) -> Result<(), Stop> {
    let socket = net::udp()?;
    lab.step("An unconnected socket");
    for attempt in ["the first sendto", "the second sendto"] {
        let sent = lab.call("sendto(s, \"x\", dead)", sendto(&socket, b"x", SendFlags::empty(), &dead));
        lab.expect(attempt, &sent, 1usize);
        lab.expect("it hears nothing", wait::stays_unreadable(&socket)?, true);
    }
    lab.expect("the mask", events_of(&socket)?, "OUT");

    lab.step("An unconnected socket with IP_RECVERR");
    lab.call("setsockopt(s, IP_RECVERR, 1)", setsockopt(&socket, sockopt::Ipv4RecvErr, &true))?;
    lab.call("sendto(s, \"x\", dead)", sendto(&socket, b"x", SendFlags::empty(), &dead))?;
    wait::readable(&socket)?;
    lab.expect("the mask", events_of(&socket)?, "OUT|ERR");
    let result = lab.call("recv(s, 16, MSG_DONTWAIT)", take::bytes(&socket, 16));
    lab.expect("the next recv", &result, "ECONNREFUSED");
    let (error, to) = lab.call("recvmsg(s, 16, MSG_ERRQUEUE)", from_the_error_queue(&socket))?;
    lab.expect("the error in its queue", error, "ECONNREFUSED");
    lab.expect("whose datagram it was: the dead port's", to == Some(dead), true);
    Ok(())
}

/// The error, and where the datagram went that is to blame.
fn from_the_error_queue(socket: &Socket) -> io::Result<(io::Error, Option<SocketAddr>)> {
    let mut control = nix::cmsg_space!([u8; 64]);
    let (mut payload, flags) = ([0; 16], MsgFlags::MSG_ERRQUEUE | MsgFlags::MSG_DONTWAIT);
    let parts = &mut [IoSliceMut::new(&mut payload)];
    let message = recvmsg::<SockaddrIn>(socket.as_raw_fd(), parts, Some(&mut control), flags)?;
    let error = message.cmsgs()?.find_map(|part| match part {
        ControlMessageOwned::Ipv4RecvErr(error, _) => i32::try_from(error.ee_errno).ok(),
        _ => None,
    });
    let to = message.address.map(|to| SocketAddr::from((to.ip(), to.port())));
    Ok((io::Error::from_raw_os_error(error.ok_or(io::ErrorKind::InvalidData)?), to))
}

const D11: Experiment = Experiment {
    id: "D11",
    core: true,
    title: "A pending UDP error comes before queued datagrams",
    claim: "If an ICMP error and a datagram are both pending, recv returns the error first, then the data.",
    why: "A drain loop that breaks on any error, under edge triggering, leaves datagrams stuck. Continue on errors other than \
        WouldBlock.",
    source: "udp(7); __skb_recv_udp() in net/ipv4/udp.c looks at sk_err first",
    needs: &[],
    run: the_error_comes_first,
    helper: None,
};

fn the_error_comes_first(lab: &mut Lab) -> Result<(), Stop> {
    lab.step("A datagram is queued; after it comes an error");
    let socket = with_both_pending(lab)?;
    let result = lab.call("recv(s, 16, MSG_DONTWAIT)", take::bytes(&socket, 16));
    lab.expect("the first recv", &result, "ECONNREFUSED");
    let result = lab.call("recv(s, 16, MSG_DONTWAIT)", take::bytes(&socket, 16));
    lab.expect("the second", &result, b"early");
    let result = lab.call("recv(s, 16, MSG_DONTWAIT)", take::bytes(&socket, 16));
    lab.expect("the third", &result, "EAGAIN");

    lab.step("Edge-triggered, and a loop that stops at the first error");
    let socket = with_both_pending(lab)?;
    let epoll = Epoll::new()?;
    epoll.add(&socket, 1, EventFlags::IN | EventFlags::OUT | EventFlags::ET)?;
    lab.expect("the edge", mask(&epoll.wait()?), "IN|OUT|ERR");
    let result = lab.call("recv(s, 16, MSG_DONTWAIT)", take::bytes(&socket, 16));
    lab.expect("the recv at which it stops", &result, "ECONNREFUSED");
    lab.expect("further edges", mask(&epoll.wait_quietly()?), "nothing");
    let stuck = lab.call("recv(s, 16, MSG_DONTWAIT)", take::bytes(&socket, 16));
    lab.expect("what was stuck", &stuck, b"early");
    Ok(())
}

/// A connected socket that was sent a datagram by a peer that is gone, and has then sent one to it.
fn with_both_pending(lab: &mut Lab) -> Result<Socket, Stop> {
    let (socket, peer) = (net::udp()?, net::udp()?);
    socket.connect(&peer.local_addr()?)?;
    let sent = sendto(&peer, b"early", SendFlags::empty(), &net::address(&socket)?);
    lab.call("sendto(peer, \"early\", s)", sent)?;
    wait::readable(&socket)?;
    drop(peer);
    lab.call("close(peer); send(s, \"x\")", socket.send(b"x"))?;
    wait::until("no error came", || Ok(events_of(&socket)?.contains(EventFlags::ERR)))?;
    Ok(socket)
}
