//! Auditing a load generator: it is run against a server that stalls at known moments, and what it prints is compared with what
//! users would have had.
//!
//! [`Schedule`] says when the server stalls, [`Server`] does it, [`Command`] runs the generator, [`read`] understands what
//! it prints, [`Truth`] is what users would have had, and [`Judgement`] compares the two. Only the server and the command
//! do I/O; the rest is arithmetic. docs/audit.md explains it.

mod command;
mod figures;
mod http;
mod judge;
mod log;
mod parse;
mod reply;
mod schedule;
mod server;
mod truth;

pub use self::command::{Command, Ending, Output, Place};
pub use self::figures::{Figure, Figures};
pub use self::judge::{Factor, Judgement, Row, Verdict, window};
pub use self::log::{Observed, Style};
pub use self::parse::{Reading, read};
pub use self::schedule::{Schedule, ScheduleError, Stall};
pub use self::server::{Kept, Record, Server, Settings};
pub use self::truth::{Truth, drain_speeds};
