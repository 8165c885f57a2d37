//! One thread, one poll, every connection: a non-blocking server built directly on mio, without async.
//!
//! A protocol is written once, as a [`Service`](session::Service) of frames or a [`Protocol`](session::Protocol)
//! of bytes, and knows no socket, no thread and no clock. The [`Reactor`] drives it; so does
//! [`testing::SessionPair`], without any socket. Start with [`Reactor`], then read [`session`].

pub mod address;
pub mod attempt;
#[cfg(feature = "lab")]
pub mod audit;
mod batch;
pub mod client;
pub mod codec;
pub mod connection;
pub mod doctor;
pub mod error;
#[cfg(feature = "cli")]
pub mod fleet;
#[cfg(feature = "load")]
pub mod histogram;
#[cfg(feature = "load")]
pub mod hold;
#[cfg(feature = "http")]
pub mod http;
pub mod job;
pub mod kernel;
#[cfg(feature = "lab")]
pub mod lab;
#[cfg(feature = "load")]
pub mod load;
pub mod models;
pub mod os;
pub mod port;
pub mod reactor;
pub mod services;
pub mod session;
pub mod testing;

#[cfg(feature = "cli")]
pub mod cli;

pub use self::address::Address;
pub use self::error::Error;
pub use self::reactor::{Config, Reactor};

/// The Rust of docs/from-python.md, compiled and run as the other examples are.
#[cfg(doctest)]
#[doc = include_str!("../docs/from-python.md")]
mod from_python {}
