//! The answer: every limit that has to do with the question, the one that stops first on top.

use super::check::{Check, Effect, Verdict};
use super::machine::{Machine, UNLIMITED};
use super::needs::Case;
use super::question::Question;
use super::text;

pub use super::needs::Processes;

/// What [`examine`] found.
#[derive(Debug, Clone)]
pub struct Diagnosis {
    question: Question,
    processes: Processes,
    /// The most urgent first, and among equals the one that stops at the smallest number.
    checks: Vec<Check>,
    release: Option<String>,
    cpus: Option<u64>,
}

/// Compares what a question needs with what the machine has. Arithmetic alone: nothing is read, opened or changed.
#[must_use]
pub fn examine(machine: &Machine, question: &Question) -> Diagnosis {
    let case = Case::new(machine, question);
    let mut checks = case.checks();
    checks
        .sort_by_key(|check| (check.verdict, check.effect == Effect::Slows, check.most.unwrap_or(UNLIMITED)));
    Diagnosis {
        question: question.clone(),
        processes: case.processes,
        checks,
        release: machine.release.clone(),
        cpus: machine.cpus,
    }
}

impl Diagnosis {
    /// What was asked.
    #[must_use]
    pub const fn question(&self) -> &Question {
        &self.question
    }

    /// Processes of ours on each side: those asked for, or as many as it takes.
    #[must_use]
    pub const fn processes(&self) -> Processes {
        self.processes
    }

    /// Every limit looked at: the most urgent first, and among equals the one that stops at the smallest number.
    #[must_use]
    pub fn checks(&self) -> &[Check] {
        &self.checks
    }

    /// The kernel's release, where it is known.
    #[must_use]
    pub fn release(&self) -> Option<&str> {
        self.release.as_deref()
    }

    /// Processors, where they are known.
    #[must_use]
    pub const fn cpus(&self) -> Option<u64> {
        self.cpus
    }

    /// Whether no limit that is known says no.
    #[must_use]
    pub fn is_possible(&self) -> bool {
        self.stopping().is_none()
    }

    /// The limit that makes it impossible; of several the one that stops at the smallest number.
    #[must_use]
    pub fn stopping(&self) -> Option<&Check> {
        self.checks.first().filter(|check| check.verdict == Verdict::Stops)
    }

    /// The limit that would stop first when there were ever more connections, and is known.
    #[must_use]
    pub fn first_limit(&self) -> Option<&Check> {
        let stops = |check: &&Check| {
            check.effect == Effect::Stops && check.most.is_some_and(|most| most != UNLIMITED)
        };
        self.checks.iter().filter(stops).min_by_key(|check| check.most)
    }

    /// The most connections that no known limit stops; `None` when nothing is known.
    #[must_use]
    pub fn most(&self) -> Option<u64> {
        self.first_limit().and_then(|check| check.most)
    }

    /// One line, without its end, e.g. `machine      enough for 10,000 connections; the first limit is local TCP ports,
    /// at 28,232`.
    #[must_use]
    pub fn line(&self) -> String {
        text::line(self)
    }

    /// Everything worth knowing, in several lines, each with its end.
    #[must_use]
    pub fn text(&self) -> String {
        text::full(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::{Limit, Memory, Ports};

    fn small() -> Machine {
        Machine {
            ports: Ports { range: Some((32_768, 60_999)), reserved: 0 },
            memory: Memory { available: Some(100 << 20), cgroup_room: None },
            ..Machine::default()
        }
    }

    #[test]
    fn an_unknown_machine_says_yes_and_knows_no_limit() {
        let diagnosis = examine(&Machine::default(), &Question::new(u64::MAX - 1));
        assert!(diagnosis.is_possible());
        assert_eq!(diagnosis.most(), None);
    }

    #[test]
    fn the_smallest_number_stops_first() {
        let diagnosis = examine(&small(), &Question::new(1_000_000));
        assert!(!diagnosis.is_possible());
        let limits: Vec<Limit> = diagnosis
            .checks()
            .iter()
            .filter(|check| check.verdict == Verdict::Stops)
            .map(|check| check.limit)
            .collect();
        assert_eq!(limits, [Limit::Memory, Limit::TcpPorts]);
        assert_eq!(diagnosis.stopping().map(|check| check.limit), Some(Limit::Memory));
    }

    #[test]
    fn the_first_limit_is_known_before_it_is_reached() {
        let mut machine = small();
        machine.memory.available = Some(4 << 30);
        let diagnosis = examine(&machine, &Question::new(100));
        assert!(diagnosis.is_possible());
        assert_eq!(diagnosis.first_limit().map(|check| check.limit), Some(Limit::TcpPorts));
        assert_eq!(diagnosis.most(), Some(28_232));
    }
}
