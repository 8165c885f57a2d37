//! One UDP socket of the generator: numbered datagrams out, and what becomes of each.

use std::collections::VecDeque;
use std::rc::Rc;

use super::plan::Protocol as Target;
use super::report::ErrorKind;
use super::shared::{NEVER, Shared};
use super::tally::Stamp;
use crate::session::{DatagramContext, DatagramHandler};

/// Hexadecimal digits of the number of a connection and of a message, at the front of each message.
const HEAD: usize = 8 + 16;

/// The same in binary, where nothing has to be readable.
const HEAD_BINARY: usize = 4 + 8;

/// Requests of one socket that may be under way in open arrival, where nothing else bounds them.
const MOST: u64 = 1 << 16;

/// Lost requests that are remembered, so that a late answer is known for what it is.
const REMEMBERED: usize = 1024;

/// A UDP socket of the generator.
pub(super) struct Sender {
    shared: Rc<Shared>,
    number: u32,
    /// Requests sent.
    sent: u64,
    /// The first one of the measured time.
    measured: u64,
    /// The first one not yet settled; `under_way` holds it and all after it.
    first: u64,
    under_way: VecDeque<Entry>,
    unanswered: u64,
    lost: VecDeque<u64>,
    /// One more than the highest number answered.
    highest: u64,
    round: u64,
    due: u64,
    buffer: Vec<u8>,
}

struct Entry {
    stamp: Stamp,
    answered: bool,
}

impl Sender {
    pub(super) fn new(shared: &Rc<Shared>, number: u32) -> Self {
        Self {
            shared: Rc::clone(shared),
            number,
            sent: 0,
            measured: 0,
            first: 0,
            under_way: VecDeque::new(),
            unanswered: 0,
            lost: VecDeque::new(),
            highest: 0,
            round: 0,
            due: NEVER,
            buffer: Vec::new(),
        }
    }
}

impl DatagramHandler for Sender {
    fn on_datagram(&mut self, data: &[u8], cx: &mut DatagramContext<'_>) {
        let shared = Rc::clone(&self.shared);
        if shared.script.protocol() != Target::Discard {
            self.take(&shared, data);
        }
        self.go_on(&shared, shared.time.now(), false, cx);
    }

    fn on_wake(&mut self, cx: &mut DatagramContext<'_>) {
        let shared = Rc::clone(&self.shared);
        let now = shared.time.now();
        self.give_up_old(&shared, now);
        self.go_on(&shared, now, true, cx);
    }

    fn on_error(&mut self, errno: i32) {
        let refused = errno == rustix::io::Errno::CONNREFUSED.raw_os_error();
        let kind = if refused { ErrorKind::Refused } else { ErrorKind::Other };
        let error = std::io::Error::from_raw_os_error(errno);
        self.shared.error(kind, || format!("socket {}: {error}", self.number));
    }
}

impl Sender {
    fn take(&mut self, shared: &Shared, data: &[u8]) {
        let now = shared.time.now();
        match self.identify(shared, data) {
            Ok(seq) => self.settle(shared, seq, now, data.len()),
            Err(why) => {
                let mut tally = shared.tally.borrow_mut();
                tally.mismatches += 1;
                tally.error(ErrorKind::Mismatch, || format!("socket {}: {why}", self.number));
            }
        }
    }

    /// Which request this answers, every byte compared.
    fn identify(&mut self, shared: &Shared, data: &[u8]) -> Result<u64, String> {
        let greet = shared.script.protocol() == Target::Greet;
        if !shared.verify || !shared.script.is_individual() {
            // All are alike: it answers the oldest one that is open.
            let open = self.under_way.iter().position(|entry| !entry.answered);
            let seq = open.map_or(self.sent, |at| self.first + at as u64);
            return if shared.verify { self.compare(shared, seq, greet, data) } else { Ok(seq) };
        }
        let payload = if greet { data.strip_prefix(b"Hello, ").unwrap_or(data) } else { data };
        let head = read_head(payload, greet);
        let Some((number, seq)) = head else {
            return Err(format!("a datagram of {} bytes that is no answer", data.len()));
        };
        if number != self.number {
            return Err(format!("message {seq}: it belongs to socket {number}"));
        }
        if seq >= self.sent {
            return Err(format!("an answer to message {seq}, which was never sent"));
        }
        self.compare(shared, seq, greet, data)
    }

    fn compare(&mut self, shared: &Shared, seq: u64, greet: bool, data: &[u8]) -> Result<u64, String> {
        let mut expected = std::mem::take(&mut self.buffer);
        self.build(shared, seq, &mut expected);
        if greet {
            expected.splice(0..0, *b"Hello, ");
            expected.push(b'!');
        }
        let place = expected.iter().zip(data).position(|(a, b)| a != b);
        let equal = place.is_none() && expected.len() == data.len();
        let expected_len = expected.len();
        self.buffer = expected;
        match place {
            _ if equal => Ok(seq),
            Some(place) => Err(format!("message {seq}, byte {place}: it was changed")),
            None => Err(format!("message {seq}: {} bytes came instead of {expected_len}", data.len())),
        }
    }

    fn settle(&mut self, shared: &Shared, seq: u64, now: u64, bytes: usize) {
        let entry = seq.checked_sub(self.first).and_then(|at| usize::try_from(at).ok());
        let Some(entry) = entry.and_then(|at| self.under_way.get_mut(at)) else {
            return self.note_late(shared, seq);
        };
        if entry.answered {
            shared.tally_of(entry.stamp.due).udp.duplicate += 1;
            return;
        }
        entry.answered = true;
        let stamp = entry.stamp;
        self.unanswered -= 1;
        shared.note_answer(stamp, now, bytes);
        let mut tally = shared.tally_of(stamp.due);
        tally.udp.received += 1;
        tally.udp.reordered += u64::from(seq + 1 < self.highest);
        drop(tally);
        self.highest = self.highest.max(seq + 1);
        self.forget_answered();
    }

    fn note_late(&mut self, shared: &Shared, seq: u64) {
        let is_measured = seq >= self.measured;
        let mut tally = if is_measured { shared.tally.borrow_mut() } else { shared.warmup.borrow_mut() };
        match self.lost.iter().position(|lost| *lost == seq) {
            Some(at) => {
                self.lost.remove(at);
                tally.udp.late += 1;
            }
            None => tally.udp.duplicate += 1,
        }
    }

    fn forget_answered(&mut self) {
        while self.under_way.front().is_some_and(|entry| entry.answered) {
            self.under_way.pop_front();
            self.first += 1;
        }
    }

    /// What has no answer for so long counts as lost.
    fn give_up_old(&mut self, shared: &Shared, now: u64) {
        while let Some(entry) = self.under_way.front() {
            if !entry.answered && now.saturating_sub(entry.stamp.sent) < shared.timeout {
                break;
            }
            if !entry.answered {
                shared.tally_of(entry.stamp.due).udp.lost += 1;
                self.unanswered -= 1;
                shared.settled.set(shared.settled.get() + 1);
                if self.lost.len() == REMEMBERED {
                    self.lost.pop_front();
                }
                self.lost.push_back(self.first);
            }
            self.under_way.pop_front();
            self.first += 1;
        }
    }

    fn go_on(&mut self, shared: &Shared, now: u64, woken: bool, cx: &mut DatagramContext<'_>) {
        if shared.slots.is_some() {
            return self.send_due(shared, now, woken, cx);
        }
        while self.unanswered < shared.pipeline && shared.may_send() {
            self.send(shared, Stamp { due: now, sent: now }, cx);
        }
    }

    /// Open arrival: datagrams leave when they are due, whatever became of those before.
    fn send_due(&mut self, shared: &Shared, now: u64, woken: bool, cx: &mut DatagramContext<'_>) {
        if self.due == NEVER {
            self.find_due(shared);
        }
        while self.due <= now && self.unanswered < MOST {
            let due = self.due;
            if woken {
                shared.note_lag(due, now);
            }
            self.send(shared, Stamp { due, sent: now }, cx);
            self.round += 1;
            self.find_due(shared);
        }
    }

    fn find_due(&mut self, shared: &Shared) {
        self.due = shared.due(self.number, self.round);
    }

    fn send(&mut self, shared: &Shared, stamp: Stamp, cx: &mut DatagramContext<'_>) {
        let mut message = std::mem::take(&mut self.buffer);
        self.build(shared, self.sent, &mut message);
        cx.reply(&message);
        self.buffer = message;
        self.sent += 1;
        shared.note_sent(stamp.due, shared.script.request_len);
        let mut tally = shared.tally_of(stamp.due);
        tally.udp.sent += 1;
        drop(tally);
        if stamp.due < shared.measure_from.get() {
            self.measured = self.sent;
        }
        if shared.script.protocol() == Target::Discard {
            shared.note_moved(stamp.due, stamp.sent, 1);
            self.first += 1;
        } else {
            self.under_way.push_back(Entry { stamp, answered: false });
            self.unanswered += 1;
        }
    }

    /// Request number `seq`: a head, and the pattern.
    fn build(&self, shared: &Shared, seq: u64, out: &mut Vec<u8>) {
        out.clear();
        shared.script.write_request(self.number, seq, |piece| out.extend_from_slice(piece));
        if !shared.verify || !shared.script.is_individual() {
            return;
        }
        if shared.script.protocol() == Target::Greet {
            write_text(out, HEAD, &format!("{:08x}{seq:016x}", self.number));
        } else if let Some(head) = out.get_mut(..HEAD_BINARY) {
            head[..4].copy_from_slice(&self.number.to_be_bytes());
            head[4..12].copy_from_slice(&seq.to_be_bytes());
        }
    }
}

fn write_text(out: &mut [u8], len: usize, text: &str) {
    if let Some(head) = out.get_mut(..len) {
        head.copy_from_slice(text.as_bytes());
    }
}

fn read_head(payload: &[u8], text: bool) -> Option<(u32, u64)> {
    if text {
        let head = std::str::from_utf8(payload.get(..HEAD)?).ok()?;
        let digits = head.bytes().all(|byte| byte.is_ascii_hexdigit());
        let (number, seq) = head.split_at_checked(8)?;
        let number = u32::from_str_radix(number, 16).ok().filter(|_| digits)?;
        return Some((number, u64::from_str_radix(seq, 16).ok()?));
    }
    let head = payload.get(..HEAD_BINARY)?;
    let number = u32::from_be_bytes(head[..4].try_into().ok()?);
    Some((number, u64::from_be_bytes(head[4..12].try_into().ok()?)))
}
