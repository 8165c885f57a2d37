//! Signals for whoever waits for the news of a fleet: they come among them.

use std::thread;

use signal_hook::consts::{SIGINT, SIGTERM, SIGUSR1};
use signal_hook::iterator::Signals;

use super::exit::Failure;
use crate::error::Error;
use crate::fleet::Courier;

/// Passes SIGINT, SIGTERM and SIGUSR1 on from now.
///
/// # Errors
/// They cannot be registered, or no thread is to be had.
pub(super) fn pass_signals(courier: Courier) -> Result<(), Failure> {
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGUSR1]).map_err(Error::Signals)?;
    let pass = move || {
        let _ = signals.forever().all(|signal| courier.signal(signal));
    };
    thread::Builder::new().name("signals".to_owned()).spawn(pass).map_err(Error::Thread)?;
    Ok(())
}
