//! Requests and replies over UDP: one message is one datagram, and any of them may be lost.

use std::fmt;
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use rustix::event::PollFlags;
use socket2::Socket;

use super::connect::{self, ConnectOptions};
use super::error::{ClientError, ClientErrorKind};
use super::wait::{Until, wait};
use crate::address::Address;
use crate::attempt::{Attempt, attempt};
use crate::os::resolve::Target;

/// The largest payload of a UDP datagram over IPv4: 65,535 less the headers of IP and UDP (RFC 768, RFC 791).
pub const MAX_DATAGRAM: usize = 65_507;

/// Room for the largest datagram there can be, so that none is cut off silently (udp(7)).
pub(super) const BUFFER: usize = 65_535;

/// How long a full send buffer is waited for.
pub(super) const SEND_LIMIT: Duration = Duration::from_secs(5);

/// A UDP or Unix datagram socket connected to one peer: it hears nobody else, and hears that nobody listens there.
///
/// # Several addresses
/// UDP connects without asking anybody, so which address of a name is the right one shows only later: as long as
/// nothing has been received and the peer refuses, the next address is taken and the last message sent again.
///
/// ```
/// use std::net::UdpSocket;
/// use std::time::Duration;
/// use oneloop::client::{ConnectOptions, DatagramClient};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let server = UdpSocket::bind("127.0.0.1:0")?;
/// let url = format!("udp://{}", server.local_addr()?);
/// let mut client = DatagramClient::connect(&url.parse()?, &ConnectOptions::default())?;
/// client.send(b"hello")?;
///
/// let mut buffer = [0; 16];
/// let (len, from) = server.recv_from(&mut buffer)?;
/// server.send_to(&buffer[..len], from)?;
/// assert_eq!(client.receive(Duration::from_secs(5))?, b"hello");
/// # Ok(())
/// # }
/// ```
pub struct DatagramClient {
    socket: Socket,
    address: Address,
    target: Target,
    options: ConnectOptions,
    /// Addresses to be tried when this one refuses.
    others: std::vec::IntoIter<SocketAddr>,
    heard: bool,
    last: Vec<u8>,
    buffer: Box<[u8]>,
}

impl DatagramClient {
    /// Connects to the first address of `target` for which there is a way.
    ///
    /// # Errors
    /// [`ClientError`]: the name has no address, or there is no way to any. A target that is a stream is
    /// [`WrongSocket`](ClientErrorKind::WrongSocket).
    pub fn connect(target: &Target, options: &ConnectOptions) -> Result<Self, ClientError> {
        if !target.is_datagram() {
            return Err(ClientError::new(target.to_string(), ClientErrorKind::WrongSocket));
        }
        if let Target::Unixgram(name) = target {
            let fail = |kind| ClientError::new(target.to_string(), kind);
            let socket = connect::connect_unixgram(name).map_err(fail)?;
            let nobody = Vec::new().into_iter();
            return Ok(Self::of(socket, Address::Unixgram(name.clone()), target, options, nobody));
        }
        let found = connect::candidates(target, options)?;
        Self::over(target, found.iter().filter_map(Address::socket_addr).collect(), options)
    }

    fn over(target: &Target, addrs: Vec<SocketAddr>, options: &ConnectOptions) -> Result<Self, ClientError> {
        let fail = |kind| ClientError::new(target.to_string(), kind);
        let mut others = addrs.into_iter();
        let (socket, addr) = first(&mut others, options, ClientErrorKind::Unreachable).map_err(fail)?;
        Ok(Self::of(socket, Address::Udp(addr), target, options, others))
    }

    fn of(
        socket: Socket,
        address: Address,
        target: &Target,
        options: &ConnectOptions,
        others: std::vec::IntoIter<SocketAddr>,
    ) -> Self {
        Self {
            socket,
            address,
            target: target.clone(),
            options: options.clone(),
            others,
            heard: false,
            last: Vec::new(),
            buffer: vec![0; BUFFER].into(),
        }
    }

    /// The address that is talked to now.
    #[must_use]
    pub const fn address(&self) -> &Address {
        &self.address
    }

    /// How errors call the peer: the target as it was named, with its address where that says more.
    #[must_use]
    pub fn name(&self) -> String {
        connect::label(&self.target, &self.address)
    }

    /// Sends one datagram of at most [`MAX_DATAGRAM`] bytes; it may be empty.
    ///
    /// # Errors
    /// [`DatagramTooLong`](ClientErrorKind::DatagramTooLong); [`Refused`](ClientErrorKind::Refused), which then is
    /// the answer to an earlier datagram; and what send(2) says.
    pub fn send(&mut self, payload: &[u8]) -> Result<(), ClientError> {
        let (len, max) = (payload.len(), MAX_DATAGRAM);
        if len > max {
            return Err(self.error(ClientErrorKind::DatagramTooLong { len, max }));
        }
        self.last.clear();
        self.last.extend_from_slice(payload);
        self.resend()
    }

    /// Sends the last datagram once more: any datagram may be lost, and so may its reply.
    ///
    /// # Errors
    /// Those of [`send`](Self::send).
    pub fn resend(&mut self) -> Result<(), ClientError> {
        let until = Until::after(SEND_LIMIT);
        loop {
            let (socket, last) = (&self.socket, &self.last);
            let kind = match attempt(|| (&mut &*socket).write(last)) {
                Attempt::Done(_) => return Ok(()),
                Attempt::WouldBlock => match wait(&self.socket, PollFlags::OUT, until) {
                    Ok(true) => continue,
                    Ok(false) => ClientErrorKind::Stalled { unsent: self.last.len(), limit: SEND_LIMIT },
                    Err(kind) => kind,
                },
                Attempt::Failed(failure) => ClientErrorKind::of_errno(failure.errno),
            };
            self.move_on(kind)?;
        }
    }

    /// Waits for the next datagram, which may be empty. A limit of zero returns what is there.
    ///
    /// # Errors
    /// [`ClientErrorKind::NoReply`] when none has arrived in time, [`Refused`](ClientErrorKind::Refused) when nobody
    /// listens there, and what recv(2) says. All of them allow to go on.
    pub fn receive(&mut self, limit: Duration) -> Result<&[u8], ClientError> {
        let until = Until::after(limit);
        let len = loop {
            let (socket, buffer) = (&self.socket, &mut self.buffer);
            match attempt(|| (&mut &*socket).read(buffer)) {
                Attempt::Done(len) => break len,
                Attempt::WouldBlock => match wait(&self.socket, PollFlags::IN, until) {
                    Ok(true) => {}
                    Ok(false) => return Err(self.error(ClientErrorKind::NoReply { limit })),
                    Err(kind) => return Err(self.error(kind)),
                },
                Attempt::Failed(failure) => {
                    self.move_on(ClientErrorKind::of_errno(failure.errno))?;
                    self.resend()?;
                }
            }
        };
        self.heard = true;
        Ok(&self.buffer[..len])
    }

    /// Takes the next address instead of one that refuses, or gives `kind` back as an error.
    fn move_on(&mut self, kind: ClientErrorKind) -> Result<(), ClientError> {
        if kind != ClientErrorKind::Refused || self.heard || self.others.len() == 0 {
            return Err(self.error(kind));
        }
        match first(&mut self.others, &self.options, kind) {
            Ok((socket, addr)) => {
                (self.socket, self.address) = (socket, Address::Udp(addr));
                Ok(())
            }
            Err(kind) => Err(self.error(kind)),
        }
    }

    fn error(&self, kind: ClientErrorKind) -> ClientError {
        ClientError::new(self.name(), kind)
    }
}

/// A socket for the first address for which there is a way, else the last failure, or `none` without any address.
fn first(
    addrs: &mut impl Iterator<Item = SocketAddr>,
    options: &ConnectOptions,
    none: ClientErrorKind,
) -> Result<(Socket, SocketAddr), ClientErrorKind> {
    let mut failure = none;
    for addr in addrs {
        match connect::connect_udp(addr, options) {
            Ok(socket) => return Ok((socket, addr)),
            Err(kind) => failure = kind,
        }
    }
    Err(failure)
}

impl AsFd for DatagramClient {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl fmt::Debug for DatagramClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DatagramClient")
            .field("address", &self.address)
            .field("heard", &self.heard)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(30);

    /// A port that refuses everybody while the socket is kept: it hears nobody but its peer.
    fn refusing() -> (UdpSocket, SocketAddr) {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.connect("127.0.0.1:1").unwrap();
        let addr = socket.local_addr().unwrap();
        (socket, addr)
    }

    #[test]
    fn an_address_that_refuses_is_left_for_the_next_and_the_message_sent_there() {
        let server = UdpSocket::bind("127.0.0.1:0").unwrap();
        server.set_read_timeout(Some(LIMIT)).unwrap();
        let (addr, (_kept, refused)) = (server.local_addr().unwrap(), refusing());
        let (target, options) = ("udp://name:1".parse().unwrap(), ConnectOptions::default());
        let mut client = DatagramClient::over(&target, vec![refused, addr], &options).unwrap();
        client.send(b"hello").unwrap();
        let answered = std::thread::spawn(move || {
            let mut buffer = [0; 16];
            let (len, from) = server.recv_from(&mut buffer).unwrap();
            server.send_to(b"reply", from).unwrap();
            buffer[..len].to_vec()
        });
        assert_eq!(client.receive(LIMIT).unwrap(), b"reply");
        assert_eq!(answered.join().unwrap(), b"hello");
        assert_eq!(client.address(), &Address::Udp(addr));
    }

    #[test]
    fn the_last_address_that_refuses_is_told() {
        let ((_one, first), (_two, last)) = (refusing(), refusing());
        let (target, options) = ("udp://name:1".parse().unwrap(), ConnectOptions::default());
        let mut client = DatagramClient::over(&target, vec![first, last], &options).unwrap();
        client.send(b"").unwrap();
        let error = client.receive(LIMIT).unwrap_err();
        assert_eq!(error.kind(), &ClientErrorKind::Refused);
        assert!(error.to_string().contains(&last.to_string()), "{error}");
    }

    #[test]
    fn what_does_not_fit_is_not_sent() {
        let server = UdpSocket::bind("127.0.0.1:0").unwrap();
        let target = format!("udp://{}", server.local_addr().unwrap()).parse().unwrap();
        let mut client = DatagramClient::connect(&target, &ConnectOptions::default()).unwrap();
        let error = client.send(&vec![0; MAX_DATAGRAM + 1]).unwrap_err();
        let expected = ClientErrorKind::DatagramTooLong { len: MAX_DATAGRAM + 1, max: MAX_DATAGRAM };
        assert_eq!(error.kind(), &expected);
    }

    #[test]
    fn each_client_has_its_own_kind_of_address() {
        let error = DatagramClient::connect(&"unix:/a".parse().unwrap(), &ConnectOptions::default());
        assert_eq!(error.err().unwrap().kind(), &ClientErrorKind::WrongSocket);
    }
}
