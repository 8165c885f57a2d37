//! The load generator against servers of every kind, good and bad, on loopback.

#![cfg(feature = "load")]
#![allow(clippy::unwrap_used, reason = "a test says with a panic what went wrong")]

mod http;
mod plans;
mod servers;
mod smoke;
mod sums;
mod truth;
mod wrong;
