//! A server that changes what it sends back is always found out, and with the place.

use std::time::Duration;

use oneloop::Address;
use oneloop::codec::Raw;
use oneloop::load::{Arrival, Content, ErrorKind, Plan, Profile, Report, Stop, run};
use oneloop::services::Echo;
use oneloop::session::{
    Context, DatagramContext, DatagramHandler, Framed, Protocol, ProtocolError, Step, datagram_factory,
};

use crate::plans::plan;
use crate::servers::Server;

/// What is wrong with an echo.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    Drop,
    Duplicate,
    Swap,
    Flip,
    /// Everything after it is another connection's.
    Cross,
    /// The connection ends there.
    Cut,
}

const FAULTS: [Fault; 6] =
    [Fault::Drop, Fault::Duplicate, Fault::Swap, Fault::Flip, Fault::Cross, Fault::Cut];

/// An echo that is wrong at one byte of each connection's stream.
struct Wrong {
    fault: Fault,
    at: u64,
    seen: u64,
    held: Option<u8>,
}

impl Wrong {
    fn new(fault: Fault, at: u64) -> Self {
        Self { fault, at, seen: 0, held: None }
    }

    fn echo(&mut self, byte: u8, out: &mut Vec<u8>) {
        let here = self.seen == self.at;
        self.seen += 1;
        if let Some(held) = self.held.take() {
            out.extend([byte, held]);
            return;
        }
        match self.fault {
            Fault::Drop if here => {}
            Fault::Duplicate if here => out.extend([byte, byte]),
            Fault::Swap if here => self.held = Some(byte),
            Fault::Flip if here => out.push(byte ^ 0x20),
            Fault::Cross if self.seen > self.at => out.push(byte.wrapping_add(1)),
            _ => out.push(byte),
        }
    }
}

impl Protocol for Wrong {
    fn on_bytes(&mut self, input: &[u8], cx: &mut Context<'_>) -> Result<Step, ProtocolError> {
        let mut out = Vec::new();
        for byte in input {
            if self.fault == Fault::Cut && self.seen == self.at {
                cx.finish();
                break;
            }
            self.echo(*byte, &mut out);
        }
        cx.write(&out);
        Ok(Step::consumed(input.len()))
    }
}

/// A short run that does not wait long for what will not come.
fn find(mut plan: Plan) -> Report {
    plan.duration = Some(Duration::from_millis(250));
    plan.timeout = Duration::from_millis(100);
    run(&plan, &Stop::default(), &mut |_| {}).unwrap()
}

fn against(fault: Fault, at: u64, change: impl FnOnce(&mut Plan)) -> Report {
    let server = Server::start(move || Wrong::new(fault, at));
    let mut plan = plan(&server.address);
    plan.requests = Some(400);
    change(&mut plan);
    find(plan)
}

#[test]
fn every_fault_is_found_wherever_it_is() {
    for fault in FAULTS {
        for at in [0, 1, 31, 63, 64, 65, 1000, 4095] {
            let report = against(fault, at, |_| {});
            assert!(report.errors.total() > 0, "{fault:?} at {at}: {report:?}");
            assert_eq!(report.errors.of(ErrorKind::Other), 0, "{fault:?} at {at}: {report:?}");
        }
    }
}

#[test]
fn the_place_is_named() {
    for (at, message, byte) in [(0, 0, 0), (63, 0, 63), (64, 1, 0), (1000, 15, 40)] {
        let report = against(Fault::Flip, at, |plan| plan.connections = 1);
        let text = &report.examples[0].text;
        let place = format!("connection 0, message {message}, byte {byte}: got 0x");
        assert!(text.starts_with(&place), "{text}");
        assert!(report.mismatches > 0);
    }
}

#[test]
fn faults_are_found_in_pipelines_framings_schedules_and_streams() {
    type Change = fn(&mut Plan);
    let changes: [(&str, Change); 5] = [
        ("pipeline", |plan| plan.pipeline = 8),
        ("lines", |plan| plan.exchange.framing = "lines".parse().unwrap()),
        ("len32", |plan| plan.exchange.framing = "len32".parse().unwrap()),
        ("open", |plan| plan.arrival = Arrival::Open(Profile::constant(1000.0))),
        ("large", |plan| plan.exchange.content = Content::Pattern(100_000)),
    ];
    for fault in FAULTS {
        for (name, change) in changes {
            let report = against(fault, 300, change);
            assert!(report.errors.total() > 0, "{fault:?} {name}: {report:?}");
        }
    }
}

#[test]
fn a_swap_of_two_whole_messages_is_found() {
    struct Late(Vec<u8>);
    impl Protocol for Late {
        fn on_bytes(&mut self, input: &[u8], cx: &mut Context<'_>) -> Result<Step, ProtocolError> {
            self.0.extend(input);
            if self.0.len() >= 128 {
                cx.write(&self.0[64..128]);
                cx.write(&self.0[..64]);
                self.0.drain(..128);
            }
            Ok(Step::consumed(input.len()))
        }
    }
    let server = Server::start(|| Late(Vec::new()));
    let mut plan = plan(&server.address);
    (plan.pipeline, plan.connections) = (2, 1);
    let report = find(plan);
    let text = &report.examples[0].text;
    assert!(text.ends_with("64 bytes before it are missing"), "{text}");
}

#[test]
fn without_comparing_nothing_is_found() {
    let report = against(Fault::Flip, 100, |plan| plan.verify = false);
    assert_eq!((report.errors.total(), report.verified, report.requests), (0, 0, 400));
}

/// What is wrong with a datagram echo, every tenth time.
struct WrongDatagrams(Fault, u64);

impl DatagramHandler for WrongDatagrams {
    fn on_datagram(&mut self, data: &[u8], cx: &mut DatagramContext<'_>) {
        self.1 += 1;
        let mut data = data.to_vec();
        match self.0 {
            _ if !self.1.is_multiple_of(10) => {}
            Fault::Drop => return,
            Fault::Duplicate => cx.reply(&data),
            Fault::Flip => data[20] ^= 1,
            Fault::Cut => data.truncate(40),
            Fault::Cross => data[3] ^= 1,
            Fault::Swap => return cx.reply_after(&data, Duration::from_millis(3)),
        }
        cx.reply(&data);
    }
}

#[test]
fn lost_doubled_changed_and_late_datagrams_are_told_apart() {
    for fault in FAULTS {
        let server = Server::start_udp(datagram_factory(move |_| WrongDatagrams(fault, 0)));
        let mut plan = plan(&server.address);
        plan.arrival = Arrival::Open(Profile::constant(2000.0));
        plan.connections = 2;
        plan.timeout = Duration::from_millis(100);
        let report = run(&plan, &Stop::default(), &mut |_| {}).unwrap();
        let udp = report.udp.unwrap();
        assert_eq!(udp.sent, 1000, "{fault:?}");
        let found = [udp.lost, udp.duplicate, udp.reordered, report.mismatches];
        let wanted = match fault {
            Fault::Drop => [100, 0, 0, 0],
            Fault::Duplicate => [0, 100, 0, 0],
            Fault::Flip | Fault::Cut | Fault::Cross => [100, 0, 0, 100],
            // As late as three others on its socket; the last ones have nobody behind them.
            Fault::Swap => [0, 0, found[2].clamp(98, 100), 0],
        };
        assert_eq!(found, wanted, "{fault:?} {report:?}");
    }
}

#[test]
fn a_late_datagram_is_not_a_duplicate() {
    struct Slow;
    impl DatagramHandler for Slow {
        fn on_datagram(&mut self, data: &[u8], cx: &mut DatagramContext<'_>) {
            cx.reply_after(data, Duration::from_millis(150));
        }
    }
    let server = Server::start_udp(datagram_factory(|_| Slow));
    let mut plan = plan(&server.address);
    plan.arrival = Arrival::Open(Profile::constant(100.0));
    plan.timeout = Duration::from_millis(50);
    let report = run(&plan, &Stop::default(), &mut |_| {}).unwrap();
    let udp = report.udp.unwrap();
    assert_eq!((udp.sent, udp.received, udp.lost), (50, 0, 50));
    assert!(udp.late > 0 && udp.duplicate == 0, "{udp:?}");
}

#[test]
fn a_good_server_is_not_suspected() {
    let server = Server::start(|| Framed::new(Raw, Echo));
    let mut plan = plan(&server.address);
    plan.targets.push(Address::clone(&server.address));
    assert_eq!(find(plan).errors.total(), 0);
}
