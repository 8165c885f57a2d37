//! The raw arguments of `oneloop doctor`, and its help.

use clap::ValueEnum;

use super::super::{sources, units};
use crate::load::Sources;
use crate::os::resolve::Target;

pub(in super::super) const ABOUT: &str = "\
Say whether this machine can hold so many connections, and what stops them.

Reads the limits of the system and computes what the connections need: descriptors, local ports, memory, queues, \
tables, threads. Prints which limit stops first, at which number, and what raises it, without root and with. \
Nothing is opened or changed.

Two processes are assumed, one on each side, and more where one may not have so many descriptors; --processes \
fixes their number.";

pub(in super::super) const EXAMPLES: &str = "\
Examples:
  oneloop doctor -c 10k                       both sides on this machine
  oneloop doctor -c 100k --source 127.0.0.2-127.0.0.9
                                              the client connects from eight addresses
  oneloop doctor -c 1m --role server          only the server is here
  oneloop doctor -c 20k --role server --model threads
                                              with a thread for each connection
  oneloop doctor -c 50k --target tcp://10.0.0.7:80 --role client --json";

pub(in super::super) const EXIT_CODES: &str = "\
Units:
  counts  500, 10k, 1m                        k is 1,000

JSON (--json), one object; null is unknown, or no limit where `known` is true:
  schema \"oneloop.doctor/1\", connections, role, model, targets {tcp, udp, unix}, sources,
  processes {client, server}, possible, stopped_by, first_limit, most,
  checks [{limit, name, setting, unit, needed, there, most, known, effect, verdict, why,
           remedies {without_root, with_root: [{action, most}]}}], host {kernel, cpus}

Exit codes:
  0    no limit that is known stands in the way
  1    could not run, e.g. because a name cannot be looked up
  2    the arguments make no sense
  4    the machine cannot";

/// Which side is on this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(in super::super) enum RoleName {
    /// The side that connects: load, hold
    Client,
    /// The side that accepts: serve
    Server,
    /// Both, in processes of their own
    Both,
}

/// How the server drives connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(in super::super) enum ModelName {
    /// One thread for all
    Loop,
    /// A thread for each
    Threads,
}

/// The arguments of `oneloop doctor`.
#[derive(Debug, clap::Args)]
pub(in super::super) struct DoctorArgs {
    /// Connections, or UDP sockets, open at once
    #[arg(short = 'c', long, value_name = "COUNT", value_parser = units::count, allow_hyphen_values = true)]
    pub(super) connections: usize,

    /// Which side is on this machine
    #[arg(long, value_enum, default_value_t = RoleName::Both)]
    pub(super) role: RoleName,

    /// How the server drives connections [default: loop]
    #[arg(long, value_enum)]
    pub(super) model: Option<ModelName>,

    /// Where they go; may be given several times, and they take turns [default: tcp://127.0.0.1:9999]
    ///
    /// tcp://HOST:PORT, udp://HOST:PORT, unix:PATH or unix:@NAME. Nobody needs to listen there.
    #[arg(long, value_name = "URL", value_parser = target)]
    pub(super) target: Vec<Target>,

    /// The local addresses to connect from: ADDR/BITS, ADDR-ADDR or ADDR [default: the one the system chooses]
    #[arg(long, value_name = "CIDR|ADDR-ADDR", value_parser = sources::parse, allow_hyphen_values = true)]
    pub(super) source: Option<Sources>,

    /// Processes on each side [default: as many as it takes]
    #[arg(long, value_name = "COUNT", value_parser = units::count, allow_hyphen_values = true)]
    pub(super) processes: Option<usize>,

    /// Print one JSON object instead; --help has its fields
    #[arg(long)]
    pub(super) json: bool,
}

fn target(text: &str) -> Result<Target, String> {
    text.parse::<Target>().map_err(|error| error.why().to_owned())
}
