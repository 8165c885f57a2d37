//! Signals on the same poll as everything else, through signal-hook's self-pipe (signal(7)).

use std::io;

use mio::{Interest, Registry, Token};
use signal_hook::consts::{SIGINT, SIGTERM, SIGUSR1};
use signal_hook_mio::v1_0::Signals as Pipe;

use crate::kernel::Signals;

/// SIGINT, SIGTERM and SIGUSR1 as an event source.
pub(super) struct SignalSource {
    pipe: Pipe,
}

impl std::fmt::Debug for SignalSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SignalSource").finish_non_exhaustive()
    }
}

impl SignalSource {
    pub(super) fn register(registry: &Registry, token: Token) -> io::Result<Self> {
        let mut pipe = Pipe::new([SIGINT, SIGTERM, SIGUSR1])?;
        registry.register(&mut pipe, token, Interest::READABLE)?;
        Ok(Self { pipe })
    }

    /// Adds what arrived since the last call.
    pub(super) fn add_pending(&mut self, to: &mut Signals) {
        for signal in self.pipe.pending() {
            match signal {
                SIGUSR1 => to.reports += 1,
                stop => {
                    to.stops += 1;
                    to.last = stop;
                }
            }
        }
    }
}
