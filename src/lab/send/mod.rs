//! Sending: what a write takes, where it goes, and what becomes of it.

mod buffers;
mod ends;
mod partial;
mod whole;

use super::experiment::Page;

pub(super) const PAGES: &[Page] = &[partial::PAGE, whole::PAGE, ends::PAGE, buffers::PAGE];
