//! HTTP servers as targets of the real program.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::thread;

use serde_json::Value;

use crate::support::*;

fn load(arguments: &[&str]) -> Ended {
    let mut command = oneloop();
    command.arg("load").args(arguments);
    run(command)
}

/// A server that answers everything so, on connections that it keeps.
fn site(answer: &'static [u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            thread::spawn(move || {
                let (mut input, mut chunk) = (Vec::new(), [0; 4096]);
                while let Ok(count @ 1..) = stream.read(&mut chunk) {
                    input.extend_from_slice(&chunk[..count]);
                    while let Some(end) = input.windows(4).position(|window| window == b"\r\n\r\n") {
                        input.drain(..end + 4);
                        stream.write_all(answer)?;
                    }
                }
                Ok::<(), std::io::Error>(())
            });
        }
    });
    format!("http://{address}/page?q")
}

#[test]
fn a_run_is_reported_with_its_statuses() {
    let url = site(b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno");
    let ended = load(&[&url, "-c", "2", "-n", "50", "-r", "500"]);
    let text = ended.stdout.join("\n");
    assert!(
        ended.stdout[0].starts_with(&format!("load {url}   2 connections   offered 500 msg/s")),
        "{text}"
    );
    assert!(text.contains("\nstatus       404 50\n") && text.contains("50 status"), "{text}");
    assert!(text.contains("every length verified"), "{text}");
    let ended = load(&[&url, "-c", "2", "-n", "50", "--json", "--fail-if", "errors.status>0"]);
    assert!(matches!(ended.status.code(), Some(3 | 5)), "{}", ended.stderr);
    let value: Value = serde_json::from_str(&ended.stdout[0]).unwrap();
    assert_eq!(value["http"], serde_json::json!({"urls": [url], "statuses": {"404": 50}}));
    assert_eq!((&value["requests"], &value["errors"]["status"]), (&50.into(), &50.into()));
}

#[test]
fn options_that_mean_nothing_are_refused() {
    for (arguments, said) in [
        (&["http://127.0.0.1:1/", "tcp://127.0.0.1:1"][..], "run load twice"),
        (&["http://127.0.0.1:1/", "--framing", "lines"], "'--framing lines'"),
        (&["http://127.0.0.1:1/", "--send", "x"], "--body"),
        (&["tcp://127.0.0.1:1", "-X", "GET"], "only HTTP has it"),
        (&["https://127.0.0.1/"], "TLS is not spoken"),
    ] {
        let ended = load(arguments);
        assert_eq!(ended.status.code(), Some(2), "{}", ended.stderr);
        assert!(ended.stderr.contains(said), "{said}: {}", ended.stderr);
    }
}

#[test]
fn pythons_server_is_measured_on_connections_of_one_request_each() {
    if !has_program("python3") {
        return;
    }
    let mut server = Command::new("python3")
        .args(["-u", "-m", "http.server", "--bind", "127.0.0.1", "0"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut said = String::new();
    BufReader::new(server.stdout.take().unwrap()).read_line(&mut said).unwrap();
    let port = said.split("port ").nth(1).and_then(|rest| rest.split(' ').next()).unwrap().to_owned();
    // It speaks HTTP/1.0: each answer ends its connection, whether or not that was asked for.
    for more in [&["--no-keep-alive"][..], &[]] {
        let url = format!("http://127.0.0.1:{port}/Cargo.toml");
        let ended = load(&[&[url.as_str(), "-c", "2", "-n", "20", "--json"], more].concat());
        let value: Value = serde_json::from_str(&ended.stdout[0]).unwrap();
        assert_eq!(value["http"]["statuses"], serde_json::json!({"200": 20}), "{}", ended.stdout[0]);
        assert_eq!(value["errors"].as_object().unwrap().values().filter(|count| **count != 0).count(), 0);
    }
    server.kill().unwrap();
    server.wait().unwrap();
}
