//! The program as a child process: started on a free port, watched with deadlines, always ended and reaped.
//!
//! Nothing here sleeps to synchronise. What a test waits for is a line, a byte or an end, each with a deadline.

#![allow(dead_code, unreachable_pub, reason = "each test file uses its own part")]
#![allow(clippy::print_stderr, reason = "a test that is skipped says so")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// How long anything may take that should happen at once, on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Lines of standard error so far, and whether there will be more.
#[derive(Default)]
struct Log {
    lines: Mutex<(Vec<String>, bool)>,
    grew: Condvar,
}

impl Log {
    /// A test that fails while it waits for a line still shows the log.
    fn lock(&self) -> MutexGuard<'_, (Vec<String>, bool)> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A running server. Dropping it kills and reaps the process.
pub struct Server {
    child: Child,
    /// Where it listens, as it said, and those of them that have a numeric address.
    listening: Vec<String>,
    addresses: Vec<SocketAddr>,
    stdout: Receiver<String>,
    log: Arc<Log>,
}

/// How a process ended and what it had said.
pub struct Ended {
    pub status: ExitStatus,
    pub stdout: Vec<String>,
    pub stderr: String,
}

impl Server {
    /// `oneloop serve ARGS`, on a free port of 127.0.0.1 unless ARGS say where, after it has said where it listens.
    pub fn start(args: &[&str]) -> Self {
        let mut command = oneloop();
        command.arg("serve").args(args);
        if !args.iter().any(|arg| arg.starts_with("--listen")) {
            command.args(["--listen", "tcp://127.0.0.1:0"]);
        }
        Self::start_command(command)
    }

    /// The same with at most `descriptors` open files, hard limit included.
    pub fn start_limited(descriptors: u32, args: &[&str]) -> Self {
        let mut command = Command::new("sh");
        command
            .env_remove("RUST_LOG")
            .args(["-c", &format!("ulimit -n {descriptors} && exec \"$0\" serve \"$@\"")]);
        command.arg(env!("CARGO_BIN_EXE_oneloop")).args(args).args(["--listen", "tcp://127.0.0.1:0"]);
        Self::start_command(command)
    }

    pub fn start_command(command: Command) -> Self {
        let wanted = command.get_args().filter(|arg| *arg == "--listen").count();
        let mut server = Self::spawn(command);
        server.hear_listening(wanted);
        server
    }

    fn hear_listening(&mut self, wanted: usize) {
        let server = self;
        for _ in 0..wanted {
            let line = server.stdout.recv_timeout(PATIENCE);
            let line = line.unwrap_or_else(|error| panic!("no listening line: {error}; {}", server.log()));
            let url = line.strip_prefix("listening ").expect("a listening line");
            if let Some((_, address)) = url.split_once("://") {
                server.addresses.push(address.parse().expect("a numeric address"));
            }
            server.listening.push(url.to_owned());
        }
    }

    /// `oneloop serve ARGS` with a socket that was bound for it, as systemd and others hand it over (sd_listen_fds(3)).
    pub fn start_with_socket(socket: impl Into<OwnedFd>, args: &[&str]) -> Self {
        let mut command = Command::new("sh");
        let script = "exec 3<&0 0</dev/null && LISTEN_FDS=1 LISTEN_PID=$$ exec \"$0\" serve \"$@\"";
        command.env_remove("RUST_LOG").args(["-c", script, env!("CARGO_BIN_EXE_oneloop")]).args(args);
        let mut server = Self::spawn_with(command, socket.into().into());
        server.hear_listening(1);
        server
    }

    fn spawn(command: Command) -> Self {
        Self::spawn_with(command, Stdio::null())
    }

    fn spawn_with(mut command: Command, stdin: Stdio) -> Self {
        let child = command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let mut child = child.expect("the program starts");
        // Bounded, so that what a test does not ask for is not read either.
        let (lines, stdout) = sync_channel(64);
        let out = child.stdout.take().expect("piped");
        thread::spawn(move || forward(out, &lines));
        let log = Arc::new(Log::default());
        let (err, collected) = (child.stderr.take().expect("piped"), Arc::clone(&log));
        thread::spawn(move || collect(err, &collected));
        Self { child, listening: Vec::new(), addresses: Vec::new(), stdout, log }
    }

    /// The next line of standard output.
    #[track_caller]
    pub fn line(&self) -> String {
        match self.stdout.recv_timeout(PATIENCE) {
            Ok(line) => line,
            Err(error) => panic!("no line on standard output: {error}; {}", self.log()),
        }
    }

    /// Nobody reads standard output any more: once it has been written to, writing fails (pipe(7), EPIPE).
    pub fn close_stdout(&mut self) {
        self.stdout = sync_channel(0).1;
    }

    /// Waits until standard error ends, as it does with the process, and reads no standard output meanwhile.
    pub fn wait_log_end(&self) {
        let until = Instant::now() + PATIENCE;
        let mut lines = self.log.lock();
        while !lines.1 {
            let left = until.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "it did not end: {}", lines.0.join("\n"));
            lines = self.log.grew.wait_timeout(lines, left).expect("no panic while held").0;
        }
    }

    /// Bytes of memory that are in use (proc(5), VmRSS).
    pub fn memory(&self) -> u64 {
        self.status("VmRSS:") * 1024
    }

    /// Threads that live (proc(5)).
    pub fn threads(&self) -> u64 {
        self.status("Threads:")
    }

    fn status(&self, name: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("it runs");
        let line = status.lines().find(|line| line.starts_with(name)).expect("proc(5)");
        line.split_whitespace().nth(1).and_then(|number| number.parse().ok()).expect("a number")
    }

    /// Where all listeners listen, as printed, in that order: URLs.
    pub fn listening(&self) -> &[String] {
        &self.listening
    }

    /// Where the first listener of TCP or UDP listens.
    pub fn address(&self) -> SocketAddr {
        self.addresses[0]
    }

    /// Where all listeners of TCP and UDP listen, in the order printed.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    pub fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).expect("the child is ours");
    }

    /// A connection to the first listener, whose calls all have a deadline.
    pub fn connect(&self) -> TcpStream {
        connect(self.address())
    }

    /// The first line logged that contains `text`, once it is there.
    pub fn wait_log(&self, text: &str) -> String {
        self.wait_logs(text, 1).remove(0)
    }

    /// The first `count` lines logged that contain `text`, once they are there.
    pub fn wait_logs(&self, text: &str, count: usize) -> Vec<String> {
        let until = Instant::now() + PATIENCE;
        let mut lines = self.log.lock();
        loop {
            let found: Vec<String> =
                lines.0.iter().filter(|line| line.contains(text)).take(count).cloned().collect();
            if found.len() == count {
                return found;
            }
            let left = until.saturating_duration_since(Instant::now());
            let over = lines.1 || left.is_zero();
            assert!(
                !over,
                "only {} of {count} log lines with '{text}' in:\n{}",
                found.len(),
                lines.0.join("\n")
            );
            lines = self.log.grew.wait_timeout(lines, left).expect("no panic while held").0;
        }
    }

    /// Everything logged so far.
    pub fn log(&self) -> String {
        self.log.lock().0.join("\n")
    }

    /// Asks for the statistics until `accepted` says yes to a line of them, and returns that line.
    pub fn wait_stats(&self, mut accepted: impl FnMut(&str) -> bool) -> String {
        let until = Instant::now() + PATIENCE;
        let mut seen = 0;
        loop {
            self.signal(Signal::USR1);
            seen += 1;
            let line = self.wait_logs("stats ", seen).pop().expect("as many as asked for");
            if accepted(&line) {
                return line;
            }
            assert!(Instant::now() < until, "the statistics stay at {line}");
        }
    }

    /// Processor time used so far, user and system.
    pub fn cpu(&self) -> Duration {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).expect("it runs");
        let fields: Vec<&str> = stat.rsplit(')').next().expect("proc(5)").split_whitespace().collect();
        let ticks: u64 =
            [fields[11], fields[12]].iter().map(|field| field.parse::<u64>().expect("proc(5)")).sum();
        // USER_HZ is 100 on every Linux (time(7)).
        Duration::from_millis(ticks * 10)
    }

    /// How many descriptors it has open.
    pub fn descriptors(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.child.id())).expect("it runs").count()
    }

    /// The descriptor it would be given next: the lowest that is free (open(2)).
    pub fn next_descriptor(&self) -> u64 {
        let path = |number: &u64| format!("/proc/{}/fd/{number}", self.child.id());
        (0..).find(|number| std::fs::symlink_metadata(path(number)).is_err()).expect("not all are taken")
    }

    /// SIGTERM, then [`wait`](Self::wait).
    pub fn stop(self) -> Ended {
        self.signal(Signal::TERM);
        self.wait()
    }

    /// Waits for the end. The process is killed when that does not come.
    pub fn wait(mut self) -> Ended {
        let until = Instant::now() + PATIENCE;
        let mut stdout = Vec::new();
        // Standard output ends with the process.
        while let Ok(line) = self.stdout.recv_timeout(until.saturating_duration_since(Instant::now())) {
            stdout.push(line);
        }
        let ended = Instant::now() < until;
        if !ended {
            let _ = self.child.kill();
        }
        let status = self.child.wait().expect("our own child");
        let mut lines = self.log.lock();
        while !lines.1 {
            lines = self.log.grew.wait(lines).expect("no panic while held");
        }
        let stderr = lines.0.join("\n");
        drop(lines);
        assert!(ended, "it did not end within {PATIENCE:?}: {stderr}");
        Ended { status, stdout, stderr }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            eprintln!("the server's log:\n{}", self.log());
        }
    }
}

/// The program, without the caller's RUST_LOG.
pub fn oneloop() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_oneloop"));
    command.env_remove("RUST_LOG");
    command
}

/// Runs a command that is expected to end by itself.
pub fn run(command: Command) -> Ended {
    Server::spawn(command).wait()
}

pub fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect_timeout(&address, PATIENCE).expect("it listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("not zero");
    stream.set_write_timeout(Some(PATIENCE)).expect("not zero");
    stream
}

/// Sends, and expects exactly this answer.
#[track_caller]
pub fn exchange(stream: &mut TcpStream, sent: &[u8], expected: &[u8]) {
    stream.write_all(sent).expect("it takes bytes");
    expect(stream, expected);
}

/// Expects exactly these bytes next.
#[track_caller]
pub fn expect(stream: &mut TcpStream, expected: &[u8]) {
    let mut answer = vec![0; expected.len()];
    if let Err(error) = stream.read_exact(&mut answer) {
        panic!("no answer of {} bytes: {error}", expected.len());
    }
    assert_eq!(answer.escape_ascii().to_string(), expected.escape_ascii().to_string());
}

/// Expects the end of the stream next: a FIN, not a reset.
#[track_caller]
pub fn expect_end(stream: &mut TcpStream) {
    let mut rest = Vec::new();
    let result = stream.read_to_end(&mut rest);
    assert!(
        matches!(result, Ok(0)),
        "expected the end, got {result:?} and {:?}",
        rest.escape_ascii().to_string()
    );
}

/// Closes with a reset instead of a FIN (socket(7), SO_LINGER).
pub fn reset(stream: TcpStream) {
    socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO)).expect("a socket");
}

/// Whether this machine has IPv6; says so where the test prints if not.
pub fn has_ipv6() -> bool {
    let has = TcpListener::bind("[::1]:0").is_ok();
    if !has {
        eprintln!("SKIPPED: this machine has no IPv6");
    }
    has
}

/// Whether the machine has this program. In CI it must.
pub fn has_program(name: &str) -> bool {
    let found = Command::new("sh").args(["-c", &format!("command -v {name}")]).stdout(Stdio::null()).status();
    let has = found.is_ok_and(|status| status.success());
    let in_ci = std::env::var_os("CI").is_some_and(|value| !value.is_empty());
    assert!(has || !in_ci, "{name} is missing, and this is CI");
    if !has {
        eprintln!("SKIPPED: this machine has no {name}");
    }
    has
}

fn forward(from: impl Read, to: &SyncSender<String>) {
    for line in BufReader::new(from).lines().map_while(Result::ok) {
        if to.send(line).is_err() {
            return;
        }
    }
}

fn collect(from: impl Read, log: &Log) {
    for line in BufReader::new(from).lines().map_while(Result::ok) {
        log.lock().0.push(line);
        log.grew.notify_all();
    }
    log.lock().1 = true;
    log.grew.notify_all();
}

/// Runs a script in a network of its own in which each address has 50 ports; `$0` is the program, and `$url` an echo
/// there. `None`, and a word about it, where that is not allowed.
pub fn with_fifty_ports(script: &str) -> Option<Ended> {
    let set_up = "ip link set lo up && echo 40000 40049 > /proc/sys/net/ipv4/ip_local_port_range";
    let mut command = Command::new("unshare");
    command.env_remove("RUST_LOG").args(["-Urn", "sh", "-c"]);
    let allowed = has_program("unshare") && has_program("ip");
    if !allowed
        || !Command::new("unshare").args(["-Urn", "sh", "-c", set_up]).status().is_ok_and(|s| s.success())
    {
        eprintln!("SKIPPED: no network namespace is to be had");
        return None;
    }
    // The server says where it listens before hold is started.
    let script = format!(
        "{set_up} && mkfifo $2/pipe && {{ \"$0\" serve -q --listen tcp://127.0.0.1:9999 > $2/pipe & }} && server=$! && \
         read -r _ url < $2/pipe && {script}; code=$?; kill $server; wait $server; exit $code"
    );
    let folder = std::env::temp_dir().join(format!("oneloop-ports-{}-{}", std::process::id(), script.len()));
    std::fs::create_dir_all(&folder).expect("a folder for temporary files");
    command.arg(script).arg(env!("CARGO_BIN_EXE_oneloop")).arg("unused").arg(&folder);
    let ended = run(command);
    std::fs::remove_dir_all(&folder).expect("it is ours");
    Some(ended)
}
