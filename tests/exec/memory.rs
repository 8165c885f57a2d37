//! Output that nobody reads stays where it is: in the command, which waits.

use std::fs;

use super::{CONCURRENT, ask, frame, request, serve};

/// Bytes of memory that belong to a process alone or that it shares, as far as they are its own (proc(5)).
fn anonymous(pid: rustix::process::Pid) -> u64 {
    let text = fs::read_to_string(format!("/proc/{}/smaps_rollup", pid.as_raw_nonzero())).unwrap();
    let line = text.lines().find(|line| line.starts_with("Anonymous:")).unwrap();
    1024 * line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap()
}

#[test]
fn a_client_that_does_not_read_costs_no_more_than_the_high_water_mark() {
    for model in CONCURRENT {
        let args = ["--max-output", "none", "--job-timeout", "off"];
        let server = serve(model, &[("much", "head -c 64000000 /dev/zero"), ("true", "exit 0")], &args);
        let mut other = server.connect();
        assert_eq!(request(&mut other, &["true"]).status, 0);
        let before = anonymous(server.pid());
        let mut client = server.connect();
        ask(&mut client, &["much"]);
        let (kind, first) = frame(&mut client);
        assert_eq!(kind, 1);
        // As long as it has room the server would go on; other clients are served meanwhile.
        for _ in 0..20 {
            assert_eq!(request(&mut other, &["true"]).status, 0);
        }
        let grown = anonymous(server.pid()).saturating_sub(before);
        // 64 KiB unsent, as much again in the shared buffers, and a thread's stack on threads.
        assert!(grown <= 512 * 1024, "{model}: grown by {grown} bytes");
        let rest = super::reply(&mut client);
        assert_eq!((first.len() + rest.stdout.len(), rest.status), (64_000_000, 0), "{model}");
    }
}
