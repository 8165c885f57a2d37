//! What can become of a connection that is not there at the end, counted by kind.

use rustix::io::Errno;

use crate::session::{CloseReason, ConnectError};

/// Why a connection was not opened, or was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// Nobody listens (ECONNREFUSED).
    Refused,
    /// The peer reset it (ECONNRESET, EPIPE).
    Reset,
    /// No connection, or no answer, in time.
    TimedOut,
    /// No local port is free (EADDRNOTAVAIL).
    AddressExhausted,
    /// No descriptor is left (EMFILE, ENFILE).
    DescriptorLimit,
    /// There is no route.
    Unreachable,
    /// The peer ended it.
    Closed,
    /// What came back is not what was sent.
    Mismatch,
    /// Anything else.
    Other,
}

impl Kind {
    /// Every kind, in the order in which they are shown.
    pub const ALL: [Self; 9] = [
        Self::Refused,
        Self::Reset,
        Self::TimedOut,
        Self::AddressExhausted,
        Self::DescriptorLimit,
        Self::Unreachable,
        Self::Closed,
        Self::Mismatch,
        Self::Other,
    ];

    /// As reports call it, e.g. `timed_out`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Reset => "reset",
            Self::TimedOut => "timed_out",
            Self::AddressExhausted => "address_exhausted",
            Self::DescriptorLimit => "descriptor_limit",
            Self::Unreachable => "unreachable",
            Self::Closed => "closed",
            Self::Mismatch => "mismatch",
            Self::Other => "other",
        }
    }

    pub(super) const fn of_connect(error: ConnectError) -> Self {
        match error {
            ConnectError::Refused => Self::Refused,
            ConnectError::TimedOut => Self::TimedOut,
            ConnectError::Unreachable => Self::Unreachable,
            ConnectError::AddressExhausted => Self::AddressExhausted,
            ConnectError::DescriptorLimit => Self::DescriptorLimit,
            ConnectError::Reset => Self::Reset,
            _ => Self::Other,
        }
    }

    pub(super) fn of_close(reason: &CloseReason) -> Self {
        match reason {
            CloseReason::Connect(error) => Self::of_connect(*error),
            CloseReason::Eof | CloseReason::Finished | CloseReason::Closed => Self::Closed,
            CloseReason::PeerGone(failure) => match Errno::from_raw_os_error(failure.errno) {
                Errno::CONNRESET | Errno::PIPE => Self::Reset,
                Errno::TIMEDOUT => Self::TimedOut,
                _ => Self::Other,
            },
            CloseReason::Protocol(_) => Self::Mismatch,
            CloseReason::WriteTimeout | CloseReason::Idle => Self::TimedOut,
            _ => Self::Other,
        }
    }
}

/// How many of each kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Kinds([u64; Kind::ALL.len()]);

impl Kinds {
    /// How many of this kind.
    #[must_use]
    pub const fn of(&self, kind: Kind) -> u64 {
        self.0[kind as usize]
    }

    /// How many in all.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    /// Counts more of one kind.
    pub const fn add(&mut self, kind: Kind, count: u64) {
        self.0[kind as usize] += count;
    }

    /// Counts another's too.
    pub fn merge(&mut self, other: &Self) {
        for (own, more) in self.0.iter_mut().zip(other.0) {
            *own += more;
        }
    }

    /// Those that occurred, in the order of [`Kind::ALL`].
    pub fn iter(&self) -> impl Iterator<Item = (Kind, u64)> + '_ {
        Kind::ALL.into_iter().map(|kind| (kind, self.of(kind))).filter(|(_, count)| *count > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attempt::Failure;

    #[test]
    fn ends_are_of_the_kind_that_an_operator_would_name() {
        let gone = |errno: Errno| CloseReason::PeerGone(Failure::of_stream(&errno.into()));
        for (reason, kind) in [
            (CloseReason::Connect(ConnectError::AddressExhausted), Kind::AddressExhausted),
            (CloseReason::Closed, Kind::Closed),
            (gone(Errno::CONNRESET), Kind::Reset),
            (gone(Errno::PIPE), Kind::Reset),
            (gone(Errno::TIMEDOUT), Kind::TimedOut),
            (gone(Errno::HOSTUNREACH), Kind::Other),
        ] {
            assert_eq!(Kind::of_close(&reason), kind, "{reason}");
        }
    }

    #[test]
    fn kinds_are_counted_where_their_number_says() {
        let mut kinds = Kinds::default();
        for (at, kind) in Kind::ALL.into_iter().enumerate() {
            assert_eq!(kind as usize, at);
            kinds.add(kind, at as u64);
        }
        let mut twice = kinds;
        twice.merge(&kinds);
        assert_eq!((twice.total(), twice.of(Kind::Other), twice.iter().count()), (72, 16, 8));
    }
}
