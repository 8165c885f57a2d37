//! epoll(7) itself, level-triggered unless asked otherwise: what mio does not offer.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};

use super::wait::{DEADLINE, QUIET};

/// An epoll instance.
#[derive(Debug)]
pub struct Epoll(OwnedFd);

/// What one wait returned: the key given at registration, and the mask.
pub type Events = Vec<(u64, EventFlags)>;

impl Epoll {
    /// # Errors
    /// Those of epoll_create1(2).
    pub fn new() -> io::Result<Self> {
        Ok(Self(epoll::create(CreateFlags::CLOEXEC)?))
    }

    /// EPOLL_CTL_ADD.
    ///
    /// # Errors
    /// Those of epoll_ctl(2).
    pub fn add(&self, source: impl AsFd, key: u64, mask: EventFlags) -> io::Result<()> {
        Ok(epoll::add(&self.0, source, EventData::new_u64(key), mask)?)
    }

    /// EPOLL_CTL_MOD.
    ///
    /// # Errors
    /// Those of epoll_ctl(2).
    pub fn modify(&self, source: impl AsFd, key: u64, mask: EventFlags) -> io::Result<()> {
        Ok(epoll::modify(&self.0, source, EventData::new_u64(key), mask)?)
    }

    /// EPOLL_CTL_DEL.
    ///
    /// # Errors
    /// Those of epoll_ctl(2).
    pub fn delete(&self, source: impl AsFd) -> io::Result<()> {
        Ok(epoll::delete(&self.0, source)?)
    }

    /// Waits for events that must come; empty if none did before the deadline.
    ///
    /// # Errors
    /// Those of epoll_wait(2).
    pub fn wait(&self) -> io::Result<Events> {
        self.wait_at_most(DEADLINE, 64)
    }

    /// Waits for events that must not come: what came meanwhile.
    ///
    /// # Errors
    /// Those of epoll_wait(2).
    pub fn wait_quietly(&self) -> io::Result<Events> {
        self.wait_at_most(QUIET, 64)
    }

    /// What is there now.
    ///
    /// # Errors
    /// Those of epoll_wait(2).
    pub fn now(&self) -> io::Result<Events> {
        self.wait_at_most(Duration::ZERO, 64)
    }

    /// One epoll_wait(2) of at most so long, for at most so many events.
    ///
    /// # Errors
    /// Those of epoll_wait(2).
    pub fn wait_at_most(&self, time: Duration, events: usize) -> io::Result<Events> {
        let limit = Timespec::try_from(time).map_err(io::Error::other)?;
        let mut found = Vec::<Event>::with_capacity(events);
        epoll::wait(&self.0, rustix::buffer::spare_capacity(&mut found), Some(&limit))?;
        // The fields are not aligned: they are copied out.
        Ok(found
            .iter()
            .map(|event| {
                let (data, flags) = (event.data, event.flags);
                (data.u64(), flags)
            })
            .collect())
    }
}

impl AsFd for Epoll {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// The mask of the only event, `nothing` when there is none.
#[must_use]
pub fn mask(events: &Events) -> EventFlags {
    events.iter().fold(EventFlags::empty(), |all, (_, mask)| all | *mask)
}
