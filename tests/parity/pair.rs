//! The table on a session alone: no kernel, virtual time.

use std::time::Duration;

use oneloop::address::Address;
use oneloop::session::{Limits, Peer, Protocol};
use oneloop::testing::sim::Step;
use oneloop::testing::{ScriptedStream, SessionPair};

use crate::table::{Case, table};

const MS: Duration = Duration::from_millis(1);

/// One conversation. The peer reads only what it expects, until it expects the end.
struct Talk {
    pair: SessionPair<Box<dyn Protocol>>,
    /// Heard and not expected yet.
    heard: Vec<u8>,
    waited: Duration,
}

impl Talk {
    fn new(case: &Case) -> Self {
        let protocol = (case.make)(&Peer { address: Address::Unknown, local: Address::Unknown });
        let mut stream = ScriptedStream::new(Address::Unknown);
        stream.set_room(0);
        let pair = SessionPair::on_stream(stream, protocol, Limits::default());
        Self { pair, heard: Vec::new(), waited: Duration::ZERO }
    }

    fn hear(&mut self, expected: &[u8], name: &str) {
        let room = expected.len().saturating_sub(self.heard.len());
        self.heard.extend(self.pair.set_room(room));
        while self.heard.len() < expected.len() && self.waited < Duration::from_secs(1) {
            self.heard.extend(self.pair.advance(MS));
            self.waited += MS;
        }
        let len = expected.len().min(self.heard.len());
        let heard: Vec<u8> = self.heard.drain(..len).collect();
        assert!(heard == expected, "{name}: heard {:?}", heard[..len.min(100)].escape_ascii().to_string());
    }

    fn end(&mut self, optional: &[u8], name: &str) {
        self.heard.extend(self.pair.set_room(usize::MAX));
        let rest = &self.heard;
        assert!(optional.starts_with(rest), "{name}: more came than expected: {} bytes", rest.len());
        assert!(self.pair.is_write_shut() || self.pair.close_reason().is_some(), "{name}: it did not end");
    }
}

fn play(case: &Case, steps: &[Step]) {
    let mut talk = Talk::new(case);
    let mut optional: &[u8] = b"";
    for step in steps {
        match step {
            Step::Send(bytes) => talk.heard.extend(talk.pair.send(bytes)),
            Step::Hear(bytes) => talk.hear(bytes, &case.name),
            Step::HearSome(bytes) => optional = bytes,
            Step::Eof => talk.heard.extend(talk.pair.send_eof()),
            Step::End => talk.end(optional, &case.name),
        }
    }
    assert!(talk.waited >= case.takes, "{}: took only {:?}", case.name, talk.waited);
}

#[test]
fn a_session_alone_keeps_to_every_transcript() {
    for case in table() {
        for steps in case.variants() {
            play(&case, &steps);
        }
    }
}
