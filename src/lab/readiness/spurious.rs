//! Readable, and yet nothing to read.

use std::fs;
use std::io;

use rustix::event::epoll::EventFlags;
use rustix::io::read;
use rustix::net::{RecvFlags, recv};

use super::{event, silence};
use crate::lab::experiment::{Experiment, Need, Page};
use crate::lab::notebook::{Lab, Stop};
use crate::lab::tools::descriptor::set_nonblocking;
use crate::lab::tools::epoll::Epoll;
use crate::lab::tools::select::select_now;
use crate::lab::tools::{asleep, net, udp_packet, wait};

pub(super) const PAGE: Page =
    Page { path: "src/lab/readiness/spurious.rs", text: include_str!("spurious.rs"), experiments: &[E18] };

const E18: Experiment = Experiment {
    id: "E18",
    core: true,
    title: "Readiness that is not true: readable, then EAGAIN",
    claim: "A UDP datagram with a wrong checksum makes select, poll and epoll report a non-blocking socket as readable; recv throws it away and \
        returns EAGAIN. Of a blocking socket they check the sum first, and do not report it.",
    why: "Never take readable for data: a recv that blocks after it could hang. This proves that even a socket with a single owner \
        needs O_NONBLOCK.",
    source: "select(2) BUGS \"may report a socket file descriptor as 'ready for reading', while nevertheless a subsequent read \
        blocks\"; udp_poll(); a sum over at most 76 bytes is checked on arrival",
    needs: &[Need::NetRaw],
    run: readable_without_data,
    helper: None,
};

/// Long enough not to be checked on arrival.
const PAYLOAD: [u8; 200] = [b'x'; 200];

fn readable_without_data(lab: &mut Lab) -> Result<(), Stop> {
    lab.step("For comparison: a datagram made by hand whose checksum is right");
    let receiver = net::udp()?;
    let to = net::address(&receiver)?;
    set_nonblocking(&receiver, true)?;
    let epoll = Epoll::new()?;
    lab.call("epoll_ctl(e, ADD, u, IN)", epoll.add(&receiver, 1, EventFlags::IN))?;
    lab.call("send(raw, 200 bytes)", udp_packet::send(to, &PAYLOAD, true))?;
    let mask = event(lab, &epoll)?;
    lab.expect("its event", mask, "IN");
    let count = lab.call("read(u, 2048)", read(&receiver, &mut [0; 2048]))?;
    lab.expect("bytes of it", count, 200usize);

    lab.step("One whose checksum is wrong, for a non-blocking socket");
    let before = wrong_checksums()?;
    lab.call("send(raw, 200 bytes, wrong checksum)", udp_packet::send(to, &PAYLOAD, false))?;
    let mask = event(lab, &epoll)?;
    lab.expect("its event", mask, "IN");
    lab.expect("select: readable", select_now(&receiver)?.0, true);
    let result = lab.call("read(u, 2048)", read(&receiver, &mut [0; 2048]));
    lab.expect("a read that was promised data", &result, "EAGAIN");
    lab.expect("select: readable, after that", select_now(&receiver)?.0, false);
    let more = wrong_checksums()? - before;
    lab.expect_that("datagrams that the kernel says it threw away", "at least 1", more, more > 0);

    lab.step("The same for a blocking socket: those who ask make the kernel check");
    set_nonblocking(&receiver, false)?;
    let before = wrong_checksums()?;
    lab.call("send(raw, 200 bytes, wrong checksum)", udp_packet::send(to, &PAYLOAD, false))?;
    let mask = silence(lab, &epoll)?;
    lab.expect("its event", mask, "nothing");
    lab.expect("select: readable", select_now(&receiver)?.0, false);
    wait::until("nothing was thrown away", || Ok(select_now(&receiver)?.0 || wrong_checksums()? > before))?;
    lab.expect("the kernel has thrown it away", wrong_checksums()? > before, true);
    a_recv_that_hangs(lab)
}

fn a_recv_that_hangs(lab: &mut Lab) -> Result<(), Stop> {
    lab.step("What would hang: non-blocking while one asks, blocking while one reads");
    let receiver = net::udp()?;
    let to = net::address(&receiver)?;
    set_nonblocking(&receiver, true)?;
    lab.call("send(raw, 200 bytes, wrong checksum)", udp_packet::send(to, &PAYLOAD, false))?;
    wait::readable(&receiver)?;
    lab.expect("select: readable", select_now(&receiver)?.0, true);
    set_nonblocking(&receiver, false)?;
    let copy = receiver.try_clone()?;
    let mut reader =
        asleep::start(move || recv(&copy, &mut [0; 2048], RecvFlags::empty()).map(|(count, _)| count))?;
    lab.expect("recv is asleep", reader.stays_asleep()?, true);
    lab.call("send(raw, 200 bytes)", udp_packet::send(to, &PAYLOAD, true))?;
    let count = lab.call("recv(u, 2048)", reader.woken()?)?;
    lab.expect("bytes of the datagram that woke it", count, 200usize);
    Ok(())
}

/// `InCsumErrors` of UDP, of this network: a line of names and a line of numbers in /proc/net/snmp.
fn wrong_checksums() -> io::Result<u64> {
    let table = fs::read_to_string("/proc/net/snmp")?;
    let mut lines = table.lines().filter(|line| line.starts_with("Udp:"));
    let (names, numbers) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
    let mut fields = names.split_whitespace().zip(numbers.split_whitespace());
    let found = fields.find(|(name, _)| *name == "InCsumErrors");
    found.and_then(|(_, number)| number.parse().ok()).ok_or_else(|| io::ErrorKind::NotFound.into())
}
