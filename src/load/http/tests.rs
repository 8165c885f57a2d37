//! One HTTP connection with a clock set by hand and a target that is this test.

use std::cell::Cell;
use std::time::Duration;

use super::*;
use crate::codec::Framing;
use crate::load::plan::{Arrival, Close, Content, Exchange, HttpRequest, Plan, Protocol as Target};
use crate::load::profile::{Profile, Schedule};
use crate::load::script::Script;
use crate::load::shared::{Slots, Time};
use crate::testing::SessionPair;

const MS: u64 = 1_000_000;
const ASK: &[u8] = b"GET / HTTP/1.1\r\n\r\n";

fn plan(keep_alive: bool, pipeline: usize) -> Plan {
    let request = HttpRequest { url: "http://h/".to_owned(), bytes: ASK.to_vec() };
    Plan {
        targets: Vec::new(),
        connections: 1,
        arrival: Arrival::Closed,
        pipeline,
        duration: Some(Duration::from_secs(1)),
        requests: None,
        warmup: Duration::ZERO,
        timeout: Duration::from_secs(1),
        connect_timeout: Duration::from_secs(1),
        connect_rate: None,
        lifetime: None,
        close: Close::Fin,
        sources: None,
        loops: 1,
        pin: false,
        exchange: Exchange {
            protocol: Target::Http { is_head_request: false, keep_alive },
            framing: Framing::Raw,
            content: Content::Requests(vec![request].into()),
            banner: Vec::new().into(),
        },
        verify: true,
    }
}

struct Bench {
    shared: Rc<Shared>,
    pair: SessionPair<HttpClient>,
    asked: Vec<u8>,
}

impl Bench {
    fn new(plan: &Plan, rate: Option<f64>) -> Self {
        let schedule = |rate| Schedule::new(Profile::constant(rate), Duration::ZERO, Duration::from_secs(1));
        let slots = rate.map(|rate| Slots { schedule: schedule(rate), connections: 1, count: NEVER });
        let script = Script::new(&plan.exchange).unwrap();
        let shared = Rc::new(Shared::new(script, Time::Virtual(Cell::new(0)), plan, slots));
        shared.phase.set(Phase::Running);
        shared.start.set(0);
        shared.measure_from.set(0);
        shared.end.set(1000 * MS);
        shared.in_flight.set(1);
        let mut pair = SessionPair::new(HttpClient::new(&shared, 0, Carry::default()));
        let asked = pair.take_output();
        Self { shared, pair, asked }
    }

    fn at(&self, now: u64) {
        let Time::Virtual(time) = &self.shared.time else { unreachable!() };
        time.set(now);
    }

    fn answer(&mut self, now: u64, bytes: &[u8]) {
        self.at(now);
        self.asked.extend(self.pair.send(bytes));
    }

    fn asked(&mut self) -> usize {
        assert_eq!(self.asked, ASK.repeat(self.asked.len() / ASK.len()));
        std::mem::take(&mut self.asked).len() / ASK.len()
    }

    /// Answers, errors in all, and those of this kind.
    fn counted(&self, kind: ErrorKind) -> (u64, u64, u64) {
        let tally = self.shared.tally.borrow();
        (tally.requests, tally.errors.total(), tally.errors.of(kind))
    }
}

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

#[test]
fn the_next_request_follows_the_answer_in_whatever_pieces_it_comes() {
    let interim = [b"HTTP/1.1 103 Early\r\n\r\n", OK].concat();
    let chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n";
    let empty = b"HTTP/1.1 204 No\r\n\r\n";
    for answer in [OK, &interim, chunked, empty] {
        let mut bench = Bench::new(&plan(true, 1), None);
        assert_eq!(bench.asked(), 1);
        for at in 1..answer.len() {
            bench.answer(MS, &answer[..at]);
            assert_eq!(bench.asked(), 0, "{at}");
            bench.answer(2 * MS, &answer[at..]);
            assert_eq!(bench.asked(), 1, "{at}");
        }
        let count = answer.len() as u64 - 1;
        assert_eq!(bench.counted(ErrorKind::Other), (count, 0, 0));
        let tally = bench.shared.tally.borrow();
        assert_eq!(tally.bytes_in, count * answer.len() as u64);
        assert_eq!(tally.statuses.iter().map(|(_, count)| count).sum::<u64>(), count);
    }
}

#[test]
fn answers_that_come_together_are_counted_one_by_one() {
    let mut bench = Bench::new(&plan(true, 4), None);
    assert_eq!(bench.asked(), 4);
    bench.answer(MS, &OK.repeat(3));
    assert_eq!((bench.asked(), bench.counted(ErrorKind::Other)), (3, (3, 0, 0)));
}

#[test]
fn another_status_is_an_answer_and_an_error() {
    let mut bench = Bench::new(&plan(true, 1), None);
    bench.answer(MS, b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n");
    bench.answer(2 * MS, OK);
    assert_eq!(bench.counted(ErrorKind::Status), (2, 1, 1));
    let tally = bench.shared.tally.borrow();
    assert_eq!(tally.statuses.iter().collect::<Vec<_>>(), [(200, 1), (503, 1)]);
    assert_eq!(tally.examples[0].text, "connection 0, request 0: status 503");
}

#[test]
fn a_target_that_closes_after_its_answer_has_done_nothing_wrong() {
    let mut bench = Bench::new(&plan(true, 1), None);
    bench.asked();
    bench.answer(MS, b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx");
    assert_eq!(bench.asked(), 0, "nothing more is asked on it");
    assert!(bench.pair.close_reason().is_none(), "the target closes first");
    bench.pair.send_eof();
    assert!(bench.pair.close_reason().is_some());
    assert_eq!(bench.counted(ErrorKind::Truncated), (1, 0, 0));
    let ended = bench.shared.ended.borrow()[0];
    assert_eq!((ended.carry.seq, ended.in_vain), (1, false));
}

#[test]
fn a_body_that_ends_with_its_connection_is_complete_then() {
    let mut bench = Bench::new(&plan(true, 1), None);
    bench.answer(MS, b"HTTP/1.0 200 OK\r\n\r\nany ");
    bench.answer(2 * MS, b"thing");
    assert_eq!(bench.counted(ErrorKind::Truncated), (0, 0, 0));
    bench.pair.send_eof();
    assert_eq!(bench.counted(ErrorKind::Truncated), (1, 0, 0));
}

#[test]
fn what_is_lost_with_a_connection_is_counted() {
    for (answer, pipeline) in [
        (&b""[..], 1),
        (b"HTTP/1.1 20", 1),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort", 1),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nshort", 1),
    ] {
        let mut bench = Bench::new(&plan(true, pipeline), None);
        bench.answer(MS, answer);
        bench.pair.send_eof();
        assert_eq!(bench.counted(ErrorKind::Truncated), (0, 1, 1), "{}", answer.escape_ascii());
        assert_eq!(bench.shared.owed(), 0);
    }
    let mut bench = Bench::new(&plan(true, 3), None);
    bench.answer(MS, b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(bench.counted(ErrorKind::Truncated), (1, 1, 1));
    assert!(bench.shared.tally.borrow().examples[0].text.ends_with("with 2 more owed"));
}

#[test]
fn an_idle_connection_may_be_closed() {
    let mut bench = Bench::new(&plan(true, 1), Some(10.0));
    bench.pair.wake();
    bench.answer(MS, OK);
    bench.pair.send_eof();
    assert_eq!(bench.counted(ErrorKind::Other), (1, 0, 0));
}

#[test]
fn what_is_no_answer_is_a_mismatch() {
    for answer in [&b"echo: GET /\r\n"[..], b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n"] {
        let mut bench = Bench::new(&plan(true, 1), None);
        bench.answer(MS, answer);
        assert!(bench.pair.close_reason().is_some());
        assert_eq!(bench.counted(ErrorKind::Mismatch), (0, 1, 1), "{}", answer.escape_ascii());
    }
    let mut bench = Bench::new(&plan(true, 1), None);
    bench.shared.left.set(0);
    bench.answer(MS, OK);
    bench.answer(MS, OK);
    assert_eq!(bench.counted(ErrorKind::Mismatch), (1, 1, 1));
    assert!(bench.shared.tally.borrow().examples[0].text.contains("nobody asked"));
}

#[test]
fn without_keep_alive_a_connection_has_one_answer() {
    let mut bench = Bench::new(&plan(false, 1), None);
    bench.asked();
    bench.answer(MS, OK);
    assert_eq!(bench.asked(), 0);
    assert!(bench.pair.close_reason().is_some(), "the target keeps it open, so this side closes");
    assert_eq!(bench.counted(ErrorKind::Other), (1, 0, 0));
}

#[test]
fn no_answer_in_time_is_an_error_and_a_target_that_does_not_close_is_none() {
    let mut bench = Bench::new(&plan(true, 1), None);
    bench.at(1000 * MS);
    bench.pair.wake();
    assert_eq!(bench.counted(ErrorKind::Timeout), (0, 1, 1));
    let mut bench = Bench::new(&plan(true, 1), None);
    bench.answer(MS, b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n");
    bench.at(1001 * MS);
    bench.pair.wake();
    assert!(bench.pair.close_reason().is_some());
    assert_eq!(bench.counted(ErrorKind::Timeout), (1, 0, 0));
}

#[test]
fn a_request_that_had_to_wait_counts_from_its_moment() {
    let mut bench = Bench::new(&plan(true, 1), Some(10.0));
    bench.at(0);
    bench.pair.wake();
    bench.at(100 * MS);
    bench.pair.wake();
    bench.answer(150 * MS, OK);
    bench.answer(151 * MS, OK);
    let tally = bench.shared.tally.borrow();
    // Three digits are kept.
    let ms = |nanos: u64| (nanos + MS / 2) / MS;
    assert_eq!((ms(tally.corrected.max()), ms(tally.service.max())), (150, 150));
    assert_eq!((ms(tally.corrected.min()), ms(tally.service.min())), (51, 1));
}

#[test]
fn a_head_that_is_known_says_the_same_and_another_does_not() {
    let wire = Wire::new(&plan(true, 1).exchange);
    let read =
        |input: &[u8]| wire.read_head(input).unwrap().map(|(facts, len)| (facts.status, facts.ends, len));
    use crate::http::Ends::Length;
    let long = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX: y\r\n\r\nok";
    for _ in 0..2 {
        assert_eq!(read(OK), Some((200, Length(2), OK.len() - 2)));
        assert_eq!(read(&OK[..OK.len() - 3]), None, "not all of it is there");
        assert_eq!(read(long), Some((200, Length(2), long.len() - 2)));
        assert_eq!(read(b"HTTP/1.1 200 OK\r\nContent-Length: 22\r\n\r\n"), Some((200, Length(22), 39)));
    }
}
