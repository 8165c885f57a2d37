//! Why a call ends before its time.

use std::io;
use std::time::Duration;

use super::super::exit::{Exit, Failure};
use super::conversation::QUIET;
use crate::client::{ClientError, ClientErrorKind};

/// Why it ends.
#[derive(Debug)]
pub(super) enum Stop {
    /// Nobody reads standard output any more, as with `| head -1`: they have what they wanted.
    ReaderGone,
    /// It failed.
    Failed(Failure),
}

impl Stop {
    /// A failure that is no fault of the arguments.
    pub(super) const fn failed(message: String) -> Self {
        Self::Failed(Failure { exit: Exit::CouldNotRun, message })
    }

    pub(super) fn no_reply(name: &str, timeout: Duration) -> Self {
        Self::failed(format!(
            "no reply from {name} within {timeout:?} (--timeout waits longer; --no-reply is for servers that answer \
             nothing)"
        ))
    }

    pub(super) fn endless_reply(name: &str, timeout: Duration) -> Self {
        Self::failed(format!(
            "the reply of {name} did not end within {timeout:?}: no {QUIET:?} passed without more of it (--timeout \
             waits longer; --no-reply prints what comes until the server closes)"
        ))
    }

    pub(super) fn of_stdout(error: &io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Self::ReaderGone;
        }
        Self::failed(format!("cannot write to standard output: {error}"))
    }
}

impl From<ClientError> for Stop {
    /// Adds which option would help.
    fn from(error: ClientError) -> Self {
        let hint = match error.kind() {
            ClientErrorKind::ConnectTimedOut { .. } => "; --connect-timeout waits longer",
            ClientErrorKind::Message(_) | ClientErrorKind::Frame(_) => {
                "; --framing and --max-frame must be the server's"
            }
            ClientErrorKind::Family { .. } => {
                let message = format!("'--bind' has the wrong family: {error}; name an address of the other");
                return Self::Failed(Failure::usage_of("call")(message));
            }
            ClientErrorKind::Broadcast => {
                let message = format!("{error}; --broadcast says that this is wanted");
                return Self::Failed(Failure::usage_of("call")(message));
            }
            _ => "",
        };
        Self::failed(format!("{error}{hint}"))
    }
}
