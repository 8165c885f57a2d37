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
    /// 3: a stated expectation failed.
    ExpectationFailed,
    /// 4: the machine cannot.
    MachineCannot,
    /// 5: what was measured says nothing about what was to be measured.
    NotValid,
    /// 128 + n: signal n ended it before it was done.
    Signal(i32),
    /// What a remote command ended with.
    Command(u8),
}

impl Exit {
    const fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::CouldNotRun => 1,
            Self::Usage => 2,
            Self::ExpectationFailed => 3,
            Self::MachineCannot => 4,
            Self::NotValid => 5,
            // Signals are numbered from 1 to 64 (signal(7)); the mask only states that.
            Self::Command(status) => status,
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
        for (exit, code) in [
            (Exit::Done, 0),
            (Exit::CouldNotRun, 1),
            (Exit::Usage, 2),
            (Exit::ExpectationFailed, 3),
            (Exit::MachineCannot, 4),
            (Exit::NotValid, 5),
            (Exit::Signal(2), 130),
            (Exit::Signal(15), 143),
        ] {
            assert_eq!(exit.code(), code);
        }
    }
}
