//! Receiving: what a read returns, and what it means.

mod looking;
mod nothing;
mod states;

use super::experiment::Page;

pub(super) const PAGES: &[Page] = &[nothing::PAGE, looking::PAGE, states::PAGE];
