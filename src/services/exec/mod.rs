//! Remote commands: a request names an entry of a list, its program runs as a child of the driver, and what it prints and
//! how it ends is the reply.
//!
//! [`Exec`] is a streaming protocol of frames. [`ExecRaw`] serves the clients of the tutorials: a text, and one
//! reply. Both decide here what may be run: see [`Commands`].

mod commands;
mod raw;
mod streamed;
mod token;
mod words;

pub use self::commands::{Accept, Commands, Entry};
pub use self::raw::{ExecRaw, RawReply};
pub use self::streamed::{Exec, STATUS, STDERR, STDOUT};
pub use self::token::{ExecToken, MAX_TOKEN};
pub use self::words::split_words;

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::session::{ChildEnd, ChildLimit, ChildSpec, ChildStatus, Context};

/// What a child finds as its whole environment.
const PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// The status that stands for a failure of ours, as with ssh(1).
pub const OUR_FAILURE: i32 = 255;

/// What is served, and within which limits. One per server.
#[derive(Debug)]
pub struct ExecConfig {
    /// What may be run.
    pub commands: Commands,
    /// What a request must know, where that is asked for; streamed requests only.
    pub token: Option<ExecToken>,
    /// A program that starts the command, and its arguments before the command's own: where resource limits are set.
    pub launcher: Option<(PathBuf, Vec<OsString>)>,
    /// How long a command may run. `None`: for ever.
    pub time_limit: Option<Duration>,
    /// What a command may print, in bytes. `None`: without an end, which [`ExecRaw`] does not keep.
    pub max_output: Option<u64>,
    /// Folds what is logged about refusals.
    pub refusals: Refusals,
}

impl ExecConfig {
    /// The child that a request asks for.
    ///
    /// # Errors
    /// What is not allowed, for the one who asked.
    fn child(&self, words: &[&[u8]]) -> Result<ChildSpec, String> {
        Ok(self.wrap(self.commands.resolve(words)?))
    }

    /// The child that a text asks for.
    ///
    /// # Errors
    /// What is not allowed, or no command, for the one who asked.
    fn child_of_text(&self, text: &[u8]) -> Result<ChildSpec, String> {
        Ok(self.wrap(self.commands.resolve_text(text)?))
    }

    fn wrap(&self, (program, arguments): (PathBuf, Vec<OsString>)) -> ChildSpec {
        let (program, arguments) = match &self.launcher {
            None => (program, arguments),
            Some((launcher, before)) => {
                let own = [program.into_os_string()].into_iter().chain(arguments);
                (launcher.clone(), before.iter().cloned().chain(own).collect())
            }
        };
        ChildSpec {
            program,
            arguments,
            env: vec![("PATH".into(), PATH.into())],
            time_limit: self.time_limit,
            max_output: self.max_output,
        }
    }

    /// What is to be said about a limit that ended a command.
    fn notice(&self, end: &ChildEnd) -> Option<String> {
        match end.limit? {
            ChildLimit::Time => {
                let limit = self.time_limit.unwrap_or_default();
                Some(format!("oneloop: ended: it ran for longer than {limit:?}\n"))
            }
            ChildLimit::Output => {
                let max = self.max_output.unwrap_or_default();
                Some(format!("oneloop: ended: it printed more than {max} bytes\n"))
            }
        }
    }

    fn log_refusal(&self, why: &str, cx: &Context<'_>) {
        if let Some(suppressed) = self.refusals.permit(cx.now()) {
            log::warn!("command refused why=\"{why}\" peer={} suppressed={suppressed}", cx.peer());
        }
    }
}

/// What a status is on the wire: 0 to 255 as the command gave it, or a signal's number, negative.
#[must_use]
pub const fn wire_status(status: ChildStatus) -> i32 {
    match status {
        ChildStatus::Exited(status) => status,
        ChildStatus::Signalled(signal) => -signal,
    }
}

/// Refusals are logged once a second at most: whoever is refused may try again at once.
#[derive(Debug, Default)]
pub struct Refusals(Mutex<(Option<Instant>, u64)>);

impl Refusals {
    /// How many were left out since the last one, if this one is to be logged.
    fn permit(&self, now: Instant) -> Option<u64> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (last, left_out) = &mut *state;
        if last.is_some_and(|last| now.saturating_duration_since(last) < Duration::from_secs(1)) {
            *left_out += 1;
            return None;
        }
        *last = Some(now);
        Some(std::mem::take(left_out))
    }
}

/// Bytes of a peer as text that a log and an error may hold: printable ASCII, and not too much of it.
fn shown(bytes: &[u8]) -> String {
    const MOST: usize = 64;
    let text: String = bytes[..bytes.len().min(MOST)].escape_ascii().to_string();
    if bytes.len() > MOST { format!("{text}...") } else { text }
}
