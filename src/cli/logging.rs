//! Logs go to standard error; `RUST_LOG` has the last word about which.

use clap::Args;
use env_logger::Env;
use log::LevelFilter;

/// How much is logged.
#[derive(Debug, Clone, Copy, Args)]
#[command(next_help_heading = "Logging")]
pub(super) struct Verbosity {
    /// Log more: -v one line per closed connection, -vv every event
    #[arg(short, long, action = clap::ArgAction::Count, global = true, conflicts_with = "quiet")]
    verbose: u8,
    /// Log less: -q only errors, -qq nothing
    #[arg(short, long, action = clap::ArgAction::Count, global = true)]
    quiet: u8,
}

impl Verbosity {
    pub(super) const fn level(self) -> LevelFilter {
        match (self.verbose, self.quiet) {
            (0, 0) => LevelFilter::Info,
            (1, 0) => LevelFilter::Debug,
            (_, 0) => LevelFilter::Trace,
            (_, 1) => LevelFilter::Error,
            _ => LevelFilter::Off,
        }
    }
}

/// Starts logging to standard error at `level`, unless `RUST_LOG` says otherwise. To be called once.
pub(super) fn init(level: LevelFilter) {
    env_logger::Builder::from_env(Env::default().default_filter_or(level.as_str())).init();
}
