//! A service for datagrams: each datagram is a conversation of one message.

use std::cell::Cell;
use std::time::Instant;

use super::{DatagramContext, DatagramHandler};
use crate::address::{Address, Endpoint};
use crate::codec::{Encoder, Frame, FrameError};
use crate::session::context::{Context, Framing, Remote};
use crate::session::pass::Requests;
use crate::session::service::Service;

/// Bytes of the length in front of each reply while they are collected.
const HEADER: usize = size_of::<usize>();

/// How often one conversation may ask to be woken: without a bound a service could keep the loop for ever.
const MAX_WAKES: u32 = 64;

/// Answers each datagram with a fresh clone of a [`Service`], as a conversation of one message.
///
/// Every reply is a datagram of its own. There is no beginning and no end: `on_open` and `on_eof` are not called, and
/// `finish` and `close` end a conversation that is over anyway. A wake-up the service asks for holds back what it
/// says then: because nothing else can happen in such a conversation, it is asked at once, with the time of the
/// wake-up, and only its replies wait.
#[derive(Debug, Clone)]
pub struct EachDatagram<S> {
    service: S,
}

impl<S: Service + Clone> EachDatagram<S> {
    /// Answers with clones of `service`.
    pub const fn new(service: S) -> Self {
        Self { service }
    }
}

struct Sender<'a>(&'a Endpoint);

impl Remote for Sender<'_> {
    fn address(&self) -> Address {
        self.0.address()
    }
}

/// Marks where one reply ends and the next begins. The first reply that is the datagram itself needs no mark.
#[derive(Default)]
struct Boundaries {
    /// Something was replied already.
    begun: Cell<bool>,
}

impl Encoder for Boundaries {
    fn encode(&self, payload: &[u8], out: &mut Vec<u8>) -> Result<(), FrameError> {
        self.begun.set(true);
        out.extend_from_slice(&payload.len().to_ne_bytes());
        out.extend_from_slice(payload);
        Ok(())
    }

    fn is_canonical(&self, frame: &Frame) -> bool {
        frame.consumed > 0 && !self.begun.replace(true)
    }
}

impl<S: Service + Clone> DatagramHandler for EachDatagram<S> {
    fn on_datagram(&mut self, data: &[u8], cx: &mut DatagramContext<'_>) {
        let frame = Frame { payload: 0..data.len(), consumed: data.len() };
        let boundaries = Boundaries::default();
        let sender = Sender(cx.from);
        let mut service = self.service.clone();
        let mut context = Context::with_input(cx.pass, &sender, 0, data, 0, true);
        context.framing = Some(Framing { encoder: &boundaries, frame: Some(&frame) });
        service.on_frame(data, &mut context);
        let wake = take_wake(cx);
        send(data, cx, None);
        // Almost always that is all.
        if let Some(at) = wake {
            run_ahead(service, at, cx);
        }
    }
}

/// Wakes a service at the moments it asks for, before they come; only its replies wait for them.
fn run_ahead<S: Service>(mut service: S, first: Instant, cx: &mut DatagramContext<'_>) {
    let boundaries = Boundaries::default();
    let sender = Sender(cx.from);
    let begun = *cx.pass.now();
    let mut wake = Some(first);
    for _ in 0..MAX_WAKES {
        let Some(at) = wake else { break };
        cx.pass.set_now(begun.later(at));
        let mut context = Context::new(cx.pass, &sender, 0);
        context.framing = Some(Framing { encoder: &boundaries, frame: None });
        service.on_wake(&mut context);
        wake = take_wake(cx);
        cx.pass.set_now(begun);
        send(&[], cx, Some(at));
    }
}

/// What the service asked for: the moment to be woken at, unless it has ended the conversation.
fn take_wake(cx: &mut DatagramContext<'_>) -> Option<Instant> {
    if cx.pass.asked == 0 {
        return None;
    }
    let (asked, requests) = cx.pass.take_requests();
    let ended = asked & (Requests::FINISH | Requests::CLOSE | Requests::ERROR) != 0;
    requests.wake.filter(|_| !ended)
}

/// Takes the collected replies out of the pass and sends them, now or at `at`.
fn send(data: &[u8], cx: &mut DatagramContext<'_>, at: Option<Instant>) {
    let direct = cx.pass.direct.clone();
    if !direct.is_empty() {
        deliver(&data[direct], cx, at);
    }
    // An echo has nothing else to say.
    if !cx.pass.replies.is_empty() {
        send_collected(cx, at);
    }
    cx.pass.clear_output();
}

fn send_collected(cx: &mut DatagramContext<'_>, at: Option<Instant>) {
    let replies = std::mem::take(&mut cx.pass.replies);
    let mut rest = &replies[..];
    while let Some((header, behind)) = rest.split_first_chunk::<HEADER>() {
        let (payload, next) = behind.split_at(usize::from_ne_bytes(*header).min(behind.len()));
        deliver(payload, cx, at);
        rest = next;
    }
    cx.pass.replies = replies;
}

fn deliver(payload: &[u8], cx: &mut DatagramContext<'_>, at: Option<Instant>) {
    match at {
        None => cx.reply(payload),
        Some(at) => cx.reply_after(payload, at.saturating_duration_since(cx.now())),
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;
    use crate::testing::DatagramPair;
    use std::time::Duration;

    /// Echoes, counts, and says so twice later.
    #[derive(Clone, Default)]
    struct Talker {
        heard: u32,
        later: u32,
    }

    impl Service for Talker {
        fn on_frame(&mut self, frame: &[u8], cx: &mut Context<'_>) {
            self.heard += 1;
            cx.reply_input(0..frame.len());
            cx.reply_input(0..frame.len());
            cx.reply_input(0..frame.len().min(1));
            cx.reply(&[b'0' + u8::try_from(self.heard).unwrap()]);
            cx.wake_after(Duration::from_secs(1));
        }

        fn on_wake(&mut self, cx: &mut Context<'_>) {
            self.later += 1;
            cx.reply(b"later");
            if self.later < 2 {
                cx.wake_after(Duration::from_secs(1));
            }
        }
    }

    #[test]
    fn every_reply_is_a_datagram_and_every_datagram_a_conversation() {
        let from = SocketAddr::from(([127, 0, 0, 1], 5000));
        let mut pair = DatagramPair::new(EachDatagram::new(Talker::default()));
        for sent in [&b"ab"[..], b"", b"x"] {
            let replies = pair.send(sent, from);
            let cut = &sent[..sent.len().min(1)];
            let expected = [sent, sent, cut, b"1"].map(|reply| (reply.to_vec(), from));
            assert_eq!(replies, expected);
        }
        let later = (b"later".to_vec(), from);
        assert_eq!(pair.advance(Duration::from_millis(999)), []);
        assert_eq!(pair.advance(Duration::from_millis(1)), vec![later.clone(); 3]);
        assert_eq!(pair.advance(Duration::from_secs(1)), vec![later; 3]);
        assert_eq!(pair.advance(Duration::from_secs(9)), []);
    }
}
