//! The raw arguments of `oneloop run`, and its help.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use super::super::units;
use crate::os::resolve::Target;

pub(in super::super) const ABOUT: &str = "\
Run a command that 'oneloop serve exec' offers.

What it prints on standard output and standard error goes to ours as it arrives, and we end with its status. Standard input is \
not sent. When we are ended first, so is the command.";

pub(in super::super) const EXAMPLES: &str = "\
Examples:
  oneloop serve exec --allow date=/bin/date --allow 'disk=/bin/df -h'
                                              then, in another terminal:
  oneloop run tcp://127.0.0.1:9999 date
  oneloop run tcp://build.example:7000 --token-file ~/.token deploy staging
  oneloop run tcp://127.0.0.1:9999 --framing len32le 'ls -l'
                                              asks a tutorial's server, or ours";

pub(in super::super) const EXIT_CODES: &str = "\
Exit codes:
  0-255   the command's own
  128+n   signal n ended the command; 143 and 137 also when it ran for longer, or printed more, than it may
  255     a failure of ours or of the server: no connection, a command that is not allowed, a wrong token
  2       the arguments make no sense

With --framing len32le or length-ok no status is sent: 0 says that the reply has arrived.";

/// The arguments of `oneloop run`.
#[derive(Debug, clap::Args)]
pub(in super::super) struct RunArgs {
    /// Whom to ask: tcp://HOST:PORT, unix:PATH or unix:@NAME
    #[arg(value_name = "URL", value_parser = target)]
    pub(super) url: Target,

    /// The name of a command, and arguments where the server accepts some
    ///
    /// Options of our own come before it.
    #[arg(value_name = "COMMAND", required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    pub(super) command: Vec<OsString>,

    /// What the server speaks: len32, or len32le or length-ok with a tutorial's server
    #[arg(long, value_enum, value_name = "FRAMING", default_value_t = Speech::Len32)]
    pub(super) framing: Speech,

    /// Send the secret in the first line of this file; len32 only
    #[arg(long, value_name = "FILE")]
    pub(super) token_file: Option<PathBuf>,

    /// How long nothing may arrive
    #[arg(long, value_name = "TIME", value_parser = limit, allow_hyphen_values = true, default_value = "1h", help_heading = "Times")]
    pub(super) timeout: Duration,

    /// How long the lookup of a name may take, and then each address
    #[arg(long, value_name = "TIME", value_parser = limit, allow_hyphen_values = true, default_value = "5s", help_heading = "Times")]
    pub(super) connect_timeout: Duration,
}

/// What the server speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(in super::super) enum Speech {
    /// Our own protocol: streams and status kept apart
    Len32,
    /// A little-endian length of 4 bytes, then the reply
    Len32le,
    /// A decimal length, then, after `OK`, the reply
    LengthOk,
}

fn target(text: &str) -> Result<Target, String> {
    text.parse::<Target>().map_err(|error| error.why().to_owned())
}

/// A time that is not zero: every wait has an end, and some wait there must be.
fn limit(text: &str) -> Result<Duration, String> {
    let limit = units::time(text)?;
    if limit.is_zero() { Err("expected at least 1ms".to_owned()) } else { Ok(limit) }
}
