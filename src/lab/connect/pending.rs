//! Between connect(2) and the connection: what says that it is pending, done, or given up.

use std::net::UdpSocket;
use std::time::{Duration, Instant};

use rustix::event::epoll::EventFlags;
use rustix::net::{RecvFlags, SendFlags, recv, send};
use socket2::{Domain, SockAddr, Socket, Type};

use crate::lab::experiment::{Experiment, Page};
use crate::lab::notebook::{Lab, Stop};
use crate::lab::tools::connecting::{FullListener, client, connect, peer, so_error};
use crate::lab::tools::epoll::{Epoll, mask};
use crate::lab::tools::{net, proc_net, wait};

pub(super) const PAGE: Page = Page {
    path: "src/lab/connect/pending.rs",
    text: include_str!("pending.rs"),
    experiments: &[C01, C02, C06, C10],
};

/// What a client that connects asks epoll for.
const EVERYTHING: EventFlags = EventFlags::IN.union(EventFlags::OUT).union(EventFlags::RDHUP);

const C01: Experiment = Experiment {
    id: "C01",
    core: true,
    title: "Non-blocking TCP connect returns EINPROGRESS even on loopback",
    claim: "connect on a non-blocking TCP socket returns EINPROGRESS although on loopback the handshake finishes inside the \
        call; EPOLLOUT then signals completion and SO_ERROR==0 confirms it. UDP and Unix connect complete at once.",
    why: "Never special-case an instant success away, and never treat EINPROGRESS as failure. mio TcpStream::connect hides \
        EINPROGRESS and returns Ok: the stream is NOT yet connected.",
    source: "connect(2) EINPROGRESS; UNP 16.3; mio TcpStream::connect docs",
    needs: &[],
    run: a_connect_that_does_not_wait,
    helper: None,
};

fn a_connect_that_does_not_wait(lab: &mut Lab) -> Result<(), Stop> {
    lab.step("A non-blocking TCP socket connects to a listener of this machine");
    let (listener, client) = (net::listener()?, client()?);
    let to = net::address(&listener)?;
    let result = lab.call("connect(c, listener)", connect(&client, to));
    let state = proc_net::state(net::address(&client)?, to)?;
    lab.expect("a non-blocking TCP connect", result, "EINPROGRESS");
    lab.number("the state when it returned", state, "which processor handles the packets, and its load");

    lab.step("epoll says when it is done, SO_ERROR how");
    let epoll = Epoll::new()?;
    epoll.add(&client, 1, EventFlags::OUT)?;
    lab.expect("what epoll reports", mask(&epoll.wait()?), EventFlags::OUT);
    lab.expect("SO_ERROR", so_error(&client)?, "0");
    lab.expect("the state", proc_net::state(net::address(&client)?, to)?, "ESTABLISHED");

    lab.step("UDP and Unix sockets have no handshake: theirs is done at once");
    let udp = UdpSocket::bind(net::anywhere())?;
    udp.set_nonblocking(true)?;
    let result = lab.call("connect(udp, ...)", udp.connect(to));
    lab.expect("a non-blocking UDP connect", result, "ok");
    let unix = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    unix.bind(&SockAddr::unix("")?)?;
    unix.listen(1)?;
    let caller = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    caller.set_nonblocking(true)?;
    let result = lab.call("connect(u, unix listener)", caller.connect(&unix.local_addr()?));
    lab.expect("a non-blocking Unix connect", result, "ok");

    lab.step("mio hides EINPROGRESS: its Ok is no connection, not even where one will never be");
    let full = FullListener::new()?;
    let stream = lab
        .call("mio::net::TcpStream::connect(full listener)", mio::net::TcpStream::connect(full.address()?))?;
    lab.expect("the peer of mio's new stream", stream.peer_addr(), "ENOTCONN");
    lab.expect("its state", proc_net::state(stream.local_addr()?, full.address()?)?, "SYN_SENT");
    Ok(())
}

const C02: Experiment = Experiment {
    id: "C02",
    core: true,
    title: "connect called again: EALREADY, then 0 once, then EISCONN",
    claim: "While pending: EALREADY. After asynchronous success the FIRST repeated connect returns 0 on Linux, the next EISCONN.",
    why: "A portable completion test treats 0 and EISCONN alike; better: SO_ERROR + getpeername.",
    source: "connect(2) EALREADY, EISCONN; UNP 16.4; the single 0 is Linux's own",
    needs: &[],
    run: a_connect_that_is_repeated,
    helper: None,
};

fn a_connect_that_is_repeated(lab: &mut Lab) -> Result<(), Stop> {
    lab.step("A connect that stays pending: the listener's queue is full, and it answers nothing");
    let full = FullListener::new()?;
    let waiting = client()?;
    let result = lab.call("connect(c, full listener)", connect(&waiting, full.address()?));
    lab.expect("the first connect", result, "EINPROGRESS");
    for attempt in ["the second connect, while pending", "the third, while pending"] {
        let result = lab.call("connect(c, full listener)", connect(&waiting, full.address()?));
        lab.expect(attempt, result, "EALREADY");
    }

    lab.step("A connect that succeeds behind our back");
    let (listener, client) = (net::listener()?, client()?);
    let to = net::address(&listener)?;
    let result = lab.call("connect(c2, listener)", connect(&client, to));
    lab.expect("the first connect", result, "EINPROGRESS");
    wait::writable(&client)?;
    lab.expect("the peer, before connect is called again", peer(&client)?, to);
    for (attempt, claimed) in [
        ("the second connect, once connected", "ok"),
        ("the third, once connected", "EISCONN"),
        ("the fourth, once connected", "EISCONN"),
    ] {
        let result = lab.call("connect(c2, listener)", connect(&client, to));
        lab.expect(attempt, result, claimed);
    }

    lab.step("A connect that waited was told of its success: no 0 is left over");
    let blocking = net::socket()?;
    lab.call("connect(c3, listener)", connect(&blocking, to))?;
    let result = lab.call("connect(c3, listener)", connect(&blocking, to));
    lab.expect("the second connect of a blocking socket", result, "EISCONN");
    Ok(())
}

const C06: Experiment = Experiment {
    id: "C06",
    core: true,
    title: "Pending connect: no events, SO_ERROR 0, getpeername ENOTCONN",
    claim: "In SYN_SENT epoll reports nothing, SO_ERROR is 0 (so 0 does not mean connected), getpeername fails ENOTCONN, recv \
        EAGAIN, send EAGAIN. After completion getpeername succeeds.",
    why: "Decision table on an event: SO_ERROR!=0 -> failed; getpeername OK -> connected; ENOTCONN -> still pending (spurious \
        event), keep waiting. That is exactly mio's documented recipe.",
    source: "UNP 16.4; mio TcpStream::connect docs; getpeername(2)",
    needs: &[],
    run: what_a_pending_connect_looks_like,
    helper: None,
};

fn what_a_pending_connect_looks_like(lab: &mut Lab) -> Result<(), Stop> {
    let epoll = Epoll::new()?;
    lab.step("A connect that stays pending: the listener's queue is full, and it answers nothing");
    let full = FullListener::new()?;
    let pending = client()?;
    let result = lab.call("connect(c, full listener)", connect(&pending, full.address()?));
    lab.expect("connect", result, "EINPROGRESS");
    epoll.add(&pending, 1, EVERYTHING)?;
    lab.expect("what epoll reports while we look", mask(&epoll.wait_quietly()?), "nothing");
    lab.expect("the state", proc_net::state(net::address(&pending)?, full.address()?)?, "SYN_SENT");
    every_answer(lab, &pending, ["0", "ENOTCONN", "EAGAIN", "EAGAIN"])?;
    epoll.delete(&pending)?;

    lab.step("The same of a connect that has succeeded");
    let (listener, done) = (net::listener()?, client()?);
    let to = net::address(&listener)?;
    let result = lab.call("connect(c2, listener)", connect(&done, to));
    lab.expect("connect", result, "EINPROGRESS");
    epoll.add(&done, 2, EVERYTHING)?;
    lab.expect("what epoll reports", mask(&epoll.wait()?), EventFlags::OUT);
    lab.expect("the state", proc_net::state(net::address(&done)?, to)?, "ESTABLISHED");
    every_answer(lab, &done, ["0", to.to_string().as_str(), "EAGAIN", "1"])
}

/// Whatever one could ask a socket that connects: SO_ERROR, getpeername, recv, send.
fn every_answer(lab: &mut Lab, socket: &Socket, claimed: [&str; 4]) -> Result<(), Stop> {
    lab.expect("SO_ERROR", so_error(socket)?, claimed[0]);
    let result = lab.call("getpeername(c)", peer(socket));
    lab.expect("its peer", result, claimed[1]);
    let result =
        lab.call("recv(c, 16)", recv(socket, &mut [0; 16], RecvFlags::empty()).map(|(count, _)| count));
    lab.expect("recv", result, claimed[2]);
    let result = lab.call("send(c, \"x\")", send(socket, b"x", SendFlags::NOSIGNAL));
    lab.expect("send", result, claimed[3]);
    Ok(())
}

const C10: Experiment = Experiment {
    id: "C10",
    core: true,
    title: "The kernel's connect timeout is minutes; bring your own",
    claim: "A connect whose SYN gets no answer stays SYN_SENT without events. TCP_USER_TIMEOUT (or TCP_SYNCNT) shortens it: then \
        one event IN|OUT|RDHUP|ERR|HUP with SO_ERROR=ETIMEDOUT, but not before the first SYN timer of 1 s. The default is \
        tcp_syn_retries retransmissions: 127 s with 6, or 131 s since Linux 6.5, where tcp_syn_linear_timeouts adds 4.",
    why: "mio has no timers: keep a deadline per pending connect and drop the socket yourself.",
    source: "tcp(7) tcp_syn_retries, TCP_SYNCNT, TCP_USER_TIMEOUT; Linux ip-sysctl tcp_syn_linear_timeouts",
    needs: &[],
    run: a_connect_that_nobody_answers,
    helper: None,
};

fn a_connect_that_nobody_answers(lab: &mut Lab) -> Result<(), Stop> {
    const TIMEOUT: Duration = Duration::from_millis(200);
    lab.step("Two clients whose SYN is dropped; one of them has a timeout of 200 ms");
    let (full, epoll) = (FullListener::new()?, Epoll::new()?);
    let (patient, hasty) = (client()?, client()?);
    lab.call("setsockopt(c2, TCP_USER_TIMEOUT, 200)", hasty.set_tcp_user_timeout(Some(TIMEOUT)))?;
    let begun = Instant::now();
    for (key, name, socket) in
        [(1, "connect(c1, full listener)", &patient), (2, "connect(c2, full listener)", &hasty)]
    {
        let result = lab.call(name, connect(socket, full.address()?));
        lab.expect(name, result, "EINPROGRESS");
        epoll.add(socket, key, EVERYTHING | EventFlags::ET)?;
    }
    let events = epoll.wait()?;
    let waited = begun.elapsed();

    lab.step("What epoll says at last");
    lab.expect("how many of them have an event", events.len(), 1usize);
    let all = EVERYTHING | EventFlags::ERR | EventFlags::HUP;
    let event = events.first().map(|&(key, mask)| (key, mask));
    lab.expect("which, and what", event, (2u64, all));
    lab.expect("SO_ERROR of c2", so_error(&hasty)?, "ETIMEDOUT");
    lab.expect_that(
        "it had to wait for the timer of its SYN",
        "at least 500 ms",
        format!("{} ms", waited.as_millis()),
        waited >= Duration::from_millis(500),
    );
    lab.number("time until it gave up, ms", waited.as_millis(), "the SYN's timer of 1 s, and load");

    lab.step("The other one waits on, and would for minutes");
    lab.expect("its state", proc_net::state(net::address(&patient)?, full.address()?)?, "SYN_SENT");
    lab.expect("what epoll reports while we look", mask(&epoll.wait_quietly()?), "nothing");
    numbers_of_syn(lab);
    Ok(())
}

fn numbers_of_syn(lab: &mut Lab) {
    for name in ["tcp_syn_retries", "tcp_syn_linear_timeouts"] {
        let value = std::fs::read_to_string(format!("/proc/sys/net/ipv4/{name}"));
        // The second is there since Linux 6.5.
        let value = value.unwrap_or_else(|_| "none".to_owned());
        lab.number(format!("net.ipv4.{name}"), value.trim(), "the settings of this machine");
    }
}
