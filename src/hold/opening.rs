//! Opening: how many connections may be on their way, and when the next one is begun.

use std::time::{Duration, Instant};

use super::held::{Held, not_begun};
use super::run::{BEAT, Holder, UnderWay};
use crate::kernel::Token;
use crate::os::dial::{Dial, dial};
use crate::session::ConnectError;

/// Connections begun between two turns of the loop, at most.
const BATCH: usize = 64;

/// So many failures in a row for want of ports or descriptors: more would fail too, and each of them is slow.
const HOPELESS: u32 = 64;

/// How long a Unix socket whose queue is full is left alone.
const QUEUE_FULL: Duration = Duration::from_millis(5);

/// What is remembered from one attempt to the next.
#[derive(Debug, Default)]
pub(super) struct Attempts {
    /// Unix sockets: the target's queue was full since, and is left alone until.
    queue_full: Option<(Instant, Instant)>,
    /// Failures in a row for want of ports or descriptors.
    hopeless: u32,
}

impl Holder<'_> {
    /// Whether there are connections left to begin.
    pub(super) fn has_more(&self) -> bool {
        self.begun < self.plan.connections && self.attempts.hopeless < HOPELESS
    }

    pub(super) fn begin_some(&mut self) {
        self.reactor.refresh();
        for _ in 0..BATCH {
            if !self.can_begin() {
                return;
            }
            self.begin();
        }
    }

    /// Whether the next connection may be begun now.
    pub(super) fn can_begin(&self) -> bool {
        self.has_more()
            && self.under_way.len() < self.plan.in_flight
            && self.attempts.queue_full.is_none_or(|(_, until)| Instant::now() >= until)
            && self.next_slot() <= self.started.elapsed()
    }

    /// When the next connection is due by the rate, since the start.
    fn next_slot(&self) -> Duration {
        let rate = self.plan.connect_rate.unwrap_or(f64::INFINITY);
        Duration::try_from_secs_f64(f64::from(self.begun) / rate).unwrap_or(Duration::MAX)
    }

    pub(super) fn wait(&self) -> Duration {
        let due = self.next_slot().saturating_sub(self.started.elapsed());
        let has_slot = self.has_more() && !due.is_zero() && self.under_way.len() < self.plan.in_flight;
        let wait = if has_slot { due.min(BEAT) } else { BEAT };
        if self.attempts.queue_full.is_some() { wait.min(QUEUE_FULL) } else { wait }
    }

    fn begin(&mut self) {
        let number = self.plan.first + self.begun;
        let since = Instant::now();
        match self.dial(number) {
            Ok(token) => {
                self.under_way.insert(number, UnderWay { token, since });
                (self.attempts.queue_full, self.attempts.hopeless) = (None, 0);
            }
            Err(ConnectError::Other(errno)) if self.is_queue_full(errno, since) => return,
            Err(error) => {
                self.attempts.queue_full = None;
                let no_more = matches!(error, ConnectError::AddressExhausted | ConnectError::DescriptorLimit);
                self.attempts.hopeless = if no_more { self.attempts.hopeless + 1 } else { 0 };
                self.take(not_begun(number, error));
            }
        }
        self.begun += 1;
    }

    fn dial(&mut self, number: u32) -> Result<Token, ConnectError> {
        let target = &self.plan.targets[number as usize % self.plan.targets.len()];
        let source = self.plan.source.as_ref().map(|source| source.of(number));
        let dialling = Dial { source, reset_on_close: self.plan.reset_on_close };
        let typed = |error: std::io::Error| ConnectError::from_errno(error.raw_os_error().unwrap_or(0));
        let socket = dial(target, &dialling).map_err(typed)?;
        let protocol = Held::new(number, self.plan.words.clone(), self.tell.clone());
        self.reactor.add_connecting(socket, Box::new(protocol))
    }

    /// A Unix socket does not wait in a queue that is full (connect(2), EAGAIN): then we do, up to the time a connection may take.
    fn is_queue_full(&mut self, errno: i32, now: Instant) -> bool {
        let since = self.attempts.queue_full.map_or(now, |(since, _)| since);
        let full = errno == rustix::io::Errno::AGAIN.raw_os_error() && now - since < self.plan.timeout;
        self.attempts.queue_full = full.then_some((since, now + QUEUE_FULL));
        full
    }
}
