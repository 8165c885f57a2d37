//! The tutorials' acknowledging server: the same short answer to every message, until `exit`.

use std::sync::Arc;

use super::line_end::split_line_end;
use super::sink::Sink;
use crate::session::{Context, Service};

/// What the tutorials' server answers: "received".
pub const DEFAULT_ACK: &str = "已收到";

/// What every conversation of one acknowledging server shares.
#[derive(Debug, Clone)]
pub struct AckConfig {
    /// The answer to every message; [`DEFAULT_ACK`] by default.
    pub reply: Vec<u8>,
    /// Raw messages: one trailing LF or CRLF is not part of the message, and is put back behind the answer.
    pub strip_line_end: bool,
    /// Whether `exit` ends the conversation. Where there is none, as with datagrams, it is a text like any other.
    pub exit: bool,
    /// Where messages are printed, `exit` too, as they came.
    pub sink: Option<Sink>,
}

impl Default for AckConfig {
    fn default() -> Self {
        Self { reply: DEFAULT_ACK.into(), strip_line_end: false, exit: true, sink: None }
    }
}

/// Answers every message with the same reply; `exit` ends the conversation without an answer.
#[derive(Debug, Clone)]
pub struct Ack {
    config: Arc<AckConfig>,
    /// That of the configuration, for this conversation.
    sink: Option<Sink>,
}

impl Ack {
    /// One conversation of an acknowledging server.
    #[must_use]
    pub fn new(config: Arc<AckConfig>) -> Self {
        let sink = config.sink.clone();
        Self { config, sink }
    }
}

impl Service for Ack {
    fn on_frame(&mut self, frame: &[u8], cx: &mut Context<'_>) {
        let config = &*self.config;
        if let Some(sink) = &mut self.sink {
            sink.put(frame, cx);
        }
        let (message, end) = if config.strip_line_end { split_line_end(frame) } else { (frame, &b""[..]) };
        if config.exit && message == b"exit" {
            cx.finish();
        } else {
            cx.reply_parts(&[&config.reply, end]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::sink::tests::collecting;
    use super::*;
    use crate::codec::{LengthPrefixed, Lines, Raw};
    use crate::session::{CloseReason, Framed};
    use crate::testing::SessionPair;

    fn raw(config: AckConfig) -> SessionPair<Framed<Raw, Ack>> {
        let config = AckConfig { strip_line_end: true, ..config };
        SessionPair::new(Framed::new(Raw, Ack::new(Arc::new(config))))
    }

    #[test]
    fn every_message_is_answered_and_its_line_end_put_back() {
        let mut pair = raw(AckConfig::default());
        for (sent, answer) in [
            ("hello", "已收到"),
            ("你好\n", "已收到\n"),
            ("a\r\n", "已收到\r\n"),
            ("\n", "已收到\n"),
            ("two\n\n", "已收到\n"),
            ("exit it", "已收到"),
        ] {
            assert_eq!(pair.send(sent.as_bytes()), answer.as_bytes(), "{sent:?}");
        }
    }

    #[test]
    fn the_reply_may_be_another() {
        let mut pair = raw(AckConfig { reply: b"\0ok\xff".to_vec(), ..AckConfig::default() });
        assert_eq!(pair.send(b"a\n"), b"\0ok\xff\n");
    }

    #[test]
    fn exit_ends_without_an_answer_and_lingers() {
        for exit in ["exit", "exit\n", "exit\r\n"] {
            let mut pair = raw(AckConfig::default());
            assert_eq!(pair.send(exit.as_bytes()), b"");
            assert!(pair.is_write_shut());
            assert_eq!(pair.send(b"ignored"), b"");
            pair.send_eof();
            assert_eq!(pair.close_reason(), Some(&CloseReason::Finished));
        }
    }

    #[test]
    fn answers_owed_are_flushed_before_exit_ends_it() {
        let config = AckConfig { reply: b"ok".to_vec(), ..AckConfig::default() };
        let mut pair = SessionPair::new(Framed::new(Lines::default(), Ack::new(Arc::new(config))));
        pair.set_room(4);
        assert_eq!(pair.send(b"a\n\nexit\nb\n"), b"ok\no");
        assert!(!pair.is_write_shut());
        assert_eq!(pair.set_room(10), b"k\n");
        assert!(pair.is_write_shut());
    }

    #[test]
    fn where_exit_ends_nothing_it_is_answered() {
        let mut pair = raw(AckConfig { exit: false, ..AckConfig::default() });
        assert_eq!(pair.send(b"exit"), DEFAULT_ACK.as_bytes());
        assert!(!pair.is_write_shut());
    }

    #[test]
    fn a_framed_answer_is_a_frame_and_the_message_keeps_its_line_end() {
        let config = AckConfig { reply: b"ok".to_vec(), ..AckConfig::default() };
        let framed = Framed::new(LengthPrefixed::len16(100), Ack::new(Arc::new(config)));
        let mut pair = SessionPair::new(framed);
        assert_eq!(pair.send(b"\0\x05exit\n\0\0"), b"\0\x02ok\0\x02ok");
        assert_eq!(pair.send(b"\0\x04exit"), b"");
        assert!(pair.is_write_shut());
    }

    #[test]
    fn everything_is_printed_as_it_came() {
        let (sink, printed) = collecting();
        let mut pair = raw(AckConfig { sink: Some(sink), ..AckConfig::default() });
        pair.send(b"one\n");
        pair.send(b"exit\r\n");
        assert_eq!(*printed.lock().unwrap(), [&b"one\n"[..], b"exit\r\n"]);
    }
}
