//! The server that stalls: a reactor of ours on a thread of its own, which sleeps at the scheduled moments.
//!
//! The run begins with the first request, not with the first connection: generators look whether somebody listens before they
//! begin. Nobody is accepted, read or answered while the thread sleeps.

use std::io;
use std::net::SocketAddr;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::log::{Log, Observed, Style};
use super::reply::Reply;
use super::schedule::{Schedule, Stall};
use crate::error::Error;
use crate::reactor::{Config, Handle, Reactor};
use crate::session::{Limits, factory};

/// How long a turn waits where nothing is due.
const TURN: Duration = Duration::from_millis(200);

/// Bytes kept of a request's head that has not wholly come; [`http`](super::http) takes fewer.
const MAX_PARTIAL: usize = 64 * 1024;

/// After a stall it is noted how much has been answered: this often, or as soon as a hundredth more time has passed.
const NOTE_EVERY: Duration = Duration::from_micros(50);
const NOTES: usize = 4096;

/// For how long that is done, in lengths of the stall, and at least.
const NOTE_LENGTHS: u32 = 4;
const NOTE_AT_LEAST: Duration = Duration::from_secs(1);

/// What is served where, and how it stalls.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where to listen; port 0 is any free one.
    pub listen: SocketAddr,
    /// Found out for each conversation if not given.
    pub style: Option<Style>,
    /// When it stalls.
    pub schedule: Schedule,
}

/// A stall as it was: threads wake up late.
#[derive(Debug, Clone, PartialEq)]
pub struct Kept {
    /// As it was to be.
    pub planned: Stall,
    /// When it began and ended, in seconds from the first request.
    pub really: Range<f64>,
    /// How much had been answered so many seconds after its end: requests for HTTP, else bytes.
    pub trace: Vec<(f64, u64)>,
}

/// What became of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// The stalls that began before the run's end.
    pub stalls: Vec<Kept>,
    /// What was seen.
    pub observed: Observed,
}

/// A running server. Dropping it ends it.
#[derive(Debug)]
pub struct Server {
    /// Where it listens.
    pub address: SocketAddr,
    handle: Handle,
    over: Arc<AtomicBool>,
    log: Log,
    thread: Option<JoinHandle<Result<Vec<Kept>, Error>>>,
}

impl Server {
    /// Serves until it is stopped.
    ///
    /// # Errors
    /// The address cannot be listened on, or no thread or poll is to be had.
    pub fn start(settings: Settings) -> Result<Self, Error> {
        let (log, over) = (Log::default(), Arc::new(AtomicBool::new(false)));
        let (tell, told) = channel();
        let (shared, stop) = (log.clone(), Arc::clone(&over));
        let thread = thread::Builder::new()
            .name("stalls".to_owned())
            .spawn(move || serve(settings, shared, &stop, &tell))
            .map_err(Error::Thread)?;
        let Ok((address, handle)) = told.recv() else {
            // It ended before it listened, and says why.
            let why = thread.join().map(Result::err);
            return Err(why.ok().flatten().unwrap_or_else(panicked));
        };
        Ok(Self { address, handle, over, log, thread: Some(thread) })
    }

    /// Ends it at once, even in a stall.
    ///
    /// # Errors
    /// Its poll failed meanwhile.
    pub fn stop(mut self) -> Result<Record, Error> {
        let stalls = self.end().unwrap_or_else(|| Ok(Vec::new()))?;
        Ok(Record { stalls, observed: self.log.observed() })
    }

    fn end(&mut self) -> Option<Result<Vec<Kept>, Error>> {
        let thread = self.thread.take()?;
        self.over.store(true, Ordering::Release);
        self.handle.stop_now();
        thread.thread().unpark();
        Some(thread.join().unwrap_or_else(|_| Err(panicked())))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Whoever wanted to know how it went has called `stop`.
        let _ = self.end();
    }
}

fn panicked() -> Error {
    Error::Panicked { address: "the server that stalls".to_owned() }
}

fn serve(
    settings: Settings,
    log: Log,
    over: &AtomicBool,
    tell: &Sender<(SocketAddr, Handle)>,
) -> Result<Vec<Kept>, Error> {
    let limits = Limits { max_partial: MAX_PARTIAL, ..Limits::default() };
    let mut reactor = Reactor::with_config(Config { limits, ..Config::default() })?;
    let (style, shared) = (settings.style, log.clone());
    let address = reactor.listen(settings.listen, factory(move |_| Reply::new(style, shared.clone())))?;
    // It fails only when nobody waits any more, and then the order to end is on its way.
    let _ = tell.send((address, reactor.handle()));
    let mut stalling = Stalling::new(settings.schedule, log);
    while !reactor.is_done() {
        stalling.advance(Instant::now(), over);
        if let Some(at) = stalling.next_at() {
            stalling.arm(&mut reactor, at).map_err(Error::Poll)?;
        }
        reactor.turn(Some(TURN))?;
    }
    Ok(stalling.kept)
}

/// The schedule while it is kept.
struct Stalling {
    left: std::vec::IntoIter<Stall>,
    kept: Vec<Kept>,
    log: Log,
    /// When the run began.
    first: Option<Instant>,
    /// What the alarm is set to.
    armed: Option<Instant>,
    /// Until when it is noted what is answered, from when on, and what had been by then.
    noting: Option<Noting>,
}

struct Noting {
    since: Instant,
    until: Instant,
    next: Instant,
    before: u64,
}

impl Stalling {
    fn new(schedule: Schedule, log: Log) -> Self {
        let left = schedule.stalls().to_vec().into_iter();
        Self { left, kept: Vec::new(), log, first: None, armed: None, noting: None }
    }

    /// The next stall's moment, once the run has begun.
    fn next_at(&self) -> Option<Instant> {
        Some(self.first? + self.left.as_slice().first()?.at)
    }

    /// A turn must end when the next stall begins.
    fn arm(&mut self, reactor: &mut Reactor, at: Instant) -> io::Result<()> {
        if self.armed != Some(at) {
            reactor.set_alarm(at)?;
            self.armed = Some(at);
        }
        Ok(())
    }

    /// Notes what was answered, and stalls if that is due.
    fn advance(&mut self, now: Instant, over: &AtomicBool) {
        let (first, units) = self.log.progress();
        self.first = first;
        self.note(now, units);
        let (Some(first), Some(at)) = (first, self.next_at()) else { return };
        if now < at {
            return;
        }
        let Some(planned) = self.left.next() else { return };
        sleep_until(first + planned.end(), over);
        let ended = Instant::now();
        let seconds = |moment: Instant| moment.duration_since(first).as_secs_f64();
        self.kept.push(Kept { planned, really: seconds(now)..seconds(ended), trace: Vec::new() });
        let until = ended + (NOTE_LENGTHS * planned.length).max(NOTE_AT_LEAST);
        self.noting = Some(Noting { since: ended, until, next: ended, before: units });
    }

    fn note(&mut self, now: Instant, units: u64) {
        let (Some(noting), Some(kept)) = (&mut self.noting, self.kept.last_mut()) else { return };
        if now >= noting.until || kept.trace.len() >= NOTES {
            self.noting = None;
        } else if now >= noting.next {
            let after = now.duration_since(noting.since);
            kept.trace.push((after.as_secs_f64(), units - noting.before));
            noting.next = now + NOTE_EVERY.max(after / 100);
        }
    }
}

/// Unlike a sleep it can be ended.
fn sleep_until(at: Instant, over: &AtomicBool) {
    while !over.load(Ordering::Acquire) {
        match at.checked_duration_since(Instant::now()) {
            Some(left) if !left.is_zero() => thread::park_timeout(left),
            _ => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpStream;

    use super::*;

    fn start(stalls: &[(u64, u64)]) -> Server {
        let ms = Duration::from_millis;
        let stalls = stalls.iter().map(|(at, length)| Stall { at: ms(*at), length: ms(*length) }).collect();
        let schedule = Schedule::of(stalls, Duration::from_secs(3600)).unwrap();
        let settings = Settings { listen: "127.0.0.1:0".parse().unwrap(), style: None, schedule };
        Server::start(settings).unwrap()
    }

    #[test]
    fn who_asks_in_a_stall_is_answered_after_it() {
        let server = start(&[(50, 300)]);
        let mut peer = TcpStream::connect(server.address).unwrap();
        peer.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        let mut longest = Duration::ZERO;
        let begin = Instant::now();
        while begin.elapsed() < Duration::from_millis(600) {
            let asked = Instant::now();
            peer.write_all(b"x").unwrap();
            peer.read_exact(&mut [0]).unwrap();
            longest = longest.max(asked.elapsed());
        }
        assert!(longest >= Duration::from_millis(200), "{longest:?}");
        let record = server.stop().unwrap();
        let [stall] = &record.stalls[..] else { panic!("{record:?}") };
        assert!(stall.really.start >= 0.05 && stall.really.end >= 0.35, "{stall:?}");
        assert!(longest.as_secs_f64() <= 2.0 * begin.elapsed().as_secs_f64());
        assert!(record.observed.units > 0 && record.observed.style == Some(Style::Echo));
    }

    #[test]
    fn a_connection_alone_begins_nothing_and_an_order_to_stop_ends_a_stall() {
        let server = start(&[(0, 60_000)]);
        let mut peer = TcpStream::connect(server.address).unwrap();
        peer.write_all(b"x").unwrap();
        // Once it is answered, the run has begun and the stall is due.
        peer.read_exact(&mut [0]).unwrap();
        let begin = Instant::now();
        let record = server.stop().unwrap();
        assert!(begin.elapsed() < Duration::from_secs(30));
        assert_eq!(record.observed.units, 1);
        let silent = start(&[(0, 60_000)]);
        let _peer = TcpStream::connect(silent.address).unwrap();
        let record = silent.stop().unwrap();
        assert_eq!((record.stalls.len(), record.observed), (0, Observed::default()));
    }

    #[test]
    fn a_port_that_is_taken_is_said_to_be() {
        let server = start(&[(0, 5)]);
        let settings = Settings { listen: server.address, style: None, schedule: Schedule::default() };
        let error = Server::start(settings).unwrap_err().to_string();
        assert!(error.contains("address already in use"), "{error}");
    }
}
