//! System calls that fail, in the real program: strace(1) makes the kernel answer with an error now and then.
//!
//! The simulation has the same faults and many more, but its kernel is ours. Here the program, mio and the system's kernel
//! are the real ones. EAGAIN is never injected into reads: it would claim that nothing is there although an edge said
//! so, which no kernel does.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test says with a panic what went wrong")]
#![cfg(target_os = "linux")]

mod support;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, UdpSocket};
use std::path::PathBuf;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use support::*;

/// A server some of whose system calls fail. The server is dropped first, see [`Faulty::assert_sound`].
struct Faulty {
    server: Server,
    tracer: Tracer,
}

/// strace(1), attached.
struct Tracer {
    strace: Child,
    /// Kept open: what it still says must not end it.
    _stderr: BufReader<ChildStderr>,
    log: PathBuf,
}

impl Tracer {
    /// How often calls were made to fail so far.
    fn injected(&self) -> usize {
        std::fs::read_to_string(&self.log).unwrap_or_default().matches("(INJECTED)").count()
    }
}

impl Drop for Tracer {
    fn drop(&mut self) {
        // As a rule it has ended with what it watched.
        let _ = kill_process(Pid::from_child(&self.strace), Signal::TERM);
        let _ = self.strace.wait();
        let _ = std::fs::remove_file(&self.log);
    }
}

fn log_file() -> PathBuf {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    std::env::temp_dir().join(format!("oneloop-faults-{}-{number}", std::process::id()))
}

/// `strace` that makes calls fail as `faults` say (strace(1), `-e inject`), e.g. `accept4:error=EMFILE:when=1..2`.
fn strace<F: AsRef<str>>(faults: &[F], log: &PathBuf) -> Command {
    let mut command = Command::new("strace");
    command.env_remove("RUST_LOG").arg("-f").arg("-o").arg(log);
    for fault in faults {
        command.args(["-e", &format!("inject={}", fault.as_ref())]);
    }
    command
}

/// Whether strace may watch what it starts, which a container may forbid.
fn can_trace() -> bool {
    if !has_program("strace") {
        return false;
    }
    let mut traced = Command::new("strace");
    traced.args(["-o", "/dev/null", "-e", "inject=getpid:error=EPERM", "true"]).stderr(Stdio::null());
    let can = traced.status().is_ok_and(|status| status.success());
    if !can {
        eprintln!("SKIPPED: strace may not trace here");
    }
    can
}

impl Faulty {
    /// A server that listens already; counting its calls begins now. `None` where that cannot be done.
    fn attach<F: AsRef<str>>(args: &[&str], faults: &[F]) -> Option<Self> {
        if !can_trace() {
            return None;
        }
        let server = Server::start(&[args, &["-v"]].concat());
        let log = log_file();
        let mut command = strace(faults, &log);
        command.args(["-p", &server.pid().as_raw_nonzero().to_string()]);
        let mut strace = command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn().expect("it is there");
        let mut stderr = BufReader::new(strace.stderr.take().expect("piped"));
        let mut line = String::new();
        stderr.read_line(&mut line).expect("text");
        let tracer = Tracer { strace, _stderr: stderr, log };
        if line.contains("attached") {
            return Some(Self { server, tracer });
        }
        eprintln!("SKIPPED: strace may not attach here: {line}");
        None
    }

    /// A new client is served.
    #[track_caller]
    fn assert_serves(&self) {
        exchange(&mut self.server.connect(), b"ping", b"ping");
    }

    /// Neither processor time nor descriptors were lost, and a drain ends well.
    #[track_caller]
    fn assert_sound(self, at_least: usize) {
        self.assert_serves();
        // Whoever detaches in the middle of a call that is made to fail leaves ENOSYS behind: the server ends first.
        let Self { tracer, server } = self;
        let injected = tracer.injected();
        assert!(injected >= at_least, "only {injected} of {at_least} faults took place");
        server.wait_stats(|line| line.contains(" open=0 "));
        let (begun, cpu) = (Instant::now(), server.cpu());
        let mut client = server.connect();
        exchange(&mut client, b"last", b"last");
        client.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
        client.read(&mut [0; 1]).expect_err("nothing more comes");
        let (wall, cpu) = (begun.elapsed(), server.cpu() - cpu);
        assert!(cpu < wall / 4, "{cpu:?} of processor time in {wall:?}");
        drop(client);
        let ended = server.stop();
        assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
    }

    /// Waits for an end that is the faults' doing, and says how often calls failed until then.
    fn wait(self) -> (Ended, usize) {
        let Self { server, tracer } = self;
        let ended = server.wait();
        (ended, tracer.injected())
    }
}

/// `oneloop serve ARGS` that fails from its first call on, waited for.
fn start_under(args: &[&str], faults: &[&str]) -> Option<Ended> {
    if !can_trace() {
        return None;
    }
    let log = log_file();
    let mut command = strace(faults, &log);
    command.arg(env!("CARGO_BIN_EXE_oneloop")).arg("serve").args(args);
    let ended = run(command);
    let _ = std::fs::remove_file(&log);
    Some(ended)
}

// ------------------------------------------------------------------------------------------- accepting

#[test]
fn a_connection_that_fails_while_it_is_accepted_costs_nobody_else_anything() {
    for error in ["ECONNABORTED", "EPROTO", "EINTR", "EPERM"] {
        let fault = format!("accept4:error={error}:when=1+2");
        let Some(faulty) = Faulty::attach(&[], &[&fault]) else { return };
        let begun = Instant::now();
        for _ in 0..5 {
            faulty.assert_serves();
        }
        assert!(begun.elapsed() < Duration::from_secs(5), "{error}: {:?}", begun.elapsed());
        faulty.assert_sound(5);
    }
}

#[test]
fn out_of_descriptors_or_memory_newcomers_wait_and_are_served_without_another_arrival() {
    for error in ["EMFILE", "ENFILE", "ENOMEM", "ENOBUFS"] {
        let fault = format!("accept4:error={error}:when=1..3");
        let Some(faulty) = Faulty::attach(&[], &[&fault]) else { return };
        // One that comes alone: no further arrival wakes the listener.
        let begun = Instant::now();
        faulty.assert_serves();
        assert!(begun.elapsed() >= Duration::from_millis(250), "{error}: no pause, {:?}", begun.elapsed());
        assert!(begun.elapsed() < Duration::from_secs(5), "{error}: {:?}", begun.elapsed());
        assert!(faulty.server.wait_log("accepting paused").contains("retry_ms=100"));
        faulty.assert_sound(3);
    }
}

#[test]
fn a_listener_that_is_no_more_ends_the_process_with_a_message() {
    for error in ["EBADF", "EINVAL", "ENOTSOCK"] {
        let fault = format!("accept4:error={error}");
        let Some(faulty) = Faulty::attach(&[], &[&fault]) else { return };
        let _client = faulty.server.connect();
        let (ended, calls) = faulty.wait();
        assert_eq!(ended.status.code(), Some(1), "{error}: {}", ended.stderr);
        assert!(ended.stderr.contains("listener unusable"), "{error}: {}", ended.stderr);
        assert_eq!(calls, 1, "{error}: it goes on accepting");
    }
}

// --------------------------------------------------------------------------------------------- polling

#[test]
fn an_interrupted_poll_is_polled_again() {
    let Some(faulty) = Faulty::attach(&[], &["epoll_wait,epoll_pwait:error=EINTR:when=1+2"]) else { return };
    let mut client = faulty.server.connect();
    for _ in 0..20 {
        exchange(&mut client, b"ping", b"ping");
    }
    drop(client);
    faulty.assert_sound(20);
}

#[test]
fn a_poll_that_is_no_more_ends_the_process_with_a_message_and_never_spins() {
    for error in ["EBADF", "EINVAL"] {
        let fault = format!("epoll_wait,epoll_pwait:error={error}");
        let Some(faulty) = Faulty::attach(&[], &[&fault]) else { return };
        // The poll that is under way is the kernel's; this ends it.
        drop(faulty.server.connect());
        let (ended, calls) = faulty.wait();
        assert_eq!(ended.status.code(), Some(1), "{error}: {}", ended.stderr);
        assert!(ended.stderr.contains("poll"), "{error}: {}", ended.stderr);
        assert!(calls <= 2, "{error}: polled {calls} times");
    }
}

// ------------------------------------------------------------------------------------- reading, writing

#[test]
fn reads_that_are_interrupted_or_find_no_memory_are_repeated() {
    for error in ["EINTR", "ENOMEM", "ENOBUFS"] {
        let fault = format!("recvfrom:error={error}:when=1+2");
        let Some(faulty) = Faulty::attach(&[], &[&fault]) else { return };
        let mut client = faulty.server.connect();
        let begun = Instant::now();
        for _ in 0..10 {
            exchange(&mut client, b"ping", b"ping");
        }
        client.shutdown(Shutdown::Write).unwrap();
        expect_end(&mut client);
        assert!(begun.elapsed() < Duration::from_secs(5), "{error}: {:?}", begun.elapsed());
        faulty.assert_sound(10);
    }
}

#[test]
fn writes_that_are_interrupted_or_find_no_buffers_are_repeated() {
    for error in ["EINTR", "ENOBUFS", "ENOMEM"] {
        let fault = format!("sendto,sendmsg:error={error}:when=1..3");
        let Some(faulty) = Faulty::attach(&[], &[&fault]) else { return };
        let mut client = faulty.server.connect();
        exchange(&mut client, b"ping", b"ping");
        client.shutdown(Shutdown::Write).unwrap();
        expect_end(&mut client);
        faulty.assert_sound(3);
    }
}

#[test]
fn a_peer_that_is_gone_while_it_is_written_to_costs_nobody_else_anything() {
    for error in ["EPIPE", "ECONNRESET", "ETIMEDOUT"] {
        let Some(faulty) = Faulty::attach(&[], &[&format!("sendto:error={error}:when=1")]) else { return };
        let mut other = faulty.server.connect();
        let mut client = faulty.server.connect();
        client.write_all(b"ping").unwrap();
        assert!(!matches!(client.read(&mut [0; 4]), Ok(1..)), "{error}: answered all the same");
        exchange(&mut other, b"pong", b"pong");
        drop(other);
        faulty.assert_sound(1);
    }
}

#[test]
fn a_hundred_kilobytes_are_echoed_whatever_fails_now_and_then() {
    let faults = [
        "recvfrom:error=EINTR:when=2+5",
        "sendto,sendmsg:error=ENOBUFS:when=3..70+7",
        "epoll_wait,epoll_pwait:error=EINTR:when=2+3",
        "accept4:error=EMFILE:when=1",
    ];
    let Some(faulty) = Faulty::attach(&[], &faults) else { return };
    let sent: Vec<u8> = (0..100_000_u32).map(|at| (at % 251) as u8).collect();
    let mut client = faulty.server.connect();
    let mut writer = client.try_clone().unwrap();
    let copy = sent.clone();
    let sender = std::thread::spawn(move || {
        for piece in copy.chunks(997) {
            writer.write_all(piece).unwrap();
        }
        writer.shutdown(Shutdown::Write).unwrap();
    });
    let mut heard = Vec::new();
    client.read_to_end(&mut heard).unwrap();
    sender.join().unwrap();
    assert!(heard == sent, "{} bytes came back of {}", heard.len(), sent.len());
    faulty.assert_sound(4);
}

// ----------------------------------------------------------------------------------- registering, set-up

#[test]
fn a_connection_that_cannot_be_registered_is_closed_and_the_next_is_served() {
    for error in ["ENOSPC", "ENOMEM"] {
        let Some(faulty) = Faulty::attach(&[], &[&format!("epoll_ctl:error={error}:when=1")]) else { return };
        let mut client = faulty.server.connect();
        assert!(!matches!(client.read(&mut [0; 1]), Ok(1..)), "{error}: it is served");
        assert!(faulty.server.wait_log("cannot register").contains("suppressed=0"));
        faulty.assert_sound(1);
    }
}

#[test]
fn what_cannot_be_set_up_is_said_and_ends_the_process() {
    for (fault, about) in [
        ("setsockopt:error=EINVAL:when=1", "invalid argument"),
        ("epoll_ctl:error=ENOSPC:when=1+", "no space left"),
        ("listen:error=EADDRINUSE:when=1", "in use"),
        ("bind:error=EACCES:when=1", "denied"),
        ("epoll_create1:error=EMFILE:when=1", "open files"),
    ] {
        let Some(ended) = start_under(&["--listen", "tcp://127.0.0.1:0"], &[fault]) else { return };
        assert_eq!(ended.status.code(), Some(1), "{fault}: {}", ended.stderr);
        assert!(ended.stderr.contains(about), "{fault}: {}", ended.stderr);
        assert_eq!(ended.stdout, [""; 0], "{fault}: it said that it listens");
    }
}

// ------------------------------------------------------------------------------------------- datagrams

/// Sends numbers to the server, and says which came back.
fn ask(server: &Server, count: u8) -> Vec<u8> {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(server.address()).unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    for number in 0..count {
        socket.send(&[number]).unwrap();
    }
    let mut answers = Vec::new();
    let mut answer = [0; 8];
    while let Ok(1) = socket.recv(&mut answer) {
        answers.push(answer[0]);
        if answers.len() == usize::from(count) {
            break;
        }
    }
    answers.sort_unstable();
    answers
}

/// Replies sent together fail so; they are, because the server is held up when the requests arrive. sendto(2) is spared:
/// the handler of signals wakes the loop with it.
fn batched(how: &str) -> [String; 2] {
    ["recvmmsg:delay_enter=200000:when=1".to_owned(), format!("sendmsg,sendmmsg:{how}")]
}

const UDP: [&str; 2] = ["--listen", "udp://127.0.0.1:0"];

#[test]
fn errors_while_datagrams_are_received_lose_none() {
    for error in ["ECONNREFUSED", "EINTR", "ENOMEM", "ENOBUFS"] {
        let Some(faulty) = Faulty::attach(&UDP, &[&format!("recvmmsg:error={error}:when=1+2")]) else {
            return;
        };
        for _ in 0..3 {
            assert_eq!(ask(&faulty.server, 5), [0, 1, 2, 3, 4], "{error}");
        }
        assert!(faulty.tracer.injected() >= 3, "{error}");
    }
}

#[test]
fn an_error_about_one_reply_is_counted_and_the_others_are_sent() {
    for error in ["EPERM", "ECONNREFUSED", "EHOSTUNREACH"] {
        let Some(faulty) = Faulty::attach(&UDP, &batched(&format!("error={error}:when=1"))) else { return };
        let answers = ask(&faulty.server, 20);
        let lost = 20 - answers.len();
        assert_eq!(lost, 1, "{error}: {answers:?}");
        let line = faulty.server.wait_stats(|line| line.contains("udp_received=20"));
        assert!(line.contains(&format!("udp_sent={}", answers.len())), "{error}: {line}");
        assert!(line.contains(&format!("udp_send_errors={lost}")), "{error}: {line}");
        assert_eq!(ask(&faulty.server, 3), [0, 1, 2], "{error}");
    }
}

#[test]
fn replies_that_find_no_buffers_are_sent_later() {
    for error in ["ENOBUFS", "ENOMEM"] {
        let Some(faulty) = Faulty::attach(&UDP, &batched(&format!("error={error}:when=1..2"))) else {
            return;
        };
        assert_eq!(ask(&faulty.server, 5), [0, 1, 2, 3, 4], "{error}");
        assert!(faulty.tracer.injected() >= 2, "{error}");
    }
}
