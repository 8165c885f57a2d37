//! Blocking clients: request and response over any codec, and over datagrams.
//!
//! [`Client`] talks over TCP and Unix stream sockets, [`DatagramClient`] over UDP. Every wait has a limit. Both use
//! non-blocking sockets and poll(2) underneath, because a client that writes until everything is taken, and only then
//! reads, waits for ever for a server that does the same: an echo of more than the sockets' buffers hold.

mod connect;
mod datagram;
mod error;
mod wait;

pub use self::connect::ConnectOptions;
pub use self::datagram::{DatagramClient, MAX_DATAGRAM};
pub use self::error::{ClientError, ClientErrorKind};

use std::fmt;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::ops::Range;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use rustix::event::PollFlags;
use rustix::io::Errno;
use socket2::Socket;

use self::wait::{Until, wait};
use crate::address::Address;
use crate::attempt::{Attempt, attempt};
use crate::codec::{Decoder, Encoder};
use crate::os::resolve::Target;

/// The most that one read returns, and so the longest message with [`Raw`](crate::codec::Raw).
const READ_SIZE: usize = 64 * 1024;

/// Both directions of a framing.
pub trait Codec: Decoder + Encoder {}

impl<C: Decoder + Encoder> Codec for C {}

/// A connection over TCP or a Unix stream socket, on which calls wait.
///
/// # Sending while receiving
/// [`queue`](Self::queue) only keeps a message. It is written by the calls that wait, [`receive`](Self::receive) and
/// [`flush`](Self::flush), as the peer takes it, and what arrives meanwhile is read. So no size of message deadlocks.
///
/// # Ends
/// Neither side's end is an error by itself: [`finish`](Self::finish) ends ours, `receive` returns `None` at the end
/// of the peer's. An error is final, except that nothing has arrived in time: waiting may go on then.
///
/// ```
/// use std::net::TcpListener;
/// use std::time::Duration;
/// use oneloop::client::{Client, ConnectOptions};
/// use oneloop::codec::Lines;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let listener = TcpListener::bind("127.0.0.1:0")?;
/// let url = format!("tcp://{}", listener.local_addr()?);
/// let server = std::thread::spawn(move || {
///     let (peer, _) = listener.accept()?;
///     std::io::copy(&mut &peer, &mut &peer)
/// });
///
/// let limit = Duration::from_secs(5);
/// let mut client = Client::connect(&url.parse()?, Lines::default(), &ConnectOptions::default())?;
/// assert_eq!(client.request(b"hello", limit)?, Some(&b"hello"[..]));
/// client.finish();
/// assert_eq!(client.receive(limit)?, None);
/// # server.join().expect("no panic")?;
/// # Ok(())
/// # }
/// ```
pub struct Client {
    socket: Socket,
    address: Address,
    name: String,
    codec: Box<dyn Codec>,
    /// What has arrived; what lies before `start` has been handed out.
    input: Vec<u8>,
    start: usize,
    scratch: Box<[u8]>,
    /// What is to be sent; the first `sent` bytes have been.
    output: Vec<u8>,
    sent: usize,
    /// Why nothing can be written any more. What has arrived is still read.
    write_failure: Option<ClientErrorKind>,
    finish: Finish,
    /// The peer has sent its last byte.
    ended: bool,
    /// The error that was final.
    failed: Option<ClientError>,
}

/// How far our side's end is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Finish {
    Open,
    /// As soon as all output is written.
    Asked,
    Done,
}

/// What [`Client::pump`] waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Goal {
    Frame,
    FrameOrSent,
}

/// What it found.
enum Found {
    /// Where in the input the payload is.
    Frame(Range<usize>),
    Sent,
    End,
}

impl Client {
    /// Connects to the first address of `target` that takes the connection; each has `options.limit`.
    ///
    /// # Errors
    /// [`ClientError`]: the name has no address, or no address took the connection. A UDP target is
    /// [`WrongSocket`](ClientErrorKind::WrongSocket).
    pub fn connect(
        target: &Target,
        codec: impl Codec + 'static,
        options: &ConnectOptions,
    ) -> Result<Self, ClientError> {
        Self::connect_boxed(target, Box::new(codec), options)
    }

    /// [`connect`](Self::connect) with a codec chosen at run time.
    ///
    /// # Errors
    /// The same.
    pub fn connect_boxed(
        target: &Target,
        codec: Box<dyn Codec>,
        options: &ConnectOptions,
    ) -> Result<Self, ClientError> {
        let connected = connect::stream(target, options)?;
        Ok(Self {
            socket: connected.socket,
            name: connect::label(target, &connected.address),
            address: connected.address,
            codec,
            input: Vec::new(),
            start: 0,
            scratch: vec![0; READ_SIZE].into(),
            output: Vec::new(),
            sent: 0,
            write_failure: None,
            finish: Finish::Open,
            ended: false,
            failed: None,
        })
    }

    /// The address that took the connection.
    #[must_use]
    pub const fn address(&self) -> &Address {
        &self.address
    }

    /// How errors call the peer: the target as it was named, with its address where that says more.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Bytes that are queued and not yet written to the socket.
    #[must_use]
    pub const fn unsent(&self) -> usize {
        self.output.len() - self.sent
    }

    /// Puts a message behind those not yet sent. Nothing is written before the next call that waits.
    ///
    /// # Errors
    /// [`ClientErrorKind::Message`] when the framing cannot carry it; nothing is queued then, and the client can go on.
    pub fn queue(&mut self, payload: &[u8]) -> Result<(), ClientError> {
        if self.unsent() == 0 {
            self.output.clear();
            self.sent = 0;
        }
        let encoded = self.codec.encode(payload, &mut self.output);
        encoded.map_err(|error| self.error(ClientErrorKind::Message(error)))
    }

    /// Ends our side, after everything queued: the peer reads an end of the stream (shutdown(2), SHUT_WR).
    ///
    /// Done by the next call that waits. Nothing may be queued afterwards: it would not be sent.
    pub fn finish(&mut self) {
        if self.finish == Finish::Open {
            self.finish = Finish::Asked;
        }
    }

    /// Waits for the next message, writing what is queued meanwhile. `None` when the peer has ended its side.
    ///
    /// With [`Raw`](crate::codec::Raw) a message is what one read returned, at most 64 KiB.
    ///
    /// The limit counts from the call, or from the last byte written if that was later: a long message may take its
    /// time as long as the peer goes on taking it. Zero waits for nothing and returns what is there.
    ///
    /// # Errors
    /// [`ClientErrorKind::NoReply`] when no whole message has arrived in time: that one is not final.
    /// [`Stalled`](ClientErrorKind::Stalled), [`Closed`](ClientErrorKind::Closed),
    /// [`Reset`](ClientErrorKind::Reset), [`Frame`](ClientErrorKind::Frame) and others are.
    pub fn receive(&mut self, limit: Duration) -> Result<Option<&[u8]>, ClientError> {
        match self.pump(limit, Goal::Frame)? {
            Found::Frame(range) => Ok(Some(&self.input[range])),
            Found::Sent | Found::End => Ok(None),
        }
    }

    /// Sends a message and waits for the next one: [`queue`](Self::queue), then [`receive`](Self::receive).
    ///
    /// # Errors
    /// Those of both.
    pub fn request(&mut self, payload: &[u8], limit: Duration) -> Result<Option<&[u8]>, ClientError> {
        self.queue(payload)?;
        self.receive(limit)
    }

    /// Writes everything queued, and hands what arrives meanwhile to `on_message`, whose error ends the call.
    ///
    /// The limit is how long the peer may take nothing.
    ///
    /// # Errors
    /// Those of `on_message` and of [`receive`](Self::receive).
    pub fn flush<E: From<ClientError>>(
        &mut self,
        limit: Duration,
        mut on_message: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        while let Found::Frame(range) = self.pump(limit, Goal::FrameOrSent)? {
            on_message(&self.input[range])?;
        }
        Ok(())
    }

    fn pump(&mut self, limit: Duration, goal: Goal) -> Result<Found, ClientError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        self.pump_on(limit, goal).map_err(|kind| {
            let error = self.error(kind);
            if !matches!(error.kind(), ClientErrorKind::NoReply { .. }) {
                self.failed = Some(error.clone());
            }
            error
        })
    }

    /// Moves bytes in both directions until there is something to report.
    fn pump_on(&mut self, limit: Duration, goal: Goal) -> Result<Found, ClientErrorKind> {
        let mut until = Until::after(limit);
        loop {
            if let Some(range) = self.next_frame()? {
                return Ok(Found::Frame(range));
            }
            if self.flush_once() {
                until = Until::after(limit);
            }
            if goal == Goal::FrameOrSent && self.unsent() == 0 {
                return Ok(Found::Sent);
            }
            if self.ended {
                if let Some(kind) = self.write_failure.take() {
                    return Err(kind);
                }
                // The peer may have ended its side only and still take what we send.
                if self.unsent() == 0 {
                    return Ok(Found::End);
                }
            } else if self.fill()? {
                continue;
            }
            if !self.wait_until(until)? {
                return Err(self.late(limit));
            }
        }
    }

    /// The next whole frame of what has arrived.
    fn next_frame(&mut self) -> Result<Option<Range<usize>>, ClientErrorKind> {
        let rest = &self.input[self.start..];
        let found = if self.ended { self.codec.decode_eof(rest) } else { self.codec.decode(rest) };
        let Some(frame) = found.map_err(ClientErrorKind::Frame)? else {
            return Ok(None);
        };
        let payload = self.start + frame.payload.start..self.start + frame.payload.end;
        self.start += frame.consumed;
        Ok(Some(payload))
    }

    /// One write, and whether it moved anything. A failure is kept, so that what the peer said before is still read:
    /// a server that answers and closes without having read everything resets the connection.
    fn flush_once(&mut self) -> bool {
        if self.write_failure.is_some() {
            return false;
        }
        if self.unsent() == 0 {
            self.shut_down_if_asked();
            return false;
        }
        let (socket, output) = (&self.socket, &self.output[self.sent..]);
        match attempt(|| (&mut &*socket).write(output)) {
            Attempt::Done(count) => {
                self.sent += count;
                // At once: nobody may wait any more, and the peer waits for our end.
                if self.unsent() == 0 {
                    self.shut_down_if_asked();
                }
                count > 0
            }
            Attempt::WouldBlock => false,
            Attempt::Failed(failure) => {
                let unsent = self.unsent();
                self.write_failure = Some(if failure.errno == Errno::PIPE.raw_os_error() {
                    ClientErrorKind::Closed { unsent }
                } else {
                    ClientErrorKind::of_errno(failure.errno)
                });
                false
            }
        }
    }

    fn shut_down_if_asked(&mut self) {
        if self.finish == Finish::Asked {
            // It fails when the connection is gone, which reading shows as well.
            let _ = self.socket.shutdown(Shutdown::Write);
            self.finish = Finish::Done;
        }
    }

    /// One read, and whether it brought anything: bytes or the end.
    fn fill(&mut self) -> Result<bool, ClientErrorKind> {
        let (socket, scratch) = (&self.socket, &mut self.scratch);
        match attempt(|| (&mut &*socket).read(scratch)) {
            Attempt::Done(0) => {
                self.ended = true;
                Ok(true)
            }
            Attempt::Done(count) => {
                self.input.drain(..self.start);
                self.start = 0;
                self.input.extend_from_slice(&self.scratch[..count]);
                Ok(true)
            }
            Attempt::WouldBlock => Ok(false),
            Attempt::Failed(failure) => {
                Err(self.write_failure.take().unwrap_or_else(|| ClientErrorKind::of_errno(failure.errno)))
            }
        }
    }

    /// Whether the socket became ready for what is to be done.
    fn wait_until(&self, until: Until) -> Result<bool, ClientErrorKind> {
        let mut wanted = PollFlags::empty();
        if !self.ended {
            wanted |= PollFlags::IN;
        }
        if self.unsent() > 0 && self.write_failure.is_none() {
            wanted |= PollFlags::OUT;
        }
        wait(&self.socket, wanted, until)
    }

    fn late(&mut self, limit: Duration) -> ClientErrorKind {
        match self.write_failure.take() {
            Some(kind) => kind,
            None if self.unsent() > 0 && !limit.is_zero() => {
                ClientErrorKind::Stalled { unsent: self.unsent(), limit }
            }
            None => ClientErrorKind::NoReply { limit },
        }
    }

    fn error(&self, kind: ClientErrorKind) -> ClientError {
        ClientError::new(self.name.clone(), kind)
    }
}

impl AsFd for Client {
    /// To be watched for input together with other descriptors; call [`receive`](Self::receive) with a limit of zero
    /// when it is readable.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("address", &self.address)
            .field("unsent", &self.unsent())
            .field("ended", &self.ended)
            .finish_non_exhaustive()
    }
}
