//! Unix sockets and pipes: what stays within one machine.

mod pipes;
mod sockets;

use super::experiment::Page;

pub(super) const PAGES: &[Page] = &[sockets::PAGE, pipes::PAGE];
