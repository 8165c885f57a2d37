//! The protocols under test, each in a probe that writes down how it ended.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::kernel::client_at;
use super::payload::binary;
use super::plan::{MAX_FRAME, Service};
use crate::codec::{LengthPrefixed, Lines, Raw};
use crate::services::{Echo, Greet, GreetConfig};
use crate::session::{
    ChildEvent, ChildSpec, CloseReason, Context, Factory, Framed, Now, Peer, Protocol, ProtocolError, Step,
};

/// One conversation that has ended.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) id: usize,
    pub(super) reason: CloseReason,
    pub(super) at: Instant,
}

/// What the probes of one run have written down.
pub(super) type Ledger = Arc<Mutex<Vec<Ended>>>;

/// A protocol whose end is noted.
struct Probe<P> {
    inner: P,
    id: usize,
    ledger: Ledger,
}

impl<P: Protocol> Protocol for Probe<P> {
    #[inline]
    fn ready(&self) -> bool {
        self.inner.ready()
    }
    fn on_open(&mut self, cx: &mut Context<'_>) {
        self.inner.on_open(cx);
    }
    #[inline]
    fn on_bytes(&mut self, input: &[u8], cx: &mut Context<'_>) -> Result<Step, ProtocolError> {
        self.inner.on_bytes(input, cx)
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
    fn on_child(&mut self, event: ChildEvent<'_>, cx: &mut Context<'_>) {
        self.inner.on_child(event, cx);
    }
    fn on_stop(&mut self, cx: &mut Context<'_>) {
        self.inner.on_stop(cx);
    }
    fn on_close(&mut self, reason: &CloseReason, now: &Now) {
        self.inner.on_close(reason, now);
        let ended = Ended { id: self.id, reason: reason.clone(), at: now.instant };
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner).push(ended);
    }
}

/// Sends its connection's payload without being asked, as fast as it is taken.
#[derive(Debug)]
struct Source {
    id: usize,
    sent: usize,
    size: usize,
    chunk: Vec<u8>,
    /// A child prints it.
    by_child: bool,
}

impl Protocol for Source {
    fn on_open(&mut self, cx: &mut Context<'_>) {
        if !self.by_child {
            return cx.want_writable();
        }
        cx.spawn(ChildSpec {
            program: "payload".into(),
            arguments: vec![self.id.to_string().into(), self.size.to_string().into()],
            env: Vec::new(),
            time_limit: None,
            max_output: None,
        });
    }

    fn on_child(&mut self, event: ChildEvent<'_>, cx: &mut Context<'_>) {
        match event {
            ChildEvent::Stdout(bytes) | ChildEvent::Stderr(bytes) => cx.write(bytes),
            ChildEvent::Ended(_) => cx.finish(),
            ChildEvent::NotStarted(_) => {
                self.by_child = false;
                cx.want_writable();
            }
        }
    }

    fn on_bytes(&mut self, input: &[u8], _cx: &mut Context<'_>) -> Result<Step, ProtocolError> {
        Ok(Step::consumed(input.len()))
    }

    fn on_writable(&mut self, cx: &mut Context<'_>) {
        if self.by_child {
            return;
        }
        let count = cx.room().min(self.size - self.sent);
        self.chunk.clear();
        binary(self.id, self.sent, count, &mut self.chunk);
        cx.write(&self.chunk);
        self.sent += count;
        if self.sent < self.size {
            cx.want_writable();
        } else {
            cx.finish();
        }
    }

    fn on_eof(&mut self, _rest: &[u8], _cx: &mut Context<'_>) -> Result<Step, ProtocolError> {
        Ok(Step::NeedMore)
    }
}

/// How protocols are made in one run.
#[derive(Clone)]
pub(super) struct Maker {
    pub(super) ledger: Ledger,
    pub(super) greet: Arc<GreetConfig>,
    pub(super) sizes: Arc<[usize]>,
    pub(super) custom: Option<Factory>,
    /// Sources have children.
    pub(super) children: bool,
}

impl Maker {
    pub(super) fn new(custom: Option<Factory>) -> Self {
        Self {
            ledger: Ledger::default(),
            greet: Arc::default(),
            sizes: Arc::default(),
            custom,
            children: false,
        }
    }

    /// Begins a run in which greetings are held back for so long, and sources send so much.
    pub(super) fn begin(&mut self, delay: Duration, sizes: &[usize]) {
        if *self.sizes != *sizes {
            self.sizes = Arc::from(sizes);
        }
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner).clear();
        if self.greet.delay != delay {
            self.greet = Arc::new(GreetConfig { delay, ..GreetConfig::default() });
        }
    }

    /// The protocol for one client.
    pub(super) fn make(&self, service: Service, peer: &Peer) -> Box<dyn Protocol> {
        let id = client_at(&peer.address);
        match service {
            Service::EchoRaw => self.probe(id, Framed::new(Raw, Echo)),
            Service::EchoLines => self.probe(id, Framed::new(Lines::new(MAX_FRAME), Echo)),
            Service::EchoLen32 => self.probe(id, Framed::new(LengthPrefixed::len32(MAX_FRAME), Echo)),
            Service::GreetLines => {
                self.probe(id, Framed::new(Lines::new(2 * MAX_FRAME), Greet::new(Arc::clone(&self.greet))))
            }
            Service::GreetRaw => self.probe(id, Framed::new(Raw, Greet::new(Arc::clone(&self.greet)))),
            Service::Source => {
                let size = self.sizes.get(id).copied().unwrap_or(0);
                self.probe(id, Source { id, sent: 0, size, chunk: Vec::new(), by_child: self.children })
            }
            Service::Custom => {
                let make = self.custom.as_ref().expect("a custom service comes with a factory");
                self.probe(id, make(peer))
            }
        }
    }

    fn probe<P: Protocol + 'static>(&self, id: usize, inner: P) -> Box<dyn Protocol> {
        Box::new(Probe { inner, id, ledger: Arc::clone(&self.ledger) })
    }
}
