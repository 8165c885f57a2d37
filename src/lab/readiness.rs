//! Readiness: what select, poll and epoll say, and when they say it.

use super::experiment::Page;

pub(super) const PAGES: &[Page] =
    &[Page { path: "src/lab/readiness.rs", text: include_str!("readiness.rs"), experiments: &[] }];
