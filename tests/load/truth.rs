//! Latency is what users would have had: against servers whose every delay is known, the corrected percentiles are the
//! computed ones. The machine may hiccup, so one of a few runs has to agree; a wrong figure never would.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use oneloop::codec::Raw;
use oneloop::load::{Arrival, Plan, Profile, Report, Stop, run};
use oneloop::session::{Context, Framed, Protocol, ProtocolError, Service, Step};

use crate::plans::plan;
use crate::servers::Server;

const TRIES: usize = 4;

/// An echo whose thread sleeps once, whoever is being served: everybody waits.
struct Stall {
    begin: Instant,
    log: Arc<Mutex<StallLog>>,
}

#[derive(Default)]
struct StallLog {
    stalled: bool,
    /// When each request was answered, in the order in which that happened.
    answered: Vec<Instant>,
}

impl Protocol for Stall {
    fn on_bytes(&mut self, input: &[u8], cx: &mut Context<'_>) -> Result<Step, ProtocolError> {
        let mut log = self.log.lock().unwrap();
        if !log.stalled && Instant::now() >= self.begin {
            std::thread::sleep(Duration::from_millis(500));
            log.stalled = true;
        }
        let now = Instant::now();
        log.answered.extend(input.chunks(64).map(|_| now));
        cx.write(input);
        Ok(Step::consumed(input.len()))
    }
}

/// The value at each of these quantiles.
fn quantiles(sorted: &[f64]) -> [f64; 4] {
    [800, 900, 990, 999].map(|per_mille| sorted[(sorted.len() * per_mille).div_ceil(1000) - 1])
}

fn measured(report: &Report) -> [f64; 4] {
    [0.80, 0.90, 0.99, 0.999].map(|q| report.corrected.value_at_quantile(q) as f64)
}

fn agree(computed: [f64; 4], measured: [f64; 4]) -> bool {
    computed.iter().zip(measured).all(|(computed, measured)| (measured / computed - 1.0).abs() <= 0.02)
}

fn until_agreed(mut once: impl FnMut() -> ([f64; 4], [f64; 4])) {
    let mut seen = Vec::new();
    for _ in 0..TRIES {
        let (computed, measured) = once();
        if agree(computed, measured) {
            return;
        }
        seen.push((computed, measured));
    }
    panic!("computed and measured, in nanoseconds: {seen:?}");
}

/// How long requests waited that were due once a millisecond, first come, first served. The first of them was due when
/// the promptest one says so.
fn latencies(answered: &[Instant]) -> Vec<f64> {
    let nanos = |k: usize| (answered[k] - answered[0]).as_nanos() as f64 - k as f64 * 1e6;
    let promptest = (0..answered.len()).map(nanos).fold(f64::INFINITY, f64::min);
    let mut latencies: Vec<f64> = (0..answered.len()).map(|k| nanos(k) - promptest).collect();
    latencies.sort_by(f64::total_cmp);
    latencies
}

fn stalled_run(change: impl Fn(&mut Plan)) -> ([f64; 4], Report) {
    let log = Arc::new(Mutex::new(StallLog::default()));
    let shown = Arc::clone(&log);
    let begin = Instant::now() + Duration::from_millis(700);
    let server = Server::start(move || Stall { begin, log: Arc::clone(&shown) });
    let mut plan = plan(&server.address);
    plan.arrival = Arrival::Open(Profile::constant(1000.0));
    plan.connections = 50;
    plan.duration = Some(Duration::from_secs(2));
    change(&mut plan);
    let report = run(&plan, &Stop::default(), &mut |_| {}).unwrap();
    let log = log.lock().unwrap();
    assert!(log.stalled && log.answered.len() == 2000, "{}", log.answered.len());
    (quantiles(&latencies(&log.answered)), report)
}

#[test]
fn a_stall_is_seen_by_everybody_who_was_to_come_during_it() {
    until_agreed(|| {
        let (computed, report) = stalled_run(|_| {});
        assert_eq!(report.requests, 2000, "{report:?}");
        // From the send, only those show it that were on their way: one on each connection.
        assert!(report.service.value_at_quantile(0.9) * 10 < report.corrected.value_at_quantile(0.9));
        (computed, measured(&report))
    });
}

#[test]
fn so_do_several_threads_and_pipelines() {
    until_agreed(|| {
        let (computed, report) = stalled_run(|plan| (plan.loops, plan.pipeline) = (2, 4));
        (computed, measured(&report))
    });
}

/// An echo that holds each answer back, and writes down for how long.
#[derive(Clone)]
struct Held {
    since: Option<Instant>,
    waiting: Vec<u8>,
    log: Arc<Mutex<Vec<f64>>>,
    number: Arc<Mutex<u64>>,
}

impl Service for Held {
    fn ready(&self) -> bool {
        self.since.is_none()
    }

    fn on_frame(&mut self, frame: &[u8], cx: &mut Context<'_>) {
        let mut number = self.number.lock().unwrap();
        *number += 1;
        let ms = match *number * 7 % 100 {
            0..50 => 100,
            50..90 => 150,
            90..99 => 250,
            _ => 400,
        };
        self.since = Some(Instant::now());
        self.waiting = frame.to_vec();
        cx.wake_after(Duration::from_millis(ms));
    }

    fn on_wake(&mut self, cx: &mut Context<'_>) {
        if let Some(since) = self.since.take() {
            cx.reply(&self.waiting);
            self.log.lock().unwrap().push(since.elapsed().as_nanos() as f64);
        }
    }
}

#[test]
fn a_known_distribution_comes_out_as_it_is() {
    until_agreed(|| {
        let log = Arc::new(Mutex::new(Vec::new()));
        let held = Held { since: None, waiting: Vec::new(), log: Arc::clone(&log), number: Arc::default() };
        let server = Server::start(move || Framed::new(Raw, held.clone()));
        let mut plan = plan(&server.address);
        plan.arrival = Arrival::Open(Profile::constant(1000.0));
        plan.connections = 500;
        plan.duration = Some(Duration::from_secs(2));
        let report = run(&plan, &Stop::default(), &mut |_| {}).unwrap();
        assert_eq!(report.requests, 2000, "{report:?}");
        let mut delays = log.lock().unwrap().clone();
        delays.sort_by(f64::total_cmp);
        (quantiles(&delays), measured(&report))
    });
}
