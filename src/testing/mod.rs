//! Tools for testing protocols and services, of this crate and of yours: no sockets needed.
//!
//! [`SessionPair`] drives one conversation by hand, with virtual time. [`ScriptedStream`] is the socket below it.

mod pair;
mod scripted;

pub use self::pair::SessionPair;
pub use self::scripted::ScriptedStream;
