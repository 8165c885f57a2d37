//! The queue of a listener: how long it is, how one sees it, and what happens when nothing can be taken from it.

use std::fs::File;
use std::io;
use std::net::SocketAddr;
use std::time::Instant;

use rustix::event::epoll::EventFlags;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use socket2::Socket;

use crate::lab::experiment::{Experiment, Need, Page};
use crate::lab::notebook::{Lab, Stop};
use crate::lab::tools::connecting::{client, connect, peer, so_error};
use crate::lab::tools::descriptor::set_nonblocking;
use crate::lab::tools::epoll::{Epoll, mask};
use crate::lab::tools::python::Python;
use crate::lab::tools::{drain, net, proc_net, wait};

pub(super) const PAGE: Page = Page {
    path: "src/lab/accept/backlog.rs",
    text: include_str!("backlog.rs"),
    experiments: &[A01, A02, A05],
};

const A01: Experiment = Experiment {
    id: "A01",
    core: true,
    title: "listen(n) queues n+1; the rest are dropped, not refused",
    claim: "With listen(n) and nobody accepting, n+1 connects complete; further clients stay in SYN_SENT (SYN dropped, retried \
        after 1 s, 3 s, ...). Nobody gets ECONNREFUSED. n is not a limit on connections.",
    why: "Backlog overflow shows as 1-second connect latencies, not errors. Use a large backlog (std and mio 1.2 both pass 128, \
        so 129 queue; socket2 listen(n) for more), and drain accept fully. Tutorials say \"max 5 connections\": wrong.",
    source: "listen(2); UNP 4.5; other systems use 1.5n",
    needs: &[],
    run: what_a_backlog_is,
    helper: None,
};

fn what_a_backlog_is(lab: &mut Lab) -> Result<(), Stop> {
    for backlog in [0, 1, 5] {
        lab.step("A listener that does not accept, as many clients as it has room for, and one more");
        let (listener, at) = listener_with(lab, backlog)?;
        let (_connected, waiting) = fill_queue(at, backlog + 1)?;
        lab.expect(format!("connections that wait with listen({backlog})"), queue_length(at)?, backlog + 1);
        lab.expect("one more client stays unconnected", stays_unconnected(&waiting)?, true);
        lab.expect("its state", proc_net::state(net::address(&waiting)?, at)?, "SYN_SENT");
        lab.expect("its SO_ERROR", so_error(&waiting)?, "0");
        lab.expect("connections that wait", queue_length(at)?, backlog + 1);
        drop(listener);
    }

    lab.step("Room for one: the client that waits is connected when it repeats its SYN");
    let (listener, at) = listener_with(lab, 0)?;
    let begun = Instant::now();
    let (_connected, waiting) = fill_queue(at, 1)?;
    let _first = lab.call("accept(listener)", listener.accept().map(|(server, _)| server))?;
    wait::until("the client was not connected", || Ok(peer(&waiting).is_ok()))?;
    let latency = begun.elapsed().as_millis();
    lab.expect("its peer", peer(&waiting), at);
    lab.expect("its SO_ERROR", so_error(&waiting)?, "0");
    lab.number("time until it was, ms", latency, "the SYN's timer of 1 s, and load");

    lab.step("The backlog limits who waits, not who is connected: five at a time through a queue for one");
    let (listener, _) = listener_with(lab, 0)?;
    let pairs: io::Result<Vec<_>> = (0..5).map(|_| net::pair_of(&listener, net::socket()?)).collect();
    let pairs = pairs?;
    let alive = pairs.iter().filter(|(client, server)| exchange(client, server).is_ok()).count();
    lab.expect("connections that work, with listen(0)", alive, 5usize);
    Ok(())
}

fn listener_with(lab: &mut Lab, backlog: i32) -> io::Result<(Socket, SocketAddr)> {
    let listener = net::socket()?;
    listener.bind(&net::anywhere().into())?;
    lab.call(format!("listen(listener, {backlog})"), listener.listen(backlog))?;
    let at = net::address(&listener)?;
    Ok((listener, at))
}

/// So many clients that are connected and wait to be accepted, and one more that has sent its SYN.
fn fill_queue(listener: SocketAddr, room: i32) -> io::Result<(Vec<Socket>, Socket)> {
    let mut connected = Vec::new();
    for _ in 0..room {
        let client = net::socket()?;
        connect(&client, listener)?;
        connected.push(client);
        // The last packet of the handshake puts it there; the next SYN must not overtake it.
        wait::until("it was not queued", || Ok(queue_length(listener)? >= connected.len() as u64))?;
    }
    let waiting = client()?;
    let _pending = connect(&waiting, listener);
    Ok((connected, waiting))
}

fn stays_unconnected(client: &Socket) -> io::Result<bool> {
    wait::stays_false(|| Ok(peer(client).is_ok()))
}

fn queue_length(listener: SocketAddr) -> io::Result<u64> {
    Ok(proc_net::listener(listener)?.map_or(0, |row| row.receive_queue))
}

fn exchange(client: &Socket, server: &Socket) -> io::Result<()> {
    client.send(b"x")?;
    drain::exactly(server, 1).map(drop)
}

const A02: Experiment = Experiment {
    id: "A02",
    core: false,
    title: "Looking at the accept queue; listen() clamps and can be called again",
    claim: "TCP_INFO on a listener gives tcpi_unacked = queue length and tcpi_sacked = limit. The limit is min(backlog, \
        somaxconn). listen() again changes it.",
    why: "The cheapest overload signal a server has (ss -lt shows the same as Recv-Q/Send-Q).",
    source: "listen(2) somaxconn, 4096 since Linux 5.4; ss(8)",
    needs: &[Need::Python],
    run: looking_at_the_queue,
    helper: None,
};

fn looking_at_the_queue(lab: &mut Lab) -> Result<(), Stop> {
    lab.step("A listener with a backlog of 5, and three clients that wait to be accepted");
    let (listener, at) = listener_with(lab, 5)?;
    let mut python = Python::with(&listener)?;
    let mut clients = Vec::new();
    for length in 1..=3u64 {
        let client = net::socket()?;
        connect(&client, at)?;
        clients.push(client);
        wait::until("it was not queued", || Ok(queue_length(at)? >= length))?;
    }
    expect_queue(lab, &mut python, "(3, 5)")?;
    lab.expect("queued, in /proc/net/tcp", queue_length(at)?, 3u64);

    lab.step("One is accepted");
    lab.call("accept(listener)", listener.accept().map(|(server, _)| server))?;
    expect_queue(lab, &mut python, "(2, 5)")?;

    lab.step("listen() again changes the limit, and keeps the queue; more than somaxconn is not to be had");
    lab.call("listen(listener, 9)", listener.listen(9))?;
    expect_queue(lab, &mut python, "(2, 9)")?;
    let most = std::fs::read_to_string("/proc/sys/net/core/somaxconn")?;
    let most: i32 = most.trim().parse().map_err(io::Error::other)?;
    lab.number("net.core.somaxconn", most, "the settings of this machine");
    lab.call("listen(listener, somaxconn + 1000)", listener.listen(most.saturating_add(1000)))?;
    expect_queue(lab, &mut python, &format!("(2, {most})"))?;

    lab.step("A limit below what is queued already: those stay, and nobody else comes in");
    lab.call("listen(listener, 0)", listener.listen(0))?;
    let late = client()?;
    let result = lab.call("connect(late, listener)", connect(&late, at));
    lab.expect("connect", result, "EINPROGRESS");
    lab.expect("it stays unconnected", stays_unconnected(&late)?, true);
    expect_queue(lab, &mut python, "(2, 0)")?;
    Ok(())
}

/// Python reads TCP_INFO. `struct tcp_info` in linux/tcp.h: eight bytes, four numbers, then these two.
fn expect_queue(lab: &mut Lab, python: &mut Python, claimed: &str) -> io::Result<()> {
    let ask = "struct.unpack_from('=II', s.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104), 24)";
    let info = lab.call("python: s.getsockopt(IPPROTO_TCP, TCP_INFO)", python.ask(ask))?;
    lab.expect("tcpi_unacked, tcpi_sacked: queued, limit", info, claimed);
    Ok(())
}

const A05: Experiment = Experiment {
    id: "A05",
    core: true,
    title: "EMFILE: accept fails, the connection stays queued, the listener stays readable",
    claim: "At the descriptor limit accept returns EMFILE without taking the connection; a level-triggered poll keeps reporting IN \
        (busy loop); an edge-triggered one reports nothing more for the waiting client. EMFILE is returned even when the queue \
        is empty. After closing one fd the same connection is accepted.",
    why: "Handle EMFILE/ENFILE explicitly: stop accepting, remember \"accept pending\", retry when a connection closes or on a \
        timer; or keep a reserve fd to accept-and-close. A loop \"until WouldBlock\" spins for ever on it.",
    source: "accept(2) EMFILE; libev doc \"special problem of accept()ing when you can't\"",
    needs: &[],
    run: out_of_descriptors,
    helper: None,
};

fn out_of_descriptors(lab: &mut Lab) -> Result<(), Stop> {
    lab.step("A non-blocking listener, watched by two epolls, and a client that does not connect yet");
    let (listener, client) = (net::listener()?, net::socket()?);
    set_nonblocking(&listener, true)?;
    let (level, edge) = (Epoll::new()?, Epoll::new()?);
    level.add(&listener, 1, EventFlags::IN)?;
    edge.add(&listener, 1, EventFlags::IN | EventFlags::ET)?;

    lab.step("We lower our own limit, and open files until there is no descriptor left");
    let mut reserve = use_up_descriptors(lab)?;
    let result = lab.call("accept(listener)", listener.accept().map(|(server, _)| server));
    lab.expect("accept from an empty queue", result.map(drop), "EMFILE");

    lab.step("The client connects: the kernel does that without us");
    lab.call("connect(c, listener)", client.connect(&listener.local_addr()?))?;
    lab.expect("epoll, edge-triggered", mask(&edge.wait()?), EventFlags::IN);
    for _ in 0..3 {
        lab.expect("epoll, level-triggered, before accept", mask(&level.wait()?), EventFlags::IN);
        let result = lab.call("accept(listener)", listener.accept().map(|(server, _)| server));
        lab.expect("accept", result.map(drop), "EMFILE");
    }
    lab.expect("epoll, level-triggered, after accept", mask(&level.now()?), EventFlags::IN);
    lab.expect("epoll, edge-triggered, while we look", mask(&edge.wait_quietly()?), "nothing");

    drop(reserve.pop());
    accept_with_one_descriptor(lab, &listener, &client)?;
    lab.expect("epoll, level-triggered", mask(&level.now()?), "nothing");
    Ok(())
}

fn accept_with_one_descriptor(lab: &mut Lab, listener: &Socket, client: &Socket) -> Result<(), Stop> {
    lab.step("One descriptor was closed, and accept is called again");
    let accepted = listener.accept().map(|(server, from)| (server, from.as_socket()));
    let (server, from) = lab.call("accept(listener)", accepted)?;
    lab.expect("whom it accepted, the client that has waited", from, net::address(client)?);
    client.send(b"hello")?;
    lab.expect("recv(s, 5)", drain::exactly(&server, 5)?, b"hello");
    let result = lab.call("accept(listener)", listener.accept().map(|(server, _)| server));
    lab.expect("accept from an empty queue, when none is left again", result.map(drop), "EMFILE");
    Ok(())
}

/// Opens files until EMFILE, below a limit of our own that is not far.
fn use_up_descriptors(lab: &mut Lab) -> Result<Vec<File>, Stop> {
    const LIMIT: u64 = 64;
    let maximum = getrlimit(Resource::Nofile).maximum;
    let limit = Rlimit { current: Some(LIMIT), maximum };
    lab.call("setrlimit(RLIMIT_NOFILE, 64)", setrlimit(Resource::Nofile, limit))?;
    let mut files = Vec::new();
    let error = loop {
        match File::open("/dev/null") {
            Ok(file) => files.push(file),
            Err(error) => break error,
        }
    };
    let result = lab.call("open(\"/dev/null\")", Err::<(), _>(error));
    lab.expect("open, at last", result, "EMFILE");
    Ok(files)
}
