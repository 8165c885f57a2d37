//! Sees what a protocol is given, so that a client can wait until a part of its message has arrived as a part.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use oneloop::session::{CloseReason, Context, Factory, Now, Protocol, ProtocolError, Step};

/// How many bytes the latest conversation was given.
#[derive(Debug, Clone, Default)]
pub(crate) struct Seen(Arc<AtomicUsize>);

impl Seen {
    pub(crate) fn count(&self) -> usize {
        self.0.load(Ordering::Acquire)
    }
}

/// The same protocols, each seen.
pub(crate) fn seen(make: &Factory, seen: &Seen) -> Factory {
    let (make, seen) = (make.clone(), seen.clone());
    Arc::new(move |peer| {
        seen.0.store(0, Ordering::Release);
        Box::new(Probe { inner: make(peer), seen: seen.clone(), consumed: 0 })
    })
}

struct Probe {
    inner: Box<dyn Protocol>,
    seen: Seen,
    consumed: usize,
}

impl Protocol for Probe {
    fn ready(&self) -> bool {
        self.inner.ready()
    }

    fn on_open(&mut self, cx: &mut Context<'_>) {
        self.inner.on_open(cx);
    }

    fn on_bytes(&mut self, input: &[u8], cx: &mut Context<'_>) -> Result<Step, ProtocolError> {
        self.seen.0.store(self.consumed + input.len(), Ordering::Release);
        let step = self.inner.on_bytes(input, cx)?;
        if let Step::Consumed(count) = step {
            self.consumed += count.get();
        }
        Ok(step)
    }

    fn on_writable(&mut self, cx: &mut Context<'_>) {
        self.inner.on_writable(cx);
    }

    fn on_eof(&mut self, rest: &[u8], cx: &mut Context<'_>) -> Result<Step, ProtocolError> {
        self.inner.on_eof(rest, cx)
    }

    fn on_wake(&mut self, cx: &mut Context<'_>) {
        self.inner.on_wake(cx);
    }

    fn on_stop(&mut self, cx: &mut Context<'_>) {
        self.inner.on_stop(cx);
    }

    fn on_close(&mut self, reason: &CloseReason, now: &Now) {
        self.inner.on_close(reason, now);
    }
}
