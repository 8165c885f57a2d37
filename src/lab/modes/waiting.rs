//! What waits, what does not, and what wakes it.

use std::io;
use std::os::fd::{AsRawFd, IntoRawFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::net::{RecvFlags, SendFlags, SocketFlags, accept_with, recv, send, shutdown};
use socket2::Socket;

use crate::lab::experiment::{Experiment, Need, Page};
use crate::lab::notebook::{Lab, Stop};
use crate::lab::tools::descriptor::{flag, is_nonblocking, set_nonblocking};
use crate::lab::tools::python::Python;
use crate::lab::tools::{asleep, drain, fill, net, proc_net, wait};

pub(super) const PAGE: Page = Page {
    path: "src/lab/modes/waiting.rs",
    text: include_str!("waiting.rs"),
    experiments: &[M02, M06, M08, M09],
};

const M02: Experiment = Experiment {
    id: "M02",
    core: true,
    title: "The same empty recv under four modes",
    claim: "recv on an empty connection: blocking waits (woken by data); non-blocking fails at once with EAGAIN; settimeout(t) \
        fails after t with a library timeout that carries no errno; SO_RCVTIMEO on a blocking socket fails after t with \
        the SAME errno EAGAIN.",
    why: "Rust set_read_timeout is SO_RCVTIMEO: its timeout also surfaces as ErrorKind::WouldBlock, so WouldBlock alone \
        does not prove the socket is non-blocking. Only the elapsed time tells them apart.",
    source: "socket(7) SO_RCVTIMEO; recv(2) EAGAIN",
    needs: &[Need::Python],
    run: an_empty_recv_in_four_modes,
    helper: None,
};

fn an_empty_recv_in_four_modes(lab: &mut Lab) -> Result<(), Stop> {
    const TIMEOUT: Duration = Duration::from_millis(60);
    let (client, server) = net::pair()?;
    lab.step("Blocking: a thread waits in recv until data wakes it");
    let mut reader = asleep::start(receiver_of(&client)?)?;
    lab.expect("recv is asleep while nothing arrives", reader.stays_asleep()?, true);
    lab.call("send(s, \"x\")", server.send(b"x"))?;
    let woken = lab.call("recv(c, 16)", reader.woken()?)?;
    lab.expect("bytes that woke it", woken, 1usize);

    lab.step("Non-blocking: recv fails at once");
    set_nonblocking(&client, true)?;
    let result = lab.call("recv(c, 16)", receiver_of(&client)?());
    lab.expect("an empty recv on a non-blocking socket", &result, "EAGAIN");

    lab.step("Python's settimeout: the library waits, and gives up with an error of its own");
    let mut python = Python::with(&client)?;
    python.ask("s.settimeout(0.06)")?;
    let result = lab.call("python: s.recv(16)", python.ask("s.recv(16)"))?;
    lab.expect("an empty recv with settimeout(0.06)", result, "TimeoutError without errno");

    lab.step("SO_RCVTIMEO on a blocking socket: the kernel waits, and gives up with EAGAIN");
    set_nonblocking(&client, false)?;
    lab.call("setsockopt(c, SO_RCVTIMEO, 60 ms)", client.set_read_timeout(Some(TIMEOUT)))?;
    let begun = Instant::now();
    let result = lab.call("recv(c, 16)", receiver_of(&client)?());
    let waited = begun.elapsed();
    lab.expect("an empty recv with SO_RCVTIMEO", &result, "EAGAIN");
    let kind = result.err().map(|error| format!("{:?}", error.kind()));
    lab.expect("its ErrorKind in Rust", kind, "WouldBlock");
    lab.expect("O_NONBLOCK meanwhile", flag(is_nonblocking(&client)?), "clear");
    lab.expect_that(
        "it waited, unlike a non-blocking recv",
        "at least 30 ms",
        millis(waited),
        waited >= TIMEOUT / 2,
    );
    lab.number("time it waited for 60 ms", millis(waited), "the kernel's tick, and load");
    Ok(())
}

/// recv(2) on a duplicate, to be called in whatever thread.
fn receiver_of(socket: &Socket) -> io::Result<impl Fn() -> io::Result<usize> + Send + use<>> {
    let socket = socket.try_clone()?;
    Ok(move || Ok(recv(&socket, &mut [0; 16], RecvFlags::empty())?.0))
}

fn millis(time: Duration) -> String {
    format!("{} ms", time.as_millis())
}

const M06: Experiment = Experiment {
    id: "M06",
    core: true,
    title: "MSG_DONTWAIT: non-blocking for one call",
    claim: "On a blocking socket recv/send with MSG_DONTWAIT returns EAGAIN instead of waiting, and leaves O_NONBLOCK clear. \
        accept has no such flag.",
    why: "The only way to make a single call non-blocking when the descriptor is shared with code that expects blocking.",
    source: "recv(2), send(2) MSG_DONTWAIT; accept(2)",
    needs: &[],
    run: one_call_that_does_not_wait,
    helper: None,
};

fn one_call_that_does_not_wait(lab: &mut Lab) -> Result<(), Stop> {
    let (client, _server) = net::pair()?;
    lab.step("recv on a blocking socket where nothing is queued");
    let result = recv(&client, &mut [0; 16], RecvFlags::DONTWAIT).map(|(count, _)| count);
    let result = lab.call("recv(c, 16, MSG_DONTWAIT)", result);
    lab.expect("an empty recv with MSG_DONTWAIT", &result, "EAGAIN");

    lab.step("send on a blocking socket whose buffers are full");
    let taken = fill::until_full(&client)?;
    lab.number("bytes it took until it was full", taken, "the kernel's bookkeeping");
    let result = lab.call("send(c, 1, MSG_DONTWAIT)", send(&client, b"x", SendFlags::DONTWAIT));
    lab.expect("a send into full buffers with MSG_DONTWAIT", &result, "EAGAIN");
    lab.expect("O_NONBLOCK after both", flag(is_nonblocking(&client)?), "clear");

    lab.step(
        "accept4 refuses the flag; SOCK_NONBLOCK is about the new socket, and accept4 waits all the same",
    );
    let listener = net::listener()?;
    let dont_wait = SocketFlags::from_bits_retain(RecvFlags::DONTWAIT.bits());
    let result = lab.call("accept4(listener, MSG_DONTWAIT)", accept_with(&listener, dont_wait));
    lab.expect("accept4 with MSG_DONTWAIT", result.map(drop), "EINVAL");
    let copy = listener.try_clone()?;
    let mut acceptor = asleep::start(move || accept_with(&copy, SocketFlags::NONBLOCK))?;
    lab.expect("accept4(listener, SOCK_NONBLOCK) is asleep", acceptor.stays_asleep()?, true);
    let caller = net::socket()?;
    lab.call("connect(c2, listener)", caller.connect(&listener.local_addr()?))?;
    let accepted = lab.call("accept4(listener, SOCK_NONBLOCK)", acceptor.woken()?)?;
    lab.expect("O_NONBLOCK of what it accepted", flag(is_nonblocking(&accepted)?), "set");
    Ok(())
}

const M08: Experiment = Experiment {
    id: "M08",
    core: false,
    title: "Changing the mode does not wake a thread already blocked; shutdown does, close does not",
    claim: "The mode is sampled when the call enters the kernel: setting O_NONBLOCK, or closing the descriptor, from another \
        thread leaves a blocked recv blocked; shutdown(SHUT_RD) wakes it with 0.",
    why: "Why thread-per-connection servers need shutdown() to stop their threads, and why an event loop, which never parks \
        inside recv, has no such problem.",
    source: "shutdown(2); close(2) \"it is probably unwise to close file descriptors while they may be in use by system calls \
        in other threads\"; UNP 26",
    needs: &[],
    run: what_wakes_a_blocked_thread,
    helper: None,
};

fn what_wakes_a_blocked_thread(lab: &mut Lab) -> Result<(), Stop> {
    lab.step("A thread is asleep in recv, and another sets O_NONBLOCK on its socket");
    let (client, server) = net::pair()?;
    let mut reader = asleep::start(receiver_of(&client)?)?;
    lab.call("fcntl(c, F_SETFL, O_NONBLOCK)", set_nonblocking(&client, true))?;
    lab.expect("recv is still asleep", reader.stays_asleep()?, true);

    lab.step("shutdown of the reading side");
    lab.call("shutdown(c, SHUT_RD)", shutdown(&client, rustix::net::Shutdown::Read))?;
    let woken = lab.call("recv(c, 16)", reader.woken()?)?;
    lab.expect("what the woken recv returned", woken, 0usize);
    drop((client, server));

    lab.step("Another thread is asleep in recv, and its descriptor is closed under it");
    let (client, server) = net::pair()?;
    let number = client.as_raw_fd();
    let mut reader = asleep::start(receiver_on(client.into()))?;
    lab.call("close(c)", nix::unistd::close(number))?;
    lab.expect("recv is still asleep", reader.stays_asleep()?, true);
    lab.call("send(s, \"x\")", server.send(b"x"))?;
    let woken = lab.call("recv(c, 16)", reader.woken()?)?;
    lab.expect("bytes it received on a descriptor that is closed", woken, 1usize);
    Ok(())
}

/// recv(2) on a descriptor that somebody else closes meanwhile; it is not closed again.
fn receiver_on(socket: OwnedFd) -> impl FnOnce() -> io::Result<usize> + Send {
    move || {
        let received = recv(&socket, &mut [0; 16], RecvFlags::empty());
        let _ = socket.into_raw_fd();
        Ok(received?.0)
    }
}

const M09: Experiment = Experiment {
    id: "M09",
    core: true,
    title: "close() of a non-blocking socket with SO_LINGER(t>0) still blocks",
    claim: "With SO_LINGER on and t>0, close() waits up to t seconds for the peer to acknowledge everything, O_NONBLOCK or not \
        (Linux).",
    why: "One setsockopt turns every close into a possible t-second stall of the whole reactor. Never use a positive linger \
        in an event loop; 0 (RST) or off (background) only.",
    source: "socket(7) SO_LINGER; UNP 7.5; other systems return EWOULDBLOCK",
    needs: &[],
    run: close_waits_with_linger,
    helper: None,
};

fn close_waits_with_linger(lab: &mut Lab) -> Result<(), Stop> {
    lab.step("A non-blocking socket that lingers for 5 s, its buffers full and its peer not reading");
    let (client, server) = full_pair(lab, Some(Duration::from_secs(5)))?;
    let mut closer = asleep::start(move || drop(client))?;
    lab.expect("close is asleep", closer.stays_asleep()?, true);

    lab.step("The peer reads everything");
    let read = drain::to_end(&server)?;
    closer.woken()?;
    lab.call("close(c), once everything is acknowledged", Ok::<_, io::Error>(()))?;
    lab.number("bytes the peer read", read, "the buffers, and the kernel's bookkeeping");

    lab.step("The same with 1 s, and a peer that never reads: close gives up");
    let (client, _server) = full_pair(lab, Some(Duration::from_secs(1)))?;
    let begun = Instant::now();
    drop(client);
    let waited = begun.elapsed();
    lab.call("close(c), after its time", Ok::<_, io::Error>(()))?;
    lab.expect_that(
        "close waited although the socket is non-blocking",
        "at least 500 ms",
        millis(waited),
        waited >= Duration::from_millis(500),
    );
    lab.number("time close waited for 1 s", millis(waited), "the kernel's tick, and load");

    lab.step(
        "Without SO_LINGER close returns while the bytes are still queued; the kernel goes on by itself",
    );
    let (client, server) = full_pair(lab, None)?;
    let (here, there) = (net::address(&client)?, net::address(&server)?);
    drop(client);
    lab.call("close(c)", Ok::<_, io::Error>(()))?;
    let row = proc_net::tcp(here, there)?;
    lab.expect("the state after close", row.map(|row| row.state), "FIN_WAIT1");
    let queued = row.map_or(0, |row| row.send_queue);
    lab.expect_that("bytes still queued after close", "more than 0", queued, queued > 0);
    Ok(())
}

/// A non-blocking client whose buffers, and its peer's, are full.
fn full_pair(lab: &mut Lab, linger: Option<Duration>) -> Result<(Socket, Socket), Stop> {
    let (client, server) = net::pair()?;
    lab.call("fcntl(c, F_SETFL, O_NONBLOCK)", set_nonblocking(&client, true))?;
    if let Some(time) = linger {
        let call = format!("setsockopt(c, SO_LINGER, {{1, {}}})", time.as_secs());
        lab.call(call, client.set_linger(linger))?;
    }
    let taken = fill::until_full(&client)?;
    lab.number("bytes sent until EAGAIN", taken, "the kernel's bookkeeping");
    wait::readable(&server)?;
    Ok((client, server))
}
