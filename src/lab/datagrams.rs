//! Streams have no boundaries; datagrams have, and are lost.

use super::experiment::Page;

pub(super) const PAGES: &[Page] =
    &[Page { path: "src/lab/datagrams.rs", text: include_str!("datagrams.rs"), experiments: &[] }];
