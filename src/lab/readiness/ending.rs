//! Every way in which a connection ends, as epoll shows it.

use std::io;
use std::net::Shutdown;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use rustix::event::epoll::EventFlags;
use rustix::io::write;
use socket2::{Domain, Socket, Type};

use crate::lab::experiment::{Experiment, Page};
use crate::lab::notebook::{Lab, Stop};
use crate::lab::tools::epoll::{Epoll, mask};
use crate::lab::tools::{arrival, net, wait};

pub(super) const PAGE: Page =
    Page { path: "src/lab/readiness/ending.rs", text: include_str!("ending.rs"), experiments: &[E05] };

const E05: Experiment = Experiment {
    id: "E05",
    core: true,
    title: "The mask of every way in which a connection ends",
    claim: "The peer's FIN: IN|RDHUP, and OUT still. The peer's RST: IN|OUT|RDHUP|ERR|HUP. Both directions shut: HUP too. One's own \
        SHUT_WR: no HUP. One's own SHUT_RD: IN|RDHUP. A socket that was never connected: OUT|HUP. ERR and HUP are reported even \
        if not asked for, RDHUP only if asked for. A pipe whose writers are gone: HUP alone.",
    why: "On TCP and Unix streams every end includes IN, so a plain \"read until 0 or an error\" handles all; RDHUP, HUP and ERR \
        only make it faster. Pipes (HUP alone) and errors of UDP (D10: ERR without IN) are the exceptions: ask is_readable || \
        is_read_closed || is_error. Level-triggered HUP cannot be masked: a loop that leaves such a socket registered spins.",
    source: "epoll_ctl(2) EPOLLRDHUP, EPOLLHUP, EPOLLERR; poll(2); tcp_poll() in net/ipv4/tcp.c",
    needs: &[],
    run: masks_of_every_end,
    helper: None,
};

fn masks_of_every_end(lab: &mut Lab) -> Result<(), Stop> {
    lab.step("For comparison: nothing happened; and before connect");
    let (_client, server) = net::pair()?;
    lab.expect("an idle connection", mask_of(&server, ALL)?, "OUT");
    let new = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    lab.expect("a socket that was never connected", mask_of(&new, ALL)?, "OUT|HUP");

    lab.step("The peer ends: FIN");
    let (client, server) = net::pair()?;
    lab.call("close(c)", closed(client))?;
    arrival::end(&server)?;
    lab.expect("after the peer's FIN", mask_of(&server, ALL)?, "IN|OUT|RDHUP");
    lab.expect("the same, without asking for RDHUP", mask_of(&server, EventFlags::IN)?, "IN");
    lab.call("shutdown(s, SHUT_WR)", server.shutdown(Shutdown::Write))?;
    lab.expect("both directions shut", mask_of(&server, ALL)?, "IN|OUT|HUP|RDHUP");

    lab.step("The peer resets: RST");
    let (client, server) = net::pair()?;
    lab.call("setsockopt(c, SO_LINGER, {1, 0})", client.set_linger(Some(Duration::ZERO)))?;
    lab.call("close(c)", closed(client))?;
    arrival::hangup(&server)?;
    lab.expect("after the peer's RST", mask_of(&server, ALL)?, "IN|OUT|ERR|HUP|RDHUP");
    lab.expect("the same, asking for nothing", mask_of(&server, EventFlags::empty())?, "ERR|HUP");

    lab.step("One's own shutdown");
    let (_client, server) = net::pair()?;
    lab.call("shutdown(s, SHUT_WR)", server.shutdown(Shutdown::Write))?;
    lab.expect("after one's own SHUT_WR", mask_of(&server, ALL)?, "OUT");
    let (_client, server) = net::pair()?;
    lab.call("shutdown(s, SHUT_RD)", server.shutdown(Shutdown::Read))?;
    lab.expect("after one's own SHUT_RD", mask_of(&server, ALL)?, "IN|OUT|RDHUP");
    ends_of_local_streams(lab)?;
    a_hangup_that_spins(lab)
}

/// What a server would ask for.
const ALL: EventFlags = EventFlags::IN.union(EventFlags::OUT).union(EventFlags::RDHUP);

/// What a level-triggered epoll says at this moment.
fn mask_of(socket: impl AsFd, asked: EventFlags) -> io::Result<EventFlags> {
    let epoll = Epoll::new()?;
    epoll.add(socket, 1, asked)?;
    Ok(mask(&epoll.now()?))
}

fn closed<T>(socket: T) -> io::Result<()> {
    drop(socket);
    Ok(())
}

fn ends_of_local_streams(lab: &mut Lab) -> Result<(), Stop> {
    lab.step("Unix streams: an end takes both directions along");
    let (client, server) = UnixStream::pair()?;
    lab.call("close(u1)", closed(client))?;
    lab.expect("after the peer's end", mask_of(&server, ALL)?, "IN|OUT|HUP|RDHUP");
    let (client, server) = UnixStream::pair()?;
    write(&server, b"x")?;
    lab.call("close(u1), with a byte that it has not read", closed(client))?;
    lab.expect("after the peer's reset", mask_of(&server, ALL)?, "IN|OUT|ERR|HUP|RDHUP");

    lab.step("Pipes: no IN at the end, and ERR for the writer");
    let (reader, writer) = rustix::pipe::pipe()?;
    lab.call("close(the writing end)", closed(writer))?;
    lab.expect("the reader, after the last writer", mask_of(&reader, ALL)?, "HUP");
    let (reader, writer) = rustix::pipe::pipe()?;
    lab.call("close(the reading end)", closed(reader))?;
    lab.expect("the writer, after the last reader", mask_of(&writer, ALL)?, "OUT|ERR");
    Ok(())
}

fn a_hangup_that_spins(lab: &mut Lab) -> Result<(), Stop> {
    const WAITS: usize = 1000;
    lab.step(
        "A hang-up under level-triggered epoll that asks for nothing: each of 1000 waits returns at once",
    );
    let (client, server) = UnixStream::pair()?;
    let epoll = Epoll::new()?;
    lab.call("epoll_ctl(e, ADD, u2, nothing)", epoll.add(&server, 1, EventFlags::empty()))?;
    lab.expect("before the peer's end", mask(&epoll.now()?), "nothing");
    lab.call("close(u1)", closed(client))?;
    let mut hangups = 0;
    for _ in 0..WAITS {
        hangups += usize::from(mask(&epoll.wait_at_most(wait::QUIET, 1)?) == EventFlags::HUP);
    }
    lab.expect("waits that returned HUP", hangups, WAITS);
    Ok(())
}
