//! Without messages the lines of standard input are sent, as they come.

use std::fs::File;
use std::io::{Read, Write};

use crate::peers::*;
use crate::support::*;

#[test]
fn every_line_is_a_message_without_its_end() {
    let server = Server::start(&["greet", "--framing", "len32"]);
    call_with(&url(&server), &["--framing", "len32"], b"a\nb c\r\n\nlast")
        .expect("Hello, a!\nHello, b c!\nHello, !\nHello, last!\n");
}

#[test]
fn an_empty_line_is_nothing_to_send_where_nothing_frames_it() {
    let server = Server::start(&["greet"]);
    call_with(&url(&server), &[], b"a\n\nb\n").expect("Hello, a!\nHello, b!\n");
}

#[test]
fn without_any_line_the_greeting_is_printed() {
    let server = Server::start(&["greet", "--banner", "Welcome!"]);
    call_with(&url(&server), &[], b"").expect("Welcome!\n");
}

#[test]
fn a_reply_is_printed_before_the_next_line_is_typed() {
    let server = Server::start(&["greet", "--banner", "Welcome!"]);
    let mut calling = Calling::start(&url(&server), &[]);
    assert_eq!(calling.line(), "Welcome!\n");
    for name in ["Travis", "EDISON"] {
        calling.say(&format!("{name}\n"));
        assert_eq!(calling.line(), format!("Hello, {name}!\n"));
    }
    calling.stdin = None;
    calling.wait().expect("");
}

#[test]
fn a_server_that_closes_is_noticed_while_nobody_types() {
    let server = Server::start(&["greet", "--banner", "Welcome!"]);
    let mut calling = Calling::start(&url(&server), &[]);
    assert_eq!(calling.line(), "Welcome!\n");
    calling.say("exit\n");
    // Standard input is still open.
    calling.wait().expect("");
}

#[test]
fn what_the_server_says_while_nobody_types_is_printed() {
    let (url, _) = once(|mut stream| {
        let mut buffer = [0; 16];
        stream.write_all(b"Welcome!\n").unwrap();
        let _ = stream.read(&mut buffer).unwrap();
        stream.write_all(b"reply\n").unwrap();
        let _ = stream.read(&mut buffer).unwrap();
        // The first line is the reply, the others come unasked; some of them in one read.
        stream.write_all(b"another\n").unwrap();
        stream.write_all(&[b'.'; 100_000]).unwrap();
        stream.write_all(b"\nnews\nmore\n").unwrap();
        let _ = stream.read_to_end(&mut Vec::new());
    });
    let mut calling = Calling::start(&url, &["--framing", "lines"]);
    assert_eq!(calling.line(), "Welcome!\n");
    calling.say("a\n");
    assert_eq!(calling.line(), "reply\n");
    calling.say("b\n");
    assert_eq!(calling.line(), "another\n");
    assert_eq!(calling.line().len(), 100_001);
    assert_eq!([calling.line(), calling.line()], ["news\n", "more\n"]);
    calling.stdin = None;
    calling.wait().expect("");
}

#[test]
fn lines_that_were_not_sent_are_a_failure() {
    let server = Server::start(&["greet"]);
    let called = call_with(&url(&server), &[], b"a\nexit\nb\nc\n");
    called.expect_failure(1, "Hello, a!\n", &["closed the connection", "2 of 4 messages were not sent"]);
}

#[test]
fn lines_may_be_digits() {
    let server = Server::start(&[]);
    call_with(&url(&server), &["--hex"], b"00 01\nfe ff\n").expect("0001\nfeff\n");
    let called = call_with(&url(&server), &["--hex"], b"00 01\nfe f\n");
    called.expect_failure(1, "0001\n", &["line 2 of standard input", "odd"]);
}

#[test]
fn many_lines_are_answered_in_order() {
    let server = Server::start(&["--framing", "lines"]);
    let lines: String = (0..2000).map(|n| format!("line {n}\n")).collect();
    call_with(&url(&server), &["--framing", "lines"], lines.as_bytes()).expect(&lines);
}

#[test]
fn a_line_without_end_is_refused_at_the_limit_of_the_framing() {
    let server = Server::start(&["--framing", "lines"]);
    for (options, max) in [
        (&["--framing", "lines", "--max-frame", "128KiB"][..], "131072 bytes"),
        (&["--framing", "len32"], "1048576 bytes"),
        (&["--framing", "lines", "--max-frame", "64KiB", "--hex"], "65536 bytes"),
    ] {
        let mut command = oneloop();
        command.args(["call", &url(&server)]).args(options);
        command.stdin(File::open("/dev/zero").unwrap());
        let ended = command.output().unwrap();
        let stderr = String::from_utf8(ended.stderr).unwrap();
        assert_eq!((ended.status.code(), ended.stdout), (Some(1), vec![]), "{stderr}");
        for text in ["line 1 of standard input", max, "--max-frame"] {
            assert!(stderr.contains(text), "{options:?}: no {text} in: {stderr}");
        }
    }
}

#[test]
fn a_line_as_long_as_the_limit_is_sent_whatever_its_end() {
    let server = Server::start(&["--framing", "lines"]);
    // One read ends between CR and LF.
    let line = "x".repeat((64 << 10) - 1);
    for end in ["\r\n", "\n", ""] {
        let called = call_with(
            &url(&server),
            &["--framing", "lines", "--max-frame", "65535"],
            format!("{line}{end}").as_bytes(),
        );
        called.expect(format!("{line}\n"));
    }
}
