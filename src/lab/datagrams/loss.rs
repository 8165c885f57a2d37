//! Datagrams are lost without a sign.

use rustix::event::epoll::EventFlags;
use rustix::net::{SendFlags, sendto};
use socket2::{Domain, Socket, Type};

use crate::lab::experiment::{Experiment, Page};
use crate::lab::notebook::{Lab, Stop};
use crate::lab::tools::epoll::{Epoll, mask};
use crate::lab::tools::{net, proc_udp, take, wait};

pub(super) const PAGE: Page =
    Page { path: "src/lab/datagrams/loss.rs", text: include_str!("loss.rs"), experiments: &[D13] };

const D13: Experiment = Experiment {
    id: "D13",
    core: true,
    title: "UDP overflow: every send succeeds, the excess vanishes silently",
    claim: "With a full receive buffer all sends still return their length: no EAGAIN, no error, no event on either side. Only the \
        counter of drops tells (SO_MEMINFO, /proc/net/udp). The OLDEST datagrams are kept.",
    why: "UDP has no back-pressure: drain fast, enlarge SO_RCVBUF, watch the counter, and never infer delivery from Ok(n).",
    source: "udp(7); socket(7) SO_RXQ_OVFL; proc_net(5); UNP 8.13",
    needs: &[],
    run: silent_loss,
    helper: None,
};

fn silent_loss(lab: &mut Lab) -> Result<(), Stop> {
    const COUNT: u32 = 300;
    lab.step("300 numbered datagrams of 100 bytes, to a receiver that does not read");
    let sender = net::udp()?;
    let receiver = Socket::new(Domain::IPV4, Type::DGRAM, None)?;
    lab.call("setsockopt(r, SO_RCVBUF, 8192)", receiver.set_recv_buffer_size(8192))?;
    receiver.bind(&net::anywhere().into())?;
    let to = net::address(&receiver)?;
    let mut accepted = 0;
    for number in 0..COUNT {
        let mut message = [0; 100];
        message[..4].copy_from_slice(&number.to_be_bytes());
        let sent = sendto(&sender, &message, SendFlags::DONTWAIT, &to)?;
        accepted += u32::from(sent == message.len());
    }
    lab.expect("sends that returned 100", accepted, COUNT);
    let epoll = Epoll::new()?;
    epoll.add(&sender, 1, EventFlags::IN | EventFlags::OUT)?;
    lab.expect("events of the sender", mask(&epoll.now()?), "OUT");

    lab.step("The kernel's count of what it threw away");
    let mut drops = 0;
    wait::until("the drops did not come to an end", || {
        drops = proc_udp::drops(to)?;
        Ok(drops > 0 && wait::stays_false(|| Ok(proc_udp::drops(to)? != drops))?)
    })?;
    lab.expect_that("drops in /proc/net/udp", "more than 0", drops, drops > 0);
    lab.number("drops", drops, "SO_RCVBUF, and the kernel's bookkeeping");

    lab.step("What is there");
    let epoll = Epoll::new()?;
    epoll.add(&receiver, 1, EventFlags::IN | EventFlags::OUT)?;
    lab.expect("events of the receiver: an ordinary one", mask(&epoll.now()?), "IN|OUT");
    let kept = take::all_datagrams(&receiver)?;
    lab.expect("received and dropped", kept.len() as u64 + drops, u64::from(COUNT));
    let oldest = kept.iter().zip(0u32..).all(|(message, number)| message[..4] == number.to_be_bytes());
    lab.expect("the oldest were kept, in order", oldest, true);
    Ok(())
}
