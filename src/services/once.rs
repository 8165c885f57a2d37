//! The tutorials' one-shot server: one message, one reply, and the conversation is over.

use std::fmt;
use std::sync::Arc;

use super::sink::Sink;
use crate::session::{CloseReason, Context, Now, Service};

/// What the tutorials' server answers.
pub const DEFAULT_REPLY: &str = "Hello Lyon";

/// What is to happen when a conversation has ended whose reply was sent whole. Called once for each of them, in the
/// thread that served it.
///
/// ```
/// use std::sync::mpsc::channel;
///
/// use oneloop::services::OnReplied;
///
/// let (ends, ended) = channel();
/// let hook = OnReplied::new(move || ends.send(()).unwrap_or_default());
/// # drop((hook, ended));
/// ```
#[derive(Clone)]
pub struct OnReplied(Arc<dyn Fn() + Send + Sync>);

impl OnReplied {
    /// Calls this closure.
    pub fn new(call: impl Fn() + Send + Sync + 'static) -> Self {
        Self(Arc::new(call))
    }
}

impl fmt::Debug for OnReplied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OnReplied")
    }
}

/// What every conversation of one one-shot server shares.
#[derive(Debug, Clone)]
pub struct OnceConfig {
    /// The answer to the first message; [`DEFAULT_REPLY`] by default.
    pub reply: Vec<u8>,
    /// Where the message is printed.
    pub sink: Option<Sink>,
    /// Called when a conversation has ended that got its reply.
    pub on_replied: Option<OnReplied>,
}

impl Default for OnceConfig {
    fn default() -> Self {
        Self { reply: DEFAULT_REPLY.into(), sink: None, on_replied: None }
    }
}

/// Answers the first message and ends the conversation; nothing behind that message is looked at.
#[derive(Debug, Clone)]
pub struct Once {
    config: Arc<OnceConfig>,
    /// That of the configuration, for this conversation.
    sink: Option<Sink>,
    replied: bool,
}

impl Once {
    /// One conversation of a one-shot server.
    #[must_use]
    pub fn new(config: Arc<OnceConfig>) -> Self {
        let sink = config.sink.clone();
        Self { config, sink, replied: false }
    }
}

impl Service for Once {
    fn on_frame(&mut self, frame: &[u8], cx: &mut Context<'_>) {
        if let Some(sink) = &mut self.sink {
            sink.put(frame, cx);
        }
        cx.reply(&self.config.reply);
        cx.finish();
        self.replied = true;
    }

    fn on_close(&mut self, reason: &CloseReason, _now: &Now) {
        // Any other reason says that the reply may not have been sent whole.
        let sent = matches!(reason, CloseReason::Finished | CloseReason::Eof | CloseReason::Drained);
        if let Some(OnReplied(call)) = self.config.on_replied.as_ref().filter(|_| self.replied && sent) {
            call();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use super::super::sink::tests::collecting;
    use super::*;
    use crate::codec::{Decoder, Encoder, LengthPrefixed, Lines, Raw};
    use crate::session::{Framed, Limits};
    use crate::testing::SessionPair;

    /// A conversation, and how often it was reported to have got its reply.
    fn counted<C: Decoder + Encoder>(codec: C) -> (SessionPair<Framed<C, Once>>, Arc<AtomicUsize>) {
        let count = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&count);
        let hook = OnReplied::new(move || {
            counter.fetch_add(1, Ordering::Relaxed);
        });
        let config = OnceConfig { on_replied: Some(hook), ..OnceConfig::default() };
        let limits = Limits { write: Some(Duration::from_secs(5)), ..Limits::default() };
        (SessionPair::with_limits(Framed::new(codec, Once::new(Arc::new(config))), limits), count)
    }

    #[test]
    fn one_message_one_reply_and_that_is_all() {
        let (mut pair, replied) = counted(Raw);
        assert_eq!(pair.send(b"anything\n"), b"Hello Lyon");
        assert!(pair.is_write_shut());
        assert_eq!(pair.send(b"more"), b"");
        assert_eq!(replied.load(Ordering::Relaxed), 0, "it lingers still");
        pair.send_eof();
        assert_eq!(pair.close_reason(), Some(&CloseReason::Finished));
        assert_eq!(replied.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn a_second_message_of_the_same_read_is_not_answered() {
        let (mut pair, _) = counted(Lines::default());
        assert_eq!(pair.send(b"one\ntwo\n"), b"Hello Lyon\n");
        let (mut pair, _) = counted(LengthPrefixed::len16(10));
        assert_eq!(pair.send(b"\0\x01a\0\x01b"), b"\0\x0aHello Lyon");
    }

    #[test]
    fn an_end_without_a_message_gets_no_reply() {
        let (mut pair, replied) = counted(Raw);
        assert_eq!(pair.send_eof(), b"");
        assert_eq!(pair.close_reason(), Some(&CloseReason::Eof));
        assert_eq!(replied.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn a_last_line_without_its_end_is_a_message() {
        let (mut pair, replied) = counted(Lines::default());
        assert_eq!(pair.send(b"la"), b"");
        assert_eq!(pair.send_eof(), b"Hello Lyon\n");
        assert_eq!(replied.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn a_reply_that_could_not_be_sent_whole_does_not_count() {
        let (mut pair, replied) = counted(Raw);
        pair.set_room(3);
        assert_eq!(pair.send(b"a"), b"Hel");
        pair.advance(Duration::from_secs(6));
        assert_eq!(pair.close_reason(), Some(&CloseReason::WriteTimeout));
        assert_eq!(replied.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn the_message_is_printed_as_it_came() {
        let (sink, printed) = collecting();
        let config = OnceConfig { sink: Some(sink), reply: b"ok".to_vec(), ..OnceConfig::default() };
        let mut pair = SessionPair::new(Framed::new(Raw, Once::new(Arc::new(config))));
        assert_eq!(pair.send(b"one\n"), b"ok");
        pair.send(b"two\n");
        assert_eq!(*printed.lock().unwrap(), [b"one\n"]);
    }
}
