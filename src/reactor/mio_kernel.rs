//! The seam to the kernel on mio: this file is all the reactor knows of it.

use std::fs::File;
use std::io::{self, IoSlice, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll};
use rustix::net::{SendAncillaryBuffer, SendFlags};

use super::handle::Orders;
use crate::address::Address;
use crate::kernel::{Event, Kernel, Readiness, Signals, Stream, Token};
use crate::session::Remote;

const BOTH: Interest = Interest::READABLE.add(Interest::WRITABLE);

/// How many events one poll fetches at most.
const EVENTS: usize = 1024;

/// The operating system, through mio.
#[derive(Debug)]
pub struct MioKernel {
    poll: Poll,
    events: Events,
    /// A descriptor to give up when there is no other.
    reserve: Option<File>,
    pub(super) orders: Arc<Orders>,
    #[cfg(feature = "signals")]
    signals: Option<super::signals::SignalSource>,
}

impl MioKernel {
    /// A poll of its own, with nothing registered.
    ///
    /// # Errors
    /// epoll_create1(2).
    pub fn new() -> io::Result<Self> {
        let poll = Poll::new()?;
        let orders = Arc::new(Orders::new(mio::Waker::new(poll.registry(), mio::Token(Token::WAKER.0))?));
        Ok(Self {
            poll,
            events: Events::with_capacity(EVENTS),
            reserve: take_reserve(),
            orders,
            #[cfg(feature = "signals")]
            signals: None,
        })
    }

    /// Watches SIGINT, SIGTERM and SIGUSR1 on this poll.
    #[cfg(feature = "signals")]
    pub(super) fn watch_signals(&mut self) -> io::Result<()> {
        let source =
            super::signals::SignalSource::register(self.poll.registry(), mio::Token(Token::SIGNALS.0))?;
        self.signals = Some(source);
        Ok(())
    }
}

impl Kernel for MioKernel {
    type Stream = Socket;
    type Listener = TcpListener;

    #[inline]
    fn now(&mut self) -> Instant {
        Instant::now()
    }

    fn wall(&mut self) -> SystemTime {
        SystemTime::now()
    }

    #[inline]
    fn poll(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        match self.poll.poll(&mut self.events, timeout) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                self.events.clear();
                Ok(())
            }
            other => other,
        }
    }

    #[inline]
    fn events(&self) -> impl Iterator<Item = Event> + '_ {
        self.events.iter().map(|event| {
            let mut ready = Readiness::new(event.is_readable(), event.is_writable());
            if event.is_read_closed() || event.is_error() {
                ready = ready.and(Readiness::READABLE).and(Readiness::READ_CLOSED);
            }
            Event { token: Token(event.token().0), ready }
        })
    }

    fn accept(&mut self, listener: &TcpListener) -> io::Result<(Socket, Address)> {
        let (stream, addr) = listener.accept()?;
        // Elsewhere than on Linux an accepted socket does not inherit it.
        #[cfg(not(target_os = "linux"))]
        stream.set_nodelay(true)?;
        Ok((Socket(stream), Address::Tcp(addr)))
    }

    fn shed(&mut self, listener: &TcpListener) -> io::Result<bool> {
        if self.reserve.take().is_none() {
            self.reserve = take_reserve();
            return Ok(false);
        }
        let outcome = listener.accept();
        let accepted = outcome.map(drop);
        self.reserve = take_reserve();
        accepted.map(|()| true)
    }

    fn connect(&mut self, to: &Address) -> io::Result<Socket> {
        let addr = to.socket_addr().ok_or(io::ErrorKind::InvalidInput)?;
        let stream = TcpStream::connect(addr)?;
        stream.set_nodelay(true)?;
        Ok(Socket(stream))
    }

    fn connect_result(&mut self, stream: &Socket) -> io::Result<bool> {
        if let Some(error) = stream.0.take_error()? {
            return Err(error);
        }
        match stream.0.peer_addr() {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn register_stream(&mut self, stream: &mut Socket, token: Token) -> io::Result<()> {
        self.poll.registry().register(&mut stream.0, mio::Token(token.0), BOTH)
    }

    fn register_listener(&mut self, listener: &mut TcpListener, token: Token) -> io::Result<()> {
        self.poll.registry().register(listener, mio::Token(token.0), Interest::READABLE)
    }

    fn take_signals(&mut self) -> Signals {
        #[allow(unused_mut, reason = "only changed with the signals feature")]
        let mut signals = self.orders.take();
        #[cfg(feature = "signals")]
        if let Some(source) = &mut self.signals {
            source.add_pending(&mut signals);
        }
        signals
    }
}

fn take_reserve() -> Option<File> {
    File::open("/dev/null").ok()
}

/// A TCP socket of mio's. It reads and writes through rustix, which makes the system call in place.
#[derive(Debug)]
pub struct Socket(TcpStream);

impl Read for Socket {
    #[inline]
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        rustix::io::read(&self.0, into).map_err(failed)
    }
}

impl Write for Socket {
    #[inline]
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        rustix::net::send(&self.0, bytes, SendFlags::NOSIGNAL).map_err(failed)
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        Ok(rustix::net::sendmsg(&self.0, slices, &mut SendAncillaryBuffer::default(), SendFlags::NOSIGNAL)?)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cold]
#[inline(never)]
fn failed(errno: rustix::io::Errno) -> io::Error {
    errno.into()
}

impl Remote for Socket {
    fn address(&self) -> Address {
        self.0.peer_addr().map_or(Address::Unknown, Address::Tcp)
    }
}

impl Stream for Socket {
    fn shutdown_write(&self) -> io::Result<()> {
        self.0.shutdown(Shutdown::Write)
    }
}

/// The address a listener really has, after port 0 was resolved.
pub(super) fn local_address(listener: &TcpListener, asked: SocketAddr) -> SocketAddr {
    listener.local_addr().unwrap_or(asked)
}
