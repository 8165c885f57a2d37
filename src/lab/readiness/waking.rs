//! Waking a loop that waits.

use std::io;
use std::os::fd::OwnedFd;

use mio::{Token, Waker};
use rustix::event::epoll::EventFlags;
use rustix::event::{EventfdFlags, eventfd};
use rustix::io::{Errno, read, write};
use rustix::pipe::{PipeFlags, pipe_with};

use super::{event, silence};
use crate::lab::experiment::{Experiment, Page};
use crate::lab::notebook::{Lab, Stop};
use crate::lab::tools::epoll::Epoll;
use crate::lab::tools::wait::{DEADLINE, QUIET};

pub(super) const PAGE: Page =
    Page { path: "src/lab/readiness/waking.rs", text: include_str!("waking.rs"), experiments: &[E21] };

const E21: Experiment = Experiment {
    id: "E21",
    core: false,
    title: "Waking the loop: an eventfd adds up, a full pipe gives EAGAIN",
    claim: "Three writes to an eventfd make one readable event; one read returns their sum, and the next EAGAIN. Under edge \
        triggering each write is reported anew, read or not. A pipe used for the same purpose can be full: EAGAIN, and the wake-up \
        is not lost, because the pipe is readable.",
    why: "mio's Waker is an eventfd on Linux: many calls of wake() may give one event, so keep the messages in a queue and drain \
        it.",
    source: "eventfd(2); pipe(7); mio's Waker",
    needs: &[],
    run: waking,
    helper: None,
};

fn waking(lab: &mut Lab) -> Result<(), Stop> {
    lab.step("An eventfd, written to three times");
    let waker = eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC)?;
    let epoll = Epoll::new()?;
    lab.call("epoll_ctl(e, ADD, eventfd, IN|ET)", epoll.add(&waker, 1, EventFlags::IN | EventFlags::ET))?;
    for _ in 0..3 {
        lab.call("write(eventfd, 1)", wake(&waker))?;
    }
    let mask = event(lab, &epoll)?;
    lab.expect("the event of three writes", mask, "IN");
    let mask = silence(lab, &epoll)?;
    lab.expect("another", mask, "nothing");

    lab.step("A fourth write, while the three are unread; then one read");
    lab.call("write(eventfd, 1)", wake(&waker))?;
    let mask = event(lab, &epoll)?;
    lab.expect("the event of the fourth write", mask, "IN");
    let added = lab.call("read(eventfd)", sum(&waker))?;
    lab.expect("what one read returns", added, 4u64);
    let result = lab.call("read(eventfd)", sum(&waker));
    lab.expect("the next read", &result, "EAGAIN");

    lab.step("mio's Waker, which nobody needs to read");
    let (mut poll, mut events) = (mio::Poll::new()?, mio::Events::with_capacity(8));
    let waker = Waker::new(poll.registry(), Token(0))?;
    for _ in 0..3 {
        lab.call("mio: wake()", waker.wake())?;
    }
    lab.call("mio: poll()", poll.poll(&mut events, Some(DEADLINE)))?;
    lab.expect("events of three calls of wake()", events.iter().count(), 1usize);
    lab.call("mio: poll(), 50 ms", poll.poll(&mut events, Some(QUIET)))?;
    lab.expect("events after that", events.iter().count(), 0usize);
    a_full_pipe(lab)
}

/// Adds 1: eight bytes, a number in the machine's byte order.
fn wake(eventfd: &OwnedFd) -> io::Result<usize> {
    Ok(write(eventfd, &1u64.to_ne_bytes())?)
}

/// What was added since the last read.
fn sum(eventfd: &OwnedFd) -> io::Result<u64> {
    let mut bytes = [0; 8];
    read(eventfd, &mut bytes)?;
    Ok(u64::from_ne_bytes(bytes))
}

fn a_full_pipe(lab: &mut Lab) -> Result<(), Stop> {
    lab.step("A pipe to oneself, written to until it is full");
    let (reader, writer) = pipe_with(PipeFlags::NONBLOCK | PipeFlags::CLOEXEC)?;
    let epoll = Epoll::new()?;
    let mut taken = 0;
    let refused = loop {
        match write(&writer, &[1; 1024]) {
            Ok(count) => taken += count,
            Err(error) => break error,
        }
    };
    lab.number("bytes that a pipe takes", taken, "the kernel: 16 pages, fewer for a user with many pipes");
    let result = lab.call("write(pipe, 1024 bytes)", Err::<usize, Errno>(refused));
    lab.expect("one more wake-up", &result, "EAGAIN");
    lab.call("epoll_ctl(e, ADD, pipe, IN)", epoll.add(&reader, 1, EventFlags::IN))?;
    let mask = event(lab, &epoll)?;
    lab.expect("the loop wakes all the same", mask, "IN");
    Ok(())
}
