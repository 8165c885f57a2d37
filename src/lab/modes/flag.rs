//! O_NONBLOCK: who sets it, who inherits it, and who shares it.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::net::TcpListener;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType, accept, accept_with, recvmsg, sendmsg,
    socket_with,
};
use socket2::{Domain, Socket, Type};

use crate::lab::experiment::{Experiment, Need, Page};
use crate::lab::notebook::{Lab, Stop};
use crate::lab::tools::descriptor::{flag, is_close_on_exec, is_nonblocking, set_nonblocking};
use crate::lab::tools::python::Python;
use crate::lab::tools::{helper, net, wait};

pub(super) const PAGE: Page = Page {
    path: "src/lab/modes/flag.rs",
    text: include_str!("flag.rs"),
    experiments: &[M01, M03, M04, M05, M07],
};

const M01: Experiment = Experiment {
    id: "M01",
    core: true,
    title: "What each Python mode call does to the descriptor",
    claim: "A new socket is blocking (O_NONBLOCK clear). setblocking(False) == settimeout(0): O_NONBLOCK set. \
        settimeout(t>0) ALSO sets O_NONBLOCK and then waits with poll() inside Python. setblocking(True) == \
        settimeout(None): O_NONBLOCK cleared.",
    why: "settimeout(t) is an emulation in the library, not a third kernel mode. The kernel knows only one bit. A \
        reactor wants that bit set and no library waiting on top.",
    source: "fcntl(2) O_NONBLOCK; Python socket docs \"Notes on socket timeouts\"",
    needs: &[Need::Python],
    run: mode_calls_of_python,
    helper: None,
};

fn mode_calls_of_python(lab: &mut Lab) -> Result<(), Stop> {
    lab.step("A socket as the kernel makes it");
    let new = lab.call("socket(AF_INET, SOCK_STREAM)", Socket::new(Domain::IPV4, Type::STREAM, None))?;
    lab.expect("O_NONBLOCK of a new socket", flag(is_nonblocking(&new)?), "clear");

    lab.step("Python is handed our end of a connection; we set the bit the other way first, and read it afterwards");
    let (client, _server) = net::pair()?;
    let mut python = Python::with(&client)?;
    for (call, claimed) in [
        ("s.setblocking(False)", "set"),
        ("s.settimeout(0)", "set"),
        ("s.settimeout(0.05)", "set"),
        ("s.setblocking(True)", "clear"),
        ("s.settimeout(None)", "clear"),
    ] {
        set_nonblocking(&client, claimed == "clear")?;
        lab.call(format!("python: {call}"), python.ask(call))?;
        lab.expect(format!("O_NONBLOCK after {call}"), flag(is_nonblocking(&client)?), claimed);
    }

    lab.step("With a timeout the kernel's bit is set, and yet Python waits");
    python.ask("s.settimeout(0.05); begun = time.monotonic()")?;
    let result = lab.call("python: s.recv(16)", python.ask("s.recv(16)"))?;
    let waited = lab.call("python: waited >= 0.05", python.ask("time.monotonic() - begun >= 0.05"))?;
    lab.expect("O_NONBLOCK meanwhile", flag(is_nonblocking(&client)?), "set");
    lab.expect(
        "the error is the library's own, not the kernel's EAGAIN",
        result,
        "TimeoutError without errno",
    );
    lab.expect("Python waited for the timeout", waited, "True");
    Ok(())
}

const M03: Experiment = Experiment {
    id: "M03",
    core: true,
    title: "accept() does not inherit O_NONBLOCK on Linux",
    claim: "A socket accepted with accept(2) from a non-blocking listener is blocking. accept4(SOCK_NONBLOCK|SOCK_CLOEXEC) \
        sets it atomically. (BSD/macOS accept does inherit.)",
    why: "Forgetting to set the accepted socket non-blocking stalls the whole reactor on the first slow client. mio uses \
        accept4 with both flags; std::net::TcpListener::accept gives a BLOCKING stream even when the listener is \
        non-blocking.",
    source: "accept(2) \"the new socket does not inherit file status flags such as O_NONBLOCK\"; UNP 16.6",
    needs: &[],
    run: accepted_sockets_are_blocking,
    helper: None,
};

fn accepted_sockets_are_blocking(lab: &mut Lab) -> Result<(), Stop> {
    lab.step("A non-blocking listener, and clients that wait to be accepted");
    let listener = net::listener()?;
    lab.call("fcntl(listener, F_SETFL, O_NONBLOCK)", set_nonblocking(&listener, true))?;
    lab.expect("O_NONBLOCK of the listener", flag(is_nonblocking(&listener)?), "set");

    lab.step("accept(2), which has no flags");
    let _first = client_of(&listener)?;
    let accepted = lab.call("accept(listener)", accept(&listener))?;
    lab.expect("O_NONBLOCK after accept", flag(is_nonblocking(&accepted)?), "clear");
    lab.expect("FD_CLOEXEC after accept", flag(is_close_on_exec(&accepted)?), "clear");

    lab.step("accept4(2) with both flags");
    let _second = client_of(&listener)?;
    let both = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let accepted = lab.call("accept4(listener, SOCK_NONBLOCK|SOCK_CLOEXEC)", accept_with(&listener, both))?;
    lab.expect("O_NONBLOCK after accept4", flag(is_nonblocking(&accepted)?), "set");
    lab.expect("FD_CLOEXEC after accept4", flag(is_close_on_exec(&accepted)?), "set");

    lab.step("What the standard library gives, and what mio gives, from the same non-blocking listener");
    let standard = TcpListener::from(OwnedFd::from(listener.try_clone()?));
    let _third = client_of(&listener)?;
    let (stream, _) = lab.call("std::net::TcpListener::accept()", standard.accept())?;
    lab.expect("O_NONBLOCK of std's stream", flag(is_nonblocking(&stream)?), "clear");
    let _fourth = client_of(&listener)?;
    let (stream, _) =
        lab.call("mio::net::TcpListener::accept()", mio::net::TcpListener::from_std(standard).accept())?;
    lab.expect("O_NONBLOCK of mio's stream", flag(is_nonblocking(&stream)?), "set");
    Ok(())
}

/// A client that is connected and waits to be accepted.
fn client_of(listener: &Socket) -> io::Result<Socket> {
    let client = net::socket()?;
    client.connect(&listener.local_addr()?)?;
    wait::readable(listener)?;
    Ok(client)
}

const M04: Experiment = Experiment {
    id: "M04",
    core: false,
    title: "What accepted sockets DO inherit from the listener",
    claim: "Socket options set on the listener (SO_RCVBUF, SO_SNDBUF, SO_KEEPALIVE, SO_LINGER, SO_REUSEADDR, TCP_NODELAY) are \
        inherited by accepted sockets on Linux; file status flags are not.",
    why: "SO_RCVBUF must be set on the listener (before the handshake) to affect the window scale. TCP_NODELAY on the \
        listener saves a syscall per connection but is not portable: set it per connection.",
    source: "tcp(7); socket(7); UNP 7.4; that TCP_NODELAY is inherited is not promised by POSIX",
    needs: &[],
    run: accepted_sockets_inherit_options,
    helper: None,
};

fn accepted_sockets_inherit_options(lab: &mut Lab) -> Result<(), Stop> {
    const LINGER: Duration = Duration::from_secs(3);
    lab.step("A listener that differs from a new socket in every option");
    let listener = net::listener()?;
    lab.call("setsockopt(listener, SO_KEEPALIVE, 1)", listener.set_keepalive(true))?;
    lab.call("setsockopt(listener, SO_LINGER, {1, 3})", listener.set_linger(Some(LINGER)))?;
    lab.call("setsockopt(listener, SO_REUSEADDR, 1)", listener.set_reuse_address(true))?;
    lab.call("setsockopt(listener, TCP_NODELAY, 1)", listener.set_tcp_nodelay(true))?;
    lab.call("fcntl(listener, F_SETFL, O_NONBLOCK)", set_nonblocking(&listener, true))?;

    lab.step("What it accepts; for comparison, a socket that was never a listener");
    let _client = client_of(&listener)?;
    let accepted: Socket = lab.call("accept(listener)", accept(&listener))?.into();
    let other = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    let receives = listener.recv_buffer_size()?;
    let sends = listener.send_buffer_size()?;
    lab.expect("SO_RCVBUF, as the listener's", accepted.recv_buffer_size()?, receives);
    lab.expect("SO_SNDBUF, as the listener's", accepted.send_buffer_size()?, sends);
    lab.expect("SO_KEEPALIVE", (accepted.keepalive()?, other.keepalive()?), "true, false");
    let linger = (accepted.linger()? == Some(LINGER), other.linger()?.is_some());
    lab.expect("SO_LINGER of 3 s", linger, "true, false");
    lab.expect("SO_REUSEADDR", (accepted.reuse_address()?, other.reuse_address()?), "true, false");
    lab.expect("TCP_NODELAY", (accepted.tcp_nodelay()?, other.tcp_nodelay()?), "true, false");
    lab.expect("O_NONBLOCK", flag(is_nonblocking(&accepted)?), "clear");
    lab.number("SO_RCVBUF of a new socket, bytes", other.recv_buffer_size()?, "net.ipv4.tcp_rmem");
    Ok(accepted.set_linger(None)?)
}

const M05: Experiment = Experiment {
    id: "M05",
    core: true,
    title: "O_NONBLOCK belongs to the open file description",
    claim: "dup()ed descriptors, forked children and descriptors passed by SCM_RIGHTS share O_NONBLOCK; FD_CLOEXEC is per \
        descriptor. The two ends of a connection are separate descriptions.",
    why: "try_clone() gives a second handle to the same flag: setting one clone blocking silently makes the reactor's copy \
        blocking. The same goes for stdin/stdout inherited from a shell.",
    source: "dup(2); fcntl(2) F_SETFL; unix(7) SCM_RIGHTS",
    needs: &[],
    run: the_flag_is_shared,
    helper: Some(set_stdin_nonblocking),
};

fn the_flag_is_shared(lab: &mut Lab) -> Result<(), Stop> {
    let (client, server) = net::pair()?;
    lab.step("A duplicate in the same process: dup(2), try_clone()");
    let copy = lab.call("dup(c)", rustix::io::dup(&client))?;
    lab.call("fcntl(dup, F_SETFL, O_NONBLOCK)", set_nonblocking(&copy, true))?;
    lab.expect("O_NONBLOCK of c, set on its duplicate", flag(is_nonblocking(&client)?), "set");
    lab.expect("O_NONBLOCK of the other end of the connection", flag(is_nonblocking(&server)?), "clear");
    lab.expect("FD_CLOEXEC of c", flag(is_close_on_exec(&client)?), "set");
    lab.expect("FD_CLOEXEC of its duplicate", flag(is_close_on_exec(&copy)?), "clear");

    lab.step("A child process that has the socket as its standard input, and sets the bit there");
    set_nonblocking(&client, false)?;
    let mut child = helper::start(lab.id(), "", &client)?;
    let status = child.wait()?;
    lab.call("child: fcntl(0, F_SETFL, O_NONBLOCK); exit(0)", Ok::<_, io::Error>(status.to_string()))?;
    lab.expect("O_NONBLOCK of c, set by a child that is gone", flag(is_nonblocking(&client)?), "set");

    lab.step("A descriptor that was passed over a Unix socket");
    let passed = passed_over_a_unix_socket(lab, &client)?;
    lab.call("fcntl(passed, F_SETFL, 0)", set_nonblocking(&passed, false))?;
    lab.expect("O_NONBLOCK of c, cleared on the passed one", flag(is_nonblocking(&client)?), "clear");
    Ok(())
}

fn passed_over_a_unix_socket(lab: &mut Lab, socket: &Socket) -> Result<OwnedFd, Stop> {
    let (from, to) = UnixStream::pair()?;
    let descriptors = [socket.as_fd()];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut message = SendAncillaryBuffer::new(&mut space);
    message.push(SendAncillaryMessage::ScmRights(&descriptors));
    let sent = sendmsg(&from, &[IoSlice::new(b"x")], &mut message, SendFlags::empty());
    lab.call("sendmsg(u1, \"x\", SCM_RIGHTS [c])", sent)?;

    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut message = RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0];
    let received = recvmsg(&to, &mut [IoSliceMut::new(&mut byte)], &mut message, RecvFlags::CMSG_CLOEXEC);
    lab.call("recvmsg(u2, 1)", received.map(|message| message.bytes))?;
    let mut passed = message.drain().filter_map(|part| match part {
        RecvAncillaryMessage::ScmRights(mut descriptors) => descriptors.next(),
        _ => None,
    });
    passed.next().ok_or_else(|| io::Error::other("no descriptor came").into())
}

/// The child's part.
fn set_stdin_nonblocking(_: &str) -> io::Result<()> {
    set_nonblocking(io::stdin(), true)
}

const M07: Experiment = Experiment {
    id: "M07",
    core: false,
    title: "Three ways to set the bit: SOCK_NONBLOCK, fcntl, FIONBIO",
    claim: "socket(type|SOCK_NONBLOCK), fcntl(F_SETFL) and ioctl(FIONBIO) all set the same O_NONBLOCK. SOCK_NONBLOCK saves a \
        syscall.",
    why: "mio creates with SOCK_NONBLOCK|SOCK_CLOEXEC and accepts with accept4; std set_nonblocking uses ioctl(FIONBIO); \
        socket2 uses fcntl. Same bit.",
    source: "socket(2); fcntl(2); ioctl_tty(2) FIONBIO",
    needs: &[],
    run: three_ways_to_one_bit,
    helper: None,
};

fn three_ways_to_one_bit(lab: &mut Lab) -> Result<(), Stop> {
    let new = |flags| socket_with(AddressFamily::INET, SocketType::STREAM, flags, None);
    lab.step("In the call that makes the socket: one call");
    let made = lab.call(
        "socket(AF_INET, SOCK_STREAM|SOCK_NONBLOCK)",
        new(SocketFlags::CLOEXEC | SocketFlags::NONBLOCK),
    )?;
    lab.expect("O_NONBLOCK", flag(is_nonblocking(&made)?), "set");

    lab.step("By fcntl(2), which reads the flags and writes them back: three calls with socket(2)");
    let made = lab.call("socket(AF_INET, SOCK_STREAM)", new(SocketFlags::CLOEXEC))?;
    lab.call("fcntl(s, F_SETFL, flags|O_NONBLOCK)", set_nonblocking(&made, true))?;
    lab.expect("O_NONBLOCK", flag(is_nonblocking(&made)?), "set");

    lab.step("By ioctl(2): two calls; and what one way has set another clears");
    let made = lab.call("socket(AF_INET, SOCK_STREAM)", new(SocketFlags::CLOEXEC))?;
    lab.call("ioctl(s, FIONBIO, 1)", rustix::io::ioctl_fionbio(&made, true))?;
    lab.expect("O_NONBLOCK", flag(is_nonblocking(&made)?), "set");
    lab.call("fcntl(s, F_SETFL, flags&~O_NONBLOCK)", set_nonblocking(&made, false))?;
    lab.expect("O_NONBLOCK", flag(is_nonblocking(&made)?), "clear");
    Ok(())
}
