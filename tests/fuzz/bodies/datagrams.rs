//! A socket of datagrams with any service, whatever its calls return.
//!
//! Input: service, limit of replies, delay, whom to answer; then what happens. Each reply must be owed to its client,
//! whole and once; what was received is what was answered, still to be, or counted as lost.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use oneloop::services::{Ack, AckConfig, Discard, Echo, Greet, GreetConfig, Once, OnceConfig};
use oneloop::session::{DatagramHandler, EachDatagram, Guard, Limits};
use oneloop::testing::DatagramPair;

use super::input::Input;

const EPERM: i32 = 1;
const EINTR: i32 = 4;
const ENOMEM: i32 = 12;
const EMSGSIZE: i32 = 90;
const ENOBUFS: i32 = 105;
const ECONNREFUSED: i32 = 111;

/// A reply or a datagram: its bytes, and whose.
type Letter = (Vec<u8>, SocketAddr);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Echo,
    Discard,
    Greet,
    Ack,
    Once,
}

pub fn run(data: &[u8]) {
    let mut input = Input(data);
    let kind = input.pick(&[Kind::Echo, Kind::Discard, Kind::Greet, Kind::Ack, Kind::Once]);
    let limits = Limits {
        datagrams: input.pick(&[1024, 3, 1]),
        frame_budget: input.pick(&[128, 1]),
        ..Limits::default()
    };
    let delay = Duration::from_millis(input.pick(&[0, 0, 1, 20]));
    let guard = Guard { any_source_port: input.byte() % 2 == 1, own_ports: vec![9999] };
    let greet = GreetConfig { delay, exit: false, ..GreetConfig::default() };
    let ack = AckConfig { exit: false, ..AckConfig::default() };
    let handler: Box<dyn DatagramHandler> = match kind {
        Kind::Echo => Box::new(EachDatagram::new(Echo)),
        Kind::Discard => Box::new(EachDatagram::new(Discard::default())),
        Kind::Greet => Box::new(EachDatagram::new(Greet::new(Arc::new(greet)))),
        Kind::Ack => Box::new(EachDatagram::new(Ack::new(Arc::new(ack)))),
        Kind::Once => Box::new(EachDatagram::new(Once::new(Arc::new(OnceConfig::default())))),
    };
    let pair = DatagramPair::with_limits(Boxed(handler), guard.clone(), limits);
    Talk { kind, guard, pair, owed: Vec::new(), sent: 0, permitted: 0, answered: 0, stopped: false, late: 0 }
        .run(input);
}

struct Boxed(Box<dyn DatagramHandler>);

impl DatagramHandler for Boxed {
    fn on_datagram(&mut self, data: &[u8], cx: &mut oneloop::session::DatagramContext<'_>) {
        self.0.on_datagram(data, cx);
    }
}

struct Talk {
    kind: Kind,
    guard: Guard,
    pair: DatagramPair,
    owed: Vec<Letter>,
    /// Datagrams that were sent to the server before it was told to stop, and those of them that it may answer.
    sent: u64,
    permitted: u64,
    answered: u64,
    stopped: bool,
    /// Datagrams that came after that: a drain takes them while it could not see the end of its queue.
    late: u64,
}

impl Talk {
    fn run(mut self, mut input: Input<'_>) {
        while !input.is_empty() {
            let replies = self.act(&mut input);
            self.take(replies);
        }
        let mut replies = self.pair.set_room(None);
        // Calls that fail one after another are each waited for.
        for _ in 0..input_bound() {
            replies.extend(self.pair.advance(Duration::from_secs(1)));
        }
        self.take(replies);
        self.judge();
    }

    /// Each reply is one that is owed.
    fn take(&mut self, replies: Vec<Letter>) {
        for reply in replies {
            let found = self.owed.iter().position(|owed| *owed == reply);
            let at = found.unwrap_or_else(|| panic!("nobody is owed {reply:?}, but {:?}", self.owed));
            self.owed.remove(at);
            self.answered += 1;
        }
    }

    fn judge(&self) {
        let counted = self.pair.counted();
        assert_eq!(counted.sent, self.answered, "{counted:?}");
        assert!((self.sent..=self.sent + self.late).contains(&counted.received), "{counted:?}");
        assert!(!self.stopped || self.pair.is_done(), "the drain does not end");
        if self.late > 0 {
            return;
        }
        assert_eq!(counted.guarded, self.sent - self.permitted, "{counted:?}");
        let lost = counted.overflow + counted.send_errors + counted.given_up;
        assert_eq!(self.owed.len() as u64, lost, "{counted:?}: {:?} are owed", self.owed);
    }

    fn reply(&self, data: &[u8]) -> Option<Vec<u8>> {
        match self.kind {
            Kind::Echo => Some(data.to_vec()),
            Kind::Discard => None,
            Kind::Greet => Some([b"Hello, ", data, b"!"].concat()),
            Kind::Ack => Some(AckConfig::default().reply),
            Kind::Once => Some(OnceConfig::default().reply),
        }
    }

    /// One thing that happens.
    fn act(&mut self, input: &mut Input<'_>) -> Vec<Letter> {
        let what = input.byte();
        match what {
            0..160 => {
                let port = input.pick(&[5000, 5001, 53, 9999, 0]);
                let from = SocketAddr::from(([127, 0, 0, 1], port));
                let data = input.bytes(usize::from(what)).to_vec();
                let permitted = self.guard.permits(&from.into());
                if self.stopped {
                    self.late += 1;
                } else {
                    self.sent += 1;
                    self.permitted += u64::from(permitted);
                }
                if permitted {
                    self.owed.extend(self.reply(&data).map(|reply| (reply, from)));
                }
                self.pair.send(&data, from)
            }
            160..180 => {
                let room = usize::from(input.byte() % 8);
                self.pair.set_room(Some(room))
            }
            180..190 => self.pair.set_room(None),
            190..215 => self.pair.advance(Duration::from_millis(u64::from(input.byte()))),
            215..230 => {
                let errno = input.pick(&[EINTR, ENOMEM, ENOBUFS, ECONNREFUSED]);
                self.pair.socket_mut().fail_recv(errno);
                Vec::new()
            }
            230..250 => {
                let errno = input.pick(&[EPERM, EINTR, ENOMEM, ENOBUFS, EMSGSIZE, ECONNREFUSED]);
                self.pair.socket_mut().fail_send(errno);
                Vec::new()
            }
            _ if !self.stopped => {
                self.stopped = true;
                self.pair.stop()
            }
            _ => Vec::new(),
        }
    }
}

/// More failures than an input can ask for do not come one after another.
const fn input_bound() -> u32 {
    64
}
