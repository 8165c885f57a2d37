//! The raw arguments of `oneloop hold`, and its help.

use std::ffi::OsString;
use std::time::Duration;

use clap::ValueEnum;

use super::super::{sources, units};
use crate::codec::Framing;
use crate::load::Sources;
use crate::os::resolve::Target;

pub(in super::super) const ABOUT: &str = "\
Open many connections, hold them idle, and see which survive.

Each connection is opened, exchanges one message with the target, which must echo it, then rests for \
--for. At the end each is asked once more, then all are closed. The report says how long opening took, how many were opened and how \
many survived, and what a connection costs in memory.

More connections than one process may have descriptors are spread over several processes by themselves; more than one \
local address has ports, over several addresses of 127.0.0.0/8 when the target is there.";

pub(in super::super) const EXAMPLES: &str = "\
Examples:
  oneloop hold tcp://127.0.0.1:9999 -c 10k --for 1m
  oneloop hold tcp://127.0.0.1:9999 -c 100k --for 1m --pid $(pidof -s oneloop) --json
                                              against `oneloop serve --workers 6`, and its memory too
  oneloop hold tcp://10.0.0.5:80 -c 50k --no-exchange --source 10.0.0.10-10.0.0.13
                                              a target that does not echo, from four addresses
  oneloop hold unix:/run/my.sock --framing lines --connect-rate 500";

pub(in super::super) const EXIT_CODES: &str = "\
Exit codes:
  0    every connection was opened, and every one survived
  1    some were not opened or did not survive, or it could not run
  2    the arguments make no sense
  130, 143  interrupted by SIGINT or SIGTERM, after the report on what there was";

/// The arguments of `oneloop hold`.
#[derive(Debug, clap::Args)]
pub(in super::super) struct HoldArgs {
    /// Where to connect: tcp://HOST:PORT, unix:PATH or unix:@NAME; connections take turns on several
    ///
    /// HOST is a name or a numeric address, IPv6 in brackets. Of a name with several addresses the first that takes a
    /// connection is used.
    #[arg(value_name = "URL", required = true, value_parser = target)]
    pub(super) urls: Vec<Target>,

    /// How many connections
    #[arg(short, long, value_name = "COUNT", value_parser = units::count, allow_hyphen_values = true, default_value = "1000")]
    pub(super) connections: usize,

    /// How long they are held once all are open
    #[arg(long = "for", value_name = "TIME", value_parser = units::time, allow_hyphen_values = true, default_value = "10s")]
    pub(super) hold_for: Duration,

    /// Where a message ends: raw, lines, delimited:TEXT, fixed:N, len16, len32 or len32le; it must be the target's
    #[arg(long, value_name = "FRAMING", allow_hyphen_values = true, default_value_t = Framing::Raw, help_heading = "Messages")]
    pub(super) framing: Framing,

    /// Bytes of a message, letters that differ on each connection [default: 16; N with fixed:N]
    #[arg(long, value_name = "SIZE", value_parser = units::positive_size, allow_hyphen_values = true, conflicts_with = "message", help_heading = "Messages")]
    pub(super) size: Option<usize>,

    /// Send always this text instead
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true, help_heading = "Messages")]
    pub(super) message: Option<OsString>,

    /// Send nothing and expect nothing, for targets that do not echo: a connection counts as open once it is made
    #[arg(long, conflicts_with_all = ["message", "size"], help_heading = "Messages")]
    pub(super) no_exchange: bool,

    /// Connections begun per second [default: as fast as they are taken]
    #[arg(long, value_name = "COUNT", value_parser = units::count, allow_hyphen_values = true, help_heading = "Connections")]
    pub(super) connect_rate: Option<usize>,

    /// Connections of one process that may be on their way at once, so that the target's queue is not overrun
    #[arg(long, value_name = "COUNT", value_parser = units::count, allow_hyphen_values = true, default_value = "256", help_heading = "Connections")]
    pub(super) in_flight: usize,

    /// How long connecting and the first answer may take, and the answer at the end
    #[arg(long, value_name = "TIME", value_parser = positive_time, allow_hyphen_values = true, default_value = "10s", help_heading = "Connections")]
    pub(super) timeout: Duration,

    /// How connections are closed
    #[arg(long, value_enum, default_value_t = CloseName::Fin, help_heading = "Connections")]
    pub(super) close: CloseName,

    /// The local addresses to connect from, in turns: 127.0.0.0/24, 127.0.0.1-127.0.0.9 or one [default: the system chooses]
    ///
    /// One local address has about 28,000 ports for each target address and port. Without this option, and when all
    /// targets are in 127.0.0.0/8, as many addresses of that network are used as are needed.
    #[arg(long, value_name = "CIDR|FIRST-LAST", value_parser = sources::parse, allow_hyphen_values = true, help_heading = "Connections")]
    pub(super) source: Option<Sources>,

    /// Measure the memory of this process, and of its children, too: the target's; may be given several times
    #[arg(long, value_name = "PID", help_heading = "Output")]
    pub(super) pid: Vec<u32>,

    /// Try it even where doctor says that this machine cannot
    #[arg(long)]
    pub(super) force: bool,

    /// Print one JSON object instead of the report; docs/hold.md has its fields
    #[arg(long, help_heading = "Output")]
    pub(super) json: bool,
}

/// How connections are closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum CloseName {
    /// As usual; our side keeps each port for a minute (TIME_WAIT)
    Fin,
    /// By a reset: nothing stays behind
    Rst,
}

fn target(text: &str) -> Result<Target, String> {
    let target = text.parse::<Target>().map_err(|error| error.why().to_owned())?;
    if target.is_datagram() {
        let what = if matches!(target, Target::Udp(_)) { "UDP has" } else { "datagrams have" };
        return Err(format!("{what} no connections that could be held; use tcp:// or unix:"));
    }
    Ok(target)
}

fn positive_time(text: &str) -> Result<Duration, String> {
    let time = units::time(text)?;
    if time.is_zero() { Err("expected at least 1ms".to_owned()) } else { Ok(time) }
}
