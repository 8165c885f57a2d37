//! Framings, good and bad.

use std::io::{Read, Write};
use std::net::Shutdown;

use crate::support::*;

/// What is sent in two writes, cut anywhere, and what comes back.
fn assert_echo(framing: &str, sent: &[u8], expected: &[u8]) {
    let server = Server::start(&["--framing", framing]);
    let mut client = server.connect();
    client.set_nodelay(true).unwrap();
    exchange(&mut client, sent, expected);
    let mut other = server.connect();
    for cut in 1..sent.len() {
        client.write_all(&sent[..cut]).unwrap();
        // An exchange on another connection lets the loop turn in between.
        exchange(&mut other, sent, expected);
        client.write_all(&sent[cut..]).unwrap();
        expect(&mut client, expected);
    }
    client.shutdown(Shutdown::Write).unwrap();
    expect_end(&mut client);
}

#[test]
fn raw() {
    assert_echo("raw", b"any\0thing", b"any\0thing");
}

#[test]
fn lines_end_with_lf_or_crlf_and_are_answered_with_lf() {
    assert_echo("lines", b"one\r\n\ntwo\n", b"one\n\ntwo\n");
}

#[test]
fn a_last_line_without_its_end_is_a_line() {
    for (framing, sent, answer, last) in
        [("lines", b"one\nlast", b"one\n", b"last\n"), ("delimited:;", b"one;last", b"one;", b"last;")]
    {
        let server = Server::start(&["--framing", framing]);
        let mut client = server.connect();
        exchange(&mut client, sent, answer);
        client.shutdown(Shutdown::Write).unwrap();
        expect(&mut client, last);
        expect_end(&mut client);
    }
}

#[test]
fn delimited() {
    assert_echo("delimited:--", b"one----two-three--", b"one----two-three--");
    assert_echo(r"delimited:\r\n", b"a\r\nb\r\n", b"a\r\nb\r\n");
}

#[test]
fn fixed() {
    assert_echo("fixed:3", b"onetwo", b"onetwo");
}

#[test]
fn length_prefixed() {
    assert_echo("len16", b"\0\x03one\0\0\0\x01x", b"\0\x03one\0\0\0\x01x");
    assert_echo("len32", b"\0\0\0\x03one\0\0\0\0", b"\0\0\0\x03one\0\0\0\0");
    assert_echo("len32le", b"\x03\0\0\0one\0\0\0\0", b"\x03\0\0\0one\0\0\0\0");
}

/// A good message, answered, then a bad one behind it in the same write: the answer comes, then a clean end,
/// and nobody else is harmed.
fn assert_refused(options: &[&str], good: &[u8], bad: &[u8], why: &str) {
    let server = Server::start(&[options, &["-v"]].concat());
    let mut other = server.connect();
    exchange(&mut other, good, good);
    let mut client = server.connect();
    exchange(&mut client, &[good, bad].concat(), good);
    client.shutdown(Shutdown::Write).unwrap();
    expect_end(&mut client);
    let line = server.wait_log("closed slot=");
    assert!(line.contains("protocol_error") && line.contains(why), "{line}");
    exchange(&mut other, good, good);
}

#[test]
fn an_oversize_frame_is_refused_at_its_header() {
    let good = b"\0\0\0\x02ok";
    assert_refused(&["--framing=len32"], good, b"\xff\xff\xff\xff", "longer than the maximum of 1048576");
    assert_refused(&["--framing=len32", "--max-frame=4"], good, b"\0\0\0\x05", "frame of 5 bytes is longer");
    assert_refused(
        &["--framing=len16", "--max-frame=4"],
        b"\0\x02ok",
        b"\0\x05",
        "frame of 5 bytes is longer",
    );
}

#[test]
fn a_negative_frame_is_refused() {
    assert_refused(&["--framing=len32le"], b"\x02\0\0\0ok", b"\xff\xff\xff\xff", "length -1 is negative");
}

#[test]
fn a_truncated_frame_is_refused() {
    assert_refused(&["--framing=len32"], b"\0\0\0\x02ok", b"\0\0\0\x09part", "ended inside a frame");
    assert_refused(&["--framing=len16"], b"\0\x02ok", b"\0", "ended inside a frame");
    assert_refused(&["--framing=fixed:3"], b"one", b"tw", "ended inside a frame");
}

#[test]
fn a_line_that_never_ends_is_refused() {
    assert_refused(
        &["--framing=lines", "--max-frame=1k"],
        b"ok\n",
        &[b'x'; 64 * 1024],
        "longer than the maximum",
    );
    assert_refused(
        &["--framing=delimited:;", "--max-frame=1k"],
        b"ok;",
        &[b'x'; 9999],
        "longer than the maximum",
    );
}

#[test]
fn the_largest_frame_allowed_is_served() {
    let server = Server::start(&["--framing=lines", "--max-frame=100KiB"]);
    let mut client = server.connect();
    let mut line = vec![b'x'; 100 * 1024];
    line.push(b'\n');
    exchange(&mut client, &line, &line);
    line.insert(0, b'x');
    client.write_all(&line).unwrap();
    expect_end(&mut client);
}

#[test]
fn a_fixed_frame_as_large_as_the_maximum_is_served() {
    let server = Server::start(&["--framing=fixed:3000000", "--max-frame=3000000"]);
    let mut client = server.connect();
    let frame = vec![7; 3_000_000];
    exchange(&mut client, &frame, &frame);
}

#[test]
fn a_read_budget_cuts_what_one_read_returns() {
    let server = Server::start(&["greet", "--read-budget=4"]);
    let mut client = server.connect();
    client.write_all(b"ABCDEFGH").unwrap();
    expect(&mut client, b"Hello, ABCD!Hello, EFGH!");
}

#[test]
fn a_framed_banner_and_the_answers_are_frames() {
    let server = Server::start(&["greet", "--framing=len16", "--banner=hi"]);
    let mut client = server.connect();
    expect(&mut client, b"\0\x02hi");
    exchange(&mut client, b"\0\x01A\0\0\0\x04exit\0\x01B", b"\0\x09Hello, A!\0\x08Hello, !");
    let mut rest = Vec::new();
    client.read_to_end(&mut rest).unwrap();
    assert_eq!(rest, b"", "nothing is answered after exit");
}
