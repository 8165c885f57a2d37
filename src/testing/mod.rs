//! Tools for testing protocols and services, of this crate and of yours: no sockets needed.
//!
//! [`SessionPair`] drives one conversation by hand, with virtual time; [`ScriptedStream`] is the socket below it.
//! [`DatagramPair`] does the same for a socket of datagrams.
//! [`sim`] is a whole kernel below a whole reactor: nothing is scripted, everything goes wrong.

mod datagrams;
mod pair;
mod scripted;
pub mod sim;

pub use self::datagrams::{DatagramPair, ScriptedDatagrams};
pub use self::pair::SessionPair;
pub use self::scripted::ScriptedStream;
