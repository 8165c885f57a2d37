//! Where a client is to connect to, by name or by number, and how a name becomes addresses within a time limit.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::str::FromStr;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use crate::address::{Address, ParseAddressError, Scheme, UnixName, split_scheme};

/// What a client is asked to talk to. Unlike an [`Address`] its host may be a name.
///
/// ```
/// use oneloop::os::resolve::Target;
///
/// let target: Target = "tcp://localhost:9999".parse()?;
/// assert_eq!(target.to_string(), "tcp://localhost:9999");
/// assert!("tcp://localhost".parse::<Target>().is_err());
/// # Ok::<(), oneloop::address::ParseAddressError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Target {
    /// TCP.
    Tcp(Host),
    /// UDP.
    Udp(Host),
    /// A Unix stream socket. Never unnamed when it was parsed.
    Unix(UnixName),
    /// A Unix datagram socket.
    Unixgram(UnixName),
}

/// A host and a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// A name or a numeric address, IPv6 without its brackets.
    pub name: String,
    /// From 1 to 65535 when it was parsed: nobody can be reached on port 0.
    pub port: u16,
}

impl Host {
    /// The address, when the host is numeric.
    #[must_use]
    pub fn numeric(&self) -> Option<SocketAddr> {
        let ip = self.name.parse::<IpAddr>().ok()?;
        Some(SocketAddr::new(ip, self.port))
    }
}

impl From<SocketAddr> for Host {
    fn from(addr: SocketAddr) -> Self {
        Self { name: addr.ip().to_string(), port: addr.port() }
    }
}

impl Target {
    /// Whether messages are datagrams, and there is no connection.
    #[must_use]
    pub const fn is_datagram(&self) -> bool {
        matches!(self, Self::Udp(_) | Self::Unixgram(_))
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, port } = self;
        if name.contains(':') { write!(f, "[{name}]:{port}") } else { write!(f, "{name}:{port}") }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(host) => write!(f, "tcp://{host}"),
            Self::Udp(host) => write!(f, "udp://{host}"),
            Self::Unix(name) => write!(f, "unix:{name}"),
            Self::Unixgram(name) => write!(f, "unixgram:{name}"),
        }
    }
}

impl FromStr for Target {
    type Err = ParseAddressError;

    /// Parses `tcp://HOST:PORT` and `udp://HOST:PORT`, IPv6 in brackets; `unix:PATH`; `unix:@NAME`; the same with `unixgram:`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fail = |why| ParseAddressError::new(text, why);
        if let Some(name) = text.strip_prefix("unixgram:") {
            return name.parse().map(Self::Unixgram).map_err(fail);
        }
        if let Some(name) = text.strip_prefix("unix:") {
            return name.parse().map(Self::Unix).map_err(fail);
        }
        let (scheme, rest) = split_scheme(text).map_err(fail)?;
        let host = parse_host(rest).map_err(fail)?;
        Ok(match scheme {
            Scheme::Tcp => Self::Tcp(host),
            Scheme::Udp => Self::Udp(host),
        })
    }
}

fn parse_host(rest: &str) -> Result<Host, &'static str> {
    let (name, port) = rest.rsplit_once(':').unwrap_or((rest, ""));
    if rest.contains('/') {
        return Err("a path cannot follow HOST:PORT");
    } else if port.is_empty() || rest.ends_with(']') {
        return Err("it has no port; write HOST:PORT");
    }
    let name = match name.strip_prefix('[') {
        Some(name) => name.strip_suffix(']').ok_or("its bracket is not closed; write [::1]:9999")?,
        None if name.contains(':') => {
            return Err("an IPv6 address goes in brackets, as in tcp://[::1]:9999");
        }
        None => name,
    };
    match port.parse() {
        Ok(0) => Err("nobody can be reached on port 0; write the port the server has printed"),
        Ok(_) if name.is_empty() || name.contains(char::is_whitespace) => {
            Err("it has no host; write HOST:PORT, 127.0.0.1 or [::1] for this machine")
        }
        Ok(port) => Ok(Host { name: name.to_owned(), port }),
        Err(_) => Err("its port is not a number from 1 to 65535"),
    }
}

/// Finds the addresses of `target`, in the order in which they should be tried (getaddrinfo(3), RFC 6724).
///
/// A numeric host and a Unix socket are their own address. A name is looked up in a thread of its own, because
/// getaddrinfo may block for minutes and cannot be interrupted; after `limit` that thread is left to end by itself.
///
/// # Errors
/// [`ResolveError`]; never for a numeric host or a Unix socket.
///
/// ```
/// use std::time::Duration;
/// use oneloop::os::resolve::resolve;
///
/// let addresses = resolve(&"udp://[::1]:7".parse()?, Duration::from_secs(1))?;
/// assert_eq!(addresses, ["udp://[::1]:7".parse()?]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn resolve(target: &Target, limit: Duration) -> Result<Vec<Address>, ResolveError> {
    match target {
        Target::Tcp(host) => Ok(look_up(host, limit)?.into_iter().map(Address::Tcp).collect()),
        Target::Udp(host) => Ok(look_up(host, limit)?.into_iter().map(Address::Udp).collect()),
        Target::Unix(name) => Ok(vec![Address::Unix(name.clone())]),
        Target::Unixgram(name) => Ok(vec![Address::Unixgram(name.clone())]),
    }
}

fn look_up(host: &Host, limit: Duration) -> Result<Vec<SocketAddr>, ResolveError> {
    if let Some(addr) = host.numeric() {
        return Ok(vec![addr]);
    }
    let Host { name, port } = host.clone();
    within(limit, name.clone(), move || (name.as_str(), port).to_socket_addrs().map(Iterator::collect))
}

/// Runs `lookup` in a thread and waits for it, but not longer than `limit`.
fn within(
    limit: Duration,
    host: String,
    lookup: impl FnOnce() -> io::Result<Vec<SocketAddr>> + Send + 'static,
) -> Result<Vec<SocketAddr>, ResolveError> {
    let (answer, answers) = channel();
    let asked = thread::Builder::new().name("resolve".to_owned()).spawn(move || {
        // Nobody listens any more once the time is over.
        let _ = answer.send(lookup());
    });
    if let Err(error) = asked {
        return Err(ResolveError::NoAnswer { host, reason: plain(&error) });
    }
    match answers.recv_timeout(limit) {
        Ok(Ok(mut found)) => {
            let mut seen = Vec::with_capacity(found.len());
            found.retain(|addr| {
                !seen.contains(addr) && {
                    seen.push(*addr);
                    true
                }
            });
            if found.is_empty() { Err(ResolveError::NoSuchHost { host }) } else { Ok(found) }
        }
        Ok(Err(error)) => Err(ResolveError::of(host, &plain(&error))),
        Err(RecvTimeoutError::Timeout) => Err(ResolveError::TimedOut { host, limit }),
        Err(RecvTimeoutError::Disconnected) => {
            Err(ResolveError::NoAnswer { host, reason: "the lookup ended without an answer".to_owned() })
        }
    }
}

/// Why a name has no address.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ResolveError {
    /// There is no such name, or it has no address.
    NoSuchHost {
        /// The name.
        host: String,
    },
    /// Nobody answered in time.
    TimedOut {
        /// The name.
        host: String,
        /// How long was waited.
        limit: Duration,
    },
    /// It could not be found out, so the name may exist all the same (getaddrinfo(3): EAI_AGAIN, EAI_FAIL and others).
    NoAnswer {
        /// The name.
        host: String,
        /// The system's reason.
        reason: String,
    },
}

impl ResolveError {
    /// std hands getaddrinfo's code on as text only. The texts are those of glibc, musl and the BSDs.
    fn of(host: String, reason: &str) -> Self {
        const UNKNOWN: &[&str] = &[
            "not known",
            "No address",
            "Name does not resolve",
            "nodename nor servname",
            "no usable address",
        ];
        if UNKNOWN.iter().any(|text| reason.contains(text)) {
            Self::NoSuchHost { host }
        } else {
            Self::NoAnswer { host, reason: reason.to_owned() }
        }
    }
}

impl fmt::Display for ResolveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSuchHost { host } => {
                write!(f, "no such host '{host}': check its spelling, or write its numeric address")
            }
            Self::TimedOut { host, limit } => write!(
                f,
                "looking up the host '{host}' took longer than {limit:?}: check the name servers in \
                 /etc/resolv.conf, or write its numeric address"
            ),
            Self::NoAnswer { host, reason } => write!(
                f,
                "cannot look up the host '{host}': {reason}; check the name servers in /etc/resolv.conf, or write its \
                 numeric address"
            ),
        }
    }
}

impl std::error::Error for ResolveError {}

/// The reason without std's preface.
fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    text.strip_prefix("failed to lookup address information: ").unwrap_or(&text).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(30);

    #[test]
    fn targets_survive_printing_and_parsing() {
        for text in [
            "tcp://127.0.0.1:9999",
            "tcp://[::1]:1",
            "tcp://localhost:80",
            "udp://example.org:65535",
            "tcp://[fe80::1%eth0]:7",
            "unix:/run/a.sock",
            "unix:@name",
        ] {
            assert_eq!(text.parse::<Target>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn a_bad_target_says_what_would_do() {
        for (text, expected) in [
            ("localhost:9999", "no scheme"),
            ("http://localhost:9999", "tcp://"),
            ("tcp://localhost", "no port"),
            ("tcp://localhost:", "no port"),
            ("tcp://[::1]", "no port"),
            ("tcp://localhost:http", "1 to 65535"),
            ("tcp://localhost:70000", "1 to 65535"),
            ("tcp://localhost:0", "port 0"),
            ("tcp://::1:9999", "brackets"),
            ("tcp://[::1:9999", "not closed"),
            ("tcp://:9999", "no host"),
            ("tcp://a b:9999", "no host"),
            ("tcp://localhost:80/", "path"),
            ("unix:", "no path"),
        ] {
            let error = text.parse::<Target>().unwrap_err().to_string();
            assert!(error.contains(expected) && error.contains(text), "{text}: {error}");
        }
    }

    #[test]
    fn what_is_numeric_is_not_looked_up() {
        for text in ["tcp://127.0.0.1:9", "udp://[::1]:9", "unix:/a", "unix:@a"] {
            let found = resolve(&text.parse().unwrap(), Duration::ZERO).unwrap();
            assert_eq!(found, [text.parse().unwrap()]);
        }
    }

    #[test]
    fn this_machine_has_a_name() {
        let found = resolve(&"tcp://localhost:9".parse().unwrap(), LONG).unwrap();
        assert!(found.iter().all(|a| a.socket_addr().is_some_and(|a| a.ip().is_loopback() && a.port() == 9)));
    }

    #[test]
    fn a_lookup_has_a_limit_and_its_late_answer_goes_nowhere() {
        let (never, wait) = channel::<()>();
        let limit = Duration::from_millis(5);
        let found = within(limit, "slow".to_owned(), move || {
            let _ = wait.recv();
            Ok(Vec::new())
        });
        assert_eq!(found, Err(ResolveError::TimedOut { host: "slow".to_owned(), limit }));
        drop(never);
    }

    #[test]
    fn an_address_is_tried_once() {
        let [one, two] = ["127.0.0.1:1", "[::1]:1"].map(|text| text.parse().unwrap());
        assert_eq!(within(LONG, "x".into(), move || Ok(vec![one, two, one])), Ok(vec![one, two]));
    }

    #[test]
    fn no_such_host_and_no_answer_are_two_things() {
        let fails = |reason: &'static str| within(LONG, "x".into(), move || Err(io::Error::other(reason)));
        let unknown = fails("failed to lookup address information: Name or service not known").unwrap_err();
        assert_eq!(unknown, ResolveError::NoSuchHost { host: "x".into() });
        let silent =
            fails("failed to lookup address information: Temporary failure in name resolution").unwrap_err();
        assert!(silent.to_string().contains("'x': Temporary failure"), "{silent}");
        assert_eq!(within(LONG, "x".into(), || Ok(Vec::new())), Err(unknown));
    }
}
