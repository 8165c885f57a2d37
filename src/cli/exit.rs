//! Exit codes: part of the contract with scripts.

use std::process::ExitCode;

/// How the program ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Exit {
    /// 0: it did what was asked.
    Done,
    /// 1: it could not run, e.g. because the port is taken.
    CouldNotRun,
    /// 2: the arguments make no sense.
    Usage,
    /// 4: the machine cannot.
    MachineCannot,
    /// 128 + n: signal n ended it before it was done.
    Signal(i32),
}

impl Exit {
    const fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::CouldNotRun => 1,
            Self::Usage => 2,
            Self::MachineCannot => 4,
            // Signals are numbered from 1 to 64 (signal(7)); the mask only states that.
            Self::Signal(signal) => 128 + (signal & 0x7f).to_le_bytes()[0],
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// Why a command did not run, and how the program ends for it.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) exit: Exit,
    pub(super) message: String,
}

impl Failure {
    /// Options that make no sense together; points to the help of `command`.
    pub(super) fn usage_of(command: &'static str) -> impl Fn(String) -> Self {
        move |what| Self {
            exit: Exit::Usage,
            message: format!("{what}\n\nFor more information, try 'oneloop {command} --help'."),
        }
    }
}

impl From<crate::error::Error> for Failure {
    fn from(error: crate::error::Error) -> Self {
        Self { exit: Exit::CouldNotRun, message: error.to_string() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes_are_the_contracts() {
        let signals = [Exit::Signal(2), Exit::Signal(15)].map(Exit::code);
        let codes = [Exit::Done, Exit::CouldNotRun, Exit::Usage, Exit::MachineCannot].map(Exit::code);
        assert_eq!((codes, signals), ([0, 1, 2, 4], [130, 143]));
    }
}
