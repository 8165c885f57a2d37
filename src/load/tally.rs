//! What is counted while it happens, by one thread, until it is handed over once a second.

use std::fmt;

use super::report::{Connections, ErrorKind, Errors, Example, Udp};
use super::statuses::Statuses;
use crate::histogram::{Nanos, nanos};
use crate::session::ConnectError;

/// Examples kept of each kind of error.
const EXAMPLES: usize = 3;

/// The moments of one request, in nanoseconds of the run's clock.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Stamp {
    /// When it was to be sent.
    pub(super) due: u64,
    /// When it was.
    pub(super) sent: u64,
}

/// Counts and times of a stretch of a run.
#[derive(Clone)]
pub(super) struct Tally {
    pub(super) requests: u64,
    /// Answers that came in the measured time, whenever what they answer was due.
    pub(super) in_time: u64,
    pub(super) verified: u64,
    pub(super) mismatches: u64,
    pub(super) bytes_in: u64,
    pub(super) bytes_out: u64,
    pub(super) corrected: Nanos,
    pub(super) service: Nanos,
    pub(super) connect: Nanos,
    pub(super) lag: Nanos,
    pub(super) connections: Connections,
    pub(super) errors: Errors,
    pub(super) examples: Vec<Example>,
    pub(super) udp: Udp,
    pub(super) statuses: Statuses,
    /// Connections open now.
    pub(super) open: u64,
}

impl Tally {
    pub(super) fn new() -> Self {
        Self {
            requests: 0,
            in_time: 0,
            verified: 0,
            mismatches: 0,
            bytes_in: 0,
            bytes_out: 0,
            corrected: nanos(),
            service: nanos(),
            connect: nanos(),
            lag: nanos(),
            connections: Connections::default(),
            errors: Errors::default(),
            examples: Vec::new(),
            udp: Udp::default(),
            statuses: Statuses::default(),
            open: 0,
        }
    }

    /// Whether a request counts here.
    pub(super) const fn is_used(&self) -> bool {
        self.requests > 0 || self.bytes_out > 0
    }

    /// Counts an error; `text` is asked for while examples are wanted.
    #[cold]
    pub(super) fn error(&mut self, kind: ErrorKind, text: impl FnOnce() -> String) {
        self.errors.add(kind, 1);
        if self.examples.iter().filter(|example| example.kind == kind).count() < EXAMPLES {
            self.examples.push(Example { kind, text: text() });
        }
    }

    /// Counts a connection that was not made.
    pub(super) fn not_connected(&mut self, connection: usize, error: ConnectError) {
        let connections = &mut self.connections;
        let kind = match error {
            ConnectError::Refused => {
                connections.refused += 1;
                ErrorKind::Refused
            }
            ConnectError::TimedOut => {
                connections.timed_out += 1;
                ErrorKind::Timeout
            }
            ConnectError::Reset => {
                connections.reset += 1;
                ErrorKind::Reset
            }
            ConnectError::AddressExhausted => {
                connections.address_exhausted += 1;
                ErrorKind::AddressExhausted
            }
            ConnectError::DescriptorLimit => ErrorKind::DescriptorLimit,
            _ => ErrorKind::Other,
        };
        self.error(kind, || format!("connection {connection} was not made: {error}"));
    }

    /// Adds what another thread, or another stretch, has counted.
    pub(super) fn merge(&mut self, more: &Self) {
        self.errors.merge(&more.errors);
        self.mismatches += more.mismatches;
        for example in &more.examples {
            if self.examples.iter().filter(|kept| kept.kind == example.kind).count() < EXAMPLES {
                self.examples.push(example.clone());
            }
        }
        merge_connections(&mut self.connections, &more.connections);
        add(&mut self.connect, &more.connect);
        self.requests += more.requests;
        self.in_time += more.in_time;
        self.verified += more.verified;
        self.bytes_in += more.bytes_in;
        self.bytes_out += more.bytes_out;
        add(&mut self.corrected, &more.corrected);
        add(&mut self.service, &more.service);
        add(&mut self.lag, &more.lag);
        self.statuses.merge(&more.statuses);
        let (own, more) = (&mut self.udp, &more.udp);
        own.sent += more.sent;
        own.received += more.received;
        own.lost += more.lost;
        own.duplicate += more.duplicate;
        own.reordered += more.reordered;
        own.late += more.late;
    }
}

impl fmt::Debug for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tally")
            .field("requests", &self.requests)
            .field("errors", &self.errors)
            .finish_non_exhaustive()
    }
}

fn merge_connections(own: &mut Connections, more: &Connections) {
    own.opened += more.opened;
    own.refused += more.refused;
    own.reset += more.reset;
    own.timed_out += more.timed_out;
    own.address_exhausted += more.address_exhausted;
}

pub(super) fn add(own: &mut Nanos, more: &Nanos) {
    if !more.is_empty() {
        own.add(more).expect("all histograms have the same bounds");
    }
}
