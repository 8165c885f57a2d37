//! What is said on the wire, message by message, and what must come back.

use std::fmt;

use super::pattern::{self, Origin, Pattern};
use super::plan::{Content, Exchange, Protocol};
use crate::codec::{Codec, Encoder, FrameError, Framing};

/// Byte k of what `source` sends is k modulo this.
const SOURCE_PERIOD: u8 = 251;

/// Requests and replies as bytes on the wire. One for all connections of a thread.
pub(super) struct Script {
    protocol: Protocol,
    framing: Framing,
    /// `None` where the framing changes nothing.
    codec: Option<Box<dyn Codec>>,
    pattern: Pattern,
    /// Bytes of a message without its framing.
    size: usize,
    /// Bytes of a request, and of its reply, on the wire.
    pub(super) request_len: usize,
    pub(super) reply_len: usize,
    banner: Vec<u8>,
}

/// A byte that is not what it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mismatch {
    /// The message, counted from 0, and the byte in it, counted on the wire.
    pub(super) message: u64,
    pub(super) byte: usize,
    pub(super) got: u8,
    pub(super) expected: u8,
    pub(super) origin: Option<Origin>,
}

impl Script {
    pub(super) fn new(exchange: &Exchange) -> Result<Self, FrameError> {
        let size = exchange.content.size();
        let codec = (exchange.framing != Framing::Raw)
            .then(|| -> Box<dyn Codec> { exchange.framing.codec(usize::MAX) });
        let mut script = Self {
            protocol: exchange.protocol,
            framing: exchange.framing.clone(),
            codec,
            pattern: pattern(exchange),
            size,
            request_len: 0,
            reply_len: 0,
            banner: Vec::new(),
        };
        let (mut request, mut reply) = (Vec::new(), Vec::new());
        script.request(0, 0, &mut request)?;
        script.reply(0, 0, &mut reply)?;
        (script.request_len, script.reply_len) = (request.len(), reply.len());
        if !exchange.banner.is_empty() {
            let mut banner = Vec::new();
            script.encode(&exchange.banner, &mut banner)?;
            script.banner = banner;
        }
        Ok(script)
    }

    pub(super) const fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// Whether each message is like no other.
    pub(super) const fn is_individual(&self) -> bool {
        self.pattern.is_individual()
    }

    /// What the target says first.
    pub(super) fn banner(&self) -> &[u8] {
        &self.banner
    }

    /// A decoder of its own, for whoever only counts replies; `None` where nothing frames them.
    pub(super) fn decoder(&self) -> Option<Box<dyn Codec>> {
        self.codec.as_ref().map(|_| -> Box<dyn Codec> { self.framing.codec(usize::MAX) })
    }

    /// Whether what is sent, and what comes back, is the pattern itself.
    #[inline]
    const fn is_plain(&self) -> bool {
        self.codec.is_none() && !matches!(self.protocol, Protocol::Greet)
    }

    /// Whether a request comes back as it is, and is no longer than what is taken from the pattern at once.
    pub(super) const fn is_echoed_whole(&self) -> bool {
        self.is_plain() && matches!(self.protocol, Protocol::Echo) && self.size <= pattern::PAD
    }

    /// A request, and its answer, where [`is_echoed_whole`](Self::is_echoed_whole) holds.
    #[inline(always)]
    pub(super) fn plain(&self, connection: u32, seq: u64) -> &[u8] {
        self.pattern.slice(connection, seq * self.size as u64, self.size)
    }

    /// Appends request number `seq` to `out`, piece by piece.
    #[inline]
    pub(super) fn write_request(&self, connection: u32, seq: u64, mut out: impl FnMut(&[u8])) {
        if self.codec.is_none() {
            let mut at = 0;
            while at < self.size {
                let piece =
                    self.pattern.slice(connection, seq * self.size as u64 + at as u64, self.size - at);
                out(piece);
                at += piece.len();
            }
            return;
        }
        let mut framed = Vec::with_capacity(self.request_len);
        // It was tried when this was made, and every message has the same length.
        if self.request(connection, seq, &mut framed).is_ok() {
            out(&framed);
        }
    }

    /// Compares what came, from byte `offset` of reply `seq` on, with what should have.
    #[inline]
    pub(super) fn check(
        &self,
        (connection, connections): (u32, usize),
        (seq, offset): (u64, usize),
        input: &[u8],
    ) -> Result<(), Mismatch> {
        if !self.is_plain() {
            return self.check_built(connection, (seq, offset), input);
        }
        let start = seq * self.reply_len as u64 + offset as u64;
        match self.pattern.compare(connection, start, input) {
            None => Ok(()),
            Some(place) => Err(self.explain((connection, connections), start, input, place)),
        }
    }

    #[cold]
    fn explain(
        &self,
        (connection, connections): (u32, usize),
        start: u64,
        input: &[u8],
        place: usize,
    ) -> Mismatch {
        let at = start + place as u64;
        let len = self.reply_len.max(1) as u64;
        Mismatch {
            message: at / len,
            byte: usize::try_from(at % len).unwrap_or(0),
            got: input[place],
            expected: self.pattern.slice(connection, at, 1)[0],
            origin: Some(self.pattern.origin(connection, at, &input[place..], connections)),
        }
    }

    /// [`check`](Self::check), for replies that have to be built first.
    fn check_built(
        &self,
        connection: u32,
        (seq, offset): (u64, usize),
        input: &[u8],
    ) -> Result<(), Mismatch> {
        let (mut seq, mut offset, mut rest) = (seq, offset, input);
        let mut expected = Vec::with_capacity(self.reply_len);
        while !rest.is_empty() {
            expected.clear();
            if self.reply(connection, seq, &mut expected).is_err() || offset >= expected.len() {
                return Ok(());
            }
            let part = rest.len().min(expected.len() - offset);
            let wanted = &expected[offset..offset + part];
            if let Some(place) = rest.iter().zip(wanted).position(|(a, b)| a != b) {
                let (got, expected) = (rest[place], wanted[place]);
                return Err(Mismatch { message: seq, byte: offset + place, got, expected, origin: None });
            }
            rest = &rest[part..];
            (seq, offset) = (seq + 1, 0);
        }
        Ok(())
    }

    fn request(&self, connection: u32, seq: u64, out: &mut Vec<u8>) -> Result<(), FrameError> {
        self.encode(&self.payload(connection, seq), out)
    }

    fn reply(&self, connection: u32, seq: u64, out: &mut Vec<u8>) -> Result<(), FrameError> {
        match self.protocol {
            Protocol::Echo | Protocol::Source => self.encode(&self.payload(connection, seq), out),
            Protocol::Greet => {
                let name = self.payload(connection, seq);
                self.encode(&[b"Hello, ", name.as_slice(), b"!"].concat(), out)
            }
            // What HTTP answers nobody knows beforehand.
            Protocol::Discard | Protocol::Http { .. } => Ok(()),
        }
    }

    fn payload(&self, connection: u32, seq: u64) -> Vec<u8> {
        let mut payload = Vec::with_capacity(self.size);
        while payload.len() < self.size {
            let at = seq * self.size as u64 + payload.len() as u64;
            payload.extend_from_slice(self.pattern.slice(connection, at, self.size - payload.len()));
        }
        payload
    }

    fn encode(&self, payload: &[u8], out: &mut Vec<u8>) -> Result<(), FrameError> {
        match &self.codec {
            None => out.extend_from_slice(payload),
            Some(codec) => Encoder::encode(&**codec, payload, out)?,
        }
        Ok(())
    }
}

/// The bytes messages are made of: any, but where something else reads them as text, or looks for an end in them.
fn pattern(exchange: &Exchange) -> Pattern {
    if exchange.protocol == Protocol::Source {
        return Pattern::fixed(&(0..SOURCE_PERIOD).collect::<Vec<u8>>());
    }
    match &exchange.content {
        Content::Fixed(bytes) => Pattern::fixed(bytes),
        Content::Pattern(size) => Pattern::new(&alphabet(exchange), *size),
        Content::Requests(requests) => {
            Pattern::fixed(requests.first().map_or(b"?", |request| &request.bytes))
        }
    }
}

fn alphabet(exchange: &Exchange) -> Vec<u8> {
    let delimiter: &[u8] = match &exchange.framing {
        Framing::Delimited(delimiter) => delimiter,
        Framing::Lines => b"\r\n",
        _ if exchange.protocol == Protocol::Greet => b"\r\n",
        _ => return (0..=255).collect(),
    };
    // Printable, and never `exit`, which some services take for an order.
    let good = |byte: &u8| *byte != b'x' && !delimiter.contains(byte);
    let printable: Vec<u8> = (b'!'..=b'~').filter(good).collect();
    if printable.len() >= 16 { printable } else { (0..=255).filter(good).collect() }
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { message, byte, got, expected, .. } = self;
        write!(f, "message {message}, byte {byte}: got 0x{got:02x}, expected 0x{expected:02x}")?;
        match &self.origin {
            Some(origin) => write!(f, "; {origin}"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Script")
            .field("protocol", &self.protocol)
            .field("size", &self.size)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn script(protocol: Protocol, framing: &str, size: usize) -> Script {
        let exchange = Exchange {
            protocol,
            framing: framing.parse().unwrap(),
            content: Content::Pattern(size),
            banner: if protocol == Protocol::Greet { b"Welcome!".to_vec() } else { Vec::new() }.into(),
        };
        Script::new(&exchange).unwrap()
    }

    fn request(script: &Script, connection: u32, seq: u64) -> Vec<u8> {
        let mut out = Vec::new();
        script.write_request(connection, seq, |piece| out.extend_from_slice(piece));
        out
    }

    #[test]
    fn an_echo_of_every_framing_is_what_was_sent() {
        for framing in ["raw", "lines", "delimited:;", "len16", "len32", "len32le", "fixed:100"] {
            let script = script(Protocol::Echo, framing, 100);
            let sent: Vec<u8> = (0..50).flat_map(|seq| request(&script, 3, seq)).collect();
            assert_eq!(sent.len(), 50 * script.request_len, "{framing}");
            assert_eq!(script.check((3, 9), (0, 0), &sent), Ok(()), "{framing}");
            let (seq, offset) = (7, 11);
            let tail = &sent[7 * script.reply_len + 11..];
            assert_eq!(script.check((3, 9), (seq, offset), tail), Ok(()), "{framing}");
            let mut wrong = sent.clone();
            wrong[20 * script.reply_len + 5] ^= 0x10;
            let found = script.check((3, 9), (0, 0), &wrong).unwrap_err();
            assert_eq!((found.message, found.byte), (20, 5), "{framing}");
        }
    }

    #[test]
    fn a_greeting_names_whom_it_greets() {
        let script = script(Protocol::Greet, "lines", 10);
        let name = request(&script, 1, 4);
        let name = std::str::from_utf8(name.strip_suffix(b"\n").unwrap()).unwrap();
        let reply = format!("Hello, {name}!\n");
        assert_eq!(script.reply_len, reply.len());
        assert_eq!(script.check((1, 2), (4, 0), reply.as_bytes()), Ok(()));
        assert!(script.check((1, 2), (5, 0), reply.as_bytes()).is_err());
        assert_eq!(script.banner(), b"Welcome!\n");
    }

    #[test]
    fn a_source_counts() {
        let script = script(Protocol::Source, "raw", 1000);
        let sent: Vec<u8> = (0..100_000_u32).map(|at| u8::try_from(at % 251).unwrap()).collect();
        assert_eq!(script.check((5, 9), (0, 0), &sent), Ok(()));
        assert!(script.check((5, 9), (0, 0), &sent[1..]).is_err());
    }

    #[test]
    fn a_mismatch_says_where_and_why() {
        let script = script(Protocol::Echo, "raw", 64);
        let text = script.check((3, 9), (0, 0), &request(&script, 3, 1)).unwrap_err().to_string();
        assert!(text.starts_with("message 0, byte 0: got 0x"), "{text}");
        assert!(text.ends_with("; 64 bytes before it are missing"), "{text}");
    }
}
