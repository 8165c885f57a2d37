//! One question, many answers: datagrams to every host of a network (broadcast) or of a group (multicast).

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use rustix::event::PollFlags;
use rustix::net::{RecvFlags, SendFlags, recvfrom, sendto};
use socket2::{Domain, Protocol, Socket, Type};

use super::connect::{self, ConnectOptions};
use super::datagram::{BUFFER, MAX_DATAGRAM, SEND_LIMIT};
use super::error::{ClientError, ClientErrorKind};
use super::wait::{Until, wait};
use crate::address::Address;
use crate::attempt::{Attempt, attempt};
use crate::os::multicast::Sending;
use crate::os::resolve::Target;

/// A UDP socket that is not connected, because whoever answers does so from an address of its own. Anybody who knows the port may
/// answer: whom an answer is from comes with it, and is all that is known.
///
/// ```
/// use std::net::UdpSocket;
/// use std::time::Duration;
/// use oneloop::client::{ConnectOptions, ManyClient};
/// use oneloop::os::multicast::Sending;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// // Every host of the network 127.0.0.0/8 is this one.
/// let server = UdpSocket::bind("0.0.0.0:0")?;
/// let url = format!("udp://127.255.255.255:{}", server.local_addr()?.port());
/// let mut client = ManyClient::open(&url.parse()?, &ConnectOptions::default(), &Sending::default())?;
/// client.send(b"who is there?")?;
///
/// let mut buffer = [0; 16];
/// let (len, from) = server.recv_from(&mut buffer)?;
/// server.send_to(b"me", from)?;
/// let (answer, who) = client.receive(Duration::from_secs(5))?;
/// assert_eq!((answer, who.port()), (&b"me"[..], server.local_addr()?.port()));
/// # Ok(())
/// # }
/// ```
pub struct ManyClient {
    socket: Socket,
    to: SocketAddr,
    target: Target,
    last: Vec<u8>,
    buffer: Box<[u8]>,
}

impl ManyClient {
    /// A socket that may send to `target`, a broadcast address of IPv4 or a group.
    ///
    /// # Errors
    /// [`ClientError`]: the name has no address, the local address or the interface cannot be had.
    pub fn open(target: &Target, options: &ConnectOptions, sending: &Sending) -> Result<Self, ClientError> {
        let fail = |kind| ClientError::new(target.to_string(), kind);
        if !matches!(target, Target::Udp(_)) {
            return Err(fail(ClientErrorKind::WrongSocket));
        }
        let found = connect::candidates(target, options)?;
        let Some(to) = found.iter().find_map(Address::socket_addr) else {
            return Err(fail(ClientErrorKind::Unreachable));
        };
        let socket = socket(to, options, sending).map_err(fail)?;
        Ok(Self { socket, to, target: target.clone(), last: Vec::new(), buffer: vec![0; BUFFER].into() })
    }

    /// How errors call those who are asked.
    #[must_use]
    pub fn name(&self) -> String {
        connect::label(&self.target, &Address::Udp(self.to))
    }

    /// Sends one datagram of at most [`MAX_DATAGRAM`] bytes to all of them.
    ///
    /// # Errors
    /// [`DatagramTooLong`](ClientErrorKind::DatagramTooLong), and what sendto(2) says.
    pub fn send(&mut self, payload: &[u8]) -> Result<(), ClientError> {
        let (len, max) = (payload.len(), MAX_DATAGRAM);
        if len > max {
            return Err(self.error(ClientErrorKind::DatagramTooLong { len, max }));
        }
        self.last.clear();
        self.last.extend_from_slice(payload);
        self.resend()
    }

    /// Sends the last datagram once more.
    ///
    /// # Errors
    /// Those of [`send`](Self::send).
    pub fn resend(&self) -> Result<(), ClientError> {
        let until = Until::after(SEND_LIMIT);
        loop {
            match attempt(|| Ok(sendto(&self.socket, &self.last, SendFlags::DONTWAIT, &self.to)?)) {
                Attempt::Done(_) => return Ok(()),
                Attempt::WouldBlock => match wait(&self.socket, PollFlags::OUT, until) {
                    Ok(true) => {}
                    Ok(false) => {
                        let unsent = self.last.len();
                        return Err(self.error(ClientErrorKind::Stalled { unsent, limit: SEND_LIMIT }));
                    }
                    Err(kind) => return Err(self.error(kind)),
                },
                Attempt::Failed(failure) => {
                    return Err(self.error(ClientErrorKind::of_errno(failure.errno)));
                }
            }
        }
    }

    /// Waits for the next answer, and says whom it is from. A limit of zero returns what is there.
    ///
    /// # Errors
    /// [`NoReply`](ClientErrorKind::NoReply) when none has arrived in time, and what recvfrom(2) says.
    pub fn receive(&mut self, limit: Duration) -> Result<(&[u8], SocketAddr), ClientError> {
        let until = Until::after(limit);
        loop {
            let (socket, buffer) = (&self.socket, &mut self.buffer);
            let kind = match attempt(|| Ok(recvfrom(socket, &mut buffer[..], RecvFlags::DONTWAIT)?)) {
                Attempt::Done((_, len, from)) => {
                    // Without an address nobody could be named: it is no answer.
                    match from.and_then(|from| SocketAddr::try_from(from).ok()) {
                        Some(from) => return Ok((&self.buffer[..len], from)),
                        None => continue,
                    }
                }
                Attempt::WouldBlock => match wait(&self.socket, PollFlags::IN, until) {
                    Ok(true) => continue,
                    Ok(false) => ClientErrorKind::NoReply { limit },
                    Err(kind) => kind,
                },
                Attempt::Failed(failure) => ClientErrorKind::of_errno(failure.errno),
            };
            return Err(self.error(kind));
        }
    }

    fn error(&self, kind: ClientErrorKind) -> ClientError {
        ClientError::new(self.name(), kind)
    }
}

fn socket(to: SocketAddr, options: &ConnectOptions, sending: &Sending) -> Result<Socket, ClientErrorKind> {
    let fail = |error: std::io::Error| ClientErrorKind::of(&error);
    let socket = Socket::new(Domain::for_address(to), Type::DGRAM, Some(Protocol::UDP)).map_err(fail)?;
    if let Some(local) = options.bind {
        connect::bind(&socket, local)?;
    }
    match to.ip() {
        ip if ip.is_multicast() => {
            sending
                .apply(&socket, ip)
                .map_err(|error| ClientErrorKind::Interface { why: error.to_string() })?;
        }
        IpAddr::V4(_) => socket.set_broadcast(true).map_err(fail)?,
        IpAddr::V6(_) => return Err(ClientErrorKind::NoBroadcast),
    }
    socket.set_nonblocking(true).map_err(fail)?;
    Ok(socket)
}

impl AsFd for ManyClient {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl fmt::Debug for ManyClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ManyClient").field("to", &self.to).finish_non_exhaustive()
    }
}
