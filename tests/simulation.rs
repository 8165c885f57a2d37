//! The whole reactor under a kernel that does what kernels may do, tens of thousands of times.
//!
//! `ONELOOP_SEEDS=N` runs N seeds instead of the usual number and says how fast; `ONELOOP_SEED=S` replays one.

#![allow(clippy::print_stdout, reason = "asked for by the environment")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use oneloop::codec::{LengthPrefixed, Raw};
use oneloop::kernel::Planted;
use oneloop::services::{Echo, Greet, GreetConfig};
use oneloop::session::{CloseReason, DatagramContext, DatagramHandler, EachDatagram, Framed};
use oneloop::testing::sim::{
    Bug, Failure, Kind, Report, Simulation, Sound, exhaust, replay, run_seed, survives_any_kernel,
    survives_any_kernel_datagrams, survives_every_order,
};

/// How many seeds every `cargo test` lives through.
const SEEDS: u64 = 30_000;
const THREADS: u64 = 2;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// Runs every `THREADS`th seed, and sums up what happened.
fn run_share(first: u64, seeds: u64) -> Result<Report, Failure> {
    let mut simulation = Simulation::<Sound>::new();
    let mut sum = Report::default();
    for seed in (first..seeds).step_by(usize::try_from(THREADS).expect("few")) {
        sum += simulation.run(seed)?;
    }
    Ok(sum)
}

#[test]
fn every_seed_survives() {
    if let Some(seed) = number("ONELOOP_SEED") {
        match run_seed::<Sound>(seed) {
            Ok(report) => println!("seed {seed} survives: {report:?}"),
            Err(failure) => panic!("{failure}"),
        }
        return;
    }
    let (asked, begin) = (number("ONELOOP_SEEDS"), Instant::now());
    let seeds = asked.unwrap_or(SEEDS);
    let shares: Vec<_> =
        (0..THREADS).map(|first| std::thread::spawn(move || run_share(first, seeds))).collect();
    let mut sum = Report::default();
    for share in shares {
        match share.join().expect("a failed run is no panic") {
            Ok(report) => sum += report,
            Err(failure) => panic!("{failure}"),
        }
    }
    if asked.is_some() {
        let minutes = begin.elapsed().as_secs_f64() / 60.0;
        println!("{:.0} runs a minute on {THREADS} threads", seeds as f64 / minutes);
    }
    assert_runs_are_worth_their_name(&sum, seeds);
}

/// Speed must not come from runs in which nothing happens.
fn assert_runs_are_worth_their_name(sum: &Report, runs: u64) {
    assert!(sum.connections >= 4 * runs, "fewer than 4 connections a run: {sum:?}");
    assert!(sum.bytes_received >= 2048 * sum.connections, "fewer than 2 KiB from a client: {sum:?}");
    assert!(sum.bytes_sent >= 2048 * sum.connections, "fewer than 2 KiB to a client: {sum:?}");
    assert!(sum.operations >= 200 * runs, "fewer than 200 kernel operations a run: {sum:?}");
    if runs < 10_000 {
        return;
    }
    assert!(sum.datagrams.received >= 8 * runs, "fewer than 8 datagrams a run: {sum:?}");
    assert!(10 * sum.jobs >= runs && 100 * sum.jobs_abandoned >= runs, "too few children: {sum:?}");
    let udp = &sum.datagrams;
    for (name, count) in [
        ("sent", udp.sent),
        ("guarded", udp.guarded),
        ("overflow", udp.overflow),
        ("send_errors", udp.send_errors),
        ("recv_errors", udp.recv_errors),
        ("kernel_drops", sum.kernel_drops),
    ] {
        assert!(10 * count >= runs, "datagrams {name}={count} in {runs} runs");
    }
    for (name, count) in CloseReason::NAMES.iter().zip(sum.closed) {
        // Nothing closes at once there, and a panic is a finding.
        let never = ["closed", "panicked"].contains(name);
        assert_eq!(count == 0, never, "{count} connections ended as {name}");
    }
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let mut simulation = Simulation::<Sound>::new();
    let first: Vec<_> = (0..200).map(|seed| simulation.run(seed).expect("it survives")).collect();
    for (seed, report) in (0..).zip(&first) {
        assert_eq!(run_seed::<Sound>(seed).expect("it survives"), *report, "seed {seed}");
    }
    assert!(first.windows(2).all(|pair| pair[0].trace != pair[1].trace), "different seeds, different runs");
}

#[test]
fn protocols_of_ones_own_survive() {
    survives_any_kernel(500, |_| Framed::new(Raw, Echo), b"any bytes at all", b"any bytes at all");
    let frames = [b"\0\0\0\x03abc\0\0\0\0".as_slice(), &[0, 0, 1, 0], &[7; 256]].concat();
    survives_any_kernel(500, |_| Framed::new(LengthPrefixed::len32(256), Echo), &frames, &frames);
}

/// Heads, bodies of both kinds, answers that are written in pieces: what a session says without a kernel is what everybody hears.
#[test]
fn requests_and_answers_of_http_survive() {
    use oneloop::services::{Http, HttpConfig};
    use oneloop::session::{Context, Protocol, ProtocolError, Step};

    /// Is not told of a drain: the answers would say `Connection: close` from then on, rightly.
    struct Untold(Http);

    impl Protocol for Untold {
        fn ready(&self) -> bool {
            self.0.ready()
        }
        fn on_bytes(&mut self, input: &[u8], cx: &mut Context<'_>) -> Result<Step, ProtocolError> {
            self.0.on_bytes(input, cx)
        }
        fn on_writable(&mut self, cx: &mut Context<'_>) {
            self.0.on_writable(cx);
        }
        fn on_eof(&mut self, rest: &[u8], cx: &mut Context<'_>) -> Result<Step, ProtocolError> {
            self.0.on_eof(rest, cx)
        }
        fn on_wake(&mut self, cx: &mut Context<'_>) {
            self.0.on_wake(cx);
        }
    }

    let config = std::sync::Arc::new(HttpConfig { dates: false, ..HttpConfig::default() });
    let says = "POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhello\
                GET /json HTTP/1.1\r\nHost: 127.0.0.1:9\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n\
                GET /bytes/600 HTTP/1.1\r\nHost: [::1]\r\n\r\n\
                HEAD /none HTTP/1.1\r\nHost: localhost\r\n\r\n\
                GET /plaintext HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    let mut alone = oneloop::testing::SessionPair::new(Http::new(config.clone(), true));
    let hears = alone.send(says.as_bytes());
    assert!(hears.ends_with(b"\r\n\r\nHello, World!"));
    survives_any_kernel(500, move |_| Untold(Http::new(config.clone(), true)), says.as_bytes(), &hears);
}

#[test]
#[should_panic(expected = "was answered wrongly")]
fn a_protocol_that_depends_on_how_bytes_are_cut_does_not_survive() {
    use oneloop::session::{Context, Service};

    struct CountsReads;

    impl Service for CountsReads {
        fn on_frame(&mut self, _frame: &[u8], cx: &mut Context<'_>) {
            cx.reply(b"x");
        }
    }
    survives_any_kernel(500, |_| Framed::new(Raw, CountsReads), b"hello, world", b"x");
}

#[test]
fn datagram_handlers_of_ones_own_survive() {
    let echo = || EachDatagram::new(Echo);
    survives_any_kernel_datagrams(500, move |_| echo(), b"any bytes at all", &[b"any bytes at all"]);
    survives_any_kernel_datagrams(500, move |_| echo(), b"", &[b""]);
    let config = GreetConfig { delay: Duration::from_millis(15), ..GreetConfig::default() };
    let greet = EachDatagram::new(Greet::new(Arc::new(config)));
    survives_any_kernel_datagrams(500, move |_| greet.clone(), b"Ada", &[b"Hello, Ada!"]);
}

/// Answers with a counter.
struct Numbers(u8);

impl DatagramHandler for Numbers {
    fn on_datagram(&mut self, _data: &[u8], cx: &mut DatagramContext<'_>) {
        self.0 = self.0.wrapping_add(1);
        cx.reply(&[self.0]);
    }
}

#[test]
#[should_panic(expected = "answered wrongly")]
fn a_handler_whose_answers_depend_on_what_came_before_does_not_survive() {
    survives_any_kernel_datagrams(500, |_| Numbers(0), b"which?", &[&[1]]);
}

/// Forgets every third datagram.
struct Forgets(u8);

impl DatagramHandler for Forgets {
    fn on_datagram(&mut self, data: &[u8], cx: &mut DatagramContext<'_>) {
        self.0 = (self.0 + 1) % 3;
        if self.0 > 0 {
            cx.reply(data);
        }
    }
}

#[test]
#[should_panic(expected = "seed ")]
fn a_handler_that_forgets_some_does_not_survive() {
    survives_any_kernel_datagrams(500, |_| Forgets(0), b"still there?", &[b"still there?"]);
}

/// The first seed that finds the bug.
fn hunt<B: Bug>(within: u64) {
    let mut simulation = Simulation::<B>::new();
    let Some(failure) = (0..within).find_map(|seed| simulation.run(seed).err()) else {
        panic!("{:?} was not found within {within} seeds", B::PLANTED);
    };
    println!("{:?}: {failure}", B::PLANTED);
    if let Err(failure) = run_seed::<Sound>(failure.seed) {
        panic!("without the bug too: {failure}");
    }
    let again = run_seed::<B>(failure.seed).expect_err("a failing seed replays");
    assert_eq!(again.what, failure.what);
}

/// One test per planted bug, with the number of seeds within which it must be found.
macro_rules! planted_bugs {
    ($($test:ident: $bug:ident within $seeds:literal,)*) => {
        $(
            #[test]
            fn $test() {
                #[derive(Debug)]
                struct Plant;
                impl Bug for Plant {
                    const PLANTED: Planted = Planted::$bug;
                }
                hunt::<Plant>($seeds);
            }
        )*
    };
}

planted_bugs! {
    planted_bug_requeue_lost: RequeueLost within 100,
    planted_bug_read_closed_ignored: ReadClosedIgnored within 100,
    planted_bug_any_read_drains: AnyReadDrains within 100,
    planted_bug_short_write_blocks: ShortWriteBlocks within 100,
    planted_bug_unsent_forgotten: UnsentForgotten within 100,
    planted_bug_accept_retry_forgotten: AcceptRetryForgotten within 100,
    planted_bug_accept_batch_forgotten: AcceptBatchForgotten within 100,
    planted_bug_generation_ignored: GenerationIgnored within 100,
    planted_bug_deadline_forgotten: DeadlineForgotten within 100,
    planted_bug_paused_forgotten: PausedForgotten within 100,
    planted_bug_memory_pause_forgotten: MemoryPauseForgotten within 1000,
    planted_bug_memory_resume_forgotten: MemoryResumeForgotten within 100,
    planted_bug_memory_limit_ignored: MemoryLimitIgnored within 1000,
    planted_bug_memory_end_forgotten: MemoryEndForgotten within 100,
    planted_bug_memory_rest_forgotten: MemoryRestForgotten within 100,
    planted_bug_address_end_forgotten: AddressEndForgotten within 100,
    planted_bug_shared_queue_taken: SharedQueueTaken within 100,
    planted_bug_port_requeue_lost: PortRequeueLost within 100,
    planted_bug_datagram_budget_ignored: DatagramBudgetIgnored within 300,
    planted_bug_datagram_batch_drains: DatagramBatchDrains within 100,
    planted_bug_unsent_datagrams_forgotten: UnsentDatagramsForgotten within 100,
    planted_bug_datagram_retry_forgotten: DatagramRetryForgotten within 100,
    planted_bug_held_reply_forgotten: HeldReplyForgotten within 100,
    planted_bug_datagram_drain_hasty: DatagramDrainHasty within 100,
    planted_bug_kernel_drops_forgotten: KernelDropsForgotten within 100,
    planted_bug_child_resume_forgotten: ChildResumeForgotten within 100,
    planted_bug_child_end_hasty: ChildEndHasty within 100,
    planted_bug_child_forgotten: ChildForgotten within 100,
}

// ------------------------------------------------------------------------------------------ tiny worlds

/// More worlds than any kind has: that all were gone through is what the tests are about.
const ALL: u64 = 3_000_000;

/// Lives through every world of a kind, of which there must be at least so many, and says how many there were.
fn exhaust_all(kind: Kind, at_least: u64) {
    let begin = Instant::now();
    match exhaust::<Sound>(kind, ALL) {
        Ok(done) => {
            println!("{kind:?}: {} worlds in {:.1?}, all of them", done.worlds, begin.elapsed());
            assert!(done.complete, "{kind:?} has more than {ALL} worlds");
            assert!(done.worlds >= at_least, "{kind:?} has only {} worlds", done.worlds);
            let served = done.sum.connections + done.sum.datagrams.received;
            assert!(served >= done.worlds, "worlds in which nobody is served: {:?}", done.sum);
        }
        Err(found) => panic!("{found}"),
    }
}

#[test]
fn every_order_of_events_and_every_short_call_of_two_tiny_connections_is_survived() {
    exhaust_all(Kind::Orders, 100_000);
}

#[test]
fn every_way_two_tiny_connections_may_end_is_survived() {
    exhaust_all(Kind::Endings, 200_000);
}

#[test]
fn every_scarcity_of_a_tiny_world_is_survived() {
    exhaust_all(Kind::Scarcity, 200_000);
}

#[test]
fn every_ceiling_of_a_tiny_world_is_kept_to() {
    exhaust_all(Kind::Ceilings, 100_000);
}

#[test]
fn every_two_faults_around_three_datagrams_are_survived() {
    exhaust_all(Kind::Datagrams, 100_000);
}

#[test]
fn every_three_faults_of_a_tiny_world_are_survived() {
    exhaust_all(Kind::Faults, 200_000);
}

#[test]
fn protocols_of_ones_own_survive_every_order() {
    let worlds = survives_every_order(ALL, |_| Framed::new(LengthPrefixed::len16(2), Echo), b"\0\0", b"\0\0");
    assert!((100..ALL).contains(&worlds), "{worlds} worlds");
}

#[test]
#[should_panic(expected = "replay with: replay(Orders, &[")]
fn a_protocol_that_depends_on_how_bytes_are_cut_does_not_survive_every_order() {
    use oneloop::session::{Context, Service};

    struct CountsReads;

    impl Service for CountsReads {
        fn on_frame(&mut self, _frame: &[u8], cx: &mut Context<'_>) {
            cx.reply(b"x");
        }
    }
    survives_every_order(ALL, |_| Framed::new(Raw, CountsReads), b"ab", b"x");
}

/// A world of this kind has the bug, the same one without it is sound, and its choices find it again.
fn search<B: Bug>(kind: Kind) {
    let Err(found) = exhaust::<B>(kind, ALL) else { panic!("{:?} is in no world of {kind:?}", B::PLANTED) };
    println!("{:?}: {found}", B::PLANTED);
    assert_eq!(replay::<B>(kind, &found.choices).expect_err("it replays"), found.what);
    replay::<Sound>(kind, &found.choices).expect("without the bug it is sound");
}

/// One test per planted bug, with the kind of tiny world that has it.
macro_rules! searched_bugs {
    ($($test:ident: $bug:ident in $kind:ident,)*) => {
        $(
            #[test]
            fn $test() {
                #[derive(Debug)]
                struct Plant;
                impl Bug for Plant {
                    const PLANTED: Planted = Planted::$bug;
                }
                search::<Plant>(Kind::$kind);
            }
        )*
    };
}

searched_bugs! {
    searched_bug_requeue_lost: RequeueLost in Scarcity,
    searched_bug_read_closed_ignored: ReadClosedIgnored in Orders,
    searched_bug_any_read_drains: AnyReadDrains in Orders,
    searched_bug_short_write_blocks: ShortWriteBlocks in Orders,
    searched_bug_unsent_forgotten: UnsentForgotten in Scarcity,
    searched_bug_accept_retry_forgotten: AcceptRetryForgotten in Scarcity,
    searched_bug_accept_batch_forgotten: AcceptBatchForgotten in Scarcity,
    searched_bug_generation_ignored: GenerationIgnored in Faults,
    searched_bug_deadline_forgotten: DeadlineForgotten in Endings,
    searched_bug_paused_forgotten: PausedForgotten in Scarcity,
    searched_bug_memory_resume_forgotten: MemoryResumeForgotten in Ceilings,
    searched_bug_memory_end_forgotten: MemoryEndForgotten in Ceilings,
    searched_bug_memory_rest_forgotten: MemoryRestForgotten in Ceilings,
    searched_bug_address_end_forgotten: AddressEndForgotten in Ceilings,
    searched_bug_port_requeue_lost: PortRequeueLost in Datagrams,
    searched_bug_datagram_batch_drains: DatagramBatchDrains in Datagrams,
    searched_bug_unsent_datagrams_forgotten: UnsentDatagramsForgotten in Datagrams,
    searched_bug_datagram_retry_forgotten: DatagramRetryForgotten in Datagrams,
    searched_bug_held_reply_forgotten: HeldReplyForgotten in Datagrams,
    searched_bug_datagram_drain_hasty: DatagramDrainHasty in Datagrams,
    searched_bug_kernel_drops_forgotten: KernelDropsForgotten in Datagrams,
}
