//! Blocking mode: one bit, who sets it, who shares it, and what waits all the same.

mod flag;
mod waiting;

use super::experiment::Page;

pub(super) const PAGES: &[Page] = &[flag::PAGE, waiting::PAGE];
