//! What is not allowed: commands, arguments, clients, addresses and options.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use super::{MODELS, reply, request, serve, words_on};
use crate::support::{self, Server, expect_end, oneloop};

/// A file of this test alone.
fn file(name: &str, content: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("oneloop-exec-{}-{name}", std::process::id()));
    fs::write(&path, content).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    path
}

#[test]
fn what_was_not_named_is_not_run() {
    for model in MODELS {
        let server = serve(model, &[("true", "exit 0")], &[]);
        let mut client = server.connect();
        for (words, expected) in [
            (&["nope"][..], "unknown command 'nope'"),
            (&["/bin/sh", "-c", "id"], "unknown command '/bin/sh'"),
            (&["true", "x"], "'true' takes no arguments"),
            (&[""], "unknown command ''"),
            (&[], "no command"),
        ] {
            let refused = request(&mut client, words);
            assert_eq!((refused.status, refused.stdout), (255, Vec::new()), "{model} {words:?}");
            assert!(String::from_utf8(refused.stderr).unwrap().contains(expected), "{model} {words:?}");
        }
        assert_eq!(request(&mut client, &["true"]).status, 0, "{model}");
    }
}

#[test]
fn arguments_are_accepted_as_the_file_says_and_never_seen_by_a_shell() {
    let text =
        "[command.say]\nrun = ['/bin/echo', 'said:']\naccept = ['[a-z$();|]+', '[0-9]*']\nrequired = 1\n";
    let path = file("say.toml", text);
    for model in MODELS {
        let server = serve(model, &[("true", "exit 0")], &["--allow-file", path.to_str().unwrap()]);
        let mut client = server.connect();
        let said = request(&mut client, &["say", "$(id);ls|wc", "42"]);
        assert_eq!((said.stdout, said.status), (b"said: $(id);ls|wc 42\n".to_vec(), 0), "{model}");
        for (words, expected) in [
            (&["say"][..], "at least 1"),
            (&["say", "abc", "4", "5"], "at most 2"),
            (&["say", "ABC"], "'ABC' as its argument 1"),
            (&["say", "abc\n"], "argument 1"),
            (&["say", "abc", "-n"], "'-n' as its argument 2"),
        ] {
            let refused = request(&mut client, words);
            assert_eq!(refused.status, 255, "{model} {words:?}");
            assert!(refused.stderr().contains(expected), "{model} {words:?}: {}", refused.stderr());
        }
    }
    fs::remove_file(path).unwrap();
}

#[test]
fn who_does_not_know_the_token_is_refused_and_the_log_does_not_show_it() {
    let path = file("token", "sesame street\n");
    for model in MODELS {
        let server = serve(model, &[("true", "exit 0")], &["--token-file", path.to_str().unwrap()]);
        for token in ["", "sesame", "sesame street ", "guess"] {
            let mut client = server.connect();
            words_on(&mut client, token, &["true"]);
            let refused = reply(&mut client);
            assert_eq!(
                (refused.status, refused.stderr()),
                (255, "oneloop: wrong token\n".to_owned()),
                "{model}"
            );
            expect_end(&mut client);
        }
        let mut client = server.connect();
        words_on(&mut client, "sesame street", &["true"]);
        assert_eq!(reply(&mut client).status, 0, "{model}");
        drop(client);
        let log = server.stop().stderr;
        assert!(log.contains("wrong token") && !log.contains("sesame") && !log.contains("guess"), "{log}");
    }
    fs::remove_file(path).unwrap();
}

/// The complaint about these arguments, which are refused with exit code 2.
#[track_caller]
fn complaint(args: &[&str]) -> String {
    let mut command = oneloop();
    command.args(["serve", "exec"]).args(args);
    let ended = support::run(command);
    assert_eq!(ended.status.code(), Some(2), "{args:?}: {}", ended.stderr);
    ended.stderr
}

#[test]
fn commands_are_not_offered_to_everybody() {
    let public = "--listen=tcp://0.0.0.0:0";
    for (args, expected) in [
        (&["--allow=date=/bin/date", public][..], "--token-file"),
        (&["--allow=date=/bin/date", "--listen=tcp://[::]:0"], "--token-file"),
        (&["--allow-shell", public], "'--allow-shell' cannot be used on 'tcp://0.0.0.0:0'"),
        (&["--allow=date=/bin/date", "--framing=len32le", public], "no token"),
        (&["--allow=date=/bin/date", "--framing=length-ok", "--listen=tcp://192.0.2.1:0"], "no token"),
        (&["--allow=date=/bin/date", "--listen=udp://127.0.0.1:0"], "datagram"),
    ] {
        let said = complaint(args);
        assert!(said.contains(expected), "{args:?}: {said}");
    }
    let path = file("public", "secret\n");
    let token = format!("--token-file={}", path.display());
    let server = Server::start(&["exec", "--allow=date=/bin/date", "--listen", "tcp://0.0.0.0:0", &token]);
    assert!(server.listening()[0].starts_with("tcp://0.0.0.0:"));
    fs::remove_file(path).unwrap();
}

#[test]
fn options_that_make_no_sense_are_named() {
    let date = "--allow=date=/bin/date";
    let empty = file("empty", "\n");
    let token = format!("--token-file={}", empty.display());
    let toml = file("bad.toml", "[command.a]\nrun = ['/bin/echo']\n\naccept = ['(']\n");
    let bad = format!("--allow-file={}", toml.display());
    for (args, expected) in [
        (&[][..], "runs nothing that is not named"),
        (&["--allow=date"], "expected NAME=PROGRAM"),
        (&["--allow=date=date"], "not an absolute path"),
        (&["--allow=x=/no/such"], "No such file"),
        (&[date, date], "allowed twice"),
        (&[date, "--allow-shell"], "leave one out"),
        (&[date, "--model=spin"], "--model loop"),
        (&[date, "--framing=lines"], "expected len32"),
        (&[date, "--framing=raw"], "expected len32"),
        (&[date, "--framing=length-ok", "--max-frame=1k"], "--max-frame"),
        (&[date, "--framing=len32le", "--max-output=none"], "less than 2GiB"),
        (&[date, "--max-jobs=0"], "at least 1"),
        (&[date, &token], "no token in its first line"),
        (&[date, "--token-file=/no/such"], "/no/such"),
        (&[&bad], "line 4: '(' is no pattern"),
        (&["--allow-file=/no/such"], "/no/such"),
    ] {
        let said = complaint(args);
        assert!(said.contains(expected), "{args:?}: {said}");
    }
    for path in [empty, toml] {
        fs::remove_file(path).unwrap();
    }
}

#[test]
fn other_services_know_nothing_of_it() {
    for option in
        ["--allow=x=/bin/ls", "--allow-shell", "--max-jobs=2", "--job-timeout=1s", "--framing=length-ok"]
    {
        let mut command = oneloop();
        command.args(["serve", "echo", option]);
        let ended = support::run(command);
        assert_eq!(ended.status.code(), Some(2), "{option}");
        assert!(ended.stderr.contains("serve exec"), "{option}: {}", ended.stderr);
    }
}
