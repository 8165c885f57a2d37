//! What doctor says around a run of clients: before it, whether the machine can; after one that failed, which limit bit.

use std::path::Path;

use log::LevelFilter;

use super::exit::{Exit, Failure};
use crate::doctor::{Counters, Machine, Question, delta, examine};

/// A machine that was looked at before a run.
pub(super) struct Checkup {
    before: Counters,
}

impl Checkup {
    /// Says on standard error what the machine can do: a line where it can, and all of it where it cannot.
    ///
    /// # Errors
    /// It cannot, and that was not to be tried all the same.
    pub(super) fn before(question: &Question, force: bool, level: LevelFilter) -> Result<Self, Failure> {
        let diagnosis = examine(&Machine::read(), question);
        if !diagnosis.is_possible() && !force {
            let message =
                format!("this machine cannot; --force tries all the same\n{}", diagnosis.text().trim_end());
            return Err(Failure { exit: Exit::MachineCannot, message });
        }
        if level > LevelFilter::Error {
            eprintln!("{}", diagnosis.line());
        }
        Ok(Self { before: Counters::read(Path::new("/")) })
    }

    /// Which of the kernel's limits bit meanwhile, a line each; `None` when none did. The counters are the whole machine's.
    pub(super) fn after(&self) -> Option<String> {
        let found = delta(&self.before, &Counters::read(Path::new("/")));
        let lines: Vec<String> = found.iter().map(|finding| format!("kernel       {finding}")).collect();
        (!lines.is_empty()).then(|| lines.join("\n"))
    }
}
