//! Broadcast and multicast on a network of three hosts: network namespaces on a bridge(8), made by the test.
//!
//! Needs root and ip(8); `SKIPPED` otherwise.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test says with a panic what went wrong"
)]
#![cfg(target_os = "linux")]

mod support;

use std::collections::BTreeSet;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use support::*;

/// A client at 10.78.0.1 with the bridge, and two servers at 10.78.0.2 and 10.78.0.3. Dropping it takes everything away.
struct Lan {
    name: String,
}

const HOSTS: [&str; 3] = ["1", "2", "3"];

fn succeeds(line: &str) -> bool {
    let mut words = line.split(' ');
    let mut command = Command::new(words.next().unwrap());
    command.args(words).stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|end| end.success())
}

impl Lan {
    /// `None`, and a word about it, where there can be none.
    fn new() -> Option<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        if !rustix::process::geteuid().is_root() {
            eprintln!("SKIPPED: only root makes networks");
            return None;
        }
        if !has_program("ip") {
            return None;
        }
        let lan = Self {
            name: format!("oneloop-lan-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed)),
        };
        for host in HOSTS {
            if !succeeds(&format!("ip netns add {}", lan.host(host))) {
                eprintln!("SKIPPED: no network namespace is to be had");
                return None;
            }
        }
        let client = lan.host("1");
        if !succeeds(&format!("ip -n {client} link add eth0 type bridge mcast_snooping 0")) {
            eprintln!("SKIPPED: no bridge is to be had");
            return None;
        }
        for server in ["2", "3"] {
            let at = lan.host(server);
            lan.ip("1", &format!("link add port{server} type veth peer name eth0 netns {at}"));
            lan.ip("1", &format!("link set port{server} master eth0 up"));
        }
        for host in HOSTS {
            lan.ip(host, "link set lo up");
            lan.ip(host, &format!("addr add 10.78.0.{host}/24 brd + dev eth0"));
            lan.ip(host, &format!("addr add fd78::{host}/64 dev eth0 nodad"));
            lan.ip(host, "link set eth0 addrgenmode none");
            lan.ip(host, "link set eth0 up");
            lan.ip(host, &format!("addr add fe80::{host}/64 dev eth0 nodad"));
        }
        Some(lan)
    }

    fn host(&self, number: &str) -> String {
        format!("{}-{number}", self.name)
    }

    fn ip(&self, host: &str, command: &str) {
        let line = format!("ip -n {} {command}", self.host(host));
        assert!(succeeds(&line), "{line}");
    }

    fn oneloop(&self, host: &str) -> Command {
        let mut command = Command::new("ip");
        command.env_remove("RUST_LOG");
        command.args(["netns", "exec", &self.host(host), env!("CARGO_BIN_EXE_oneloop")]);
        command
    }

    /// The same server on both hosts.
    fn serve(&self, args: &[&str]) -> [Server; 2] {
        ["2", "3"].map(|host| {
            let mut command = self.oneloop(host);
            command.arg("serve").args(args);
            Server::start_command(command)
        })
    }

    fn call(&self, args: &[&str]) -> Ended {
        let mut command = self.oneloop("1");
        command.arg("call").args(args);
        run(command)
    }

    /// Calls, and expects these answers in any order.
    fn answers(&self, args: &[&str], expected: &[&str]) {
        let ended = self.call(args);
        let heard: BTreeSet<&str> = ended.stdout.iter().map(String::as_str).collect();
        assert_eq!(heard, expected.iter().copied().collect(), "{}", ended.stderr);
        assert_eq!((ended.status.code(), ended.stdout.len()), (Some(0), expected.len()));
    }
}

impl Drop for Lan {
    fn drop(&mut self) {
        for host in HOSTS {
            succeeds(&format!("ip netns del {}", self.host(host)));
        }
    }
}

/// Who answers is waited for for as long.
const TIME: &str = "--timeout=1s";

#[test]
fn a_broadcast_reaches_every_host_of_the_network_and_each_answers_from_its_own_address() {
    let Some(lan) = Lan::new() else { return };
    let servers = lan.serve(&["greet", "--listen", "udp://0.0.0.0:9999", "--allow-amplification"]);
    let expected = ["10.78.0.2:9999 Hello, all!", "10.78.0.3:9999 Hello, all!"];
    lan.answers(&["udp://10.78.0.255:9999", "--broadcast", TIME, "all"], &expected);
    lan.answers(&["udp://255.255.255.255:9999", "--bind=10.78.0.1", "--broadcast", TIME, "all"], &expected);
    for server in servers {
        server.wait_stats(|line| line.contains("udp_received=2 udp_sent=2"));
    }
}

#[test]
fn receivers_print_what_is_broadcast_line_by_line() {
    let Some(lan) = Lan::new() else { return };
    let servers = lan.serve(&["discard", "--print", "--listen", "udp://0.0.0.0:9999"]);
    let args = ["udp://10.78.0.255:9999", "--broadcast", "--no-reply", "--bind=10.78.0.1:4000", "one", "two"];
    lan.answers(&args, &[]);
    for server in &servers {
        assert_eq!([server.line(), server.line()], ["10.78.0.1:4000 one", "10.78.0.1:4000 two"]);
    }
}

#[test]
fn a_broadcast_address_without_the_option_is_refused_and_the_option_named() {
    let Some(lan) = Lan::new() else { return };
    for address in ["10.78.0.255", "255.255.255.255"] {
        let ended = lan.call(&[&format!("udp://{address}:9999"), "--bind=10.78.0.1", "x"]);
        assert_eq!(ended.status.code(), Some(2), "{}", ended.stderr);
        assert!(ended.stderr.contains("(broadcast); --broadcast"), "{}", ended.stderr);
    }
}

#[test]
fn when_nobody_answers_a_broadcast_it_is_said_with_1() {
    let Some(lan) = Lan::new() else { return };
    let ended = lan.call(&["udp://10.78.0.255:9999", "--broadcast", "--timeout=50ms", "--retries=2", "x"]);
    assert_eq!(ended.status.code(), Some(1), "{}", ended.stderr);
    assert!(
        ended.stderr.contains("nobody answered") && ended.stderr.contains("times sent: 3"),
        "{}",
        ended.stderr
    );
}

#[test]
fn a_group_is_joined_on_the_interface_named_and_its_members_answer_from_their_own_addresses() {
    let Some(lan) = Lan::new() else { return };
    for interface in ["eth0", "10.78.0.HOST"] {
        let _servers = ["2", "3"].map(|host| {
            let mut command = lan.oneloop(host);
            let interface = interface.replace("HOST", host);
            command.args(["serve", "--listen", &format!("udp://239.1.2.3:9999?if={interface}")]);
            let server = Server::start_command(command);
            assert_eq!(server.listening(), ["udp://239.1.2.3:9999"]);
            server
        });
        let expected = ["10.78.0.2:9999 ping", "10.78.0.3:9999 ping"];
        let way = "--multicast-if=10.78.0.1";
        lan.answers(&["udp://239.1.2.3:9999", way, "--multicast-ttl=2", TIME, "ping"], &expected);
        // Nobody else's group.
        let ended = lan.call(&["udp://239.1.2.4:9999", way, "--timeout=50ms", "ping"]);
        assert_eq!(ended.status.code(), Some(1), "{}", ended.stderr);
    }
}

#[test]
fn a_group_of_ipv6_is_joined_by_name_and_by_number() {
    let Some(lan) = Lan::new() else { return };
    let _servers = lan.serve(&["--listen", "udp://[ff15::7]:9999?if=eth0"]);
    let expected = ["[fd78::2]:9999 ping", "[fd78::3]:9999 ping"];
    lan.answers(&["udp://[ff15::7]:9999", "--bind=fd78::1", "--multicast-if=eth0", TIME, "ping"], &expected);
    // A group of the link has the interface in its address.
    let servers = lan.serve(&["--listen", "udp://[ff12::7]:9998?if=eth0"]);
    assert!(servers.iter().all(|server| server.listening()[0].starts_with("udp://[ff12::7%")));
    let ended = lan.call(&["udp://[ff12::7]:9998", "--multicast-if=eth0", TIME, "ping"]);
    assert_eq!((ended.status.code(), ended.stdout.len()), (Some(0), 2), "{}", ended.stderr);
    assert!(ended.stdout.iter().all(|line| line.starts_with("[fe80::") && line.ends_with(" ping")));
}

#[test]
fn a_group_that_cannot_be_joined_says_what_to_name() {
    let Some(lan) = Lan::new() else { return };
    for (listen, said) in [
        ("udp://239.1.2.3:9999", "?if="),
        ("udp://239.1.2.3:9999?if=10.9.9.9", "?if="),
        ("udp://239.1.2.3:9999?if=eth9", "no interface 'eth9'"),
    ] {
        let mut command = lan.oneloop("2");
        command.args(["serve", "--listen", listen]);
        let ended = run(command);
        assert_eq!(ended.status.code(), Some(1), "{}", ended.stderr);
        assert!(
            ended.stderr.contains(said) && ended.stderr.contains("udp://239.1.2.3:9999"),
            "{}",
            ended.stderr
        );
    }
}
