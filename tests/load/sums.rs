//! Counts and rates that have to agree with each other, and runs that have to end, whatever the target does.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

use oneloop::Address;
use oneloop::codec::Raw;
use oneloop::load::{Arrival, ErrorKind, Plan, Profile, Protocol, Report, Second, Stop, run};
use oneloop::services::Echo;
use oneloop::session::Framed;

use crate::plans::plan;
use crate::servers::Server;

/// Far more than any of these runs takes.
const FOR_EVER: Duration = Duration::from_secs(30);

fn echo() -> Server {
    Server::start(|| Framed::new(Raw, Echo))
}

/// Serves each connection in a thread that is never ended.
fn serve(each: fn(TcpStream)) -> Address {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let stream = stream.unwrap();
            thread::spawn(move || each(stream));
        }
    });
    Address::Tcp(address)
}

/// Answers messages of 64 bytes one by one, each after a millisecond at least.
fn slowly(mut stream: TcpStream) {
    let mut message = [0; 64];
    while stream.read_exact(&mut message).is_ok() {
        thread::sleep(Duration::from_millis(1));
        if stream.write_all(&message).is_err() {
            break;
        }
    }
}

fn never(stream: TcpStream) {
    thread::sleep(FOR_EVER);
    drop(stream);
}

/// A run that has to end by itself.
fn measure(plan: Plan) -> (Report, Vec<Second>) {
    let (tell, told) = channel();
    thread::spawn(move || {
        let mut seconds = Vec::new();
        let report = run(&plan, &Stop::default(), &mut |second| seconds.push(second.clone())).unwrap();
        tell.send((report, seconds)).unwrap();
    });
    told.recv_timeout(FOR_EVER).expect("it ends by itself")
}

fn open(rate: f64) -> Arrival {
    Arrival::Open(Profile::constant(rate))
}

/// A listener whose queue is full, so that nobody gets an answer; it is that as long as these are kept.
fn blackhole() -> (TcpListener, Vec<socket2::Socket>) {
    let listener = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    listener.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    listener.listen(0).unwrap();
    let address = listener.local_addr().unwrap();
    let crowd = (0..4).map(|_| {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        socket.set_nonblocking(true).unwrap();
        let _ = socket.connect(&address);
        socket
    });
    (listener.into(), crowd.collect())
}

#[test]
fn a_target_that_nobody_can_connect_to_does_not_keep_the_others_waiting() {
    let server = echo();
    let (deaf, _crowd) = blackhole();
    let mut plan = plan(&server.address);
    plan.targets.push(Address::Tcp(deaf.local_addr().unwrap()));
    (plan.connections, plan.connect_rate) = (40, Some(100.0));
    plan.connect_timeout = Duration::from_millis(150);
    plan.duration = Some(Duration::from_millis(200));
    let (report, _) = measure(plan);
    assert_eq!(report.connections.open, 20);
    assert!(report.requests > 0 && report.errors.of(ErrorKind::Timeout) >= 20, "{report:?}");
}

#[test]
fn what_is_answered_after_the_end_was_not_achieved() {
    let mut plan = plan(&serve(slowly));
    (plan.connections, plan.arrival) = (1, open(2000.0));
    let (report, _) = measure(plan);
    assert_eq!((report.requests, report.unanswered), (1000, 0), "all are answered in the end");
    assert!(report.achieved_rate() <= 1001.0, "{}", report.achieved_rate());
    assert!(report.answered_in_time < 502, "{}", report.answered_in_time);
}

#[test]
fn a_closed_loop_counts_what_came_in_its_time() {
    let mut plan = plan(&serve(|mut stream| {
        let mut message = [0; 64];
        while stream.read_exact(&mut message).is_ok() {
            thread::sleep(Duration::from_millis(300));
            let _ = stream.write_all(&message);
        }
    }));
    plan.connections = 10;
    let (report, _) = measure(plan);
    assert_eq!((report.requests, report.answered_in_time), (20, 10), "two each, the second too late");
}

#[test]
fn eleven_requests_at_a_hundred_a_second_are_a_hundred_a_second() {
    let server = echo();
    let mut plan = plan(&server.address);
    (plan.arrival, plan.requests, plan.duration) = (open(100.0), Some(11), None);
    let (report, _) = measure(plan);
    assert_eq!(report.requests, 11);
    assert!((report.offered_rate.unwrap() - 100.0).abs() < 0.01, "{:?}", report.offered_rate);
    assert!(
        (report.seconds - 0.11).abs() < 1e-6 || report.corrected.max() > 10_000_000,
        "{}",
        report.seconds
    );
}

#[test]
fn a_thread_that_had_nothing_to_do_takes_no_time() {
    let server = echo();
    let time_of = |loops| {
        let mut plan = plan(&server.address);
        (plan.connections, plan.requests, plan.duration) = (2, Some(1), None);
        plan.loops = loops;
        let (report, _) = measure(plan);
        assert_eq!(report.requests, 1);
        Duration::from_secs_f64(report.seconds)
    };
    // On a busy machine one of these may well take long.
    assert!((0..20).any(|_| time_of(2) < Duration::from_millis(5)));
}

#[test]
fn seconds_add_up_when_threads_end_at_different_times() {
    let server = echo();
    let mut plan = plan(&server.address);
    plan.targets.push(serve(|mut stream| {
        let mut message = [0; 64];
        while stream.read_exact(&mut message).is_ok() {
            thread::sleep(Duration::from_millis(150));
            let _ = stream.write_all(&message);
        }
    }));
    (plan.connections, plan.loops, plan.requests, plan.duration) = (2, 2, Some(20), None);
    let (report, seconds) = measure(plan);
    assert_eq!((report.requests, report.connections.open), (20, 2));
    assert_eq!(seconds.iter().map(|second| second.requests).sum::<u64>(), 20);
    assert_eq!(seconds.iter().map(|second| second.number).collect::<Vec<_>>(), [1, 2]);
    assert!(seconds.iter().all(|second| second.open == 2), "{seconds:?}");
}

#[test]
fn what_was_due_in_the_warm_up_is_in_no_measured_second() {
    let mut plan = plan(&serve(slowly));
    // What the warm-up leaves behind is answered when it is over.
    (plan.connections, plan.arrival, plan.warmup) = (1, open(2000.0), Duration::from_millis(250));
    let (report, seconds) = measure(plan);
    let measured: Vec<_> = seconds.iter().filter(|second| !second.is_warmup).collect();
    assert_eq!(measured.iter().map(|second| second.requests).sum::<u64>(), report.requests);
    assert_eq!(measured.iter().map(|second| second.corrected.len()).sum::<u64>(), report.corrected.len());
}

#[test]
fn what_nobody_reads_is_not_taken() {
    let mut plan = plan(&serve(never));
    (plan.connections, plan.arrival, plan.exchange.protocol) = (1, open(20_000.0), Protocol::Discard);
    plan.exchange.content = oneloop::load::Content::Pattern(4096);
    let (report, _) = measure(plan);
    // 40 MB are due, and the kernel takes a few.
    assert!(report.requests < 5000, "{report:?}");
    assert_eq!(report.requests + report.unanswered, 10_000);
}

#[test]
fn a_number_of_requests_without_answers_is_not_given_up() {
    let mut plan = plan(&serve(|mut stream| drop(std::io::copy(&mut stream, &mut std::io::sink()))));
    (plan.requests, plan.duration, plan.timeout) = (Some(25), None, Duration::from_millis(100));
    (plan.arrival, plan.exchange.protocol) = (open(10.0), Protocol::Discard);
    assert_eq!(measure(plan).0.requests, 25);
}

#[test]
fn requests_that_are_seldom_due_are_waited_for() {
    let server = echo();
    let mut plan = plan(&server.address);
    (plan.connections, plan.loops, plan.arrival) = (3, 3, open(1.0));
    (plan.requests, plan.duration, plan.timeout) = (Some(4), None, Duration::from_secs(1));
    let (report, _) = measure(plan);
    assert_eq!((report.requests, report.unanswered), (4, 0), "each thread has one in three seconds");
}

#[test]
fn a_banner_that_does_not_come_is_an_error() {
    let server = echo();
    let mut plan = plan(&server.address);
    (plan.exchange.banner, plan.timeout) = (b"hello".to_vec().into(), Duration::from_millis(100));
    let (report, _) = measure(plan);
    assert!(report.errors.of(ErrorKind::Timeout) >= 4, "{report:?}");
    assert!(report.examples[0].text.contains("no banner within 100ms"), "{:?}", report.examples);
}

#[test]
fn whom_the_target_turns_away_is_not_back_at_once() {
    let server = echo();
    let mut plan = plan(&server.address);
    plan.targets.push(serve(drop));
    plan.arrival = open(10.0);
    let (report, _) = measure(plan);
    // Two stay, and two are made every tenth of a second.
    assert!((10..=2 + 2 * 7).contains(&report.connections.opened), "{report:?}");
}

#[test]
fn what_cannot_be_sent_any_more_is_not_waited_for() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut plan = plan(&Address::Tcp(listener.local_addr().unwrap()));
    plan.arrival = open(100.0);
    thread::spawn(move || {
        let mut streams: Vec<TcpStream> = (0..4).map(|_| listener.accept().unwrap().0).collect();
        drop(listener);
        streams[0].read_exact(&mut [0; 64]).unwrap();
    });
    let began = Instant::now();
    let (report, _) = measure(plan);
    assert!(report.unanswered > 40, "{report:?}");
    assert!(began.elapsed() < Duration::from_secs(5), "not until the timeout of 10 s: {:?}", began.elapsed());
}

/// Each datagram comes back twice.
fn doubled() -> Address {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    thread::spawn(move || {
        let mut datagram = [0; 2048];
        while let Ok((len, from)) = socket.recv_from(&mut datagram) {
            for _ in 0..2 {
                let _ = socket.send_to(&datagram[..len], from);
            }
        }
    });
    Address::Udp(address)
}

#[test]
fn duplicates_of_the_warm_up_are_not_measured() {
    let mut plan = plan(&doubled());
    (plan.arrival, plan.warmup) = (open(200.0), Duration::from_millis(300));
    let (report, _) = measure(plan);
    let udp = report.udp.unwrap();
    assert_eq!((udp.sent, udp.received), (100, 100));
    assert!(udp.duplicate <= 100, "{udp:?}");
}
