//! What is logged, and when nothing is.

use std::io::Write;
use std::net::Shutdown;

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
