//! The tutorials' clients work unchanged: python3's socket module, no framing, no line ends; and netcat too.

#![allow(clippy::print_stderr, reason = "a test that fails says on which model")]

mod support;

use std::io::Write;
use std::process::{Command, Stdio};

use support::{Server, has_program, run};

/// Every model serves every client,
const MODELS: [&str; 4] = ["loop", "threads", "iterative", "spin"];

/// and these serve several at once.
const CONCURRENT: [&str; 3] = ["loop", "threads", "spin"];

/// Runs a client of tests/clients against the server and returns what it printed.
fn client(script: &str, server: &Server, arguments: &[&str]) -> Vec<String> {
    let path = format!("{}/tests/clients/{script}", env!("CARGO_MANIFEST_DIR"));
    let address = server.address();
    let mut command = Command::new("python3");
    command.arg(path).args([address.ip().to_string(), address.port().to_string()]).args(arguments);
    let ended = run(command);
    assert!(ended.status.success(), "{script}: {}\n{}", ended.stdout.join("\n"), ended.stderr);
    ended.stdout
}

/// Whether there is a python3 for the clients. In CI there must be.
fn has_python() -> bool {
    has_program("python3")
}

/// `oneloop serve --model MODEL ARGS`.
fn serve(model: &str, args: &[&str]) -> Server {
    eprintln!("model {model}");
    Server::start(&[args, &["--model", model]].concat())
}

#[test]
fn a_client_that_sends_names_without_line_ends_is_greeted() {
    if !has_python() {
        return;
    }
    for model in MODELS {
        for (banner, delay) in [("Welcome!", "0"), ("hello!", "50ms")] {
            let server = serve(model, &["greet", "--banner", banner, "--delay", delay, "-v"]);
            let said = client("greeting.py", &server, &[banner, "Travis", "EDISON", "JOHN"]);
            assert_eq!(said, [banner, "Hello, Travis!", "Hello, EDISON!", "Hello, JOHN!"], "{model}");
            let line = server.wait_log("closed slot=");
            assert!(line.contains("reason=\"finished\""), "{model}: {line}");
        }
    }
}

#[test]
fn a_client_without_a_banner_is_greeted() {
    if has_python() {
        for model in MODELS {
            assert_eq!(
                client("greeting.py", &serve(model, &["greet"]), &["", "é"]),
                ["Hello, é!"],
                "{model}"
            );
        }
    }
}

#[test]
fn many_threads_of_clients_share_the_delay() {
    const CLIENTS: u32 = 40;
    if !has_python() {
        return;
    }
    for model in CONCURRENT {
        let server = serve(model, &["greet", "--banner", "Welcome!", "--delay", "50ms"]);
        let said = client("threads.py", &server, &["Welcome!", &CLIENTS.to_string()]);
        let (right, ms) = said.last().and_then(|line| line.split_once(' ')).expect("a count and a time");
        assert_eq!(right, CLIENTS.to_string(), "{said:?}");
        // Three answers each: one client after the other would take 6 s, all together 150 ms and what Python takes.
        let ms: u32 = ms.parse().expect("a number");
        assert!((150..5000).contains(&ms), "{model}: {ms} ms");
    }
    // One client after the other.
    let server = serve("iterative", &["greet", "--banner", "Welcome!", "--delay", "20ms"]);
    let said = client("threads.py", &server, &["Welcome!", "5"]);
    let (right, ms) = said.last().and_then(|line| line.split_once(' ')).expect("a count and a time");
    assert_eq!(right, "5", "{said:?}");
    assert!(ms.parse::<u32>().expect("a number") >= 5 * 3 * 20, "{ms} ms");
}

#[test]
fn a_client_that_sends_lines_is_greeted_with_lines() {
    if !has_python() {
        return;
    }
    for model in MODELS {
        let server = serve(model, &["greet"]);
        let said = client("lines.py", &server, &["lf", "Travis", "", "JOHN"]);
        assert_eq!(
            said,
            [r"b'Hello, Travis!\n'", r"b'Hello, !\n'", r"b'Hello, JOHN!\n'", "closed"],
            "{model}"
        );
        let said = client("lines.py", &server, &["crlf", "Travis", "JOHN"]);
        assert_eq!(said, [r"b'Hello, Travis!\r\n'", r"b'Hello, JOHN!\r\n'", "closed"], "{model}");
    }
}

#[test]
fn a_client_is_greeted_over_udp() {
    if !has_python() {
        return;
    }
    for model in MODELS {
        let server = serve(model, &["greet", "--delay=20ms", "--listen", "udp://127.0.0.1:0"]);
        let said = client("udp_greeting.py", &server, &["Michael", "Tracy", "Sarah", "exit"]);
        let greeted = ["Hello, Michael!", "Hello, Tracy!", "Hello, Sarah!", "Hello, exit!"];
        assert_eq!(said, greeted, "{model}");
    }
}

#[test]
fn a_one_shot_client_gets_one_reply() {
    if !has_python() {
        return;
    }
    for model in MODELS {
        let server = serve(model, &["once", "--print"]);
        for message in ["Hello", "again"] {
            assert_eq!(client("once.py", &server, &[message]), ["Hello Lyon", "b''"], "{model}");
            let line = server.line();
            assert!(line.starts_with("127.0.0.1:") && line.ends_with(&format!(" {message}")), "{line}");
        }
    }
}

#[test]
fn a_one_shot_server_that_is_to_exit_exits() {
    if !has_python() {
        return;
    }
    for model in MODELS {
        let server = serve(model, &["once", "--then-exit"]);
        assert_eq!(client("once.py", &server, &["Hello"]), ["Hello Lyon", "b''"], "{model}");
        let ended = server.wait();
        assert_eq!(ended.status.code(), Some(0), "{model}: {}", ended.stderr);
    }
}

#[test]
fn what_a_sender_sends_is_printed_with_its_address() {
    if !has_python() {
        return;
    }
    for model in MODELS {
        let server = serve(model, &["discard", "--print"]);
        for (encoding, message, shown) in
            [("utf-8", "hello", "hello"), ("utf-8", "你", r"\xe4\xbd\xa0"), ("gbk", "你", r"\xc4\xe3")]
        {
            let sender = client("sender.py", &server, &[encoding, message]).remove(0);
            assert_eq!(server.line(), format!("{sender} {shown}"), "{model}");
        }
    }
}

#[test]
fn what_a_sender_sends_over_udp_is_printed_with_its_address() {
    if !has_python() {
        return;
    }
    for model in MODELS {
        let server = serve(model, &["discard", "--print", "--listen", "udp://127.0.0.1:0"]);
        let sender = client("udp_sender.py", &server, &["gbk", "hello", "你", "exit"]).remove(0);
        for shown in ["hello", r"\xc4\xe3", "exit"] {
            assert_eq!(server.line(), format!("{sender} {shown}"), "{model}");
        }
    }
}

#[test]
fn a_client_is_acknowledged_until_it_says_exit() {
    if !has_python() {
        return;
    }
    for model in MODELS {
        let server = serve(model, &["ack", "--print", "-v"]);
        let said = client("ack.py", &server, &["hello", "你好", "3"]);
        assert_eq!(said, ["已收到", "已收到", "已收到", "b''"], "{model}");
        for shown in [" hello", r" \xe4\xbd\xa0\xe5\xa5\xbd", " 3", " exit"] {
            let line = server.line();
            assert!(line.ends_with(shown), "{model}: {line}");
        }
        assert!(server.wait_log("closed slot=").contains("reason=\"finished\""));
    }
}

#[test]
fn a_second_client_waits_for_the_first_on_iterative_only() {
    if !has_python() {
        return;
    }
    for model in CONCURRENT {
        let said = client("second.py", &serve(model, &["ack"]), &[]);
        assert_eq!(said, ["已收到", "已收到", "b''"], "{model}");
    }
    let said = client("second.py", &serve("iterative", &["ack"]), &[]);
    assert_eq!(said, ["已收到", "second waits", "b''", "已收到"]);
}

#[test]
fn netcat_is_greeted() {
    if !has_program("nc") {
        return;
    }
    let server = Server::start(&["greet", "--banner", "Welcome!\n", "--delay", "50ms"]);
    let address = server.address();
    let mut nc = Command::new("nc");
    nc.args([address.ip().to_string(), address.port().to_string()]);
    let mut nc = nc.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it is there");
    let mut keyboard = nc.stdin.take().expect("piped");
    let mut screen = std::io::BufRead::lines(std::io::BufReader::new(nc.stdout.take().expect("piped")));
    let mut next = || screen.next().expect("a line").expect("text");
    assert_eq!(next(), "Welcome!");
    for name in ["Travis", "EDISON"] {
        // In one write, as a terminal does: what is written in two may arrive as two messages.
        keyboard.write_all(format!("{name}\n").as_bytes()).expect("it reads");
        assert_eq!(next(), format!("Hello, {name}!"));
    }
    keyboard.write_all(b"exit\n").expect("it reads");
    drop(keyboard);
    server.wait_stats(|line| line.contains(" open=0 "));
    nc.kill().expect("our own child");
    nc.wait().expect("our own child");
}
