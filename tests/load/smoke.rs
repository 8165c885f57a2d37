//! Every kind of run once.

use std::time::Duration;

use oneloop::codec::{Lines, Raw};
use oneloop::load::{Arrival, Content, Failure, Plan, Profile, Protocol, Report, Stop, run};
use oneloop::services::{Discard, Echo, Greet, GreetConfig, Source};
use oneloop::session::{EachDatagram, Framed, datagram_factory};

use crate::plans::plan;
use crate::servers::Server;

fn measure(plan: &Plan) -> Report {
    let mut requests = 0;
    let report = run(plan, &Stop::default(), &mut |second| requests += second.requests).unwrap();
    assert_eq!(report.errors.total(), 0, "{:?}", report.examples);
    assert!(report.requests > 100, "{report:?}");
    assert_eq!((report.mismatches, report.unanswered), (0, 0));
    if plan.warmup.is_zero() {
        assert_eq!(requests, report.requests, "the seconds add up");
    }
    report
}

fn echo() -> Server {
    Server::start(|| Framed::new(Raw, Echo))
}

#[test]
fn closed_arrival_verifies_every_answer() {
    let server = echo();
    let report = measure(&plan(&server.address));
    assert_eq!(report.verified, report.requests);
    assert_eq!(report.corrected.len(), report.requests);
    assert_eq!((report.bytes_in, report.bytes_out), (report.requests * 64, report.requests * 64));
    assert_eq!((report.connections.opened, report.connections.open), (4, 4));
    assert_eq!(report.connect.len(), 4);
    assert!(report.generator.cpu > Duration::ZERO && report.generator.busy > 0.0);
}

#[test]
fn pipelines_large_messages_and_several_threads() {
    let server = echo();
    for (pipeline, size, loops) in [(16, 64, 1), (1, 300_000, 1), (4, 65_521, 2), (3, 7, 3)] {
        let mut plan = plan(&server.address);
        plan.exchange.content = Content::Pattern(size);
        (plan.pipeline, plan.loops) = (pipeline, loops);
        let report = measure(&plan);
        assert_eq!(report.bytes_in, report.requests * size as u64);
    }
}

#[test]
fn open_arrival_keeps_to_its_schedule() {
    let server = echo();
    for loops in [1, 2, 3] {
        let mut plan = plan(&server.address);
        plan.loops = loops;
        plan.arrival = Arrival::Open(Profile::constant(2000.0));
        let report = measure(&plan);
        assert_eq!(report.requests, 1000, "{loops} threads: every slot, and no other");
        assert!(report.service.len() == 1000 && report.corrected.len() == 1000);
    }
}

#[test]
fn a_number_of_requests_ends_a_run() {
    let server = echo();
    for arrival in [Arrival::Closed, Arrival::Open(Profile::constant(5000.0))] {
        for loops in [1, 2] {
            let mut plan = plan(&server.address);
            (plan.arrival, plan.loops) = (arrival, loops);
            (plan.requests, plan.duration) = (Some(1001), None);
            assert_eq!(measure(&plan).requests, 1001);
        }
    }
}

#[test]
fn framings_and_greetings() {
    let banner: std::sync::Arc<[u8]> = b"Welcome!".to_vec().into();
    let shown = "Welcome!".to_owned();
    let server = Server::start(move || {
        let config = GreetConfig { banner: shown.clone().into_bytes(), ..GreetConfig::default() };
        Framed::new(Lines::default(), Greet::new(config.into()))
    });
    let mut plan = plan(&server.address);
    plan.exchange.framing = "lines".parse().unwrap();
    plan.exchange.protocol = Protocol::Greet;
    plan.exchange.banner = banner;
    plan.pipeline = 5;
    measure(&plan);
}

#[test]
fn streams_in_either_direction() {
    let server = Server::start(Source::default);
    let mut plan = plan(&server.address);
    plan.exchange.protocol = Protocol::Source;
    plan.exchange.content = Content::Pattern(1000);
    let report = measure(&plan);
    assert_eq!(report.verified, report.requests);

    let server = Server::start(|| Framed::new(Raw, Discard::default()));
    plan.targets = vec![server.address.clone()];
    plan.exchange.protocol = Protocol::Discard;
    let report = measure(&plan);
    assert_eq!(report.verified, 0, "nothing comes back");
    plan.arrival = Arrival::Open(Profile::constant(1000.0));
    assert_eq!(measure(&plan).requests, 500);
}

#[test]
fn connections_are_made_anew_when_their_lifetime_is_over() {
    let server = echo();
    let mut plan = plan(&server.address);
    plan.lifetime = Some(Duration::from_millis(50));
    for arrival in [Arrival::Closed, Arrival::Open(Profile::constant(2000.0))] {
        plan.arrival = arrival;
        let report = measure(&plan);
        assert!(report.connections.opened > 12, "{:?}", report.connections);
        assert_eq!(report.connect.len(), report.connections.opened);
    }
}

#[test]
fn datagrams_are_counted_one_by_one() {
    let server = Server::start_udp(datagram_factory(|_| EachDatagram::new(Echo)));
    let mut plan = plan(&server.address);
    plan.pipeline = 8;
    let report = measure(&plan);
    let udp = report.udp.unwrap();
    assert_eq!((udp.sent, udp.received, udp.lost, udp.duplicate), (report.requests, report.requests, 0, 0));
    plan.arrival = Arrival::Open(Profile::constant(2000.0));
    assert_eq!(measure(&plan).requests, 1000);
}

#[test]
fn a_thread_that_panics_leaves_no_report() {
    let server = echo();
    for loops in [1, 2] {
        let mut plan = plan(&server.address);
        plan.loops = loops;
        // Which no command line can say.
        plan.targets.clear();
        let failure = run(&plan, &Stop::default(), &mut |_| {}).unwrap_err();
        assert!(matches!(failure, Failure::Panicked), "{failure}");
    }
}
