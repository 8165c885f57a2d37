//! `--print`: every message on standard output, and a reader of it that does not read.

use std::io::Write;
use std::time::{Duration, Instant};

use crate::support::*;

#[test]
fn every_message_is_printed_with_its_sender() {
    let server = Server::start(&["discard", "--print"]);
    let mut client = server.connect();
    let sender = client.local_addr().unwrap();
    for (sent, shown) in [
        (&b"hello"[..], "hello"),
        (b"two words\n", r"two words\x0a"),
        (b"\x1b[31m\\\0\x7f\xff~", r"\x1b[31m\x5c\x00\x7f\xff~"),
        ("é".as_bytes(), r"\xc3\xa9"),
    ] {
        client.write_all(sent).unwrap();
        assert_eq!(server.line(), format!("{sender} {shown}"));
    }
    let mut other = server.connect();
    other.write_all(b"me too").unwrap();
    assert_eq!(server.line(), format!("{} me too", other.local_addr().unwrap()));
}

#[test]
fn an_empty_message_is_a_line_too() {
    let server = Server::start(&["discard", "--print", "--framing=lines"]);
    let mut client = server.connect();
    let sender = client.local_addr().unwrap();
    client.write_all(b"one\r\n\nthree\n").unwrap();
    for shown in ["one", "", "three"] {
        assert_eq!(server.line(), format!("{sender} {shown}"));
    }
}

#[test]
fn ack_and_once_print_what_they_answer() {
    let server = Server::start(&["ack", "--print", "--reply=ok"]);
    let mut client = server.connect();
    let sender = client.local_addr().unwrap();
    exchange(&mut client, b"a\n", b"ok\n");
    client.write_all(b"exit").unwrap();
    expect_end(&mut client);
    assert_eq!([server.line(), server.line()], [format!("{sender} a\\x0a"), format!("{sender} exit")]);

    let server = Server::start(&["once", "--print", "--framing=len16"]);
    let mut client = server.connect();
    let sender = client.local_addr().unwrap();
    exchange(&mut client, b"\0\x01a\0\x01b", b"\0\x0aHello Lyon");
    expect_end(&mut client);
    drop(client);
    let ended = server.stop();
    assert_eq!(ended.stdout, [format!("{sender} a")]);
}

#[test]
fn with_an_encoding_text_is_printed_and_what_a_terminal_obeys_is_not() {
    let server = Server::start(&["discard", "--print", "--encoding=gbk"]);
    let mut client = server.connect();
    let sender = client.local_addr().unwrap();
    // The second and the third message begin in the middle of a character.
    for (sent, shown) in [
        (&b"\xc4\xe3\xba"[..], "你"),
        (b"\xc3\n\x1b[31m\\\xc4", "好\\x0a\\x1b[31m\\x5c"),
        (b"\xe3!\xff!", "你!\u{fffd}!"),
    ] {
        client.write_all(sent).unwrap();
        assert_eq!(server.line(), format!("{sender} {shown}"));
    }
    // Half a character of another conversation is its own.
    client.write_all(b"\xc4").unwrap();
    let mut other = server.connect();
    other.write_all(b"plain").unwrap();
    assert_eq!(server.line(), format!("{} plain", other.local_addr().unwrap()));
    client.write_all(b"\xe3").unwrap();
    assert_eq!(server.line(), format!("{sender} 你"));
}

#[test]
fn a_datagram_and_a_frame_are_texts_of_their_own() {
    let server = Server::start(&["discard", "--print", "--encoding=utf-16be", "--framing=len16"]);
    let mut client = server.connect();
    let sender = client.local_addr().unwrap();
    client.write_all(b"\0\x03\0a\0\0\x02\0b\0\0").unwrap();
    for shown in ["a\u{fffd}", "b", ""] {
        assert_eq!(server.line(), format!("{sender} {shown}"));
    }
    let server = Server::start(&["discard", "--print", "--encoding=gbk", "--listen", "udp://127.0.0.1:0"]);
    let client = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    for (sent, shown) in [(&b"\xc4"[..], "\u{fffd}"), (b"\xe3\xba", "愫"), (b"", "")] {
        client.send_to(sent, server.address()).unwrap();
        assert_eq!(server.line(), format!("{} {shown}", client.local_addr().unwrap()));
    }
}

#[test]
fn without_print_nothing_is_printed() {
    let server = Server::start(&["discard"]);
    server.connect().write_all(b"x").unwrap();
    server.wait_stats(|line| line.contains("closed_eof=1"));
    assert_eq!(server.stop().stdout, [""; 0]);
}

#[test]
fn what_was_printed_before_the_end_is_all_there() {
    let server = Server::start(&["discard", "--print", "--framing=lines"]);
    let mut client = server.connect();
    let lines: String = (0..10_000).map(|number| format!("{number}\n")).collect();
    client.write_all(lines.as_bytes()).unwrap();
    server.wait_stats(|line| line.contains(" frames=10000 "));
    let ended = server.stop();
    assert_eq!(ended.stdout.len(), 10_000);
    assert!(ended.stdout[9_999].ends_with(" 9999"), "{}", ended.stdout[9_999]);
    assert!(!ended.stderr.contains("WARN"), "{}", ended.stderr);
}

#[test]
fn a_standard_output_that_nobody_reads_does_not_stall_the_loop() {
    let server = Server::start(&["ack", "--print", "--reply=ok", "--framing=lines"]);
    let mut client = server.connect();
    let message = [&[b'x'; 999][..], b"\n"].concat();
    let batch = message.repeat(100);
    let before = server.memory();
    // 20 MB: far more than a pipe, the queue and the writer's hand hold.
    for _ in 0..200 {
        exchange(&mut client, &batch, &b"ok\n".repeat(100));
    }
    let grown = server.memory().saturating_sub(before);
    assert!(grown < 12 << 20, "{grown} bytes");
    exchange(&mut server.connect(), b"still\n", b"ok\n");
    let warning = server.wait_log("messages not printed");
    assert!(warning.contains("WARN") && warning.contains("dropped="), "{warning}");

    // Nor does it keep the program from ending, and the end says what is lost.
    let begun = Instant::now();
    drop(client);
    server.signal(rustix::process::Signal::TERM);
    server.wait_log_end();
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    let log = server.log();
    assert!(log.contains("unprinted_lines="), "{log}");
    let ended = server.wait();
    assert_eq!(ended.status.code(), Some(0));
    assert!(ended.stdout.len() > 60, "what the pipe held was printed: {} lines", ended.stdout.len());
}

#[test]
fn a_standard_output_that_is_closed_ends_printing_and_not_the_server() {
    let mut server = Server::start(&["ack", "--print", "--reply=ok"]);
    server.close_stdout();
    let until = Instant::now() + PATIENCE;
    // The first lines find the pipe open still.
    while !server.log().contains("printing ends") {
        exchange(&mut server.connect(), b"x", b"ok");
        assert!(Instant::now() < until, "{}", server.log());
    }
    exchange(&mut server.connect(), b"x", b"ok");
    let ended = server.stop();
    assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
    assert!(!ended.stderr.contains("WARN"), "{}", ended.stderr);
}
