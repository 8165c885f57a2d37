//! Programs that tutorials give, and what is wrong with them.

use super::experiment::Page;

pub(super) const PAGES: &[Page] =
    &[Page { path: "src/lab/samples.rs", text: include_str!("samples.rs"), experiments: &[] }];
