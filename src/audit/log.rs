//! What the server has seen: the first request, which begins the run, the last one, and how much there was.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How a conversation is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// Every byte is sent back.
    Echo,
    /// Every request of HTTP/1 gets a short reply.
    Http,
}

/// What was seen in a run.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Observed {
    /// Of the first conversation that said something.
    pub style: Option<Style>,
    /// Requests for HTTP, else bytes.
    pub units: u64,
    /// From the first request to the last.
    pub span: Duration,
    /// Conversations that began with HTTP/2, which is not spoken here.
    pub http2: u64,
    /// Requests that were not understood.
    pub bad: u64,
}

/// Shared by the conversations and the server's loop; they are on one thread, so that nobody waits for the lock.
#[derive(Debug, Clone, Default)]
pub(super) struct Log(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    first: Option<Instant>,
    last: Option<Instant>,
    seen: Observed,
}

impl Log {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Nothing is done under it that could leave it half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// So much has been answered; `now` is when the loop was told of it.
    pub(super) fn count(&self, style: Style, units: u64, now: Instant) {
        let mut inner = self.lock();
        inner.first.get_or_insert(now);
        inner.last = Some(now);
        inner.seen.style.get_or_insert(style);
        inner.seen.units += units;
    }

    /// Somebody spoke HTTP/2.
    pub(super) fn count_http2(&self) {
        self.lock().seen.http2 += 1;
    }

    /// A request was not understood.
    pub(super) fn count_bad(&self) {
        self.lock().seen.bad += 1;
    }

    /// When the first request came, and what has been answered until now.
    pub(super) fn progress(&self) -> (Option<Instant>, u64) {
        let inner = self.lock();
        (inner.first, inner.seen.units)
    }

    pub(super) fn observed(&self) -> Observed {
        let inner = self.lock();
        let span = inner.first.zip(inner.last).map(|(first, last)| last.duration_since(first));
        Observed { span: span.unwrap_or_default(), ..inner.seen.clone() }
    }
}
