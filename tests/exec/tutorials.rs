//! The tutorials' clients, in python3, unchanged.

use std::io::Write;
use std::process::Command;

use super::{MODELS, serve};
use crate::support::{Server, expect, expect_end, has_program, run};

/// Runs a client of tests/clients against the server and returns what it printed.
fn client(script: &str, server: &Server, commands: &[&str]) -> Vec<String> {
    let path = format!("{}/tests/clients/{script}", env!("CARGO_MANIFEST_DIR"));
    let address = server.address();
    let mut command = Command::new("python3");
    command.arg(path).args([address.ip().to_string(), address.port().to_string()]).args(commands);
    let ended = run(command);
    assert!(ended.status.success(), "{script}: {}\n{}", ended.stdout.join("\n"), ended.stderr);
    ended.stdout
}

const BOTH: [(&str, &str); 2] = [("len32le", "command_header.py"), ("length-ok", "command_length.py")];

#[test]
fn they_get_what_their_own_server_would_have_sent() {
    if !has_program("python3") {
        return;
    }
    for model in MODELS {
        let commands = [
            ("hi", "echo hi there"),
            ("err", "echo out; echo wrong >&2"),
            ("none", "exit 0"),
            ("much", "head -c 200000 /dev/zero | tr \"\\000\" x"),
            (
                "flood",
                "head -c 200000 /dev/zero; head -c 200000 /dev/zero | tr \"\\000\" e >&2; head -c 99999 /dev/zero",
            ),
        ];
        for (framing, script) in BOTH {
            let server = serve(model, &commands, &["--framing", framing]);
            let said = client(script, &server, &["hi", "err", "none", "nope", "hi"]);
            let expected = ["9 hi there", "6 wrong", "0", "32 oneloop: unknown command 'nope'", "9 hi there"];
            assert_eq!(
                said.iter().map(|line| line.trim()).collect::<Vec<_>>(),
                expected,
                "{model} {framing}"
            );
            let said = client(script, &server, &["much", "flood"]);
            assert_eq!(said[0], format!("200000 {}", "x".repeat(200)), "{model} {framing}");
            assert_eq!(said[1], format!("200000 {}", "e".repeat(200)), "{model} {framing}");
        }
    }
}

#[test]
fn a_shell_for_the_lesson_runs_what_it_is_sent() {
    if !has_program("python3") {
        return;
    }
    for model in MODELS {
        for (framing, script) in BOTH {
            let server = Server::start(&["exec", "--allow-shell", "--model", model, "--framing", framing]);
            assert_eq!(client(script, &server, &["echo a b | wc -w"]), ["2 2"], "{model} {framing}");
            assert!(server.log().contains("--allow-shell"), "it warns");
        }
    }
}

#[test]
fn what_is_too_much_or_too_long_is_said_in_the_reply() {
    for model in MODELS {
        let commands = [("much", "cat /dev/zero"), ("long", "echo begun; sleep 1000")];
        let limits = ["--framing=len32le", "--max-output=10", "--job-timeout=300ms"];
        let server = serve(model, &commands, &limits);
        let mut client = server.connect();
        client.write_all(b"much").unwrap();
        let notice = b"oneloop: ended: it printed more than 10 bytes\n";
        expect(&mut client, &u32::try_from(10 + notice.len()).unwrap().to_le_bytes());
        expect(&mut client, &[&[0; 10], &notice[..]].concat());
        client.write_all(b"long\r\n").unwrap();
        let notice = b"oneloop: ended: it ran for longer than 300ms\n";
        expect(&mut client, &u32::try_from(notice.len()).unwrap().to_le_bytes());
        expect(&mut client, notice);
    }
}

#[test]
fn anything_but_ok_ends_the_conversation() {
    for model in MODELS {
        let server = serve(model, &[("hi", "echo hi")], &["--framing", "length-ok"]);
        let mut client = server.connect();
        for _ in 0..2 {
            client.write_all(b"hi").unwrap();
            expect(&mut client, b"3");
            client.write_all(b"O").unwrap();
            client.write_all(b"K").unwrap();
            expect(&mut client, b"hi\n");
        }
        client.write_all(b"hi").unwrap();
        expect(&mut client, b"3");
        client.write_all(b"no").unwrap();
        expect_end(&mut client);
    }
}

#[test]
fn what_a_browser_sends_is_no_command() {
    for model in MODELS {
        for framing in ["len32le", "length-ok"] {
            let server = Server::start(&["exec", "--allow-shell", "--model", model, "--framing", framing]);
            let mut client = server.connect();
            client
                .write_all(b"POST / HTTP/1.1\r\nHost: localhost\r\n\r\ntouch /tmp/oneloop-was-here\n")
                .unwrap();
            expect_end(&mut client);
            assert!(!server.stop().stderr.contains("command text"), "{model}");
        }
    }
}
