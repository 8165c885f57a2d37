//! One datagram and what it must be answered, and the client that sends it.

use std::net::{Ipv4Addr, SocketAddr};

use super::super::plan::{MS, NEVER};
use super::super::rng::Rng;
use super::FIRST_OWN_PORT;
use crate::session::MAX_DATAGRAM;

/// Bytes in front of the filler: the number, the client, what is asked for, and its argument.
pub(super) const HEADER: usize = 5;
/// Where what is asked for is.
pub(super) const ASKS: usize = 3;
/// In a further reply this bit is there instead, with which one it is.
pub(super) const FURTHER: u8 = 0x80;
/// Client `id` is at this port plus `id`, unless it has a port that must not be answered.
const FIRST_PORT: u16 = 30_000;

/// What a datagram asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Asks {
    /// The datagram itself.
    #[default]
    Echo,
    Nothing,
    /// So many replies.
    Several(u8),
    /// The datagram itself after so many milliseconds.
    Later(u8),
    /// A reply at once, and another after so many milliseconds.
    Both(u8),
}

impl Asks {
    fn draw(rng: &mut Rng) -> Self {
        let mut arg = |low, high| u8::try_from(rng.between(low, high)).unwrap_or(u8::MAX);
        let (several, delay) = (arg(2, 5), arg(1, 200));
        let all = [Self::Nothing, Self::Several(several), Self::Later(delay), Self::Both(delay)];
        if rng.coin() { Self::Echo } else { rng.pick(&all) }
    }

    pub(super) const fn code(self) -> [u8; 2] {
        match self {
            Self::Echo => [0, 0],
            Self::Nothing => [1, 0],
            Self::Several(count) => [2, count],
            Self::Later(delay) => [3, delay],
            Self::Both(delay) => [4, delay],
        }
    }

    /// What these bytes ask for; everything that is no request is echoed.
    pub(super) fn of(data: &[u8]) -> Self {
        match data {
            [_, _, _, 1, ..] => Self::Nothing,
            [_, _, _, 2, count, ..] => Self::Several(*count),
            [_, _, _, 3, delay, ..] => Self::Later(*delay),
            [_, _, _, 4, delay, ..] => Self::Both(*delay),
            _ => Self::Echo,
        }
    }

    /// How many replies.
    pub(super) const fn replies(self) -> u8 {
        match self {
            Self::Nothing => 0,
            Self::Echo | Self::Later(_) => 1,
            Self::Both(_) => 2,
            Self::Several(count) => count,
        }
    }

    /// How long a reply is held back, in nanoseconds.
    pub(super) const fn delay(self, reply: u8) -> u64 {
        match (self, reply) {
            (Self::Later(delay), 0) | (Self::Both(delay), 1) => delay as u64 * MS,
            _ => 0,
        }
    }
}

/// A datagram on its way to the server, and what became of it.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Letter {
    pub(super) speaker: usize,
    pub(super) socket: usize,
    pub(super) len: usize,
    pub(super) asks: Asks,
    /// Has no room for its number: such are told apart by their sender only.
    pub(super) anonymous: bool,
    pub(super) received_at: u64,
    /// One bit for each reply that was sent, or refused for good.
    pub(super) settled: u8,
}

impl Letter {
    /// A datagram of `custom` bytes, or of any size.
    pub(super) fn draw(speaker: usize, socket: usize, custom: Option<usize>, rng: &mut Rng) -> Self {
        if rng.is_counted() {
            let asks = rng.pick(&[Asks::Echo, Asks::Several(2), Asks::Later(1)]);
            return Self {
                speaker,
                socket,
                len: HEADER,
                asks,
                anonymous: false,
                received_at: NEVER,
                settled: 0,
            };
        }
        let len = custom.unwrap_or_else(|| draw_len(rng));
        let anonymous = custom.is_some() || len == 0;
        let asks = if anonymous { Asks::Echo } else { Asks::draw(rng) };
        Self { speaker, socket, len, asks, anonymous, received_at: NEVER, settled: 0 }
    }

    /// What is in front of the filler.
    pub(super) fn header(&self, number: usize) -> [u8; HEADER] {
        let [low, high] = u16::try_from(number).unwrap_or(u16::MAX).to_le_bytes();
        let [asks, argument] = self.asks.code();
        [low, high, u8::try_from(self.speaker).unwrap_or(u8::MAX), asks, argument]
    }
}

fn draw_len(rng: &mut Rng) -> usize {
    match rng.below(64) {
        0..8 => 0,
        8..48 => HEADER + rng.below(60),
        48..63 => HEADER + rng.below(1400),
        _ if rng.one_in(16) => MAX_DATAGRAM,
        _ => HEADER + rng.below(9000),
    }
}

/// A client that sends datagrams.
#[derive(Debug, Default)]
pub(in super::super) struct Speaker {
    pub(super) port: u16,
    pub(super) socket: usize,
    pub(super) send_at: u64,
    left: usize,
    burst: usize,
    gap: u64,
    /// Datagrams without a number that the server took from it.
    pub(super) anonymous: u32,
    /// How often each of the expected replies to such was sent, or refused for good.
    pub(super) settled: Vec<u32>,
}

impl Speaker {
    /// A client that begins at any time; some begin just when the server is ordered to stop.
    pub(super) fn begin(&mut self, id: usize, socket: usize, stop: u64, rng: &mut Rng) {
        let id = u16::try_from(id).unwrap_or(0);
        self.socket = socket;
        self.anonymous = 0;
        if rng.is_counted() {
            self.port = FIRST_PORT + id;
            self.send_at = 0;
            (self.left, self.burst, self.gap) = (1 + usize::from(id), 2, MS / 8);
            return;
        }
        self.port = match rng.below(16) {
            0 => 1 + id,
            1 => 1023 - id,
            2 => FIRST_OWN_PORT + id,
            _ => FIRST_PORT + id,
        };
        let within = rng.pick(&[MS, 30 * MS, 500 * MS]);
        let begin = rng.nanos_below(within);
        self.send_at = if stop != NEVER && rng.coin() { stop } else { begin };
        self.left = rng.between(1, 24);
        self.burst = rng.pick(&[1, 3, 24]);
        self.gap = rng.pick(&[MS / 8, 12 * MS, 50 * MS]);
    }

    pub(super) fn address(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.port))
    }

    /// How many are sent now; and plans the next time.
    pub(super) fn next_burst(&mut self, now: u64, rng: &mut Rng) -> usize {
        let count = (1 + rng.below(self.burst)).min(self.left);
        self.left -= count;
        self.send_at = if self.left == 0 { NEVER } else { now + 1 + rng.nanos_below(self.gap) };
        count
    }
}
