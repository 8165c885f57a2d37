//! Waiting for one socket with a deadline.

use std::io;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::error::ClientErrorKind;
use crate::attempt::{Attempt, attempt};

/// Nobody waits longer; so adding to the time now cannot overflow.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 3600);

/// When a wait is over.
#[derive(Debug, Clone, Copy)]
pub(super) struct Until(Instant);

impl Until {
    pub(super) fn after(limit: Duration) -> Self {
        Self(Instant::now() + limit.min(LONGEST))
    }

    pub(super) fn has_passed(self) -> bool {
        Instant::now() >= self.0
    }
}

/// Whether `socket` is ready for any of `wanted`, or has failed, before time is over. Nothing wanted is a wait for
/// the failure alone (poll(2)).
pub(super) fn wait(socket: &impl AsFd, wanted: PollFlags, until: Until) -> Result<bool, ClientErrorKind> {
    let ready = attempt(|| {
        // Anew after a signal: the deadline stays where it is.
        let left = until.0.saturating_duration_since(Instant::now());
        let left = Timespec::try_from(left).map_err(|_| io::ErrorKind::InvalidInput)?;
        Ok(poll(&mut [PollFd::new(socket, wanted)], Some(&left))?)
    });
    match ready {
        Attempt::Done(count) => Ok(count > 0),
        Attempt::WouldBlock => Ok(false),
        Attempt::Failed(failure) => Err(ClientErrorKind::of_errno(failure.errno)),
    }
}
