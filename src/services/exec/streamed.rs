//! The streaming protocol: what a command prints is sent as it comes, its streams and its status kept apart.
//!
//! Both directions are frames with a big-endian length of 4 bytes (len32). A request is `token NUL name NUL argument…`, the
//! token empty where none is asked for. A reply is any number of frames whose first byte says what the rest is: [`STDOUT`],
//! [`STDERR`], and at last [`STATUS`], a big-endian i32: 0 to 255, or a signal's number, negative. What goes wrong on our side
//! is told on stderr, with the status 255. The next request may follow on the same connection.
//!
//! A client that ends its side while its command runs has left, and the command is ended.

use std::sync::Arc;

use super::{ExecConfig, OUR_FAILURE, wire_status};
use crate::codec::{Decoder, FrameError, LengthPrefixed};
use crate::session::{ChildEvent, Context, Protocol, ProtocolError, Step};

/// The rest of the frame was printed on standard output.
pub const STDOUT: u8 = 1;
/// The rest of the frame was printed on standard error.
pub const STDERR: u8 = 2;
/// The rest of the frame is the status; the last of a reply.
pub const STATUS: u8 = 3;

/// One client of the streaming protocol.
#[derive(Debug)]
pub struct Exec {
    config: Arc<ExecConfig>,
    requests: LengthPrefixed,
    busy: bool,
}

impl Exec {
    /// A conversation with requests of at most `max_request` bytes.
    #[must_use]
    pub fn new(config: Arc<ExecConfig>, max_request: usize) -> Self {
        Self { config, requests: LengthPrefixed::len32(max_request), busy: false }
    }

    fn on_request(&mut self, request: &[u8], cx: &mut Context<'_>) {
        let mut words = request.split(|byte| *byte == 0);
        let token = words.next().unwrap_or_default();
        if self.config.token.as_ref().is_some_and(|expected| !expected.is(token)) {
            refuse(&self.config, "wrong token", cx);
            return cx.finish();
        }
        let words: Vec<&[u8]> = words.collect();
        match self.config.child(&words) {
            Ok(child) => {
                log::info!("command name=\"{}\" peer={}", super::shown(words[0]), cx.peer());
                cx.spawn(child);
                self.busy = true;
            }
            Err(why) => refuse(&self.config, &why, cx),
        }
    }
}

impl Protocol for Exec {
    fn ready(&self) -> bool {
        !self.busy
    }

    fn on_bytes(&mut self, input: &[u8], cx: &mut Context<'_>) -> Result<Step, ProtocolError> {
        let Some(frame) = self.requests.decode(input)? else { return Ok(Step::NeedMore) };
        self.on_request(&input[frame.payload], cx);
        Ok(Step::consumed(frame.consumed))
    }

    fn on_eof(&mut self, rest: &[u8], cx: &mut Context<'_>) -> Result<Step, ProtocolError> {
        if !rest.is_empty() {
            return Err(FrameError::Truncated { have: rest.len() as u64 }.into());
        }
        cx.finish();
        Ok(Step::NeedMore)
    }

    fn on_child(&mut self, event: ChildEvent<'_>, cx: &mut Context<'_>) {
        match event {
            ChildEvent::Stdout(bytes) => send(STDOUT, bytes, cx),
            ChildEvent::Stderr(bytes) => send(STDERR, bytes, cx),
            ChildEvent::Ended(end) => {
                self.busy = false;
                if let Some(notice) = self.config.notice(&end) {
                    send(STDERR, notice.as_bytes(), cx);
                }
                send_status(wire_status(end.status), cx);
            }
            ChildEvent::NotStarted(why) => {
                self.busy = false;
                refuse(&self.config, &why.to_string(), cx);
            }
        }
    }
}

fn refuse(config: &ExecConfig, why: &str, cx: &mut Context<'_>) {
    config.log_refusal(why, cx);
    send(STDERR, format!("oneloop: {why}\n").as_bytes(), cx);
    send_status(OUR_FAILURE, cx);
}

fn send_status(status: i32, cx: &mut Context<'_>) {
    send(STATUS, &status.to_be_bytes(), cx);
}

/// One frame, without putting it together somewhere else first.
fn send(kind: u8, bytes: &[u8], cx: &mut Context<'_>) {
    let len = u32::try_from(bytes.len() + 1).expect("what one read returned");
    cx.write(&len.to_be_bytes());
    cx.write(&[kind]);
    cx.write(bytes);
}
