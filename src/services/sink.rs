//! Where services that print leave their messages. How and where they are printed is decided above.

use std::fmt;
use std::sync::Arc;

use crate::address::Address;
use crate::session::Context;

/// Takes every message with the peer it came from. Each conversation has a clone. Called in the thread that serves the connection: it must not wait.
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
pub struct Sink(Kind);

enum Kind {
    Shared(Arc<Take>),
    Own { make: Arc<Make>, take: Box<Own> },
}

type Take = dyn Fn(&Address, &[u8]) + Send + Sync;

type Own = dyn FnMut(&Address, &[u8]) + Send + Sync;

type Make = dyn Fn() -> Box<Own> + Send + Sync;

impl Sink {
    /// A sink that is this closure.
    pub fn new(take: impl Fn(&Address, &[u8]) + Send + Sync + 'static) -> Self {
        Self(Kind::Shared(Arc::new(take)))
    }

    /// A sink that keeps something from one message of a conversation to its next, such as half a character: `make` is
    /// called for every conversation.
    pub fn for_each<T>(make: impl Fn() -> T + Send + Sync + 'static) -> Self
    where
        T: FnMut(&Address, &[u8]) + Send + Sync + 'static,
    {
        let make: Arc<Make> = Arc::new(move || Box::new(make()));
        let take = make();
        Self(Kind::Own { make, take })
    }

    /// Leaves `message`, looking up whom it came from.
    pub(super) fn put(&mut self, message: &[u8], cx: &Context<'_>) {
        match &mut self.0 {
            Kind::Shared(take) => take(&cx.peer(), message),
            Kind::Own { take, .. } => take(&cx.peer(), message),
        }
    }
}

impl Clone for Sink {
    /// For another conversation: what this one has kept stays with it.
    fn clone(&self) -> Self {
        Self(match &self.0 {
            Kind::Shared(take) => Kind::Shared(Arc::clone(take)),
            Kind::Own { make, .. } => Kind::Own { make: Arc::clone(make), take: make() },
        })
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
