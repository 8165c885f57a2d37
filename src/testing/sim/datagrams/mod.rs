//! Datagram sockets of the simulated kernel, the clients that write to them, and what became of each datagram.
//!
//! A datagram is a number: its bytes follow from it. A reply is compared with what its request must be answered
//! when it is sent, byte by byte, and the numbers show what was answered twice, too early, or out of order.

mod calls;
mod judge;
mod letter;
mod probe;
mod socket;

pub(super) use self::judge::judge;
pub(super) use self::letter::{Letter, Speaker};
pub(super) use self::probe::Handlers;
pub(super) use self::socket::{SimDatagrams, Socket, own_address};

use std::sync::Arc;

use super::plan::{MAX_SOCKETS, NEVER, Setting};
use super::rng::Rng;
use super::world::{Source, World};
use crate::reactor::Config;
use crate::session::MAX_DATAGRAM;

/// The server's datagram sockets are at this port and the next.
const FIRST_OWN_PORT: u16 = 9_000;
/// Room for datagrams: a few, so that a batch is full now and then.
pub(super) const BATCH_ROOM: usize = 4;
/// Fillers begin at different places of one pool of bytes.
const OFFSETS: usize = 4096;

/// What a client says and what it must be answered, for a handler of somebody's own.
#[derive(Debug, Clone, Default)]
pub(super) struct Exchange {
    pub(super) says: Vec<u8>,
    pub(super) hears: Vec<Vec<u8>>,
}

/// Everything about datagrams in one run. Kept from run to run for its memory.
#[derive(Debug, Default)]
pub(super) struct Mail {
    pub(super) sockets: [Socket; MAX_SOCKETS],
    pub(super) count: usize,
    /// Clients; only the first `talking` take part.
    pub(super) speakers: Vec<Speaker>,
    pub(super) talking: usize,
    /// Every datagram that was sent to the server, by number.
    pub(super) letters: Vec<Letter>,
    /// Those of a lower number had arrived when the drain began.
    pub(super) before_stop: usize,
    pub(super) exchange: Option<Arc<Exchange>>,
    /// The server answers every source port.
    pub(super) any_source_port: bool,
    /// The most replies that may wait in the server's queue, and as many may be held back.
    pub(super) max_waiting: u64,
    /// Datagrams the server may receive at one time.
    pub(super) budget: u32,
    /// Replies the reactor says it had to drop, as of its last turn.
    pub(super) overflow: u64,
    pub(super) counted: Tally,
    /// Where fillers come from.
    pool: Vec<u8>,
}

/// What the kernel has counted of datagrams.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) sent: u64,
    /// Sent to a socket that was closed.
    pub(super) refused: u64,
    /// Dropped because a queue was full.
    pub(super) dropped: u64,
    /// In a queue when its socket was closed.
    pub(super) left: u64,
    pub(super) received: u64,
    pub(super) guarded: u64,
    /// Replies that are due for what was received; those that were sent, and those refused for good.
    pub(super) owed: u64,
    pub(super) answered: u64,
    pub(super) lost: u64,
    pub(super) recv_errors: u64,
    pub(super) bytes_in: u64,
    pub(super) bytes_out: u64,
}

impl Tally {
    /// Replies of which nothing is known yet; some may be dropped by the server.
    pub(super) const fn unsettled(&self) -> u64 {
        self.owed - self.answered - self.lost
    }
}

impl Mail {
    /// Draws the sockets and clients of the next run.
    pub(super) fn draw(&mut self, setting: &Setting, config: &Config, rng: &mut Rng) {
        self.count = setting.sockets;
        self.letters.clear();
        (self.before_stop, self.overflow) = (0, 0);
        self.counted = Tally::default();
        self.any_source_port = config.any_source_port;
        self.max_waiting = config.limits.datagrams as u64;
        self.budget = config.limits.frame_budget - 1 + u32::try_from(BATCH_ROOM).unwrap_or(u32::MAX);
        self.talking = 0;
        if self.count == 0 {
            return;
        }
        if self.pool.is_empty() {
            let mut bytes = Rng::new(0);
            self.pool.resize_with((MAX_DATAGRAM + OFFSETS).div_ceil(8) * 8, || bytes.next().to_le_bytes()[0]);
        }
        for socket in &mut self.sockets[..self.count] {
            socket.begin(rng);
        }
        self.talking = if rng.is_counted() { 2 } else { rng.between(1, 4) };
        self.speakers.resize_with(self.talking.max(self.speakers.len()), Speaker::default);
        let expected = self.exchange.as_ref().map_or(1, |exchange| exchange.hears.len());
        for id in 0..self.talking {
            let socket = rng.below(self.count);
            self.speakers[id].begin(id, socket, setting.stops[0], rng);
            self.speakers[id].settled.clear();
            self.speakers[id].settled.resize(expected, 0);
        }
    }

    /// An order to stop is taken: whatever is in a queue now must be answered.
    pub(super) fn note_stop(&mut self) {
        self.before_stop = self.letters.len();
        self.sockets[..self.count].iter_mut().for_each(|socket| socket.served += 1);
    }

    /// A turn is over: all events so far were noted.
    pub(super) fn settle_events(&mut self) {
        self.sockets[..self.count].iter_mut().for_each(Socket::settle_events);
    }

    pub(super) fn next_act(&self) -> u64 {
        let speak = self.speakers[..self.talking].iter().map(|speaker| speaker.send_at);
        let leave = self.sockets[..self.count].iter().map(|socket| socket.leave_at);
        speak.chain(leave).min().unwrap_or(NEVER)
    }

    /// Everything that was sent has been received and answered, or counted as lost.
    pub(super) fn is_quiet(&self) -> bool {
        let heard = self.sockets[..self.count].iter().all(|socket| socket.queue.is_empty());
        let said = self.speakers[..self.talking].iter().all(|speaker| speaker.send_at == NEVER);
        heard && said && self.counted.unsettled() <= self.overflow
    }

    /// Whether the server must not answer this client.
    fn is_guarded(&self, port: u16) -> bool {
        let own = |at| port == FIRST_OWN_PORT + at;
        let ours = (0..).zip(&self.sockets[..self.count]).any(|(at, socket)| own(at) && socket.registered);
        !self.any_source_port && (port < 1024 || ours)
    }

    fn speaker_at(&self, port: u16) -> Option<usize> {
        self.speakers[..self.talking].iter().position(|speaker| speaker.port == port)
    }

    fn filler(&self, number: usize, len: usize) -> &[u8] {
        let offset = number * 41 % OFFSETS;
        &self.pool[offset..offset + len]
    }
}

impl World {
    /// The clients' datagrams that are due are sent, and what the server sent leaves its machine.
    pub(super) fn act_mail(&mut self) {
        for id in 0..self.mail.talking {
            if self.mail.speakers[id].send_at <= self.now {
                self.speak(id);
            }
        }
        for at in 0..self.mail.count {
            if self.mail.sockets[at].leave(self.now, &mut self.rng) {
                self.edge(Source::Socket(at));
            }
        }
    }

    fn speak(&mut self, id: usize) {
        let speaker = &mut self.mail.speakers[id];
        let (at, burst) = (speaker.socket, speaker.next_burst(self.now, &mut self.rng));
        for _ in 0..burst {
            let number = self.mail.letters.len();
            let custom = self.mail.exchange.as_ref().map(|exchange| exchange.says.len());
            self.mail.letters.push(Letter::draw(id, at, custom, &mut self.rng));
            self.mail.counted.sent += 1;
            self.note(256 + number as u64);
            let socket = &mut self.mail.sockets[at];
            if !socket.open {
                self.mail.counted.refused += 1;
            } else if socket.queue.len() >= socket.room {
                self.mail.counted.dropped += 1;
                socket.drops += 1;
            } else {
                socket.queue.push_back(number);
                self.edge(Source::Socket(at));
            }
        }
    }

    /// A turn is over: neither may more have been received than its budget allows, nor may more replies wait than the
    /// limits allow, in the queues or held back.
    pub(super) fn watch_limits(&mut self) {
        let mail = &self.mail;
        let greedy = |socket: &Socket| socket.taken > socket.served * mail.budget;
        let most = 2 * mail.max_waiting * mail.count as u64 + mail.overflow;
        if mail.sockets[..mail.count].iter().any(greedy) {
            self.fail("a turn received more datagrams than its budget allows".to_owned());
        } else if mail.counted.unsettled() > most {
            self.fail("more replies are kept than the limits allow".to_owned());
        }
    }

    /// The loop is about to wait: then nothing may lie in a queue that no event will announce.
    pub(super) fn watch_mail(&mut self) {
        let mail = &self.mail;
        let forgotten = |socket: &Socket| socket.open && !socket.pending && !socket.queue.is_empty();
        if self.stopped_at.is_none()
            && let Some(at) = mail.sockets[..mail.count].iter().position(forgotten)
        {
            self.fail(format!("datagram socket {at} is forgotten with something in its queue"));
        }
    }
}
