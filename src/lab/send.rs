//! Sending: how much of it is taken, and what a success is worth.

use super::experiment::Page;

pub(super) const PAGES: &[Page] =
    &[Page { path: "src/lab/send.rs", text: include_str!("send.rs"), experiments: &[] }];
