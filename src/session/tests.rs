//! Regressions of the session, each named after the behaviour. Most were found by the simulation.

use std::time::{Duration, Instant, SystemTime};

use super::{Clock, CloseReason, Context, Framed, Limits, Pass, Protocol, ProtocolError, Session, Step};
use crate::address::Address;
use crate::codec::Lines;
use crate::services::{Echo, Source};
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

#[test]
fn the_idle_limit_counts_from_the_last_message_taken_not_from_the_last_read() {
    let origin = Instant::now();
    let clock = Clock::new(origin);
    let at = |seconds| clock.at(origin + Duration::from_secs(seconds), SystemTime::UNIX_EPOCH);
    let limits = Limits { frame_budget: 1, idle: Some(Duration::from_secs(10)), ..Limits::default() };
    let mut pass = Pass::new(limits, at(0));
    let mut session = Session::new(Framed::new(Lines::default(), Echo), pass.now());
    session.handle_bytes(b"one\ntwo\n", &Address::Unknown, &mut pass);
    assert!(session.wants_resume());

    pass.set_now(at(7));
    pass.refill();
    session.handle_resume(&Address::Unknown, &mut pass);
    let due = session.poll_timeout(&pass).expect("an idle limit");
    assert!(!due.is_due(at(16).tick) && due.is_due(at(18).tick));
}

/// Produces a byte whenever it may, without an end.
struct Endless;

impl Protocol for Endless {
    fn on_open(&mut self, cx: &mut Context<'_>) {
        cx.want_writable();
    }

    fn on_bytes(&mut self, input: &[u8], _cx: &mut Context<'_>) -> Result<Step, ProtocolError> {
        Ok(Step::consumed(input.len()))
    }
}

#[test]
fn a_protocol_that_has_asked_for_room_is_not_quiet() {
    let origin = Instant::now();
    let clock = Clock::new(origin);
    let mut pass = Pass::new(Limits::default(), clock.at(origin, SystemTime::UNIX_EPOCH));
    let mut session = Session::new(Endless, pass.now());
    session.handle_open(&Address::Unknown, &mut pass);
    session.handle_stop(&Address::Unknown, &mut pass);
    assert!(session.wants_writable());
    pass.set_now(clock.at(origin + Duration::from_secs(1), SystemTime::UNIX_EPOCH));
    session.handle_timeout(&Address::Unknown, &mut pass);
    assert!(session.wants_writable(), "still asked for, and not drained away");
}

#[test]
fn a_connection_on_which_output_goes_out_at_once_is_not_idle() {
    let origin = Instant::now();
    let clock = Clock::new(origin);
    let at = |seconds| clock.at(origin + Duration::from_secs(seconds), SystemTime::UNIX_EPOCH);
    let limits = Limits { idle: Some(Duration::from_secs(10)), ..Limits::default() };
    let mut pass = Pass::new(limits, at(0));
    let mut session = Session::new(Source::default(), pass.now());
    session.handle_open(&Address::Unknown, &mut pass);
    for seconds in [6, 12, 18] {
        pass.set_now(at(seconds));
        session.handle_timeout(&Address::Unknown, &mut pass);
        assert!(session.wants_writable(), "after {seconds} s");
        session.handle_writable(&Address::Unknown, &mut pass);
        // The driver writes, and the kernel takes it.
        assert!(pass.discard_output() > 0);
    }
}

/// Answers each message in pieces, one whenever there is room, and takes no other message meanwhile.
struct Pieces(u8);

impl Protocol for Pieces {
    fn ready(&self) -> bool {
        self.0 == 0
    }

    fn on_bytes(&mut self, _input: &[u8], cx: &mut Context<'_>) -> Result<Step, ProtocolError> {
        self.0 = 3;
        cx.want_writable();
        Ok(Step::consumed(1))
    }

    fn on_writable(&mut self, cx: &mut Context<'_>) {
        cx.write(&[b'0' + self.0]);
        self.0 -= 1;
        if self.0 > 0 {
            cx.want_writable();
        }
    }
}

#[test]
fn a_protocol_that_becomes_ready_by_producing_is_given_the_next_message() {
    let mut pair = SessionPair::new(Pieces(0));
    assert_eq!(pair.send(b"a"), b"321");
    assert_eq!(pair.send(b"b"), b"321");
    assert_eq!(pair.send(b"cd"), b"321321");
}
