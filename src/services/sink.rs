//! Where services that print leave their messages. How and where they are printed is decided above.

use std::fmt;
use std::sync::Arc;

use crate::address::Address;
use crate::session::Context;

/// Takes every message with the peer it came from. Called in the thread that serves the connection: it must not wait.
///
/// ```
/// use std::sync::{Arc, Mutex};
///
/// use oneloop::codec::Raw;
/// use oneloop::services::{Discard, Sink};
/// use oneloop::session::Framed;
/// use oneloop::testing::SessionPair;
///
/// let seen = Arc::new(Mutex::new(Vec::new()));
/// let sink = { let seen = Arc::clone(&seen); Sink::new(move |_, message| seen.lock().unwrap().extend_from_slice(message)) };
/// SessionPair::new(Framed::new(Raw, Discard::new(Some(sink)))).send(b"hello");
/// assert_eq!(*seen.lock().unwrap(), b"hello");
/// ```
#[derive(Clone)]
pub struct Sink(Arc<Take>);

type Take = dyn Fn(&Address, &[u8]) + Send + Sync;

impl Sink {
    /// A sink that is this closure.
    pub fn new(take: impl Fn(&Address, &[u8]) + Send + Sync + 'static) -> Self {
        Self(Arc::new(take))
    }

    /// Leaves `message`, looking up whom it came from.
    pub(super) fn put(&self, message: &[u8], cx: &Context<'_>) {
        (self.0)(&cx.peer(), message);
    }
}

impl fmt::Debug for Sink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sink")
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::sync::Mutex;

    use super::*;

    /// A sink, and the messages it has taken.
    pub(in crate::services) fn collecting() -> (Sink, Arc<Mutex<Vec<Vec<u8>>>>) {
        let taken = Arc::new(Mutex::new(Vec::new()));
        let to = Arc::clone(&taken);
        (Sink::new(move |_, message| to.lock().unwrap().push(message.to_vec())), taken)
    }
}
