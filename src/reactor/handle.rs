//! Telling a reactor from another thread to stop.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::kernel::Signals;

/// Orders given from outside, and the waker that announces them (eventfd(2)).
#[derive(Debug)]
pub(super) struct Orders {
    /// 0 nothing, 1 drain, 2 stop at once.
    stop: AtomicU32,
    waker: mio::Waker,
}

impl Orders {
    pub(super) const fn new(waker: mio::Waker) -> Self {
        Self { stop: AtomicU32::new(0), waker }
    }

    pub(super) fn take(&self) -> Signals {
        let order = self.stop.swap(0, Ordering::AcqRel);
        Signals { drain: order >= 1, at_once: order >= 2, ..Signals::default() }
    }

    fn give(&self, order: u32) {
        self.stop.fetch_max(order, Ordering::AcqRel);
        // It fails only when the reactor is gone, and then there is nobody left to stop.
        let _ = self.waker.wake();
    }
}

/// Stops a [`Reactor`](super::Reactor) from another thread. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Handle {
    pub(super) orders: Arc<Orders>,
}

impl Handle {
    /// Begins a drain: what was received or queued is answered, then the loop ends.
    pub fn stop(&self) {
        self.orders.give(1);
    }

    /// Ends the loop at once.
    pub fn stop_now(&self) {
        self.orders.give(2);
    }
}
