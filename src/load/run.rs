//! One run: threads are started together, watched, and what they found is put together.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::plan::Plan;
use super::report::{Report, Second};

/// Ends a run before its time, from another thread: what was found until then is reported. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Ends the run within a tenth of a second.
    pub fn stop(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// Whether that was asked for.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// Why there is no report.
#[derive(Debug)]
#[non_exhaustive]
pub enum Failure {
    /// Not one connection could be made: to which target, and why.
    NoConnection {
        /// E.g. `tcp://127.0.0.1:9999`.
        target: String,
        /// E.g. `refused: nobody listens there`.
        why: String,
    },
    /// The system refused what a run needs.
    SetUp {
        /// E.g. `starting a thread`.
        what: &'static str,
        /// What it said.
        source: io::Error,
    },
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoConnection { target, why } => {
                write!(f, "not one connection to {target} could be made: {why}")
            }
            Self::SetUp { what, source } => write!(f, "{what} failed: {source}"),
        }
    }
}

impl std::error::Error for Failure {}

/// Runs a plan and says what was found. `observe` is told of every second as it ends, in this thread.
///
/// # Errors
/// [`Failure`]: nothing could be measured at all.
pub fn run(plan: &Plan, stop: &Stop, observe: &mut dyn FnMut(&Second)) -> Result<Report, Failure> {
    let _ = (plan, stop, observe);
    Err(Failure::SetUp { what: "generating load", source: io::ErrorKind::Unsupported.into() })
}
