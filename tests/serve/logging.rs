//! What is logged, and when nothing is.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::time::Instant;

use rustix::process::Signal;

use crate::support::*;

#[test]
fn sigusr1_logs_the_statistics() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    exchange(&mut client, b"12345", b"12345");
    server.signal(Signal::USR1);
    let line = server.wait_log("stats ");
    for expected in ["INFO", "open=1", "accepted=1", "frames=1", "bytes_in=5", "bytes_out=5"] {
        assert!(line.contains(expected), "{line}");
    }
    exchange(&mut client, b"on", b"on");
}

#[test]
fn the_end_of_a_stream_is_no_message() {
    let server = Server::start(&["--framing=lines"]);
    for sent in [&b"one\n"[..], b"two"] {
        let mut client = server.connect();
        client.write_all(sent).unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        expect(&mut client, &[sent.trim_ascii_end(), b"\n"].concat());
        expect_end(&mut client);
    }
    let line = server.wait_stats(|line| line.contains("open=0"));
    assert!(line.contains(" frames=2 "), "{line}");
}

#[test]
fn statistics_are_logged_at_an_interval_only_when_asked_for() {
    let server = Server::start(&["--stats-interval=50ms"]);
    server.wait_logs("stats ", 3);
    let without = Server::start(&[]);
    exchange(&mut without.connect(), b"x", b"x");
    let ended = without.stop();
    assert!(!ended.stderr.contains(" stats "), "{}", ended.stderr);
}

#[test]
fn quiet_is_quiet() {
    for quiet in ["-q", "-qq"] {
        let server = Server::start(&[quiet, "--max-connections=1", "--stats-interval=10ms"]);
        let mut client = server.connect();
        exchange(&mut client, b"x", b"x");
        expect_end(&mut server.connect());
        drop(client);
        let ended = server.stop();
        assert_eq!((ended.status.code(), ended.stderr.as_str()), (Some(0), ""));
    }
}

#[test]
fn verbose_logs_every_close_and_very_verbose_every_event() {
    let server = Server::start(&["-v"]);
    exchange(&mut server.connect(), b"x", b"x");
    let line = server.wait_log("closed slot=");
    assert!(
        line.contains("DEBUG") && line.contains("reason=\"eof\"") && line.contains("peer=tcp://127.0.0.1:"),
        "{line}"
    );
    assert!(!server.log().contains("TRACE"));
    let server = Server::start(&["-vv"]);
    exchange(&mut server.connect(), b"x", b"x");
    assert!(server.wait_log("accepted peer=").contains("TRACE"));
}

#[test]
fn rust_log_has_the_last_word() {
    let mut command = oneloop();
    command.env("RUST_LOG", "debug").args(["serve", "-qq", "--listen", "tcp://127.0.0.1:0"]);
    let server = Server::start_command(command);
    exchange(&mut server.connect(), b"x", b"x");
    server.wait_log("closed slot=");
}

#[test]
fn a_standard_error_that_nobody_reads_does_not_stall_the_loop() {
    let fifo = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("log-{}", std::process::id()));
    let mut command = std::process::Command::new("sh");
    // The process holds both ends itself and reads neither.
    command.env("FIFO", &fifo).env_remove("RUST_LOG").args([
        "-c",
        "mkfifo \"$FIFO\" && exec 3<>\"$FIFO\" && rm \"$FIFO\" && exec \"$0\" \"$@\" 2>&3",
        env!("CARGO_BIN_EXE_oneloop"),
        "serve",
        "-v",
        "--listen",
        "tcp://127.0.0.1:0",
    ]);
    let server = Server::start_command(command);
    // A line each, more than a pipe's 64 KiB in all.
    for _ in 0..1500 {
        exchange(&mut server.connect(), b"x", b"x");
    }
    assert_eq!(server.stop().status.code(), Some(0));
}

/// What is behind `name=` in a line.
fn number(line: &str, name: &str) -> u64 {
    let (_, rest) = line.split_once(&format!(" {name}=")).unwrap_or_else(|| panic!("no {name} in {line}"));
    rest.split(' ').next().unwrap().parse().unwrap()
}

/// One line says how many it stands for.
#[test]
fn warnings_that_repeat_are_folded_into_one_a_second_that_says_how_many_were_suppressed() {
    let server = Server::start(&["--framing=len32", "--max-frame=10"]);
    let (begin, mut sent) = (Instant::now(), 0);
    let last = loop {
        for _ in 0..100 {
            let mut client = server.connect();
            client.write_all(&[0xff; 4]).unwrap();
            let _ = client.read(&mut [0; 1]);
            sent += 1;
        }
        let log = server.log();
        if let Some(line) =
            log.lines().find(|line| line.contains("protocol error=") && !line.ends_with("suppressed=0"))
        {
            break line.to_owned();
        }
        assert!(begin.elapsed() < PATIENCE, "nothing is folded: {log}");
    };
    let seconds = begin.elapsed().as_secs();
    let ended = server.stop();
    let lines: Vec<&str> = ended.stderr.lines().filter(|line| line.contains("protocol error=")).collect();
    assert!(lines.len() as u64 <= seconds + 2, "{} lines in {seconds} s", lines.len());
    let told: u64 = lines.iter().map(|line| 1 + number(line, "suppressed")).sum();
    assert!(number(&last, "suppressed") >= 99 && told <= sent, "{told} of {sent}: {last}");
}

/// A client chooses the name of its own socket, and the bytes it sends: of neither may a terminal obey a byte.
#[test]
fn nothing_a_client_chooses_reaches_the_log_but_printable_ascii() {
    let name = b"\x1b[31m\n\x07\x7f \xe2\x80\xae\xff".to_vec();
    let path = std::env::temp_dir().join(format!("oneloop-log-{}", std::process::id()));
    let listen = format!("--listen=unix:{}", path.display());
    for model in ["loop", "threads"] {
        let server = Server::start(&["-vv", "--framing=len32", "--model", model, &listen]);
        server.wait_log("listening address=");
        let bound = rustix::net::SocketAddrUnix::new_abstract_name(&name).unwrap();
        let socket = socket2::Socket::new(socket2::Domain::UNIX, socket2::Type::STREAM, None).unwrap();
        rustix::net::bind(&socket, &bound).unwrap();
        rustix::net::connect(&socket, &rustix::net::SocketAddrUnix::new(&path).unwrap()).unwrap();
        (&socket).write_all(b"\xff\x1b[31m\r\n").unwrap();
        let _ = (&socket).read(&mut [0; 1]);
        drop(socket);
        let line = server.wait_log("closed slot=");
        let log = server.stop().stderr;
        assert!(log.bytes().all(|byte| matches!(byte, b' '..=b'~' | b'\n')), "{}", log.escape_debug());
        let shown = r"unix:@\x1b[31m\x0a\x07\x7f \xe2\x80\xae\xef\xbf\xbd ";
        assert!(line.contains(shown), "{line}");
        assert!(log.lines().all(|line| line.starts_with('[')), "{log}");
    }
}
