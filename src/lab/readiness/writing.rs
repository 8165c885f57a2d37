//! When epoll says that one may write.

use std::io;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;

use rustix::event::epoll::EventFlags;
use rustix::io::{read, write};
use rustix::net::sockopt::{set_socket_send_buffer_size, socket_send_buffer_size};
use socket2::Socket;

use super::{event, silence};
use crate::lab::experiment::{Experiment, Page};
use crate::lab::notebook::{Lab, Stop};
use crate::lab::tools::descriptor::set_nonblocking;
use crate::lab::tools::epoll::{Epoll, mask};
use crate::lab::tools::select::{poll_now, select_now};
use crate::lab::tools::{drain, fill, net, proc_net, wait};

pub(super) const PAGE: Page = Page {
    path: "src/lab/readiness/writing.rs",
    text: include_str!("writing.rs"),
    experiments: &[E06, E07, E17],
};

const E06: Experiment = Experiment {
    id: "E06",
    core: true,
    title: "Edge-triggered writability: one event at the start, the next after EAGAIN and enough draining",
    claim: "ADD with OUT|ET reports OUT once. A TCP socket that stays writable is not reported again, however much is sent and read. \
        After it was filled to EAGAIN the next OUT comes only when a large part has drained (TCP: what is queued is at most 2/3 of \
        SO_SNDBUF; a Unix stream: 1/4), not at the first free byte. A Unix stream that never was full is reported at each read \
        of its peer all the same.",
    why: "Write first, and wait for OUT only after WouldBlock. Who waits for OUT without having met WouldBlock waits for ever on \
        TCP; an OUT that nobody waits for is normal on a Unix stream.",
    source: "epoll(7); sk_stream_is_writeable() and sk_stream_write_space(); unix_writable() and unix_write_space(), which has no \
        look at whether anybody met EAGAIN",
    needs: &[],
    run: when_writable_is_reported,
    helper: None,
};

fn when_writable_is_reported(lab: &mut Lab) -> Result<(), Stop> {
    lab.step("TCP: OUT at the start, and not again while it is writable, whatever is sent and read");
    let (client, server) = net::pair()?;
    let epoll = Epoll::new()?;
    lab.call("epoll_ctl(e, ADD, c, OUT|ET)", epoll.add(&client, 1, OUT_EDGE))?;
    let mask = event(lab, &epoll)?;
    lab.expect("the event at the start", mask, "OUT");
    lab.call("send(c, 4096 bytes)", client.send(&[0; 4096]))?;
    lab.call("recv(s, 4096 bytes)", drain::exactly(&server, 4096).map(|all| all.len()))?;
    let mask = silence(lab, &epoll)?;
    lab.expect("an event while it stays writable", mask, "nothing");

    lab.step("Full, until EAGAIN");
    let taken = fill_silently(&client, &epoll)?;
    lab.number("bytes sent until EAGAIN", taken, "the kernel's bookkeeping");
    let result = lab.call("send(c, 1, MSG_DONTWAIT)", rustix::net::send(&client, b"x", DONTWAIT));
    lab.expect("a send into full buffers", &result, "EAGAIN");

    lab.step("The peer reads one byte, and then everything");
    lab.call("recv(s, 1)", drain::exactly(&server, 1).map(|all| all.len()))?;
    let mask = silence(lab, &epoll)?;
    lab.expect("after the first free byte", mask, "nothing");
    let read = read_until_writable(&epoll, &server, taken)? + 1;
    lab.expect_that("bytes read until OUT came", "more than 1, at most all", read, 1 < read && read <= taken);
    let row = proc_net::tcp(net::address(&client)?, net::address(&server)?)?;
    let queued = row.map_or(0, |row| row.send_queue);
    lab.number("bytes still queued then", queued, "the kernel's 2/3 of SO_SNDBUF, with its bookkeeping");
    lab.number("SO_SNDBUF, bytes", client.send_buffer_size()?, "what we set, doubled");
    when_a_unix_stream_is_writable(lab)
}

const OUT_EDGE: EventFlags = EventFlags::OUT.union(EventFlags::ET);
const DONTWAIT: rustix::net::SendFlags = rustix::net::SendFlags::DONTWAIT;

/// Fills until it takes no more and epoll has nothing to say: acknowledgements may have made it writable in between.
fn fill_silently(socket: impl AsFd, epoll: &Epoll) -> io::Result<usize> {
    let mut taken = 0;
    wait::until("it did not fill up", || {
        taken += fill::until_full(&socket)?;
        Ok(epoll.wait_quietly()?.is_empty())
    })?;
    Ok(taken)
}

/// Reads at the peer's end, 1024 bytes at a time, until OUT comes; returns how many bytes it took.
fn read_until_writable(epoll: &Epoll, peer: impl AsFd, most: usize) -> io::Result<usize> {
    let mut total = 0;
    set_nonblocking(&peer, true)?;
    wait::until("OUT did not come", || {
        if total < most {
            total += read(&peer, &mut [0; 1024]).or_else(|error| match error {
                rustix::io::Errno::AGAIN => Ok(0),
                other => Err(other),
            })?;
        }
        Ok(mask(&epoll.now()?).contains(EventFlags::OUT))
    })?;
    Ok(total)
}

fn when_a_unix_stream_is_writable(lab: &mut Lab) -> Result<(), Stop> {
    lab.step("A Unix stream that never was full: each read of the peer frees memory, and that is reported");
    let (near, far) = UnixStream::pair()?;
    set_socket_send_buffer_size(&near, net::BUFFER)?;
    let epoll = Epoll::new()?;
    lab.call("epoll_ctl(e, ADD, u1, OUT|ET)", epoll.add(&near, 1, OUT_EDGE))?;
    let mask = event(lab, &epoll)?;
    lab.expect("the event at the start", mask, "OUT");
    lab.call("write(u1, 1 byte)", write(&near, b"x"))?;
    let mask = silence(lab, &epoll)?;
    lab.expect("after one's own write", mask, "nothing");
    lab.call("read(u2, 1 byte)", read(&far, &mut [0; 1]))?;
    let mask = event(lab, &epoll)?;
    lab.expect("after the peer's read, although EAGAIN was never met", mask, "OUT");

    lab.step("Full, and read by the peer");
    let taken = fill_silently(&near, &epoll)?;
    lab.call("read(u2, 1 byte)", read(&far, &mut [0; 1]))?;
    let mask = silence(lab, &epoll)?;
    lab.expect("after the first free byte", mask, "nothing");
    let read = read_until_writable(&epoll, &far, taken)? + 1;
    lab.expect_that("bytes read until OUT came", "more than 1, at most all", read, 1 < read && read <= taken);
    lab.number(
        "bytes still queued then",
        taken - read,
        "the kernel's 1/4 of SO_SNDBUF, with its bookkeeping",
    );
    lab.number("SO_SNDBUF, bytes", socket_send_buffer_size(&near)?, "what we set, doubled");
    Ok(())
}

const E07: Experiment = Experiment {
    id: "E07",
    core: false,
    title: "An edge for one direction reports the whole present state",
    claim: "With IN|OUT|ET each event carries every condition that holds: incoming data gives IN|OUT on a writable socket; an OUT \
        after a full buffer includes IN if unread data is left.",
    why: "Writable events that look spurious are normal: with nothing to write, ignore them. Never take is_writable for \"my \
        EAGAIN is over\" without trying.",
    source: "epoll(7); ep_send_events() asks the file for its mask when the event is handed out",
    needs: &[],
    run: an_edge_reports_everything,
    helper: None,
};

fn an_edge_reports_everything(lab: &mut Lab) -> Result<(), Stop> {
    let both = EventFlags::IN | EventFlags::OUT | EventFlags::ET;
    let (client, server) = net::pair()?;
    let epoll = Epoll::new()?;
    lab.call("epoll_ctl(e, ADD, c, IN|OUT|ET)", epoll.add(&client, 1, both))?;
    let seen = event(lab, &epoll)?;
    lab.expect("the event at the start", seen, "OUT");

    lab.step("Data comes in; nothing has changed for writing");
    lab.call("send(s, \"abc\")", server.send(b"abc"))?;
    wait::queued(&client, 3)?;
    let seen = event(lab, &epoll)?;
    lab.expect("the event of incoming data", seen, "IN|OUT");

    lab.step("Full, with the data still unread; more data comes in");
    fill_silently(&client, &epoll)?;
    lab.call("send(s, \"def\")", server.send(b"def"))?;
    wait::queued(&client, 6)?;
    let seen = event(lab, &epoll)?;
    lab.expect("the event of incoming data, while full", seen, "IN");

    lab.step("The peer drains the buffers; nothing has changed for reading");
    let mut freed = EventFlags::empty();
    wait::until("OUT did not come", || {
        drain_what_is_there(&server)?;
        freed = mask(&epoll.now()?);
        Ok(!freed.is_empty())
    })?;
    lab.expect("the event of the free buffer", freed, "IN|OUT");
    Ok(())
}

/// Reads until EAGAIN.
fn drain_what_is_there(socket: &Socket) -> io::Result<()> {
    let flags = rustix::net::RecvFlags::DONTWAIT;
    while rustix::net::recv(socket, &mut [0; 4096], flags).is_ok_and(|(count, _)| count > 0) {}
    Ok(())
}

const E17: Experiment = Experiment {
    id: "E17",
    core: false,
    title: "Level-triggered interest in writing is always ready",
    claim: "Under level-triggered epoll a socket with free buffer space reports OUT on every wait, as select and poll do.",
    why: "A loop on select, poll or level-triggered epoll asks for writability only while its write buffer is not empty, or it takes \
        all of a processor. Under edge-triggered epoll (mio) the interest may stay registered at no cost.",
    source: "poll(2); UNP 6.3",
    needs: &[],
    run: writable_without_end,
    helper: None,
};

fn writable_without_end(lab: &mut Lab) -> Result<(), Stop> {
    const WAITS: usize = 1000;
    let (client, _server) = net::pair()?;
    let (level, edge) = (Epoll::new()?, Epoll::new()?);
    lab.step("An idle connection: 1000 waits with a limit of 50 ms each");
    lab.call("epoll_ctl(level, ADD, c, OUT)", level.add(&client, 1, EventFlags::OUT))?;
    let mut reports = 0;
    for _ in 0..WAITS {
        reports += usize::from(mask(&level.wait_at_most(wait::QUIET, 1)?) == EventFlags::OUT);
    }
    lab.expect("waits that returned OUT at once", reports, WAITS);
    lab.expect("select: writable", select_now(&client)?.1, true);
    lab.expect("poll", poll_now(&client, EventFlags::OUT)?, "OUT");

    lab.step("For comparison, the edge");
    lab.call("epoll_ctl(e, ADD, c, OUT|ET)", edge.add(&client, 1, OUT_EDGE))?;
    let mask = event(lab, &edge)?;
    lab.expect("the first wait, edge-triggered", mask, "OUT");
    let mask = silence(lab, &edge)?;
    lab.expect("the second wait, edge-triggered", mask, "nothing");

    lab.step("And a socket that is full");
    fill_silently(&client, &edge)?;
    let mask = silence(lab, &level)?;
    lab.expect("a wait while full, level-triggered", mask, "nothing");
    lab.expect("select while full: writable", select_now(&client)?.1, false);
    Ok(())
}
