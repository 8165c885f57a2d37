//! Why a client could not connect, send or receive: typed, so that a program can decide, and told, so that a person can.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use rustix::io::Errno;

use crate::codec::FrameError;
use crate::os::resolve::ResolveError;

/// What went wrong, and with whom. Its display names the address and, where it is known, the remedy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientError {
    address: String,
    kind: ClientErrorKind,
}

/// What went wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClientErrorKind {
    /// The host's name has no address, or that could not be found out.
    Lookup(ResolveError),
    /// Nobody listens there (ECONNREFUSED). For UDP an ICMP message said so, after something was sent.
    Refused,
    /// The address did not take the connection in time.
    ConnectTimedOut {
        /// How long was waited.
        limit: Duration,
    },
    /// There is no way to the address (EHOSTUNREACH, ENETUNREACH and others).
    Unreachable,
    /// No Unix socket has this path (ENOENT).
    NoSuchSocket,
    /// The system does not allow it (EACCES, EPERM).
    PermissionDenied,
    /// Every address of the name failed, each for its own reason.
    AllFailed(Vec<ClientError>),
    /// The local address cannot be used (bind(2)).
    Bind {
        /// The local address asked for.
        local: SocketAddr,
        /// The raw errno.
        errno: i32,
    },
    /// The target has no address of the local address's family.
    Family {
        /// The local address asked for.
        local: SocketAddr,
    },
    /// It is the address of every host of a network, which a socket must ask for (SO_BROADCAST).
    Broadcast,
    /// IPv6 has no broadcast.
    NoBroadcast,
    /// The interface asked for cannot be used for a group.
    Interface {
        /// The reason, and what would do.
        why: String,
    },
    /// This kind of client cannot talk to this kind of address.
    WrongSocket,
    /// No whole message has arrived in time. The only error after which a client can go on.
    NoReply {
        /// How long was waited.
        limit: Duration,
    },
    /// The peer has taken nothing of what is to be sent for too long.
    Stalled {
        /// Bytes not sent.
        unsent: usize,
        /// How long was waited.
        limit: Duration,
    },
    /// The peer has closed the connection before it had taken everything (EPIPE).
    Closed {
        /// Bytes not sent.
        unsent: usize,
    },
    /// The peer has reset the connection (ECONNRESET).
    Reset,
    /// What has arrived is not a frame, or the peer ended inside one.
    Frame(FrameError),
    /// A message does not fit the framing.
    Message(FrameError),
    /// A message does not fit a datagram.
    DatagramTooLong {
        /// Bytes of the message.
        len: usize,
        /// The most that fits.
        max: usize,
    },
    /// Any other error of the system.
    Other {
        /// The raw errno, 0 where the error came from no system call.
        errno: i32,
    },
}

impl ClientError {
    pub(super) const fn new(address: String, kind: ClientErrorKind) -> Self {
        Self { address, kind }
    }

    /// What went wrong.
    #[must_use]
    pub const fn kind(&self) -> &ClientErrorKind {
        &self.kind
    }

    /// Whom it concerns: the target as it was named, with its address in parentheses where that says more.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }
}

impl ClientErrorKind {
    pub(super) fn of(error: &io::Error) -> Self {
        Self::of_errno(error.raw_os_error().unwrap_or(0))
    }

    pub(super) const fn of_errno(errno: i32) -> Self {
        match named(errno) {
            Some(Errno::CONNREFUSED) => Self::Refused,
            Some(Errno::CONNRESET) => Self::Reset,
            Some(Errno::HOSTUNREACH | Errno::NETUNREACH | Errno::NETDOWN | Errno::HOSTDOWN) => {
                Self::Unreachable
            }
            Some(Errno::NOENT | Errno::NOTDIR) => Self::NoSuchSocket,
            Some(Errno::ACCESS | Errno::PERM) => Self::PermissionDenied,
            _ => Self::Other { errno },
        }
    }
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { address, kind } = self;
        match kind {
            ClientErrorKind::Lookup(error) => error.fmt(f),
            ClientErrorKind::AllFailed(errors) => {
                write!(f, "no address of {address} takes the connection")?;
                errors.iter().try_for_each(|error| write!(f, "\n  {error}"))
            }
            ClientErrorKind::NoReply { limit } => {
                write!(f, "no reply from {address} within {limit:?}")
            }
            ClientErrorKind::Stalled { unsent, limit } => {
                write!(f, "{address} has taken nothing for {limit:?}; {unsent} bytes are not sent")
            }
            ClientErrorKind::Closed { unsent } => {
                write!(
                    f,
                    "{address} closed the connection before everything was sent; {unsent} bytes are not"
                )
            }
            ClientErrorKind::Reset => write!(f, "{address} reset the connection"),
            ClientErrorKind::Frame(error) => write!(f, "what {address} sent is no frame: {error}"),
            ClientErrorKind::Message(error) => write!(f, "the message does not fit the framing: {error}"),
            ClientErrorKind::DatagramTooLong { len, max } => {
                write!(f, "a message of {len} bytes does not fit a datagram, which holds at most {max}")
            }
            ClientErrorKind::Other { errno } => {
                write!(f, "{address}: {}", plain(*errno))?;
                remedy(*errno).map_or(Ok(()), |text| write!(f, " ({text})"))
            }
            _ => cannot_connect(address, kind, f),
        }
    }
}

impl std::error::Error for ClientError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.kind {
            ClientErrorKind::Lookup(error) => Some(error),
            ClientErrorKind::Frame(error) | ClientErrorKind::Message(error) => Some(error),
            _ => None,
        }
    }
}

fn cannot_connect(address: &str, kind: &ClientErrorKind, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    write!(f, "cannot connect to {address}: ")?;
    match kind {
        ClientErrorKind::Refused if address.starts_with("unix") => {
            f.write_str("connection refused (nobody listens on that socket; is the server running?)")
        }
        ClientErrorKind::Refused if address.starts_with("udp:") => {
            f.write_str("connection refused (nobody listens on that port, said ICMP; is the server running?)")
        }
        ClientErrorKind::Refused => {
            f.write_str("connection refused (nobody listens on that port; is the server running?)")
        }
        ClientErrorKind::ConnectTimedOut { limit } => {
            write!(
                f,
                "no answer within {limit:?} (a firewall may drop what is sent, or the server's queue is full)"
            )
        }
        ClientErrorKind::Unreachable => {
            f.write_str("there is no way to it (`ip route` shows the ways there are)")
        }
        ClientErrorKind::NoSuchSocket => f.write_str("there is no such socket (is the server running?)"),
        ClientErrorKind::PermissionDenied => f.write_str(
            "permission denied (connecting takes write permission for a Unix socket and its folder)",
        ),
        ClientErrorKind::Broadcast => f.write_str("it is the address of every host of a network (broadcast)"),
        ClientErrorKind::NoBroadcast => f.write_str(
            "IPv6 has no broadcast; send to a group, such as [ff02::1] for every host of the link",
        ),
        ClientErrorKind::Interface { why } => f.write_str(why),
        ClientErrorKind::Family { local } => {
            let family = if local.is_ipv4() { "IPv4" } else { "IPv6" };
            write!(f, "it has no {family} address to reach from {}", local.ip())
        }
        ClientErrorKind::Bind { local, errno } => {
            write!(f, "cannot use the local address {local}: {}", plain(*errno))?;
            bind_remedy(*errno).map_or(Ok(()), |text| write!(f, " ({text})"))
        }
        _ => f.write_str("this kind of client or of system has no such sockets"),
    }
}

/// `None` for 0, which rustix takes for a mistake of ours.
const fn named(errno: i32) -> Option<Errno> {
    if errno == 0 { None } else { Some(Errno::from_raw_os_error(errno)) }
}

/// The system's text without Rust's "(os error N)".
fn plain(errno: i32) -> String {
    if errno == 0 {
        return "the system gave no reason".to_owned();
    }
    let text = io::Error::from_raw_os_error(errno).to_string();
    text.split(" (os error").next().unwrap_or(&text).to_lowercase()
}

fn remedy(errno: i32) -> Option<&'static str> {
    match named(errno)? {
        Errno::MFILE => Some("the open-files limit is too low: raise it with `ulimit -n`"),
        Errno::ADDRNOTAVAIL => Some("no local port is free for it: wait, or connect from another address"),
        _ => None,
    }
}

fn bind_remedy(errno: i32) -> Option<&'static str> {
    match named(errno)? {
        Errno::ADDRINUSE => Some("`ss -anp` shows who uses it; port 0 takes any free one"),
        Errno::ADDRNOTAVAIL => Some("this machine has no such address: `ip address` lists those it has"),
        Errno::ACCESS => {
            Some("ports below 1024 need root or CAP_NET_BIND_SERVICE; port 0 takes any free one")
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(kind: ClientErrorKind) -> String {
        ClientError::new("tcp://[::1]:9".to_owned(), kind).to_string()
    }

    #[test]
    fn errors_are_sorted_by_what_can_be_done() {
        for (errno, kind) in [
            (Errno::CONNREFUSED, ClientErrorKind::Refused),
            (Errno::CONNRESET, ClientErrorKind::Reset),
            (Errno::NETUNREACH, ClientErrorKind::Unreachable),
            (Errno::NOENT, ClientErrorKind::NoSuchSocket),
            (Errno::ACCESS, ClientErrorKind::PermissionDenied),
            (Errno::MFILE, ClientErrorKind::Other { errno: Errno::MFILE.raw_os_error() }),
        ] {
            assert_eq!(ClientErrorKind::of_errno(errno.raw_os_error()), kind, "{errno:?}");
        }
    }

    #[test]
    fn every_error_names_whom_it_concerns_and_what_to_do() {
        let local = "10.1.2.3:80".parse().unwrap();
        let limit = Duration::from_millis(250);
        let bind = |errno: Errno| ClientErrorKind::Bind { local, errno: errno.raw_os_error() };
        for (kind, expected) in [
            (ClientErrorKind::Refused, "is the server running?"),
            (ClientErrorKind::ConnectTimedOut { limit }, "within 250ms"),
            (ClientErrorKind::NoReply { limit }, "within 250ms"),
            (ClientErrorKind::Stalled { unsent: 7, limit }, "7 bytes"),
            (ClientErrorKind::Closed { unsent: 7 }, "7 bytes"),
            (ClientErrorKind::Reset, "reset"),
            (ClientErrorKind::Unreachable, "ip route"),
            (ClientErrorKind::Frame(FrameError::Truncated { have: 3 }), "after 3 bytes"),
            (bind(Errno::ADDRINUSE), "10.1.2.3:80: address already in use"),
            (bind(Errno::ADDRNOTAVAIL), "ip address"),
            (ClientErrorKind::Family { local }, "IPv4"),
            (ClientErrorKind::Other { errno: Errno::MFILE.raw_os_error() }, "ulimit -n"),
            (ClientErrorKind::Other { errno: 0 }, "no reason"),
        ] {
            let text = text(kind);
            assert!(text.contains(expected) && text.contains("tcp://[::1]:9"), "{text}");
            assert!(!text.contains("os error"), "{text}");
        }
    }

    #[test]
    fn a_name_with_several_addresses_says_how_each_failed() {
        let one = |address: &str| ClientError::new(address.to_owned(), ClientErrorKind::Refused);
        let text = text(ClientErrorKind::AllFailed(vec![one("tcp://a:1"), one("tcp://b:1")]));
        assert_eq!(text.lines().count(), 3, "{text}");
        assert!(text.contains("tcp://a:1: connection refused"), "{text}");
    }
}
