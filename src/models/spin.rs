//! Non-blocking sockets without readiness: a kernel whose poll never waits, and says of everything that it may be
//! possible. So every turn asks every socket, and a core is never idle.

use std::fs::File;
use std::io;
use std::time::{Duration, Instant, SystemTime};

use super::orders::{Handle, Orders};
use crate::address::Address;
use crate::kernel::{Event, Kernel, Readiness, Signals, Token};
use crate::os::datagrams::DatagramPort;
use crate::os::sockets::StreamListener;
use crate::os::stream::Socket;
use crate::reactor::slots::key_of;

const MAYBE: Readiness = Readiness::new(true, true);

/// The operating system without its readiness. To be used below a [`Reactor`](crate::Reactor).
#[derive(Debug)]
pub struct SpinKernel {
    /// Who is to be asked, by slot.
    tokens: Vec<Option<Token>>,
    /// A descriptor to give up when there is no other.
    reserve: Option<File>,
    orders: Orders,
    handle: Handle,
}

impl SpinKernel {
    /// A kernel with nothing to ask yet.
    ///
    /// # Errors
    /// pipe(2).
    pub fn new() -> io::Result<Self> {
        let (orders, handle) = Orders::new()?;
        Ok(Self { tokens: Vec::new(), reserve: take_reserve(), orders, handle })
    }

    /// A handle that stops the reactor above from another thread.
    #[must_use]
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    fn ask(&mut self, token: Token) {
        let key = key_of(token) as usize;
        if key >= self.tokens.len() {
            self.tokens.resize(key + 1, None);
        }
        self.tokens[key] = Some(token);
    }
}

fn take_reserve() -> Option<File> {
    File::open("/dev/null").ok()
}

impl Kernel for SpinKernel {
    type Stream = Socket;
    type Listener = StreamListener;
    type Datagrams = DatagramPort;

    fn now(&mut self) -> Instant {
        Instant::now()
    }

    fn wall(&mut self) -> SystemTime {
        SystemTime::now()
    }

    fn poll(&mut self, _timeout: Option<Duration>) -> io::Result<()> {
        Ok(())
    }

    fn events(&self) -> impl Iterator<Item = Event> + '_ {
        let orders = self.orders.any().then_some(Token::WAKER);
        let all = orders.into_iter().chain(self.tokens.iter().flatten().copied());
        all.map(|token| Event { token, ready: MAYBE })
    }

    fn accept(&mut self, listener: &StreamListener) -> io::Result<(Socket, Address)> {
        listener.accept(true)
    }

    fn shed(&mut self, listener: &StreamListener) -> io::Result<bool> {
        if self.reserve.take().is_none() {
            self.reserve = take_reserve();
            return Ok(false);
        }
        let accepted = listener.accept(true).map(drop);
        self.reserve = take_reserve();
        accepted.map(|()| true)
    }

    /// It is a server's: it makes no connections.
    fn connect(&mut self, _to: &Address) -> io::Result<Socket> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn connect_result(&mut self, _stream: &Socket) -> io::Result<bool> {
        Ok(true)
    }

    fn register_stream(&mut self, _stream: &mut Socket, token: Token) -> io::Result<()> {
        self.ask(token);
        Ok(())
    }

    fn register_listener(&mut self, _listener: &mut StreamListener, token: Token) -> io::Result<()> {
        self.ask(token);
        Ok(())
    }

    fn register_datagrams(&mut self, _socket: &mut DatagramPort, token: Token) -> io::Result<()> {
        self.ask(token);
        Ok(())
    }

    fn forget(&mut self, token: Token) {
        let place = self.tokens.get_mut(key_of(token) as usize);
        if let Some(place) = place.filter(|place| **place == Some(token)) {
            *place = None;
        }
    }

    fn take_signals(&mut self) -> Signals {
        self.orders.take()
    }
}
