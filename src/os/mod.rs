//! What the operating system is asked for besides the poll: sockets and their options, limits, names of hosts.

#[cfg(all(feature = "exec", target_os = "linux"))]
pub mod children;
pub mod datagrams;
#[cfg(feature = "cli")]
pub mod descriptors;
pub mod dial;
pub mod limits;
pub mod memory;
pub mod multicast;
pub mod resolve;
pub mod sockets;
pub mod stream;
mod unix;
#[cfg(feature = "load")]
pub mod usage;

pub use self::unix::SocketFile;
