//! Calls in the wrong state, and two reads that stop for reasons of their own.

use std::fs::File;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, IntoRawFd};

use rustix::event::epoll::EventFlags;
use rustix::net::{RecvFlags, SendFlags, SocketFlags, accept_with, connect, getpeername, send};
use socket2::{Domain, Socket, Type};

use crate::lab::experiment::{Experiment, Page};
use crate::lab::notebook::{Lab, Stop};
use crate::lab::tools::descriptor::set_nonblocking;
use crate::lab::tools::epoll::{Epoll, mask};
use crate::lab::tools::{net, proc_net, receive, wait};

pub(super) const PAGE: Page =
    Page { path: "src/lab/recv/states.rs", text: include_str!("states.rs"), experiments: &[R07, R09, R10] };

const R07: Experiment = Experiment {
    id: "R07",
    core: false,
    title: "Errors of calls in the wrong state",
    claim: "recv on a TCP socket that was never connected: ENOTCONN; send on it: EPIPE; recv on a listener: ENOTCONN; accept on a \
        socket that does not listen: EINVAL; accept on UDP: EOPNOTSUPP; any call on a closed descriptor: EBADF; on a file: \
        ENOTSOCK. On a socket that is still connecting, getpeername says ENOTCONN, and recv and send say EAGAIN.",
    why: "ENOTCONN is not always a bug: from getpeername on a connecting socket it is \"not yet\". EBADF in an event loop always \
        is one: a token was used after its connection was freed.",
    source: "recv(2), send(2), accept(2), getpeername(2) ERRORS",
    needs: &[],
    run: calls_in_the_wrong_state,
    helper: None,
};

fn calls_in_the_wrong_state(lab: &mut Lab) -> Result<(), Stop> {
    lab.step("A TCP socket that was never connected");
    let fresh = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    fails(lab, "recv(new, 64)", receive::count(&fresh), "ENOTCONN");
    fails(lab, "send(new, 1, MSG_NOSIGNAL)", send_one(&fresh), "EPIPE");
    fails(lab, "accept(new)", accept(&fresh), "EINVAL");

    lab.step("A listener, a UDP socket, and a file");
    let (listener, datagrams, file) = (net::listener()?, net::udp()?, File::open("/dev/null")?);
    fails(lab, "recv(listener, 64)", receive::count(&listener), "ENOTCONN");
    fails(lab, "accept(udp)", accept(&datagrams), "EOPNOTSUPP");
    fails(lab, "recv(file, 64)", receive::count(&file), "ENOTSOCK");

    lab.step("A descriptor that is closed");
    let number = fresh.as_raw_fd();
    lab.call("close(new)", nix::unistd::close(number))?;
    fails(lab, "recv(new, 64)", receive::count(&fresh), "EBADF");
    fails(lab, "send(new, 1)", send_one(&fresh), "EBADF");
    // It is closed already.
    let _ = fresh.into_raw_fd();

    lab.step("A socket that is still connecting: the listener's queue is full, and its SYN is dropped");
    let full = net::socket()?;
    full.bind(&net::anywhere().into())?;
    full.listen(0)?;
    let address = net::address(&full)?;
    let mut callers = Vec::new();
    while callers.len() < 8 && callers.last().is_none_or(|last| getpeername(last).is_ok()) {
        callers.push(caller_of(&full, address)?);
    }
    let Some(connecting) = callers.last() else { return Err(Stop::skip("no caller")) };
    lab.expect("its state", proc_net::state(net::address(connecting)?, address)?, "SYN_SENT");
    fails(lab, "getpeername(c)", getpeername(connecting).map(drop), "ENOTCONN");
    fails(lab, "recv(c, 64)", receive::count(connecting), "EAGAIN");
    fails(lab, "send(c, 1)", send_one(connecting), "EAGAIN");
    Ok(())
}

/// One more socket that calls; if there was room for it, it is connected when this returns.
fn caller_of(listener: &Socket, address: SocketAddr) -> io::Result<Socket> {
    let caller = net::socket()?;
    set_nonblocking(&caller, true)?;
    let _in_progress = connect(&caller, &address);
    // How many a queue holds is another experiment's business; here a quiet while decides.
    let _is_quiet = wait::stays_false(|| Ok(getpeername(&caller).is_ok()))?;
    wait::readable(listener)?;
    Ok(caller)
}

fn send_one(socket: &Socket) -> rustix::io::Result<usize> {
    send(socket, b"x", SendFlags::NOSIGNAL | SendFlags::DONTWAIT)
}

fn accept(socket: &Socket) -> rustix::io::Result<()> {
    accept_with(socket, SocketFlags::CLOEXEC).map(drop)
}

fn fails<T: crate::lab::Show, E: Into<io::Error>>(
    lab: &mut Lab,
    call: &str,
    result: Result<T, E>,
    claimed: &str,
) {
    let result = lab.call(call, result);
    lab.expect(call, &result, claimed);
}

const R09: Experiment = Experiment {
    id: "R09",
    core: false,
    title: "After shutdown(SHUT_RD) of our own: 0 when idle, but later data is still delivered",
    claim: "shutdown(SHUT_RD) on TCP sends nothing to the peer. recv returns 0 at once instead of EAGAIN; yet on Linux bytes that \
        arrive afterwards are acknowledged and can be read.",
    why: "SHUT_RD does not stop a peer from sending, and 0 after it is not \"the peer closed\". To stop reading, drop the \
        interest in reading: that is back-pressure.",
    source: "shutdown(2); UNP 6.6; BSD discards such bytes",
    needs: &[],
    run: shut_for_reading_and_yet_read,
    helper: None,
};

fn shut_for_reading_and_yet_read(lab: &mut Lab) -> Result<(), Stop> {
    let (client, server) = net::pair()?;
    let (here, there) = (net::address(&client)?, net::address(&server)?);
    lab.step("We shut our reading direction");
    let result = lab.call("recv(c, 64)", receive::count(&client));
    lab.expect("before: an idle recv", &result, "EAGAIN");
    lab.call("shutdown(c, SHUT_RD)", client.shutdown(std::net::Shutdown::Read))?;
    let result = lab.call("recv(c, 64)", receive::count(&client));
    lab.expect("after: an idle recv", &result, "0");

    lab.step("The peer hears nothing of it");
    lab.expect("the peer's socket stays silent", wait::stays_unreadable(&server)?, true);
    lab.expect("the state of our end", proc_net::state(here, there)?, "ESTABLISHED");
    lab.expect("the state of the peer's end", proc_net::state(there, here)?, "ESTABLISHED");

    lab.step("And it goes on sending");
    lab.call("send(s, \"late\")", server.send(b"late"))?;
    wait::queued(&client, 4)?;
    let queue = || -> io::Result<_> { Ok(proc_net::tcp(there, here)?.map(|row| row.send_queue)) };
    wait::until("it was not acknowledged", || Ok(queue()? == Some(0)))?;
    lab.expect("bytes of the peer that are not acknowledged", queue()?, 0u64);
    let result = lab.call("recv(c, 64)", receive::bytes(&client, 64, RecvFlags::DONTWAIT));
    lab.expect("recv after SHUT_RD", &result, b"late");
    let result = lab.call("recv(c, 64)", receive::count(&client));
    lab.expect("and idle again", &result, "0");
    Ok(())
}

const R10: Experiment = Experiment {
    id: "R10",
    core: false,
    title: "Urgent data splits the stream and raises EPOLLPRI",
    claim: "After send(b\"abcX\", MSG_OOB) EPOLLPRI is set. An ordinary recv returns \"abc\" and stops at the mark although more \
        is queued; \"X\" is read with MSG_OOB only; the next recv goes on behind it.",
    why: "A short read need not mean \"drained\": the urgent mark is one of the exceptions. mio has it as Interest::PRIORITY. \
        Most protocols should ignore it, but any peer can send it at any time.",
    source: "tcp(7) \"out-of-band data\"; recv(2) MSG_OOB; RFC 6093",
    needs: &[],
    run: urgent_data_splits_the_stream,
    helper: None,
};

fn urgent_data_splits_the_stream(lab: &mut Lab) -> Result<(), Stop> {
    let (client, server) = net::pair()?;
    let (here, there) = (net::address(&client)?, net::address(&server)?);
    let epoll = Epoll::new()?;
    epoll.add(&client, 1, EventFlags::IN | EventFlags::PRI)?;
    lab.step("Ordinary bytes only");
    lab.call("send(s, \"12\")", server.send(b"12"))?;
    wait::queued(&client, 2)?;
    lab.expect("epoll", mask(&epoll.wait()?), "IN");
    let result = lab.call("recv(c, 64)", receive::bytes(&client, 64, RecvFlags::DONTWAIT));
    lab.expect("what came", &result, b"12");

    lab.step("An urgent byte between ordinary ones, all of which have arrived");
    lab.call("send(s, \"abcX\", MSG_OOB)", server.send_out_of_band(b"abcX"))?;
    lab.call("send(s, \"def\")", server.send(b"def"))?;
    wait::until("7 bytes did not arrive", || {
        Ok(proc_net::tcp(here, there)?.is_some_and(|row| row.receive_queue == 7))
    })?;
    lab.expect("epoll", mask(&epoll.wait()?), "IN|PRI");

    lab.step("Read");
    let result = lab.call("recv(c, 64)", receive::bytes(&client, 64, RecvFlags::DONTWAIT));
    lab.expect("up to the mark", &result, b"abc");
    let urgent = || receive::bytes(&client, 64, RecvFlags::OOB | RecvFlags::DONTWAIT);
    let result = lab.call("recv(c, 64, MSG_OOB)", urgent());
    lab.expect("the urgent byte", &result, b"X");
    let result = lab.call("recv(c, 64)", receive::bytes(&client, 64, RecvFlags::DONTWAIT));
    lab.expect("behind the mark", &result, b"def");
    let result = lab.call("recv(c, 64, MSG_OOB)", urgent());
    lab.expect("the urgent byte once more", &result, "EINVAL");
    lab.expect("epoll", mask(&epoll.now()?), "nothing");
    Ok(())
}
