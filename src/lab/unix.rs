//! Unix sockets and pipes.

use super::experiment::Page;

pub(super) const PAGES: &[Page] =
    &[Page { path: "src/lab/unix.rs", text: include_str!("unix.rs"), experiments: &[] }];
