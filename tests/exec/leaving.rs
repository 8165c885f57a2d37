//! A command does not outlive who asked for it, nor the server, whatever it does about signals.

use std::net::Shutdown;

use rustix::process::Signal;

use super::{MODELS, ask, children, printed_pid, reply, request, serve};
use crate::support::reset;

/// Prints the number of a grandchild, and waits for ever.
const FAMILY: (&str, &str) = ("family", "sleep 1000 & echo $!; wait");
/// The same, deaf to SIGTERM.
const DEAF: (&str, &str) = ("deaf", "trap \"\" TERM; sleep 1000 & echo $!; wait; wait");

#[test]
fn a_client_that_leaves_ends_its_command_and_what_that_has_started() {
    for model in MODELS {
        let server = serve(model, &[FAMILY, DEAF], &[]);
        for (command, leave) in [("family", 0), ("family", 1), ("family", 2), ("deaf", 0)] {
            let mut client = server.connect();
            ask(&mut client, &[command]);
            let grandchild = printed_pid(&mut client);
            match leave {
                0 => drop(client),
                1 => reset(client),
                _ => client.shutdown(Shutdown::Write).unwrap(),
            }
            super::wait_gone(grandchild);
        }
        server.wait_stats(|line| line.contains("jobs_abandoned=4") && line.contains("open=0"));
        assert_eq!(children(server.pid()), [""; 0], "{model}");
    }
}

#[test]
fn what_a_command_leaves_in_the_background_ends_with_it() {
    for model in MODELS {
        let commands =
            [("silent", "sleep 1000 > /dev/null 2>&1 & echo $!"), ("loud", "sleep 1000 & echo $!")];
        let server = serve(model, &commands, &[]);
        let mut client = server.connect();
        for (name, _) in commands {
            ask(&mut client, &[name]);
            let background = printed_pid(&mut client);
            assert_eq!(reply(&mut client).status, 0, "{model} {name}");
            super::wait_gone(background);
        }
    }
}

#[test]
fn what_comes_late_from_the_background_is_still_delivered() {
    for model in MODELS {
        let server = serve(model, &[("late", "(sleep 0.1; echo late) & echo early")], &[]);
        assert_eq!(request(&mut server.connect(), &["late"]).stdout, b"early\nlate\n", "{model}");
    }
}

#[test]
fn a_drain_lets_a_command_come_to_its_end() {
    for model in MODELS {
        let server = serve(model, &[("wait", "echo $$; sleep 0.5; echo done")], &[]);
        let mut client = server.connect();
        ask(&mut client, &["wait"]);
        printed_pid(&mut client);
        server.signal(Signal::TERM);
        server.wait_log("draining");
        let reply = reply(&mut client);
        assert_eq!((reply.stdout, reply.status), (b"done\n".to_vec(), 0), "{model}");
        assert_eq!(server.wait().status.code(), Some(0), "{model}");
    }
}

#[test]
fn the_limit_of_a_drain_ends_commands_too() {
    for model in MODELS {
        for command in ["family", "deaf"] {
            let server = serve(model, &[FAMILY, DEAF], &["--drain", "100ms"]);
            let mut client = server.connect();
            ask(&mut client, &[command]);
            let grandchild = printed_pid(&mut client);
            let ended = server.stop();
            assert_eq!(ended.status.code(), Some(0), "{model} {command}");
            super::wait_gone(grandchild);
        }
    }
}

#[test]
fn a_second_signal_leaves_no_command_behind() {
    for model in MODELS {
        let server = serve(model, &[DEAF], &[]);
        let mut client = server.connect();
        ask(&mut client, &["deaf"]);
        let grandchild = printed_pid(&mut client);
        server.signal(Signal::TERM);
        server.wait_log("draining");
        server.signal(Signal::TERM);
        assert_eq!(server.wait().status.code(), Some(143), "{model}");
        super::wait_gone(grandchild);
    }
}

#[test]
fn a_server_that_is_killed_takes_its_commands_with_it() {
    for model in MODELS {
        let server = serve(model, &[("wait", "trap \"\" TERM HUP; echo $$; while sleep 1; do :; done")], &[]);
        let mut client = server.connect();
        ask(&mut client, &["wait"]);
        let command = printed_pid(&mut client);
        server.signal(Signal::KILL);
        server.wait();
        super::wait_gone(command);
    }
}

#[test]
fn the_connection_of_a_client_that_only_waits_is_not_idle() {
    for model in MODELS {
        let server = serve(model, &[("wait", "sleep 0.6; echo done")], &["--idle-timeout", "200ms"]);
        let reply = request(&mut server.connect(), &["wait"]);
        assert_eq!(reply.stdout, b"done\n", "{model}");
    }
}
