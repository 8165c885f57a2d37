//! The raw arguments of `oneloop serve exec`, beside those of every service.

use std::path::PathBuf;

use super::super::units::{self, SizeLimit, TimeLimit};

/// What only exec knows.
#[derive(Debug, Clone, Default, clap::Args)]
pub(in super::super) struct ExecArgs {
    /// Let clients run PROGRAM as NAME, with exactly these arguments; may be given several times
    ///
    /// PROGRAM is an absolute path. Words are separated by blanks; '…', "…" and a backslash keep them together, as in
    /// --allow "say=/bin/echo 'two words'". No shell is involved. A client can add no arguments: --allow-file has a way.
    #[arg(long, value_name = "NAME=PROGRAM ARG…", allow_hyphen_values = true, help_heading = "Exec only")]
    pub(in super::super) allow: Vec<String>,

    /// Let clients run what this file names; docs/exec.md describes it
    #[arg(long, value_name = "FILE.toml", help_heading = "Exec only")]
    pub(in super::super) allow_file: Option<PathBuf>,

    /// Run whatever a client sends, by /bin/sh -c: for a lesson; loopback and Unix sockets only
    #[arg(long, help_heading = "Exec only")]
    pub(in super::super) allow_shell: bool,

    /// Only for clients that know the secret in the first line of this file; len32 only
    #[arg(long, value_name = "FILE", help_heading = "Exec only")]
    pub(in super::super) token_file: Option<PathBuf>,

    /// The most commands at once; more are refused [default: 4]
    #[arg(long, value_name = "COUNT", value_parser = units::count, allow_hyphen_values = true, help_heading = "Exec only")]
    pub(in super::super) max_jobs: Option<usize>,

    /// A command that runs for longer is ended: TERM, and KILL 2s later; 0 or off: never [default: 30s]
    #[arg(long, value_name = "TIME", value_parser = units::time_limit, allow_hyphen_values = true, help_heading = "Exec only")]
    pub(in super::super) job_timeout: Option<TimeLimit>,

    /// A command that prints more is ended; none: it may print without an end, with len32 [default: 1MiB]
    #[arg(long, value_name = "SIZE", value_parser = units::size_limit, allow_hyphen_values = true, help_heading = "Exec only")]
    pub(in super::super) max_output: Option<SizeLimit>,

    /// Address space of each process of a command (RLIMIT_AS); 0 or off: no limit [default: 1GiB]
    #[arg(long, value_name = "SIZE", value_parser = units::size_limit, allow_hyphen_values = true, help_heading = "Exec only")]
    pub(in super::super) job_memory: Option<SizeLimit>,
}

impl ExecArgs {
    /// Which options there are, and whether they were given.
    pub(in super::super) fn given(&self) -> [(&'static str, bool); 8] {
        [
            ("--allow", !self.allow.is_empty()),
            ("--allow-file", self.allow_file.is_some()),
            ("--allow-shell", self.allow_shell),
            ("--token-file", self.token_file.is_some()),
            ("--max-jobs", self.max_jobs.is_some()),
            ("--job-timeout", self.job_timeout.is_some()),
            ("--max-output", self.max_output.is_some()),
            ("--job-memory", self.job_memory.is_some()),
        ]
    }
}
