//! Level and edge: what is said about data that nobody has read.

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;

use mio::unix::SourceFd;
use mio::{Interest, Token};
use rustix::event::epoll::EventFlags;
use rustix::io::{ioctl_fionread, read, write};

use super::{event, silence};
use crate::lab::experiment::{Experiment, Page};
use crate::lab::notebook::{Lab, Stop};
use crate::lab::tools::descriptor::set_nonblocking;
use crate::lab::tools::epoll::Epoll;
use crate::lab::tools::select::{poll_now, select_now};
use crate::lab::tools::wait::{DEADLINE, QUIET};
use crate::lab::tools::{arrival, net, proc_net, wait};

pub(super) const PAGE: Page = Page {
    path: "src/lab/readiness/reading.rs",
    text: include_str!("reading.rs"),
    experiments: &[E01, E02, E03, E04],
};

const E01: Experiment = Experiment {
    id: "E01",
    core: true,
    title: "Level or edge: unread data",
    claim: "With unread data level-triggered epoll reports IN on every wait, as select and poll do; edge-triggered epoll reports \
        it once. Registering (ADD) when data is already there does report it.",
    why: "mio is always edge-triggered on epoll. An event means \"something changed since\", not \"there is data now\".",
    source: "epoll(7) \"Level-triggered and edge-triggered\"",
    needs: &[],
    run: unread_data,
    helper: None,
};

fn unread_data(lab: &mut Lab) -> Result<(), Stop> {
    let (client, server) = net::pair()?;
    lab.step("Three bytes arrive, and nobody reads them");
    lab.call("send(c, \"abc\")", client.send(b"abc"))?;
    wait::queued(&server, 3)?;

    lab.step("Level-triggered epoll, select and poll, three times each");
    let level = Epoll::new()?;
    lab.call("epoll_ctl(e, ADD, s, IN)", level.add(&server, 1, EventFlags::IN))?;
    for nth in ["first", "second", "third"] {
        let mask = event(lab, &level)?;
        lab.expect(format!("the {nth} wait, level-triggered"), mask, "IN");
        lab.expect(format!("the {nth} select: readable"), select_now(&server)?.0, true);
        lab.expect(format!("the {nth} poll"), poll_now(&server, EventFlags::IN)?, "IN");
    }

    lab.step("Edge-triggered epoll: registering it counts as a change, and then nothing changes");
    let edge = Epoll::new()?;
    lab.call("epoll_ctl(e, ADD, s, IN|ET)", edge.add(&server, 1, EventFlags::IN | EventFlags::ET))?;
    let mask = event(lab, &edge)?;
    lab.expect("the first wait, edge-triggered", mask, "IN");
    let mask = silence(lab, &edge)?;
    lab.expect("the second wait, edge-triggered", mask, "nothing");

    lab.step("mio does the same");
    let (mut poll, mut events) = (mio::Poll::new()?, mio::Events::with_capacity(8));
    let number = server.as_raw_fd();
    let registered = poll.registry().register(&mut SourceFd(&number), Token(0), Interest::READABLE);
    lab.call("mio: register(s, READABLE)", registered)?;
    lab.call("mio: poll()", poll.poll(&mut events, Some(DEADLINE)))?;
    lab.expect("events of mio's first poll", events.iter().count(), 1usize);
    lab.call("mio: poll(), 50 ms", poll.poll(&mut events, Some(QUIET)))?;
    lab.expect("events of mio's second poll", events.iter().count(), 0usize);
    lab.expect("bytes that are still unread", ioctl_fionread(&server)?, 3u64);
    Ok(())
}

const E02: Experiment = Experiment {
    id: "E02",
    core: true,
    title: "Edge-triggered: reading part and waiting again stalls",
    claim: "After an edge-triggered event, reading 1 of 10 bytes and waiting again gives nothing, although 9 bytes are readable. \
        After reading until EAGAIN the next arrival is reported.",
    why: "The classic mistake: a request sits in the kernel for ever. Read until WouldBlock (or a short read), or remember that \
        the socket is still readable and come back without waiting.",
    source: "epoll(7), the example that \"will probably hang\", and \"Questions and answers\"; mio's Poll, \"Draining readiness\"",
    needs: &[],
    run: reading_a_part,
    helper: None,
};

fn reading_a_part(lab: &mut Lab) -> Result<(), Stop> {
    lab.step("Ten bytes arrive; the event comes, and one byte is read");
    let (client, server) = net::pair()?;
    set_nonblocking(&server, true)?;
    let epoll = Epoll::new()?;
    lab.call("epoll_ctl(e, ADD, s, IN|ET)", epoll.add(&server, 1, EventFlags::IN | EventFlags::ET))?;
    lab.call("send(c, 10 bytes)", client.send(b"0123456789"))?;
    wait::queued(&server, 10)?;
    let mask = event(lab, &epoll)?;
    lab.expect("the event of the ten bytes", mask, "IN");
    lab.call("read(s, 1)", read(&server, &mut [0; 1]))?;

    lab.step("Waiting for the rest");
    let mask = silence(lab, &epoll)?;
    lab.expect("the wait for the rest", mask, "nothing");
    lab.expect("bytes that could be read meanwhile", ioctl_fionread(&server)?, 9u64);
    lab.expect("what poll says meanwhile", poll_now(&server, EventFlags::IN)?, "IN");

    lab.step("The remedy: read until EAGAIN, and only then wait");
    let rest = lab.call("read(s, 64)", read(&server, &mut [0; 64]))?;
    lab.expect("bytes of the rest", rest, 9usize);
    let end = lab.call("read(s, 64)", read(&server, &mut [0; 64]));
    lab.expect("the end of the rest", &end, "EAGAIN");
    lab.call("send(c, 1 byte)", client.send(b"x"))?;
    let mask = event(lab, &epoll)?;
    lab.expect("the event of the next byte", mask, "IN");
    Ok(())
}

const E03: Experiment = Experiment {
    id: "E03",
    core: true,
    title: "Edge-triggered: new data is reported even if the old is unread; several arrivals merge",
    claim: "Each arrival of new bytes gives a new event although earlier bytes are still unread. Arrivals between two waits merge \
        into one event, without a count.",
    why: "So a connection that has stalled wakes \"by luck\" when the peer sends more, which hides E02 in tests. And one event \
        is never one message.",
    source: "epoll(7) \"multiple events can be generated upon receipt of multiple chunks of data\"",
    needs: &[],
    run: arrivals,
    helper: None,
};

fn arrivals(lab: &mut Lab) -> Result<(), Stop> {
    lab.step("A byte and a wait, three times; nobody reads");
    let (client, server) = net::pair()?;
    let epoll = Epoll::new()?;
    lab.call("epoll_ctl(e, ADD, s, IN|ET)", epoll.add(&server, 1, EventFlags::IN | EventFlags::ET))?;
    for count in 1..=3u64 {
        lab.call("send(c, 1 byte)", client.send(b"x"))?;
        wait::queued(&server, count)?;
        let mask = event(lab, &epoll)?;
        lab.expect(format!("the event of byte {count}"), mask, "IN");
    }

    lab.step("Three bytes, one by one, and only then a wait");
    for count in 4..=6u64 {
        lab.call("send(c, 1 byte)", client.send(b"x"))?;
        wait::queued(&server, count)?;
    }
    let mask = event(lab, &epoll)?;
    lab.expect("the event of all three", mask, "IN");
    let mask = silence(lab, &epoll)?;
    lab.expect("a second one", mask, "nothing");
    lab.expect("bytes that nobody has read", ioctl_fionread(&server)?, 6u64);
    Ok(())
}

const E04: Experiment = Experiment {
    id: "E04",
    core: true,
    title: "A short read means drained, except for an end that is queued already",
    claim: "On TCP, Unix streams and pipes a recv(n) that returns fewer than n bytes has emptied the queue: the extra call that \
        would return EAGAIN can be left out, and later data is reported. The exception: data and a FIN before the wait give \
        ONE event, IN|RDHUP (of a Unix stream with HUP too, of a pipe IN|HUP); who stops after the short read never hears of \
        the end.",
    why: "Who saves that call must look at EPOLLRDHUP and EPOLLHUP (mio's is_read_closed) and read on to 0. Otherwise dead connections \
        gather in CLOSE_WAIT.",
    source: "epoll(7) \"Questions and answers\", \"checking the amount of data read\"; tokio takes the same short cut",
    needs: &[],
    run: short_reads,
    helper: None,
};

fn short_reads(lab: &mut Lab) -> Result<(), Stop> {
    lab.step("TCP");
    let (client, server) = net::pair()?;
    let (near, far) = (net::address(&server)?, net::address(&client)?);
    short_read_of(lab, server.as_fd(), client.into(), "IN|RDHUP")?;
    lab.expect("the state of the connection that nobody closes", proc_net::state(near, far)?, "CLOSE_WAIT");

    lab.step("A Unix stream: its end takes both directions along");
    let (client, server) = UnixStream::pair()?;
    short_read_of(lab, server.as_fd(), client.into(), "IN|HUP|RDHUP")?;

    lab.step("A pipe");
    let (reader, writer) = rustix::pipe::pipe()?;
    short_read_of(lab, reader.as_fd(), writer, "IN|HUP")
}

fn short_read_of(lab: &mut Lab, near: impl AsFd, far: OwnedFd, end: &str) -> Result<(), Stop> {
    set_nonblocking(&near, true)?;
    let epoll = Epoll::new()?;
    epoll.add(&near, 1, EventFlags::IN | EventFlags::RDHUP | EventFlags::ET)?;
    for message in ["hello", "again"] {
        lab.call(format!("write(c, \"{message}\")"), write(&far, message.as_bytes()))?;
        wait::queued(&near, 5)?;
        let mask = event(lab, &epoll)?;
        lab.expect(format!("the event of \"{message}\""), mask, "IN");
        let count = lab.call("read(s, 16)", read(&near, &mut [0; 16]))?;
        lab.expect("a short read", count, 5usize);
    }
    lab.expect("the call that was left out", read(&near, &mut [0; 16]), "EAGAIN");

    lab.call("write(c, \"bye\")", write(&far, b"bye"))?;
    drop(far);
    lab.call("close(c)", Ok::<_, io::Error>(()))?;
    wait::queued(&near, 3)?;
    if end.contains("RDHUP") {
        arrival::end(&near)?
    } else {
        arrival::hangup(&near)?
    }
    let mask = event(lab, &epoll)?;
    lab.expect("the event of data and end together", mask, end);
    let count = lab.call("read(s, 16)", read(&near, &mut [0; 16]))?;
    lab.expect("another short read", count, 3usize);
    let mask = silence(lab, &epoll)?;
    lab.expect("what is heard of the end after it", mask, "nothing");
    lab.expect("what a read would have returned", read(&near, &mut [0; 16]), 0usize);
    Ok(())
}
