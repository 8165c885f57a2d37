//! Closing, what remains of a connection, and who may bind where.

use super::experiment::Page;

pub(super) const PAGES: &[Page] =
    &[Page { path: "src/lab/closing.rs", text: include_str!("closing.rs"), experiments: &[] }];
