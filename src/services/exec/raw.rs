//! The tutorials' protocols: a text asks, one reply answers, with its length in front of it.
//!
//! A request is what one read returned, and there is no place for a token or a status: only for loopback and Unix sockets. The
//! reply is what the command printed on standard error if anything, else on standard output, when it has ended.

use std::mem;
use std::sync::Arc;
use std::time::Duration;

use super::ExecConfig;
use crate::session::{ChildEnd, ChildEvent, ChildLimit, Context, Protocol, ProtocolError, Step};

/// How long `OK` may take.
const OK_LIMIT: Duration = Duration::from_secs(30);
const OK: &[u8] = b"OK";

/// How a reply is announced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RawReply {
    /// A little-endian i32, as Python's `struct.pack('i', …)` makes it on most machines, and the reply behind it.
    Len32Le,
    /// Decimal digits; the reply follows when the client has answered `OK`.
    LengthOk,
}

#[derive(Debug)]
enum State {
    Idle,
    /// A command runs and has printed this.
    Busy {
        stdout: Vec<u8>,
        stderr: Vec<u8>,
    },
    /// The length was sent.
    AwaitingOk(Vec<u8>),
}

/// One client of a tutorial.
#[derive(Debug)]
pub struct ExecRaw {
    config: Arc<ExecConfig>,
    reply: RawReply,
    state: State,
}

impl ExecRaw {
    /// A conversation. What a command may print must be limited: it is kept until the command has ended.
    #[must_use]
    pub const fn new(config: Arc<ExecConfig>, reply: RawReply) -> Self {
        Self { config, reply, state: State::Idle }
    }

    fn on_request(&mut self, text: &[u8], cx: &mut Context<'_>) {
        let text = text.strip_suffix(b"\n").unwrap_or(text);
        let text = text.strip_suffix(b"\r").unwrap_or(text);
        if text.is_empty() {
            return;
        }
        match self.config.child_of_text(text) {
            Ok(child) => {
                log::info!("command text=\"{}\" peer={}", super::shown(text), cx.peer());
                cx.spawn(child);
                self.state = State::Busy { stdout: Vec::new(), stderr: Vec::new() };
            }
            Err(why) => self.refuse(&why, cx),
        }
    }

    fn refuse(&mut self, why: &str, cx: &mut Context<'_>) {
        self.config.log_refusal(why, cx);
        self.answer(format!("oneloop: {why}\n").into_bytes(), cx);
    }

    fn on_end(&mut self, end: &ChildEnd, cx: &mut Context<'_>) {
        let State::Busy { stdout, stderr } = mem::replace(&mut self.state, State::Idle) else { return };
        let mut output = match end.limit {
            // It is why there is no more, whatever there is.
            Some(ChildLimit::Time) => Vec::new(),
            _ if stderr.is_empty() => stdout,
            _ => stderr,
        };
        if let Some(notice) = self.config.notice(end) {
            output.extend_from_slice(notice.as_bytes());
        }
        self.answer(output, cx);
    }

    fn answer(&mut self, output: Vec<u8>, cx: &mut Context<'_>) {
        match self.reply {
            RawReply::Len32Le => {
                let len = i32::try_from(output.len()).expect("more is not allowed to be printed");
                cx.write(&len.to_le_bytes());
                cx.write(&output);
                self.state = State::Idle;
            }
            RawReply::LengthOk => {
                cx.write(output.len().to_string().as_bytes());
                cx.wake_after(OK_LIMIT);
                self.state = State::AwaitingOk(output);
            }
        }
    }
}

/// A page in a browser can make it send a text of its choice to a port of this machine, behind a line like this one.
fn is_http(text: &[u8]) -> bool {
    let line = text.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    line.ends_with(b" HTTP/1.1") || line.ends_with(b" HTTP/1.0")
}

impl Protocol for ExecRaw {
    fn ready(&self) -> bool {
        !matches!(self.state, State::Busy { .. })
    }

    fn on_bytes(&mut self, input: &[u8], cx: &mut Context<'_>) -> Result<Step, ProtocolError> {
        let State::AwaitingOk(output) = &mut self.state else {
            if is_http(input) {
                return Err(ProtocolError::Violation("an HTTP request, as of a web browser, is no command"));
            }
            self.on_request(input, cx);
            return Ok(Step::consumed(input.len()));
        };
        if input.starts_with(OK) {
            cx.write(&mem::take(output));
            self.state = State::Idle;
            // Pending, it would keep the conversation busy for as long.
            cx.cancel_wake();
            return Ok(Step::consumed(OK.len()));
        }
        if OK.starts_with(input) { Ok(Step::NeedMore) } else { Err(ProtocolError::Violation("expected OK")) }
    }

    fn on_wake(&mut self, cx: &mut Context<'_>) {
        if let State::AwaitingOk(_) = self.state {
            cx.finish();
        }
    }

    fn on_child(&mut self, event: ChildEvent<'_>, cx: &mut Context<'_>) {
        match (event, &mut self.state) {
            (ChildEvent::Stdout(bytes), State::Busy { stdout, .. }) => stdout.extend_from_slice(bytes),
            (ChildEvent::Stderr(bytes), State::Busy { stderr, .. }) => stderr.extend_from_slice(bytes),
            (ChildEvent::Ended(end), _) => self.on_end(&end, cx),
            (ChildEvent::NotStarted(why), _) => self.refuse(&why.to_string(), cx),
            _ => {}
        }
    }
}
