//! Options that make no sense: exit code 2, the offending value, and what would be accepted.

use std::process::Command;

use crate::support::*;

/// Arguments after `serve`, and what standard error must name: the value, and what would be accepted.
const REFUSED: &[(&[&str], &[&str])] = &[
    (&["ehco"], &["'ehco'", "echo", "greet"]),
    (&["once", "--listen", "udp://127.0.0.1:1"], &["serve once", "udp://", "tcp://"]),
    (&["source", "--listen", "udp://127.0.0.1:1"], &["serve source", "udp://", "tcp://"]),
    (&["greet", "--listen", "udp://0.0.0.0:1"], &["udp://0.0.0.0:1", "--allow-amplification", "127.0.0.1"]),
    (
        &["--listen", "udp://[::1]:1", "--framing", "lines"],
        &["--framing lines", "a datagram is a message already"],
    ),
    (
        &["--listen", "udp://127.0.0.1:1?if=10.0.0.1"],
        &["udp://127.0.0.1:1?if=10.0.0.1", "no multicast group"],
    ),
    (&["--listen", "udp://239.1.2.3:1?on=eth0"], &["?on=eth0", "?if=10.0.0.1"]),
    (&["--listen", "udp://239.1.2.3:1?if="], &["?if=", "eth0"]),
    (&["--listen", "udp://[ff02::1]:1?if=10.0.0.1"], &["?if=10.0.0.1", "name or number"]),
    (&["--listen", "tcp://239.1.2.3:1"], &["tcp://239.1.2.3:1", "write udp://"]),
    (&["--listen", "udp://239.1.2.3:1", "--workers", "2"], &["udp://239.1.2.3:1", "--workers 2"]),
    (&["--listen", "unix:"], &["'unix:'", "unix:@NAME"]),
    (&["--listen", "unix:/tmp/x", "--unix-mode", "0o600"], &["'0o600'", "660"]),
    (&["--unix-mode", "660"], &["--unix-mode", "unix:/run/my.sock"]),
    (&["--listen", "tcp://127.0.0.1:1", "--udp-queue", "9"], &["--udp-queue", "udp://127.0.0.1:9999"]),
    (&["--udp-recv-buffer", "2GiB"], &["'2GiB'", "1GiB"]),
    (&["--listen", "127.0.0.1:1"], &["'127.0.0.1:1'", "tcp://HOST:PORT"]),
    (&["--listen", "tcp://localhost:1"], &["tcp://localhost:1", "127.0.0.1"]),
    (&["--listen", "tcp://127.0.0.1:70000"], &["tcp://127.0.0.1:70000", "65535"]),
    (&["--listen", "tcp://127.0.0.1:1", "--listen", "tcp://127.0.0.1:1"], &["tcp://127.0.0.1:1", "once"]),
    (&["--model", "fork"], &["'fork'", "loop", "threads", "iterative", "spin"]),
    (&["--model", "threads", "--max-connections", "20k"], &["20000", "--model threads", "10240"]),
    (
        &["--model", "threads", "--high-water", "1k"],
        &["--high-water", "--model threads", "leave the option out"],
    ),
    (
        &["--model", "iterative", "--max-connections", "9"],
        &["--max-connections", "--model iterative", "one client"],
    ),
    (&["greet", "--encoding", "klingon"], &["'klingon'", "gb18030"]),
    (&["echo", "--encoding", "gbk"], &["--encoding", "serve echo", "ack, discard, greet and once"]),
    (&["source", "--encoding", "gbk"], &["--encoding", "serve source"]),
    (&["discard", "--encoding", "gbk"], &["--encoding", "--print"]),
    (&["ack", "--encoding", "utf-16"], &["utf-16le", "read and not written"]),
    (&["ack", "--encoding", "latin1"], &["the reply", "windows-1252 does not have", "U+5DF2"]),
    (&["greet", "--encoding", "gbk", "--banner", "😀"], &["'--banner'", "U+1F600"]),
    (&["--framing", "line"], &["'line'", "lines", "len32"]),
    (&["--framing", "fixed:0"], &["'0'", "1 to 4294967295"]),
    (&["--framing", "delimited:"], &["'delimited:'", "at least one byte"]),
    (&["--framing", "fixed:2000000"], &["fixed:2000000", "--max-frame"]),
    (&["--max-connections", "0"], &["'0'", "at least 1"]),
    (&["--max-connections", "many"], &["'many'", "10k"]),
    (&["--max-connections", "99999999999999999999"], &["'99999999999999999999'", "10k"]),
    (&["--max-connections", "-1"], &["'-1'", "10k"]),
    (&["--linger", "-1s"], &["'-1s'", "250ms"]),
    (&["--framing", "len32", "--max-frame", "5GiB"], &["'5GiB'", "at most 4GiB"]),
    (&["--backlog", "0"], &["'0'", "at least 1"]),
    (&["--backlog", "3000m"], &["'3000m'", "at most 2147483647"]),
    (&["--read-budget", "0"], &["'0'", "at least 1"]),
    (&["--high-water", "0"], &["'0'", "at least 1"]),
    (&["--high-water", "64KB"], &["'64KB'", "64KiB"]),
    (&["--low-water", "-1"], &["'-1'", "64KiB"]),
    (&["--low-water", "64KiB"], &["65536", "--high-water"]),
    (&["--high-water", "1KiB", "--low-water", "1KiB"], &["1024", "--high-water"]),
    (&["--idle-timeout", "10"], &["'10'", "10s", "off"]),
    (&["--idle-timeout", "13d"], &["'13d'", "12d"]),
    (&["--write-timeout", "soon"], &["'soon'", "10s", "off"]),
    (&["--framing", "lines", "--frame-timeout", "+1s"], &["'+1s'", "10s", "off"]),
    (&["--frame-timeout", "1s"], &["--frame-timeout", "raw", "another framing"]),
    (&["--frame-timeout", "off"], &["--frame-timeout", "raw", "another framing"]),
    (&["--max-frame", "1MiB"], &["--max-frame", "raw", "another framing"]),
    (&["--framing", "lines", "--max-frame", "0"], &["'0'", "at least 1"]),
    (&["--linger", "off"], &["'off'", "250ms"]),
    (&["--drain", "none"], &["'none'", "250ms"]),
    (&["--drain", "1 s"], &["'1 s'", "250ms"]),
    (&["--stats-interval", "x"], &["'x'", "250ms"]),
    (&["--banner", "hi"], &["--banner", "greet"]),
    (&["echo", "--delay", "1s"], &["--delay", "greet"]),
    (&["greet", "--delay", "1"], &["'1'", "250ms"]),
    (&["greet", "--framing", "fixed:8"], &["fixed:8", "another framing"]),
    (&["greet", "--framing", "delimited:, "], &["delimited:, ", "another framing"]),
    (&["greet", "--framing", "lines", "--banner", "a\nb"], &["--banner", "lines"]),
    (&["greet", "--reply", "x"], &["--reply", "serve greet", "ack and once", "serve ack"]),
    (&["--print"], &["--print", "serve echo", "ack, discard and once know"]),
    (&["greet", "--print"], &["--print", "serve greet"]),
    (&["source", "--print"], &["--print", "serve source"]),
    (&["ack", "--then-exit"], &["--then-exit", "serve ack", "only once knows", "serve once"]),
    (&["discard", "--delay", "1s"], &["--delay", "serve discard", "only greet knows"]),
    (&["once", "--banner", "x"], &["--banner", "serve once", "only greet knows"]),
    (&["source", "--framing", "lines"], &["--framing lines", "serve source", "leave the option out"]),
    (&["source", "--framing", "len32"], &["--framing len32", "serve source"]),
    (&["http", "--framing", "lines"], &["--framing lines", "serve http", "leave the option out"]),
    (&["http", "--max-frame", "1k"], &["--max-frame", "serve http", "--max-body"]),
    (&["http", "--listen", "udp://127.0.0.1:1"], &["serve http", "udp://", "tcp://"]),
    (&["http", "--root", "/no/such/folder"], &["--root /no/such/folder", "expected a folder"]),
    (&["http", "--root", "/etc/passwd"], &["--root /etc/passwd", "expected a folder"]),
    (&["http", "--host", "a:80"], &["'a:80'", "without a port"]),
    (&["http", "--host", ""], &["''", "nas.lan"]),
    (&["http", "--max-body", "1x"], &["'1x'", "64KiB"]),
    (&["http", "--banner", "x"], &["--banner", "serve http", "only greet knows"]),
    (&["http", "--print"], &["--print", "serve http"]),
    (&["echo", "--root", "/tmp"], &["--root", "serve echo", "only http knows", "serve http"]),
    (&["greet", "--host", "a"], &["--host", "serve greet", "only http knows"]),
    (&["--max-body", "1k"], &["--max-body", "serve echo", "only http knows"]),
    (
        &["ack", "--framing", "fixed:8"],
        &["the reply of ack", "9 bytes", "exactly 8", "another framing or text"],
    ),
    (&["once", "--framing", "fixed:3", "--reply", "four"], &["'--reply' of once", "4 bytes", "exactly 3"]),
    (&["ack", "--framing", "lines", "--reply", "a\nb"], &["'--reply' of ack", "delimiter"]),
    (&["once", "--framing", "delimited: "], &["the reply of once", "delimiter"]),
    (&["-v", "-q"], &["--verbose", "--quiet"]),
    (&["--no-such-option"], &["--no-such-option"]),
];

#[test]
fn options_that_make_no_sense_are_refused_with_2() {
    for (arguments, expected) in REFUSED {
        let mut command = oneloop();
        command.arg("serve").args(*arguments);
        let ended = run(command);
        assert_eq!(ended.status.code(), Some(2), "{arguments:?}: {}", ended.stderr);
        assert_eq!(ended.stdout, [""; 0], "{arguments:?}");
        assert!(ended.stderr.starts_with("oneloop: "), "{arguments:?}: {}", ended.stderr);
        for text in *expected {
            assert!(ended.stderr.contains(text), "{arguments:?}: no {text} in: {}", ended.stderr);
        }
    }
}

#[test]
fn help_and_version_go_to_standard_output_with_0() {
    for (arguments, expected) in [
        (&["--help"][..], &["Usage: oneloop", "Exit codes:", "serve"][..]),
        (
            &["serve", "--help"],
            &[
                "--frame-timeout",
                "--then-exit",
                "Ack and once:",
                "Units:",
                "Examples:",
                "Exit codes:",
                "--max-memory",
                "half of what is available",
                "--keepalive",
                "64KiB",
                "[default: 1h]",
            ],
        ),
        (&["serve", "-h"], &["--frame-timeout", "Examples:"]),
        (&["--version"], &[concat!("oneloop ", env!("CARGO_PKG_VERSION"))]),
    ] {
        let mut command = oneloop();
        command.args(arguments);
        let ended = run(command);
        let text = ended.stdout.join("\n");
        assert_eq!((ended.status.code(), ended.stderr.as_str()), (Some(0), ""), "{arguments:?}");
        for expected in expected {
            assert!(text.contains(expected), "{arguments:?}: no {expected} in: {text}");
        }
    }
}

#[test]
fn help_into_a_pipe_nobody_reads_is_no_panic() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = oneloop().args(["serve", "--help"]).stdout(writer).output().unwrap();
    assert_eq!((output.status.code(), String::from_utf8(output.stderr).unwrap().as_str()), (Some(0), ""));
}

#[test]
fn nothing_at_all_shows_how_it_is_used_with_2() {
    let ended = run(oneloop());
    assert_eq!((ended.status.code(), ended.stdout.len()), (Some(2), 0));
    assert!(ended.stderr.contains("Usage: oneloop"), "{}", ended.stderr);
}

#[test]
fn the_backlog_is_the_one_asked_for() {
    if !has_program("ss") {
        return;
    }
    let server = Server::start(&["--backlog=17"]);
    let output = Command::new("ss")
        .args(["-ltnH", &format!("sport = :{}", server.address().port())])
        .output()
        .unwrap();
    let line = String::from_utf8(output.stdout).unwrap();
    // State Recv-Q Send-Q; for a listener Send-Q is its backlog (ss(8)).
    assert_eq!(line.split_whitespace().nth(2), Some("17"), "{line}");
}

#[test]
fn a_backlog_the_kernel_cuts_is_said() {
    let server = Server::start(&["--backlog=2000m"]);
    let line = server.wait_log("cuts the backlog");
    assert!(line.contains("WARN") && line.contains("asked=2000000000"), "{line}");
}
