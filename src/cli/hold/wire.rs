//! What processes of one run tell each other, as JSON lines.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hdrhistogram::serialization::{Deserializer, Serializer, V2Serializer};
use serde::{Deserialize, Serialize};

use crate::histogram::Nanos;
use crate::hold::{Kind, Kinds, Outcome, Progress};

/// What the parent orders.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Order {
    /// Open so many connections, the first of them having this number.
    Open { targets: Vec<String>, first: u32, connections: u32, processes: u32 },
    /// End holding: ask everybody.
    Check,
    /// End now.
    Stop,
}

/// What a process reports.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Report {
    /// It is there.
    Ready,
    /// How far it is.
    Now { opened: u64, failed: u64, lost: u64, answered: u64, is_open: bool },
    /// What it found, at its end.
    Found(Box<Found>),
    /// It could not.
    Failed(String),
}

impl Report {
    /// `is_open`: whatever could be opened is.
    pub(super) const fn now(progress: &Progress, is_open: bool) -> Self {
        let Progress { opened, failed, lost, answered, .. } = *progress;
        Self::Now { opened, failed, lost, answered, is_open }
    }
}

/// An [`Outcome`] as text.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Found {
    opened: u64,
    survived: u64,
    failed: Vec<u64>,
    lost: Vec<u64>,
    untried: u64,
    /// HdrHistogram V2, base64.
    connect: String,
    other: Option<String>,
    private: Option<(u64, u64)>,
    stopped: bool,
}

impl Found {
    pub(super) fn of(outcome: &Outcome) -> Self {
        let all = |kinds: &Kinds| Kind::ALL.iter().map(|kind| kinds.of(*kind)).collect();
        Self {
            opened: outcome.opened,
            survived: outcome.survived,
            failed: all(&outcome.failed),
            lost: all(&outcome.lost),
            untried: outcome.untried,
            connect: encode(&outcome.connect),
            other: outcome.other.clone(),
            private: outcome.private,
            stopped: outcome.stopped,
        }
    }

    /// # Errors
    /// The histogram is none: a bug.
    pub(super) fn outcome(self) -> Result<Outcome, String> {
        let mut outcome = Outcome::new();
        for (kinds, counts) in [(&mut outcome.failed, &self.failed), (&mut outcome.lost, &self.lost)] {
            for (kind, count) in Kind::ALL.iter().zip(counts) {
                kinds.add(*kind, *count);
            }
        }
        outcome.opened = self.opened;
        outcome.survived = self.survived;
        outcome.untried = self.untried;
        outcome.connect = decode(&self.connect)?;
        outcome.other = self.other;
        outcome.private = self.private;
        outcome.stopped = self.stopped;
        Ok(outcome)
    }
}

fn encode(histogram: &Nanos) -> String {
    let mut bytes = Vec::new();
    // Writing into memory does not fail, and every count fits.
    let _ = V2Serializer::new().serialize(histogram, &mut bytes);
    STANDARD.encode(bytes)
}

fn decode(text: &str) -> Result<Nanos, String> {
    let bytes = STANDARD.decode(text).map_err(|error| error.to_string())?;
    Deserializer::new().deserialize(&mut bytes.as_slice()).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_found_survives_the_way_to_the_parent() {
        let mut outcome = Outcome::new();
        outcome.opened = 7;
        outcome.failed.add(Kind::TimedOut, 3);
        outcome.lost.add(Kind::Reset, 2);
        outcome.connect.saturating_record(123_456);
        outcome.private = Some((1, 2));
        outcome.other = Some("x".to_owned());
        let text = serde_json::to_string(&Found::of(&outcome)).unwrap();
        let back = serde_json::from_str::<Found>(&text).unwrap().outcome().unwrap();
        assert_eq!((back.opened, back.failed, back.lost), (7, outcome.failed, outcome.lost));
        assert_eq!((back.connect.max(), back.private), (outcome.connect.max(), Some((1, 2))));
        assert_eq!(back.other, outcome.other);
        let mut sum = Outcome::new();
        sum.merge(&back);
        sum.merge(&back);
        assert_eq!((sum.connect.len(), sum.failed.total(), sum.private), (2, 6, Some((2, 4))));
    }
}
