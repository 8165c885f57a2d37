//! How many commands, for how long, with how much output, in how much memory.

use super::{CONCURRENT, MODELS, ask, printed_pid, reply, request, serve};

#[test]
fn more_commands_than_may_run_are_refused_until_one_has_ended() {
    for model in CONCURRENT {
        let server =
            serve(model, &[("wait", "echo $$; exec sleep 1000"), ("true", "exit 0")], &["--max-jobs", "2"]);
        let mut busy = [server.connect(), server.connect()];
        let pids: Vec<u32> = busy
            .iter_mut()
            .map(|client| {
                ask(client, &["wait"]);
                printed_pid(client)
            })
            .collect();
        let mut third = server.connect();
        let refused = request(&mut third, &["true"]);
        assert_eq!((refused.status, refused.stdout.len()), (255, 0), "{model}");
        assert!(refused.stderr().contains("2 commands are running already"), "{model}: {}", refused.stderr());
        drop(busy);
        pids.into_iter().for_each(super::wait_gone);
        while request(&mut third, &["true"]).status != 0 {}
    }
}

#[test]
fn a_command_that_runs_for_too_long_is_ended() {
    for model in MODELS {
        let commands = [("long", "sleep 1000"), ("deaf", "trap \"\" TERM; sleep 1000; sleep 1000")];
        let server = serve(model, &commands, &["--job-timeout", "200ms"]);
        let mut client = server.connect();
        for (name, status) in [("long", -15), ("deaf", -9)] {
            let reply = request(&mut client, &[name]);
            assert_eq!(reply.status, status, "{model} {name}");
            assert!(reply.stderr().contains("longer than 200ms"), "{model}: {}", reply.stderr());
        }
    }
}

#[test]
fn a_command_that_prints_too_much_is_ended() {
    for model in MODELS {
        let commands = [("much", "cat /dev/zero"), ("mixed", "cat /dev/zero >&2 & cat /dev/zero")];
        let server = serve(model, &commands, &["--max-output", "100KiB"]);
        let mut client = server.connect();
        for (name, _) in commands {
            let reply = request(&mut client, &[name]);
            let notice = "oneloop: ended: it printed more than 102400 bytes\n";
            let printed = reply.stdout.len() + reply.stderr.len() - notice.len();
            assert_eq!((printed, reply.status < 0), (102_400, true), "{model} {name}");
            assert!(reply.stderr.ends_with(notice.as_bytes()), "{model} {name}");
        }
    }
}

#[test]
fn without_a_limit_of_output_there_is_none() {
    for model in MODELS {
        let server = serve(model, &[("much", "head -c 5000000 /dev/zero")], &["--max-output", "none"]);
        let reply = request(&mut server.connect(), &["much"]);
        assert_eq!((reply.stdout.len(), reply.status), (5_000_000, 0), "{model}");
    }
}

#[test]
fn a_command_has_limits_of_its_own() {
    for model in MODELS {
        let script = "ulimit -c; ulimit -n; ulimit -v; ulimit -t";
        let server = serve(model, &[("limits", script)], &["--job-memory", "256MiB", "--job-timeout", "10s"]);
        let reply = request(&mut server.connect(), &["limits"]);
        assert_eq!(String::from_utf8(reply.stdout).unwrap(), "0\n256\n262144\n15\n", "{model}");
    }
}

#[test]
fn a_request_that_is_never_complete_ends() {
    for model in MODELS {
        let server =
            serve(model, &[("true", "exit 0")], &["--frame-timeout", "200ms", "--max-frame", "1KiB"]);
        let mut client = server.connect();
        std::io::Write::write_all(&mut client, &[0, 0, 0, 5, 0]).unwrap();
        crate::support::expect_end(&mut client);
        let mut client = server.connect();
        std::io::Write::write_all(&mut client, &[0xff; 4]).unwrap();
        crate::support::expect_end(&mut client);
    }
}

#[test]
fn a_slow_reader_gets_all_although_the_command_has_long_ended() {
    for model in MODELS {
        let server =
            serve(model, &[("much", "head -c 900000 /dev/zero; echo $? >&2")], &["--job-timeout", "300ms"]);
        let mut client = server.connect();
        ask(&mut client, &["much"]);
        server.wait_stats(|line| line.contains("jobs=1"));
        let reply = reply(&mut client);
        assert_eq!((reply.stdout.len(), reply.status), (900_000, 0), "{model}");
    }
}
