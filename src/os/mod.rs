//! What the operating system is asked for besides reading and writing: socket options, limits, names of
//! hosts.

pub mod limits;
pub mod resolve;
pub mod sockets;
