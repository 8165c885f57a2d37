//! The handlers under test. What a datagram asks for is in its bytes, so that one oracle serves both.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::letter::{ASKS, Asks, FURTHER};
use crate::session::{
    Context, DatagramContext, DatagramFactory, DatagramHandler, EachDatagram, Service, datagram_factory,
};

/// How handlers are made.
#[derive(Clone)]
pub(in super::super) struct Handlers {
    direct: DatagramFactory,
    each: DatagramFactory,
    pub(in super::super) custom: Option<DatagramFactory>,
}

impl Handlers {
    pub(in super::super) fn new(custom: Option<DatagramFactory>) -> Self {
        Self {
            direct: datagram_factory(|_socket| Direct::default()),
            each: datagram_factory(|_socket| EachDatagram::new(Each::default())),
            custom,
        }
    }

    /// The factory for one socket: somebody's own handler, a service for each datagram, or a handler for all.
    pub(in super::super) fn pick(&self, each: bool) -> DatagramFactory {
        let ours = if each { &self.each } else { &self.direct };
        Arc::clone(self.custom.as_ref().unwrap_or(ours))
    }
}

/// Writes reply `which` to `data`: the datagram itself, or marked as a further one.
fn further(data: &[u8], which: u8, reply: &mut Vec<u8>) {
    reply.clear();
    reply.extend_from_slice(data);
    if let Some(asks) = reply.get_mut(ASKS)
        && which > 0
    {
        *asks = FURTHER | which;
    }
}

/// Answers through a [`DatagramContext`].
#[derive(Debug, Default)]
struct Direct {
    reply: Vec<u8>,
}

impl DatagramHandler for Direct {
    fn on_datagram(&mut self, data: &[u8], cx: &mut DatagramContext<'_>) {
        let asks = Asks::of(data);
        for which in 0..asks.replies() {
            let delay = Duration::from_nanos(asks.delay(which));
            if which == 0 {
                cx.reply_after(data, delay);
            } else {
                further(data, which, &mut self.reply);
                cx.reply_after(&self.reply, delay);
            }
        }
    }
}

/// Answers as a [`Service`], of which each datagram has its own.
#[derive(Debug, Clone, Default)]
struct Each {
    reply: Vec<u8>,
    due: Option<Instant>,
}

impl Service for Each {
    fn on_frame(&mut self, frame: &[u8], cx: &mut Context<'_>) {
        let asks = Asks::of(frame);
        for which in 0..asks.replies() {
            let delay = Duration::from_nanos(asks.delay(which));
            further(frame, which, &mut self.reply);
            if !delay.is_zero() {
                self.due = Some(cx.now() + delay);
                // Early once, as a service with several reasons to wake up is.
                return cx.wake_after(delay / 2);
            }
            if which == 0 {
                cx.reply_input(0..frame.len());
            } else {
                cx.reply(&self.reply);
            }
        }
    }

    fn on_wake(&mut self, cx: &mut Context<'_>) {
        match self.due.filter(|due| cx.now() < *due) {
            Some(due) => cx.wake_at(due),
            None => cx.reply(&self.reply),
        }
    }
}
