//! HTTP: every request is accounted for, whatever the server does with its connections.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use oneloop::Address;
use oneloop::load::{
    Arrival, Content, ErrorKind, Exchange, HttpRequest, Plan, Profile, Protocol, Report, Stop, run,
};

use crate::plans::plan;

/// What a site does with one request.
enum Reply {
    Answer(Vec<u8>),
    /// Nothing more comes on this connection.
    Last(Vec<u8>),
    Reset,
}

/// An HTTP server of a thread per connection, which answers request number n of a connection as it is told to.
struct Site {
    address: Address,
    requests: Arc<AtomicU64>,
    connections: Arc<AtomicU64>,
}

impl Site {
    fn start(reply: impl Fn(u64) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = Address::Tcp(listener.local_addr().unwrap());
        let site = Self { address, requests: Arc::default(), connections: Arc::default() };
        let (requests, connections) = (Arc::clone(&site.requests), Arc::clone(&site.connections));
        let reply = Arc::new(reply);
        thread::spawn(move || {
            for stream in listener.incoming() {
                connections.fetch_add(1, Ordering::SeqCst);
                let (reply, requests) = (Arc::clone(&reply), Arc::clone(&requests));
                thread::spawn(move || serve(stream.unwrap(), &requests, &*reply));
            }
        });
        site
    }

    fn plan(&self, requests: u64) -> Plan {
        let bytes = b"GET /x HTTP/1.1\r\nHost: h\r\n\r\n".to_vec();
        let request = HttpRequest { url: "http://h/x".to_owned(), bytes };
        let plan = plan(&self.address);
        Plan {
            requests: Some(requests),
            duration: None,
            exchange: Exchange {
                protocol: Protocol::Http { is_head_request: false, keep_alive: true },
                content: Content::Requests(vec![request].into()),
                ..plan.exchange
            },
            ..plan
        }
    }

    fn asked(&self) -> u64 {
        self.requests.load(Ordering::SeqCst)
    }
}

fn serve(mut stream: TcpStream, requests: &AtomicU64, reply: &dyn Fn(u64) -> Reply) {
    stream.set_nodelay(true).unwrap();
    let (mut input, mut chunk, mut number) = (Vec::new(), [0; 4096], 0);
    loop {
        // The generator may be gone at any time: that is what some of these tests are about.
        match stream.read(&mut chunk) {
            Ok(count) if count > 0 => input.extend_from_slice(&chunk[..count]),
            _ => return,
        }
        while let Some(end) = input.windows(4).position(|window| window == b"\r\n\r\n") {
            input.drain(..end + 4);
            requests.fetch_add(1, Ordering::SeqCst);
            let (bytes, is_last) = match reply(number) {
                Reply::Answer(bytes) => (bytes, false),
                Reply::Last(bytes) => (bytes, true),
                Reply::Reset => {
                    socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
                    return;
                }
            };
            number += 1;
            if stream.write_all(&bytes).is_err() || is_last {
                return;
            }
        }
    }
}

fn ok() -> Vec<u8> {
    b"HTTP/1.1 200 OK\r\nServer: test\r\nContent-Length: 5\r\n\r\nhello".to_vec()
}

fn report(plan: &Plan) -> Report {
    run(plan, &Stop::default(), &mut |_| {}).unwrap()
}

/// Every request of a counted run is answered, or known not to be; and the statuses are those of the answers.
#[track_caller]
fn assert_adds_up(report: &Report, requests: u64) {
    assert_eq!(report.requests + report.unanswered, requests, "{report:?}");
    let statuses = report.http.as_ref().unwrap().statuses.iter().map(|(_, count)| count);
    assert_eq!(statuses.sum::<u64>(), report.requests, "{report:?}");
}

fn statuses(report: &Report) -> Vec<(u16, u64)> {
    report.http.as_ref().unwrap().statuses.iter().collect()
}

#[test]
fn as_many_requests_as_asked_for_reach_the_server_and_each_is_answered() {
    for (pipeline, loops) in [(1, 1), (8, 1), (3, 2)] {
        let site = Site::start(|_| Reply::Answer(ok()));
        let plan = Plan { pipeline, loops, ..site.plan(1000) };
        let report = report(&plan);
        assert_eq!((report.requests, report.unanswered, report.errors.total()), (1000, 0, 0), "{report:?}");
        assert_eq!((report.verified, report.corrected.len()), (1000, 1000));
        assert_eq!(statuses(&report), [(200, 1000)]);
        assert_eq!(report.bytes_in, 1000 * ok().len() as u64);
        assert_eq!((site.asked(), site.connections.load(Ordering::SeqCst)), (1000, 4));
    }
}

#[test]
fn a_connection_for_each_request_loses_none() {
    let site = Site::start(|_| {
        Reply::Last(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n".to_vec())
    });
    let mut plan = site.plan(300);
    plan.exchange.protocol = Protocol::Http { is_head_request: false, keep_alive: false };
    let report = report(&plan);
    assert_eq!((report.requests, report.unanswered, report.errors.total()), (300, 0, 0), "{report:?}");
    assert_eq!(site.asked(), 300);
    assert!(report.connections.opened >= 300, "{report:?}");
}

#[test]
fn a_server_that_says_that_it_closes_loses_nothing() {
    for last in [
        &b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx"[..],
        b"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx",
        b"HTTP/1.0 200 OK\r\n\r\nuntil the end",
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n",
    ] {
        let site =
            Site::start(move |n| if n % 10 == 9 { Reply::Last(last.to_vec()) } else { Reply::Answer(ok()) });
        let report = report(&site.plan(500));
        assert_eq!((report.requests, report.unanswered, report.errors.total()), (500, 0, 0), "{report:?}");
        assert_eq!(site.asked(), 500);
    }
}

#[test]
fn a_server_that_closes_without_a_word_loses_what_was_on_its_way() {
    for (pipeline, is_reset) in [(1, false), (4, false), (1, true), (4, true)] {
        let last = move || if is_reset { Reply::Reset } else { Reply::Last(ok()) };
        let site = Site::start(move |n| if n % 10 == 9 { last() } else { Reply::Answer(ok()) });
        let report = report(&Plan { pipeline, ..site.plan(500) });
        assert_adds_up(&report, 500);
        let lost = report.errors.of(ErrorKind::Truncated) + report.errors.of(ErrorKind::Reset);
        assert!(lost > 0 && report.unanswered >= lost, "{report:?}");
        assert_eq!(report.errors.total(), lost, "{report:?}");
        assert!(report.unanswered <= lost * pipeline as u64, "{report:?}");
    }
}

#[test]
fn statuses_are_counted_and_those_that_are_no_success_are_errors() {
    let busy = || b"HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy".to_vec();
    let site = Site::start(move |n| Reply::Answer(if n % 10 == 9 { busy() } else { ok() }));
    let mut plan = Plan { connections: 1, ..site.plan(1000) };
    let found = report(&plan);
    assert_eq!(statuses(&found), [(200, 900), (503, 100)]);
    assert_eq!((found.requests, found.errors.of(ErrorKind::Status), found.errors.total()), (1000, 100, 100));
    assert_eq!(found.examples[0].text, "connection 0, request 9: status 503");
    plan.verify = false;
    let found = report(&plan);
    assert_eq!((found.requests, found.errors.total(), found.verified), (1000, 0, 0), "{found:?}");
}

#[test]
fn lengths_that_are_wrong_are_found_out() {
    let long = |_| Reply::Last(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort".to_vec());
    let cut = |_| Reply::Last(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nshort".to_vec());
    let more = |_| Reply::Answer(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nlonger".to_vec());
    let bad = |_| Reply::Answer(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n".to_vec());
    let none = |_| Reply::Answer(b"220 smtp.example.org ESMTP\r\n".to_vec());
    let sites = [Site::start(long), Site::start(cut), Site::start(more), Site::start(bad), Site::start(none)];
    let kinds = [
        ErrorKind::Truncated,
        ErrorKind::Truncated,
        ErrorKind::Mismatch,
        ErrorKind::Mismatch,
        ErrorKind::Mismatch,
    ];
    for (site, kind) in sites.iter().zip(kinds) {
        let report = report(&site.plan(20));
        assert_adds_up(&report, 20);
        assert!(report.errors.of(kind) > 0, "{kind:?}: {report:?}");
        // What is behind a whole answer is noticed where the next one should begin.
        assert!(report.requests == 0 || kind == ErrorKind::Mismatch, "{report:?}");
        assert_eq!(report.mismatches, report.errors.of(ErrorKind::Mismatch));
    }
}

#[test]
fn chunked_bodies_and_interim_responses_are_read_to_their_end() {
    let body = b"HTTP/1.1 103 Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\
                 5;x\r\nhello\r\n1\r\n!\r\n0\r\nT: 1\r\n\r\n";
    let site = Site::start(|_| Reply::Answer(body.to_vec()));
    let report = report(&Plan { pipeline: 4, ..site.plan(400) });
    assert_eq!((report.requests, report.errors.total()), (400, 0), "{report:?}");
    assert_eq!(report.bytes_in, 400 * body.len() as u64);
}

#[test]
fn a_head_request_has_an_answer_without_a_body() {
    let site = Site::start(|_| Reply::Answer(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n".to_vec()));
    let mut plan = site.plan(100);
    plan.exchange.protocol = Protocol::Http { is_head_request: true, keep_alive: true };
    let report = report(&plan);
    assert_eq!((report.requests, report.errors.total()), (100, 0), "{report:?}");
}

#[test]
fn on_a_schedule_a_slow_answer_makes_those_behind_it_late() {
    let site = Site::start(|n| {
        if n == 10 {
            thread::sleep(Duration::from_millis(200));
        }
        Reply::Answer(ok())
    });
    let arrival = Arrival::Open(Profile::constant(200.0));
    let report = report(&Plan { connections: 1, arrival, ..site.plan(60) });
    assert_eq!((report.requests, report.unanswered, site.asked()), (60, 0, 60), "{report:?}");
    let late = report.corrected.iter_recorded().filter(|v| v.value_iterated_to() > 50_000_000);
    let late: u64 = late.map(|v| v.count_at_value()).sum();
    assert!(late >= 20, "{late} of those due while nobody was answered count from their moment");
}

#[test]
fn connections_that_are_too_old_are_made_anew_without_loss() {
    let site = Site::start(|_| Reply::Answer(ok()));
    let plan = site.plan(0);
    let lifetime = Some(Duration::from_millis(50));
    let report =
        report(&Plan { requests: None, duration: Some(Duration::from_millis(400)), lifetime, ..plan });
    assert!(report.requests > 0 && report.errors.total() == 0, "{report:?}");
    assert!(report.connections.opened > 8, "{report:?}");
}

#[test]
fn several_targets_are_each_asked_for_their_own() {
    let sites = [Site::start(|_| Reply::Answer(ok())), Site::start(|_| Reply::Answer(ok()))];
    let mut plan = sites[0].plan(200);
    plan.targets.push(sites[1].address.clone());
    let long = HttpRequest { url: "http://h/y".to_owned(), bytes: b"GET /yyyy HTTP/1.1\r\n\r\n".to_vec() };
    let Content::Requests(requests) = &plan.exchange.content else { unreachable!() };
    plan.exchange.content = Content::Requests(vec![requests[0].clone(), long].into());
    let report = report(&plan);
    assert_eq!((report.requests, report.errors.total()), (200, 0), "{report:?}");
    assert_eq!(report.http.unwrap().urls, ["http://h/x", "http://h/y"]);
    assert_eq!(sites[0].asked() + sites[1].asked(), 200);
    assert!(sites.iter().all(|site| site.asked() > 0));
}
