//! Options that make no sense: exit code 2, the offending value, and what would be accepted. What cannot run: 1.

use crate::support::*;

/// Arguments after `load`, the exit code, and what standard error must name. The full table is beside the code.
const REFUSED: &[(&[&str], i32, &[&str])] = &[
    (&[], 2, &["<URL>"]),
    (&["https://h:1"], 2, &["'https://h:1'", "TLS"]),
    (&["http://u:p@h:1"], 2, &["'http://u:p@h:1'", "Authorization"]),
    (&["tcp://h:1", "-r", "0"], 2, &["'0'", "10k:50k"]),
    (&["tcp://h:1", "-d", "10"], 2, &["'10'", "250ms"]),
    (&["udp://h:1", "--lifetime", "1s"], 2, &["'--lifetime'", "udp://h:1", "oneloop load --help"]),
    (&["tcp://h:1", "--fail-if", "p99>5"], 2, &["'p99>5'", "at 6", "\n  p99>5\n       ^"]),
    (&["tcp://h:1", "--find", "p99 is 5ms"], 2, &["'p99 is 5ms'", "at 5", "\n  p99 is 5ms\n      ^"]),
    (&["tcp://no.such.host.invalid:1", "--connect-timeout", "30s"], 1, &["'no.such.host.invalid'"]),
    (&["tcp://127.0.0.1:1", "--send", "@/no/such/file"], 1, &["cannot read '/no/such/file'"]),
    (&["tcp://127.0.0.1:1", "--hlog", "/no/such/folder/x"], 1, &["cannot write '/no/such/folder/x'"]),
    (&["tcp://127.0.0.1:1", "--source", "192.0.2.1"], 1, &["192.0.2.1", "no address of this machine"]),
    (&["tcp://127.0.0.1:1", "--plot", "/no/such/folder/x"], 1, &["cannot write '/no/such/folder/x'"]),
];

#[test]
fn what_makes_no_sense_is_refused_with_2_and_what_cannot_run_with_1() {
    for (arguments, code, expected) in REFUSED {
        let mut command = oneloop();
        command.arg("load").args(*arguments);
        let ended = run(command);
        assert_eq!(ended.status.code(), Some(*code), "{arguments:?}: {}", ended.stderr);
        assert_eq!(ended.stdout, [""; 0], "{arguments:?}");
        let mut lines = ended.stderr.lines().filter(|line| !line.starts_with("machine "));
        assert!(lines.next().unwrap().starts_with("oneloop: "), "{arguments:?}: {}", ended.stderr);
        for text in *expected {
            assert!(ended.stderr.contains(text), "{arguments:?}: no {text} in: {}", ended.stderr);
        }
    }
}

#[test]
fn help_goes_to_standard_output_with_0() {
    for (arguments, expected) in [
        (
            &["load", "--help"][..],
            &[
                "Usage: oneloop load",
                "<URL>...",
                "--fail-if",
                "--connect-rate",
                "Expectations:",
                "[default: 100]",
                "Examples:",
                "Units:",
                "Exit codes:",
                "  130, 143  interrupted",
            ][..],
        ),
        (&["load", "-h"], &["--pipeline", "--hlog", "--plot", "Examples:"]),
        (&["--help"], &["  load "]),
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
