//! A server of blocking sockets: a thread per connection, or one client at a time per listener.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use log::{info, warn};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::acceptor::{Acceptor, Context};
use super::datagrams;
use super::orders::{Handle, Orders};
use super::registry::Shared;
use crate::address::{Address, Endpoint};
use crate::error::Error;
use crate::os::datagrams::BoundDatagrams;
use crate::os::sockets::StreamListener;
use crate::reactor::{Config, Outcome};
use crate::session::{DatagramFactory, Factory, Guard, Peer};

/// How connections get their thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Model {
    /// One thread per connection.
    Threads,
    /// One thread per listener, which serves one client to its end before it accepts the next.
    Iterative,
}

/// The most threads for connections, whatever the open-files limit.
pub const MAX_THREADS: usize = 10_240;

/// A server whose sockets block.
///
/// ```no_run
/// use oneloop::codec::Lines;
/// use oneloop::models::{Blocking, Model};
/// use oneloop::os::sockets::{ListenOptions, listen};
/// use oneloop::services::Echo;
/// use oneloop::session::{Framed, factory};
///
/// let mut server = Blocking::new(Model::Threads, oneloop::Config::default())?;
/// let (listener, local) = listen(&"tcp://127.0.0.1:9999".parse()?, &ListenOptions::default())?;
/// server.add_listener(listener, local, factory(|_peer| Framed::new(Lines::default(), Echo)));
/// server.run()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Blocking {
    model: Model,
    config: Config,
    orders: Orders,
    handle: Handle,
    streams: Vec<Stream>,
    ports: Vec<Datagrams>,
}

struct Stream {
    listener: StreamListener,
    local: Address,
    make: Factory,
    is_shared: bool,
}

struct Datagrams {
    socket: BoundDatagrams,
    local: Endpoint,
    make: DatagramFactory,
}

impl std::fmt::Debug for Stream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stream").field("local", &self.local).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Datagrams {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Datagrams").field("local", &self.local).finish_non_exhaustive()
    }
}

impl Blocking {
    /// A server without listeners.
    ///
    /// # Errors
    /// [`Error::Poll`] when no pipe can be made.
    pub fn new(model: Model, config: Config) -> Result<Self, Error> {
        let (orders, handle) = Orders::new().map_err(Error::Poll)?;
        Ok(Self { model, config, orders, handle, streams: Vec::new(), ports: Vec::new() })
    }

    /// Adds a listener; `make` is called in the thread that serves the connection.
    pub fn add_listener(&mut self, listener: StreamListener, local: Address, make: Factory) {
        self.streams.push(Stream { listener, local, make, is_shared: false });
    }

    /// [`add_listener`](Self::add_listener) for a socket on which another process accepts when this one stops: a drain
    /// accepts nobody from it any more.
    pub fn add_shared_listener(&mut self, listener: StreamListener, local: Address, make: Factory) {
        self.streams.push(Stream { listener, local, make, is_shared: true });
    }

    /// Adds a datagram socket, bound to `local`; `make` is called once, in the thread that serves it.
    pub fn add_port(
        &mut self,
        socket: impl Into<BoundDatagrams>,
        local: impl Into<Endpoint>,
        make: DatagramFactory,
    ) {
        self.ports.push(Datagrams { socket: socket.into(), local: local.into(), make });
    }

    /// A handle that stops this server from another thread.
    #[must_use]
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Serves until a drain has ended, or a second order to stop came.
    ///
    /// # Errors
    /// [`Error::Listener`] when one became unusable, [`Error::Thread`] when a listener's thread cannot be started.
    pub fn run(self) -> Result<Outcome, Error> {
        let own_ports = self.ports.iter().filter_map(|port| Some(port.local.socket_addr()?.port())).collect();
        let guard = Guard { any_source_port: self.config.any_source_port, own_ports };
        let shared = Shared::new(self.model, self.config, guard, self.handle).map_err(Error::Poll)?;
        let shared = Arc::new(shared);
        // A second order to stop does not wait for the threads, and the paths must be gone all the same.
        let mut files = Vec::new();
        for mut stream in self.streams {
            files.extend(stream.listener.take_file());
            start(&shared, stream.local.to_string(), acceptor(stream, self.model, &shared))?;
        }
        for mut port in self.ports {
            files.extend(port.socket.take_file());
            start(&shared, port.local.address().to_string(), answerer(port, self.model, &shared))?;
        }
        let outcome = Supervisor::new(shared.clone(), self.orders).run();
        shared.wait_for_ends();
        let stats = shared.stats();
        if stats.datagrams.given_up > 0 {
            warn!("drain ended unanswered_datagrams={}", stats.datagrams.given_up);
        }
        info!("stopped {stats}");
        outcome
    }
}

fn acceptor(
    Stream { listener, local, make, is_shared }: Stream,
    model: Model,
    shared: &Arc<Shared>,
) -> impl FnOnce() + Send + 'static {
    let local = Peer { address: Address::Unknown, local };
    let context = Arc::new(Context { local, make, shared: shared.clone() });
    let acceptor = Acceptor { listener, context, model, is_shared };
    move || acceptor.run()
}

fn answerer(
    Datagrams { socket, local, make }: Datagrams,
    model: Model,
    shared: &Arc<Shared>,
) -> impl FnOnce() + Send + 'static {
    let shared = shared.clone();
    move || {
        let handler = make(&Peer { address: Address::Unknown, local: local.address() });
        datagrams::serve(socket, handler, model, &shared);
    }
}

/// Runs a listener on a thread of its own, counted while it lives.
fn start(shared: &Arc<Shared>, address: String, body: impl FnOnce() + Send + 'static) -> Result<(), Error> {
    shared.count_listener(1);
    let counted = Counted { shared: shared.clone(), address };
    let body = move || {
        let _counted = counted;
        body();
    };
    thread::Builder::new().spawn(body).map(drop).map_err(Error::Thread)
}

/// The thread of a listener. One that panics must not leave a server behind that does not listen there any more.
struct Counted {
    shared: Arc<Shared>,
    address: String,
}

impl Drop for Counted {
    fn drop(&mut self) {
        if thread::panicking() {
            self.shared.fail(Error::Panicked { address: std::mem::take(&mut self.address) });
        }
        self.shared.count_listener(-1);
    }
}

/// An interrupted wait is repeated by the caller at once; any other failure, of which none is known, is not to spin.
pub(super) fn rest_after_error<T>(waited: rustix::io::Result<T>) {
    if waited.is_err_and(|error| error != rustix::io::Errno::INTR) {
        thread::sleep(LOOK.0);
    }
}

/// The thread that takes orders and keeps the drain's time.
struct Supervisor {
    shared: Arc<Shared>,
    orders: Orders,
    /// When a drain must have ended, once it has begun.
    until: Option<Instant>,
    next_report: Option<Instant>,
    /// How often to look for idle connections, and when next.
    look: Option<(Duration, Instant)>,
}

/// An idle limit is kept to an eighth of itself, but not looked after more often or more rarely than this.
const LOOK: (Duration, Duration) = (Duration::from_millis(10), Duration::from_secs(1));

impl Supervisor {
    fn new(shared: Arc<Shared>, orders: Orders) -> Self {
        let every = shared.config.limits.idle.map(|idle| (idle / 8).clamp(LOOK.0, LOOK.1));
        let look = every.map(|every| (every, Instant::now() + every));
        let mut made = Self { shared, orders, until: None, next_report: None, look };
        made.plan_report();
        made
    }

    fn run(mut self) -> Result<Outcome, Error> {
        loop {
            self.wait();
            self.wake_idle();
            let signals = self.orders.take();
            for _ in 0..signals.reports {
                self.report();
            }
            if let Some(error) = self.shared.take_failure() {
                self.shared.cut_off();
                return Err(error);
            }
            let again = signals.stops > 0 && self.until.is_some();
            if signals.at_once || signals.stops > 1 || again {
                warn!("stopping at once open={}", self.shared.stats().open);
                let signal = (signals.stops > 0).then_some(signals.last);
                return Ok(Outcome { cut_off: self.shared.cut_off(), signal });
            }
            if signals.stops > 0 || signals.drain {
                self.drain();
            }
            if let Some(outcome) = self.ended() {
                return Ok(outcome);
            }
        }
    }

    fn wait(&self) {
        let look = self.look.map(|(_, at)| at);
        let next = [self.until, self.next_report, look].into_iter().flatten().min();
        let left = next.map(|at| at.saturating_duration_since(Instant::now()));
        let timeout = left.and_then(|left| Timespec::try_from(left).ok());
        let mut fds = [PollFd::new(&self.orders, PollFlags::IN)];
        rest_after_error(poll(&mut fds, timeout.as_ref()));
    }

    fn wake_idle(&mut self) {
        let now = Instant::now();
        if let Some((every, at)) = &mut self.look
            && *at <= now
            && let Some(limit) = self.shared.config.limits.idle
        {
            *at = now + *every;
            self.shared.wake_idle(limit.into());
        }
    }

    fn drain(&mut self) {
        if self.until.is_some() {
            return;
        }
        let limit = self.shared.config.drain;
        self.until = Instant::now().checked_add(limit);
        info!("draining open={} limit_ms={}", self.shared.stats().open, limit.as_millis());
        self.shared.stop();
    }

    /// What a drain has come to, once nobody is left or its time is up.
    fn ended(&mut self) -> Option<Outcome> {
        let now = Instant::now();
        if self.next_report.is_some_and(|at| at <= now) {
            self.report();
            self.plan_report();
        }
        let until = self.until?;
        if self.shared.is_done() {
            return Some(Outcome::default());
        }
        if until > now {
            return None;
        }
        let cut_off = self.shared.cut_off();
        if cut_off > 0 {
            warn!("drain limit reached cut_off={cut_off}");
        }
        Some(Outcome { cut_off, signal: None })
    }

    fn report(&self) {
        info!("stats {}", self.shared.stats());
    }

    fn plan_report(&mut self) {
        let interval: Option<Duration> = self.shared.config.stats_interval;
        self.next_report = interval.and_then(|interval| Instant::now().checked_add(interval));
    }
}
