//! How a driver gets a protocol for each new conversation.

use std::sync::Arc;

use super::protocol::Protocol;
use crate::address::Address;

/// The two ends of a new conversation, as a factory sees them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// The other side.
    pub address: Address,
    /// Our side: the listener's address.
    pub local: Address,
}

/// Makes the protocol of one conversation. Called in the thread that will own it, so a protocol need not be `Send`.
pub type Factory = Arc<dyn Fn(&Peer) -> Box<dyn Protocol> + Send + Sync>;

/// Boxes a closure as a [`Factory`].
pub fn factory<P: Protocol + 'static>(make: impl Fn(&Peer) -> P + Send + Sync + 'static) -> Factory {
    Arc::new(move |peer| Box::new(make(peer)))
}
