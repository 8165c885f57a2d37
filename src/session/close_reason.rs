//! How a conversation ends. A connection never returns an error: it ends with one of these.

use std::fmt;

use crate::attempt::Failure;
use crate::codec::FrameError;

/// Why a protocol cannot go on with its peer.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProtocolError {
    /// The bytes are not a frame, or a reply cannot be framed.
    Frame(FrameError),
    /// The message is well framed and still not acceptable; the text goes to the log.
    Violation(&'static str),
}

impl From<FrameError> for ProtocolError {
    fn from(error: FrameError) -> Self {
        Self::Frame(error)
    }
}

impl fmt::Display for ProtocolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Frame(error) => error.fmt(f),
            Self::Violation(text) => f.write_str(text),
        }
    }
}

impl std::error::Error for ProtocolError {}

/// Why an outgoing connection was not made, from connect(2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConnectError {
    /// Nobody listens there (ECONNREFUSED).
    Refused,
    /// No answer in time (ETIMEDOUT, or the connect limit).
    TimedOut,
    /// No route (ENETUNREACH, EHOSTUNREACH).
    Unreachable,
    /// Every local port towards this address is in use (EADDRNOTAVAIL).
    AddressExhausted,
    /// No descriptor is left (EMFILE, ENFILE).
    DescriptorLimit,
    /// The peer reset the connection while it was made (ECONNRESET).
    Reset,
    /// Not an address of a stream socket.
    Unsupported,
    /// Any other errno.
    Other(i32),
}

impl ConnectError {
    /// Sorts the errno of a failed connect.
    #[must_use]
    pub fn from_errno(errno: i32) -> Self {
        use rustix::io::Errno;
        if errno == 0 {
            // No system call has failed: the address is of a kind that cannot be connected to.
            return Self::Unsupported;
        }
        match Errno::from_raw_os_error(errno) {
            Errno::CONNREFUSED => Self::Refused,
            Errno::TIMEDOUT => Self::TimedOut,
            Errno::NETUNREACH | Errno::HOSTUNREACH => Self::Unreachable,
            Errno::ADDRNOTAVAIL => Self::AddressExhausted,
            Errno::MFILE | Errno::NFILE => Self::DescriptorLimit,
            Errno::CONNRESET => Self::Reset,
            _ => Self::Other(errno),
        }
    }
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused => f.write_str("refused: nobody listens there"),
            Self::TimedOut => f.write_str("timed out"),
            Self::Unreachable => f.write_str("no route to that address"),
            Self::AddressExhausted => f.write_str("no local port is free towards that address"),
            Self::DescriptorLimit => f.write_str("no descriptor is left: raise the open-files limit"),
            Self::Reset => f.write_str("reset by the peer"),
            Self::Unsupported => f.write_str("not an address that can be connected to"),
            Self::Other(errno) => std::io::Error::from_raw_os_error(*errno).fmt(f),
        }
    }
}

impl std::error::Error for ConnectError {}

/// How a conversation ended.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum CloseReason {
    /// The peer ended its stream and everything it sent was answered.
    Eof,
    /// The protocol finished, and its last reply was flushed.
    Finished,
    /// The protocol closed at once.
    Closed,
    /// The peer's bytes were not acceptable.
    Protocol(ProtocolError),
    /// The peer reset the connection or cannot be reached any more.
    PeerGone(Failure),
    /// A call failed in a way that only a bug explains.
    Io(Failure),
    /// Nothing moved for the idle limit.
    Idle,
    /// A frame was not complete in time.
    FrameTimeout,
    /// Unsent output made no progress in time.
    WriteTimeout,
    /// The server was draining and the connection had gone quiet.
    Drained,
    /// The server stopped before the conversation had ended.
    Stopped,
    /// The server holds as many connections as it may: closed at once after accepting.
    OverLimit,
    /// An outgoing connection was not made.
    Connect(ConnectError),
    /// The server keeps as many connections of this address as it may: closed at once after accepting.
    OverAddressLimit,
    /// All connections together kept more memory than they may, and this one the most.
    OverMemory,
    /// Its protocol panicked. It is not told: nobody calls it any more.
    Panicked,
}

impl CloseReason {
    /// How many kinds there are.
    pub const KINDS: usize = 16;

    /// The kinds' names, as the log and the statistics print them, by [`kind`](Self::kind).
    pub const NAMES: [&'static str; Self::KINDS] = [
        "eof",
        "finished",
        "closed",
        "protocol_error",
        "peer_gone",
        "io_error",
        "idle",
        "frame_timeout",
        "write_timeout",
        "drained",
        "stopped",
        "over_limit",
        "connect_failed",
        "over_ip_limit",
        "over_memory",
        "panicked",
    ];

    /// A number below [`KINDS`](Self::KINDS), for counting.
    #[must_use]
    pub const fn kind(&self) -> usize {
        match self {
            Self::Eof => 0,
            Self::Finished => 1,
            Self::Closed => 2,
            Self::Protocol(_) => 3,
            Self::PeerGone(_) => 4,
            Self::Io(_) => 5,
            Self::Idle => 6,
            Self::FrameTimeout => 7,
            Self::WriteTimeout => 8,
            Self::Drained => 9,
            Self::Stopped => 10,
            Self::OverLimit => 11,
            Self::Connect(_) => 12,
            Self::OverAddressLimit => 13,
            Self::OverMemory => 14,
            Self::Panicked => 15,
        }
    }

    /// The kind's name, e.g. `frame_timeout`.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        Self::NAMES[self.kind()]
    }
}

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())?;
        match self {
            Self::Protocol(error) => write!(f, ": {error}"),
            Self::PeerGone(failure) | Self::Io(failure) => write!(f, ": {failure}"),
            Self::Connect(error) => write!(f, ": {error}"),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connect_that_made_no_system_call_is_classified_too() {
        assert_eq!(ConnectError::from_errno(0), ConnectError::Unsupported);
        assert_eq!(ConnectError::from_errno(111), ConnectError::Refused);
    }
}
