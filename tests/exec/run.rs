//! `oneloop run`: as if the command ran here.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread;

use super::{MODELS, run, serve};
use crate::support::{self, oneloop};

#[test]
fn it_prints_what_the_command_prints_and_ends_as_it_does() {
    for model in MODELS {
        let commands = [
            ("ok", "echo out; echo err >&2"),
            ("three", "exit 3"),
            ("term", "kill -TERM $$"),
            ("kill", "kill -KILL $$"),
            ("two-five-five", "exit 255"),
        ];
        let server = serve(model, &commands, &[]);
        let ok = run(&server, &["ok"]);
        assert_eq!((ok.stdout.join("\n").as_str(), ok.stderr.as_str()), ("out", "err"), "{model}");
        for (name, code) in
            [("ok", 0), ("three", 3), ("term", 143), ("kill", 137), ("two-five-five", 255), ("nope", 255)]
        {
            assert_eq!(run(&server, &[name]).status.code(), Some(code), "{model} {name}");
        }
        assert_eq!(run(&server, &["nope"]).stderr, "oneloop: unknown command 'nope'", "{model}");
    }
}

#[test]
fn what_looks_like_an_option_after_the_command_is_the_commands() {
    let path = std::env::temp_dir().join(format!("oneloop-exec-run-{}.toml", std::process::id()));
    fs::write(&path, "[command.say]\nrun = ['/bin/echo']\naccept = ['--framing=x', '-v', '.*']\n").unwrap();
    let server = serve("loop", &[], &["--allow-file", path.to_str().unwrap()]);
    let mut command = oneloop();
    command.args(["run", &server.listening()[0], "say", "--framing=x", "-v", "--", "x"]);
    let ended = support::run(command);
    // The one that separates is as much the command's.
    assert_eq!(ended.status.code(), Some(255));
    let mut command = oneloop();
    command.args(["run", &server.listening()[0], "say", "--framing=x", "-v", "a b"]);
    assert_eq!(support::run(command).stdout, ["--framing=x -v a b"]);
    fs::remove_file(path).unwrap();
}

#[test]
fn it_talks_over_unix_sockets_and_to_the_tutorials_servers() {
    for (model, framing) in MODELS.iter().flat_map(|model| [(model, "len32le"), (model, "length-ok")]) {
        let option = format!("--framing={framing}");
        let listen = format!("unix:@oneloop-exec-{model}-{framing}-{}", std::process::id());
        let server =
            serve(model, &[("hi", "echo hi there"), ("none", "exit 1")], &[&option, "--listen", &listen]);
        let hi = run(&server, &[&option, "hi"]);
        assert_eq!(
            (hi.stdout, hi.status.code()),
            (vec!["hi there".to_owned()], Some(0)),
            "{model} {framing}"
        );
        let none = run(&server, &[&option, "none"]);
        assert_eq!((none.stdout, none.status.code()), (Vec::new(), Some(0)), "{model} {framing}");
    }
}

/// `oneloop run ARGS URL x` against a server that takes the request, says this, and closes.
fn against(said: &'static [u8], args: &[&str]) -> support::Ended {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("tcp://{}", listener.local_addr().unwrap());
    let server = thread::spawn(move || {
        let (mut peer, _) = listener.accept().unwrap();
        let _ = peer.read(&mut [0; 100]);
        peer.write_all(said).unwrap();
    });
    let mut command = oneloop();
    command.arg("run").args(args).args([&url, "x"]);
    let ended = support::run(command);
    server.join().unwrap();
    ended
}

#[test]
fn a_reply_that_is_no_reply_is_a_failure_of_ours() {
    for (said, args, expected) in [
        (&b""[..], &[][..], "before the command had ended"),
        (b"\0\0\0\x03\x01hi", &[], "before the command had ended"),
        (b"\0\0\0\x05\x01hi", &[], "inside a frame"),
        (b"\0\0\0\x02\x09x", &[], "does not speak this protocol"),
        (b"\0\0\0\x03\x03\0\0", &[], "a status that is none"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", &[], "1213486160"),
        (b"", &["--framing=len32le"], "without a reply"),
        (b"\x05\0\0\0he", &["--framing=len32le"], "3 bytes are missing"),
        (b"\xff\xff\xff\xff", &["--framing=len32le"], "-1 bytes"),
        (b"12x", &["--framing=length-ok"], "announces no length"),
    ] {
        let ended = against(said, args);
        assert_eq!(ended.status.code(), Some(255), "{said:?}: {}", ended.stderr);
        assert!(ended.stderr.contains(expected), "{said:?}: {}", ended.stderr);
    }
    let mut command = oneloop();
    command.args(["run", "tcp://127.0.0.1:1", "x"]);
    assert_eq!(support::run(command).status.code(), Some(255));
}

#[test]
fn a_silence_has_an_end() {
    let server = serve("loop", &[("wait", "sleep 1000")], &[]);
    let ended = run(&server, &["--timeout=100ms", "wait"]);
    assert_eq!(ended.status.code(), Some(255), "{}", ended.stderr);
    assert!(ended.stderr.contains("100ms"), "{}", ended.stderr);
}
