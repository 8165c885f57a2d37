//! What can go wrong while setting up or keeping up a driver. Connections never fail with this: they end
//! with a [`CloseReason`](crate::session::CloseReason).

use std::fmt;
use std::io;

/// Why a driver could not start, or cannot go on.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// A listening socket could not be made.
    Bind {
        /// The address as the user named it.
        address: String,
        /// What the system said.
        source: io::Error,
    },
    /// The poll itself failed: the loop is dead (epoll_wait(2): EBADF, EINVAL).
    Poll(io::Error),
    /// A listener became unusable (accept(2): EBADF, EINVAL, ENOTSOCK): the loop ends rather than spin.
    Listener {
        /// The address it listened on.
        address: String,
        /// The raw errno.
        errno: i32,
    },
    /// A handler panicked on the thread that serves this address: nobody would answer there any more.
    Panicked {
        /// The address it served.
        address: String,
    },
    /// A thread could not be started (pthread_create(3): EAGAIN).
    Thread(io::Error),
    /// Signals could not be registered.
    Signals(io::Error),
    /// A setting that cannot be kept; the text names the value and what would be accepted.
    Config(String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bind { address, source } => {
                write!(f, "cannot listen on {address}: {}", plain(source))?;
                show_remedy(bind_remedy(address, source).or_else(|| remedy(source)), f)
            }
            Self::Poll(source) => {
                f.write_str("the poll failed: ")?;
                explain(source, f)
            }
            Self::Listener { address, errno } => {
                write!(
                    f,
                    "the listener on {address} is unusable: {}",
                    plain(&io::Error::from_raw_os_error(*errno))
                )
            }
            Self::Panicked { address } => write!(f, "what serves {address} panicked: a bug"),
            Self::Thread(source) => write!(
                f,
                "cannot start a thread: {} (raise `ulimit -u` or the cgroup's pids.max)",
                plain(source)
            ),
            Self::Signals(source) => {
                f.write_str("cannot watch signals: ")?;
                explain(source, f)
            }
            Self::Config(text) => f.write_str(text),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Bind { source, .. } | Self::Poll(source) | Self::Thread(source) | Self::Signals(source) => {
                Some(source)
            }
            Self::Listener { .. } | Self::Panicked { .. } | Self::Config(_) => None,
        }
    }
}

fn explain(error: &io::Error, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    f.write_str(&plain(error))?;
    show_remedy(remedy(error), f)
}

fn show_remedy(remedy: Option<&str>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match remedy {
        Some(text) => write!(f, " ({text})"),
        None => Ok(()),
    }
}

/// What depends on the kind of address. Unix sockets explain a path in use themselves.
fn bind_remedy(address: &str, error: &io::Error) -> Option<&'static str> {
    match (error.kind(), address.split(':').next()?) {
        (io::ErrorKind::AddrInUse, "udp") => Some(
            "another program has that port: `ss -lunp` shows which; stop it, or choose another one with --listen, 0 for any free one",
        ),
        (io::ErrorKind::AddrInUse, "unix") => Some(
            "another program listens there: `ss -lxp` shows which; stop it, or choose another name with --listen",
        ),
        (io::ErrorKind::NotFound, "unix") => {
            Some("its directory does not exist; make it, or choose another path")
        }
        (io::ErrorKind::PermissionDenied, "unix") => {
            Some("its directory cannot be written by this user; choose another path")
        }
        _ => None,
    }
}

/// The error's text without Rust's "(os error N)".
fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    match text.find(" (os error") {
        Some(at) => text[..at].to_lowercase(),
        None => text,
    }
}

fn remedy(error: &io::Error) -> Option<&'static str> {
    // It has no stable kind.
    if error.raw_os_error() == Some(rustix::io::Errno::MFILE.raw_os_error()) {
        return Some("the open-files limit is too low: raise it with `ulimit -n`");
    }
    match error.kind() {
        io::ErrorKind::AddrInUse => Some(
            "another program listens there: `ss -ltnp` shows which; stop it, or choose another port with --listen, 0 for any free one",
        ),
        io::ErrorKind::AddrNotAvailable => Some(
            "this machine has no such address: `ip address` lists those it has; 0.0.0.0 or [::] means all",
        ),
        io::ErrorKind::PermissionDenied => {
            Some("ports below 1024 need root or CAP_NET_BIND_SERVICE; choose a higher port")
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_names_the_address_and_the_remedy() {
        let source = io::Error::from_raw_os_error(rustix::io::Errno::ADDRINUSE.raw_os_error());
        let text = Error::Bind { address: "tcp://127.0.0.1:9999".into(), source }.to_string();
        assert!(text.contains("tcp://127.0.0.1:9999"), "{text}");
        assert!(text.contains("address already in use"), "{text}");
        assert!(text.contains("--listen"), "{text}");
        assert!(!text.contains("os error"), "{text}");
    }
}
