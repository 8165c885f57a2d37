//! Addresses as the command line, the log and protocols name them: `tcp://HOST:PORT`.

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

/// Where a listener listens or a peer is. Numeric only: name lookups block (getaddrinfo(3)) and have no place in a loop.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Address {
    /// TCP over IPv4 or IPv6.
    Tcp(SocketAddr),
    /// The peer has no address any more, because the connection is gone (getpeername(2): ENOTCONN).
    Unknown,
}

impl Address {
    /// The socket address, where there is one.
    #[must_use]
    pub fn socket_addr(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(addr) => Some(*addr),
            Self::Unknown => None,
        }
    }
}

impl From<SocketAddr> for Address {
    fn from(addr: SocketAddr) -> Self {
        Self::Tcp(addr)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(addr) => write!(f, "tcp://{addr}"),
            Self::Unknown => f.write_str("unknown"),
        }
    }
}

impl FromStr for Address {
    type Err = ParseAddressError;

    /// Parses `tcp://HOST:PORT` with a numeric HOST, IPv6 in brackets.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fail = |why| Err(ParseAddressError { text: text.to_owned(), why });
        let Some((scheme, rest)) = text.split_once("://") else {
            return fail("it has no scheme; write tcp://HOST:PORT");
        };
        match scheme {
            "tcp" => match rest.parse() {
                Ok(addr) => Ok(Self::Tcp(addr)),
                Err(_) => fail(why_not_numeric(rest)),
            },
            _ => fail("only tcp:// is served; write tcp://HOST:PORT"),
        }
    }
}

fn why_not_numeric(rest: &str) -> &'static str {
    let (host, port) = rest.rsplit_once(':').unwrap_or((rest, ""));
    if port.is_empty() || rest.ends_with(']') {
        "it has no port; write tcp://HOST:PORT, port 0 for any free one"
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
    /// The reason alone, for messages that have already named the text.
    #[must_use]
    pub const fn why(&self) -> &'static str {
        self.why
    }
}

impl fmt::Display for ParseAddressError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "'{}' is no address to listen on: {}", self.text, self.why)
    }
}

impl std::error::Error for ParseAddressError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_survive_printing_and_parsing() {
        for text in ["tcp://127.0.0.1:9999", "tcp://[::1]:0", "tcp://0.0.0.0:80"] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn a_bad_address_says_what_would_do() {
        for (text, expected) in [
            ("127.0.0.1:9999", "no scheme"),
            ("tcp://localhost:9999", "not numeric"),
            ("tcp://127.0.0.1", "no port"),
            ("tcp://[::1]", "no port"),
            ("tcp://127.0.0.1:99999", "0 to 65535"),
            ("tcp://::1:9999", "brackets"),
            ("https://127.0.0.1:1", "only tcp://"),
        ] {
            let error = text.parse::<Address>().unwrap_err().to_string();
            assert!(error.contains(expected) && error.contains(text), "{text}: {error}");
        }
    }
}
