//! Why fetching ends before its time, and the signals that end it.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

use super::super::exit::{Exit, Failure};
use crate::client::{ClientError, ClientErrorKind};

/// Why it ends.
#[derive(Debug)]
pub(super) enum Stop {
    /// Nobody reads standard output any more: they have what they wanted.
    ReaderGone,
    /// A signal came.
    Interrupted(i32),
    /// It failed.
    Failed(String),
}

impl Stop {
    pub(super) fn of_stdout(error: &io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Self::ReaderGone;
        }
        Self::Failed(format!("cannot write to standard output: {error}"))
    }

    /// What the program ends with.
    pub(super) fn outcome(self) -> Result<Exit, Failure> {
        match self {
            Self::ReaderGone => Ok(Exit::Done),
            Self::Interrupted(signal) => Ok(Exit::Signal(signal)),
            Self::Failed(message) => Err(Failure { exit: Exit::CouldNotRun, message }),
        }
    }
}

impl From<ClientError> for Stop {
    /// Adds which option would help.
    fn from(error: ClientError) -> Self {
        let hint = match error.kind() {
            ClientErrorKind::ConnectTimedOut { .. } => "; --connect-timeout waits longer",
            _ => "",
        };
        Self::Failed(format!("{error}{hint}"))
    }
}

/// The signal that has come, if any; a second one ends the program at once.
#[derive(Debug, Clone)]
pub(super) struct Signals(Arc<AtomicUsize>);

impl Signals {
    pub(super) fn watch() -> io::Result<Self> {
        let (came, is_second) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        for (signal, number) in [(SIGINT, 2), (SIGTERM, 15)] {
            // In this order: the first signal only arms what the second one does.
            flag::register_conditional_default(signal, Arc::clone(&is_second))?;
            flag::register(signal, Arc::clone(&is_second))?;
            flag::register_usize(signal, Arc::clone(&came), number)?;
        }
        Ok(Self(came))
    }

    pub(super) fn check(&self) -> Result<(), Stop> {
        match self.0.load(Ordering::Acquire) {
            0 => Ok(()),
            signal => Err(Stop::Interrupted(i32::try_from(signal).unwrap_or(SIGINT))),
        }
    }
}
