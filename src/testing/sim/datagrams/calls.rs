//! The system calls on one datagram socket, with their faults and what they check at once.

use std::io;

use super::super::plan::{MS, NEVER};
use super::super::socket::{fails, transfer_fault};
use super::super::world::{Source, World};
use super::Mail;
use super::letter::{ASKS, FURTHER, HEADER, Letter};
use crate::kernel::RecvBatch;
use crate::session::Datagram;

const EPERM: i32 = 1;
const EINTR: i32 = 4;
const EPIPE: i32 = 32;
const EMSGSIZE: i32 = 90;
const ECONNREFUSED: i32 = 111;
const EHOSTUNREACH: i32 = 113;

/// The driver rests for 10 ms when buffers run out; a tick is a millisecond.
const REST: u64 = 10 * MS;
/// Replies may be so late: rounding, polls that return late, and turns in between.
const LATE: u64 = 25 * MS;
/// A socket that was not touched for so long waits for something.
const QUIET: u64 = 100 * MS;

pub(super) fn recv(world: &mut World, at: usize, batch: &mut RecvBatch) -> io::Result<bool> {
    world.count(128 + at as u64);
    let stopped = world.stopped_at.is_some();
    let socket = &mut world.mail.sockets[at];
    // A drain asks once without an event whether the queue is empty.
    if stopped && socket.may_read == 0 && !std::mem::replace(&mut socket.asked, true) {
        socket.may_read = 1;
    }
    let allowed = socket.may_read > 0;
    check_call(world, at, allowed, "received from")?;
    if let Err(error) = fault(world, at) {
        world.mail.counted.recv_errors += u64::from(error.raw_os_error() != Some(EINTR));
        return Err(error);
    }
    let socket = &mut world.mail.sockets[at];
    let errno = std::mem::take(&mut socket.errno);
    if errno != 0 {
        world.mail.counted.recv_errors += 1;
        return fails(errno);
    }
    if socket.queue.is_empty() {
        socket.may_read -= 1;
        return Err(io::ErrorKind::WouldBlock.into());
    }
    let short = world.faults.short_reads && world.rng.coin();
    let most = if short { 1 + world.rng.below(4) } else { usize::MAX };
    while !batch.is_full()
        && batch.len() < most
        && let Some(number) = world.mail.sockets[at].queue.pop_front()
    {
        take(world, number, batch);
    }
    world.progress();
    let silent = world.faults.short_reads && world.rng.coin();
    let socket = &mut world.mail.sockets[at];
    let emptied = socket.queue.is_empty() && !silent;
    socket.may_read -= u32::from(emptied);
    Ok(emptied)
}

/// What must hold for every call.
fn check_call(world: &mut World, at: usize, allowed: bool, what: &str) -> io::Result<()> {
    let (socket, now) = (&mut world.mail.sockets[at], world.now);
    socket.touched_at = now;
    if !socket.open || !allowed {
        world.fail(format!("datagram socket {at} was {what} without an event that says so"));
        return fails(EPIPE);
    }
    if now < socket.rests_until {
        world.fail(format!("datagram socket {at} was {what} before the rest after ENOBUFS was over"));
        return fails(EPIPE);
    }
    Ok(())
}

/// What fails before the queues are looked at. No event announces free buffers.
fn fault(world: &mut World, at: usize) -> io::Result<()> {
    let Some(errno) = transfer_fault(world) else { return Ok(()) };
    if errno != EINTR {
        let socket = &mut world.mail.sockets[at];
        socket.rests_until = world.now + REST - 2 * MS;
        socket.clear_since = world.now + REST;
    }
    fails(errno)
}

/// Puts one datagram where the server receives it.
fn take(world: &mut World, number: usize, batch: &mut RecvBatch) {
    let mail = &mut world.mail;
    let letter = mail.letters[number];
    let slot = &mut batch.slot()[..letter.len];
    match &mail.exchange {
        Some(exchange) => slot.copy_from_slice(&exchange.says),
        None if letter.len > 0 => {
            slot[..HEADER].copy_from_slice(&letter.header(number));
            slot[HEADER..].copy_from_slice(mail.filler(number, letter.len - HEADER));
        }
        None => {}
    }
    let from = mail.speakers[letter.speaker].address();
    batch.push(letter.len, from);
    mail.letters[number].received_at = world.now;
    mail.sockets[letter.socket].taken += 1;
    mail.counted.received += 1;
    mail.counted.bytes_in += letter.len as u64;
    world.trace_mail(number, letter.len);
    if world.mail.is_guarded(from.port()) {
        world.mail.counted.guarded += 1;
    } else {
        world.mail.owe(&letter);
    }
}

impl Mail {
    fn owe(&mut self, letter: &Letter) {
        let speaker = &mut self.speakers[letter.speaker];
        speaker.anonymous += u32::from(letter.anonymous);
        let replies = if letter.anonymous { speaker.settled.len() } else { letter.asks.replies().into() };
        self.counted.owed += replies as u64;
        let socket = &mut self.sockets[letter.socket];
        socket.unsettled += replies as u64;
        socket.peak = socket.peak.max(socket.unsettled);
    }
}

pub(super) fn send<'a>(
    world: &mut World,
    at: usize,
    mut batch: impl ExactSizeIterator<Item = Datagram<'a>>,
) -> io::Result<usize> {
    world.count(132 + at as u64);
    let allowed = world.mail.sockets[at].may_write > 0;
    check_call(world, at, allowed, "sent to")?;
    fault(world, at)?;
    if world.faults.send_errors && world.rng.one_in(16) {
        if let Some(first) = batch.next() {
            settle(world, at, first)?;
        }
        world.mail.counted.lost += 1;
        return fails(world.rng.pick(&[EPERM, EMSGSIZE, EHOSTUNREACH, ECONNREFUSED]));
    }
    let socket = &mut world.mail.sockets[at];
    if socket.space() == 0 {
        (socket.nospace, socket.refused) = (true, true);
        socket.may_write -= 1;
        return Err(io::ErrorKind::WouldBlock.into());
    }
    let mut count = batch.len().min(socket.space());
    if count > 1 && world.faults.short_writes && world.rng.coin() {
        count = 1 + world.rng.below(count);
    }
    for datagram in batch.take(count) {
        world.mail.counted.answered += 1;
        world.mail.counted.bytes_out += datagram.payload.len() as u64;
        settle(world, at, datagram)?;
        world.mail.sockets[at].note_sent(world.now, &mut world.rng);
    }
    world.progress();
    bounce(world, at);
    Ok(count)
}

/// Somewhere a reply found nobody, and an ICMP message says so.
fn bounce(world: &mut World, at: usize) {
    if world.faults.icmp && world.rng.one_in(8) {
        world.mail.sockets[at].errno = ECONNREFUSED;
        world.edge(Source::Socket(at));
    }
}

/// A reply is sent or refused for good: it must be one that is owed, whole, to whom it is owed, and not too early.
fn settle(world: &mut World, at: usize, reply: Datagram<'_>) -> io::Result<()> {
    let found = find(&mut world.mail, at, reply, world.now);
    world.mail.sockets[at].unsettled = world.mail.sockets[at].unsettled.saturating_sub(1);
    match found {
        Ok(number) => {
            world.trace_mail(number, reply.payload.len());
            Ok(())
        }
        Err(what) => {
            let (to, len) = (reply.to, reply.payload.len());
            let begin = reply.payload[..len.min(16)].escape_ascii().to_string();
            world.fail(format!("datagram socket {at}: {what}: {len} bytes to {to:?}, \"{begin}\""));
            fails(EPIPE)
        }
    }
}

/// Which datagram this answers.
fn find(mail: &mut Mail, at: usize, reply: Datagram<'_>, now: u64) -> Result<usize, &'static str> {
    let port = reply.to.socket_addr().map_or(0, |to| to.port());
    let id = mail.speaker_at(port).ok_or("answered nobody")?;
    if mail.is_guarded(port) {
        return Err("answered a source port that is not to be answered");
    }
    match reply.payload {
        payload if mail.exchange.is_some() || payload.is_empty() => find_anonymous(mail, id, payload),
        [low, high, speaker, asks, ..] if usize::from(*speaker) == id => {
            let number = usize::from(u16::from_le_bytes([*low, *high]));
            let which = if asks & FURTHER == 0 { 0 } else { asks & !FURTHER };
            check_reply(mail, at, number, which, reply.payload)?;
            check_moment(mail, at, number, which, now)?;
            Ok(number)
        }
        _ => Err("answered with what is no reply, or somebody else's"),
    }
}

/// An answer without a number: one that is still due to this client.
fn find_anonymous(mail: &mut Mail, id: usize, payload: &[u8]) -> Result<usize, &'static str> {
    let expected = |at: usize| match &mail.exchange {
        Some(exchange) => exchange.hears[at] == payload,
        None => payload.is_empty(),
    };
    let speaker = &mut mail.speakers[id];
    let due = (0..speaker.settled.len()).find(|&at| expected(at) && speaker.settled[at] < speaker.anonymous);
    speaker.settled[due.ok_or("answered wrongly, or more often than asked")?] += 1;
    Ok(id)
}

/// Whether this is reply `which` to datagram `number`, byte by byte, and for the first time.
fn check_reply(
    mail: &mut Mail,
    at: usize,
    number: usize,
    which: u8,
    payload: &[u8],
) -> Result<(), &'static str> {
    let letter = mail.letters.get(number).copied().ok_or("answered what nobody asked")?;
    if letter.received_at == NEVER || letter.socket != at || which >= letter.asks.replies() {
        return Err("answered what was not asked here");
    }
    let mut header = letter.header(number);
    if which > 0 {
        header[ASKS] = FURTHER | which;
    }
    let Some((begin, filler)) = payload.split_first_chunk::<HEADER>() else { return Err("answered in part") };
    if payload.len() != letter.len || *begin != header || filler != mail.filler(number, filler.len()) {
        return Err("answered wrongly");
    }
    if letter.settled >> which & 1 == 1 {
        return Err("answered twice");
    }
    mail.letters[number].settled |= 1 << which;
    Ok(())
}

/// Whether a reply leaves when it should, and in order where it was not held back.
fn check_moment(mail: &mut Mail, at: usize, number: usize, which: u8, now: u64) -> Result<(), &'static str> {
    let letter = &mail.letters[number];
    let (delay, socket) = (letter.asks.delay(which), &mut mail.sockets[at]);
    let due = letter.received_at + delay;
    if now < due {
        return Err("answered before its time");
    }
    if now > due.max(socket.clear_since) + LATE {
        return Err("answered too late");
    }
    if delay == 0 && std::mem::replace(&mut socket.last, (number, which)) > (number, which) {
        return Err("answered out of order");
    }
    Ok(())
}

/// The reactor closes a socket.
pub(super) fn close(world: &mut World, at: usize) {
    world.count(136);
    let what = check_close(world, at).map(|what| format!("datagram socket {at} was {what}"));
    let socket = &mut world.mail.sockets[at];
    (socket.open, socket.pending) = (false, false);
    let left = socket.queue.len();
    socket.queue.clear();
    world.mail.counted.left += left as u64;
    if let Some(what) = what {
        world.fail(what);
    }
}

/// What had arrived before the drain began must have been received and answered, and then nothing keeps a socket open.
fn check_close(world: &World, at: usize) -> Option<&'static str> {
    let mail = &world.mail;
    let socket = &mail.sockets[at];
    // Where replies were dropped nobody knows here which are still to come.
    let sure = socket.peak <= mail.max_waiting;
    let left = socket.queue.iter().any(|number| *number < mail.before_stop);
    match world.stopped_at {
        _ if !socket.registered || world.stops_taken > 1 => None,
        None => Some("closed without an order to stop"),
        Some(_) if !world.was_cut_off() && left => Some("closed before everything was received"),
        Some(_) if !world.was_cut_off() && sure && socket.unsettled > 0 => Some("closed with replies unsent"),
        Some(stop) if world.was_cut_off() && sure && world.now > stop.max(socket.touched_at) + QUIET => {
            kept_open(mail, at, world.now)
        }
        Some(_) => None,
    }
}

/// The drain's time was up before the socket was done, and the server had not touched it for long: was there a cause?
fn kept_open(mail: &Mail, at: usize, now: u64) -> Option<&'static str> {
    let socket = &mail.sockets[at];
    if socket.unsettled == 0 && socket.queue.is_empty() {
        return Some("kept open by a drain with nothing left to do");
    }
    let overdue = |letter: &Letter| {
        let waits = |which| {
            letter.settled >> which & 1 == 0 && letter.received_at + letter.asks.delay(which) + LATE < now
        };
        letter.socket == at && letter.received_at != NEVER && (0..letter.asks.replies()).any(waits)
    };
    let owes = mail.letters.iter().filter(|letter| !mail.is_guarded(mail.speakers[letter.speaker].port));
    let mut owes = owes.filter(|letter| !letter.anonymous);
    (!socket.refused && owes.any(overdue)).then_some("cut off with replies that were due")
}

impl World {
    const fn trace_mail(&mut self, number: usize, len: usize) {
        self.note((number as u64) << 20 | len as u64);
    }
}
