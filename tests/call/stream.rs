//! The conversation over TCP: what is printed, in which order, and how it ends.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::Stdio;

use crate::peers::*;
use crate::support::*;

#[test]
fn the_tutorials_client() {
    let server = Server::start(&["greet", "--banner", "Welcome!", "--delay", "50ms"]);
    call(&url(&server), &["Travis", "EDISON", "JOHN", "exit"])
        .expect("Welcome!\nHello, Travis!\nHello, EDISON!\nHello, JOHN!\n");
}

#[test]
fn a_newline_is_added_only_where_one_is_missing() {
    let server = Server::start(&["greet", "--banner", "hi\n"]);
    call(&url(&server), &["a\n", "b", "c\r\n"]).expect("hi\nHello, a!\nHello, b!\nHello, c!\r\n");
}

#[test]
fn the_next_message_waits_for_the_reply() {
    let (url, heard) = once(|mut stream| {
        let mut heard = Vec::new();
        for _ in 0..3 {
            let mut buffer = [0; 16];
            let len = stream.read(&mut buffer).unwrap();
            heard.push(buffer[..len].to_vec());
            stream.write_all(b"ok").unwrap();
        }
        heard
    });
    call(&url, &["--greeting", "0", "a", "b", "c"]).expect("ok\nok\nok\n");
    assert_eq!(heard.recv_timeout(PATIENCE).unwrap(), [b"a", b"b", b"c"]);
}

#[test]
fn after_the_last_message_the_server_hears_the_end_and_may_go_on() {
    let (url, _) = once(|mut stream| {
        let mut all = Vec::new();
        stream.read_to_end(&mut all).unwrap();
        stream.write_all(&all).unwrap();
        stream.write_all(b"|bye").unwrap();
    });
    call(&url, &["--no-reply", "a", "b"]).expect("ab|bye\n");
}

#[test]
fn behind_the_last_message_a_pause_does_not_end_the_reply() {
    let (url, _) = once(|mut stream| {
        let _ = stream.read(&mut [0; 16]).unwrap();
        stream.write_all(b"ab").unwrap();
        // The end comes when the client takes the reply for complete.
        stream.read_to_end(&mut Vec::new()).unwrap();
        stream.write_all(b"cd").unwrap();
    });
    call(&url, &["x"]).expect("abcd\n");
}

#[test]
fn ten_megabytes_come_back_from_an_echo_byte_by_byte() {
    let folder = Folder::new("large");
    let mut sent = noise(10_000_000);
    sent.push(b'\n');
    let file = folder.file("sent", &sent);
    let server = Server::start(&[]);
    let called = call(&url(&server), &["--file", &file]);
    assert_eq!((called.status.code(), called.stderr.as_str()), (Some(0), ""));
    assert!(called.stdout == sent, "{} bytes of {} came back", called.stdout.len(), sent.len());
}

#[test]
fn many_megabytes_in_one_frame_come_back_too() {
    let folder = Folder::new("frame");
    let mut sent = noise(6_000_000);
    sent.push(b'\n');
    let file = folder.file("sent", &sent);
    let server = Server::start(&["--framing", "len32", "--max-frame", "8MiB"]);
    let called = call(&url(&server), &["--framing", "len32", "--max-frame", "8MiB", "--file", &file]);
    assert_eq!((called.status.code(), called.stderr.as_str()), (Some(0), ""));
    assert!(called.stdout == sent, "{} bytes of {} came back", called.stdout.len(), sent.len());
}

#[test]
fn a_server_that_never_stops_is_printed_until_nobody_reads() {
    let (url, wrote) = once(|mut stream| {
        // What comes before the message is no part of its reply.
        let _ = stream.read(&mut [0; 16]).unwrap();
        let mut wrote = 0;
        // Until the other side is gone.
        while stream.write_all(&[b'x'; 4096]).is_ok() {
            wrote += 4096;
        }
        wrote
    });
    let mut command = oneloop();
    command.args(["call", &url, "--greeting", "0", "go"]).stdin(Stdio::null());
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut some = vec![0; 3_000_000];
    child.stdout.take().unwrap().read_exact(&mut some).unwrap();
    assert!(some.iter().all(|byte| *byte == b'x'), "nothing is added in the middle");
    assert!(wrote.recv_timeout(PATIENCE).unwrap() >= some.len());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), String::from_utf8(output.stderr).unwrap().as_str()), (Some(0), ""));
}

#[test]
fn a_server_that_closes_behind_the_last_message_is_no_failure() {
    let server = Server::start(&["greet"]);
    call(&url(&server), &["exit"]).expect("");
    let (url, _) = once(|mut stream| {
        let mut buffer = [0; 16];
        let _ = stream.read(&mut buffer).unwrap();
        stream.write_all(b"Hello Lyon").unwrap();
    });
    call(&url, &["hi"]).expect("Hello Lyon\n");
}

#[test]
fn a_server_that_closes_before_the_last_message_is_one() {
    let server = Server::start(&["greet", "--banner", "Welcome!"]);
    let expected = [
        url(&server),
        "closed the connection".to_owned(),
        "connection; 2 of 4 messages were not sent".to_owned(),
    ];
    call(&url(&server), &["a", "exit", "b", "c"]).expect_failure(
        1,
        "Welcome!\nHello, a!\n",
        &expected.each_ref().map(String::as_str),
    );
    // Even while its greeting is waited for.
    let (url, _) = once(|mut stream| stream.write_all(b"go away").unwrap());
    call(&url, &["--greeting", "1h", "a"]).expect_failure(
        1,
        "go away\n",
        &["connection; 1 of 1 messages were not sent"],
    );
}

#[test]
fn a_name_is_looked_up_and_its_addresses_tried_in_order() {
    // Where localhost is ::1 as well, that one refuses.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut all = Vec::new();
        stream.read_to_end(&mut all).unwrap();
        stream.write_all(&all).unwrap();
    });
    call(&format!("tcp://localhost:{port}"), &["--no-reply", "hello"]).expect("hello\n");
}

#[test]
fn ipv6_is_called_like_ipv4() {
    if has_ipv6() {
        let server = Server::start(&["greet", "--listen", "tcp://[::1]:0"]);
        call(&url(&server), &["six"]).expect("Hello, six!\n");
    }
}

#[test]
fn the_local_address_is_the_one_asked_for() {
    let (url, peer) = once(|mut stream| {
        let _ = stream.read(&mut [0; 16]).unwrap();
        stream.write_all(b"ok").unwrap();
        stream.peer_addr().unwrap()
    });
    call(&url, &["--bind", "127.0.0.2", "hello"]).expect("ok\n");
    assert_eq!(peer.recv_timeout(PATIENCE).unwrap().ip().to_string(), "127.0.0.2");
}

#[test]
fn bytes_may_be_written_as_digits() {
    let server = Server::start(&[]);
    call(&url(&server), &["--hex", "00 ff 0a", "7F80"]).expect("00ff0a\n7f80\n");
}
