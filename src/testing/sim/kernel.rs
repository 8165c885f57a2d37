//! [`Kernel`] in memory: what the reactor calls, on the world of one run.

use std::cell::RefCell;
use std::fmt;
use std::io::{self, Read, Write};
use std::marker::PhantomData;
use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::time::{Duration, Instant, SystemTime};

use super::Bug;
use super::children::SimChild;
use super::conn::Side;
use super::datagrams::SimDatagrams;
use super::plan::{Answer, Dial, NEVER};
use super::socket::{accept_fault, read, shutdown, write};
use super::world::{Source, World};
use crate::address::Address;
use crate::kernel::{ChildProcess, Event, Kernel, Planted, Signals, Stream, Token};
use crate::session::{ChildSpec, Remote};

pub(super) type Shared = Rc<RefCell<World>>;

const SIGTERM: i32 = 15;
const EMFILE: i32 = 24;
const ENOSPC: i32 = 28;
const DAY: Duration = Duration::from_secs(24 * 3600);
/// Client `id` is at this port plus `id`.
const FIRST_PORT: u16 = 20_000;

/// Where client `id` is.
pub(super) fn address_of(id: usize) -> Address {
    let port = FIRST_PORT + u16::try_from(id).expect("few clients");
    Address::Tcp(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
}

/// Which client is there.
pub(super) fn client_at(address: &Address) -> usize {
    let port = address.socket_addr().map_or(FIRST_PORT, |addr| addr.port());
    usize::from(port - FIRST_PORT)
}

/// A kernel in memory; `B` says which bug the driver above it has.
#[derive(Debug)]
pub(super) struct SimKernel<B> {
    world: Shared,
    origin: Instant,
    events: Vec<Event>,
    bug: PhantomData<B>,
}

impl<B> SimKernel<B> {
    pub(super) fn new(world: Shared, origin: Instant) -> Self {
        Self { world, origin, events: Vec::new(), bug: PhantomData }
    }

    /// A listening socket, which takes a descriptor.
    pub(super) fn listener(&self, at: usize) -> SimListener {
        let mut world = self.world.borrow_mut();
        world.descriptors += 1;
        world.listeners[at].open = true;
        SimListener { world: Rc::clone(&self.world), at }
    }

    /// A datagram socket, which takes a descriptor.
    pub(super) fn datagrams(&self, at: usize) -> SimDatagrams<B> {
        SimDatagrams::open(&self.world, at)
    }

    fn stream(&self, id: usize) -> SimStream<B> {
        SimStream { world: Rc::clone(&self.world), id, bug: PhantomData }
    }
}

impl<B: Bug> Kernel for SimKernel<B> {
    type Stream = SimStream<B>;
    type Listener = SimListener;
    type Datagrams = SimDatagrams<B>;

    #[inline]
    fn now(&mut self) -> Instant {
        self.origin + Duration::from_nanos(self.world.borrow().now)
    }

    fn wall(&mut self) -> SystemTime {
        let world = &mut *self.world.borrow_mut();
        let now = SystemTime::UNIX_EPOCH + 100 * DAY + Duration::from_nanos(world.now);
        match world.rng.below(if world.faults.wall_jumps { 4 } else { 1 }) {
            1 => now + DAY,
            2 => now - DAY,
            _ => now,
        }
    }

    fn poll(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        let world = &mut *self.world.borrow_mut();
        let nanos = timeout.map(|timeout| u64::try_from(timeout.as_nanos()).unwrap_or(NEVER));
        world.poll(nanos, &mut self.events);
        if world.broken.is_some() { Err(io::ErrorKind::Other.into()) } else { Ok(()) }
    }

    fn events(&self) -> impl Iterator<Item = Event> + '_ {
        self.events.iter().copied()
    }

    fn accept(&mut self, listener: &SimListener) -> io::Result<(SimStream<B>, Address)> {
        let mut world = self.world.borrow_mut();
        world.count(2);
        if world.setting.shared && world.stops_taken > 0 {
            world.fail("a drain accepts who is queued for another process".to_owned());
        }
        if let Some(errno) = accept_fault(&mut world) {
            return Err(io::Error::from_raw_os_error(errno));
        }
        if world.listeners[listener.at].queue.is_empty() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        if world.descriptors >= world.setting.descriptors {
            world.counted.accept_pauses += 1;
            return Err(io::Error::from_raw_os_error(EMFILE));
        }
        let id = world.listeners[listener.at].queue.remove(0);
        world.descriptors += 1;
        world.counted.accepted += 1;
        world.progress();
        let now = world.now;
        let conn = &mut world.conns[id];
        conn.side = Side::Open;
        conn.moved_at = now;
        Ok((self.stream(id), address_of(id)))
    }

    fn shed(&mut self, listener: &SimListener) -> io::Result<bool> {
        let mut world = self.world.borrow_mut();
        world.count(3);
        if world.rng.one_in(8) {
            return Ok(false);
        }
        if world.listeners[listener.at].queue.is_empty() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let id = world.listeners[listener.at].queue.remove(0);
        world.counted.shed += 1;
        let now = world.now;
        world.conns[id].excuses.shed = true;
        world.conns[id].close(now);
        Ok(true)
    }

    fn connect(&mut self, to: &Address) -> io::Result<SimStream<B>> {
        let mut world = self.world.borrow_mut();
        world.count(4);
        if world.descriptors >= world.setting.descriptors {
            return Err(io::Error::from_raw_os_error(EMFILE));
        }
        world.descriptors += 1;
        let (id, now) = (client_at(to), world.now);
        let conn = &mut world.conns[id];
        conn.side = Side::Connecting;
        conn.moved_at = now;
        let answers = conn.plan.dial != Dial::Out(Answer::Silence);
        conn.send_at = if answers { now + conn.plan.answer_after } else { NEVER };
        Ok(self.stream(id))
    }

    fn connect_result(&mut self, stream: &SimStream<B>) -> io::Result<bool> {
        let mut world = self.world.borrow_mut();
        world.count(5);
        let conn = &mut world.conns[stream.id];
        let made = conn.side == Side::Open;
        match std::mem::take(&mut conn.errno) {
            0 => {
                world.counted.connected += u64::from(made);
                Ok(made)
            }
            errno => Err(io::Error::from_raw_os_error(errno)),
        }
    }

    fn register_stream(&mut self, stream: &mut SimStream<B>, token: Token) -> io::Result<()> {
        let mut world = self.world.borrow_mut();
        world.count(6);
        if world.faults.register && world.rng.one_in(32) {
            world.conns[stream.id].excuses.unregistered = true;
            world.counted.unregistered += 1;
            return Err(io::Error::from_raw_os_error(ENOSPC));
        }
        world.conns[stream.id].token = Some(token);
        world.edge(Source::Conn(stream.id));
        Ok(())
    }

    fn register_listener(&mut self, listener: &mut SimListener, token: Token) -> io::Result<()> {
        let mut world = self.world.borrow_mut();
        world.count(7);
        world.listeners[listener.at].token = Some(token);
        world.edge(Source::Listener(listener.at));
        Ok(())
    }

    fn register_datagrams(&mut self, socket: &mut SimDatagrams<B>, token: Token) -> io::Result<()> {
        let mut world = self.world.borrow_mut();
        world.count(12);
        if world.faults.register && world.rng.one_in(8) {
            return Err(io::Error::from_raw_os_error(ENOSPC));
        }
        let registered = &mut world.mail.sockets[socket.at];
        (registered.token, registered.registered) = (Some(token), true);
        world.edge(Source::Socket(socket.at));
        Ok(())
    }

    fn spawn(&mut self, spec: &ChildSpec, token: Token) -> io::Result<Box<dyn ChildProcess>> {
        Ok(Box::new(SimChild::<B>::spawn(&self.world, spec, token)?))
    }

    fn take_signals(&mut self) -> Signals {
        let world = &mut *self.world.borrow_mut();
        world.count(8);
        let stops = std::mem::take(&mut world.stops);
        if stops > 0 && world.stopped_at.is_none() {
            world.stopped_at = Some(world.now);
            for conn in &mut world.conns[..world.clients] {
                conn.sent_at_stop = conn.sent;
            }
            world.mail.note_stop();
        }
        world.stops_taken += stops;
        Signals { stops, last: SIGTERM, ..Signals::default() }
    }
}

/// A connected socket of the simulated kernel.
pub(super) struct SimStream<B> {
    world: Shared,
    id: usize,
    bug: PhantomData<B>,
}

impl<B> Read for SimStream<B> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        read(&mut self.world.borrow_mut(), self.id, into)
    }
}

impl<B> Write for SimStream<B> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        write(&mut self.world.borrow_mut(), self.id, &[bytes])
    }

    fn write_vectored(&mut self, parts: &[io::IoSlice<'_>]) -> io::Result<usize> {
        match parts {
            [first, second] => write(&mut self.world.borrow_mut(), self.id, &[first, second]),
            _ => write(&mut self.world.borrow_mut(), self.id, &[parts.first().map_or(&[], |part| part)]),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<B> Remote for SimStream<B> {
    fn address(&self) -> Address {
        address_of(self.id)
    }
}

impl<B: Bug> Stream for SimStream<B> {
    const PLANTED: Planted = B::PLANTED;

    fn shutdown_write(&self) -> io::Result<()> {
        shutdown(&mut self.world.borrow_mut(), self.id)
    }
}

impl<B> Drop for SimStream<B> {
    fn drop(&mut self) {
        // Unreachable only while a panic unwinds through the world itself; the run has failed then anyway.
        let Ok(mut world) = self.world.try_borrow_mut() else { return };
        world.count(9);
        let conn = &mut world.conns[self.id];
        if conn.side == Side::Closed {
            return world.fail(format!("connection #{} was closed twice", self.id));
        }
        let token = conn.token;
        let turned_away = token.is_none() && !conn.excuses.unregistered;
        conn.excuses.turned_away = turned_away;
        if conn.side == Side::Connecting {
            conn.finish(conn.saw);
        } else if turned_away && matches!(conn.plan.dial, Dial::In(_)) {
            world.watch_turned_away();
        }
        let now = world.now;
        world.conns[self.id].close(now);
        world.forget(Source::Conn(self.id), token);
    }
}

impl<B> fmt::Debug for SimStream<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimStream").field("id", &self.id).finish_non_exhaustive()
    }
}

/// A listening socket of the simulated kernel.
pub(super) struct SimListener {
    world: Shared,
    at: usize,
}

impl Drop for SimListener {
    fn drop(&mut self) {
        let Ok(mut world) = self.world.try_borrow_mut() else { return };
        world.close_listener(self.at);
    }
}

impl fmt::Debug for SimListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimListener").field("at", &self.at).finish_non_exhaustive()
    }
}
