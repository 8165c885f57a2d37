//! Blocking clients: request and response over any codec, and over datagrams.
//!
//! [`Client`] talks over TCP and Unix stream sockets, [`DatagramClient`] over UDP to one peer, [`ManyClient`] to many
//! at once. Every wait has a limit. Both use
//! non-blocking sockets and poll(2) underneath, because a client that writes until everything is taken, and only then
//! reads, waits for ever for a server that does the same: an echo of more than the sockets' buffers hold.

mod connect;
mod datagram;
mod error;
mod many;
mod output;
mod stream;
mod wait;

pub use self::connect::ConnectOptions;
pub use self::datagram::{DatagramClient, MAX_DATAGRAM};
pub use self::error::{ClientError, ClientErrorKind};
pub use self::many::ManyClient;
pub use self::stream::Client;

pub use crate::codec::Codec;
