//! The system calls on one socket, with their faults and what they check at once.

use std::io;

use super::conn::{Saw, Side};
use super::plan::{MS, NEVER};
use super::rng::Rng;
use super::world::{Source, World};

const EINTR: i32 = 4;
const ENOMEM: i32 = 12;
const ENFILE: i32 = 23;
const EMFILE: i32 = 24;
const EPIPE: i32 = 32;
const EPROTO: i32 = 71;
const ECONNABORTED: i32 = 103;
const ENOBUFS: i32 = 105;

pub(super) fn fails<T>(errno: i32) -> io::Result<T> {
    Err(io::Error::from_raw_os_error(errno))
}

/// What fails before accept(2) looks at the queue.
pub(super) fn accept_fault(world: &mut World) -> Option<i32> {
    if world.faults.interrupts && world.rng.one_in(8) {
        return Some(EINTR);
    }
    if world.faults.accept_errors && world.rng.one_in(8) {
        world.counted.accept_errors += 1;
        return Some(world.rng.pick(&[ECONNABORTED, EPROTO]));
    }
    if world.drought.0 <= world.now && world.now < world.drought.1 {
        world.counted.accept_pauses += 1;
        return Some(world.rng.pick(&[EMFILE, ENFILE, ENOBUFS, ENOMEM]));
    }
    None
}

/// When accepting fails for want of something.
pub(super) fn draw_drought(on: bool, rng: &mut Rng) -> (u64, u64) {
    if !on {
        return (NEVER, NEVER);
    }
    let from = rng.nanos_below(20 * MS);
    (from, from + rng.nanos_below(300 * MS))
}

/// What fails before a call looks at its queue.
pub(super) fn transfer_fault(world: &mut World) -> Option<i32> {
    if world.faults.interrupts && world.rng.one_in(16) {
        return Some(EINTR);
    }
    if world.faults.no_buffers && world.rng.one_in(32) {
        return Some(world.rng.pick(&[ENOBUFS, ENOMEM]));
    }
    None
}

pub(super) fn read(world: &mut World, id: usize, into: &mut [u8]) -> io::Result<usize> {
    world.count(16 + id as u64);
    // A drain asks without an event whether all is quiet.
    let asks = world.stopped_at.is_some() && world.conns[id].may_read == 0;
    world.conns[id].may_read += u32::from(asks);
    if world.conns[id].side != Side::Open || world.conns[id].may_read == 0 {
        world.fail(format!("connection #{id} was read without an event that says so"));
        return fails(EPIPE);
    }
    world.watch_read(id);
    if let Some(errno) = transfer_fault(world) {
        return fails(errno);
    }
    let conn = &mut world.conns[id];
    let waiting = conn.sent - conn.read;
    if waiting == 0 {
        return match std::mem::take(&mut conn.errno) {
            0 if conn.fin || conn.reset => Ok(0),
            0 => {
                conn.may_read -= 1;
                Err(io::ErrorKind::WouldBlock.into())
            }
            errno => fails(errno),
        };
    }
    let mut count = waiting.min(into.len());
    let short = count > 1 && world.faults.short_reads && world.rng.one_in(4);
    if short {
        count = 1 + world.rng.below(count - 1);
    }
    into[..count].copy_from_slice(&conn.script.says[conn.read..conn.read + count]);
    conn.note_read(count, world.now);
    if short {
        // As if the rest had arrived just after.
        world.edge(Source::Conn(id));
    }
    world.note(count as u64);
    world.counted.bytes_read += count as u64;
    world.progress();
    check_memory(world, id);
    Ok(count)
}

fn check_memory(world: &mut World, id: usize) {
    if let Some(kept) = world.conns[id].buffered()
        && kept > world.memory
    {
        let limit = world.memory;
        world.fail(format!("connection #{id} keeps {kept} bytes, the limits allow {limit}"));
    }
}

pub(super) fn write(world: &mut World, id: usize, parts: &[&[u8]]) -> io::Result<usize> {
    world.count(64 + id as u64);
    if world.conns[id].side != Side::Open || world.conns[id].may_write == 0 {
        world.fail(format!("connection #{id} was written without an event that says so"));
        return fails(EPIPE);
    }
    if world.conns[id].shut_at.is_some() {
        world.fail(format!("connection #{id} was written after its sending side was shut down"));
        return fails(EPIPE);
    }
    if let Some(errno) = transfer_fault(world) {
        return fails(errno);
    }
    let conn = &mut world.conns[id];
    if conn.reset {
        let errno = std::mem::take(&mut conn.errno);
        return fails(if errno == 0 { EPIPE } else { errno });
    }
    let asked: usize = parts.iter().map(|part| part.len()).sum();
    let room = conn.space();
    if room == 0 {
        conn.note_refused();
        conn.may_write -= 1;
        return Err(io::ErrorKind::WouldBlock.into());
    }
    let mut count = asked.min(room);
    if count > 1 && world.faults.short_writes && world.rng.one_in(4) {
        count = 1 + world.rng.below(count - 1);
    } else if count < asked && world.faults.short_write_arms {
        conn.note_refused();
    }
    put(world, id, parts, count);
    world.note(count as u64);
    world.counted.bytes_written += count as u64;
    world.progress();
    Ok(count)
}

/// Compares what is written with what must be, and queues it.
fn put(world: &mut World, id: usize, parts: &[&[u8]], count: usize) {
    let mut left = count;
    for part in parts {
        let bytes = &part[..part.len().min(left)];
        left -= bytes.len();
        let conn = &mut world.conns[id];
        if !conn.expects(bytes) {
            let at = conn.written;
            let got = bytes[..bytes.len().min(32)].escape_ascii().to_string();
            let must = conn.script.hears.get(at..).unwrap_or(&[]);
            let must = must[..must.len().min(32)].escape_ascii().to_string();
            return world.fail(format!(
                "connection #{id} was answered wrongly at byte {at}: \"{got}\", must be \"{must}\""
            ));
        }
        conn.note_write(bytes.len(), world.now);
    }
}

pub(super) fn shutdown(world: &mut World, id: usize) -> io::Result<()> {
    world.count(10);
    let now = world.now;
    let conn = &mut world.conns[id];
    if conn.shut_at.is_some() {
        world.fail(format!("connection #{id} was shut down twice"));
        return Ok(());
    }
    conn.shut_at = Some(now);
    if conn.reset {
        const ENOTCONN: i32 = 107;
        return fails(ENOTCONN);
    }
    conn.wake_reader(now);
    Ok(())
}

impl World {
    /// A listener is closed: who still waits in its queue is reset.
    pub(super) fn close_listener(&mut self, at: usize) {
        self.count(11);
        let listener = &mut self.listeners[at];
        listener.open = false;
        listener.pending = false;
        let token = listener.token.take();
        let left = std::mem::take(&mut listener.queue);
        for &id in &left {
            self.conns[id].close(self.now);
            // The other process serves it.
            self.conns[id].finish(if self.setting.shared { Saw::Refused } else { Saw::Rst });
        }
        if !left.is_empty() && !self.was_cut_off() && !self.setting.shared {
            self.fail(format!("a listener was closed while {} connections waited in its queue", left.len()));
        }
        self.listeners[at].queue = left;
        self.listeners[at].queue.clear();
        self.forget(Source::Listener(at), token);
    }

    /// The end of everything was ordered, or the drain's time is up.
    pub(super) fn was_cut_off(&self) -> bool {
        self.stops_taken > 1
            || self.stopped_at.is_some_and(|at| self.now + MS >= at.saturating_add(self.drain))
    }
}
