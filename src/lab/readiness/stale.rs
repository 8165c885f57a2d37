//! Numbers that outlive what they stood for: a registration after close, an event after close.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsRawFd, IntoRawFd, OwnedFd};
use std::time::Duration;

use rustix::event::epoll::EventFlags;
use socket2::Socket;

use super::{event, silence};
use crate::lab::experiment::{Experiment, Page};
use crate::lab::mask_names;
use crate::lab::notebook::{Lab, Stop};
use crate::lab::tools::epoll::Epoll;
use crate::lab::tools::{arrival, net, wait};

pub(super) const PAGE: Page =
    Page { path: "src/lab/readiness/stale.rs", text: include_str!("stale.rs"), experiments: &[E11, E13] };

const E11: Experiment = Experiment {
    id: "E11",
    core: true,
    title: "epoll follows the open file description: events survive the close of the registered number",
    claim: "If a duplicate exists, closing the registered descriptor does not unregister it: epoll goes on reporting what was \
        registered, and EPOLL_CTL_DEL fails, with the old number (EBADF) and with the duplicate's (ENOENT). Without a duplicate \
        close removes it silently.",
    why: "Deregister before closing whenever a try_clone() or a child may hold the socket; otherwise events of a ghost \
        arrive that cannot be removed.",
    source: "epoll(7) \"Questions and answers\", \"Will closing a file descriptor cause it to be removed from all epoll interest \
        lists?\"",
    needs: &[],
    run: a_registration_after_close,
    helper: None,
};

fn a_registration_after_close(lab: &mut Lab) -> Result<(), Stop> {
    lab.step("A socket is registered and duplicated, and the registered descriptor is closed");
    let (client, server) = net::pair()?;
    let epoll = Epoll::new()?;
    lab.call("epoll_ctl(e, ADD, s, IN, key 7)", epoll.add(&server, 7, EventFlags::IN))?;
    let copy = lab.call("dup(s)", server.try_clone())?;
    let closed = OwnedFd::from(server);
    lab.call("close(s)", nix::unistd::close(closed.as_raw_fd()))?;
    let result = lab.call("epoll_ctl(e, DEL, s)", epoll.delete(&closed));
    // The number is nobody's: it must not be closed again.
    let _ = closed.into_raw_fd();
    lab.expect("unregistering the closed number", &result, "EBADF");

    lab.step("Data for a connection that the program believes closed");
    lab.call("send(c, \"x\")", client.send(b"x"))?;
    wait::queued(&copy, 1)?;
    let events = lab.call("epoll_wait(e)", epoll.wait().map(|events| listed(&events)))?;
    lab.expect("the event of a ghost", events, "7: IN");
    let result = lab.call("epoll_ctl(e, DEL, dup)", epoll.delete(&copy));
    lab.expect("unregistering the duplicate", &result, "ENOENT");
    let events = lab.call("epoll_wait(e)", epoll.wait().map(|events| listed(&events)))?;
    lab.expect("and again", events, "7: IN");

    lab.step("The last duplicate is closed");
    drop(copy);
    lab.call("close(dup)", Ok::<_, io::Error>(()))?;
    let mask = silence(lab, &epoll)?;
    lab.expect("after the last close", mask, "nothing");
    without_a_duplicate(lab)
}

fn without_a_duplicate(lab: &mut Lab) -> Result<(), Stop> {
    lab.step("For comparison: without a duplicate");
    let (client, server) = net::pair()?;
    let epoll = Epoll::new()?;
    lab.call("epoll_ctl(e, ADD, s, IN, key 8)", epoll.add(&server, 8, EventFlags::IN))?;
    lab.call("send(c, \"x\")", client.send(b"x"))?;
    let mask = event(lab, &epoll)?;
    lab.expect("before close", mask, "IN");
    drop(server);
    lab.call("close(s)", Ok::<_, io::Error>(()))?;
    let mask = silence(lab, &epoll)?;
    lab.expect("after close", mask, "nothing");
    Ok(())
}

/// Keys and masks in their order: `7: IN; 8: IN|HUP`.
fn listed(events: &[(u64, EventFlags)]) -> String {
    let each: Vec<String> =
        events.iter().map(|(key, mask)| format!("{key}: {}", mask_names(*mask))).collect();
    if each.is_empty() { "nothing".to_owned() } else { each.join("; ") }
}

const E13: Experiment = Experiment {
    id: "E13",
    core: true,
    title: "One batch, a close, and a number used again: the stale event hits the wrong connection",
    claim: "Two connections A and B are in one batch of events. Handling A closes B and accepts C; the kernel gives C the number of B. \
        The batch's second event, B's hang-up, now names C, and a handler that trusts the number closes the innocent C. One that \
        compares a generation does not.",
    why: "A slab uses its keys again exactly as the kernel does its numbers. Free no slot before the batch is done, or put a \
        generation in the token and check it.",
    source: "epoll(7) \"If you use an event cache\", \"Possible pitfalls\"",
    needs: &[],
    run: a_stale_event,
    helper: None,
};

fn a_stale_event(lab: &mut Lab) -> Result<(), Stop> {
    lab.step("A handler that trusts the number");
    let (server, client) = one_batch(lab, |_, _| true)?;
    lab.expect("connections that are left to the server", server.connections.len(), 1usize);
    wait::readable(&client)?;
    let end = lab.call("read(C's client, 1)", rustix::io::read(&client, &mut [0; 1]))?;
    lab.expect("what C's client gets: the end of its connection", end, 0usize);

    lab.step("A handler that compares the generation in the event with the connection's");
    let (server, client) = one_batch(lab, |of_event, of_connection| of_event == of_connection)?;
    lab.expect("connections that are left to the server", server.connections.len(), 2usize);
    lab.expect("C's client has heard of no end", wait::stays_unreadable(&client)?, true);
    Ok(())
}

/// Handles one batch. `is_meant` decides by the generations in the event and of the connection whether a hang-up closes it.
/// Returns the server, and C's client.
fn one_batch(lab: &mut Lab, is_meant: fn(u64, u64) -> bool) -> Result<(Server, Socket), Stop> {
    let mut server = Server::new()?;
    let (client_a, a) = server.connection()?;
    let (client_b, b) = server.connection()?;
    let client_c = server.caller()?;
    lab.call("send(A's client, 1 byte)", client_a.send(b"x"))?;
    wait::queued(&server.connections[&a].1, 1)?;
    client_b.set_linger(Some(Duration::ZERO))?;
    drop(client_b);
    // Takes the number of B's client, so that B's own will be the lowest that is free.
    let _placeholder = Epoll::new()?;
    lab.call("close(B's client), with a RST", Ok::<_, io::Error>(()))?;
    arrival::hangup(&server.connections[&b].1)?;

    let batch = server.epoll.wait()?;
    let masks: Vec<String> = batch.iter().map(|(_, mask)| mask_names(*mask)).collect();
    let masks = lab.call("epoll_wait(e): A, B", Ok::<_, io::Error>(masks.join("; ")))?;
    lab.expect("the batch: of A, and of B", masks, "IN; IN|ERR|HUP|RDHUP");
    for (key, mask) in batch {
        let (generation, number) = (key >> 32, key & 0xffff_ffff);
        if !mask.contains(EventFlags::HUP) {
            lab.call("A's event: close(B)", server.close(b))?;
            let c = lab.call("A's event: accept(), which gives C", server.accept())?;
            lab.expect("C's number is the one that B had", c == b, true);
        } else if server.connections.get(&number).is_some_and(|(own, _)| is_meant(generation, *own)) {
            lab.call("B's event: close(the number in it)", server.close(number))?;
        }
    }
    Ok((server, client_c))
}

/// A server as they are written, but for its handlers.
struct Server {
    epoll: Epoll,
    listener: Socket,
    /// By the numbers of their descriptors; with each its generation, which no other has.
    connections: BTreeMap<u64, (u64, Socket)>,
    accepted: u64,
}

impl Server {
    fn new() -> io::Result<Self> {
        let (epoll, listener) = (Epoll::new()?, net::listener()?);
        Ok(Self { epoll, listener, connections: BTreeMap::new(), accepted: 0 })
    }

    /// A client that is connected and waits to be accepted.
    fn caller(&self) -> io::Result<Socket> {
        let client = net::socket()?;
        client.connect(&self.listener.local_addr()?)?;
        wait::readable(&self.listener)?;
        Ok(client)
    }

    /// A client, and its connection's number.
    fn connection(&mut self) -> io::Result<(Socket, u64)> {
        let client = self.caller()?;
        Ok((client, self.accept()?))
    }

    fn accept(&mut self) -> io::Result<u64> {
        let (socket, _) = self.listener.accept()?;
        let number = u64::try_from(socket.as_raw_fd()).map_err(io::Error::other)?;
        self.accepted += 1;
        let key = (self.accepted << 32) | number;
        self.epoll.add(&socket, key, EventFlags::IN | EventFlags::RDHUP)?;
        self.connections.insert(number, (self.accepted, socket));
        Ok(number)
    }

    fn close(&mut self, number: u64) -> io::Result<()> {
        self.connections.remove(&number).map(drop).ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}
