//! What the services answer: ack, once and discard.

use std::io::Write;
use std::net::Shutdown;

use crate::support::*;

#[test]
fn ack_answers_every_message_until_exit() {
    let server = Server::start(&["ack", "-v"]);
    let mut client = server.connect();
    exchange(&mut client, "你好".as_bytes(), "已收到".as_bytes());
    exchange(&mut client, b"two\r\n", "已收到\r\n".as_bytes());
    exchange(&mut client, b"\n", "已收到\n".as_bytes());
    client.write_all(b"exit\n").unwrap();
    expect_end(&mut client);
    drop(client);
    assert!(server.wait_log("closed slot=").contains("finished"));
    exchange(&mut server.connect(), b"next", "已收到".as_bytes());
}

#[test]
fn ack_answers_frames_with_frames() {
    let server = Server::start(&["ack", "--framing=lines", "--reply=ok"]);
    let mut client = server.connect();
    exchange(&mut client, b"a\r\n\nb\nexit\nc\n", b"ok\nok\nok\n");
    expect_end(&mut client);
    let server = Server::start(&["ack", "--framing=fixed:2", "--reply=ok"]);
    exchange(&mut server.connect(), b"abcd", b"okok");
}

#[test]
fn once_answers_one_message_of_each_connection() {
    let server = Server::start(&["once", "-v"]);
    for _ in 0..3 {
        let mut client = server.connect();
        exchange(&mut client, b"anything", b"Hello Lyon");
        expect_end(&mut client);
    }
    server.wait_logs("reason=\"finished\"", 3);
}

#[test]
fn once_does_not_answer_what_comes_behind_the_first_message() {
    for (framing, sent, answer) in [
        ("lines", &b"one\ntwo\nthree\n"[..], &b"bye\n"[..]),
        ("len16", b"\0\x03one\0\x03two", b"\0\x03bye"),
        ("fixed:3", b"onetwothree", b"bye"),
    ] {
        let server = Server::start(&["once", "--framing", framing, "--reply=bye"]);
        let mut client = server.connect();
        exchange(&mut client, sent, answer);
        expect_end(&mut client);
        let stats = server.wait_stats(|line| line.contains("frames="));
        assert!(stats.contains(" frames=1 "), "{framing}: {stats}");
    }
}

#[test]
fn once_does_not_answer_an_end_without_a_message() {
    let server = Server::start(&["once"]);
    let mut client = server.connect();
    client.shutdown(Shutdown::Write).unwrap();
    expect_end(&mut client);
    exchange(&mut server.connect(), b"a", b"Hello Lyon");
}

#[test]
fn then_exit_ends_the_server_with_0_after_the_first_conversation_that_got_its_reply() {
    for framing in ["raw", "lines"] {
        let server = Server::start(&["once", "--then-exit", "--framing", framing, "-v"]);
        let mut silent = server.connect();
        silent.shutdown(Shutdown::Write).unwrap();
        expect_end(&mut silent);
        server.wait_log("reason=\"eof\"");
        // A bystander who says nothing does not keep the server from ending.
        let mut idle = server.connect();
        let mut client = server.connect();
        exchange(&mut client, b"a\n", b"Hello Lyon");
        client.shutdown(Shutdown::Write).unwrap();
        expect_end(&mut idle);
        drop((idle, client));
        let ended = server.wait();
        assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
        assert!(ended.stderr.contains("draining"), "{}", ended.stderr);
    }
}

#[test]
fn discard_answers_nothing() {
    for (framing, sent) in [("raw", &b"exit\n"[..]), ("len32", b"\0\0\0\x03one\0\0\0\0")] {
        let server = Server::start(&["discard", "--framing", framing]);
        let mut client = server.connect();
        client.write_all(sent).unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        expect_end(&mut client);
        let stats = server.wait_stats(|line| line.contains("closed_eof=1"));
        assert!(stats.contains(&format!("bytes_in={} bytes_out=0", sent.len())), "{stats}");
    }
}

#[test]
fn discard_takes_a_flood() {
    const SIZE: usize = 50_000_000;
    let server = Server::start(&["discard"]);
    let mut client = server.connect();
    let chunk = [b'x'; 50_000];
    for _ in 0..SIZE / chunk.len() {
        client.write_all(&chunk).unwrap();
    }
    client.shutdown(Shutdown::Write).unwrap();
    expect_end(&mut client);
    server.wait_stats(|line| line.contains(&format!("bytes_in={SIZE} ")));
}
