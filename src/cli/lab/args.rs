//! The raw arguments of `oneloop lab`, and its help.

use std::path::PathBuf;
use std::time::Duration;

use clap::Subcommand;

use super::super::audit::{self, AuditArgs};
use super::super::units;

pub(in super::super) const ABOUT: &str = "\
Try out what sockets do: claims, each tested on real sockets of this machine.

Each experiment runs in a process of its own, and in a network namespace of its own where that is allowed (as root). \
It prints its claim, the calls that matter with their results, and what was observed against what is claimed. \
Figures that depend on the kernel or its tuning are marked `~` and never asserted.";

pub(in super::super) const EXAMPLES: &str = "\
Examples:
  oneloop lab                                 lists the experiments
  oneloop lab run                             runs all of them
  oneloop lab run modes --brief               one group, one line each
  oneloop lab run M05 --slow                  waits for Enter at each step, for a class
  oneloop lab show M05 --source               what it claims, and its code
  oneloop lab run --json > here.json          for `oneloop lab diff here.json there.json`";

pub(in super::super) const EXIT_CODES: &str = "\
JSON (--json), one object; docs/lab-json.md explains it:
  schema \"oneloop.lab/1\", version, host, experiments [{id, group, core, title, claim, verdict, reason,
  observed, calls, numbers, took_ms}]

Exit codes:
  0    no experiment failed; those that cannot be made here are skipped, with the reason
  1    could not run
  2    the arguments make no sense, e.g. there is no such experiment
  3    an experiment failed";

/// The arguments of `oneloop lab`.
#[derive(Debug, clap::Args)]
pub(in super::super) struct LabArgs {
    #[command(subcommand)]
    pub(super) command: Option<LabCommand>,
}

#[derive(Debug, Subcommand)]
pub(super) enum LabCommand {
    /// List the experiments, by group
    List,
    /// Run all experiments, or those that are named
    Run(RunArgs),
    /// Print what an experiment claims and does, without running it
    Show(ShowArgs),
    /// Compare the JSON of two runs: two machines, or two kernels
    Diff(DiffArgs),
    /// Find out whether a load generator tells what users would have had
    #[command(long_about = audit::ABOUT)]
    #[command(after_help = audit::EXAMPLES, after_long_help = format!("{}\n\n{}", audit::EXAMPLES, audit::EXIT_CODES))]
    Audit(Box<AuditArgs>),
    /// Write the pages of docs/lab
    #[command(hide = true)]
    Docs {
        /// The folder
        folder: PathBuf,
    },
}

#[derive(Debug, clap::Args)]
pub(super) struct RunArgs {
    /// Experiments (M05) or groups (modes, M) [default: all]
    #[arg(value_name = "ID|GROUP")]
    pub(super) which: Vec<String>,

    /// Core experiments only
    #[arg(long)]
    pub(super) core: bool,

    /// Print one line for each, and everything only of those that fail
    #[arg(long, conflicts_with = "json")]
    pub(super) brief: bool,

    /// Print one JSON object instead
    #[arg(long)]
    pub(super) json: bool,

    /// Wait at each step: for Enter, or for so long; one experiment at a time
    #[arg(long, value_name = "TIME", value_parser = units::time, num_args = 0..=1, require_equals = true,
        default_missing_value = "0", conflicts_with_all = ["json", "brief", "jobs"])]
    pub(super) slow: Option<Duration>,

    /// How many at once [default: as many as processors, or 1 without a private network]
    #[arg(long, value_name = "COUNT", value_parser = units::count)]
    pub(super) jobs: Option<usize>,
}

#[derive(Debug, clap::Args)]
pub(super) struct ShowArgs {
    /// Its ID
    pub(super) id: String,
    /// Print its code too
    #[arg(long)]
    pub(super) source: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct DiffArgs {
    /// The JSON of one run
    pub(super) a: PathBuf,
    /// The JSON of another
    pub(super) b: PathBuf,
    /// Compare the figures that depend on kernel and tuning too
    #[arg(long)]
    pub(super) numbers: bool,
}

/// The arguments of a process that runs one experiment, or is an experiment's helper.
#[derive(Debug, clap::Args)]
pub(in super::super) struct OneArgs {
    pub(super) id: String,
    pub(super) argument: Option<String>,
}
