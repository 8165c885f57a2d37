//! This process as a child of another oneloop: what the parent orders, and what is reported to it, as JSON lines.

use std::io;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::fleet::{Orders, Reports, Ticket};

/// This process as one of a fleet.
#[derive(Debug)]
pub(super) struct Member {
    number: usize,
    listener: Listener,
    speaker: Speaker,
}

/// What the parent orders.
#[derive(Debug)]
pub(super) struct Listener(Orders);

/// What is reported to the parent.
#[derive(Debug)]
pub(super) struct Speaker(Reports);

impl Member {
    /// # Errors
    /// The parent is gone, or was never ours.
    pub(super) fn join(ticket: Ticket) -> io::Result<Self> {
        let (orders, reports) = ticket.join()?;
        Ok(Self { number: ticket.number(), listener: Listener(orders), speaker: Speaker(reports) })
    }

    /// Counted from 0.
    pub(super) const fn number(&self) -> usize {
        self.number
    }

    /// For two threads.
    pub(super) fn split(self) -> (Listener, Speaker) {
        (self.listener, self.speaker)
    }

    /// Waits for the next order.
    ///
    /// # Errors
    /// The parent is gone, or says what this version does not understand.
    pub(super) fn hear<T: DeserializeOwned>(&mut self) -> io::Result<T> {
        self.listener.hear()
    }

    /// Reports.
    ///
    /// # Errors
    /// The parent is gone.
    pub(super) fn say(&mut self, report: &impl Serialize) -> io::Result<()> {
        self.speaker.say(report)
    }
}

impl Listener {
    /// As [`Member::hear`].
    pub(super) fn hear<T: DeserializeOwned>(&mut self) -> io::Result<T> {
        let line = self.0.next_line().ok_or(io::ErrorKind::UnexpectedEof)?;
        Ok(serde_json::from_str(&line)?)
    }
}

impl Speaker {
    /// As [`Member::say`].
    pub(super) fn say(&mut self, report: &impl Serialize) -> io::Result<()> {
        self.0.say(&serde_json::to_string(report)?)
    }
}
