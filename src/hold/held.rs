//! The protocol of one held connection: as small as it can be, for there are many.

use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::Instant;

use super::kinds::Kind;
use super::words::Words;
use crate::session::{CloseReason, ConnectError, Context, Now, Protocol, ProtocolError, Step};

/// Where a connection is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// Not made, or its first message has not come back.
    Opening,
    /// It rests.
    Held,
    /// Asked whether it is still there.
    Asked,
}

/// What a connection tells its owner.
#[derive(Debug)]
pub(super) enum Note {
    /// It is made.
    Connected { number: u32, at: Instant },
    /// Its first message came back, if there is one.
    Opened { number: u32 },
    /// It is still there.
    Answered { number: u32 },
    /// It is not there any more.
    Gone { number: u32, stage: Stage, kind: Kind, other: Option<CloseReason> },
}

/// One connection.
pub(super) struct Held {
    notes: Sender<Note>,
    words: Option<Arc<Words>>,
    number: u32,
    /// Bytes of the answer that have come.
    seen: u32,
    stage: Stage,
}

impl Held {
    pub(super) const fn new(number: u32, words: Option<Arc<Words>>, notes: Sender<Note>) -> Self {
        Self { notes, words, number, seen: 0, stage: Stage::Opening }
    }

    fn tell(&self, note: Note) {
        // It fails when the owner has gone, and the connection goes with it.
        let _ = self.notes.send(note);
    }

    const fn round(&self) -> u8 {
        match self.stage {
            Stage::Opening => 0,
            Stage::Held | Stage::Asked => 1,
        }
    }

    fn ask(&mut self, cx: &mut Context<'_>) {
        match &self.words {
            Some(words) => {
                self.seen = 0;
                cx.write(&words.message(self.number, self.round()));
            }
            None => self.answered(),
        }
    }

    fn answered(&mut self) {
        let number = self.number;
        let note = match self.stage {
            Stage::Opening => Note::Opened { number },
            Stage::Held | Stage::Asked => Note::Answered { number },
        };
        self.stage = Stage::Held;
        self.tell(note);
    }
}

impl Protocol for Held {
    fn on_open(&mut self, cx: &mut Context<'_>) {
        self.tell(Note::Connected { number: self.number, at: cx.now() });
        self.ask(cx);
    }

    fn on_bytes(&mut self, input: &[u8], _cx: &mut Context<'_>) -> Result<Step, ProtocolError> {
        let Some(words) = &self.words else { return Ok(Step::consumed(input.len())) };
        if self.stage == Stage::Held {
            return Err(ProtocolError::Violation("bytes that nobody asked for"));
        }
        // Made anew rather than kept: a connection at rest has no memory for it.
        let expected = words.message(self.number, self.round());
        let rest = &expected[self.seen as usize..];
        if !rest.starts_with(input) {
            return Err(ProtocolError::Violation("the answer is not what was sent"));
        }
        // A message has at most 1 MiB and its header.
        self.seen += u32::try_from(input.len()).unwrap_or(u32::MAX);
        if input.len() == rest.len() {
            self.answered();
        }
        Ok(Step::consumed(input.len()))
    }

    fn on_eof(&mut self, _rest: &[u8], cx: &mut Context<'_>) -> Result<Step, ProtocolError> {
        cx.close();
        Ok(Step::NeedMore)
    }

    fn on_wake(&mut self, cx: &mut Context<'_>) {
        if self.stage == Stage::Held {
            self.stage = Stage::Asked;
            self.ask(cx);
        }
    }

    fn on_close(&mut self, reason: &CloseReason, _now: &Now) {
        let kind = Kind::of_close(reason);
        let other = (kind == Kind::Other).then(|| reason.clone());
        self.tell(Note::Gone { number: self.number, stage: self.stage, kind, other });
    }
}

/// A connection that could not even be begun.
pub(super) fn not_begun(number: u32, error: ConnectError) -> Note {
    let kind = Kind::of_connect(error);
    let other = (kind == Kind::Other).then_some(CloseReason::Connect(error));
    Note::Gone { number, stage: Stage::Opening, kind, other }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_held_connection_is_small() {
        assert!(size_of::<Held>() <= 64, "{}", size_of::<Held>());
    }
}
