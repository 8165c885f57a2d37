//! Content that tells where it belongs: a period of bytes that is read from another place for each connection.
//!
//! Byte `k` of what a connection sends is `table[(base + k) % period]`, and `base` differs for each connection. So every
//! byte carries its connection and its place in that connection's stream, comparing costs no more than any comparison
//! of memory, and from a few bytes in a row it can be told whose they are.

use std::fmt;

/// Bytes beyond one period, so that this many in a row can be taken from anywhere.
pub(super) const PAD: usize = 64 * 1024;

/// Two primes: a message is never as long as both of them, or a multiple.
const PERIODS: [usize; 2] = [65_521, 65_519];

/// How far the bases of two neighbours are apart; below every period, and prime to it.
const STEP: u64 = 39_208;

/// Bytes that are looked for when they are not where they should be.
const PROBE: usize = 8;

/// The content of every connection.
pub(super) struct Pattern {
    /// One period and [`PAD`] bytes more.
    table: Vec<u8>,
    period: usize,
    /// Whether connections have content of their own.
    individual: bool,
}

/// Where bytes that came belong, as far as that can be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// To the same connection, so many bytes later: that many were lost.
    Later(u64),
    /// To the same connection, so many bytes earlier: they came twice, or were sent in a wrong order.
    Earlier(u64),
    /// To this other connection.
    Other(usize),
    /// To nobody: they were changed on their way.
    Nobody,
}

impl Pattern {
    /// Content of bytes out of `alphabet`, in an order that looks random, for messages of `size` bytes.
    pub(super) fn new(alphabet: &[u8], size: usize) -> Self {
        let period = if size.is_multiple_of(PERIODS[0]) { PERIODS[1] } else { PERIODS[0] };
        let mut state = 88_172_645_463_325_252_u64;
        let mut next = || {
            // Xorshift (Marsaglia 2003).
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            let at = (state >> 24) % alphabet.len() as u64;
            alphabet[usize::try_from(at).unwrap_or(0)]
        };
        let table = (0..period).map(|_| next()).collect();
        Self::repeat(table, true)
    }

    /// The same bytes again and again, on every connection.
    pub(super) fn fixed(bytes: &[u8]) -> Self {
        Self::repeat(bytes.to_vec(), false)
    }

    fn repeat(mut table: Vec<u8>, individual: bool) -> Self {
        let period = table.len();
        table.reserve_exact(PAD);
        for at in 0..PAD {
            table.push(table[at]);
        }
        Self { table, period, individual }
    }

    pub(super) const fn is_individual(&self) -> bool {
        self.individual
    }

    /// The bytes from `at` of a connection's stream, as many as there are in a row, at most `most`; never none.
    #[inline]
    pub(super) fn slice(&self, connection: u32, at: u64, most: usize) -> &[u8] {
        let base = if self.individual { u64::from(connection) * STEP } else { 0 };
        let start = self.place(base + at);
        &self.table[start..start + most.min(PAD)]
    }

    /// Division by a constant costs a tenth of one by a variable, and this is done twice per request.
    #[inline]
    fn place(&self, at: u64) -> usize {
        const USUAL: usize = PERIODS[0];
        let place = match self.period {
            USUAL => at % USUAL as u64,
            other => at % other as u64,
        };
        usize::try_from(place).unwrap_or(0)
    }

    /// Where `input` first differs from the stream of `connection` at `at`.
    #[inline]
    pub(super) fn compare(&self, connection: u32, at: u64, input: &[u8]) -> Option<usize> {
        if input.len() <= PAD {
            let expected = self.slice(connection, at, input.len());
            return if input == expected { None } else { first_difference(input, expected) };
        }
        let mut done = 0;
        while done < input.len() {
            let expected = self.slice(connection, at + done as u64, input.len() - done);
            if let Some(place) = first_difference(&input[done..done + expected.len()], expected) {
                return Some(done + place);
            }
            done += expected.len();
        }
        None
    }

    /// Whose bytes these are that came where those at `at` of `connection` should have; `connections` are known.
    pub(super) fn origin(&self, connection: u32, at: u64, input: &[u8], connections: usize) -> Origin {
        let Some(probe) = input.get(..PROBE).filter(|_| self.individual) else { return Origin::Nobody };
        let Some(found) = memchr::memmem::find(&self.table[..self.period + PROBE], probe) else {
            return Origin::Nobody;
        };
        let period = self.period as u64;
        let place = |connection: u64, at: u64| (connection * STEP + at) % period;
        let ahead = (found as u64 + period - place(connection.into(), at)) % period;
        // Another connection is in about the same place of its own stream.
        let near = |other: u64| {
            let away = (found as u64 + period - place(other, at)) % period;
            away.min(period - away)
        };
        let nearest =
            (0..connections as u64).filter(|other| *other != u64::from(connection)).min_by_key(|c| near(*c));
        let own = ahead.min(period - ahead);
        match nearest {
            Some(other) if near(other) < own => Origin::Other(usize::try_from(other).unwrap_or(0)),
            _ if ahead <= period / 2 => Origin::Later(ahead),
            _ => Origin::Earlier(period - ahead),
        }
    }
}

fn first_difference(a: &[u8], b: &[u8]) -> Option<usize> {
    a.iter().zip(b).position(|(a, b)| a != b)
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Later(bytes) => write!(f, "{bytes} bytes before it are missing"),
            Self::Earlier(bytes) => {
                write!(f, "what came was due {bytes} bytes earlier: it came twice, or out of order")
            }
            Self::Other(connection) => write!(f, "what came belongs to connection {connection}"),
            Self::Nobody => write!(f, "what came was never sent: it was changed"),
        }
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pattern").field("period", &self.period).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> Vec<u8> {
        (0..=255).collect()
    }

    #[test]
    fn a_stream_compares_equal_to_itself_in_pieces_of_any_size() {
        let pattern = Pattern::new(&all(), 64);
        let stream: Vec<u8> = (0..200_000).map(|at| pattern.slice(7, at, 1)[0]).collect();
        for (at, len) in [(0, 64), (65_520, 3), (100, 150_000), (199_999, 1)] {
            assert_eq!(pattern.compare(7, at as u64, &stream[at..at + len]), None);
        }
        let mut changed = stream.clone();
        changed[123_456] ^= 1;
        assert_eq!(pattern.compare(7, 0, &changed), Some(123_456));
    }

    #[test]
    fn no_two_messages_of_a_connection_are_alike_soon() {
        for size in [1024, 65_521, 65_519, 131_042] {
            let pattern = Pattern::new(&all(), size);
            let first = |seq: u64| pattern.slice(0, seq * size as u64, 16).to_vec();
            assert!((1..100).all(|seq| first(seq) != first(0)), "{size}");
        }
    }

    #[test]
    fn it_is_told_whose_bytes_came() {
        let pattern = Pattern::new(&all(), 64);
        let at = |connection, place| pattern.slice(connection, place, 64).to_vec();
        assert_eq!(pattern.origin(3, 640, &at(3, 704), 100), Origin::Later(64));
        assert_eq!(pattern.origin(3, 640, &at(3, 576), 100), Origin::Earlier(64));
        assert_eq!(pattern.origin(3, 640, &at(3, 641), 100), Origin::Later(1));
        assert_eq!(pattern.origin(3, 640, &at(17, 640), 100), Origin::Other(17));
        assert_eq!(pattern.origin(3, 640, b"anything else", 100), Origin::Nobody);
    }

    #[test]
    fn fixed_content_is_the_same_for_all() {
        let pattern = Pattern::fixed(b"ping\n");
        assert_eq!(pattern.compare(0, 0, b"ping\nping\n"), None);
        assert_eq!(pattern.compare(9, 5, b"ping\npong\n"), Some(6));
    }
}
