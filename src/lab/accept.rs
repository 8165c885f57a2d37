//! Accepting, and the queue of those who wait for it.

use super::experiment::Page;

pub(super) const PAGES: &[Page] =
    &[Page { path: "src/lab/accept.rs", text: include_str!("accept.rs"), experiments: &[] }];
