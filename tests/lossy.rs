//! A network that loses packets, reorders them, and goes away: two network namespaces, joined by a veth(4) pair.
//!
//! Needs root, ip(8) and nft(8); `SKIPPED` otherwise. nft drops at random in both directions, but it cannot delay a packet and
//! so cannot reorder; netem could, and is not everywhere. So the link that reorders is a program of our own between two
//! tun devices, tests/clients/reorder.py.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test says with a panic what went wrong"
)]
#![cfg(target_os = "linux")]

mod support;

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::fd::AsFd;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use support::*;

/// Where the server listens, in its own network.
const SERVER: &str = "10.77.0.1:9999";

/// Two networks with a link between them. Dropping it takes everything away.
struct Network {
    server: String,
    client: String,
}

/// Runs a command of ip(8), nft(8) or sh(1) and says whether it succeeded.
fn succeeds(line: &str) -> bool {
    let mut words = line.split(' ');
    let mut command = Command::new(words.next().unwrap());
    command.args(words).stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|end| end.success())
}

impl Network {
    /// `None`, and a word about it, where there can be none.
    fn new() -> Option<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        if !rustix::process::geteuid().is_root() {
            eprintln!("SKIPPED: only root makes networks");
            return None;
        }
        if !has_program("ip") || !has_program("nft") {
            return None;
        }
        let name = format!("oneloop-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let network = Self { server: format!("{name}-s"), client: format!("{name}-c") };
        if !succeeds(&format!("ip netns add {}", network.server)) {
            eprintln!("SKIPPED: no network namespace is to be had");
            return None;
        }
        assert!(succeeds(&format!("ip netns add {}", network.client)));
        Some(network)
    }

    /// Joined by a veth pair that transmits packets of ordinary size, so that one that is lost is one segment.
    fn joined() -> Option<Self> {
        let network = Self::new()?;
        let Self { server, client } = &network;
        assert!(succeeds(&format!(
            "ip link add veth0 netns {server} type veth peer name veth0 netns {client}"
        )));
        for (name, address) in [(server, "10.77.0.1/24"), (client, "10.77.0.2/24")] {
            for command in [
                "ip link set veth0 gso_max_segs 1",
                &format!("ip addr add {address} dev veth0"),
                "ip link set veth0 up",
            ] {
                assert!(succeeds(&format!("ip netns exec {name} {command}")), "{command}");
            }
        }
        Some(network)
    }

    /// So many of a hundred packets that arrive are dropped, on either side.
    fn lose(&self, percent: u32) {
        for name in [&self.server, &self.client] {
            let rules = format!(
                "table inet lossy {{ chain input {{ type filter hook input priority 0; \
                 numgen random mod 100 < {percent} counter drop; }}; }}"
            );
            let end = Command::new("ip").args(["netns", "exec", name, "nft", &rules]).status();
            assert!(end.is_ok_and(|end| end.success()), "{rules}");
        }
    }

    /// Packets dropped so far, on either side.
    fn lost(&self) -> [u64; 2] {
        [&self.server, &self.client].map(|name| {
            let mut command = Command::new("ip");
            let output = command.args(["netns", "exec", name, "nft", "list", "ruleset"]).output().unwrap();
            let text = String::from_utf8(output.stdout).unwrap();
            let count = text.split_once("packets ").unwrap().1.split(' ').next().unwrap();
            count.parse().unwrap()
        })
    }

    /// Nothing passes any more, and nobody is told.
    fn cut(&self) {
        assert!(succeeds(&format!("ip netns exec {} ip link set veth0 down", self.client)));
    }

    fn serve(&self, args: &[&str]) -> Server {
        let mut command = Command::new("ip");
        command.env_remove("RUST_LOG").args(["netns", "exec", &self.server, env!("CARGO_BIN_EXE_oneloop")]);
        command.args(["serve", "-v", "--listen", &format!("tcp://{SERVER}")]).args(args);
        Server::start_command(command)
    }

    /// A connection from the other side. It stays there, whoever has it.
    fn connect(&self) -> TcpStream {
        let client = File::open(format!("/run/netns/{}", self.client)).unwrap();
        let connected = thread::spawn(move || {
            move_into_link_name_space(client.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
            connect(SERVER.parse::<SocketAddr>().unwrap())
        });
        connected.join().unwrap()
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        for name in [&self.server, &self.client] {
            succeeds(&format!("ip netns del {name}"));
        }
    }
}

/// Sends ten megabytes, ends the sending side, and expects all of them back.
fn echo_ten_megabytes(mut client: TcpStream) {
    let sent: Vec<u8> = (0..10_000_000_u32).map(|at| (at % 251) as u8).collect();
    let (mut writer, copy) = (client.try_clone().unwrap(), sent.clone());
    let sender = thread::spawn(move || {
        writer.write_all(&copy).unwrap();
        writer.shutdown(Shutdown::Write).unwrap();
    });
    let mut heard = Vec::with_capacity(sent.len());
    client.read_to_end(&mut heard).unwrap();
    sender.join().unwrap();
    assert!(heard == sent, "{} bytes came back of {}", heard.len(), sent.len());
}

#[test]
fn ten_megabytes_come_back_exactly_over_a_link_that_loses_packets() {
    let Some(network) = Network::joined() else { return };
    let server = network.serve(&[]);
    network.lose(3);
    let begun = Instant::now();
    echo_ten_megabytes(network.connect());
    let lost = network.lost();
    println!("10 MB there and back in {:.1?}, {lost:?} packets lost", begun.elapsed());
    assert!(lost.iter().all(|count| *count >= 50), "hardly anything was lost: {lost:?}");
    assert!(server.wait_log("closed slot=").contains("eof"));
}

/// A link of our own between two networks, which drops 3 packets of a hundred and lets others overtake 10.
struct Reordering {
    child: Child,
    said: BufReader<ChildStdout>,
}

impl Reordering {
    fn between(network: &Network) -> Option<Self> {
        if !has_program("python3") {
            return None;
        }
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients/reorder.py");
        let mut command = Command::new("python3");
        command.args([script, &network.server, "10.77.0.1", &network.client, "10.77.0.2"]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let said = BufReader::new(child.stdout.take().unwrap());
        let mut link = Self { child, said };
        if link.line() == "ready" {
            return Some(link);
        }
        eprintln!("SKIPPED: no tun device is to be had");
        None
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.said.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    /// Takes the link away, and says how many packets were dropped and how many were overtaken.
    fn end(mut self) -> [u64; 2] {
        drop(self.child.stdin.take());
        let line = self.line();
        let counts: Vec<u64> = line.split(' ').map(|count| count.parse().unwrap()).collect();
        [counts[1], counts[2]]
    }
}

impl Drop for Reordering {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn ten_megabytes_come_back_exactly_over_a_link_that_loses_and_reorders_packets() {
    let Some(network) = Network::new() else { return };
    let Some(link) = Reordering::between(&network) else { return };
    let server = network.serve(&[]);
    let begun = Instant::now();
    echo_ten_megabytes(network.connect());
    assert!(server.wait_log("closed slot=").contains("eof"));
    let [lost, overtaken] = link.end();
    println!("10 MB there and back in {:.1?}, {lost} packets lost, {overtaken} overtaken", begun.elapsed());
    assert!(lost >= 100 && overtaken >= 500, "hardly anything went wrong: {lost}, {overtaken}");
}

/// Cuts the network, and says how the server ends its connection, and after how long.
fn vanish(network: &Network, server: &Server) -> (String, Duration) {
    let begun = Instant::now();
    network.cut();
    let line = server.wait_log("closed slot=");
    (line, begun.elapsed())
}

#[test]
fn a_peer_that_vanishes_is_reaped_by_the_idle_limit() {
    let Some(network) = Network::joined() else { return };
    let server = network.serve(&["--idle-timeout=1s"]);
    let mut client = network.connect();
    exchange(&mut client, b"ping", b"ping");
    let (line, took) = vanish(&network, &server);
    assert!(line.contains("reason=\"idle\""), "{line}");
    assert!(took < Duration::from_secs(4), "reaped after {took:?}");
    server.wait_stats(|line| line.contains(" open=0 "));
}

#[test]
fn a_peer_that_vanishes_while_it_is_written_to_is_reaped_by_the_write_limit() {
    let Some(network) = Network::joined() else { return };
    let server = network.serve(&["source", "--write-timeout=1s", "--idle-timeout=1h"]);
    let mut client = network.connect();
    client.read_exact(&mut [0; 100_000]).unwrap();
    let (line, took) = vanish(&network, &server);
    assert!(line.contains("write_timeout"), "{line}");
    assert!(took < Duration::from_secs(6), "reaped after {took:?}");
}

#[test]
fn a_silent_peer_that_vanishes_is_found_by_keepalive() {
    let Some(network) = Network::joined() else { return };
    let server = network.serve(&["--keepalive=1s"]);
    let mut client = network.connect();
    exchange(&mut client, b"ping", b"ping");
    let (line, took) = vanish(&network, &server);
    assert!(line.contains("peer_gone"), "{line}");
    // A second of silence, and four questions a second apart: that is the least the kernel can.
    assert!(took > Duration::from_secs(3) && took < Duration::from_secs(9), "reaped after {took:?}");
    server.wait_stats(|line| line.contains(" open=0 "));
}

#[test]
fn a_peer_that_vanishes_before_it_has_its_answer_is_given_up_after_the_user_timeout() {
    let Some(network) = Network::joined() else { return };
    let server = network.serve(&["greet", "--delay=300ms", "--user-timeout=1s"]);
    let mut client = network.connect();
    client.write_all(b"A").unwrap();
    server.wait_stats(|line| line.contains("bytes_in=1"));
    let (line, took) = vanish(&network, &server);
    assert!(line.contains("peer_gone"), "{line}");
    assert!(took > Duration::from_millis(900) && took < Duration::from_secs(6), "reaped after {took:?}");
}
