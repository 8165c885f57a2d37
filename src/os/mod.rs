//! What the operating system is asked for besides reading and writing: socket options, limits.

pub mod limits;
pub mod sockets;
