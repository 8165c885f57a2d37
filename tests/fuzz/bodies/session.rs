//! A conversation of any service in any framing, whatever happens to its bytes and its time.
//!
//! Input: service, framing, maximum, limits, delay and ceiling of memory; then what happens. What is written must be a beginning of what the
//! frames that were sent must be answered, all of it where nothing came between; every conversation has an end.

use std::sync::Arc;
use std::time::Duration;

use oneloop::attempt::{Failure, FailureClass};
use oneloop::codec::{Codec, Decoder, Encoder, Frame, FrameError, Framing};
use oneloop::services::{Ack, AckConfig, Discard, Echo, Greet, GreetConfig, Once, OnceConfig};
use oneloop::session::{CloseReason, Framed, Limits, Protocol};
use oneloop::testing::SessionPair;

use super::input::Input;
use super::reference::reference;

const EINTR: i32 = 4;
const ENOBUFS: i32 = 105;
const ECONNRESET: i32 = 104;
/// Longer than every limit.
const LONG: Duration = Duration::from_secs(4000);

/// Bytes of one frame besides its payload, at most.
const OVERHEAD: usize = 8;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Echo,
    Discard,
    Greet,
    Ack,
    Once,
}

/// A framing chosen at run time.
struct Any(Box<dyn Codec>);

impl Decoder for Any {
    fn decode(&mut self, src: &[u8]) -> Result<Option<Frame>, FrameError> {
        self.0.decode(src)
    }
    fn decode_eof(&mut self, src: &[u8]) -> Result<Option<Frame>, FrameError> {
        self.0.decode_eof(src)
    }
}

impl Encoder for Any {
    fn encode(&self, payload: &[u8], out: &mut Vec<u8>) -> Result<(), FrameError> {
        self.0.encode(payload, out)
    }
    fn is_identity(&self) -> bool {
        self.0.is_identity()
    }
    fn is_canonical(&self, frame: &Frame) -> bool {
        self.0.is_canonical(frame)
    }
}

pub fn run(data: &[u8]) {
    let mut input = Input(data);
    let kind = input.pick(&[Kind::Echo, Kind::Discard, Kind::Greet, Kind::Ack, Kind::Once]);
    let framing = input.framing();
    let max = usize::from(input.byte() % 40);
    let mut limits = Limits {
        high_water: input.pick(&[64 * 1024, 64, 1]),
        low_water: 0,
        read_budget: input.pick(&[256 * 1024, 64, 1]),
        frame_budget: input.pick(&[128, 3, 1]),
        ..Limits::default()
    };
    let both = usize::from(input.byte());
    let delay = Duration::from_millis([0, 0, 1, 3][both % 4]);
    limits.memory = [None, None, Some(64), Some(1024)][both / 4 % 4];
    let codec = Any(framing.codec(max));
    let plan = Plan { kind, framing, max, limits };
    match kind {
        Kind::Echo => plan.run(Framed::new(codec, Echo), input),
        Kind::Discard => plan.run(Framed::new(codec, Discard::default()), input),
        Kind::Greet => {
            let config = GreetConfig { delay, ..GreetConfig::default() };
            plan.run(Framed::new(codec, Greet::new(Arc::new(config))), input);
        }
        Kind::Ack => plan.run(Framed::new(codec, Ack::new(Arc::new(AckConfig::default()))), input),
        Kind::Once => plan.run(Framed::new(codec, Once::new(Arc::new(OnceConfig::default()))), input),
    }
}

struct Plan {
    kind: Kind,
    framing: Framing,
    max: usize,
    limits: Limits,
}

/// What must be written, and how the conversation ends if nothing comes between.
struct Expected {
    output: Vec<u8>,
    end: End,
}

#[derive(Debug, PartialEq, Eq)]
enum End {
    Eof,
    Finished,
    Refused,
}

/// What has happened so far.
#[derive(Default)]
struct Story {
    sent: Vec<u8>,
    heard: Vec<u8>,
    ended: bool,
    /// Something after which not everything need be answered.
    disturbed: bool,
}

impl Plan {
    fn run<P: Protocol>(&self, protocol: P, mut input: Input<'_>) {
        let mut pair = SessionPair::with_limits(protocol, self.limits.clone());
        let mut story = Story::default();
        while !input.is_empty() {
            let heard = act(&mut pair, &mut input, &mut story);
            story.heard.extend(heard);
            self.assert_memory(&pair);
        }
        story.heard.extend(pair.set_room(usize::MAX));
        if !story.ended {
            story.ended = true;
            story.heard.extend(pair.send_eof());
        }
        story.heard.extend(pair.advance(LONG));
        let reason = pair.close_reason().cloned().expect("every conversation has an end");
        // It was ended for what it kept, as it should be.
        story.disturbed |= reason == CloseReason::OverMemory && self.limits.memory.is_some();
        self.judge(&story, &reason);
    }

    fn judge(&self, story: &Story, reason: &CloseReason) {
        if self.framing == Framing::Raw && !matches!(self.kind, Kind::Echo | Kind::Discard) {
            // Its messages are what single reads returned.
            return;
        }
        let expected = self.expected(&story.sent);
        let text = |bytes: &[u8]| bytes.escape_ascii().to_string();
        let (heard, owed) = (text(&story.heard), text(&expected.output));
        assert!(expected.output.starts_with(&story.heard), "\"{heard}\" is no beginning of \"{owed}\"");
        if story.disturbed {
            return;
        }
        assert_eq!(heard, owed, "ended {reason:?}");
        let end = match reason {
            CloseReason::Eof => End::Eof,
            CloseReason::Finished => End::Finished,
            CloseReason::Protocol(_) => End::Refused,
            other => panic!("{other:?}, and nothing happened"),
        };
        // What is finished by its last frame may have heard of the end of the stream before.
        let both = (end == End::Eof) && expected.end == End::Finished;
        assert!(end == expected.end || both, "{reason:?} instead of {:?}", expected.end);
    }

    /// Follows from the frames, as a decoder has them that sees all bytes at once.
    fn expected(&self, sent: &[u8]) -> Expected {
        let (frames, error) = reference(&self.framing, self.max, sent);
        let encoder = self.framing.codec(self.max);
        let mut output = Vec::new();
        for frame in frames {
            let (reply, finishes) = self.reply(&frame);
            if let Some(reply) = reply
                && encoder.encode(&reply, &mut output).is_err()
            {
                return Expected { output, end: End::Refused };
            }
            if finishes {
                return Expected { output, end: End::Finished };
            }
        }
        let end = if error.is_some() { End::Refused } else { End::Eof };
        Expected { output, end }
    }

    fn reply(&self, frame: &[u8]) -> (Option<Vec<u8>>, bool) {
        let exits = frame == b"exit" && matches!(self.kind, Kind::Greet | Kind::Ack);
        match self.kind {
            _ if exits => (None, true),
            Kind::Echo => (Some(frame.to_vec()), false),
            Kind::Discard => (None, false),
            Kind::Greet => (Some([b"Hello, ", frame, b"!"].concat()), false),
            Kind::Ack => (Some(AckConfig::default().reply), false),
            Kind::Once => (Some(OnceConfig::default().reply), true),
        }
    }

    /// An echo keeps no more than the limits allow.
    fn assert_memory<P: Protocol>(&self, pair: &SessionPair<P>) {
        if let Some(max) = self.limits.memory {
            assert!(pair.held() <= max, "{} bytes are kept, {max} allowed", pair.held());
        }
        if self.kind == Kind::Echo {
            // One read is decoded whole before its answers are written.
            let allowed = self.limits.high_water + 2 * 256 + self.max + OVERHEAD;
            let kept = pair.buffered();
            assert!(kept <= allowed, "{kept} bytes are kept, {allowed} allowed");
        }
    }
}

/// One thing that happens.
fn act<P: Protocol>(pair: &mut SessionPair<P>, input: &mut Input<'_>, story: &mut Story) -> Vec<u8> {
    let what = input.byte();
    if pair.close_reason().is_some() {
        return Vec::new();
    }
    match what {
        0..200 if !story.ended => {
            let bytes = input.bytes(usize::from(what) + 1);
            story.sent.extend_from_slice(bytes);
            pair.send(bytes)
        }
        0..200 => Vec::new(),
        200..210 => {
            story.ended = true;
            pair.send_eof()
        }
        210..213 => {
            (story.ended, story.disturbed) = (true, true);
            pair.reset();
            pair.take_output()
        }
        213..222 => pair.advance(Duration::from_millis(1 + u64::from(input.byte() % 16))),
        222..226 => {
            // The limits are 30 s and more.
            story.disturbed = true;
            pair.advance(Duration::from_secs(u64::from(input.byte())))
        }
        226..238 => {
            let room = usize::from(input.byte());
            pair.set_room(room)
        }
        238..242 => pair.set_room(usize::MAX),
        242..244 => {
            story.disturbed = true;
            pair.stop()
        }
        244..252 => {
            let (class, errno) = input.pick(&[
                (FailureClass::Retry, EINTR),
                (FailureClass::Exhausted, ENOBUFS),
                (FailureClass::PeerGone, ECONNRESET),
            ]);
            story.disturbed |= class == FailureClass::PeerGone;
            pair.fail_next(Failure { class, errno });
            Vec::new()
        }
        _ => pair.wake(),
    }
}
