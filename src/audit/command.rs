//! The generator under audit: a command of the user's, run without a shell in a process group of its own, so that whatever
//! it starts ends with it.

use std::fs::File;
use std::io::{self, PipeReader, Read};
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::process::{self, Child, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};

use crate::load::Stop;

/// What is kept of the output: its first half and its last half. Results stand at the end, and progress may be long.
const MAX_OUTPUT: usize = 1 << 20;

/// How often it is looked whether the command has ended, or is to be.
const LOOK: Duration = Duration::from_millis(20);

/// How long a command that is told to end may take for it.
const GRACE: Duration = Duration::from_secs(3);

/// How long an output that is still open is read after the command has ended: something it started may have it.
const REST: Duration = Duration::from_millis(500);

/// Words that stand for where the server is, and how long the run takes.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    /// Where the server listens.
    pub address: SocketAddr,
    /// The length of the run.
    pub run: Duration,
}

/// A program and its arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command(Vec<String>);

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// By itself.
    Ended(ExitStatus),
    /// It was told to, because somebody wanted to stop.
    Stopped,
    /// It took longer than it may, and was killed.
    TimedOut,
}

/// What it printed, on standard output and standard error, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// Bytes that are no UTF-8 are replaced.
    pub text: String,
    /// How many bytes in the middle were left out.
    pub left_out: usize,
    /// How it ended.
    pub ending: Ending,
}

impl Command {
    /// Replaces `{host}`, `{port}`, `{url}` and `{seconds}` in each word. `{url}` is `http://HOST:PORT/`; an IPv6 host has its
    /// brackets.
    #[must_use]
    pub fn new(words: &[String], place: Place) -> Self {
        let ip = place.address.ip();
        let host = if ip.is_ipv6() { format!("[{ip}]") } else { ip.to_string() };
        let port = place.address.port().to_string();
        let url = format!("http://{host}:{port}/");
        let seconds = place.run.as_secs_f64().to_string();
        let replaced = |word: &String| {
            let word = word.replace("{host}", &host).replace("{port}", &port);
            word.replace("{url}", &url).replace("{seconds}", &seconds)
        };
        Self(words.iter().map(replaced).collect())
    }

    /// Whether the words say where the server is.
    #[must_use]
    pub fn names_the_server(words: &[String]) -> bool {
        words.iter().any(|word| word.contains("{port}") || word.contains("{url}"))
    }

    /// As it was run.
    #[must_use]
    pub fn words(&self) -> &[String] {
        &self.0
    }

    /// Runs it until it ends, for as long as `limit`, or until `stop` says so.
    ///
    /// # Errors
    /// It cannot be started: `NotFound` where there is no such program.
    pub fn run(&self, limit: Duration, stop: &Stop) -> io::Result<Output> {
        let (reader, writer) = io::pipe()?;
        let Some((program, arguments)) = self.0.split_first() else {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "no command"));
        };
        let mut command = process::Command::new(program);
        command.args(arguments).stdin(Stdio::null()).process_group(0);
        command.stdout(writer.try_clone()?).stderr(writer);
        let running = Running { child: command.spawn()?, is_reaped: false };
        // It keeps our copies of the pipe's other end; while one is open, the pipe's end goes unheard.
        drop(command);
        watch(running, reader, Instant::now() + limit, stop)
    }
}

/// A group of processes that is killed when it is dropped.
struct Running {
    child: Child,
    is_reaped: bool,
}

impl Running {
    /// Tells every process of the group. The group's number is its own until its first process is reaped. It fails only
    /// where nobody is left.
    fn signal(&self, signal: Signal) {
        if !self.is_reaped {
            let _ = kill_process_group(Pid::from_child(&self.child), signal);
        }
    }

    /// Whether the command has ended; it is not reaped by that.
    fn has_ended(&self) -> io::Result<bool> {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
        match waitid(WaitId::Pid(Pid::from_child(&self.child)), options) {
            Ok(status) => Ok(status.is_some()),
            Err(Errno::INTR) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Ends whatever the command has left behind, and the command too if it has not ended.
    fn reap(&mut self) -> io::Result<ExitStatus> {
        self.signal(Signal::KILL);
        let status = self.child.wait()?;
        self.is_reaped = true;
        Ok(status)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It fails only for one that was reaped before.
        let _ = self.reap();
    }
}

fn watch(mut running: Running, reader: PipeReader, limit: Instant, stop: &Stop) -> io::Result<Output> {
    let mut reader = Some(File::from(OwnedFd::from(reader)));
    let mut kept = Kept::default();
    let mut ending = None;
    let mut until = limit;
    let status = loop {
        wait_and_read(&mut reader, &mut kept)?;
        if running.has_ended()? {
            break running.reap()?;
        }
        let now = Instant::now();
        if ending.is_none() && stop.is_stopped() {
            running.signal(Signal::INT);
            (ending, until) = (Some(Ending::Stopped), now + GRACE);
        } else if now >= until {
            running.signal(Signal::KILL);
            ending = ending.or(Some(Ending::TimedOut));
        }
    };
    let until = Instant::now() + REST;
    while reader.is_some() && Instant::now() < until {
        wait_and_read(&mut reader, &mut kept)?;
    }
    let (text, left_out) = kept.text();
    Ok(Output { text, left_out, ending: ending.unwrap_or(Ending::Ended(status)) })
}

/// Reads what is there, waiting a little for it; `None` once there will be nothing more.
fn wait_and_read(reader: &mut Option<File>, kept: &mut Kept) -> io::Result<()> {
    let Some(file) = reader else {
        std::thread::sleep(LOOK);
        return Ok(());
    };
    let wait = Timespec { tv_sec: 0, tv_nsec: i64::from(LOOK.subsec_nanos()) };
    let ready = match poll(&mut [PollFd::new(file, PollFlags::IN)], Some(&wait)) {
        Ok(ready) => ready > 0,
        Err(Errno::INTR) => false,
        Err(error) => return Err(error.into()),
    };
    let mut buffer = [0; 16 * 1024];
    if ready {
        match file.read(&mut buffer)? {
            0 => *reader = None,
            count => kept.add(&buffer[..count]),
        }
    }
    Ok(())
}

/// The first and the last of what was printed.
#[derive(Debug, Default)]
struct Kept {
    head: Vec<u8>,
    tail: Vec<u8>,
    left_out: usize,
}

impl Kept {
    fn add(&mut self, bytes: &[u8]) {
        let room = (MAX_OUTPUT / 2 - self.head.len()).min(bytes.len());
        self.head.extend_from_slice(&bytes[..room]);
        self.tail.extend_from_slice(&bytes[room..]);
        // Cut rarely, so that not every byte is moved for every byte that comes.
        if self.tail.len() >= MAX_OUTPUT {
            let surplus = self.tail.len() - MAX_OUTPUT / 2;
            self.tail.drain(..surplus);
            self.left_out += surplus;
        }
    }

    fn text(mut self) -> (String, usize) {
        if self.left_out > 0 {
            self.head.extend_from_slice(b"\n");
        }
        self.head.append(&mut self.tail);
        (String::from_utf8_lossy(&self.head).into_owned(), self.left_out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    fn command(words: &[&str]) -> Command {
        let words: Vec<String> = words.iter().map(ToString::to_string).collect();
        let address = "127.0.0.1:4711".parse().unwrap();
        Command::new(&words, Place { address, run: Duration::from_millis(2500) })
    }

    fn run(words: &[&str]) -> Output {
        command(words).run(LONG, &Stop::default()).unwrap()
    }

    #[test]
    fn words_are_replaced_wherever_they_stand() {
        let words = command(&["wrk", "-d{seconds}s", "http://{host}:{port}/x", "{url}", "{other}"]);
        assert_eq!(
            words.words(),
            ["wrk", "-d2.5s", "http://127.0.0.1:4711/x", "http://127.0.0.1:4711/", "{other}"]
        );
        let six = Place { address: "[::1]:80".parse().unwrap(), run: LONG };
        assert_eq!(Command::new(&["{host} {url}".to_owned()], six).words(), ["[::1] http://[::1]:80/"]);
    }

    #[test]
    fn both_outputs_are_kept_in_order_and_no_shell_is_between() {
        let output = run(&["sh", "-c", "echo one; echo two >&2; echo three; exit 7"]);
        assert_eq!(output.text, "one\ntwo\nthree\n");
        assert!(matches!(output.ending, Ending::Ended(status) if status.code() == Some(7)));
        assert_eq!(run(&["echo", "$HOME", ";", "*"]).text, "$HOME ; *\n");
    }

    #[test]
    fn a_program_that_does_not_exist_is_an_error() {
        let error = command(&["oneloop-no-such-program"]).run(LONG, &Stop::default()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn what_takes_too_long_is_killed_with_all_that_it_started() {
        let begin = Instant::now();
        let nested = command(&["sh", "-c", "echo here; sh -c 'trap \"\" TERM; sleep 300' & sleep 300"]);
        let output = nested.run(Duration::from_millis(300), &Stop::default()).unwrap();
        assert_eq!((output.ending, &output.text[..]), (Ending::TimedOut, "here\n"));
        assert!(begin.elapsed() < LONG, "the pipe is closed: nobody is left who has it");
    }

    #[test]
    fn an_order_to_stop_lets_it_say_what_it_has() {
        let stop = Stop::default();
        stop.stop();
        let script = "trap 'echo so far; exit 0' INT; echo begun; while :; do sleep 0.05; done";
        let output = command(&["sh", "-c", script]).run(LONG, &stop).unwrap();
        assert_eq!(output.ending, Ending::Stopped);
        // The shell may be told before it has set its trap.
        assert!(output.text.is_empty() || output.text.starts_with("begun\n"), "{}", output.text);
    }

    #[test]
    fn of_a_long_output_the_first_and_the_last_are_kept() {
        let script = "echo first; head -c 5000000 /dev/zero | tr '\\0' x; echo; echo last";
        let output = run(&["sh", "-c", script]);
        assert!(output.text.starts_with("first\nxxx") && output.text.ends_with("xxx\nlast\n"));
        assert!(output.text.len() <= MAX_OUTPUT * 3 / 2 && output.left_out > 3_000_000);
    }
}
