//! The two buffers: what one asks for, what one gets, and what goes in.

use std::fs;
use std::io;

use rustix::event::epoll::EventFlags;
use rustix::io::{Errno, ioctl_fionread};
use rustix::net::{SendFlags, send};
use socket2::{Domain, Socket, Type};

use crate::lab::experiment::{Experiment, Page};
use crate::lab::notebook::{Lab, Stop};
use crate::lab::tools::epoll::{Epoll, mask};
use crate::lab::tools::{drain, fill, net, proc_net, wait};

pub(super) const PAGE: Page =
    Page { path: "src/lab/send/buffers.rs", text: include_str!("buffers.rs"), experiments: &[S07, S08] };

const S07: Experiment = Experiment {
    id: "S07",
    core: true,
    title: "SO_SNDBUF and SO_RCVBUF: doubled, floored, capped, and no more autotuning",
    claim: "setsockopt(n) stores 2n. There is a minimum (on x86-64 4608 for SO_SNDBUF, 2304 for SO_RCVBUF) and a maximum of twice \
        net.core.wmem_max or rmem_max. Setting either one ends autotuning in that direction. The doubled figure includes \
        bookkeeping: fewer bytes of payload fit.",
    why: "Never compute capacity from getsockopt. For thousands of connections leave autotuning on, or set small buffers on \
        purpose to bound memory.",
    source: "socket(7) SO_SNDBUF, SO_RCVBUF; tcp(7) tcp_wmem, tcp_rmem",
    needs: &[],
    run: what_a_buffer_size_means,
    helper: None,
};

fn what_a_buffer_size_means(lab: &mut Lab) -> Result<(), Stop> {
    let fresh = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    lab.step("Doubled");
    lab.call("setsockopt(SO_SNDBUF, 20000)", fresh.set_send_buffer_size(20_000))?;
    lab.call("setsockopt(SO_RCVBUF, 20000)", fresh.set_recv_buffer_size(20_000))?;
    lab.expect("SO_SNDBUF", fresh.send_buffer_size()?, 40_000usize);
    lab.expect("SO_RCVBUF", fresh.recv_buffer_size()?, 40_000usize);

    lab.step("Floored: 1 and 100 are both too few");
    let mut least = Vec::new();
    for size in [1, 100] {
        fresh.set_send_buffer_size(size)?;
        fresh.set_recv_buffer_size(size)?;
        least.push((fresh.send_buffer_size()?, fresh.recv_buffer_size()?));
    }
    let (sends, receives) = least[0];
    lab.number("the least SO_SNDBUF", sends, "the size of the kernel's own structures");
    lab.number("the least SO_RCVBUF", receives, "the size of the kernel's own structures");
    lab.expect("the same for both", least[0] == least[1], true);
    lab.expect("more than twice 100, both", sends > 200 && receives > 200, true);

    lab.step("Capped");
    fresh.set_send_buffer_size(1 << 30)?;
    fresh.set_recv_buffer_size(1 << 30)?;
    capped(lab, "SO_SNDBUF", fresh.send_buffer_size()?, "wmem_max");
    capped(lab, "SO_RCVBUF", fresh.recv_buffer_size()?, "rmem_max");
    autotuning_ends(lab)?;
    payload_is_less(lab)
}

/// The sysctl cannot be read in a network namespace of an older Linux.
fn capped(lab: &mut Lab, option: &str, size: usize, sysctl: &str) {
    let text = fs::read_to_string(format!("/proc/sys/net/core/{sysctl}")).unwrap_or_default();
    lab.number(format!("{option} after asking for 1 GiB"), size, format!("net.core.{sysctl}"));
    match text.trim().parse::<usize>() {
        Ok(most) => lab.expect_that(
            format!("{option}, twice {sysctl}"),
            (2 * most).to_string(),
            size,
            size == 2 * most,
        ),
        Err(_) => lab.expect_that(option, "less than asked for", size, size < 1 << 30),
    }
}

fn autotuning_ends(lab: &mut Lab) -> Result<(), Stop> {
    lab.step("A transfer of 8 MiB between sockets that nobody has set, and between ours");
    for is_set in [false, true] {
        let new = || if is_set { net::socket() } else { Socket::new(Domain::IPV4, Type::STREAM, None) };
        let listener = new()?;
        listener.bind(&net::anywhere().into())?;
        listener.listen(1)?;
        let client = new()?;
        // The kernel enlarges the send buffer when the connection is made, for the first time.
        let sends = client.send_buffer_size()?;
        let (client, server) = net::pair_of(&listener, client)?;
        let before = (sends, server.recv_buffer_size()?);
        let most = transfer(&client, &server, 8 * 1024 * 1024)?;
        let (sends, receives) = (most.0 > before.0, most.1 > before.1);
        if is_set {
            lab.expect("SO_SNDBUF that was set grew", sends, false);
            lab.expect("SO_RCVBUF that was set grew", receives, false);
        } else {
            lab.number("SO_SNDBUF before and at most", (before.0, most.0), "net.ipv4.tcp_wmem");
            lab.number("SO_RCVBUF before and at most", (before.1, most.1), "net.ipv4.tcp_rmem");
            lab.expect("SO_SNDBUF that was not set grew", sends, true);
            lab.expect("SO_RCVBUF that was not set grew", receives, true);
        }
    }
    Ok(())
}

/// Fills and empties in turn; returns the largest sizes of the two buffers.
fn transfer(client: &Socket, server: &Socket, bytes: usize) -> io::Result<(usize, usize)> {
    let (mut moved, mut most) = (0, (0, 0));
    while moved < bytes {
        let sent = send(client, &[0; 64 * 1024], SendFlags::DONTWAIT | SendFlags::NOSIGNAL);
        let count = match sent {
            Ok(count) => count,
            Err(Errno::AGAIN) => 0,
            Err(error) => return Err(error.into()),
        };
        moved += drain::exactly(server, count)?.len();
        most = (most.0.max(client.send_buffer_size()?), most.1.max(server.recv_buffer_size()?));
    }
    Ok(most)
}

fn payload_is_less(lab: &mut Lab) -> Result<(), Stop> {
    lab.step("Filled: what a receive queue holds is less than the figure");
    let (client, server) = net::pair()?;
    let _taken = fill::until_full(&client)?;
    let row = proc_net::tcp(net::address(&client)?, net::address(&server)?)?;
    lab.number(
        "bytes in the full send queue",
        row.map_or(0, |row| row.send_queue),
        "the kernel's bookkeeping",
    );
    let row = proc_net::tcp(net::address(&server)?, net::address(&client)?)?;
    let (queued, figure) = (row.map_or(0, |row| row.receive_queue), server.recv_buffer_size()? as u64);
    lab.number("SO_RCVBUF", figure, "what we set");
    lab.number("bytes in the full receive queue", queued, "the kernel's bookkeeping");
    lab.expect_that("bytes in the full receive queue", "more than 0, less than SO_RCVBUF", queued, {
        queued > 0 && queued < figure
    });
    Ok(())
}

const S08: Experiment = Experiment {
    id: "S08",
    core: false,
    title: "TCP_NOTSENT_LOWAT bounds what is not sent yet: an earlier EAGAIN, a later EPOLLOUT",
    claim: "With TCP_NOTSENT_LOWAT of n, send takes nothing more (EAGAIN) and EPOLLOUT stays off while n or more bytes are queued \
        but not sent yet, although SO_SNDBUF is far larger.",
    why: "It keeps data in user space, where it can still be put in another order or dropped, and bounds kernel memory for each \
        slow client. It is exceeded by up to what one send brings.",
    source: "tcp(7); kernel documentation, ip-sysctl: tcp_notsent_lowat; LWN 560082",
    needs: &[],
    run: unsent_data_is_bounded,
    helper: None,
};

fn unsent_data_is_bounded(lab: &mut Lab) -> Result<(), Stop> {
    const LOWAT: u64 = 16 * 1024;
    lab.step("A large send buffer, a small receive buffer, and no bound");
    let (client, server, without) = full(lab, None)?;
    let figure = client.send_buffer_size()? as u64;
    lab.number("SO_SNDBUF", figure, "net.core.wmem_max");
    drop((client, server));

    lab.step("The same with a bound of 16 KiB");
    let (client, server, with) = full(lab, Some(LOWAT))?;
    let bounded = with >= LOWAT && with < without && with < figure / 4;
    lab.expect("it is full far earlier, but not before the bound", bounded, true);
    let epoll = Epoll::new()?;
    epoll.add(&client, 1, EventFlags::OUT)?;
    lab.expect("epoll while it is full", mask(&epoll.wait_quietly()?), "nothing");

    lab.step("The peer reads everything");
    let queue = || -> io::Result<u64> {
        let row = proc_net::tcp(net::address(&client)?, net::address(&server)?)?;
        Ok(row.map_or(0, |row| row.send_queue))
    };
    wait::until("it was not all sent", || {
        let waiting = usize::try_from(ioctl_fionread(&server)?).unwrap_or(0);
        drain::exactly(&server, waiting)?;
        Ok(queue()? == 0)
    })?;
    lab.expect("epoll when all is sent", mask(&epoll.wait()?), "OUT");
    Ok(())
}

/// A pair whose client was filled, and how many bytes its send queue has then.
fn full(lab: &mut Lab, bound: Option<u64>) -> Result<(Socket, Socket, u64), Stop> {
    let client = net::socket()?;
    client.set_send_buffer_size(1024 * 1024)?;
    if let Some(bound) = bound {
        let set = client.set_tcp_notsent_lowat(u32::try_from(bound).unwrap_or(u32::MAX));
        lab.call(format!("setsockopt(c, TCP_NOTSENT_LOWAT, {bound})"), set)?;
    }
    let listener = net::listener()?;
    listener.set_recv_buffer_size(8 * 1024)?;
    let (client, server) = net::pair_of(&listener, client)?;
    let taken = fill::until_full(&client)?;
    lab.number("bytes that send took, 4 KiB at a time", taken, "the buffers, and the kernel's bookkeeping");
    let row = proc_net::tcp(net::address(&client)?, net::address(&server)?)?;
    let queued = row.map_or(0, |row| row.send_queue);
    lab.number("of them in the send queue", queued, "what the receiver's window let out");
    Ok((client, server, queued))
}
