//! The open-files limit (getrlimit(2)): it decides how many connections one process can hold.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// The open-files limit before and after raising it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenFiles {
    /// The soft limit found; `None` means unlimited.
    pub was: Option<u64>,
    /// The soft limit now in force.
    pub now: Option<u64>,
    /// The hard limit.
    pub hard: Option<u64>,
}

/// Raises the soft limit of open files to the hard one, as far as the system allows.
#[must_use]
pub fn raise_open_files() -> OpenFiles {
    let found = getrlimit(Resource::Nofile);
    if found.current == found.maximum {
        return OpenFiles { was: found.current, now: found.current, hard: found.maximum };
    }
    let wanted = Rlimit { current: found.maximum, maximum: found.maximum };
    let now = if setrlimit(Resource::Nofile, wanted).is_ok() { found.maximum } else { found.current };
    OpenFiles { was: found.current, now, hard: found.maximum }
}

/// The soft limit of open files in force, as a count; `usize::MAX` when unlimited.
#[must_use]
pub fn open_files() -> usize {
    let soft = getrlimit(Resource::Nofile).current;
    soft.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX))
}
