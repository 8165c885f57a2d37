//! Receiving: what a read returns, and what it means.

use super::experiment::Page;

pub(super) const PAGES: &[Page] =
    &[Page { path: "src/lab/recv.rs", text: include_str!("recv.rs"), experiments: &[] }];
