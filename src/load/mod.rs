//! The load generator: many connections on one reactor per thread, each driven by a protocol like any other.
//!
//! A [`Plan`] says what to do, [`run`] does it, and a [`Report`] says what was found. Requests come *closed* (each
//! connection sends its next one when the last is answered) or *open* (at moments fixed beforehand, whether or not the
//! target keeps up; latency counts from those moments).

mod client;
mod collector;
mod cursor;
mod datagram;
mod expect;
mod find;
mod http;
mod opening;
mod pattern;
mod plan;
mod profile;
mod report;
mod run;
#[cfg(test)]
pub(crate) mod sample;
mod script;
mod shared;
mod statuses;
mod tally;
mod verdict;
mod worker;

pub use self::expect::{Expectation, Finding, Metric, ParseExpectationError, Point, Times};
pub use self::find::{Found, Judgement, judge, search};
pub use self::plan::{Arrival, Close, Content, Exchange, HttpRequest, Plan, Protocol, Sources};
pub use self::profile::Profile;
pub use self::report::{Connections, ErrorKind, Errors, Example, Generator, Report, Second, Udp, Verdict};
pub use self::run::{Failure, Stop, run};
pub use self::statuses::{Http, Statuses};
