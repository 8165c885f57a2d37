//! What the operating system is asked for besides the poll: sockets and their options, limits.

pub mod datagrams;
pub mod limits;
pub mod sockets;
pub mod stream;
mod unix;

pub use self::unix::SocketFile;
