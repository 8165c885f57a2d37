//! Conversations without a socket: what is answered, byte by byte, and when a connection ends.

mod bodies;
mod files;

use super::*;
use crate::address::Address;
use crate::session::{CloseReason, Limits};
use crate::testing::{ScriptedStream, SessionPair};

const DATE: &str = "Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n";

fn config() -> HttpConfig {
    HttpConfig { max_body: 100, hosts: Hosts::new(vec!["nas".into()]), ..HttpConfig::default() }
}

fn pair() -> SessionPair<Http> {
    pair_with(config(), Limits::default())
}

fn pair_with(config: HttpConfig, limits: Limits) -> SessionPair<Http> {
    let mut stream = ScriptedStream::new(Address::Unknown);
    stream.set_room(usize::MAX);
    SessionPair::on_stream(stream, Http::new(Arc::new(config), true), limits)
}

/// What one conversation that says this hears, and whether our side ended.
fn hear(sent: &str) -> (String, bool) {
    let mut pair = pair();
    let heard = pair.send(sent.as_bytes());
    (String::from_utf8(heard).unwrap(), pair.is_write_shut())
}

fn get(path: &str, fields: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n")
}

fn ok(media: &str, body: &str) -> String {
    let len = body.len();
    format!(
        "HTTP/1.1 200 OK\r\nServer: oneloop\r\nContent-Type: {media}\r\nContent-Length: {len}\r\n{DATE}\r\n{body}"
    )
}

/// The status and the body of the only answer.
fn split(answer: &str) -> (&str, &str) {
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no whole head: {answer:?}"));
    (head.split(' ').nth(1).unwrap(), body)
}

fn echoed(body: &str) -> String {
    format!(
        "HTTP/1.1 200 OK\r\nServer: oneloop\r\nContent-Type: application/octet-stream\r\nContent-Length: {}\r\n\
         X-Content-Type-Options: nosniff\r\n{DATE}\r\n{body}",
        body.len()
    )
}

#[test]
fn plain_answers_are_these_bytes() {
    let plain = "text/plain; charset=utf-8";
    assert_eq!(hear(&get("/plaintext", "")), (ok(plain, "Hello, World!"), false));
    assert_eq!(hear(&get("/plaintext?a=b", "")), (ok(plain, "Hello, World!"), false));
    assert_eq!(hear(&get("/json", "")), (ok("application/json", "{\"message\":\"Hello, World!\"}"), false));
    let (answer, ended) = hear(&get("/plaintext", "Connection: close\r\n"));
    assert!(
        ended && answer.contains("\r\nConnection: close\r\n") && answer.ends_with("\r\n\r\nHello, World!")
    );
    let (answer, ended) = hear("GET /plaintext HTTP/1.0\r\n\r\n");
    assert!(ended && answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.contains("Connection: close\r\n"));
    let (answer, ended) = hear("GET /plaintext HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    assert!(!ended && answer.contains("\r\nConnection: keep-alive\r\n"));
    let (answer, _) = hear(&get("/", ""));
    assert!(answer.contains("text/html") && answer.contains("/delay/MS"), "{answer}");
}

#[test]
fn head_is_get_without_the_body() {
    for path in ["/", "/plaintext", "/json", "/bytes/1000000", "/none"] {
        let mut asked = pair();
        let head = String::from_utf8(asked.send(get(path, "").replace("GET", "HEAD").as_bytes())).unwrap();
        assert!(head.ends_with("\r\n\r\n"), "{path}: {head}");
        let whole = String::from_utf8_lossy(&pair().send(get(path, "").as_bytes())).into_owned();
        assert!(whole.starts_with(&head) && whole.len() > head.len(), "{path}");
        assert_eq!(split(&String::from_utf8(asked.send(get("/json", "").as_bytes())).unwrap()).0, "200");
    }
}

/// A request, the status it gets, and whether the connection ends.
const STATUSES: &[(&str, &str, bool)] = &[
    ("GET /none HTTP/1.1\r\nHost: nas\r\n\r\n", "404", false),
    ("GET /bytes/ HTTP/1.1\r\nHost: nas\r\n\r\n", "404", false),
    ("GET /bytes/+1 HTTP/1.1\r\nHost: nas\r\n\r\n", "404", false),
    ("GET /bytes/1099511627777 HTTP/1.1\r\nHost: nas\r\n\r\n", "404", false),
    ("GET /bytes/99999999999999999999 HTTP/1.1\r\nHost: nas\r\n\r\n", "404", false),
    ("GET /delay/60001 HTTP/1.1\r\nHost: nas\r\n\r\n", "404", false),
    ("GET /delay/-1 HTTP/1.1\r\nHost: nas\r\n\r\n", "404", false),
    ("GET /echo HTTP/1.1\r\nHost: nas\r\n\r\n", "405", false),
    ("DELETE / HTTP/1.1\r\nHost: nas\r\n\r\n", "405", false),
    ("OPTIONS * HTTP/1.1\r\nHost: nas\r\n\r\n", "405", false),
    ("POST /plaintext HTTP/1.1\r\nHost: nas\r\n\r\n", "405", false),
    ("POST /plaintext HTTP/1.1\r\nHost: nas\r\nContent-Length: 2\r\n\r\nab", "405", false),
    ("get / HTTP/1.1\r\nHost: nas\r\n\r\n", "501", false),
    ("BREW / HTTP/1.1\r\nHost: nas\r\n\r\n", "501", false),
    ("GET / HTTP/1.1\r\n\r\n", "400", true),
    ("GET http://nas/ HTTP/1.1\r\n\r\n", "400", true),
    ("GET / HTTP/1.1\r\nHost:\r\n\r\n", "400", true),
    ("GET / HTTP/1.1\r\nHost: a b\r\n\r\n", "400", true),
    ("GET / HTTP/1.1\r\nHost: nas\r\nHost: nas\r\n\r\n", "400", true),
    ("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", "200", false),
    ("GET / HTTP/1.0\r\nHost: evil.example\r\nConnection: keep-alive\r\n\r\n", "421", false),
    ("GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n", "421", false),
    ("GET http://evil.example/ HTTP/1.1\r\nHost: nas\r\n\r\n", "421", false),
    ("GET HTTP://nas:80/plaintext HTTP/1.1\r\nHost: evil.example\r\n\r\n", "200", false),
    ("GET http://nas?a HTTP/1.1\r\nHost: nas\r\n\r\n", "200", false),
    ("GET http://nas@evil.example/ HTTP/1.1\r\nHost: nas\r\n\r\n", "400", true),
    ("GET http:///plaintext HTTP/1.1\r\nHost: nas\r\n\r\n", "400", true),
    ("GET / HTTP/1.1\r\nHost: nas\r\nExpect: 200-ok\r\n\r\n", "417", false),
    ("POST /echo HTTP/1.1\r\nHost: nas\r\nExpect: x\r\nContent-Length: 1\r\n\r\n", "417", true),
    ("POST /none HTTP/1.1\r\nHost: nas\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n", "404", true),
    ("POST /echo HTTP/1.1\r\nHost: nas\r\nContent-Length: 101\r\n\r\n", "413", true),
    ("POST /echo HTTP/1.1\r\nHost: nas\r\nExpect: 100-continue\r\nContent-Length: 101\r\n\r\n", "413", true),
    ("GET /json HTTP/1.1\r\nHost: nas\r\nTransfer-Encoding: chunked\r\n\r\n65\r\n", "413", true),
    ("GET /json HTTP/1.1\r\nHost: nas\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n", "400", true),
    ("GET /json HTTP/1.1\r\nHost: nas\r\nTransfer-Encoding: chunked\r\n\r\n1\nx\r\n", "400", true),
    ("GET /json HTTP/1.1\r\nHost: nas\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nxy\r\n", "400", true),
    ("GET /json HTTP/1.1\r\nHost: nas\r\nTransfer-Encoding: gzip\r\n\r\n", "501", true),
    ("GET / HTTP/2.0\r\n\r\n", "505", true),
    ("GET / HTTP/1.1\nHost: nas\r\n\r\n", "400", true),
    ("GET / HTTP/1.1\r\nHost : nas\r\n\r\n", "400", true),
    ("GET / HTTP/1.1\r\nHost: nas\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", "400", true),
    ("GET / HTTP/1.1\r\nHost: nas\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n", "200", false),
    ("\n", "400", true),
    ("\rG", "400", true),
    ("\r\n\r\nGET / HTTP/1.1\r\nHost: nas\r\n\r\n", "200", false),
];

#[test]
fn each_request_gets_its_status_and_its_end_however_it_is_cut() {
    for (request, status, ends) in STATUSES {
        let chunk = if request.ends_with("65\r\n") { "x".repeat(101) } else { String::new() };
        let request = format!("{request}{chunk}");
        let (answer, ended) = hear(&request);
        assert_eq!((split(&answer).0, ended), (*status, *ends), "{request:?}");
        assert_eq!(answer.contains("Connection: close"), *ends, "{request:?}");
        for at in 1..request.len() {
            let mut pair = pair();
            let (first, second) = request.as_bytes().split_at(at);
            let heard = [pair.send(first), pair.send(second)].concat();
            assert_eq!(String::from_utf8(heard).unwrap(), answer, "{request:?} cut at {at}");
            assert_eq!(pair.is_write_shut(), *ends, "{request:?} cut at {at}");
        }
    }
}

#[test]
fn long_heads_are_refused_by_what_is_too_long() {
    let line = "a".repeat(9000);
    for (request, status) in [
        (format!("GET /{line} HTTP/1.1\r\nHost: nas\r\n\r\n"), "414"),
        (line.clone(), "414"),
        (format!("GET / HTTP/1.1\r\nHost: nas\r\nA: {line}\r\n\r\n"), "431"),
        (format!("GET / HTTP/1.1\r\n{}\r\n", "A: b\r\n".repeat(65)), "431"),
    ] {
        let (answer, ended) = hear(&request);
        assert_eq!((split(&answer).0, ended), (status, true));
        let mut pair = pair();
        let heard: Vec<u8> = request.as_bytes().chunks(1).flat_map(|byte| pair.send(byte)).collect();
        assert_eq!(split(std::str::from_utf8(&heard).unwrap()).0, status);
        assert!(pair.is_write_shut() && pair.buffered() < 20_000);
    }
}

fn pipeline() -> (String, String) {
    let chunked = "POST /echo HTTP/1.1\r\nHost: nas\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0;x\r\nA: b\r\n\r\n";
    let discarded =
        "GET /json HTTP/1.1\r\nHost: nas\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n\n\r\n0\r\n\r\n";
    let echo = "POST /echo HTTP/1.1\r\nHost: nas\r\nContent-Length: 5\r\n\r\nhello";
    let chunked_answer = format!(
        "HTTP/1.1 200 OK\r\nServer: oneloop\r\nContent-Type: application/octet-stream\r\nTransfer-Encoding: chunked\r\n\
         X-Content-Type-Options: nosniff\r\n{DATE}\r\n3\r\nabc\r\n0\r\n\r\n"
    );
    let sent = [
        &get("/plaintext", ""),
        echo,
        "\r\n",
        chunked,
        &get("/json", "Content-Length: 3\r\n"),
        "xyz",
        discarded,
        "POST /echo HTTP/1.1\r\nHost: nas\r\nContent-Length: 0\r\n\r\n",
        &get("/plaintext", ""),
    ];
    let json = ok("application/json", "{\"message\":\"Hello, World!\"}");
    let plain = ok("text/plain; charset=utf-8", "Hello, World!");
    let heard = [&plain, &echoed("hello"), &chunked_answer, &json, &json, &echoed(""), &plain];
    (sent.concat(), heard.map(String::as_str).concat())
}

/// The chunks of an echo are those that came: as pieces they differ, as a body they do not.
fn joined(answers: &str) -> String {
    answers.replace("2\r\nab\r\n1\r\nc\r\n", "3\r\nabc\r\n").replace("1\r\na\r\n2\r\nbc\r\n", "3\r\nabc\r\n")
}

#[test]
fn a_pipeline_is_answered_in_order_wherever_it_is_cut() {
    let (sent, expected) = pipeline();
    assert_eq!(hear(&sent), (expected.clone(), false));
    for at in 1..sent.len() {
        let mut pair = pair();
        let (first, second) = sent.as_bytes().split_at(at);
        let heard = String::from_utf8([pair.send(first), pair.send(second)].concat()).unwrap();
        assert_eq!(joined(&heard), expected, "cut at {at}");
        assert_eq!(pair.buffered(), 0);
    }
}

#[test]
fn delays_keep_the_order_of_a_pipeline() {
    let mut pair = pair();
    let sent = [get("/delay/500", ""), get("/plaintext", "")].concat();
    assert_eq!(pair.send(sent.as_bytes()), b"");
    assert_eq!(pair.advance(Duration::from_millis(499)), b"");
    let heard = String::from_utf8(pair.advance(Duration::from_millis(1))).unwrap();
    let plain = "text/plain; charset=utf-8";
    assert_eq!(heard, [ok(plain, "waited 500 ms\n"), ok(plain, "Hello, World!")].concat());
    assert_eq!(pair.send(get("/delay/0", "Connection: close\r\n").as_bytes()), b"");
    assert!(pair.advance(Duration::from_millis(1)).ends_with(b"waited 0 ms\n"));
    assert!(pair.is_write_shut());
}

#[test]
fn numbered_bytes_are_sent_as_they_are_taken_and_the_next_answer_follows() {
    const COUNT: usize = 1_000_003;
    let mut pair = pair();
    pair.set_room(0);
    pair.send([get(&format!("/bytes/{COUNT}"), ""), get("/plaintext", "")].concat().as_bytes());
    let mut heard = Vec::new();
    for room in (1..).map(|turn| turn * 1009) {
        assert!(pair.buffered() <= 66 * 1024, "{} bytes are kept", pair.buffered());
        let more = pair.set_room(room);
        heard.extend_from_slice(&more);
        if more.len() < room {
            break;
        }
    }
    let head = heard.windows(4).position(|end| end == b"\r\n\r\n").unwrap() + 4;
    let (body, next) = heard[head..].split_at(COUNT);
    assert!(body.iter().enumerate().all(|(at, byte)| usize::from(*byte) == at % 251));
    assert!(next.starts_with(b"HTTP/1.1 200 OK\r\n") && next.ends_with(b"Hello, World!"));
}

#[test]
fn the_end_of_the_stream_ends_the_conversation_and_what_is_cut_off_is_said() {
    let mut whole = pair();
    whole.send(get("/plaintext", "").as_bytes());
    assert_eq!(whole.send_eof(), b"");
    assert_eq!(whole.close_reason(), Some(&CloseReason::Eof));

    let mut waiting = pair();
    waiting.send(get("/delay/5", "").as_bytes());
    assert_eq!(waiting.send_eof(), b"");
    assert!(waiting.advance(Duration::from_millis(5)).ends_with(b"waited 5 ms\n"));
    assert_eq!(waiting.close_reason(), Some(&CloseReason::Eof));

    for (cut, status) in
        [("GET / HT", "400"), ("GET /json HTTP/1.1\r\nHost: nas\r\nContent-Length: 5\r\n\r\nabc", "400")]
    {
        let mut pair = pair();
        assert_eq!(pair.send(cut.as_bytes()), b"");
        assert_eq!(split(std::str::from_utf8(&pair.send_eof()).unwrap()).0, status, "{cut}");
        assert!(matches!(pair.close_reason(), Some(CloseReason::Protocol(_))));
    }
}

#[test]
fn a_head_that_does_not_come_is_given_up_with_a_word() {
    let mut pair = pair();
    pair.send(b"GET / HTTP/1.1\r\n");
    assert_eq!(pair.advance(Duration::from_secs(20)), b"");
    assert_eq!(pair.send(b"A: b\r\n"), b"");
    let heard = String::from_utf8(pair.advance(Duration::from_secs(10))).unwrap();
    assert_eq!(split(&heard).0, "408");
    assert!(pair.is_write_shut());
    pair.send_eof();
    assert_eq!(pair.close_reason(), Some(&CloseReason::FrameTimeout));
}

#[test]
fn a_drain_tells_the_last_answer_so_and_answers_what_was_sent() {
    let mut pair = pair();
    pair.stop();
    let heard = pair.send([get("/plaintext", ""), get("/json", "")].concat().as_bytes());
    let heard = String::from_utf8(heard).unwrap();
    assert_eq!(heard.matches("HTTP/1.1 200 OK").count(), 2);
    assert_eq!(heard.matches("Connection: close").count(), 1);
    assert!(pair.is_write_shut());
}

#[test]
fn a_connection_at_rest_is_small() {
    assert!(size_of::<Http>() <= 24, "{} bytes", size_of::<Http>());
}

#[test]
fn without_a_clock_no_date_is_said() {
    for sent in [get("/plaintext", ""), get("/json", ""), "x".repeat(9000)] {
        let mut pair = pair_with(HttpConfig { dates: false, ..config() }, Limits::default());
        let heard = String::from_utf8(pair.send(sent.as_bytes())).unwrap();
        assert_eq!(heard, hear(&sent).0.replace(DATE, ""));
        assert!(!heard.contains("Date:"), "{heard}");
    }
}
