//! Readiness: what select, poll and epoll say, and when they say it.

mod ending;
mod limits;
mod reading;
mod registering;
mod several;
mod spurious;
mod stale;
mod waking;
mod writing;

use std::io;

use rustix::event::epoll::EventFlags;

use super::experiment::Page;
use super::notebook::Lab;
use super::tools::epoll::{Epoll, mask};

pub(super) const PAGES: &[Page] = &[
    reading::PAGE,
    writing::PAGE,
    ending::PAGE,
    registering::PAGE,
    several::PAGE,
    stale::PAGE,
    limits::PAGE,
    spurious::PAGE,
    waking::PAGE,
];

/// One wait for an event that must come, written down: its mask; `nothing` when it did not come before the deadline.
fn event(lab: &mut Lab, epoll: &Epoll) -> io::Result<EventFlags> {
    lab.call("epoll_wait(e)", epoll.wait().map(|events| mask(&events)))
}

/// One wait of 50 ms for an event that must not come, written down: its mask, if it comes all the same.
fn silence(lab: &mut Lab, epoll: &Epoll) -> io::Result<EventFlags> {
    lab.call("epoll_wait(e), 50 ms", epoll.wait_quietly().map(|events| mask(&events)))
}
