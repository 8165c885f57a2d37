//! Every look at the wall clock is a day away from the last one, in the real program: nothing depends on it.
//!
//! A library of a few lines, loaded before the C library, answers for its clock_gettime(2) (ld.so(8), LD_PRELOAD). Only
//! CLOCK_REALTIME jumps; monotonic time is the kernel's.

use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::ALL;
use crate::support::*;

const SHIM: &str = r#"
#define _GNU_SOURCE
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
int clock_gettime(clockid_t clock, struct timespec *now) {
    static unsigned looks;
    int result = (int)syscall(SYS_clock_gettime, clock, now);
    if (result == 0 && clock == CLOCK_REALTIME)
        now->tv_sec += (__sync_fetch_and_add(&looks, 1) % 3L - 1) * 86400;
    return result;
}
"#;

/// The library, compiled; `None`, and a word about it, where there is no C compiler.
fn shim() -> Option<PathBuf> {
    if !has_program("cc") {
        return None;
    }
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR"));
    let name = format!("clock-{}", std::process::id());
    let (source, library) = (folder.join(format!("{name}.c")), folder.join(format!("{name}.so")));
    std::fs::write(&source, SHIM).unwrap();
    let mut compiler = Command::new("cc");
    compiler.args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library).arg(&source);
    assert!(compiler.status().unwrap().success(), "the library does not compile");
    std::fs::remove_file(source).unwrap();
    Some(library)
}

fn serve(library: &PathBuf, model: &str, args: &[&str]) -> Server {
    let mut command = oneloop();
    command.env("LD_PRELOAD", library).arg("serve").args(args);
    command.args(["--model", model, "--listen", "tcp://127.0.0.1:0"]);
    Server::start_command(command)
}

/// The dates of all lines logged.
fn dates(log: &str) -> std::collections::BTreeSet<&str> {
    log.lines().filter_map(|line| line.strip_prefix('[')?.get(..10)).collect()
}

#[test]
fn a_wall_clock_that_jumps_by_days_changes_neither_limits_nor_delays_nor_the_drain() {
    let Some(library) = shim() else { return };
    for model in ALL {
        // The clock is read once a turn, so that an answer may be early by the length of that turn; a busy machine makes
        // it some milliseconds. A jump would make it a day.
        let delay = Duration::from_millis(125);
        let args =
            ["greet", "--framing=lines", "--delay=150ms", "--frame-timeout=300ms", "--idle-timeout=1h", "-v"];
        let server = serve(&library, model, &args);
        let mut client = server.connect();
        for _ in 0..5 {
            let begin = Instant::now();
            exchange(&mut client, b"Ada\n", b"Hello, Ada!\n");
            assert!(begin.elapsed() >= delay, "{model}: after {:?}", begin.elapsed());
        }
        // Begun, and never ended: its time is up by its own clock, neither at once nor never.
        let begin = Instant::now();
        client.write_all(b"Bo").unwrap();
        let _ = client.read_to_end(&mut Vec::new());
        assert!(begin.elapsed() >= 2 * delay, "{model}: after {:?}", begin.elapsed());
        drop(client);
        server.wait_log("reason=\"frame_timeout\"");
        exchange(&mut server.connect(), b"Cy\n", b"Hello, Cy!\n");
        let ended = server.stop();
        assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
        assert!(
            !ended.stderr.contains("drain limit") && !ended.stderr.contains("\"idle\""),
            "{}",
            ended.stderr
        );
        assert!(dates(&ended.stderr).len() > 1, "the clock did not jump: {}", ended.stderr);
    }
    std::fs::remove_file(library).unwrap();
}
