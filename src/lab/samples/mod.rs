//! Programs that tutorials give, and what is wrong with them.

mod children;
mod framing;
mod loops;
mod models;

use super::experiment::Page;

pub(super) const PAGES: &[Page] = &[framing::PAGE, loops::PAGE, children::PAGE, models::PAGE];
