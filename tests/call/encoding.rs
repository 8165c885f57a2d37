//! `--encoding`: typed in UTF-8, sent in another encoding, and back, also when the network cuts characters in two.

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use crate::peers::*;
use crate::support::*;

/// 你好, in GBK.
const NI_HAO: &[u8] = b"\xc4\xe3\xba\xc3";

#[test]
fn what_is_typed_is_sent_in_gbk_and_the_reply_is_read_in_it() {
    let (url, heard) = once(|mut stream| {
        let mut heard = vec![0; NI_HAO.len()];
        stream.read_exact(&mut heard).unwrap();
        stream.write_all(&[b"Hello, ", NI_HAO, b"!"].concat()).unwrap();
        heard
    });
    call_with(&url, &["--encoding=gbk"], "你好\n".as_bytes()).expect("Hello, 你好!\n");
    assert_eq!(heard.recv_timeout(PATIENCE).unwrap(), NI_HAO);
}

#[test]
fn a_character_cut_in_two_by_the_network_is_printed_whole() {
    let (url, _done) = once(|mut stream| {
        stream.set_nodelay(true).unwrap();
        let _ = stream.read(&mut [0; 16]).unwrap();
        for piece in [&b"\xc4"[..], b"\xe3\xba", b"\xc3\n"] {
            stream.write_all(piece).unwrap();
            // Longer than the silence that ends a reply: the halves arrive in different reads.
            let gone = Instant::now();
            while gone.elapsed() < Duration::from_millis(60) {
                std::thread::yield_now();
            }
        }
    });
    call(&url, &["--encoding=gbk", "--no-reply", "x"]).expect("你好\n");
}

#[test]
fn a_greeting_server_answers_in_whatever_encoding_it_is_called() {
    let server = Server::start(&["greet", "--banner", "欢迎!", "--encoding", "gbk"]);
    call(&url(&server), &["--encoding", "gb18030", "李雷", "exit"]).expect("欢迎!\nHello, 李雷!\n");
    let mut client = server.connect();
    expect(&mut client, b"\xbb\xb6\xd3\xad!");
    exchange(&mut client, NI_HAO, b"Hello, \xc4\xe3\xba\xc3!");
}

#[test]
fn the_tutorials_acknowledgement_is_sent_in_the_clients_encoding() {
    let server = Server::start(&[
        "ack",
        "--encoding=gbk",
        "--listen",
        "tcp://127.0.0.1:0",
        "--listen",
        "udp://127.0.0.1:0",
    ]);
    for listening in server.listening() {
        call(listening, &["--encoding=gbk", "你好"]).expect("已收到\n");
        call(listening, &["你好"]).expect(b"\xd2\xd1\xca\xd5\xb5\xbd\n");
    }
}

#[test]
fn framed_messages_are_counted_in_bytes_as_they_are_sent() {
    let server = Server::start(&["--framing=fixed:4"]);
    call(&url(&server), &["--framing=fixed:4", "--encoding=gbk", "你好"]).expect("你好\n");
    let args = ["--framing=fixed:4", "--encoding=utf-8", "你好"];
    call("tcp://127.0.0.1:1", &args).expect_failure(2, "", &["fixed:4"]);
}

#[test]
fn what_cannot_be_sent_is_named_and_nothing_is_sent_in_its_place() {
    let nobody = "tcp://127.0.0.1:1";
    call(nobody, &["--encoding=gbk", "a😀"]).expect_failure(2, "", &["a😀", "gbk", "U+1F600"]);
    call(nobody, &["--encoding=klingon", "a"]).expect_failure(2, "", &["'klingon'", "gb18030"]);
    call(nobody, &["--encoding=utf-16", "a"]).expect_failure(2, "", &["utf-16le", "read and not written"]);
    call(nobody, &["--encoding=gbk", "--hex", "00"]).expect_failure(2, "", &["--encoding", "--hex"]);
    let server = Server::start(&[]);
    call_with(&url(&server), &["--encoding=gbk"], "a\n😀\n".as_bytes()).expect_failure(
        1,
        "a\n",
        &["line 2", "U+1F600"],
    );
    call_with(&url(&server), &["--encoding=gbk"], b"\xc4\xe3\n").expect_failure(
        1,
        "",
        &["line 1", "not UTF-8"],
    );
}

#[test]
fn a_file_is_text_too() {
    let server = Server::start(&["discard", "--print", "--encoding=gbk"]);
    let folder = Folder::new("encoding");
    let file = folder.file("text", "你好".as_bytes());
    call(&url(&server), &["--encoding=gbk", "--no-reply", "--file", &file]).expect("");
    assert!(server.line().ends_with(" 你好"));
}
