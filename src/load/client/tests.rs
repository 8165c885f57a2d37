//! One connection with a clock set by hand and a target that is this test.

use std::cell::Cell;
use std::time::Duration;

use super::*;
use crate::load::plan::{Arrival, Close, Content, Exchange, Plan};
use crate::load::profile::{Profile, Schedule};
use crate::load::script::Script;
use crate::load::shared::{Slots, Time};
use crate::testing::SessionPair;

const MS: u64 = 1_000_000;

/// What every connection of a test shares: messages of 8 bytes; measured from the start, for a second.
fn shared(rate: Option<f64>) -> Shared {
    let exchange = Exchange {
        protocol: Target::Echo,
        framing: crate::codec::Framing::Raw,
        content: Content::Pattern(8),
        banner: Vec::new().into(),
    };
    let plan = Plan {
        targets: Vec::new(),
        connections: 1,
        arrival: Arrival::Closed,
        pipeline: 1,
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
        exchange,
        verify: true,
    };
    let schedule = |rate| Schedule::new(Profile::constant(rate), Duration::ZERO, Duration::from_secs(1));
    let slots = rate.map(|rate| Slots { schedule: schedule(rate), connections: 1, count: NEVER });
    let script = Script::new(&plan.exchange).unwrap();
    let shared = Shared::new(script, Time::Virtual(Cell::new(0)), &plan, slots);
    shared.phase.set(Phase::Running);
    shared.start.set(0);
    shared.measure_from.set(0);
    shared.end.set(1000 * MS);
    shared.in_flight.set(1);
    shared
}

/// A connection and the test as its target.
struct Bench {
    shared: Rc<Shared>,
    pair: SessionPair<Client>,
    owed: Vec<u8>,
}

impl Bench {
    fn new(shared: Shared) -> Self {
        let shared = Rc::new(shared);
        let mut pair = SessionPair::new(Client::new(&shared, 0, Carry::default()));
        let owed = pair.take_output();
        Self { shared, pair, owed }
    }

    fn at(&self, now: u64) {
        let Time::Virtual(time) = &self.shared.time else { unreachable!() };
        time.set(now);
    }

    /// The driver wakes the connection at this moment.
    fn wake(&mut self, now: u64) {
        self.at(now);
        self.owed.extend(self.pair.wake());
    }

    /// The target answers everything at this moment.
    fn answer(&mut self, now: u64) {
        self.at(now);
        let reply = std::mem::take(&mut self.owed);
        self.owed = self.pair.send(&reply);
    }

    fn latencies(&self) -> (Vec<u64>, Vec<u64>) {
        let tally = self.shared.tally.borrow();
        let values = |histogram: &crate::histogram::Nanos| {
            let each = histogram.iter_recorded();
            each.flat_map(|v| vec![v.value_iterated_to() / MS; usize::try_from(v.count_at_value()).unwrap()])
                .collect()
        };
        (values(&tally.corrected), values(&tally.service))
    }

    fn lag(&self) -> u64 {
        self.shared.tally.borrow().lag.max() / MS
    }
}

#[test]
fn closed_arrival_sends_the_next_request_when_the_last_is_answered() {
    let mut bench = Bench::new(shared(None));
    assert_eq!(bench.owed.len(), 8, "one as soon as the connection is there");
    for (now, latency) in [(5, 5), (7, 2), (107, 100)] {
        bench.answer(now * MS);
        assert!(bench.latencies().0.contains(&latency), "{now}");
        assert_eq!(bench.owed.len(), 8);
    }
    assert_eq!(bench.shared.tally.borrow().requests, 3);
}

#[test]
fn a_request_that_had_to_wait_for_its_connection_counts_from_its_moment() {
    // Slots at 0, 100, 200, 300 ms; the first answer takes until 250 ms, the others 1 ms.
    let mut bench = Bench::new(shared(Some(10.0)));
    bench.wake(0);
    bench.wake(100 * MS);
    bench.wake(200 * MS);
    assert_eq!(bench.owed.len(), 8, "one at a time");
    bench.answer(250 * MS);
    bench.answer(251 * MS);
    bench.answer(252 * MS);
    bench.wake(300 * MS);
    bench.answer(301 * MS);
    let (mut corrected, mut service) = bench.latencies();
    corrected.sort_unstable();
    service.sort_unstable();
    assert_eq!(corrected, [1, 52, 151, 250]);
    assert_eq!(service, [1, 1, 1, 250], "what a tool says that only counts from the send");
    assert_eq!(bench.lag(), 0, "the generator itself was never late");
}

#[test]
fn the_generators_own_lateness_is_counted_apart() {
    let mut bench = Bench::new(shared(Some(10.0)));
    bench.wake(0);
    bench.answer(MS);
    bench.wake(130 * MS);
    bench.answer(131 * MS);
    assert_eq!(bench.lag(), 30);
    assert_eq!(bench.latencies(), (vec![1, 31], vec![1, 1]));
}

#[test]
fn nothing_is_sent_whose_moment_is_after_the_end() {
    let mut bench = Bench::new(shared(Some(10.0)));
    for now in 0..2000 {
        bench.wake(now * MS);
        bench.answer(now * MS);
    }
    assert_eq!(bench.shared.tally.borrow().requests, 10);
}

#[test]
fn what_belongs_to_the_warm_up_is_not_measured() {
    let bench = shared(None);
    bench.measure_from.set(10 * MS);
    let mut bench = Bench::new(bench);
    bench.answer(20 * MS);
    assert_eq!(bench.shared.tally.borrow().requests, 0, "sent in the warm-up, answered after it");
    bench.answer(30 * MS);
    assert_eq!(bench.latencies().0, [10]);
}

#[test]
fn no_answer_in_time_is_an_error_and_ends_the_connection() {
    let mut bench = Bench::new(shared(None));
    bench.wake(999 * MS);
    assert!(bench.pair.close_reason().is_none());
    bench.wake(1000 * MS);
    assert!(bench.pair.close_reason().is_some());
    let tally = bench.shared.tally.borrow();
    assert_eq!(tally.errors.of(ErrorKind::Timeout), 1);
    assert_eq!(tally.examples[0].text, "connection 0, message 0: no answer within 1s");
}

#[test]
fn an_old_connection_ends_when_it_owes_nothing() {
    let mut bench = shared(None);
    bench.lifetime = 64 * MS;
    let mut bench = Bench::new(bench);
    bench.wake(500 * MS);
    assert!(bench.pair.close_reason().is_none(), "an answer is still to come");
    bench.answer(501 * MS);
    assert!(bench.pair.close_reason().is_some());
    let tally = bench.shared.tally.borrow();
    assert_eq!((tally.requests, tally.errors.total()), (1, 0));
}

#[test]
fn more_than_was_asked_for_is_a_mismatch() {
    let mut bench = Bench::new(shared(None));
    bench.owed.push(0);
    bench.answer(MS);
    let tally = bench.shared.tally.borrow();
    assert_eq!((tally.mismatches, tally.requests), (1, 0));
    assert_eq!(tally.examples[0].text, "connection 0, 1 bytes more than were asked for");
}
