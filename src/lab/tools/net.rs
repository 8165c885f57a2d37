//! Sockets in their usual positions: listening, connected. They are blocking, as the kernel makes them.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use socket2::{Domain, Socket, Type};

use super::wait;

/// What SO_SNDBUF and SO_RCVBUF are set to, where nothing else is asked for. Fixed, because what the kernel chooses by itself
/// grows to megabytes while one fills it.
pub const BUFFER: usize = 32 * 1024;

/// Any free port of the loopback.
#[must_use]
pub fn anywhere() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, 0).into()
}

/// A TCP socket with fixed buffers.
///
/// # Errors
/// Those of the calls.
pub fn socket() -> io::Result<Socket> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.set_send_buffer_size(BUFFER)?;
    socket.set_recv_buffer_size(BUFFER)?;
    Ok(socket)
}

/// A listener on a free port. What it accepts inherits its buffers.
///
/// # Errors
/// Those of the calls.
pub fn listener() -> io::Result<Socket> {
    let listener = socket()?;
    listener.bind(&anywhere().into())?;
    listener.listen(128)?;
    Ok(listener)
}

/// Where a socket is bound.
///
/// # Errors
/// Those of getsockname(2); one that is not of IPv4 or IPv6.
pub fn address(socket: &Socket) -> io::Result<SocketAddr> {
    socket.local_addr()?.as_socket().ok_or_else(|| io::ErrorKind::InvalidInput.into())
}

/// A connected pair with fixed buffers: the client, and what the listener accepted. The listener is closed.
///
/// # Errors
/// Those of the calls.
pub fn pair() -> io::Result<(Socket, Socket)> {
    pair_of(&listener()?, socket()?)
}

/// Connects `client` to `listener`, and accepts it.
///
/// # Errors
/// Those of the calls.
pub fn pair_of(listener: &Socket, client: Socket) -> io::Result<(Socket, Socket)> {
    client.connect(&listener.local_addr()?)?;
    wait::readable(listener)?;
    let (server, _) = listener.accept()?;
    Ok((client, server))
}

/// A UDP socket on a free port, with fixed buffers.
///
/// # Errors
/// Those of the calls.
pub fn udp() -> io::Result<Socket> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, None)?;
    socket.set_send_buffer_size(BUFFER)?;
    socket.set_recv_buffer_size(BUFFER)?;
    socket.bind(&anywhere().into())?;
    Ok(socket)
}
