//! HTTP: the head of a request, the chunked coding, and the whole service, however the bytes are cut.
//!
//! Input: which of them, whether bytes stand for words that requests are made of, how to cut; the rest is the stream.

use std::sync::Arc;
use std::time::Duration;

use oneloop::http::{Chunked, MAX_HEAD, MAX_HEADERS, MAX_LINE, parse_request};
use oneloop::services::{Hosts, Http, HttpConfig};
use oneloop::testing::SessionPair;

use super::input::Input;

/// What requests are made of, and what they must not be made of.
const WORDS: [&str; 48] = [
    "GET /plaintext HTTP/1.1\r\nHost: localhost\r\n",
    "POST /echo HTTP/1.1\r\nHost: localhost\r\n",
    "HEAD /bytes/9 HTTP/1.1\r\nHost: [::1]:1\r\n",
    "GET /delay/3 HTTP/1.1\r\nHost: 127.0.0.1\r\n",
    "PUT /echo HTTP/1.0\r\n",
    "GET /json HTTP/1.0\r\nConnection: keep-alive\r\n",
    "\r\n",
    "\r\n\r\n",
    "Content-Length: 5\r\n",
    "Content-Length: 5\r\n\r\nhello",
    "Transfer-Encoding: chunked\r\n\r\n",
    "Transfer-Encoding: chunked\r\n",
    "3\r\nabc\r\n",
    "1;x=y\r\n!\r\n",
    "0\r\n\r\n",
    "0\r\nA: b\r\n\r\n",
    "Expect: 100-continue\r\n",
    "Expect: x\r\n",
    "Connection: close\r\n",
    "Connection: keep-alive\r\n",
    "Host: localhost\r\n",
    "Host: evil.example\r\n",
    "GET ",
    "POST ",
    "/",
    "/echo",
    "/bytes/",
    "http://localhost",
    "*",
    " HTTP/1.1\r\n",
    " HTTP/2.0\r\n",
    "5",
    "f",
    "-1",
    " ",
    "\n",
    "\r",
    "\0",
    ":",
    ": ",
    "A",
    "\t",
    ",",
    "Range: bytes=0-1\r\n",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    "\u{e9}",
    "#",
    "?",
];

pub fn run(data: &[u8]) {
    let mut input = Input(data);
    let what = input.byte();
    let step = usize::from(input.byte()) + 1;
    let stream = if what < 128 { input.0.to_vec() } else { words(input) };
    match what % 3 {
        0 => heads(&stream),
        1 => {
            chunks(&stream, step);
            super::responses::run(&stream, step);
        }
        _ => service(&stream, step),
    }
}

/// Each byte is a word; a repeated one may become as long as limits are.
fn words(input: Input<'_>) -> Vec<u8> {
    let mut stream = Vec::new();
    for byte in input.0 {
        let word = WORDS[usize::from(*byte) % WORDS.len()].as_bytes();
        let times = if *byte >= 240 { 300 } else { 1 };
        stream.extend(word.repeat(times));
    }
    stream
}

/// A head is found when its last byte comes, never later refused, and has nothing in it that must not be.
fn heads(stream: &[u8]) {
    let whole = parse_request(stream);
    let mut found = None;
    // The first of a long stream's prefixes tell enough.
    for end in 0..=stream.len().min(600) {
        match parse_request(&stream[..end]) {
            Ok(None) => {
                assert_eq!(found, None, "a head was whole after {found:?} bytes, and is not after {end}")
            }
            Ok(Some((_, len))) => assert_eq!(*found.get_or_insert(end), len, "found late, or not at its end"),
            Err(_) => {
                assert_eq!(found, None, "refused after {end} bytes, and was whole");
                assert!(whole.is_err(), "refused after {end} bytes, and not as a whole");
                return;
            }
        }
    }
    let Ok(Some((request, len))) = whole else { return };
    let head = &stream[..len];
    assert!(len <= MAX_HEAD && head.ends_with(b"\r\n\r\n") && !head.contains(&0));
    let lines: Vec<&[u8]> = head.split_inclusive(|byte| *byte == b'\n').collect();
    assert!(lines.len() <= MAX_HEADERS + 2);
    for line in &lines {
        assert!(line.len() <= MAX_LINE && line.ends_with(b"\r\n"), "{}", line.escape_ascii());
        assert!(
            !line[..line.len() - 2].contains(&b'\r') && !line.starts_with(b" ") && !line.starts_with(b"\t")
        );
    }
    let line = [request.method, request.target].map(|part| part.as_bytes().contains(&b' '));
    assert_eq!(line, [false, false]);
    assert!(lines[0].starts_with(request.method.as_bytes()));
}

/// The same body, and the same end, in whatever pieces it comes.
fn chunks(stream: &[u8], step: usize) {
    let read = |step: usize| {
        let (mut chunked, mut body, mut used) = (Chunked::new(), Vec::new(), 0);
        for piece in stream.chunks(step) {
            let mut at = 0;
            while at < piece.len() && !chunked.is_done() {
                let found = match chunked.decode(&piece[at..]) {
                    Ok(found) => found,
                    Err(error) => return (body, used, Some(error)),
                };
                assert!(found.consumed > 0 && found.body.end <= found.consumed);
                body.extend_from_slice(&piece[at..][found.body]);
                at += found.consumed;
                used += found.consumed;
            }
        }
        (body, if chunked.is_done() { used } else { 0 }, None)
    };
    let (body, used, error) = read(stream.len().max(1));
    for step in [1, step] {
        let (other, other_used, other_error) = read(step);
        assert_eq!((&other, other_error), (&body, error), "in pieces of {step}");
        assert!(error.is_some() || other_used == used, "in pieces of {step}");
    }
}

/// One answer: its status, or that it refuses and ends; and its body.
#[derive(Debug, PartialEq, Eq)]
enum Answer {
    Given { head: String, body: Vec<u8> },
    Refused,
}

/// The same answers, in whatever pieces the requests come.
fn service(stream: &[u8], step: usize) {
    let talk = |step: usize| {
        let config = HttpConfig { max_body: 50, hosts: Hosts::default(), ..HttpConfig::default() };
        let mut pair = SessionPair::new(Http::new(Arc::new(config), true));
        pair.set_room(usize::MAX);
        let mut heard = Vec::new();
        for piece in stream.chunks(step) {
            heard.extend(pair.send(piece));
            assert!(
                pair.buffered() <= stream.len().min(MAX_HEAD + 64 * 1024),
                "it keeps {}",
                pair.buffered()
            );
        }
        heard.extend(pair.send_eof());
        // More than any number of delays in an input.
        heard.extend(pair.advance(Duration::from_secs(3000)));
        assert!(pair.close_reason().is_some(), "a conversation without an end");
        answers(&heard, has_head(stream))
    };
    let whole = talk(stream.len().max(1));
    for step in [1, step] {
        if stream.len() / step < 2000 {
            assert_eq!(talk(step), whole, "in pieces of {step}");
        }
    }
}

/// Where the stream may hold HEAD requests a reader cannot tell how long an answer is: nothing but the bytes is compared.
fn has_head(stream: &[u8]) -> bool {
    stream.windows(4).any(|window| window == b"HEAD")
}

fn answers(mut heard: &[u8], raw: bool) -> Vec<Answer> {
    let mut all = Vec::new();
    while !heard.is_empty() {
        assert!(heard.starts_with(b"HTTP/1.1 ") || raw, "no answer: {}", heard.escape_ascii());
        let Some(end) = heard.windows(4).position(|window| window == b"\r\n\r\n") else {
            panic!("half a head: {}", heard.escape_ascii())
        };
        let head = String::from_utf8_lossy(&heard[..end]).into_owned();
        heard = &heard[end + 4..];
        if head.starts_with("HTTP/1.1 100 ") {
            continue;
        }
        let ends = head.contains("\r\nConnection: close");
        if ends && ["400", "408", "413", "414", "431", "501", "505"].contains(&&head[9..12]) {
            all.push(Answer::Refused);
            return all;
        }
        let body = if raw { Vec::new() } else { body(&head, &mut heard) };
        all.push(Answer::Given { head, body });
        if raw {
            return all;
        }
    }
    all
}

/// What there is of a body: the last one may have been cut off.
fn body(head: &str, heard: &mut &[u8]) -> Vec<u8> {
    if head.contains("\r\nTransfer-Encoding: chunked") {
        let (mut chunked, mut body) = (Chunked::new(), Vec::new());
        while !heard.is_empty() && !chunked.is_done() {
            let piece = chunked.decode(heard).expect("what is echoed is well formed");
            body.extend_from_slice(&heard[piece.body]);
            *heard = &heard[piece.consumed..];
        }
        return body;
    }
    let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: "));
    let length = length.map_or(0, |length| length.parse().expect("a number"));
    let (body, rest) = heard.split_at(heard.len().min(length));
    *heard = rest;
    body.to_vec()
}
