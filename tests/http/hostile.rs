//! Requests that mean no good, and clients that are slow on purpose.

use std::io::{Read, Write};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixStream};

use crate::client::Client;
use crate::support::{PATIENCE, Server};
use crate::{MODELS, start};

#[test]
fn what_two_servers_could_read_differently_is_answered_with_400_and_an_end() {
    for model in MODELS {
        let server = start(model, &[]);
        for (request, status) in [
            (
                "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
                400,
            ),
            ("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n", 400),
            ("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: +5\r\n\r\nhello", 400),
            ("GET / HTTP/1.1\r\nHost : localhost\r\n\r\n", 400),
            ("GET / HTTP/1.1\r\nHost: localhost\r\nA: b\r\n c\r\n\r\n", 400),
            ("GET / HTTP/1.1\nHost: localhost\n\n", 400),
            ("GET / HTTP/1.1\r\nHost: localhost\r\nA: \0\r\n\r\n", 400),
            ("GET / HTTP/1.1\r\n\r\n", 400),
            (
                "GET /json HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n",
                400,
            ),
            ("GET / HTTP/3.0\r\n\r\n", 505),
            ("\x16\x03\x01\x02\0\x01\0\x01\u{fc}\x03\x03", 400),
        ] {
            let mut client = Client::new(server.connect());
            client.send(request);
            // A second request, which nobody may see.
            let _ = client.stream.write_all(b"GET /json HTTP/1.1\r\nHost: localhost\r\n\r\n");
            assert_eq!(client.answer().status, status, "{model} {request:?}");
            client.expect_end();
        }
    }
}

#[test]
fn a_head_that_does_not_come_in_time_is_answered_with_408() {
    for model in MODELS {
        let server = start(model, &["--frame-timeout", "300ms"]);
        let mut client = Client::new(server.connect());
        assert_eq!(client.get("/plaintext", "").status, 200);
        client.send("GET / HTTP/1.1\r\nHost: localhost\r\n");
        let answer = client.answer();
        assert_eq!((answer.status, answer.field("Connection")), (408, "close"), "{model}");
        client.expect_end();
    }
}

#[test]
fn a_body_that_comes_byte_by_byte_is_given_up() {
    for model in MODELS {
        let server = start(model, &["--frame-timeout", "300ms"]);
        let mut client = Client::new(server.connect());
        client.send("GET /json HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\nx");
        assert_eq!(client.answer().status, 408, "{model}");
        client.expect_end();
    }
}

#[test]
fn a_refusal_survives_what_is_still_being_sent() {
    for model in MODELS {
        let server = start(model, &["--max-body", "1000"]);
        let mut client = Client::new(server.connect());
        client.send("POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 500000\r\n\r\n");
        // Within what a closing connection takes, so that all of it can be sent.
        client.stream.write_all(&[b'x'; 500_000]).unwrap();
        assert_eq!(client.answer().status, 413, "{model}");
        client.expect_end();
    }
}

#[test]
fn names_that_could_be_anybodys_are_not_answered() {
    let server = start("loop", &["--host", "nas.lan"]);
    let mut client = Client::new(server.connect());
    for (host, status) in [
        ("localhost:9999", 200),
        ("127.0.0.1", 200),
        ("192.168.1.2:80", 200),
        ("[::1]:9999", 200),
        ("NAS.lan", 200),
        ("evil.example", 421),
        ("nas.lan.evil.example", 421),
    ] {
        client.send(&format!("GET /plaintext HTTP/1.1\r\nHost: {host}\r\n\r\n"));
        let answer = client.answer();
        assert_eq!(answer.status, status, "{host}");
        assert!(status == 200 || answer.text().contains("--host NAME"), "{host}");
    }
    let any = start("loop", &["--host", "*"]);
    let mut client = Client::new(any.connect());
    client.send("GET /plaintext HTTP/1.1\r\nHost: evil.example\r\n\r\n");
    assert_eq!(client.answer().status, 200);
}

#[test]
fn nobody_is_led_to_a_unix_socket_by_a_name() {
    let name = format!("oneloop-http-{}", std::process::id());
    let server = Server::start(&["http", "--listen", &format!("unix:@{name}")]);
    let address = SocketAddr::from_abstract_name(&name).unwrap();
    let mut stream = UnixStream::connect_addr(&address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(b"GET /plaintext HTTP/1.1\r\nHost: whatever\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("Hello, World!"), "{answer}");
    drop(server);
}
