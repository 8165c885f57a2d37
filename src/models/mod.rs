//! The contrast: the classical models of a server, driving the same sessions as the event loop.
//!
//! - **threads** and **iterative** ([`Blocking`]): sockets that block. A thread per connection, or one thread per listener
//!   that serves one client to its end before it accepts the next.
//! - **spin** ([`SpinKernel`]): sockets that do not block, asked again and again whether there is anything. It is the event
//!   loop itself on a kernel whose poll never waits and says that everything may be possible.
//!
//! Protocols, limits and close reasons are those of the loop. What a model cannot do, docs/models.md says.

mod acceptor;
mod blocking;
mod child;
mod converse;
mod datagrams;
mod orders;
mod peer;
mod registry;
mod spin;

pub use self::blocking::{Blocking, MAX_THREADS, Model};
pub use self::orders::Handle;
pub use self::spin::SpinKernel;
