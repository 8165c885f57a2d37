//! One event, and several of what it announces: connections, datagrams, waiters.

use std::io;

use rustix::event::epoll::EventFlags;
use rustix::io::read;
use rustix::net::SocketFlags;
use socket2::Socket;

use super::{event, silence};
use crate::lab::experiment::{Experiment, Page};
use crate::lab::notebook::{Lab, Stop};
use crate::lab::tools::asleep::{self, Asleep};
use crate::lab::tools::descriptor::set_nonblocking;
use crate::lab::tools::epoll::{Epoll, mask};
use crate::lab::tools::{net, proc_net, udp_queue, wait};

pub(super) const PAGE: Page = Page {
    path: "src/lab/readiness/several.rs",
    text: include_str!("several.rs"),
    experiments: &[E10, E14, E15],
};

const E10: Experiment = Experiment {
    id: "E10",
    core: false,
    title: "Several waiters on one listener: the thundering herd, and EPOLLEXCLUSIVE",
    claim: "Threads that are each blocked in an epoll of their own on the same listener are all woken by one connection; one accept \
        succeeds, the next gets EAGAIN. With EPOLLEXCLUSIVE at least one is woken, and not all.",
    why: "A readable event is a hint: until you accept another process may have taken the connection. This is why listeners must be \
        non-blocking, even with select.",
    source: "epoll_ctl(2) EPOLLEXCLUSIVE (Linux 4.5); UNP 30.6",
    needs: &[],
    run: a_herd_of_waiters,
    helper: None,
};

/// How many threads wait.
const WAITERS: usize = 4;

fn a_herd_of_waiters(lab: &mut Lab) -> Result<(), Stop> {
    lab.step("Four threads, asleep in an epoll each; one connection. Nobody accepts before all have been looked at");
    let listener = net::listener()?;
    set_nonblocking(&listener, true)?;
    let herd = waiters(&listener, EventFlags::IN)?;
    let _client = connected(lab, &listener)?;
    for (nth, waiter) in herd.into_iter().enumerate() {
        let mask = lab.call(format!("thread {}: epoll_wait(e)", nth + 1), waiter.woken()?)?;
        lab.expect("what it was woken with", mask, "IN");
    }

    lab.step("Now the first two of them accept");
    let first = lab.call("accept(listener)", accept(&listener));
    lab.expect("the first accept", &first, "a descriptor");
    let second = lab.call("accept(listener)", accept(&listener));
    lab.expect("the second accept", &second, "EAGAIN");

    lab.step("The same with EPOLLEXCLUSIVE");
    let mut herd = waiters(&listener, EventFlags::IN | EventFlags::EXCLUSIVE)?;
    let _client = connected(lab, &listener)?;
    wait::until("nobody was woken", || Ok(woken(&mut herd) > 0))?;
    wait::stays_false(|| Ok(woken(&mut herd) == WAITERS))?;
    let count = woken(&mut herd);
    lab.expect_that("threads that were woken", "at least 1, not all 4", count, 0 < count && count < WAITERS);
    lab.number("threads that were woken, of 4", count, "the kernel: at least one is all that is promised");
    let accepted = lab.call("accept(listener)", accept(&listener));
    lab.expect("the accept of one that was woken", &accepted, "a descriptor");
    Ok(())
}

type Waiter = Asleep<io::Result<EventFlags>>;

fn waiters(listener: &Socket, asked: EventFlags) -> io::Result<Vec<Waiter>> {
    let waiter = |_| {
        let epoll = Epoll::new()?;
        epoll.add(listener, 1, asked)?;
        asleep::start(move || epoll.wait().map(|events| mask(&events)))
    };
    (0..WAITERS).map(waiter).collect()
}

fn woken(herd: &mut [Waiter]) -> usize {
    herd.iter_mut().map(|waiter| usize::from(waiter.has_returned())).sum()
}

fn connected(lab: &mut Lab, listener: &Socket) -> io::Result<Socket> {
    let client = net::socket()?;
    lab.call("connect(c)", client.connect(&listener.local_addr()?))?;
    Ok(client)
}

fn accept(listener: &Socket) -> io::Result<std::os::fd::OwnedFd> {
    Ok(rustix::net::accept_with(listener, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC)?)
}

const E14: Experiment = Experiment {
    id: "E14",
    core: true,
    title: "An edge-triggered listener: several connections, one event",
    claim: "Three connections that arrive before the wait give one event; accepting one and waiting again gives nothing until a new \
        connection arrives.",
    why: "Accept in a loop until WouldBlock, always. With one accept per event clients hang in the queue although the server is \
        idle.",
    source: "epoll(7); the example of mio's TcpListener",
    needs: &[],
    run: three_connections_one_event,
    helper: None,
};

fn three_connections_one_event(lab: &mut Lab) -> Result<(), Stop> {
    lab.step("Three clients connect before anybody waits");
    let listener = net::listener()?;
    set_nonblocking(&listener, true)?;
    let epoll = Epoll::new()?;
    lab.call("epoll_ctl(e, ADD, listener, IN|ET)", epoll.add(&listener, 1, EventFlags::IN | EventFlags::ET))?;
    let mut clients = Vec::new();
    for waiting in 1..=3 {
        clients.push(queued_caller(lab, &listener, waiting)?);
    }
    let mask = event(lab, &epoll)?;
    lab.expect("the event of all three", mask, "IN");

    lab.step("One is accepted");
    lab.call("accept(listener)", accept(&listener))?;
    let mask = silence(lab, &epoll)?;
    lab.expect("the wait for the others", mask, "nothing");
    let row = proc_net::listener(net::address(&listener)?)?;
    lab.expect("connections that wait to be accepted", row.map(|row| row.receive_queue), 2u64);

    lab.step("A fourth arrives, and the loop is written as it should be");
    clients.push(queued_caller(lab, &listener, 3)?);
    let mask = event(lab, &epoll)?;
    lab.expect("the event of the fourth", mask, "IN");
    for left in ["second", "third", "fourth"] {
        let accepted = lab.call("accept(listener)", accept(&listener));
        lab.expect(format!("the {left} connection"), &accepted, "a descriptor");
    }
    let end = lab.call("accept(listener)", accept(&listener));
    lab.expect("the end of the loop", &end, "EAGAIN");
    Ok(())
}

/// A client; `waiting` connections are in the queue with it.
fn queued_caller(lab: &mut Lab, listener: &Socket, waiting: u64) -> Result<Socket, Stop> {
    let client = connected(lab, listener)?;
    let address = net::address(listener)?;
    wait::until("the connection was not queued", || {
        Ok(proc_net::listener(address)?.is_some_and(|row| row.receive_queue == waiting))
    })?;
    Ok(client)
}

const E15: Experiment = Experiment {
    id: "E15",
    core: true,
    title: "UDP, edge-triggered: several datagrams, one event",
    claim: "Five datagrams that are queued before the wait give one event; reading one and waiting again gives nothing. A short read \
        means nothing on UDP: only EAGAIN says that the queue is empty.",
    why: "recv_from in a loop until WouldBlock; bound the loop for fairness, and remember what is left.",
    source: "epoll(7) \"Questions and answers\": for packet-oriented files only EAGAIN says it",
    needs: &[],
    run: five_datagrams_one_event,
    helper: None,
};

fn five_datagrams_one_event(lab: &mut Lab) -> Result<(), Stop> {
    lab.step("Five datagrams of one byte arrive before anybody waits");
    let (sender, receiver) = (net::udp()?, net::udp()?);
    set_nonblocking(&receiver, true)?;
    sender.connect(&receiver.local_addr()?)?;
    let epoll = Epoll::new()?;
    lab.call("epoll_ctl(e, ADD, u, IN|ET)", epoll.add(&receiver, 1, EventFlags::IN | EventFlags::ET))?;
    lab.call("send(c, \"1\")", sender.send(b"1"))?;
    wait::readable(&receiver)?;
    udp_queue::times_what_is_there(&receiver, 5, || {
        for datagram in [b"2", b"3", b"4", b"5"] {
            sender.send(datagram)?;
        }
        Ok(())
    })?;
    lab.call("send(c, \"2\") to send(c, \"5\")", Ok::<_, io::Error>(()))?;
    let mask = event(lab, &epoll)?;
    lab.expect("the event of all five", mask, "IN");

    lab.step("One is read; the read is short, and four are left");
    let count = lab.call("read(u, 16)", read(&receiver, &mut [0; 16]))?;
    lab.expect("bytes of the short read", count, 1usize);
    let mask = silence(lab, &epoll)?;
    lab.expect("the wait for the others", mask, "nothing");
    for left in 2..=5 {
        let count = lab.call("read(u, 16)", read(&receiver, &mut [0; 16]));
        lab.expect(format!("a read after the event, number {left}"), &count, "1");
    }
    let end = lab.call("read(u, 16)", read(&receiver, &mut [0; 16]));
    lab.expect("what alone says that there are no more", &end, "EAGAIN");
    Ok(())
}
