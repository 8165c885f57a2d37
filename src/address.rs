//! Addresses as the command line, the log and protocols name them: `tcp://HOST:PORT`, `udp://HOST:PORT`,
//! `unix:PATH`, `unix:@NAME`, `unixgram:PATH`, `unixgram:@NAME`.

use std::fmt::{self, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

/// The longest path or abstract name of a Unix socket, in bytes: `sun_path` has 108, one of them for a zero (unix(7)).
pub const MAX_UNIX_NAME: usize = 107;

/// Where a listener listens or a peer is. Numeric only: name lookups block (getaddrinfo(3)) and have no place in a loop.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Address {
    /// TCP over IPv4 or IPv6.
    Tcp(SocketAddr),
    /// UDP over IPv4 or IPv6.
    Udp(SocketAddr),
    /// A Unix stream socket.
    Unix(UnixName),
    /// A Unix datagram socket.
    Unixgram(UnixName),
    /// The peer has no address any more, because the connection is gone (getpeername(2): ENOTCONN).
    Unknown,
}

/// What a Unix socket is called (unix(7)).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum UnixName {
    /// A path in the file system.
    Path(PathBuf),
    /// A name in Linux's abstract namespace, without its leading zero byte.
    Abstract(Vec<u8>),
    /// None: what a client's socket usually has.
    Unnamed,
}

impl Address {
    /// The socket address, where there is one.
    #[must_use]
    pub const fn socket_addr(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(addr) | Self::Udp(addr) => Some(*addr),
            Self::Unix(_) | Self::Unixgram(_) | Self::Unknown => None,
        }
    }

    /// The same for datagrams, where it is an address of theirs.
    #[must_use]
    pub fn endpoint(&self) -> Option<Endpoint> {
        match self {
            Self::Udp(addr) => Some(Endpoint::Inet(*addr)),
            Self::Unixgram(name) => Some(Endpoint::Unix(Arc::new(name.clone()))),
            Self::Tcp(_) | Self::Unix(_) | Self::Unknown => None,
        }
    }

    /// Shows the address without `tcp://` or `udp://`, as `127.0.0.1:9999`, for output in which every line has one.
    #[must_use]
    pub const fn bare(&self) -> Bare<'_> {
        Bare(self)
    }
}

/// Whom a datagram is from or goes to. As large as a socket address: the name of a Unix socket, which is rare and longer, is
/// behind a pointer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Endpoint {
    /// UDP.
    Inet(SocketAddr),
    /// A Unix datagram socket. One that is unnamed cannot be answered.
    Unix(Arc<UnixName>),
}

const _: () = assert!(size_of::<Endpoint>() == size_of::<SocketAddr>(), "UDP pays for nothing else");

impl Endpoint {
    /// The socket address, where there is one.
    #[inline]
    #[must_use]
    pub const fn socket_addr(&self) -> Option<SocketAddr> {
        match self {
            Self::Inet(addr) => Some(*addr),
            Self::Unix(_) => None,
        }
    }

    /// As the command line and the log name it.
    #[must_use]
    pub fn address(&self) -> Address {
        match self {
            Self::Inet(addr) => Address::Udp(*addr),
            Self::Unix(name) => Address::Unixgram(UnixName::clone(name)),
        }
    }
}

impl From<SocketAddr> for Endpoint {
    #[inline]
    fn from(addr: SocketAddr) -> Self {
        Self::Inet(addr)
    }
}

impl PartialEq<SocketAddr> for Endpoint {
    fn eq(&self, addr: &SocketAddr) -> bool {
        self.socket_addr() == Some(*addr)
    }
}

/// An address without its scheme; see [`Address::bare`].
#[derive(Debug, Clone, Copy)]
pub struct Bare<'a>(&'a Address);

impl fmt::Display for Bare<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.socket_addr() {
            Some(addr) => addr.fmt(f),
            None => self.0.fmt(f),
        }
    }
}

impl UnixName {
    /// The path, where there is one.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::Path(path) => Some(path),
            Self::Abstract(_) | Self::Unnamed => None,
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(addr) => write!(f, "tcp://{addr}"),
            Self::Udp(addr) => write!(f, "udp://{addr}"),
            Self::Unix(name) => write!(f, "unix:{name}"),
            Self::Unixgram(name) => write!(f, "unixgram:{name}"),
            Self::Unknown => f.write_str("unknown"),
        }
    }
}

impl fmt::Display for UnixName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => write_escaped(&path.to_string_lossy(), f),
            Self::Abstract(name) => {
                f.write_str("@")?;
                write_escaped(&String::from_utf8_lossy(name), f)
            }
            Self::Unnamed => f.write_str("(unnamed)"),
        }
    }
}

/// A name is its owner's choice: what would end a line, or drive a terminal, is shown as \xNN.
fn write_escaped(text: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for char in text.chars() {
        match u32::from(char) {
            code if char.is_control() => write!(f, "\\x{code:02x}")?,
            _ => f.write_char(char)?,
        }
    }
    Ok(())
}

impl FromStr for Address {
    type Err = ParseAddressError;

    /// Parses `tcp://HOST:PORT` and `udp://HOST:PORT` with a numeric HOST, IPv6 in brackets; `unix:PATH`; `unix:@NAME`; the same with
    /// `unixgram:`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fail = |why| ParseAddressError::new(text, why);
        if let Some(name) = text.strip_prefix("unixgram:") {
            return name.parse().map(Self::Unixgram).map_err(fail);
        }
        if let Some(name) = text.strip_prefix("unix:") {
            return name.parse().map(Self::Unix).map_err(fail);
        }
        let (scheme, rest) = split_scheme(text).map_err(fail)?;
        match rest.parse() {
            Ok(addr) if scheme == Scheme::Tcp => Ok(Self::Tcp(addr)),
            Ok(addr) => Ok(Self::Udp(addr)),
            Err(_) => Err(fail(why_not_numeric(rest))),
        }
    }
}

/// What stands before `://`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// `tcp`
    Tcp,
    /// `udp`
    Udp,
}

/// Splits `tcp://HOST:PORT` or `udp://HOST:PORT` before HOST.
///
/// # Errors
/// What would be accepted instead.
pub fn split_scheme(text: &str) -> Result<(Scheme, &str), &'static str> {
    const OTHER: &str = "write tcp://HOST:PORT, udp://HOST:PORT, unix:PATH or unix:@NAME";
    const NO_SCHEME: &str =
        "it has no scheme; write tcp://HOST:PORT, udp://HOST:PORT, unix:PATH or unix:@NAME";
    match text.split_once("://") {
        Some(("tcp", rest)) => Ok((Scheme::Tcp, rest)),
        Some(("udp", rest)) => Ok((Scheme::Udp, rest)),
        Some(_) => Err(OTHER),
        None => Err(NO_SCHEME),
    }
}

impl FromStr for UnixName {
    type Err = &'static str;

    /// Parses what stands behind `unix:`: a path, or an abstract name behind `@`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, made) = match text.strip_prefix('@') {
            Some(name) => (name, Self::Abstract(name.into())),
            None => (text, Self::Path(text.into())),
        };
        match name.len() {
            0 => Err("it has no path; write unix:/run/my.sock, or unix:@NAME for an abstract name"),
            len if len > MAX_UNIX_NAME => {
                Err("it is longer than the 107 bytes a Unix socket's name may have")
            }
            _ if name.contains('\0') => Err("its name contains a zero byte"),
            _ => Ok(made),
        }
    }
}

fn why_not_numeric(rest: &str) -> &'static str {
    let (host, port) = rest.rsplit_once(':').unwrap_or((rest, ""));
    if port.is_empty() || rest.ends_with(']') {
        "it has no port; write HOST:PORT, port 0 for any free one"
    } else if port.parse::<u16>().is_err() {
        "its port is not a number from 0 to 65535"
    } else if host.contains(':') && !host.starts_with('[') {
        "an IPv6 address goes in brackets, as in tcp://[::1]:9999"
    } else {
        "its host is not numeric; write 127.0.0.1 or [::1] for this machine, 0.0.0.0 or [::] for all its addresses"
    }
}

/// Why a text is no [`Address`]: it names the text and what would be accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParseAddressError {
    text: String,
    why: &'static str,
}

impl ParseAddressError {
    pub(crate) fn new(text: &str, why: &'static str) -> Self {
        Self { text: text.to_owned(), why }
    }

    /// The reason alone, for messages that have already named the text.
    #[must_use]
    pub const fn why(&self) -> &'static str {
        self.why
    }
}

impl fmt::Display for ParseAddressError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "'{}' is no address: {}", self.text, self.why)
    }
}

impl std::error::Error for ParseAddressError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_survive_printing_and_parsing() {
        for text in [
            "tcp://127.0.0.1:9999",
            "tcp://[::1]:0",
            "udp://0.0.0.0:80",
            "unix:/run/a.sock",
            "unix:relative",
            "unix:@name",
            "unixgram:/run/a.sock",
            "unixgram:@name",
        ] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn a_name_cannot_forge_a_line() {
        let path = Address::Unix(UnixName::Path("/tmp/a\nudp://x \u{1b}[m ü".into()));
        assert_eq!(path.to_string(), "unix:/tmp/a\\x0audp://x \\x1b[m ü");
        let name = Address::Unix(UnixName::Abstract(b"a\nb".to_vec()));
        assert_eq!(name.to_string(), "unix:@a\\x0ab");
    }

    #[test]
    fn bare_addresses_have_no_scheme() {
        for (text, bare) in [("udp://127.0.0.1:9", "127.0.0.1:9"), ("unix:/a", "unix:/a")] {
            assert_eq!(text.parse::<Address>().unwrap().bare().to_string(), bare);
        }
    }

    #[test]
    fn a_bad_address_says_what_would_do() {
        let long = format!("unix:/{}", "x".repeat(MAX_UNIX_NAME));
        for (text, expected) in [
            ("127.0.0.1:9999", "no scheme"),
            ("tcp://localhost:9999", "not numeric"),
            ("udp://127.0.0.1", "no port"),
            ("tcp://[::1]", "no port"),
            ("tcp://127.0.0.1:99999", "0 to 65535"),
            ("tcp://::1:9999", "brackets"),
            ("https://127.0.0.1:1", "tcp://"),
            ("unix:", "no path"),
            ("unix:@", "no path"),
            (&long, "107 bytes"),
        ] {
            let error = text.parse::<Address>().unwrap_err().to_string();
            assert!(error.contains(expected) && error.contains(text), "{text}: {error}");
        }
    }
}
