//! Every framing, against the server's own.

use std::io::{Read, Write};

use crate::peers::*;
use crate::support::*;

#[test]
fn every_framing_echoes_its_payloads() {
    for (framing, messages, printed) in [
        ("raw", &["one", "two"][..], "one\ntwo\n"),
        ("lines", &["one", "", "three"], "one\n\nthree\n"),
        (r"delimited:\r\n.\r\n", &["one\ntwo\n", "", "three"], "one\ntwo\n\nthree\n"),
        ("fixed:3", &["one", "two"], "one\ntwo\n"),
        ("len16", &["one", "", "three\n"], "one\n\nthree\n"),
        ("len32", &["one", "", "three\n"], "one\n\nthree\n"),
        ("len32le", &["one", "", "three\n"], "one\n\nthree\n"),
    ] {
        let server = Server::start(&["--framing", framing]);
        let arguments = [&["--framing", framing], messages].concat();
        let called = call(&url(&server), &arguments);
        assert_eq!(called.stderr, "", "{framing}");
        called.expect(printed);
    }
}

#[test]
fn a_banner_is_a_frame() {
    let server = Server::start(&["greet", "--banner", "Welcome!", "--framing", "len32"]);
    call(&url(&server), &["--framing", "len32", "Travis", "exit"]).expect("Welcome!\nHello, Travis!\n");
}

#[test]
fn a_frame_that_arrives_in_pieces_is_one_reply() {
    let (url, _) = once(|mut stream| {
        stream.set_nodelay(true).unwrap();
        let mut all = Vec::new();
        stream.read_to_end(&mut all).unwrap();
        for byte in all {
            stream.write_all(&[byte]).unwrap();
        }
    });
    call(&url, &["--framing", "len32", "--no-reply", "hello", "", "world"]).expect("hello\n\nworld\n");
}

#[test]
fn payloads_are_printed_as_digits_one_line_each() {
    let server = Server::start(&["--framing", "len16"]);
    call(&url(&server), &["--framing", "len16", "--hex", "0a", "", "00 01"]).expect("0a\n\n0001\n");
}

#[test]
fn a_frame_that_is_cut_off_is_a_failure() {
    let (url, _) = once(|mut stream| {
        let _ = stream.read(&mut [0; 64]).unwrap();
        stream.write_all(b"\0\0\0\x05hel").unwrap();
    });
    call(&url, &["--framing", "len32", "--greeting", "0", "a"]).expect_failure(
        1,
        "",
        &[&url, "ended inside a frame", "after 7 bytes"],
    );
}

#[test]
fn a_frame_that_is_too_long_is_a_failure() {
    let (url, _) = once(|mut stream| {
        stream.write_all(b"\xff\xff\xff\xff").unwrap();
        let _ = stream.read_to_end(&mut Vec::new());
    });
    call(&url, &["--framing", "len32", "a"]).expect_failure(1, "", &["4294967295", "1048576", "--max-frame"]);
}

#[test]
fn a_file_that_does_not_fit_the_framing_is_a_failure() {
    let folder = Folder::new("framing");
    let file = folder.file("lines", b"a\nb\n");
    let server = Server::start(&["--framing", "lines"]);
    call(&url(&server), &["--framing", "lines", "--file", &file]).expect_failure(
        1,
        "",
        &["delimiter", "--framing"],
    );
}

#[test]
fn a_file_without_end_is_refused_at_the_limit_of_the_framing() {
    for hex in [&[][..], &["--hex"]] {
        let arguments = [&["--framing", "len32", "--max-frame", "100k", "--file", "/dev/zero"], hex].concat();
        call("tcp://127.0.0.1:9", &arguments).expect_failure(
            1,
            "",
            &["'/dev/zero'", "102400 bytes", "--max-frame"],
        );
    }
}
