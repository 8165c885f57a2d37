//! The seam to the kernel on mio: this file is all the reactor knows of it.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use mio::net::{TcpListener, UnixListener};
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll};

use super::handle::Orders;
use crate::address::Address;
#[cfg(all(feature = "exec", target_os = "linux"))]
use crate::kernel::ChildProcess;
use crate::kernel::{Event, Kernel, Readiness, Signals, Token};
use crate::os::SocketFile;
use crate::os::datagrams::DatagramPort;
use crate::os::dial::{Dial, dial};
use crate::os::sockets::StreamListener;
use crate::os::stream::Socket;
#[cfg(all(feature = "exec", target_os = "linux"))]
use crate::session::ChildSpec;

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
    #[cfg(all(feature = "load", target_os = "linux"))]
    alarm: Option<super::alarm::Alarm>,
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
            #[cfg(all(feature = "load", target_os = "linux"))]
            alarm: None,
            #[cfg(feature = "signals")]
            signals: None,
        })
    }

    /// The alarm on this poll, made when it is first asked for.
    #[cfg(all(feature = "load", target_os = "linux"))]
    pub(super) fn alarm(&mut self) -> io::Result<&super::alarm::Alarm> {
        if self.alarm.is_none() {
            self.alarm = Some(super::alarm::Alarm::new(self.poll.registry())?);
        }
        self.alarm.as_ref().ok_or_else(|| io::ErrorKind::NotFound.into())
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
    type Listener = Listener;
    type Datagrams = DatagramPort;

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

    fn accept(&mut self, listener: &Listener) -> io::Result<(Socket, Address)> {
        listener.accept()
    }

    fn shed(&mut self, listener: &Listener) -> io::Result<bool> {
        if self.reserve.take().is_none() {
            self.reserve = take_reserve();
            return Ok(false);
        }
        let accepted = listener.accept().map(drop);
        self.reserve = take_reserve();
        accepted.map(|()| true)
    }

    fn connect(&mut self, to: &Address) -> io::Result<Socket> {
        dial(to, &Dial::default())
    }

    fn connect_result(&mut self, stream: &Socket) -> io::Result<bool> {
        rustix::net::sockopt::socket_error(stream)??;
        match rustix::net::getpeername(stream) {
            Ok(_) => Ok(true),
            Err(rustix::io::Errno::NOTCONN) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    fn register_stream(&mut self, stream: &mut Socket, token: Token) -> io::Result<()> {
        self.poll.registry().register(&mut SourceFd(&stream.as_raw_fd()), mio::Token(token.0), BOTH)
    }

    fn register_listener(&mut self, listener: &mut Listener, token: Token) -> io::Result<()> {
        let (registry, token) = (self.poll.registry(), mio::Token(token.0));
        match listener {
            Listener::Tcp(listener) => registry.register(listener, token, Interest::READABLE),
            Listener::Unix(listener, _) => registry.register(listener, token, Interest::READABLE),
        }
    }

    fn register_datagrams(&mut self, socket: &mut DatagramPort, token: Token) -> io::Result<()> {
        self.poll.registry().register(&mut SourceFd(&socket.as_raw_fd()), mio::Token(token.0), BOTH)
    }

    #[cfg(all(feature = "exec", target_os = "linux"))]
    fn spawn(&mut self, spec: &ChildSpec, token: Token) -> io::Result<Box<dyn ChildProcess>> {
        let child = crate::os::children::spawn(spec)?;
        for descriptor in child.descriptors().into_iter().flatten() {
            let descriptor = descriptor.as_raw_fd();
            let token = mio::Token(token.0);
            self.poll.registry().register(&mut SourceFd(&descriptor), token, Interest::READABLE)?;
        }
        Ok(Box::new(child))
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

/// A listening socket of mio's, with the path to be removed when it is closed.
#[derive(Debug)]
pub enum Listener {
    /// TCP.
    Tcp(TcpListener),
    /// A Unix socket.
    Unix(UnixListener, Option<SocketFile>),
}

impl From<StreamListener> for Listener {
    fn from(listener: StreamListener) -> Self {
        match listener {
            StreamListener::Tcp(listener) => Self::Tcp(TcpListener::from_std(listener)),
            StreamListener::Unix(listener, file) => Self::Unix(UnixListener::from_std(listener), file),
        }
    }
}

impl Listener {
    #[inline]
    fn accept(&self) -> io::Result<(Socket, Address)> {
        match self {
            Self::Tcp(listener) => {
                let (stream, addr) = listener.accept()?;
                // Elsewhere than on Linux an accepted socket does not inherit it.
                #[cfg(not(target_os = "linux"))]
                stream.set_nodelay(true)?;
                Ok((OwnedFd::from(stream).into(), Address::Tcp(addr)))
            }
            Self::Unix(listener, _) => {
                let (stream, _) = listener.accept()?;
                let socket = Socket::from(OwnedFd::from(stream));
                let address = crate::session::Remote::address(&socket);
                Ok((socket, address))
            }
        }
    }
}
