//! The tutorials' greeting server: a banner, then `Hello, X!` for every message, after a delay, until `exit`.

use std::sync::Arc;
use std::time::Duration;

use super::line_end::split_line_end;
use crate::session::{Context, Service};

/// What every conversation of one greeting server shares.
#[derive(Debug, Clone)]
pub struct GreetConfig {
    /// Sent when a connection begins; nothing when empty.
    pub banner: Vec<u8>,
    /// How long an answer is held back. A timer, not a sleep: everybody waits at the same time.
    pub delay: Duration,
    /// Raw messages: one trailing LF or CRLF is not part of the name, and is put back behind the answer.
    pub strip_line_end: bool,
    /// Whether `exit` ends the conversation. Where there is none, as with datagrams, it is a name like any other.
    pub exit: bool,
}

impl Default for GreetConfig {
    /// No banner, no delay; `exit` ends the conversation.
    fn default() -> Self {
        Self { banner: Vec::new(), delay: Duration::ZERO, strip_line_end: false, exit: true }
    }
}

/// Answers `X` with `Hello, X!`; `exit` ends the conversation without an answer.
#[derive(Debug, Clone)]
pub struct Greet {
    config: Arc<GreetConfig>,
    /// The message whose answer is being held back.
    pending: Option<Box<[u8]>>,
}

impl Greet {
    /// One conversation of a greeting server.
    #[must_use]
    pub const fn new(config: Arc<GreetConfig>) -> Self {
        Self { config, pending: None }
    }

    fn answer(&self, message: &[u8], cx: &mut Context<'_>) {
        let (name, end) = self.split(message);
        cx.reply_parts(&[b"Hello, ", name, b"!", end]);
    }

    fn split<'m>(&self, message: &'m [u8]) -> (&'m [u8], &'m [u8]) {
        if self.config.strip_line_end { split_line_end(message) } else { (message, b"") }
    }
}

impl Service for Greet {
    fn ready(&self) -> bool {
        self.pending.is_none()
    }

    fn on_open(&mut self, cx: &mut Context<'_>) {
        if !self.config.banner.is_empty() {
            cx.reply(&self.config.banner);
        }
    }

    fn on_frame(&mut self, frame: &[u8], cx: &mut Context<'_>) {
        let (name, _) = self.split(frame);
        if self.config.exit && name == b"exit" {
            cx.finish();
        } else if self.config.delay.is_zero() {
            self.answer(frame, cx);
        } else {
            self.pending = Some(frame.into());
            cx.wake_after(self.config.delay);
        }
    }

    fn on_wake(&mut self, cx: &mut Context<'_>) {
        if let Some(message) = self.pending.take() {
            self.answer(&message, cx);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::{Lines, Raw};
    use crate::session::{CloseReason, Framed};
    use crate::testing::SessionPair;

    fn raw(banner: &str, delay: Duration) -> SessionPair<Framed<Raw, Greet>> {
        let config = GreetConfig { banner: banner.into(), delay, strip_line_end: true, exit: true };
        SessionPair::new(Framed::new(Raw, Greet::new(Arc::new(config))))
    }

    #[test]
    fn a_line_end_is_put_back_behind_the_answer() {
        let mut pair = raw("", Duration::ZERO);
        for (sent, answer) in [
            ("Travis", "Hello, Travis!"),
            ("EDISON\n", "Hello, EDISON!\n"),
            ("JOHN\r\n", "Hello, JOHN!\r\n"),
            ("\n", "Hello, !\n"),
            ("two\n\n", "Hello, two\n!\n"),
            ("exit it", "Hello, exit it!"),
        ] {
            assert_eq!(pair.send(sent.as_bytes()), answer.as_bytes());
        }
    }

    #[test]
    fn exit_ends_without_an_answer_and_lingers() {
        for exit in ["exit", "exit\n", "exit\r\n"] {
            let mut pair = raw("Welcome!", Duration::ZERO);
            assert_eq!(pair.take_output(), b"Welcome!");
            assert_eq!(pair.send(exit.as_bytes()), b"");
            assert!(pair.is_write_shut());
            assert_eq!(pair.close_reason(), None);
            pair.send(b"ignored");
            pair.send_eof();
            assert_eq!(pair.close_reason(), Some(&CloseReason::Finished));
        }
    }

    #[test]
    fn where_exit_ends_nothing_it_is_greeted() {
        let config = GreetConfig { exit: false, ..GreetConfig::default() };
        let mut pair = SessionPair::new(Framed::new(Raw, Greet::new(Arc::new(config))));
        assert_eq!(pair.send(b"exit"), b"Hello, exit!");
        assert!(!pair.is_write_shut());
    }

    #[test]
    fn the_answer_comes_after_the_delay_and_exit_waits_for_it() {
        let mut pair = raw("", Duration::from_secs(1));
        assert_eq!(pair.send(b"A"), b"");
        assert_eq!(pair.send(b"exit"), b"");
        assert_eq!(pair.advance(Duration::from_millis(999)), b"");
        assert_eq!(pair.advance(Duration::from_millis(1)), b"Hello, A!");
        assert!(pair.is_write_shut());
    }

    #[test]
    fn a_framed_banner_is_a_frame() {
        let config = GreetConfig { banner: b"hi".to_vec(), ..GreetConfig::default() };
        let mut pair = SessionPair::new(Framed::new(Lines::default(), Greet::new(Arc::new(config))));
        assert_eq!(pair.take_output(), b"hi\n");
        assert_eq!(pair.send(b"A\r\nexit\n"), b"Hello, A!\n");
        assert!(pair.is_write_shut());
    }
}
