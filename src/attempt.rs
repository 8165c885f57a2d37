//! One system call and what came of it: the only place that classifies `io::Error`.
//!
//! `WouldBlock` is a state and `Interrupted` a retry; neither is an error. What remains is sorted by what a
//! server can do about it. ENOBUFS, EMFILE and ENFILE have no stable `ErrorKind`, so the errno counts.

use std::fmt;
use std::io;

use rustix::io::Errno;

/// How often one call is repeated when a signal interrupts it, before the caller is told to come back later.
const MAX_INTERRUPTS: u32 = 64;

/// What came of one system call.
#[derive(Debug)]
pub enum Attempt<T> {
    /// It succeeded.
    Done(T),
    /// Nothing to do now (EAGAIN): an event will say when.
    WouldBlock,
    /// It failed.
    Failed(Failure),
}

/// A failed call: the errno and what can be done about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failure {
    /// What can be done about it.
    pub class: FailureClass,
    /// The raw errno, 0 where the error came from no system call.
    pub errno: i32,
}

/// What can be done about a failed call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureClass {
    /// This attempt is lost, the next may succeed at once (accept(2): errors of the connection, not of the listener).
    Retry,
    /// The machine is out of descriptors, buffers or memory. No event announces the end of it: retry on a deadline.
    Exhausted,
    /// The peer is gone or cannot be reached: this connection ends, nothing else.
    PeerGone,
    /// The descriptor itself is unusable: a bug, or a call that can never succeed.
    Fatal,
}

impl Failure {
    /// Classifies an error of a connected socket: read(2), send(2), shutdown(2), connect(2).
    #[must_use]
    pub fn of_stream(error: &io::Error) -> Self {
        let errno = error.raw_os_error().unwrap_or(0);
        let class = match named(errno) {
            Errno::INTR => FailureClass::Retry,
            Errno::NOBUFS | Errno::NOMEM | Errno::MFILE | Errno::NFILE => FailureClass::Exhausted,
            Errno::BADF | Errno::NOTSOCK | Errno::FAULT | Errno::INVAL | Errno::OPNOTSUPP => {
                FailureClass::Fatal
            }
            _ => FailureClass::PeerGone,
        };
        Self { class, errno }
    }

    /// Classifies an error of accept(2). Only an unusable listener is fatal; whatever is not known is skipped,
    /// because it belongs to one connection that never was.
    #[must_use]
    pub fn of_accept(error: &io::Error) -> Self {
        let errno = error.raw_os_error().unwrap_or(0);
        let class = match named(errno) {
            Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM => FailureClass::Exhausted,
            Errno::BADF | Errno::INVAL | Errno::NOTSOCK | Errno::FAULT => FailureClass::Fatal,
            _ => FailureClass::Retry,
        };
        Self { class, errno }
    }

    /// The system's text for the errno.
    #[must_use]
    pub fn describe(&self) -> String {
        if self.errno == 0 {
            "no system error".to_owned()
        } else {
            io::Error::from_raw_os_error(self.errno).to_string()
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.describe())
    }
}

/// An error that came from no system call has no errno, and rustix panics for 0. EIO is in no class of its own.
const fn named(errno: i32) -> Errno {
    if errno == 0 { Errno::IO } else { Errno::from_raw_os_error(errno) }
}

/// Runs `op`, a call on a connected socket, again while a signal interrupts it, and classifies its result.
#[inline]
pub fn attempt<T>(op: impl FnMut() -> io::Result<T>) -> Attempt<T> {
    attempt_as(op, Failure::of_stream)
}

/// [`attempt`] for accept(2).
#[inline]
pub fn attempt_accept<T>(op: impl FnMut() -> io::Result<T>) -> Attempt<T> {
    attempt_as(op, Failure::of_accept)
}

/// [`attempt`], when the first call was made already.
pub fn attempt_again<T>(first: io::Result<T>, op: impl FnMut() -> io::Result<T>) -> Attempt<T> {
    match first {
        Ok(value) => Attempt::Done(value),
        Err(error) => after_error(op, error, Failure::of_stream),
    }
}

#[inline]
fn attempt_as<T>(mut op: impl FnMut() -> io::Result<T>, classify: fn(&io::Error) -> Failure) -> Attempt<T> {
    match op() {
        Ok(value) => Attempt::Done(value),
        Err(error) => after_error(op, error, classify),
    }
}

fn after_error<T>(
    op: impl FnMut() -> io::Result<T>,
    error: io::Error,
    classify: fn(&io::Error) -> Failure,
) -> Attempt<T> {
    if is(&error, Errno::AGAIN, io::ErrorKind::WouldBlock) {
        Attempt::WouldBlock
    } else if is(&error, Errno::INTR, io::ErrorKind::Interrupted) {
        after_interrupt(op, classify)
    } else {
        Attempt::Failed(classify(&error))
    }
}

/// A signal interrupted the call: it is made again, but not for ever.
#[cold]
fn after_interrupt<T>(
    mut op: impl FnMut() -> io::Result<T>,
    classify: fn(&io::Error) -> Failure,
) -> Attempt<T> {
    for _ in 0..MAX_INTERRUPTS {
        match op() {
            Ok(value) => return Attempt::Done(value),
            Err(error) if is(&error, Errno::INTR, io::ErrorKind::Interrupted) => {}
            Err(error) if is(&error, Errno::AGAIN, io::ErrorKind::WouldBlock) => return Attempt::WouldBlock,
            Err(error) => return Attempt::Failed(classify(&error)),
        }
    }
    Attempt::Failed(Failure { class: FailureClass::Exhausted, errno: Errno::INTR.raw_os_error() })
}

/// Whether the error is this errno; an error that no system call made has only its kind.
fn is(error: &io::Error, errno: Errno, kind: io::ErrorKind) -> bool {
    match error.raw_os_error() {
        Some(raw) => raw == errno.raw_os_error(),
        None => error.kind() == kind,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fails(errno: Errno) -> impl FnMut() -> io::Result<()> {
        move || Err(io::Error::from_raw_os_error(errno.raw_os_error()))
    }

    fn class_of<T: fmt::Debug>(attempt: Attempt<T>) -> FailureClass {
        match attempt {
            Attempt::Failed(failure) => failure.class,
            other => panic!("expected a failure, got {other:?}"),
        }
    }

    #[test]
    fn interrupted_is_retried_and_then_succeeds() {
        let mut left = 3;
        let result = attempt(|| {
            if left == 0 {
                return Ok(7);
            }
            left -= 1;
            Err(io::Error::from_raw_os_error(Errno::INTR.raw_os_error()))
        });
        assert!(matches!(result, Attempt::Done(7)));
    }

    #[test]
    fn endless_interrupts_end_in_a_later_retry() {
        assert_eq!(class_of(attempt(fails(Errno::INTR))), FailureClass::Exhausted);
    }

    #[test]
    fn an_error_without_an_errno_is_classified_too() {
        let fails = || Err::<(), _>(io::ErrorKind::UnexpectedEof.into());
        assert_eq!(class_of(attempt(fails)), FailureClass::PeerGone);
        assert_eq!(class_of(attempt_accept(fails)), FailureClass::Retry);
    }

    #[test]
    fn would_block_is_not_a_failure() {
        assert!(matches!(attempt(fails(Errno::AGAIN)), Attempt::WouldBlock));
        assert!(matches!(attempt_accept(fails(Errno::AGAIN)), Attempt::WouldBlock));
    }

    #[test]
    fn accept_errors_fall_into_the_three_classes_of_the_man_page() {
        for errno in [
            Errno::CONNABORTED,
            Errno::PROTO,
            Errno::NETDOWN,
            Errno::NOPROTOOPT,
            Errno::HOSTDOWN,
            Errno::HOSTUNREACH,
            Errno::OPNOTSUPP,
            Errno::NETUNREACH,
            Errno::PERM,
        ] {
            assert_eq!(class_of(attempt_accept(fails(errno))), FailureClass::Retry, "{errno:?}");
        }
        for errno in [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM] {
            assert_eq!(class_of(attempt_accept(fails(errno))), FailureClass::Exhausted, "{errno:?}");
        }
        for errno in [Errno::BADF, Errno::INVAL, Errno::NOTSOCK] {
            assert_eq!(class_of(attempt_accept(fails(errno))), FailureClass::Fatal, "{errno:?}");
        }
    }

    #[test]
    fn stream_errors_end_the_connection_or_ask_for_a_retry() {
        for errno in [Errno::CONNRESET, Errno::PIPE, Errno::TIMEDOUT, Errno::HOSTUNREACH, Errno::NOTCONN] {
            assert_eq!(class_of(attempt(fails(errno))), FailureClass::PeerGone, "{errno:?}");
        }
        assert_eq!(class_of(attempt(fails(Errno::NOBUFS))), FailureClass::Exhausted);
        assert_eq!(class_of(attempt(fails(Errno::BADF))), FailureClass::Fatal);
    }
}
