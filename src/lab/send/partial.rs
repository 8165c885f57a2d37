//! How much one write takes, and where those bytes are.

use std::io::{self, IoSlice};

use rustix::event::epoll::EventFlags;
use rustix::io::{Errno, ioctl_fionread};
use rustix::net::{SendAncillaryBuffer, SendFlags, send, sendmsg};
use socket2::Socket;

use crate::lab::experiment::{Experiment, Page};
use crate::lab::notebook::{Lab, Stop};
use crate::lab::tools::descriptor::set_nonblocking;
use crate::lab::tools::epoll::{Epoll, mask};
use crate::lab::tools::{drain, fill, net, proc_net, wait};

pub(super) const PAGE: Page = Page {
    path: "src/lab/send/partial.rs",
    text: include_str!("partial.rs"),
    experiments: &[S01, S02, S10, S11],
};

/// More than all buffers between two sockets of ours.
const MUCH: usize = 4 * 1024 * 1024;

const S01: Experiment = Experiment {
    id: "S01",
    core: true,
    title: "A non-blocking send is partial, then EAGAIN",
    claim: "send of more than there is room for returns a short count: more than 0, fewer than asked for. A short count means \
        \"full at that instant\": as the receiver's kernel acknowledges, further sends may take more, until both buffers are \
        full and send returns EAGAIN and takes nothing.",
    why: "Keep what was not taken in the connection's write buffer and wait for writability. Ignoring the count, as every \
        tutorial's conn.send does, loses data in silence.",
    source: "send(2) ERRORS EAGAIN; write(2); UNP 16.2; how many bytes fit depends on tuning",
    needs: &[],
    run: a_send_is_partial,
    helper: None,
};

fn a_send_is_partial(lab: &mut Lab) -> Result<(), Stop> {
    let (client, server) = net::pair()?;
    set_nonblocking(&client, true)?;
    let epoll = Epoll::new()?;
    epoll.add(&client, 1, EventFlags::OUT)?;
    lab.step("4 MiB at once, into buffers of a few dozen KiB, to a peer that does not read");
    lab.expect("epoll before", mask(&epoll.wait()?), "OUT");
    let first = send(&client, &vec![b'x'; MUCH], SendFlags::NOSIGNAL)?;
    lab.number("result of send(c, 4194304)", first, "the buffers, and the kernel's bookkeeping");
    lab.expect_that("it was short", "more than 0, less than 4194304", first, first > 0 && first < MUCH);

    lab.step("Again and again, until nothing more is taken");
    let more = fill::until_full(&client)?;
    lab.number("bytes that further sends took", more, "when the acknowledgements came");
    let result = lab.call("send(c, 1)", send(&client, b"x", SendFlags::NOSIGNAL));
    lab.expect("a send when both buffers are full", &result, "EAGAIN");
    lab.expect("epoll meanwhile", mask(&epoll.wait_quietly()?), "nothing");

    lab.step("The peer reads: exactly what the counts said has come, and there is room again");
    let taken = first + more;
    let received = drain::exactly(&server, taken)?.len();
    lab.expect("bytes the peer read, less those the counts said", received - taken, 0usize);
    lab.expect("and nothing behind them", wait::stays_unreadable(&server)?, true);
    lab.expect("epoll after", mask(&epoll.wait()?), "OUT");
    let result = lab.call("send(c, 1)", send(&client, b"x", SendFlags::NOSIGNAL));
    lab.expect("a send when there is room", &result, 1usize);
    Ok(())
}

const S02: Experiment = Experiment {
    id: "S02",
    core: true,
    title: "Where accepted bytes are: the sender's queue and the receiver's",
    claim: "The bytes that send took are SIOCOUTQ at the sender and FIONREAD at the receiver together, once traffic has settled. \
        A successful send means \"copied to the kernel\", not \"delivered\".",
    why: "Back-pressure can be seen: SIOCOUTQ is what the peer has not acknowledged. A reply is the only proof that the peer's \
        program got anything.",
    source: "tcp(7) SIOCOUTQ, SIOCINQ; proc(5) /proc/net/tcp, whose tx_queue is SIOCOUTQ; UNP 2.11",
    needs: &[],
    run: where_bytes_are,
    helper: None,
};

fn where_bytes_are(lab: &mut Lab) -> Result<(), Stop> {
    let (client, server) = net::pair()?;
    let (here, there) = (net::address(&client)?, net::address(&server)?);
    let queues = || -> io::Result<(u64, u64)> {
        let sender = proc_net::tcp(here, there)?.map_or(0, |row| row.send_queue);
        Ok((sender, ioctl_fionread(&server)?))
    };
    lab.step("A few bytes: they are at the receiver, and its program has not seen them");
    lab.call("send(c, \"hello\")", client.send(b"hello"))?;
    settle(|| Ok(queues()? == (0, 5)))?;
    let (sender, receiver) = queues()?;
    lab.expect("in the sender's queue", sender, 0u64);
    lab.expect("in the receiver's queue", receiver, 5u64);

    lab.step("As many as go in");
    let taken = fill::until_full(&client)? as u64 + 5;
    settle(|| queues().map(|(sender, receiver)| sender + receiver == taken))?;
    let (sender, receiver) = queues()?;
    lab.number("bytes that send took", taken, "the buffers, and the kernel's bookkeeping");
    lab.number("in the sender's queue", sender, "SO_SNDBUF");
    lab.number("in the receiver's queue", receiver, "SO_RCVBUF");
    let both = sender > 0 && receiver > 0;
    lab.expect("each queue has some", both, true);
    let lost = i128::from(taken) - i128::from(sender) - i128::from(receiver);
    lab.expect("bytes taken that are in neither queue", lost.to_string(), "0");

    lab.step("The receiver reads everything: both queues are empty, and no call of the sender's said so");
    let _all = drain::exactly(&server, usize::try_from(taken).unwrap_or(usize::MAX))?;
    settle(|| Ok(queues()? == (0, 0)))?;
    let (sender, receiver) = queues()?;
    lab.expect("in the sender's queue", sender, 0u64);
    lab.expect("in the receiver's queue", receiver, 0u64);
    Ok(())
}

/// Waits for a condition, at most until the deadline; what it is then is observed afterwards.
fn settle(condition: impl FnMut() -> io::Result<bool>) -> io::Result<()> {
    match wait::until("it did not settle", condition) {
        Err(error) if error.kind() != io::ErrorKind::TimedOut => Err(error),
        _ => Ok(()),
    }
}

const S10: Experiment = Experiment {
    id: "S10",
    core: false,
    title: "A vectored send cuts anywhere",
    claim: "sendmsg([header, body]) is one call, but a partial result may end inside any of its parts: the rest has to be \
        resumed from a byte, not from a part.",
    why: "write_vectored saves copying header and body together (and a stall by Nagle's algorithm), but what is left over needs \
        IoSlice::advance_slices.",
    source: "writev(2); sendmsg(2); where it is cut depends on tuning",
    needs: &[],
    run: a_vector_is_cut_anywhere,
    helper: None,
};

fn a_vector_is_cut_anywhere(lab: &mut Lab) -> Result<(), Stop> {
    const HEADER: &[u8] = b"length: 1048576\n";
    let body: Vec<u8> = (0..1024 * 1024u32).map(|at| (at % 251).to_le_bytes()[0]).collect();
    let (client, server) = net::pair()?;
    set_nonblocking(&client, true)?;
    lab.step("A header of 16 bytes and a body of 1 MiB in one call");
    let mut parts = [IoSlice::new(HEADER), IoSlice::new(&body)];
    let mut rest = &mut parts[..];
    let first = vector(&client, rest)?;
    lab.number("result of sendmsg(c, [header, body])", first, "the buffers, and the kernel's bookkeeping");
    let inside = first > HEADER.len() && first < HEADER.len() + body.len();
    lab.expect("it ends inside the body", inside, true);

    lab.step("Resumed from the byte, with advance_slices, while the peer reads");
    let whole = [HEADER, &body].concat();
    IoSlice::advance_slices(&mut rest, first);
    let (mut received, mut cuts) = (Vec::new(), 1u32);
    while received.len() < whole.len() {
        let sent = if rest.is_empty() { Err(Errno::AGAIN) } else { vector(&client, rest) };
        match sent {
            Ok(count) => {
                IoSlice::advance_slices(&mut rest, count);
                cuts += 1;
            }
            Err(Errno::AGAIN) => {
                wait::readable(&server)?;
                let queued = usize::try_from(ioctl_fionread(&server)?).unwrap_or(0);
                received.extend(drain::exactly(&server, queued.max(1))?);
            }
            Err(error) => return Err(error.into()),
        }
    }
    lab.number("calls it took", cuts, "the buffers, and when the peer read");
    lab.expect("the peer has it byte for byte", received == whole, true);
    Ok(())
}

fn vector(socket: &Socket, parts: &[IoSlice<'_>]) -> rustix::io::Result<usize> {
    sendmsg(socket, parts, &mut SendAncillaryBuffer::default(), SendFlags::NOSIGNAL)
}

const S11: Experiment = Experiment {
    id: "S11",
    core: false,
    title: "send succeeds before the server has accepted",
    claim: "The kernel completes the handshake and takes data for a connection that no process has accepted; as much as the \
        receive buffer holds is acknowledged.",
    why: "A server that is stuck still \"accepts\" connections and bytes from where the client is. Time limits belong in the \
        client's protocol.",
    source: "listen(2); UNP 4.5",
    needs: &[],
    run: nobody_has_accepted,
    helper: None,
};

fn nobody_has_accepted(lab: &mut Lab) -> Result<(), Stop> {
    let listener = net::listener()?;
    let client = net::socket()?;
    lab.step("A client connects and sends; the server sleeps");
    lab.call("connect(c, listener)", client.connect(&listener.local_addr()?))?;
    let sent = lab.call("send(c, \"hello\")", client.send(b"hello"))?;
    lab.expect("bytes that send took", sent, 5usize);
    let (here, there) = (net::address(&client)?, net::address(&listener)?);
    wait::until("it was not acknowledged", || {
        Ok(proc_net::tcp(here, there)?.is_some_and(|row| row.send_queue == 0))
    })?;
    let row = proc_net::tcp(there, here)?;
    lab.expect("the state of the server's end", row.map(|row| row.state), "ESTABLISHED");
    lab.expect("bytes acknowledged that no process has accepted", row.map(|row| row.receive_queue), 5u64);

    lab.step("As many as go in");
    let taken = fill::until_full(&client)? + sent;
    let acknowledged = proc_net::tcp(there, here)?.map_or(0, |row| row.receive_queue);
    lab.number("bytes that send took", taken, "both buffers");
    lab.number("of them acknowledged", acknowledged, "SO_RCVBUF of the listener");
    lab.expect_that("more is acknowledged", "more than 5", acknowledged > 5, acknowledged > 5);

    lab.step("The server accepts at last, and everything is there");
    let server = lab.call("accept(listener)", listener.accept().map(|(socket, _)| socket))?;
    let all = drain::exactly(&server, taken)?;
    lab.expect("the first bytes", all[..5].to_vec(), b"hello");
    lab.expect("how many are missing", taken - all.len(), 0usize);
    Ok(())
}
