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

#[cfg(test)]
mod tests {
    use super::super::{Commands, Entry, Refusals};
    use super::*;
    use crate::session::{ChildEnd, ChildStatus, CloseReason, Limits, SpawnFailure};
    use crate::testing::SessionPair;

    fn pair() -> SessionPair<Exec> {
        let date =
            Entry { program: "/bin/date".into(), arguments: Vec::new(), accepts: Vec::new(), required: 0 };
        let config = ExecConfig {
            commands: Commands::Named([("date".to_owned(), date)].into()),
            token: None,
            launcher: Some(("/launch".into(), vec!["-x".into()])),
            time_limit: None,
            max_output: None,
            refusals: Refusals::default(),
        };
        let limits = Limits { high_water: 100, low_water: 10, ..Limits::default() };
        SessionPair::with_limits(Exec::new(Arc::new(config), 64), limits)
    }

    const REQUEST: &[u8] = b"\0\0\0\x05\0date";
    const END: ChildEvent<'_> =
        ChildEvent::Ended(ChildEnd { status: ChildStatus::Signalled(15), limit: None });

    #[test]
    fn a_command_is_started_by_its_launcher_and_heard_piece_by_piece() {
        let mut pair = pair();
        assert_eq!(pair.send(REQUEST), b"");
        let spec = pair.take_spawned().unwrap();
        assert_eq!(
            (spec.program.to_str(), spec.arguments),
            (Some("/launch"), vec!["-x".into(), "/bin/date".into()])
        );
        assert_eq!(pair.child(ChildEvent::Stderr(b"oh")), b"\0\0\0\x03\x02oh");
        // The next request waits for the end of this one.
        assert_eq!(pair.send(REQUEST), b"");
        assert!(pair.take_spawned().is_none());
        assert_eq!(pair.child(END), [&b"\0\0\0\x05\x03"[..], &(-15_i32).to_be_bytes()].concat());
    }

    #[test]
    fn a_client_that_does_not_read_is_not_told_more() {
        let mut pair = pair();
        pair.send(REQUEST);
        pair.set_room(0);
        assert!(pair.wants_child_output());
        pair.child(ChildEvent::Stdout(&[7; 200]));
        assert!(!pair.wants_child_output());
        assert_eq!(pair.set_room(usize::MAX).len(), 205);
        assert!(pair.wants_child_output());
    }

    #[test]
    fn a_client_that_leaves_ends_the_conversation() {
        let mut pair = pair();
        pair.send(REQUEST);
        pair.send_eof();
        assert_eq!(pair.close_reason(), Some(&CloseReason::Eof));
        assert!(!pair.wants_child_output());
    }

    #[test]
    fn what_could_not_be_started_is_said_and_the_next_request_is_taken() {
        let mut pair = pair();
        pair.send(REQUEST);
        let refused = pair.child(ChildEvent::NotStarted(SpawnFailure::TooMany { max: 4 }));
        assert!(refused.ends_with(b"\0\0\0\x05\x03\0\0\0\xff"), "{refused:?}");
        pair.send(REQUEST);
        assert!(pair.take_spawned().is_some());
    }
}
