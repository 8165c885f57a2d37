//! What so many connections need, whether this machine has it, and afterwards which of the kernel's limits bit.
//!
//! Before a run: [`Machine::read`] looks at the limits of the system, and [`examine`] compares them with what a
//! [`Question`] needs, by arithmetic alone. The [`Diagnosis`] names the limit that stops first, at which number, and
//! what raises it. After a run: [`Counters`] read before and after say what the kernel dropped meanwhile, and why.
//!
//! What cannot be read is unknown, never an error, and nothing unknown says no.
//!
//! ```
//! use oneloop::doctor::{Machine, Question, examine};
//!
//! let diagnosis = examine(&Machine::read(), &Question::new(10));
//! assert!(diagnosis.is_possible(), "{}", diagnosis.text());
//! ```

mod check;
mod counters;
mod diagnosis;
mod findings;
mod machine;
mod needs;
mod number;
mod question;
mod text;

pub use self::check::{Check, Effect, Limit, Remedies, Remedy, Unit, Verdict};
pub use self::counters::{Counter, Counters};
pub use self::diagnosis::{Diagnosis, Processes, examine};
pub use self::findings::{Finding, delta};
pub use self::machine::{Files, Machine, Memory, Pages, Ports, Privileges, Sockets, Tasks, UNLIMITED};
pub use self::needs::{BACKLOG, DESCRIPTOR_RESERVE, MAX_THREADS};
pub use self::question::{Model, Question, Role, Targets};
