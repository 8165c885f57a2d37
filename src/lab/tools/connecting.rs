//! Connections in the making: clients that do not wait, a server that lets them wait, and a port where nobody is.

use std::io;
use std::net::SocketAddr;

use socket2::Socket;

use super::descriptor::set_nonblocking;
use super::{net, wait};
use crate::lab::show::error_name;

/// A non-blocking TCP socket with fixed buffers.
///
/// # Errors
/// Those of the calls.
pub fn client() -> io::Result<Socket> {
    let client = net::socket()?;
    set_nonblocking(&client, true)?;
    Ok(client)
}

/// A listener that drops every SYN, because its queue is full: connecting to it stays pending. Accepting from it makes room, which a
/// client notices when it repeats its SYN, about 1 s after the first.
#[derive(Debug)]
pub struct FullListener {
    /// It has a queue for one connection.
    pub listener: Socket,
    /// The connection in the queue.
    pub queued: Socket,
}

impl FullListener {
    /// # Errors
    /// Those of the calls.
    pub fn new() -> io::Result<Self> {
        let (listener, queued) = (net::socket()?, net::socket()?);
        listener.bind(&net::anywhere().into())?;
        listener.listen(0)?;
        queued.connect(&listener.local_addr()?)?;
        wait::readable(&listener)?;
        Ok(Self { listener, queued })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// Those of getsockname(2).
    pub fn address(&self) -> io::Result<SocketAddr> {
        net::address(&self.listener)
    }
}

/// A port where nobody listens: a socket is bound there, so that nobody else can be. It refuses for as long as the socket is kept.
///
/// # Errors
/// Those of the calls.
pub fn closed_port() -> io::Result<(Socket, SocketAddr)> {
    let bound = net::socket()?;
    bound.bind(&net::anywhere().into())?;
    let address = net::address(&bound)?;
    Ok((bound, address))
}

/// connect(2).
///
/// # Errors
/// Those of the call.
pub fn connect(socket: &Socket, to: SocketAddr) -> io::Result<()> {
    socket.connect(&to.into())
}

/// SO_ERROR, which this clears: `0` or the error's name.
///
/// # Errors
/// Those of getsockopt(2).
pub fn so_error(socket: &Socket) -> io::Result<String> {
    Ok(socket.take_error()?.map_or_else(|| "0".to_owned(), |error| error_name(&error)))
}

/// getpeername(2).
///
/// # Errors
/// Those of the call: ENOTCONN. An address that is not of IPv4 or IPv6.
pub fn peer(socket: &Socket) -> io::Result<SocketAddr> {
    socket.peer_addr()?.as_socket().ok_or_else(|| io::ErrorKind::InvalidInput.into())
}
