//! The streaming protocol: streams and status kept apart, as they come.

use std::io::Write;

use super::{CONCURRENT, MODELS, Reply, ask, children, frame, reply, request, serve};

#[test]
fn what_is_printed_comes_back_stream_by_stream_with_the_status() {
    for model in MODELS {
        let server =
            serve(model, &[("both", "echo out; echo err >&2; exit 3"), ("die", "kill -TERM $$")], &[]);
        let mut client = server.connect();
        for _ in 0..2 {
            let expected = Reply { stdout: b"out\n".to_vec(), stderr: b"err\n".to_vec(), status: 3 };
            assert_eq!(request(&mut client, &["both"]), expected, "{model}");
            assert_eq!(request(&mut client, &["die"]).status, -15, "{model}");
        }
    }
}

#[test]
fn output_is_sent_while_the_command_runs() {
    for model in MODELS {
        // What it reads is not there before its first output has arrived.
        let path = std::env::temp_dir().join(format!("oneloop-exec-{model}-{}", std::process::id()));
        let _ = std::fs::remove_file(&path);
        assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
        let script = format!("echo begun; read -r line < {}; echo $line", path.display());
        let server = serve(model, &[("slow", &script)], &[]);
        let mut client = server.connect();
        ask(&mut client, &["slow"]);
        assert_eq!(frame(&mut client), (1, b"begun\n".to_vec()), "{model}");
        std::fs::write(&path, "more\n").unwrap();
        assert_eq!(reply(&mut client), Reply { stdout: b"more\n".to_vec(), ..Reply::default() }, "{model}");
        std::fs::remove_file(&path).unwrap();
    }
}

#[test]
fn both_streams_may_be_larger_than_every_pipe() {
    for model in MODELS {
        let script = "head -c 300000 /dev/zero >&2; head -c 300000 /dev/zero; head -c 300000 /dev/zero >&2";
        let server = serve(model, &[("much", script)], &[]);
        let reply = request(&mut server.connect(), &["much"]);
        assert_eq!((reply.stdout.len(), reply.stderr.len(), reply.status), (300_000, 600_000, 0), "{model}");
    }
}

#[test]
fn requests_that_come_together_are_answered_in_order() {
    for model in MODELS {
        let server = serve(model, &[("one", "echo 1"), ("two", "echo 2")], &[]);
        let mut client = server.connect();
        let mut requests = Vec::new();
        for name in ["one", "two", "one", "nope"] {
            requests.extend_from_slice(&[0, 0, 0, u8::try_from(name.len() + 1).unwrap(), 0]);
            requests.extend_from_slice(name.as_bytes());
        }
        client.write_all(&requests).unwrap();
        for expected in ["1\n", "2\n", "1\n"] {
            assert_eq!(reply(&mut client).stdout, expected.as_bytes(), "{model}");
        }
        assert_eq!(reply(&mut client).status, 255, "{model}");
    }
}

#[test]
fn a_command_inherits_nothing_and_finds_nothing() {
    for model in MODELS {
        let commands = [
            ("fds", "ls /proc/self/fd; readlink /proc/self/fd/0"),
            ("env", "/usr/bin/env"),
            ("group", "ps -o pgid= -p $$; echo $$"),
        ];
        let server = serve(model, &commands, &[]);
        let (mut client, mut others) = (server.connect(), Vec::new());
        if model != "iterative" {
            others.extend((0..5).map(|_| server.connect()));
        }
        // The last one is of ls itself, for the directory.
        let fds = request(&mut client, &["fds"]).stdout;
        assert_eq!(String::from_utf8(fds).unwrap(), "0\n1\n2\n3\n/dev/null\n", "{model}");
        let env = String::from_utf8(request(&mut client, &["env"]).stdout).unwrap();
        let names: Vec<&str> = env.lines().map(|line| line.split('=').next().unwrap()).collect();
        // A shell sets the other ones itself.
        assert!(
            names.iter().all(|name| ["PATH", "PWD", "_", "SHLVL", "OLDPWD"].contains(name)),
            "{model}: {env}"
        );
        let group = String::from_utf8(request(&mut client, &["group"]).stdout).unwrap();
        let mut numbers = group.split_whitespace();
        assert_eq!(numbers.next(), numbers.next(), "{model}: a process group of its own");
    }
}

#[test]
fn many_commands_one_after_another_leave_nothing_behind() {
    for model in MODELS {
        let server = serve(model, &[("true", "exit 0")], &[]);
        let mut client = server.connect();
        assert_eq!(request(&mut client, &["true"]).status, 0);
        let before = server.descriptors();
        for _ in 0..200 {
            assert_eq!(request(&mut client, &["true"]), Reply::default(), "{model}");
        }
        assert_eq!(children(server.pid()), [""; 0], "{model}");
        assert_eq!(server.descriptors(), before, "{model}");
    }
}

#[test]
fn several_clients_have_commands_at_once() {
    for model in CONCURRENT {
        let server =
            serve(model, &[("wait", "read -r x < /dev/null; sleep 0.3; echo done")], &["--max-jobs", "20"]);
        let mut clients: Vec<_> = (0..20).map(|_| server.connect()).collect();
        clients.iter_mut().for_each(|client| ask(client, &["wait"]));
        for client in &mut clients {
            assert_eq!(reply(client).stdout, b"done\n", "{model}");
        }
    }
}
