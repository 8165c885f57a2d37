//! Unix sockets in their three kinds, and the paths that stay behind.

use std::io::{self, IoSliceMut};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixDatagram, UnixStream};

use rustix::event::epoll::EventFlags;
use rustix::net::sockopt::set_socket_send_buffer_size;
use rustix::net::{RecvAncillaryBuffer, RecvFlags, SendFlags, recv, recvmsg, send};
use socket2::{Domain, SockAddr, Socket, Type};

use crate::lab::experiment::{Experiment, Page};
use crate::lab::notebook::{Lab, Stop};
use crate::lab::tools::epoll::{Epoll, mask};
use crate::lab::tools::folder::Folder;
use crate::lab::tools::{asleep, wait};

pub(super) const PAGE: Page = Page {
    path: "src/lab/unix/sockets.rs",
    text: include_str!("sockets.rs"),
    experiments: &[U01, U02, U03, U04],
};

const U01: Experiment = Experiment {
    id: "U01",
    core: false,
    title: "Unix stream pair: connected at birth, EOF vs reset as in TCP",
    claim: "socketpair ends are connected and unnamed; close gives the peer 0; close with unread data gives the peer ECONNRESET \
        (once, then 0); writing to a closed peer gives EPIPE at once (no grace send as in TCP).",
    why: "Ideal for deterministic unit tests of a connection state machine: no timing, no ports.",
    source: "unix(7); socketpair(2)",
    needs: &[],
    run: a_pair_of_streams,
    helper: None,
};

fn a_pair_of_streams(lab: &mut Lab) -> Result<(), Stop> {
    let mut buffer = [0; 16];
    lab.step("A pair that nobody had to connect");
    let (one, other) = lab.call("socketpair(AF_UNIX, SOCK_STREAM)", UnixStream::pair())?;
    for (what, address) in [("its own address", one.local_addr()?), ("its peer's", one.peer_addr()?)] {
        lab.expect(what, if address.is_unnamed() { "unnamed" } else { "named" }, "unnamed");
    }

    lab.step("One end writes and closes: the other reads, then reads 0, and cannot write even once");
    lab.call("send(u1, \"bye\")", send(&one, b"bye", SendFlags::NOSIGNAL))?;
    drop(one);
    lab.call("close(u1)", Ok::<_, io::Error>(()))?;
    let count =
        lab.call("recv(u2, 16)", recv(&other, &mut buffer, RecvFlags::DONTWAIT).map(|(count, _)| count))?;
    lab.expect("what was written", &buffer[..count], b"bye");
    let result =
        lab.call("recv(u2, 16)", recv(&other, &mut buffer, RecvFlags::DONTWAIT).map(|(count, _)| count));
    lab.expect("the next recv", result, "0");
    let result = lab.call("send(u2, \"x\", MSG_NOSIGNAL)", send(&other, b"x", SendFlags::NOSIGNAL));
    lab.expect("the first send to a peer that has closed", result, "EPIPE");

    lab.step("One end closes without having read: the other is told once");
    let (one, other) = lab.call("socketpair(AF_UNIX, SOCK_STREAM)", UnixStream::pair())?;
    lab.call("send(u2, \"unread\")", send(&other, b"unread", SendFlags::NOSIGNAL))?;
    drop(one);
    lab.call("close(u1)", Ok::<_, io::Error>(()))?;
    for (what, claimed) in [("the first recv", "ECONNRESET"), ("the second", "0")] {
        let result =
            lab.call("recv(u2, 16)", recv(&other, &mut buffer, RecvFlags::DONTWAIT).map(|(count, _)| count));
        lab.expect(what, result, claimed);
    }
    Ok(())
}

const U02: Experiment = Experiment {
    id: "U02",
    core: true,
    title: "SOCK_SEQPACKET: a connection with message boundaries",
    claim: "Three messages are three recvs; a short buffer truncates (MSG_TRUNC) and the rest is gone; EOF is 0, and so is an \
        empty message: ambiguous. Linux marks neither with MSG_EOR.",
    why: "Framing for free between local processes. Not in std; socket2 Type::SEQPACKET.",
    source: "unix(7), socket(2) SOCK_SEQPACKET",
    needs: &[],
    run: messages_over_a_connection,
    helper: None,
};

fn messages_over_a_connection(lab: &mut Lab) -> Result<(), Stop> {
    let (one, other) =
        lab.call("socketpair(AF_UNIX, SOCK_SEQPACKET)", Socket::pair(Domain::UNIX, Type::SEQPACKET, None))?;
    lab.step("Three messages, then three recvs with a large buffer");
    for message in ["a", "bcd", "ef"] {
        lab.call(format!("send(u1, \"{message}\")"), one.send(message.as_bytes()))?;
    }
    for message in ["a", "bcd", "ef"] {
        lab.expect("recvmsg(u2, 16): what, and its flags", message_of(&other, 16)?, (message, "nothing"));
    }

    lab.step("A buffer that is too small: the rest of the message is gone, and the next is whole");
    lab.call("send(u1, \"abcdef\")", one.send(b"abcdef"))?;
    lab.call("send(u1, \"next\")", one.send(b"next"))?;
    lab.expect("recvmsg(u2, 2): what, and its flags", message_of(&other, 2)?, ("ab", "TRUNC"));
    lab.expect("recvmsg(u2, 16): what, and its flags", message_of(&other, 16)?, ("next", "nothing"));

    lab.step("An empty message, and the end: which is which?");
    lab.call("send(u1, \"\")", one.send(b""))?;
    lab.expect("the empty message: what, and its flags", message_of(&other, 16)?, ("", "nothing"));
    let result = lab.call(
        "recv(u2, 16, MSG_DONTWAIT)",
        recv(&other, &mut [0; 16], RecvFlags::DONTWAIT).map(|(count, _)| count),
    );
    lab.expect("after it", result, "EAGAIN");
    drop(one);
    lab.call("close(u1)", Ok::<_, io::Error>(()))?;
    lab.expect("the end: what, and its flags", message_of(&other, 16)?, ("", "nothing"));
    Ok(())
}

/// Receives one message with a buffer of `size` bytes: what came, and the names of its flags.
fn message_of(socket: &Socket, size: usize) -> io::Result<(String, String)> {
    let mut buffer = vec![0; size];
    let mut none = RecvAncillaryBuffer::new(&mut []);
    let message = recvmsg(socket, &mut [IoSliceMut::new(&mut buffer)], &mut none, RecvFlags::DONTWAIT)?;
    let names: Vec<&str> = message.flags.iter_names().map(|(name, _)| name).collect();
    let names = if names.is_empty() { "nothing".to_owned() } else { names.join("|") };
    Ok((String::from_utf8_lossy(&buffer[..message.bytes]).into_owned(), names))
}

const U03: Experiment = Experiment {
    id: "U03",
    core: false,
    title: "Unix datagrams are reliable: a full queue gives EAGAIN, not loss",
    claim: "Sending to a Unix datagram socket whose queue is full returns EAGAIN (blocking: waits); nothing is lost; receiving one \
        makes room again, and a connected sender then gets OUT. Message boundaries kept; no receiver: ECONNREFUSED.",
    why: "Unlike UDP this has back-pressure, e.g. a syslog socket can block you.",
    source: "unix(7); net.unix.max_dgram_qlen: one more fits",
    needs: &[],
    run: datagrams_that_are_not_lost,
    helper: None,
};

fn datagrams_that_are_not_lost(lab: &mut Lab) -> Result<(), Stop> {
    lab.step("A receiver that does not receive, and a non-blocking sender that is connected to it");
    let (sender, receiver) = datagram_pair()?;
    let epoll = Epoll::new()?;
    epoll.add(&sender, 1, EventFlags::OUT)?;
    lab.expect("epoll before", mask(&epoll.wait()?), EventFlags::OUT);

    lab.step("Datagrams that say \"1\", \"2\", \"3\", ... until one is refused");
    let sent = send_until_refused(&sender)?;
    let result = lab.call("send(u1, ...)", sender.send(b"x"));
    lab.expect("the next send", result, "EAGAIN");
    let queue = longest_queue()?;
    lab.number("net.unix.max_dgram_qlen", queue, "the settings of this machine");
    lab.expect("datagrams taken, one more than max_dgram_qlen", sent, queue + 1);
    lab.expect("epoll now", mask(&epoll.wait_quietly()?), "nothing");

    lab.step("A blocking sender waits instead; one datagram is received, and it goes on");
    lab.call("fcntl(u1, F_SETFL, 0)", sender.set_nonblocking(false))?;
    let waiting = sender.try_clone()?;
    let mut waiting = asleep::start(move || waiting.send(b"the last"))?;
    lab.expect("send is asleep", waiting.stays_asleep()?, true);
    let mut texts = vec![text_of(&receiver)?];
    lab.expect("the blocking send", waiting.woken()?, 8usize);

    lab.step("Every datagram is there, in order, each by itself; now there is room");
    for _ in 0..sent {
        texts.push(text_of(&receiver)?);
    }
    let mut claimed: Vec<String> = (1..=sent).map(|number| number.to_string()).collect();
    claimed.push("the last".to_owned());
    lab.expect("what was received", texts.join(", "), claimed.join(", "));
    lab.expect("epoll", mask(&epoll.wait()?), EventFlags::OUT);

    lab.step("The receiver is gone");
    drop(receiver);
    lab.call("close(u2)", Ok::<_, io::Error>(()))?;
    let result = lab.call("send(u1, \"x\")", sender.send(b"x"));
    lab.expect("a send to nobody", result, "ECONNREFUSED");
    Ok(())
}

/// A sender that is connected to a receiver, which is connected to nobody: between the ends of a socketpair there is no queue to
/// be full, only the sender's buffer. That is large here, so that it is not what is full.
fn datagram_pair() -> io::Result<(UnixDatagram, UnixDatagram)> {
    let receiver = Socket::new(Domain::UNIX, Type::DGRAM, None)?;
    receiver.bind(&SockAddr::unix("")?)?;
    let receiver = UnixDatagram::from(OwnedFd::from(receiver));
    let sender = UnixDatagram::unbound()?;
    sender.set_nonblocking(true)?;
    set_socket_send_buffer_size(&sender, 1024 * 1024)?;
    sender.connect_addr(&receiver.local_addr()?)?;
    Ok((sender, receiver))
}

fn longest_queue() -> io::Result<usize> {
    let text = std::fs::read_to_string("/proc/sys/net/unix/max_dgram_qlen")?;
    text.trim().parse().map_err(io::Error::other)
}

fn send_until_refused(sender: &UnixDatagram) -> io::Result<usize> {
    const MOST: usize = 5000;
    for sent in 0..MOST {
        match sender.send((sent + 1).to_string().as_bytes()) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(sent),
            Err(error) => return Err(error),
        }
    }
    Ok(MOST)
}

fn text_of(receiver: &UnixDatagram) -> io::Result<String> {
    wait::readable(receiver)?;
    let mut buffer = [0; 64];
    let count = receiver.recv(&mut buffer)?;
    Ok(String::from_utf8_lossy(&buffer[..count]).into_owned())
}

const U04: Experiment = Experiment {
    id: "U04",
    core: false,
    title: "A Unix path stays after close: EADDRINUSE until unlink",
    claim: "bind creates a file; closing the socket leaves it; bind again fails EADDRINUSE even with SO_REUSEADDR; connect to the \
        stale file gives ECONNREFUSED; unlink fixes it; abstract names vanish by themselves.",
    why: "Start-up: connect to test whether a server is alive (ECONNREFUSED = stale), then unlink, then bind.",
    source: "unix(7) \"Pathname sockets\", \"Abstract sockets\"",
    needs: &[],
    run: a_path_that_stays,
    helper: None,
};

fn a_path_that_stays(lab: &mut Lab) -> Result<(), Stop> {
    let unix = || Socket::new(Domain::UNIX, Type::STREAM, None);
    let folder = Folder::new()?;
    let path = folder.path("server");
    let address = SockAddr::unix(&path)?;
    lab.step("A server that binds a path, and ends");
    let server = unix()?;
    lab.call("bind(u, path)", server.bind(&address))?;
    server.listen(1)?;
    lab.expect("the file exists", path.exists(), true);
    lab.expect("connect, while it lives", unix()?.connect(&address), "ok");
    drop(server);
    lab.call("close(u)", Ok::<_, io::Error>(()))?;
    lab.expect("the file exists", path.exists(), true);

    lab.step("The next server cannot bind it, and clients are refused");
    let server = unix()?;
    lab.expect("bind", server.bind(&address), "EADDRINUSE");
    lab.call("setsockopt(u, SO_REUSEADDR, 1)", server.set_reuse_address(true))?;
    lab.expect("bind with SO_REUSEADDR", server.bind(&address), "EADDRINUSE");
    lab.expect("connect to the stale file", unix()?.connect(&address), "ECONNREFUSED");

    lab.step("What helps");
    lab.call("unlink(path)", std::fs::remove_file(&path))?;
    lab.expect("bind after unlink", server.bind(&address), "ok");

    lab.step("An abstract name is gone with its socket");
    let server = unix()?;
    let name = SockAddr::unix(format!("\0oneloop-lab-{}", std::process::id()))?;
    lab.call("bind(u, abstract name)", server.bind(&name))?;
    lab.expect("a second bind, while it lives", unix()?.bind(&name), "EADDRINUSE");
    drop(server);
    lab.call("close(u)", Ok::<_, io::Error>(()))?;
    lab.expect("connect to the name", unix()?.connect(&name), "ECONNREFUSED");
    lab.expect("bind after close", unix()?.bind(&name), "ok");
    Ok(())
}
