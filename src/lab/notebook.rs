//! The notebook: what an experiment writes down while it runs.
//!
//! Every line goes to a reader at once. The reader of a run is the parent process; it keeps what was written when the experiment
//! hangs or dies, and under `--slow` it lets the experiment wait at each step.

use std::fmt;
use std::io;

use serde::{Deserialize, Serialize};

use super::show::{Show, error_name};

/// A line of the notebook.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "line", rename_all = "snake_case")]
pub enum Line {
    /// What comes next.
    Step {
        /// A sentence without a full stop.
        text: String,
    },
    /// A call that matters, and its result or the name of its error.
    Call {
        /// As one would write it in C: `recv(c, 16)`.
        call: String,
        /// See [`Show`].
        result: String,
    },
    /// What was observed against what is claimed.
    Observed(Observation),
    /// A figure that depends on the kernel or its tuning; never compared with anything.
    Number(Number),
    /// The end; nothing follows.
    Verdict {
        /// How it ended.
        verdict: Verdict,
        /// Why it failed or was skipped; empty when it passed.
        reason: String,
    },
}

/// One comparison.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Observation {
    /// What was looked at.
    pub what: String,
    /// What it is claimed to be.
    pub claimed: String,
    /// What it was.
    pub observed: String,
    /// Whether they agree.
    pub held: bool,
}

/// A figure that is printed and never asserted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Number {
    /// What was counted or timed, with its unit.
    pub name: String,
    /// How much it was.
    pub value: String,
    /// What it depends on.
    pub depends_on: String,
}

/// How an experiment ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Everything was observed as claimed.
    Pass,
    /// Something was not, or the experiment itself broke.
    Fail,
    /// It could not be made here.
    Skip,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Pass => "PASS",
            Self::Fail => "FAIL",
            Self::Skip => "SKIP",
        })
    }
}

/// Why an experiment ends early. `?` on any error of a call makes one: the experiment itself broke, which is a failure.
#[derive(Debug)]
pub enum Stop {
    /// It cannot be made here, and why.
    Skip(String),
    /// A call failed that should not have.
    Broke(String),
}

impl Stop {
    /// `return Err(Stop::skip("..."))`.
    pub fn skip(reason: impl Into<String>) -> Self {
        Self::Skip(reason.into())
    }
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::Broke(format!("{}: {error}", error_name(&error)))
    }
}

impl From<rustix::io::Errno> for Stop {
    fn from(error: rustix::io::Errno) -> Self {
        io::Error::from(error).into()
    }
}

impl From<nix::errno::Errno> for Stop {
    fn from(error: nix::errno::Errno) -> Self {
        io::Error::from(error).into()
    }
}

/// What an experiment writes in.
pub struct Lab {
    reader: Box<dyn FnMut(&Line)>,
    id: &'static str,
    /// The last step or call, to say where the experiment broke.
    last: String,
    observed: usize,
    /// What did not hold, first of all.
    first_failure: Option<String>,
}

impl fmt::Debug for Lab {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lab").field("id", &self.id).field("last", &self.last).finish_non_exhaustive()
    }
}

impl Lab {
    /// An empty notebook for experiment `id`, whose lines go to `reader`.
    pub fn new(id: &'static str, reader: impl FnMut(&Line) + 'static) -> Self {
        Self { reader: Box::new(reader), id, last: "the start".to_owned(), observed: 0, first_failure: None }
    }

    /// The experiment's ID.
    #[must_use]
    pub const fn id(&self) -> &'static str {
        self.id
    }

    /// Says what comes next. Give it a literal: `lab show` takes the steps from the source text.
    ///
    /// Under `--slow` this waits, for as long as a class talks about it. So nothing may be timed across a step.
    pub fn step(&mut self, text: &str) {
        self.last = format!("\"{text}\"");
        (self.reader)(&Line::Step { text: text.to_owned() });
    }

    /// Notes a call that was just made, and hands its result back.
    ///
    /// # Errors
    /// Those of the call, as they were.
    pub fn call<T: Show, E: Into<io::Error>>(
        &mut self,
        call: impl Into<String>,
        result: Result<T, E>,
    ) -> io::Result<T> {
        let (call, result) = (call.into(), result.map_err(Into::into));
        self.last.clone_from(&call);
        (self.reader)(&Line::Call { call, result: result.show() });
        result
    }

    /// Compares what was observed with what is claimed, both as they are shown: `lab.expect("an idle recv", &result, "EAGAIN")`.
    pub fn expect(&mut self, what: impl Into<String>, observed: impl Show, claimed: impl Show) {
        let (observed, claimed) = (observed.show(), claimed.show());
        let held = observed == claimed;
        self.observe(Observation { what: what.into(), claimed, observed, held });
    }

    /// Notes whether a relation held: `lab.expect_that("bytes accepted", "more than 0, less than all", n, 0 < n && n < all)`.
    pub fn expect_that(
        &mut self,
        what: impl Into<String>,
        claimed: impl Into<String>,
        observed: impl Show,
        held: bool,
    ) {
        let observation =
            Observation { what: what.into(), claimed: claimed.into(), observed: observed.show(), held };
        self.observe(observation);
    }

    fn observe(&mut self, observation: Observation) {
        self.observed += 1;
        if !observation.held && self.first_failure.is_none() {
            self.first_failure = Some(format!(
                "{}: claimed {}, observed {}",
                observation.what, observation.claimed, observation.observed
            ));
        }
        (self.reader)(&Line::Observed(observation));
    }

    /// Notes a figure that depends on kernel, tuning or load, and must not be asserted.
    pub fn number(&mut self, name: impl Into<String>, value: impl Show, depends_on: impl Into<String>) {
        let number = Number { name: name.into(), value: value.show(), depends_on: depends_on.into() };
        (self.reader)(&Line::Number(number));
    }

    /// Writes the last line.
    pub(super) fn finish(mut self, ended: Result<(), Stop>) -> Verdict {
        let (verdict, reason) = match (ended, self.first_failure.take()) {
            (Err(Stop::Broke(error)), _) => {
                (Verdict::Fail, format!("the experiment itself broke at {}: {error}", self.last))
            }
            (_, Some(failure)) => (Verdict::Fail, failure),
            (Err(Stop::Skip(reason)), None) => (Verdict::Skip, reason),
            (Ok(()), None) if self.observed == 0 => (Verdict::Fail, "it observed nothing".to_owned()),
            (Ok(()), None) => (Verdict::Pass, String::new()),
        };
        (self.reader)(&Line::Verdict { verdict, reason });
        verdict
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    fn ended(experiment: impl FnOnce(&mut Lab) -> Result<(), Stop>) -> (Verdict, String) {
        let (tell, lines) = mpsc::channel();
        let mut lab = Lab::new("T01", move |line: &Line| tell.send(line.clone()).unwrap());
        let ended = experiment(&mut lab);
        let verdict = lab.finish(ended);
        let Some(Line::Verdict { reason, .. }) = lines.iter().last() else { panic!("no verdict") };
        (verdict, reason)
    }

    #[test]
    fn a_verdict_is_what_was_observed() {
        let (verdict, _) = ended(|lab| {
            lab.expect("a count", 4usize, "4");
            lab.expect_that("a relation", "less than 5", 4usize, true);
            Ok(())
        });
        assert_eq!(verdict, Verdict::Pass);
        let (verdict, reason) = ended(|lab| {
            lab.expect("a count", 4usize, 5usize);
            lab.expect("another", 4usize, 4usize);
            Ok(())
        });
        assert_eq!((verdict, reason.as_str()), (Verdict::Fail, "a count: claimed 5, observed 4"));
    }

    #[test]
    fn an_experiment_that_observed_nothing_fails() {
        assert_eq!(ended(|_| Ok(())), (Verdict::Fail, "it observed nothing".to_owned()));
    }

    #[test]
    fn an_error_names_the_call_it_comes_from() {
        let (verdict, reason) = ended(|lab| {
            lab.expect("a count", 4usize, 4usize);
            lab.call("send(c, 4)", Err::<usize, _>(rustix::io::Errno::PIPE))?;
            Ok(())
        });
        assert_eq!(verdict, Verdict::Fail);
        assert!(reason.starts_with("the experiment itself broke at send(c, 4): EPIPE: "), "{reason}");
    }

    #[test]
    fn a_skip_does_not_hide_what_failed_before() {
        let skip = || Err(Stop::skip("needs root"));
        assert_eq!(ended(|_| skip()), (Verdict::Skip, "needs root".to_owned()));
        let (verdict, _) = ended(|lab| {
            lab.expect("a count", 4usize, 5usize);
            skip()
        });
        assert_eq!(verdict, Verdict::Fail);
    }
}
