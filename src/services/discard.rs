//! The tutorials' receiver: takes every message and answers nothing.

use super::sink::Sink;
use crate::session::{Context, Service};

/// Answers nothing; prints what it takes when it is given a [`Sink`].
#[derive(Debug, Clone, Default)]
pub struct Discard {
    sink: Option<Sink>,
}

impl Discard {
    /// A receiver that leaves its messages in `sink`, or nowhere.
    #[must_use]
    pub const fn new(sink: Option<Sink>) -> Self {
        Self { sink }
    }
}

impl Service for Discard {
    #[inline]
    fn on_frame(&mut self, frame: &[u8], cx: &mut Context<'_>) {
        if let Some(sink) = &mut self.sink {
            sink.put(frame, cx);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::sink::tests::collecting;
    use super::*;
    use crate::codec::{LengthPrefixed, Raw};
    use crate::session::{CloseReason, Framed};
    use crate::testing::SessionPair;

    #[test]
    fn nothing_is_answered_and_the_end_ends_it() {
        let mut pair = SessionPair::new(Framed::new(Raw, Discard::default()));
        for sent in [&b"one"[..], b"exit", b"\n", &[0; 100_000]] {
            assert_eq!(pair.send(sent), b"");
        }
        assert_eq!(pair.send_eof(), b"");
        assert_eq!(pair.close_reason(), Some(&CloseReason::Eof));
    }

    #[test]
    fn every_message_is_printed_as_it_is_the_empty_one_too() {
        let (sink, printed) = collecting();
        let mut pair = SessionPair::new(Framed::new(Raw, Discard::new(Some(sink.clone()))));
        pair.send(b"one\r\n");
        let mut pair = SessionPair::new(Framed::new(LengthPrefixed::len16(10), Discard::new(Some(sink))));
        assert_eq!(pair.send(b"\0\x03two\0\0\0\x05th"), b"");
        pair.send(b"ree");
        assert_eq!(*printed.lock().unwrap(), [&b"one\r\n"[..], b"two", b"", b"three"]);
    }
}
