//! Connecting without waiting: how it is pending, how it fails, and between which addresses.

mod addresses;
mod failing;
mod pending;

use super::experiment::Page;

pub(super) const PAGES: &[Page] = &[pending::PAGE, failing::PAGE, addresses::PAGE];
