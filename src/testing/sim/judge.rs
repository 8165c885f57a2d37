//! What must be true when a run is over: of every connection, and of the counters.

use std::fmt;

use super::conn::{Conn, Saw};
use super::datagrams;
use super::plan::{Answer, Dial, Ending, MS, Service};
use super::world::World;
use crate::job::TERM_GRACE;
use crate::reactor::{Config, OverLimit, Stats};
use crate::session::{CloseReason, ConnectError};

/// Limits may fire this late: rounding, and polls that return late.
const LATE: u64 = 50 * MS;

/// The first thing that is wrong, if any.
pub(super) fn judge(world: &World, stats: &Stats, config: &Config) -> Result<(), String> {
    for conn in world.active() {
        Judge { conn, world, config }.verdict().map_err(|what| format!("{}: {what}", About(conn)))?;
    }
    // Children are told to end when the drain's time is up, and have theirs.
    let more = if world.children.is_empty() { 0 } else { nanos(TERM_GRACE) + 500 * MS };
    let latest = world.stopped_at.unwrap_or(world.ended_at).saturating_add(world.drain + more + LATE);
    must(world.has_no_children(), "a child is left over")?;
    must(world.ended_at <= latest, "the drain took longer than its limit")?;
    datagrams::judge(world, stats)?;
    judge_counters(world, stats)
}

struct Judge<'a> {
    conn: &'a Conn,
    world: &'a World,
    config: &'a Config,
}

/// Fails with a text unless the condition holds.
fn must(holds: bool, what: &str) -> Result<(), String> {
    if holds { Ok(()) } else { Err(what.to_owned()) }
}

impl Judge<'_> {
    fn verdict(&self) -> Result<(), String> {
        let Some((reason, at)) = &self.conn.end else { return self.unserved() };
        match reason {
            CloseReason::Eof => self.eof(),
            CloseReason::Finished => self.finished(),
            CloseReason::Idle => self.idle(*at),
            CloseReason::FrameTimeout => self.frame_timeout(*at),
            CloseReason::WriteTimeout => self.write_timeout(*at),
            CloseReason::Drained => self.drained(),
            CloseReason::Stopped => self.stopped(),
            CloseReason::PeerGone(_) => self.peer_gone(),
            CloseReason::Connect(error) => self.not_connected(*error, *at),
            CloseReason::Io(_) => must(self.conn.excuses.unregistered, "io_error without a cause"),
            CloseReason::Protocol(_) if self.conn.plan.ending == Ending::Wrong => self.all_answered(),
            CloseReason::Closed | CloseReason::Protocol(_) if self.is_custom() => self.clean_end(),
            CloseReason::OverMemory => {
                must(self.config.limits.memory.is_some(), "ended for memory without a limit")
            }
            CloseReason::Closed
            | CloseReason::Protocol(_)
            | CloseReason::OverLimit
            | CloseReason::OverAddressLimit
            | CloseReason::Panicked => Err("ended for a reason without a cause".to_owned()),
        }
    }

    fn is_custom(&self) -> bool {
        self.conn.plan.service == Service::Custom
    }

    /// It never got a protocol, or that protocol was never told of an end.
    fn unserved(&self) -> Result<(), String> {
        let (conn, draining) = (self.conn, self.world.stopped_at.is_some());
        let excuses = conn.excuses;
        let refuses = self.config.over_limit == OverLimit::Refuse;
        let excused = excuses.unregistered
            || excuses.undialled
            || (excuses.shed && refuses)
            || (excuses.turned_away && (refuses || self.config.max_per_address.is_some()))
            || (conn.saw == Saw::Refused && draining)
            || self.world.was_cut_off();
        must(excused, "was never served")
    }

    /// Everything the protocol was given is answered, and the answers were written.
    fn all_answered(&self) -> Result<(), String> {
        let conn = self.conn;
        let owed = conn.script.hears.len() - conn.script.turns.optional;
        must(conn.written >= owed, "ended before all was answered")?;
        self.clean_end()
    }

    /// The client heard all that was written, and then the end of the stream.
    fn clean_end(&self) -> Result<(), String> {
        let (conn, plan) = (self.conn, self.conn.plan);
        if conn.reset || matches!(plan.ending, Ending::Vanish | Ending::Deaf) || self.lingered_enough() {
            return Ok(());
        }
        must(conn.saw == Saw::Fin, "the client saw a reset")?;
        must(conn.received == conn.written, "the client did not hear what was written")
    }

    /// A lingering close gave up, as it may.
    fn lingered_enough(&self) -> bool {
        let limits = &self.config.limits;
        let Some((shut, (_, at))) = self.conn.shut_at.zip(self.conn.end.as_ref()) else { return false };
        at - shut + MS >= nanos(limits.linger) || self.conn.read_since_shut >= limits.linger_bytes
    }

    fn eof(&self) -> Result<(), String> {
        if self.conn.reset {
            return Ok(());
        }
        must(self.conn.fin, "saw an end of stream that nobody sent")?;
        must(self.conn.read == self.conn.sent, "saw the end of stream before everything was read")?;
        self.all_answered()
    }

    fn finished(&self) -> Result<(), String> {
        must(self.conn.plan.ending == Ending::Served || self.speaks_alone(), "finished without a cause")?;
        self.all_answered()
    }

    fn speaks_alone(&self) -> bool {
        matches!(self.conn.plan.service, Service::Source | Service::Custom)
    }

    fn idle(&self, at: u64) -> Result<(), String> {
        let (conn, ending) = (self.conn, self.conn.plan.ending);
        must(matches!(ending, Ending::Idle | Ending::Deaf), "stalled until it counted as idle")?;
        let limit = self.config.limits.idle.map_or(0, nanos);
        self.in_time(conn.moved_at, limit, at)?;
        self.all_answered()
    }

    fn frame_timeout(&self, at: u64) -> Result<(), String> {
        must(self.conn.plan.ending == Ending::Stuck, "a frame timed out that was not stuck")?;
        let limit = self.config.limits.frame.map_or(0, nanos);
        let late = self.conn.sent_at.max(self.conn.moved_at) + limit;
        must(self.conn.sent_at + MS < at, "a frame timed out before its time")?;
        must(at <= late + nanos(self.config.limits.linger) + LATE, "a frame timed out too late")?;
        self.all_answered()
    }

    fn write_timeout(&self, at: u64) -> Result<(), String> {
        must(self.conn.plan.ending == Ending::Deaf, "a write timed out towards a client that reads")?;
        let limit = self.config.limits.write.map_or(0, nanos);
        must(at + MS >= self.conn.wrote_at + limit, "a write timed out before its time")?;
        // The clock starts with the first byte that is refused, which was read before.
        must(at <= self.conn.moved_at + limit + LATE, "a write timed out too late")
    }

    fn in_time(&self, since: u64, limit: u64, at: u64) -> Result<(), String> {
        must(at + MS >= since + limit, "a limit fired before its time")?;
        must(at <= since + limit + LATE, "a limit fired too late")
    }

    /// What had arrived when the drain began is answered.
    fn drained(&self) -> Result<(), String> {
        let conn = self.conn;
        must(self.world.stopped_at.is_some(), "drained without an order to stop")?;
        if conn.reset {
            return Ok(());
        }
        must(conn.read >= conn.sent_at_stop, "drained before everything was read that had arrived")?;
        let before_end = conn.read - conn.read_since_shut;
        let owed = match conn.plan.service {
            Service::EchoRaw => before_end,
            Service::EchoLines | Service::EchoLen32 | Service::GreetLines => {
                conn.script.answered_by(before_end)
            }
            Service::GreetRaw | Service::Source => conn.script.hears.len(),
            Service::Custom => 0,
        };
        must(conn.written >= owed, "drained before everything was answered that was read")?;
        self.clean_end()
    }

    fn stopped(&self) -> Result<(), String> {
        must(self.world.was_cut_off() || self.world.stopped_at.is_some() && self.is_outgoing(), "was cut off")
    }

    fn is_outgoing(&self) -> bool {
        matches!(self.conn.plan.dial, Dial::Out(_))
    }

    fn peer_gone(&self) -> Result<(), String> {
        must(self.conn.reset, "counts as gone although nobody reset it")
    }

    fn not_connected(&self, error: ConnectError, at: u64) -> Result<(), String> {
        let fits = match (self.conn.plan.dial, error) {
            (Dial::Out(Answer::Refused), ConnectError::Refused) => true,
            (Dial::Out(Answer::Silence), ConnectError::TimedOut) => {
                self.in_time(self.conn.moved_at, nanos(self.config.connect_timeout), at)?;
                true
            }
            (Dial::Out(Answer::Made), ConnectError::Reset) => self.conn.reset,
            _ => false,
        };
        must(fits, "an outgoing connection failed without a cause")
    }
}

/// What the kernel has counted and what the reactor has must be the same.
fn judge_counters(world: &World, stats: &Stats) -> Result<(), String> {
    let (counted, mail) = (&world.counted, &world.mail.counted);
    for (name, kernel, reactor) in [
        ("open", 0, stats.open),
        ("buffered", 0, stats.buffered),
        ("accepted", counted.accepted, stats.accepted),
        ("connected", counted.connected, stats.connected),
        ("closed", counted.accepted + counted.dialled, stats.closed_total()),
        ("accept_errors", counted.accept_errors, stats.accept_errors),
        ("accept_pauses", counted.accept_pauses, stats.accept_pauses),
        ("shed", counted.shed, stats.shed),
        ("bytes_in", counted.bytes_read + mail.bytes_in, stats.traffic.bytes_in),
        ("bytes_out", counted.bytes_written + mail.bytes_out, stats.traffic.bytes_out),
    ] {
        if kernel != reactor {
            return Err(format!("the reactor counts {name}={reactor}, the kernel {kernel}"));
        }
    }
    let seen = stats.stale_events >= counted.ghosts || world.was_cut_off();
    must(seen, "the reactor took a ghost for somebody alive")
}

pub(super) fn nanos(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX / 4)
}

/// A connection as a failure names it.
struct About<'a>(&'a Conn);

impl fmt::Display for About<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Conn { id, plan, sent, read, written, received, fin, reset, saw, .. } = self.0;
        write!(f, "connection #{id} ({:?}, {:?}, {:?}) ended ", plan.service, plan.ending, plan.dial)?;
        match &self.0.end {
            Some((reason, at)) => write!(f, "\"{reason}\" at {} ms", at / MS)?,
            None => f.write_str("unheard")?,
        }
        write!(f, " says={} sent={sent} read={read}", self.0.script.says.len())?;
        write!(f, " hears={} written={written} received={received}", self.0.script.hears.len())?;
        write!(f, " fin={fin} reset={reset} saw={saw:?}")
    }
}
