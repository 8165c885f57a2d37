//! Orders from other threads: to stop, and to report.

use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use crate::kernel::Signals;

/// What was ordered and not yet taken.
#[derive(Debug, Default)]
struct Pending {
    /// Something was ordered: the only thing that is asked often.
    any: AtomicBool,
    stops: AtomicU32,
    last: AtomicI32,
    reports: AtomicU32,
    drain: AtomicBool,
    at_once: AtomicBool,
}

/// Stops a driver from another thread, or lets it log its statistics. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Handle {
    pending: Arc<Pending>,
    waker: Arc<Mutex<PipeWriter>>,
}

impl Handle {
    /// Begins a drain: what was received or queued is answered, then the driver ends.
    pub fn stop(&self) {
        self.pending.drain.store(true, Ordering::Release);
        self.announce();
    }

    /// Ends the driver at once.
    pub fn stop_now(&self) {
        self.pending.at_once.store(true, Ordering::Release);
        self.announce();
    }

    /// A signal to stop has come: the first begins a drain, a second one ends the driver at once.
    pub fn signal(&self, number: i32) {
        self.pending.last.store(number, Ordering::Release);
        self.pending.stops.fetch_add(1, Ordering::AcqRel);
        self.announce();
    }

    /// Logs the statistics.
    pub fn report(&self) {
        self.pending.reports.fetch_add(1, Ordering::AcqRel);
        self.announce();
    }

    fn announce(&self) {
        self.pending.any.store(true, Ordering::Release);
        self.wake();
    }

    /// Wakes the driver without an order. It fails only when the driver is gone, or has not read so many earlier ones.
    pub(super) fn wake(&self) {
        if let Ok(mut waker) = self.waker.lock() {
            let _ = waker.write(&[1]);
        }
    }
}

/// The driver's end.
#[derive(Debug)]
pub(super) struct Orders {
    pending: Arc<Pending>,
    reader: PipeReader,
}

impl Orders {
    /// Both ends.
    pub(super) fn new() -> io::Result<(Self, Handle)> {
        let (reader, writer) = io::pipe()?;
        rustix::io::ioctl_fionbio(&reader, true)?;
        rustix::io::ioctl_fionbio(&writer, true)?;
        let pending = Arc::new(Pending::default());
        let handle = Handle { pending: pending.clone(), waker: Arc::new(Mutex::new(writer)) };
        Ok((Self { pending, reader }, handle))
    }

    /// Whether there is anything to take.
    #[inline]
    pub(super) fn any(&self) -> bool {
        self.pending.any.load(Ordering::Acquire)
    }

    /// Takes all orders.
    pub(super) fn take(&mut self) -> Signals {
        let mut wakes = [0; 64];
        while matches!(self.reader.read(&mut wakes), Ok(count) if count == wakes.len()) {}
        self.pending.any.store(false, Ordering::Release);
        Signals {
            stops: self.pending.stops.swap(0, Ordering::AcqRel),
            last: self.pending.last.load(Ordering::Acquire),
            reports: self.pending.reports.swap(0, Ordering::AcqRel),
            drain: self.pending.drain.swap(false, Ordering::AcqRel),
            at_once: self.pending.at_once.swap(false, Ordering::AcqRel),
        }
    }
}

impl AsFd for Orders {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.reader.as_fd()
    }
}
