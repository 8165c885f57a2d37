//! The raw arguments of `oneloop get`, and its help.

use std::path::PathBuf;
use std::time::Duration;

use super::super::units::{self, SizeLimit};
use crate::http::{Field, Url};

pub(in super::super) const ABOUT: &str = "\
Fetch what an http:// URL names, and be sure that it is all there.

The answer goes to standard output, or with -o to a file, which appears under its name only when everything has come. An \
answer that is cut off is an error. So is a status of 400 or more: its body is still printed, but no file is written. \
Redirects are followed up to five times, to http:// only.";

pub(in super::super) const EXAMPLES: &str = "\
Examples:
  oneloop get http://127.0.0.1:8080/
  oneloop get http://localhost:8080/big.iso -o big.iso --max-size 8GiB
  oneloop get http://[::1]:8080/status -i -H 'Accept: application/json'
  oneloop get http://127.0.0.1:8080/ -I --json | jq .status";

pub(in super::super) const EXIT_CODES: &str = "\
Units:
  sizes   4096, 64KiB, 1MiB, 1GiB             in bytes; 64k is short for 64KiB
  times   250ms, 10s, 5m, 1h, 2d              at most 12d

Exit codes:
  0    everything has come, and its status was below 400; or whoever read standard output had enough
  1    no connection, nothing within --timeout, an answer that was cut off, too long or no HTTP, a redirect that
       cannot be followed, a status of 400 or more, a file that cannot be written
  2    the arguments make no sense
  130, 143  interrupted by SIGINT or SIGTERM; nothing is left behind";

/// The arguments of `oneloop get`.
#[derive(Debug, clap::Args)]
pub(in super::super) struct GetArgs {
    /// What to fetch: http://HOST[:PORT][/PATH][?QUERY]
    ///
    /// HOST is a name or a numeric address, IPv6 in brackets. The addresses of a name are tried in order.
    #[arg(value_name = "URL", value_parser = url)]
    pub(super) url: Url,

    /// Write what comes to this file instead; - is standard output
    ///
    /// It is written beside it, under another name, and takes its place when all of it has come and is on the disk.
    #[arg(short, long, value_name = "FILE")]
    pub(super) output: Option<PathBuf>,

    /// Print the headers too, before the body; control characters are escaped
    #[arg(short, long)]
    pub(super) include: bool,

    /// Ask for the headers only, by HEAD, and print them
    #[arg(short = 'I', long, conflicts_with = "output")]
    pub(super) head: bool,

    /// Send this header too; may be given several times
    ///
    /// Authorization, Cookie and Host are not sent on when a redirect leads to another host or port.
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE", value_parser = field, allow_hyphen_values = true)]
    pub(super) headers: Vec<Field>,

    /// Take an answer whatever its status: it is written to a file too, and the exit code is 0
    #[arg(long)]
    pub(super) any_status: bool,

    /// Print one JSON object about the answer: status, headers, length, time; with -o or -I
    #[arg(long)]
    pub(super) json: bool,

    /// How many redirects are followed; 0: a redirect is printed like any answer
    #[arg(long, value_name = "COUNT", default_value = "5", value_parser = clap::value_parser!(u8).range(..=50), allow_hyphen_values = true, help_heading = "Limits")]
    pub(super) redirects: u8,

    /// The longest body; a longer one is an error; 0 or off: no limit [default: 16GiB]
    #[arg(long, value_name = "SIZE", value_parser = units::size_limit, allow_hyphen_values = true, help_heading = "Limits")]
    pub(super) max_size: Option<SizeLimit>,

    /// How long all headers may take, and how long nothing may come of the body
    #[arg(long, value_name = "TIME", value_parser = limit, allow_hyphen_values = true, default_value = "10s", help_heading = "Limits")]
    pub(super) timeout: Duration,

    /// How long the lookup of a name may take, and then each address
    #[arg(long, value_name = "TIME", value_parser = limit, allow_hyphen_values = true, default_value = "5s", help_heading = "Limits")]
    pub(super) connect_timeout: Duration,
}

fn url(text: &str) -> Result<Url, String> {
    text.parse::<Url>().map_err(|error| error.to_string())
}

fn field(text: &str) -> Result<Field, String> {
    text.parse::<Field>().map_err(|error| error.to_string())
}

fn limit(text: &str) -> Result<Duration, String> {
    let limit = units::time(text)?;
    if limit.is_zero() { Err("expected at least 1ms".to_owned()) } else { Ok(limit) }
}
