//! Connecting without waiting.

use super::experiment::Page;

pub(super) const PAGES: &[Page] =
    &[Page { path: "src/lab/connect.rs", text: include_str!("connect.rs"), experiments: &[] }];
