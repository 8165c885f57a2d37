//! A stream that never ends and whose every byte is known: what throughput and slow readers are tried with.

use crate::session::{Context, Protocol, ProtocolError, Step};

/// Byte `k` of the stream is `k` modulo this. A prime, so that no buffer's size divides it.
pub(in crate::services) const PERIOD: usize = 251;

/// Whole periods, a little more than the default high water mark: one write fills a connection's room.
pub(in crate::services) const BLOCK: usize = PERIOD * 262;

pub(in crate::services) static PATTERN: [u8; BLOCK] = pattern();

const fn pattern() -> [u8; BLOCK] {
    let mut block = [0; BLOCK];
    let mut next: u8 = 0;
    let mut at = 0;
    while at < BLOCK {
        block[at] = next;
        next = if next == 250 { 0 } else { next + 1 };
        at += 1;
    }
    block
}

/// Sends byte after byte, the `k`th being `k` modulo 251, as fast as they are taken, and discards what it is sent.
///
/// It ends with the peer's stream, or when the server drains. A plain stream of bytes: not to be put behind a framing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Source {
    /// Where the stream goes on in the pattern. Invariant: below [`PERIOD`].
    at: usize,
}

impl Protocol for Source {
    fn on_open(&mut self, cx: &mut Context<'_>) {
        cx.want_writable();
    }

    fn on_writable(&mut self, cx: &mut Context<'_>) {
        let end = BLOCK.min(self.at + cx.room());
        cx.write(&PATTERN[self.at..end]);
        self.at = end % PERIOD;
        cx.want_writable();
    }

    fn on_bytes(&mut self, input: &[u8], _cx: &mut Context<'_>) -> Result<Step, ProtocolError> {
        Ok(Step::consumed(input.len()))
    }

    /// There is no end to be brought it to.
    fn on_stop(&mut self, cx: &mut Context<'_>) {
        cx.finish();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::address::Address;
    use crate::session::{CloseReason, Limits, Pass, Session};
    use crate::testing::{ScriptedStream, SessionPair};

    const HIGH: usize = 64 * 1024;

    fn with_room(room: usize) -> SessionPair<Source> {
        let mut stream = ScriptedStream::new(Address::Unknown);
        stream.set_room(room);
        SessionPair::on_stream(stream, Source::default(), Limits::default())
    }

    fn expected(from: usize, count: usize) -> Vec<u8> {
        (from..from + count).map(|k| u8::try_from(k % 251).unwrap()).collect()
    }

    #[test]
    fn byte_k_is_k_mod_251_whatever_is_taken_at_a_time() {
        let mut pair = with_room(1);
        let mut sent = pair.take_output();
        for room in [0, 1, 250, 251, 252, HIGH - 1, HIGH, HIGH + 1, BLOCK, 3 * BLOCK + 7, 1_000_003] {
            let more = pair.set_room(room);
            assert_eq!(more.len(), room);
            assert!(more == expected(sent.len(), room), "wrong after {} bytes", sent.len());
            sent.extend(more);
        }
    }

    #[test]
    fn a_reader_that_takes_nothing_costs_no_more_than_high_water() {
        let mut pair = with_room(0);
        assert_eq!(pair.buffered(), HIGH);
        for _ in 0..100 {
            pair.set_room(1000);
            assert!(pair.buffered() <= HIGH, "{} bytes", pair.buffered());
        }
    }

    #[test]
    fn a_small_high_water_mark_is_kept_and_a_large_one_is_filled_in_pieces() {
        for high_water in [1, 100, 10 * BLOCK] {
            let limits = Limits { high_water, low_water: 0, ..Limits::default() };
            let mut stream = ScriptedStream::new(Address::Unknown);
            stream.set_room(0);
            let mut pair = SessionPair::on_stream(stream, Source::default(), limits);
            assert_eq!(pair.buffered(), high_water);
            assert!(pair.set_room(BLOCK) == expected(0, BLOCK));
        }
    }

    #[test]
    fn input_is_discarded() {
        let mut pair = with_room(0);
        pair.send(b"stop");
        assert!(pair.set_room(1000) == expected(0, 1000));
        assert_eq!(pair.close_reason(), None);
    }

    #[test]
    fn the_peers_end_ends_it() {
        let mut pass = Pass::for_tests(Instant::now());
        let mut session = Session::new(Source::default(), pass.now());
        session.handle_open(&Address::Unknown, &mut pass);
        session.handle_bytes(b"ignored", &Address::Unknown, &mut pass);
        assert!(session.wants_writable());
        session.handle_eof(&Address::Unknown, &mut pass);
        assert!(session.wants_shutdown() && !session.wants_writable());
    }

    #[test]
    fn a_half_close_is_noticed_as_soon_as_there_is_room_again() {
        let mut pair = with_room(0);
        pair.send(b"ignored");
        pair.send_eof();
        assert!(!pair.is_write_shut());
        pair.set_room(usize::MAX);
        assert_eq!(pair.close_reason(), Some(&CloseReason::Eof));
    }

    #[test]
    fn a_drain_ends_it_with_what_is_unsent() {
        let mut pair = with_room(10);
        pair.stop();
        assert!(!pair.is_write_shut());
        assert_eq!(pair.set_room(usize::MAX).len(), HIGH);
        assert!(pair.is_write_shut());
        pair.send_eof();
        assert_eq!(pair.close_reason(), Some(&CloseReason::Finished));
    }
}
