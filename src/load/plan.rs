//! What one run does: typed, checked options.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::profile::Profile;
use crate::address::Address;
use crate::codec::Framing;

/// What one run does.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Where to connect, at least one; connection k goes to number k modulo their count.
    pub targets: Vec<Address>,
    /// Connections, or UDP sockets, open at once.
    pub connections: usize,
    /// When requests are made.
    pub arrival: Arrival,
    /// Requests of one connection under way at once, at least 1.
    pub pipeline: usize,
    /// How long is measured, after the warm-up. `None`: until [`requests`](Self::requests) are made.
    pub duration: Option<Duration>,
    /// The most requests, all connections together, those of the warm-up included.
    pub requests: Option<u64>,
    /// Goes before what is measured.
    pub warmup: Duration,
    /// A request that has no answer so long after it was sent is an error, and ends its connection.
    pub timeout: Duration,
    /// How long connecting may take.
    pub connect_timeout: Duration,
    /// Connections begun per second, all loops together. `None`: as fast as they are taken.
    pub connect_rate: Option<f64>,
    /// A connection is closed, and made anew, after this.
    pub lifetime: Option<Duration>,
    /// How connections are closed.
    pub close: Close,
    /// The local addresses to connect from. `None`: the system chooses.
    pub sources: Option<Sources>,
    /// Threads, each with a reactor of its own; connection k belongs to thread k modulo their count.
    pub loops: usize,
    /// Whether thread k stays on the k-th processor this process may use.
    pub pin: bool,
    /// What is said.
    pub exchange: Exchange,
    /// Whether every byte that comes back is compared with what should.
    pub verify: bool,
}

impl Plan {
    /// How many connections thread `number` has.
    #[must_use]
    pub fn local_connections(&self, number: usize) -> usize {
        self.connections.saturating_sub(number).div_ceil(self.loops.max(1))
    }
}

/// When requests are made.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Arrival {
    /// As soon as an answer has come.
    Closed,
    /// At moments fixed beforehand.
    Open(Profile),
}

/// How connections are closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Close {
    /// The usual way: FIN. The side that closes first keeps the port in TIME_WAIT for a minute.
    Fin,
    /// By a reset (SO_LINGER 0): nothing stays behind.
    Rst,
}

/// What is said on a connection.
#[derive(Debug, Clone)]
pub struct Exchange {
    /// What the target answers.
    pub protocol: Protocol,
    /// Where a message ends.
    pub framing: Framing,
    /// What the messages are.
    pub content: Content,
    /// What the target says first, on each connection. Empty: nothing.
    pub banner: Arc<[u8]>,
}

/// What the target answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// The message itself.
    Echo,
    /// `Hello, X!` to X.
    Greet,
    /// Nothing is sent; the target sends bytes without an end, byte k being k modulo 251.
    Source,
    /// Nothing.
    Discard,
    /// An HTTP/1.1 response to each request, which [`Content::Requests`] has.
    Http {
        /// The requests are HEAD requests, whose responses have no body.
        is_head_request: bool,
        /// Whether further requests follow on a connection; the requests themselves must say the same.
        keep_alive: bool,
    },
}

/// What the messages are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// So many bytes that differ for each connection and message.
    Pattern(usize),
    /// Always these, at least one byte.
    Fixed(Arc<[u8]>),
    /// HTTP: one for each target, in their order.
    Requests(Arc<[HttpRequest]>),
}

/// An HTTP request as it goes over the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpRequest {
    /// What it asks for, as reports call it.
    pub url: String,
    /// Head and body.
    pub bytes: Vec<u8>,
}

impl Content {
    /// Bytes of one message, without what the framing adds.
    #[must_use]
    pub fn size(&self) -> usize {
        match self {
            Self::Pattern(size) => *size,
            Self::Fixed(bytes) => bytes.len(),
            Self::Requests(requests) => requests.first().map_or(0, |request| request.bytes.len()),
        }
    }
}

/// A range of local addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sources {
    /// The first one.
    pub first: IpAddr,
    /// How many, counted upwards; at least 1.
    pub count: u128,
}

impl Sources {
    /// The address of connection `k`: they take turns.
    #[must_use]
    pub fn of(&self, k: usize) -> IpAddr {
        let step = k as u128 % self.count.max(1);
        match self.first {
            // A range never passes the end of its family: the conversion cannot lose anything.
            IpAddr::V4(first) => {
                IpAddr::V4((u32::from(first).wrapping_add(u32::try_from(step).unwrap_or(0))).into())
            }
            IpAddr::V6(first) => IpAddr::V6(u128::from(first).wrapping_add(step).into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_take_turns_on_the_sources() {
        let sources = Sources { first: "127.0.0.254".parse().unwrap(), count: 3 };
        let got: Vec<_> = (0..4).map(|k| sources.of(k).to_string()).collect();
        assert_eq!(got, ["127.0.0.254", "127.0.0.255", "127.0.1.0", "127.0.0.254"]);
    }
}
