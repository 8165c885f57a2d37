//! Closing, what remains of a connection, and who may bind where.

mod bind;
mod half;
mod remains;
mod reset;
mod restart;

use super::experiment::Page;

pub(super) const PAGES: &[Page] = &[reset::PAGE, half::PAGE, remains::PAGE, restart::PAGE, bind::PAGE];
