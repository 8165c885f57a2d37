//! SIGINT and SIGTERM: the first one ends the run, whose report is printed all the same; a second ends the program.

use std::io;
use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::thread;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::load::Stop;

/// Which signal has come, if any.
#[derive(Debug, Clone)]
pub(super) struct Interrupt(Arc<AtomicI32>);

impl Interrupt {
    /// Watches for both, in a thread of its own, and stops `stop` on the first.
    pub(super) fn watch(stop: &Stop) -> io::Result<Self> {
        let mut signals = Signals::new([SIGINT, SIGTERM])?;
        let came = Self(Arc::new(AtomicI32::new(0)));
        let (stop, first) = (stop.clone(), came.clone());
        thread::Builder::new().name("signals".to_owned()).spawn(move || {
            for signal in signals.forever() {
                if first.signal().is_some() {
                    process::exit(128 + signal);
                }
                first.0.store(signal, Ordering::Release);
                stop.stop();
            }
        })?;
        Ok(came)
    }

    /// The first signal.
    pub(super) fn signal(&self) -> Option<i32> {
        Some(self.0.load(Ordering::Acquire)).filter(|signal| *signal != 0)
    }
}
