//! The load generator against servers of every kind, good and bad, on loopback.

#![cfg(feature = "load")]

mod plans;
mod servers;
mod smoke;
mod truth;
mod wrong;
