//! Many connections opened, held idle, and asked at the end whether they still answer.
//!
//! A [`Plan`] says what to open, [`hold`] opens it on one reactor and holds it for as long as it is told to, and an [`Outcome`] says what
//! became of each connection. Outcomes of several processes are merged.

mod held;
mod kinds;
mod opening;
mod outcome;
mod plan;
mod run;
mod words;

pub use self::kinds::{Kind, Kinds};
pub use self::outcome::Outcome;
pub use self::plan::{Plan, Source};
pub use self::run::{Order, Phase, Progress, hold};
pub use self::words::{Content, Words, WordsError};
