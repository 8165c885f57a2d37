//! Options that make no sense: exit code 2, the offending value, and what would be accepted.

use crate::support::*;

/// Arguments after `call`, and what standard error must name: the value, and what would be accepted.
const REFUSED: &[(&[&str], &[&str])] = &[
    (&[], &["<URL>"]),
    (&["localhost:1"], &["'localhost:1'", "tcp://HOST:PORT"]),
    (&["http://h:1"], &["'http://h:1'", "tcp://HOST:PORT"]),
    (&["tcp://h"], &["'tcp://h'", "no port"]),
    (&["tcp://h:0"], &["'tcp://h:0'", "port 0"]),
    (&["tcp://h:1", "--framing", "line"], &["'line'", "lines, "]),
    (&["tcp://h:1", "--max-frame", "1MiB", "a"], &["--max-frame", "raw", "another framing"]),
    (&["tcp://h:1", "--framing", "len32", "--max-frame", "0"], &["'0'", "at least 1"]),
    (&["tcp://h:1", "--framing", "len32", "--max-frame", "5GiB"], &["'5GiB'", "at most 4GiB"]),
    (&["tcp://h:1", "--framing", "fixed:2000000"], &["fixed:2000000", "--max-frame"]),
    (&["tcp://h:1", "--framing", "fixed:2", "abc"], &["'abc'", "fixed:2"]),
    (&["tcp://h:1", "--timeout", "0", "a"], &["'0'", "at least 1ms"]),
    (&["tcp://h:1", "--timeout", "5", "a"], &["'5'", "250ms"]),
    (&["tcp://h:1", "--connect-timeout", "off", "a"], &["'off'", "250ms"]),
    (&["tcp://h:1", "--greeting", "-1s", "a"], &["'-1s'", "250ms"]),
    (&["tcp://h:1", "--bind", "localhost", "a"], &["'localhost'", "127.0.0.1"]),
    (&["tcp://h:1", "--retries", "1", "a"], &["--retries", "tcp://h:1", "udp://"]),
    (&["unix:/a", "--retries", "1", "a"], &["--retries", "unix:/a", "udp://"]),
    (&["unix:/a", "--bind", "127.0.0.1", "a"], &["--bind", "unix:/a"]),
    (&["udp://h:1", "--retries", "1001", "a"], &["1001", "1000"]),
    (&["udp://h:1", "--retries", "1", "--no-reply", "a"], &["--retries", "--no-reply"]),
    (&["udp://h:1", "--framing", "lines", "a"], &["'--framing lines'", "udp://h:1"]),
    (&["udp://h:1", "--greeting", "1s", "a"], &["--greeting", "udp://h:1"]),
    (&["tcp://h:1", ""], &["''", "no bytes"]),
    (&["tcp://h:1", "--hex", "0g"], &["'0g'", "'g'"]),
    (&["tcp://h:1", "--file", "f", "a"], &["--file", "MESSAGE"]),
];

#[test]
fn options_that_make_no_sense_are_refused_with_2() {
    for (arguments, expected) in REFUSED {
        let mut command = oneloop();
        command.arg("call").args(*arguments);
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
fn help_goes_to_standard_output_with_0() {
    for (arguments, expected) in [
        (
            &["call", "--help"][..],
            &["Usage: oneloop call", "--greeting", "Units:", "Examples:", "Exit codes:"][..],
        ),
        (&["call", "--help"], &["or the server closed after the last message\n       without replying"]),
        (&["call", "-h"], &["--greeting", "Examples:"]),
        (&["--help"], &["  call "]),
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
