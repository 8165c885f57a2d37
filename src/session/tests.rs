//! Regressions of the session, each named after the behaviour. Most were found by the simulation.

use std::time::Duration;

use super::{CloseReason, Context, Limits, Protocol, ProtocolError, Step};
use crate::testing::SessionPair;

/// Answers with one long reply and finishes.
struct Last;

impl Protocol for Last {
    fn on_bytes(&mut self, input: &[u8], cx: &mut Context<'_>) -> Result<Step, ProtocolError> {
        cx.write(&[b'x'; 100]);
        cx.finish();
        Ok(Step::consumed(input.len()))
    }
}

#[test]
fn a_last_reply_that_was_not_flushed_does_not_count_as_finished() {
    let limits = Limits { write: Some(Duration::from_secs(5)), ..Limits::default() };
    let mut pair = SessionPair::with_limits(Last, limits);
    pair.set_room(10);
    pair.send(b"?");
    pair.advance(Duration::from_secs(6));
    assert_eq!(pair.close_reason(), Some(&CloseReason::WriteTimeout));

    let mut pair = SessionPair::new(Last);
    pair.set_room(10);
    pair.send(b"?");
    pair.reset();
    pair.set_room(100);
    pair.advance(Duration::from_secs(3));
    pair.reset();
    assert_eq!(pair.close_reason(), Some(&CloseReason::Finished), "flushed, whatever came then");
}
