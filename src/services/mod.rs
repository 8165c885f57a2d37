//! The services `oneloop serve` offers, one per file. Each is a [`Service`](crate::session::Service) and knows no model.

mod echo;
mod greet;

pub use self::echo::Echo;
pub use self::greet::{Greet, GreetConfig};
