//! `oneloop run`: a command of a server of ours, or of a tutorial's, as if it ran here.

mod announced;
mod args;
mod streamed;

pub(super) use self::args::{ABOUT, EXAMPLES, EXIT_CODES, RunArgs};

use std::io::{self, Write};
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::time::Duration;

use self::args::Speech;
use super::exec;
use super::exit::{Exit, Failure};
use crate::client::{ClientError, ConnectOptions};
use crate::os::resolve::Target;

/// For failures that are not the command's, as with ssh(1).
const OUR_FAILURE: Exit = Exit::Command(255);

/// Whom to ask for what.
pub(super) struct Options {
    target: Target,
    words: Vec<Vec<u8>>,
    speech: Speech,
    token_file: Option<PathBuf>,
    timeout: Duration,
    connect: ConnectOptions,
}

impl Options {
    /// Gives the arguments their meaning.
    ///
    /// # Errors
    /// Arguments that cannot be kept together.
    pub(super) fn from_args(args: RunArgs) -> Result<Self, String> {
        if args.url.is_datagram() {
            return Err(format!(
                "'{}' cannot be run on: commands need a connection; use tcp:// or unix:",
                args.url
            ));
        }
        if args.token_file.is_some() && args.framing != Speech::Len32 {
            return Err("'--token-file' cannot be used with '--framing len32le' or 'length-ok', which have no place for a token; \
                        use --framing len32 or leave the option out"
                .to_owned());
        }
        Ok(Self {
            target: args.url,
            words: args.command.into_iter().map(OsStringExt::into_vec).collect(),
            speech: args.framing,
            token_file: args.token_file,
            timeout: args.timeout,
            connect: ConnectOptions { limit: args.connect_timeout, bind: None },
        })
    }
}

/// Why it ended before the command's reply was whole.
enum Stop {
    /// Nobody reads our standard output any more.
    BrokenPipe,
    Because(String),
}

impl From<ClientError> for Stop {
    fn from(error: ClientError) -> Self {
        Self::Because(error.to_string())
    }
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::BrokenPipe,
            _ => Self::Because(format!("cannot print: {error}")),
        }
    }
}

/// Runs it, and ends as it does.
///
/// # Errors
/// What kept it from being run, or its reply from arriving whole.
pub(super) fn run(options: &Options) -> Result<Exit, Failure> {
    let token = options.token_file.as_deref().map(exec::read_token_bytes).transpose();
    let token = token.map_err(|message| Failure { exit: OUR_FAILURE, message })?.unwrap_or_default();
    let outcome = match options.speech {
        Speech::Len32 => streamed::run(options, &token),
        Speech::Len32le => announced::run(options, announced::read_header_le),
        Speech::LengthOk => announced::run(options, announced::read_header_text),
    };
    match outcome {
        Ok(exit) => Ok(exit),
        // As a command whose output is not read any more.
        Err(Stop::BrokenPipe) => Ok(Exit::Signal(13)),
        Err(Stop::Because(message)) => Err(Failure { exit: OUR_FAILURE, message }),
    }
}

/// Prints at once.
fn print(mut to: impl Write, bytes: &[u8]) -> io::Result<()> {
    to.write_all(bytes)?;
    to.flush()
}
