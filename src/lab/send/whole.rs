//! Writes of everything, and of nothing.

use std::io::Write;
use std::net::TcpStream;

use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, send, sendto, socketpair};

use crate::lab::experiment::{Experiment, Need, Page};
use crate::lab::notebook::{Lab, Stop};
use crate::lab::tools::descriptor::set_nonblocking;
use crate::lab::tools::python::Python;
use crate::lab::tools::{drain, hangup, net, receive, script, wait};

pub(super) const PAGE: Page =
    Page { path: "src/lab/send/whole.rs", text: include_str!("whole.rs"), experiments: &[S03, S09] };

/// More than all buffers between two sockets of ours.
const MUCH: usize = 4 * 1024 * 1024;

const S03: Experiment = Experiment {
    id: "S03",
    core: true,
    title: "sendall on a non-blocking socket loses the count",
    claim: "sendall (and Rust's write_all) on a non-blocking socket fails with EAGAIN after it has sent some first part; the error \
        carries no count; the peer did receive that part. With settimeout it is the same at the timeout.",
    why: "After such an error the stream is of no use: one can neither send again nor go on. Write with a cursor instead.",
    source: "Python's socket.sendall: \"there is no way to determine how much data, if any, was successfully sent\"; Rust \
        io::Write::write_all",
    needs: &[Need::Python],
    run: sendall_loses_the_count,
    helper: None,
};

/// What a careful program would ask the exception for.
const SENDALL: &str = "
def sendall():
    try:
        s.sendall(b'x' * 4194304)
    except OSError as e:
        return errno.errorcode.get(e.errno, type(e).__name__), hasattr(e, 'characters_written')
";

fn sendall_loses_the_count(lab: &mut Lab) -> Result<(), Stop> {
    lab.step("Rust: write_all of 4 MiB on a non-blocking stream");
    let (client, server) = net::pair()?;
    set_nonblocking(&client, true)?;
    let mut stream = TcpStream::from(client);
    let result = lab.call("TcpStream::write_all(4 MiB)", stream.write_all(&vec![b'x'; MUCH]));
    lab.expect("write_all when the buffers are full", &result, "EAGAIN");
    let inner = result.err().is_some_and(|error| error.get_ref().is_some());
    lab.expect("the error has anything but its number", inner, false);
    drop(stream);
    part_came(lab, drain::to_end(&server)?);

    for (mode, error) in [("s.setblocking(False)", "'EAGAIN'"), ("s.settimeout(0.05)", "'TimeoutError'")] {
        lab.step("Python: sendall of 4 MiB, without waiting, and then with a timeout");
        let (client, server) = net::pair()?;
        let mut python = Python::with(&client)?;
        script::define(&mut python, SENDALL)?;
        lab.call(format!("python: {mode}"), python.ask(mode))?;
        let result = lab.call("python: s.sendall(4 MiB)", python.ask("sendall()"))?;
        lab.expect("the error, and whether it has a count", result, format!("({error}, False)"));
        drop((python, client));
        part_came(lab, drain::to_end(&server)?);
    }
    Ok(())
}

/// What the peer got before the error.
fn part_came(lab: &mut Lab, received: usize) {
    lab.number("bytes the peer received", received, "the buffers, and when the acknowledgements came");
    let is_part = received > 0 && received < MUCH;
    lab.expect_that("it received a part", "more than 0, less than all", is_part, is_part);
}

const S09: Experiment = Experiment {
    id: "S09",
    core: false,
    title: "Zero-length send",
    claim: "send(b\"\") on TCP returns 0 and puts nothing on the wire: the peer still has EAGAIN. On UDP it sends a real, empty \
        datagram. On SOCK_SEQPACKET it is an empty record, which the receiver cannot tell from the end.",
    why: "An empty write is no keep-alive on TCP, and Ok(0) from a write of nothing is no error.",
    source: "send(2); UNP 8.4; socket(2) SOCK_SEQPACKET",
    needs: &[],
    run: sending_nothing,
    helper: None,
};

fn sending_nothing(lab: &mut Lab) -> Result<(), Stop> {
    lab.step("TCP");
    let (client, server) = net::pair()?;
    let result = lab.call("send(c, \"\")", client.send(b""));
    lab.expect("an empty send", &result, 0usize);
    lab.expect("the peer hears nothing", wait::stays_unreadable(&server)?, true);
    let result = lab.call("recv(s, 64)", receive::count(&server));
    lab.expect("the peer's recv", &result, "EAGAIN");

    lab.step("UDP");
    let (sender, receiver) = (net::udp()?, net::udp()?);
    let to = net::address(&receiver)?;
    let result = lab.call("sendto(u1, \"\")", sendto(&sender, b"", SendFlags::empty(), &to));
    lab.expect("an empty sendto", &result, 0usize);
    wait::readable(&receiver)?;
    let result = lab.call("recv(u2, 64)", receive::count(&receiver));
    lab.expect("the datagram", &result, 0usize);
    let result = lab.call("recv(u2, 64)", receive::count(&receiver));
    lab.expect("there was one", &result, "EAGAIN");

    lab.step("SOCK_SEQPACKET: an empty record, then the end");
    let (one, other) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
    let result = lab.call("send(p1, \"\")", send(&one, b"", SendFlags::NOSIGNAL));
    lab.expect("an empty send", &result, 0usize);
    wait::readable(&other)?;
    let read = || receive::bytes(&other, 64, RecvFlags::DONTWAIT).map(|bytes| bytes.len());
    let result = lab.call("recv(p2, 64)", read());
    lab.expect("the empty record", &result, 0usize);
    let result = lab.call("recv(p2, 64)", read());
    lab.expect("it was not the end", &result, "EAGAIN");
    lab.call("close(p1)", hangup::close(one))?;
    wait::readable(&other)?;
    let result = lab.call("recv(p2, 64)", read());
    lab.expect("the end", &result, 0usize);
    Ok(())
}
