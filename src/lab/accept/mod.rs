//! Accepting, and the backlog: how long the queue is, and what happened to those in it meanwhile.

mod backlog;
mod queued;

use super::experiment::Page;

pub(super) const PAGES: &[Page] = &[backlog::PAGE, queued::PAGE];
