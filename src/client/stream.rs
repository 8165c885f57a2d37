//! The client of connections: it reads while it writes.

use std::fmt;
use std::io::Read;
use std::ops::Range;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use rustix::event::PollFlags;
use socket2::Socket;

use super::connect::{self, ConnectOptions};
use super::error::{ClientError, ClientErrorKind};
use super::output::Output;
use super::wait::{Until, wait};
use crate::address::Address;
use crate::attempt::{Attempt, attempt};
use crate::codec::Codec;
use crate::os::resolve::Target;

/// The most that one read returns, and so the longest message with [`Raw`](crate::codec::Raw).
const READ_SIZE: usize = 64 * 1024;

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
    output: Output,
    /// The peer has sent its last byte.
    ended: bool,
    /// The error that was final.
    failed: Option<ClientError>,
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
            output: Output::default(),
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
        self.output.unsent()
    }

    /// Puts a message behind those not yet sent. Nothing is written before the next call that waits.
    ///
    /// # Errors
    /// [`ClientErrorKind::Message`] when the framing cannot carry it; nothing is queued then, and the client can go on.
    pub fn queue(&mut self, payload: &[u8]) -> Result<(), ClientError> {
        let encoded = self.codec.encode(payload, self.output.queue());
        encoded.map_err(|error| self.error(ClientErrorKind::Message(error)))
    }

    /// Ends our side, after everything queued: the peer reads an end of the stream (shutdown(2), SHUT_WR).
    ///
    /// Done by the next call that waits. Nothing may be queued afterwards: it would not be sent.
    pub fn finish(&mut self) {
        self.output.finish();
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
        // What arrives begins the wait inside a pump anew, and is no reason to go on waiting here.
        let mut progress = (self.unsent(), Until::after(limit));
        while let Found::Frame(range) = self.pump(limit, Goal::FrameOrSent)? {
            on_message(&self.input[range])?;
            if self.unsent() < progress.0 {
                progress = (self.unsent(), Until::after(limit));
            } else if !limit.is_zero() && progress.1.has_passed() {
                let error = self.late(limit);
                return Err(self.error(error).into());
            }
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
            if self.output.flush_once(&self.socket) {
                until = Until::after(limit);
            }
            if goal == Goal::FrameOrSent && self.unsent() == 0 {
                return Ok(Found::Sent);
            }
            if self.ended {
                if let Some(kind) = self.output.take_failure() {
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
                Err(self.output.take_failure().unwrap_or_else(|| ClientErrorKind::of_errno(failure.errno)))
            }
        }
    }

    /// Whether the socket became ready for what is to be done.
    fn wait_until(&self, until: Until) -> Result<bool, ClientErrorKind> {
        let mut wanted = PollFlags::empty();
        if !self.ended {
            wanted |= PollFlags::IN;
        }
        if self.output.wants_write() {
            wanted |= PollFlags::OUT;
        }
        wait(&self.socket, wanted, until)
    }

    fn late(&mut self, limit: Duration) -> ClientErrorKind {
        match self.output.take_failure() {
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

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::{Shutdown, TcpListener, TcpStream};
    use std::thread;

    use super::*;
    use crate::codec::{FrameError, LengthPrefixed, Lines, Raw};

    const LIMIT: Duration = Duration::from_secs(30);
    const SHORT: Duration = Duration::from_millis(20);

    fn pair(codec: impl Codec + 'static) -> (Client, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let target = format!("tcp://{}", listener.local_addr().unwrap()).parse().unwrap();
        let client = Client::connect(&target, codec, &ConnectOptions::default()).unwrap();
        let (peer, _) = listener.accept().unwrap();
        peer.set_read_timeout(Some(LIMIT)).unwrap();
        peer.set_write_timeout(Some(LIMIT)).unwrap();
        (client, peer)
    }

    #[test]
    fn no_reply_is_the_one_error_after_which_waiting_goes_on() {
        let (mut client, mut peer) = pair(Lines::default());
        peer.write_all(b"hel").unwrap();
        let late = client.receive(SHORT).unwrap_err();
        assert_eq!(late.kind(), &ClientErrorKind::NoReply { limit: SHORT });
        peer.write_all(b"lo\nx\n").unwrap();
        assert_eq!(client.receive(LIMIT).unwrap(), Some(&b"hello"[..]));
        assert_eq!(client.receive(LIMIT).unwrap(), Some(&b"x"[..]));
        drop(peer);
        assert_eq!(client.receive(LIMIT).unwrap(), None);
        assert_eq!(client.receive(LIMIT).unwrap(), None, "an end stays an end");
    }

    #[test]
    fn what_is_no_frame_is_final() {
        let (mut client, mut peer) = pair(LengthPrefixed::len16(8));
        peer.write_all(b"\0\x02hi\0\x09").unwrap();
        assert_eq!(client.receive(LIMIT).unwrap(), Some(&b"hi"[..]));
        let expected = ClientErrorKind::Frame(FrameError::TooLong { len: 9, max: 8 });
        for _ in 0..2 {
            assert_eq!(client.receive(LIMIT).unwrap_err().kind(), &expected);
        }
    }

    #[test]
    fn what_does_not_fit_is_not_queued_and_the_client_goes_on() {
        let (mut client, mut peer) = pair(LengthPrefixed::len16(8));
        let error = client.queue(b"123456789").unwrap_err();
        assert_eq!(error.kind(), &ClientErrorKind::Message(FrameError::TooLong { len: 9, max: 8 }));
        assert_eq!(client.unsent(), 0);
        client.queue(b"hi").unwrap();
        client.flush(LIMIT, |_| Ok::<(), ClientError>(())).unwrap();
        let mut heard = [0; 4];
        peer.read_exact(&mut heard).unwrap();
        assert_eq!(&heard, b"\0\x02hi");
    }

    #[test]
    fn a_message_larger_than_all_buffers_comes_back_from_an_echo() {
        let large = vec![b'x'; 32 << 20];
        let (mut client, peer) = pair(LengthPrefixed::len32(large.len()));
        thread::spawn(move || std::io::copy(&mut &peer, &mut &peer));
        assert!(client.request(&large, LIMIT).unwrap() == Some(&large[..]));
    }

    #[test]
    fn a_peer_that_has_ended_its_side_still_gets_everything() {
        let (mut client, mut peer) = pair(Raw);
        peer.shutdown(Shutdown::Write).unwrap();
        let reader = thread::spawn(move || {
            let mut all = Vec::new();
            peer.read_to_end(&mut all).map(|_| all.len())
        });
        client.queue(&vec![0; 8 << 20]).unwrap();
        client.finish();
        assert_eq!(client.receive(LIMIT).unwrap(), None);
        assert_eq!(reader.join().unwrap().unwrap(), 8 << 20);
    }

    #[test]
    fn a_peer_that_takes_nothing_is_not_waited_for_for_ever() {
        let (mut client, peer) = pair(Raw);
        client.queue(&vec![0; 64 << 20]).unwrap();
        let error = client.receive(SHORT).unwrap_err();
        assert!(matches!(error.kind(), ClientErrorKind::Stalled { unsent: 1.., limit: SHORT }), "{error}");
        assert_eq!(client.receive(LIMIT).unwrap_err(), error, "it is final");
        drop(peer);
    }

    #[test]
    fn a_peer_that_only_talks_and_takes_nothing_is_not_waited_for_for_ever() {
        let (mut client, mut peer) = pair(Lines::default());
        // What it says first is there before anything else runs.
        peer.write_all(b"blah\n").unwrap();
        let talker = thread::spawn(move || while peer.write_all(b"blah\n").is_ok() {});
        client.queue(&vec![b'x'; 1 << 20]).unwrap();
        for _ in 0..7 {
            client.queue(&vec![b'x'; 1 << 20]).unwrap();
        }
        let mut heard = 0_u64;
        let outcome = client.flush(SHORT, |_| {
            heard += 1;
            Ok::<(), ClientError>(())
        });
        let error = outcome.unwrap_err();
        assert!(matches!(error.kind(), ClientErrorKind::Stalled { unsent: 1.., limit: SHORT }), "{error}");
        assert!(heard > 0);
        drop(client);
        talker.join().unwrap();
    }

    #[test]
    fn a_limit_of_zero_returns_what_is_there() {
        let (mut client, mut peer) = pair(Lines::default());
        let late = ClientErrorKind::NoReply { limit: Duration::ZERO };
        assert_eq!(client.receive(Duration::ZERO).unwrap_err().kind(), &late);
        peer.write_all(b"a\nb\n").unwrap();
        assert_eq!(client.receive(LIMIT).unwrap(), Some(&b"a"[..]));
        assert_eq!(client.receive(Duration::ZERO).unwrap(), Some(&b"b"[..]));
    }

    #[test]
    fn flush_ends_with_the_error_of_whoever_is_handed_messages() {
        let (mut client, mut peer) = pair(Lines::default());
        peer.write_all(b"one\ntwo\n").unwrap();
        assert_eq!(client.receive(LIMIT).unwrap(), Some(&b"one"[..]));
        client.queue(b"hello").unwrap();
        let stop = ClientError::new("test".to_owned(), ClientErrorKind::Reset);
        // It arrived together with the first, and is handed out before anything is written.
        let outcome = client.flush(LIMIT, |message| {
            assert_eq!(message, b"two");
            Err(stop.clone())
        });
        assert_eq!(outcome, Err(stop));
        assert_eq!(client.unsent(), 6);
    }
}
