//! What a read returns when it brings nothing: not yet, never again, destroyed, or not asked for anything.

use std::io;
use std::os::unix::net::UnixStream;

use rustix::io::{Errno, ioctl_fionread};
use rustix::net::{RecvFlags, SocketFlags, accept_with, connect};
use rustix::pipe::{PipeFlags, pipe_with};
use socket2::Socket;

use crate::lab::experiment::{Experiment, Need, Page};
use crate::lab::notebook::{Lab, Stop};
use crate::lab::tools::descriptor::set_nonblocking;
use crate::lab::tools::python::Python;
use crate::lab::tools::{hangup, net, receive, wait};

pub(super) const PAGE: Page = Page {
    path: "src/lab/recv/nothing.rs",
    text: include_str!("nothing.rs"),
    experiments: &[R01, R02, R03, R04],
};

const R01: Experiment = Experiment {
    id: "R01",
    core: true,
    title: "Would-block is EAGAIN for every call, and EAGAIN == EWOULDBLOCK",
    claim: "On an idle non-blocking descriptor TCP recv, UDP recvfrom, accept on a listener, recv on a Unix socket and read of a \
        pipe all fail with EAGAIN, which is number 11 on Linux and the same number as EWOULDBLOCK. connect is the exception: \
        EINPROGRESS.",
    why: "Rust maps both names to ErrorKind::WouldBlock: match on kind(), not on numbers, because POSIX allows them to differ. \
        EINPROGRESS has a kind of its own, and whoever treats it as an error never connects.",
    source: "recv(2), accept(2), read(2), connect(2) ERRORS; POSIX",
    needs: &[],
    run: every_call_would_block,
    helper: None,
};

fn every_call_would_block(lab: &mut Lab) -> Result<(), Stop> {
    lab.step("Five descriptors on which nothing waits, each of them non-blocking");
    let (client, _server) = net::pair()?;
    let (datagrams, listener) = (net::udp()?, net::listener()?);
    let (unix, _other_end) = UnixStream::pair()?;
    let (pipe, _writer) = pipe_with(PipeFlags::NONBLOCK)?;
    for socket in [&client, &datagrams, &listener] {
        set_nonblocking(socket, true)?;
    }
    set_nonblocking(&unix, true)?;
    let plain = RecvFlags::empty();
    let results = [
        ("recv(tcp, 16)", receive::bytes(&client, 16, plain).map(drop)),
        ("recvfrom(udp, 16)", receive::bytes(&datagrams, 16, plain).map(drop)),
        ("accept(listener)", accept_with(&listener, SocketFlags::empty()).map(drop).map_err(io::Error::from)),
        ("recv(unix, 16)", receive::bytes(&unix, 16, plain).map(drop)),
        ("read(pipe, 16)", rustix::io::read(&pipe, &mut [0; 16]).map(drop).map_err(io::Error::from)),
    ];
    for (call, result) in results {
        let result = lab.call(call, result);
        lab.expect(call, &result, "EAGAIN");
        let error = result.err();
        let kind = error.as_ref().map(|error| format!("{:?}", error.kind()));
        lab.expect("its ErrorKind in Rust", kind, "WouldBlock");
        lab.expect("its number", error.and_then(|error| error.raw_os_error()), 11i32);
    }

    lab.step("The two names");
    let both = (Errno::AGAIN.raw_os_error(), Errno::WOULDBLOCK.raw_os_error());
    lab.expect("the numbers of EAGAIN and EWOULDBLOCK", both, "11, 11");

    lab.step("The exception: connect on a non-blocking TCP socket");
    let caller = net::socket()?;
    set_nonblocking(&caller, true)?;
    let result = lab.call("connect(c2, listener)", connect(&caller, &net::address(&listener)?));
    lab.expect("connect, even on the loopback", &result, "EINPROGRESS");
    Ok(())
}

const R02: Experiment = Experiment {
    id: "R02",
    core: true,
    title: "Three different \"nothing\": EAGAIN, 0, ECONNRESET",
    claim: "No data yet is EAGAIN: the connection lives. The peer's FIN is 0 bytes, again and again for ever, while our own \
        direction still works. The peer's RST is ECONNRESET exactly once, and 0 after that.",
    why: "The whole read path of an event loop is this switch. Taking EAGAIN for an end drops clients that live; taking 0 for \
        \"no data\" spins at 100 % CPU, which many a tutorial's server does.",
    source: "recv(2) RETURN VALUE; UNP 5.12",
    needs: &[],
    run: three_kinds_of_nothing,
    helper: None,
};

fn three_kinds_of_nothing(lab: &mut Lab) -> Result<(), Stop> {
    lab.step("Nothing has been sent: not yet");
    let (client, server) = net::pair()?;
    reads(lab, &client, "an idle connection", "EAGAIN");
    reads(lab, &client, "once more", "EAGAIN");
    lab.call("send(s, \"later\")", server.send(b"later"))?;
    wait::queued(&client, 5)?;
    reads(lab, &client, "it was alive all the time", "5");

    lab.step("The peer sends a FIN: never again");
    lab.call("shutdown(s, SHUT_WR)", server.shutdown(std::net::Shutdown::Write))?;
    wait::readable(&client)?;
    for which in ["the first read", "the second", "the third"] {
        reads(lab, &client, &format!("{which} after a FIN"), "0");
    }
    lab.call("send(c, \"still here\")", client.send(b"still here"))?;
    wait::queued(&server, 10)?;
    reads(lab, &server, "our direction still works", "10");
    reads(lab, &client, "and theirs is over as before", "0");

    lab.step("The peer sends a RST: the connection is destroyed, and that is said once");
    let (client, server) = net::pair()?;
    lab.call("setsockopt(s, SO_LINGER, {1, 0}); close(s)", hangup::reset(server))?;
    hangup::reset_arrived(&client)?;
    reads(lab, &client, "the first read after a RST", "ECONNRESET");
    reads(lab, &client, "the second", "0");
    reads(lab, &client, "the third", "0");
    Ok(())
}

/// One recv(2) that does not wait, and what is claimed of it.
fn reads(lab: &mut Lab, socket: &Socket, what: &str, claimed: &str) {
    let result = lab.call("recv(64)", receive::count(socket));
    lab.expect(what, &result, claimed);
}

const R03: Experiment = Experiment {
    id: "R03",
    core: true,
    title: "Bytes received before a RST are still readable, then ECONNRESET",
    claim: "Data in the receive queue survives a RST on Linux: recv returns it first, and the error after it. Whoever asks for \
        SO_ERROR (take_error) first consumes the error: then come the data, and then 0.",
    why: "On EPOLLERR or EPOLLHUP read before you drop the connection, or the last message is lost. And take_error() destroys \
        what it tells: after it a reset looks like a clean end.",
    source: "RFC 9293 3.10.7.4 (a RST may flush the queues, and on other systems it does); socket(7) SO_ERROR",
    needs: &[],
    run: last_words_survive_a_reset,
    helper: None,
};

fn last_words_survive_a_reset(lab: &mut Lab) -> Result<(), Stop> {
    lab.step("The peer sends, and resets the connection before we read");
    let client = reset_after_last_words(lab)?;
    let result = lab.call("recv(c, 64)", receive::bytes(&client, 64, RecvFlags::DONTWAIT));
    lab.expect("the first read after the RST", &result, b"last words");
    reads(lab, &client, "the second", "ECONNRESET");
    reads(lab, &client, "the third", "0");

    lab.step("The same, but SO_ERROR is read first");
    let client = reset_after_last_words(lab)?;
    let error = lab.call("getsockopt(c, SO_ERROR)", client.take_error())?;
    lab.expect("SO_ERROR after the RST", error, "ECONNRESET");
    let error = lab.call("getsockopt(c, SO_ERROR)", client.take_error())?;
    lab.expect("SO_ERROR once more: it was taken", error, "nothing");
    let result = lab.call("recv(c, 64)", receive::bytes(&client, 64, RecvFlags::DONTWAIT));
    lab.expect("the first read", &result, b"last words");
    reads(lab, &client, "the second, which looks like a clean end", "0");
    Ok(())
}

/// A client whose receive queue has ten bytes, and whose connection was reset behind them.
fn reset_after_last_words(lab: &mut Lab) -> Result<Socket, Stop> {
    let (client, server) = net::pair()?;
    lab.call("send(s, \"last words\")", server.send(b"last words"))?;
    wait::queued(&client, 10)?;
    lab.call("setsockopt(s, SO_LINGER, {1, 0}); close(s)", hangup::reset(server))?;
    hangup::reset_arrived(&client)?;
    Ok(client)
}

const R04: Experiment = Experiment {
    id: "R04",
    core: true,
    title: "recv with a zero-length buffer is not EOF",
    claim: "recv(fd, buf, 0) on TCP returns 0 when data is waiting, and consumes nothing; EAGAIN when none is; and 0 at the end \
        of the stream. So 0 from an empty buffer means nothing. Python's recv(0) does not even ask the kernel.",
    why: "Reading into a buffer that is full (an empty `&mut buf[len..]`) yields Ok(0), and the event loop closes a healthy \
        client. Look at the room before reading.",
    source: "recv(2); read(2); that an empty queue gives EAGAIN is Linux's behaviour",
    needs: &[Need::Python],
    run: an_empty_buffer_says_nothing,
    helper: None,
};

fn an_empty_buffer_says_nothing(lab: &mut Lab) -> Result<(), Stop> {
    let (client, server) = net::pair()?;
    let empty = |socket: &Socket| receive::bytes(socket, 0, RecvFlags::DONTWAIT).map(|bytes| bytes.len());
    lab.step("Nothing waits");
    let result = lab.call("recv(c, buf, 0)", empty(&client));
    lab.expect("an empty buffer, an empty queue", &result, "EAGAIN");

    lab.step("The same question in Python");
    let mut python = Python::with(&client)?;
    python.ask("s.setblocking(False)")?;
    let result = lab.call("python: s.recv(1)", python.ask("s.recv(1)"))?;
    lab.expect("Python's recv(1)", result, "EAGAIN");
    let result = lab.call("python: s.recv(0)", python.ask("s.recv(0)"))?;
    lab.expect("Python's recv(0) answers by itself", result, "b''");

    lab.step("Three bytes wait");
    lab.call("send(s, \"abc\")", server.send(b"abc"))?;
    wait::queued(&client, 3)?;
    let result = lab.call("recv(c, buf, 0)", empty(&client));
    lab.expect("an empty buffer, bytes in the queue", &result, 0usize);
    let left = lab.call("ioctl(c, FIONREAD)", ioctl_fionread(&client))?;
    lab.expect("bytes that still wait", left, 3u64);

    lab.step("The stream is at its end");
    let read = lab.call("recv(c, 16)", receive::bytes(&client, 16, RecvFlags::DONTWAIT));
    lab.expect("what waited", &read, b"abc");
    lab.call("close(s)", hangup::close(server))?;
    wait::readable(&client)?;
    let result = lab.call("recv(c, buf, 0)", empty(&client));
    lab.expect("an empty buffer at the end of the stream", &result, 0usize);
    reads(lab, &client, "a buffer with room, at the end of the stream", "0");
    Ok(())
}
