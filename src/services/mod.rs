//! The services `oneloop serve` offers, one per file. Each is a [`Service`](crate::session::Service), or, where frames
//! mean nothing to it, a [`Protocol`](crate::session::Protocol), and knows no model.

mod ack;
mod discard;
mod echo;
#[cfg(feature = "exec")]
mod exec;
mod greet;
#[cfg(feature = "http")]
mod http;
mod line_end;
mod once;
mod sink;
mod source;

pub use self::ack::{Ack, AckConfig, DEFAULT_ACK};
pub use self::discard::Discard;
pub use self::echo::Echo;
#[cfg(feature = "exec")]
pub use self::exec::{
    Accept, Commands, Entry, Exec, ExecConfig, ExecRaw, ExecToken, MAX_TOKEN, OUR_FAILURE, RawReply,
    Refusals, STATUS, STDERR, STDOUT, split_words, wire_status,
};
pub use self::greet::{Greet, GreetConfig};
#[cfg(feature = "http")]
pub use self::http::{DEFAULT_MAX_BODY, Hosts, Http, HttpConfig, Root};
pub use self::once::{DEFAULT_REPLY, OnReplied, Once, OnceConfig};
pub use self::sink::Sink;
pub use self::source::Source;
