//! What a run found. Times are nanoseconds in histograms; what is printed is decided elsewhere.

use std::fmt;
use std::time::Duration;

use super::plan::Arrival;
use super::statuses::Http;
use crate::address::Address;
use crate::histogram::Nanos;

/// What a run found, whole or interrupted.
#[derive(Clone)]
pub struct Report {
    /// Where it connected to.
    pub targets: Vec<Address>,
    /// When requests were made.
    pub arrival: Arrival,
    /// The rate that was offered, on average over what was measured; open arrival only.
    pub offered_rate: Option<f64>,
    /// Bytes of one message.
    pub size: usize,
    /// Seconds that were measured.
    pub seconds: f64,
    /// Seconds of warm-up before them.
    pub warmup: f64,
    /// Requests of the measured time that were answered (discard: taken by the kernel; source: blocks of `size` bytes).
    pub requests: u64,
    /// Answers that came in the measured time: without what was still answered after its end, with what was due before its
    /// start. What the target did in that time.
    pub answered_in_time: u64,
    /// Of the requests, those whose every byte was compared.
    pub verified: u64,
    /// Places where a byte was not what it should be.
    pub mismatches: u64,
    /// Requests of the measured time that were due, or sent, and never answered.
    pub unanswered: u64,
    /// Bytes of answers in the measured time.
    pub bytes_in: u64,
    /// Bytes of requests in the measured time.
    pub bytes_out: u64,
    /// Latency from the scheduled moment; in closed arrival the same as `service`.
    pub corrected: Nanos,
    /// Latency from the actual send.
    pub service: Nanos,
    /// How long connecting took, over the whole run.
    pub connect: Nanos,
    /// How much later than scheduled requests were sent although their connection was free; open arrival only.
    pub lag: Nanos,
    /// What became of connections, over the whole run.
    pub connections: Connections,
    /// Every error of the whole run, those of connecting included, by kind.
    pub errors: Errors,
    /// The first few of each kind, in words.
    pub examples: Vec<Example>,
    /// Datagrams, when a target is UDP.
    pub udp: Option<Udp>,
    /// What HTTP servers answered, when the targets are such.
    pub http: Option<Http>,
    /// What the generator itself spent.
    pub generator: Generator,
    /// Whether the result can be believed.
    pub verdict: Verdict,
}

impl Report {
    /// Answers per second of the measured time. A queue that is worked off after its end was not achieved in it.
    #[must_use]
    pub fn achieved_rate(&self) -> f64 {
        if self.seconds > 0.0 { self.answered_in_time as f64 / self.seconds } else { 0.0 }
    }

    /// Processor time of the generator for each answer, in microseconds, without what it only waited; `None` without answers.
    #[must_use]
    pub fn cpu_us_per_request(&self) -> Option<f64> {
        let spent = self.generator.cpu.saturating_sub(self.generator.spun).as_secs_f64() * 1e6;
        (self.answered_in_time > 0).then(|| spent / self.answered_in_time as f64)
    }
}

/// What became of connections.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Connections {
    /// Wanted at once.
    pub wanted: u64,
    /// Made; more than wanted when they were made anew.
    pub opened: u64,
    /// Open when the run ended.
    pub open: u64,
    /// Refused.
    pub refused: u64,
    /// Reset while they were made.
    pub reset: u64,
    /// Not made in time.
    pub timed_out: u64,
    /// Not made for want of a local port.
    pub address_exhausted: u64,
}

/// Kinds of errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum ErrorKind {
    /// Nobody listens (ECONNREFUSED).
    Refused,
    /// The peer reset the connection (ECONNRESET, EPIPE).
    Reset,
    /// No answer, or no connection, in time.
    Timeout,
    /// No local port is free (EADDRNOTAVAIL).
    AddressExhausted,
    /// No descriptor is left (EMFILE, ENFILE).
    DescriptorLimit,
    /// The peer closed the connection with answers still owed.
    Truncated,
    /// A byte was not what it should be.
    Mismatch,
    /// An HTTP response whose status is not 2xx.
    Status,
    /// Anything else; the examples say what.
    Other,
}

impl ErrorKind {
    /// Every kind, in the order in which they are shown.
    pub const ALL: [Self; 9] = [
        Self::Refused,
        Self::Reset,
        Self::Timeout,
        Self::AddressExhausted,
        Self::DescriptorLimit,
        Self::Truncated,
        Self::Mismatch,
        Self::Status,
        Self::Other,
    ];

    /// As reports call it, e.g. `address_exhausted`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Reset => "reset",
            Self::Timeout => "timeout",
            Self::AddressExhausted => "address_exhausted",
            Self::DescriptorLimit => "descriptor_limit",
            Self::Truncated => "truncated",
            Self::Mismatch => "mismatch",
            Self::Status => "status",
            Self::Other => "other",
        }
    }
}

/// How many errors of each kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Errors([u64; 9]);

impl Errors {
    /// How many of this kind.
    #[must_use]
    pub const fn of(&self, kind: ErrorKind) -> u64 {
        self.0[kind as usize]
    }

    /// How many in all.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    /// Counts more of one kind.
    pub const fn add(&mut self, kind: ErrorKind, count: u64) {
        self.0[kind as usize] += count;
    }

    /// Counts another's too.
    pub fn merge(&mut self, other: &Self) {
        for (own, more) in self.0.iter_mut().zip(other.0) {
            *own += more;
        }
    }
}

/// One error in words, with its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Example {
    /// Its kind.
    pub kind: ErrorKind,
    /// E.g. `connection 17, message 4, byte 3: got 0x41, expected 0x9c`.
    pub text: String,
}

/// Datagrams of the measured time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Udp {
    /// Sent.
    pub sent: u64,
    /// Answers, each request's first one only.
    pub received: u64,
    /// Never answered, as far as was waited.
    pub lost: u64,
    /// Answers beyond the first.
    pub duplicate: u64,
    /// Answers that came after that of a later request.
    pub reordered: u64,
    /// Answers that came after the timeout.
    pub late: u64,
}

/// What the generator itself spent in the measured time.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Generator {
    /// Threads.
    pub loops: usize,
    /// Processor time of all threads.
    pub cpu: Duration,
    /// The part of it in which they only waited for the next moment of a fine schedule, without sleeping.
    pub spun: Duration,
    /// The share of the time that the busiest thread was running or ready to run, less what it only waited; 0 to 1.
    pub busy: f64,
}

/// Whether the result can be believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The target is what was measured.
    Valid,
    /// The generator was the limit: what was wrong, and what to change.
    GeneratorBound {
        /// E.g. `the loop was 99 % busy`.
        why: String,
        /// E.g. `give it more threads with --loops 2`.
        remedy: String,
    },
    /// Stopped before its end.
    Interrupted,
}

/// One second of a run, all loops together, as it happens; warm-up included.
#[derive(Clone)]
pub struct Second {
    /// Seconds since the start that have passed, e.g. 1 for the first. 0, once a second: connections are still being made.
    pub number: u64,
    /// Whether it belongs to the warm-up.
    pub is_warmup: bool,
    /// Connections open now.
    pub open: u64,
    /// Requests answered in it.
    pub requests: u64,
    /// Errors in it.
    pub errors: Errors,
    /// Latency from the scheduled moment, of what was answered in it.
    pub corrected: Nanos,
    /// Latency from the actual send; empty in closed arrival, where it is the same.
    pub service: Nanos,
}

/// Without the histograms, which are thousands of numbers.
impl fmt::Debug for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Report")
            .field("seconds", &self.seconds)
            .field("requests", &self.requests)
            .field("unanswered", &self.unanswered)
            .field("connections", &self.connections)
            .field("errors", &self.errors)
            .field("examples", &self.examples)
            .field("udp", &self.udp)
            .field("http", &self.http)
            .field("generator", &self.generator)
            .field("verdict", &self.verdict)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Second {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Second")
            .field("number", &self.number)
            .field("requests", &self.requests)
            .field("errors", &self.errors)
            .finish_non_exhaustive()
    }
}
