//! `oneloop serve exec` and `oneloop run` from outside: real commands, real pipes, on every model that has children.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test says with a panic what went wrong")]

#[path = "../support/mod.rs"]
mod support;

mod leaving;
mod limits;
mod memory;
mod refused;
mod run;
mod streamed;
mod tutorials;

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use support::{Ended, PATIENCE, Server, oneloop};

/// Those that have children.
const MODELS: [&str; 3] = ["loop", "threads", "iterative"];

/// Those among them that serve several clients at once.
const CONCURRENT: [&str; 2] = ["loop", "threads"];

/// `oneloop serve exec --model MODEL` with these commands of a shell, by name.
fn serve(model: &str, commands: &[(&str, &str)], args: &[&str]) -> Server {
    eprintln!("model {model}");
    let allow: Vec<String> = commands.iter().map(|(name, script)| shell(name, script)).collect();
    let allow: Vec<&str> = allow.iter().map(String::as_str).collect();
    Server::start(&[&["exec", "--model", model], &allow[..], args].concat())
}

/// An option that allows this script of a shell. The scripts here have no single quotes.
fn shell(name: &str, script: &str) -> String {
    format!("--allow={name}=/bin/sh -c '{script}'")
}

fn words_on(stream: &mut TcpStream, token: &str, words: &[&str]) {
    let request = [&[token], words].concat().join("\0");
    stream.write_all(&u32::try_from(request.len()).unwrap().to_be_bytes()).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
}

/// Asks for a command without waiting for anything.
fn ask(stream: &mut TcpStream, words: &[&str]) {
    words_on(stream, "", words);
}

/// The next frame: what it is about, and what it says.
#[track_caller]
fn frame(stream: &mut TcpStream) -> (u8, Vec<u8>) {
    let mut len = [0; 4];
    stream.read_exact(&mut len).unwrap();
    let mut frame = vec![0; u32::from_be_bytes(len) as usize];
    stream.read_exact(&mut frame).unwrap();
    (frame.remove(0), frame)
}

/// A whole reply.
#[derive(Debug, Default, PartialEq)]
struct Reply {
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    status: i32,
}

impl Reply {
    fn stderr(&self) -> String {
        String::from_utf8(self.stderr.clone()).unwrap()
    }
}

#[track_caller]
fn reply(stream: &mut TcpStream) -> Reply {
    let mut reply = Reply::default();
    loop {
        match frame(stream) {
            (1, bytes) => reply.stdout.extend(bytes),
            (2, bytes) => reply.stderr.extend(bytes),
            (3, bytes) => {
                reply.status = i32::from_be_bytes(bytes.try_into().unwrap());
                return reply;
            }
            other => panic!("{other:?}"),
        }
    }
}

#[track_caller]
fn request(stream: &mut TcpStream, words: &[&str]) -> Reply {
    ask(stream, words);
    reply(stream)
}

/// The number that a command has printed as its first output.
#[track_caller]
fn printed_pid(stream: &mut TcpStream) -> u32 {
    let mut text = Vec::new();
    while !text.ends_with(b"\n") {
        let (kind, bytes) = frame(stream);
        assert_eq!(kind, 1, "{}", String::from_utf8_lossy(&bytes));
        text.extend(bytes);
    }
    String::from_utf8(text).unwrap().trim().parse().unwrap()
}

/// Waits until a process has ended.
#[track_caller]
fn wait_gone(pid: u32) {
    let raw = Pid::from_raw(pid.try_into().unwrap()).unwrap();
    let Ok(process) = pidfd_open(raw, PidfdFlags::empty()) else { return };
    let timeout = Timespec::try_from(PATIENCE).unwrap();
    let ended = poll(&mut [PollFd::new(&process, PollFlags::IN)], Some(&timeout)).unwrap();
    assert_eq!(ended, 1, "process {pid} lives on");
}

/// The children of a process, those included that have ended and were not reaped.
fn children(pid: Pid) -> Vec<String> {
    let tasks = fs::read_dir(format!("/proc/{}/task", pid.as_raw_nonzero())).unwrap();
    let lists = tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("children")).ok());
    lists.flat_map(|list| list.split_whitespace().map(str::to_owned).collect::<Vec<_>>()).collect()
}

/// `oneloop run URL ARGS` against the server.
fn run(server: &Server, args: &[&str]) -> Ended {
    let mut command: Command = oneloop();
    let (options, words): (Vec<&str>, Vec<&str>) = args.iter().partition(|arg| arg.starts_with("--"));
    command.arg("run").args(options).arg(&server.listening()[0]).args(words);
    support::run(command)
}
