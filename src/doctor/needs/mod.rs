//! The arithmetic: what so many connections need, limit by limit.
//!
//! Nothing is read here. A machine and a question go in, checks come out; one file per kind of limit.

mod files;
mod memory;
mod ports;
mod queues;
mod tasks;

use super::check::Check;
use super::machine::{Machine, UNLIMITED};
use super::number::{less, mul_div};
use super::question::{Model, Question};

/// Connections that a server of ours lets wait to be accepted: the default of `serve --backlog`.
pub const BACKLOG: u64 = 4_096;

/// Descriptors that a process of ours keeps for itself: standard streams, poll, signals, listeners, logs.
pub const DESCRIPTOR_RESERVE: u64 = 64;

/// Threads that one `serve --model threads` starts at most.
pub const MAX_THREADS: u64 = 10_240;

/// How many processes of ours there are on each side; 0 where that side is not here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Processes {
    /// That connect.
    pub client: u64,
    /// That accept.
    pub server: u64,
}

impl Processes {
    /// Both sides together.
    pub(super) const fn total(self) -> u64 {
        self.client.saturating_add(self.server)
    }

    /// The larger side.
    pub(super) fn most(self) -> u64 {
        self.client.max(self.server)
    }

    /// As many as were asked for, or as it takes.
    fn of(machine: &Machine, question: &Question) -> Self {
        let files = machine.files.hard.map_or(UNLIMITED, |hard| less(hard, DESCRIPTOR_RESERVE));
        let here = |is_here: bool, connections: u64, most: u64| match question.processes {
            _ if !is_here => 0,
            Some(count) => count.max(1),
            None => connections.div_ceil(most.max(1)).max(1),
        };
        let threads = match question.model {
            Model::Loop => UNLIMITED,
            Model::Threads => MAX_THREADS.min(tasks::threads_per_process(machine).unwrap_or(UNLIMITED)),
        };
        Self {
            client: here(question.role.has_client(), question.connections, files),
            server: here(question.role.has_server(), question.streams(), files.min(threads)),
        }
    }
}

/// A question about a machine.
#[derive(Debug)]
pub(super) struct Case<'a> {
    pub(super) machine: &'a Machine,
    pub(super) question: &'a Question,
    pub(super) processes: Processes,
}

impl<'a> Case<'a> {
    pub(super) fn new(machine: &'a Machine, question: &'a Question) -> Self {
        Self { machine, question, processes: Processes::of(machine, question) }
    }

    /// Every check that has to do with the question.
    pub(super) fn checks(&self) -> Vec<Check> {
        let mut checks = files::checks(self);
        checks.extend(ports::checks(self));
        checks.extend(memory::checks(self));
        checks.extend(tasks::checks(self));
        checks.extend(queues::checks(self));
        checks
    }

    /// How many connections `there` is enough for, when all that are asked for need `needed`.
    fn enough_for(&self, there: Option<u64>, needed: u64) -> Option<u64> {
        if needed == 0 { Some(UNLIMITED) } else { Some(mul_div(there?, self.question.connections, needed)) }
    }
}

/// What is left of a limit; nothing in use counts when that is unknown.
fn left(limit: Option<u64>, used: Option<u64>) -> Option<u64> {
    Some(less(limit?, used.unwrap_or(0)))
}

/// A round number that is enough, for commands.
fn rounded_up(number: u64) -> u64 {
    let step = 10_u64.pow(number.max(1).ilog10().saturating_sub(1));
    number.div_ceil(step).saturating_mul(step)
}

/// `net.core.somaxconn 4096`.
fn setting(name: &str, value: Option<u64>) -> String {
    match value {
        Some(UNLIMITED) => format!("{name} unlimited"),
        Some(value) => format!("{name} {value}"),
        None => format!("{name} unknown"),
    }
}

/// The same with what of it is in use.
fn setting_used(name: &str, value: Option<u64>, used: Option<u64>) -> String {
    match used {
        Some(used) => format!("{}, {used} in use", setting(name, value)),
        None => setting(name, value),
    }
}

#[cfg(test)]
mod tests;
