//! A million connections that end in every way there is: afterwards the server's descriptors, slots and memory must be
//! what they were.
//!
//! `cargo bench --bench soak` makes 1,000,000; `cargo bench --bench soak -- 50000` as many as are named. The server is this
//! program once more, as a child, so that its memory is its own. Exit code 1 when something has not come back.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a measurement prints what it found")]

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpStream};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use oneloop::Reactor;
use oneloop::codec::LengthPrefixed;
use oneloop::reactor::Config;
use oneloop::services::Echo;
use oneloop::session::{Framed, Limits, factory};
use socket2::{Domain, Socket, Type};

/// Who does nothing is ended after this.
const IDLE: Duration = Duration::from_millis(100);

const THREADS: u64 = 2;

/// Connections left to their idle limit, per thread.
const LEFT: usize = 200;

/// Local addresses: each has ports of its own, and those of closed connections rest for a minute.
const SOURCES: u64 = 200;

/// Memory that may be more than after the first tenth, which fills the allocator.
const SLACK_KB: u64 = 1024;

/// How a connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    EchoThenFin,
    EchoThenReset,
    HalfClose,
    ResetAtOnce,
    CloseAtOnce,
    AnswerUnread,
    PartOfAFrame,
    FrameTooLong,
    LeftIdle,
}

const ENDINGS: [Ending; 9] = [
    Ending::EchoThenFin,
    Ending::EchoThenReset,
    Ending::HalfClose,
    Ending::ResetAtOnce,
    Ending::CloseAtOnce,
    Ending::AnswerUnread,
    Ending::PartOfAFrame,
    Ending::FrameTooLong,
    Ending::LeftIdle,
];

fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    if args.first().is_some_and(|arg| arg == "server") {
        return serve();
    }
    let total: u64 = args.first().map_or(1_000_000, |arg| arg.parse().expect("a number of connections"));
    let mut server = Server::start();
    churn(server.address, total / 10);
    let before = server.settle();
    println!("after {:>9}  {before:?}", total / 10);
    let start = Instant::now();
    churn(server.address, total - total / 10);
    let seconds = start.elapsed().as_secs_f64();
    let after = server.settle();
    println!("after {total:>9}  {after:?}   {:.0} connections/s", (total - total / 10) as f64 / seconds);
    let is_flat = after.descriptors == before.descriptors
        && after.slots == before.slots
        && after.private_kb <= before.private_kb + SLACK_KB;
    println!("{}", if is_flat { "flat" } else { "NOT FLAT" });
    drop(server);
    std::process::exit(i32::from(!is_flat));
}

/// What a server holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Held {
    descriptors: usize,
    slots: usize,
    private_kb: u64,
}

/// The server in a child: an echo of frames that answers every line on its standard input with its slots in use.
struct Server {
    child: Child,
    ask: ChildStdin,
    answers: BufReader<ChildStdout>,
    address: SocketAddr,
}

impl Server {
    fn start() -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        let mut child = command.arg("server").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut answers = BufReader::new(child.stdout.take().unwrap());
        let address = line(&mut answers).parse().unwrap();
        Self { ask: child.stdin.take().unwrap(), child, answers, address }
    }

    /// Asks until nothing changes any more: the last connections end by their limits.
    fn settle(&mut self) -> Held {
        let mut last = self.held();
        for _ in 0..100 {
            std::thread::sleep(IDLE * 3);
            let now = self.held();
            if now == last && now.slots == 1 {
                break;
            }
            last = now;
        }
        last
    }

    fn held(&mut self) -> Held {
        self.ask.write_all(b"\n").unwrap();
        let slots = line(&mut self.answers).parse().unwrap();
        let of = |name: &str| format!("/proc/{}/{name}", self.child.id());
        let memory = std::fs::read_to_string(of("smaps_rollup")).unwrap();
        let private = memory.lines().find_map(|line| line.strip_prefix("Private_Dirty:")).unwrap();
        Held {
            descriptors: std::fs::read_dir(of("fd")).unwrap().count(),
            slots,
            private_kb: private.trim().trim_end_matches(" kB").parse().unwrap(),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn line(from: &mut impl BufRead) -> String {
    let mut text = String::new();
    from.read_line(&mut text).unwrap();
    text.trim().to_owned()
}

fn serve() {
    let limits = Limits {
        idle: Some(IDLE),
        frame: Some(IDLE),
        linger: Duration::from_millis(100),
        ..Limits::default()
    };
    let mut config = Config::default();
    config.limits = limits;
    let mut reactor = Reactor::with_config(config).unwrap();
    let any = "127.0.0.1:0".parse().unwrap();
    let make = factory(|_| Framed::new(LengthPrefixed::len32(64 * 1024), Echo));
    println!("{}", reactor.listen(any, make).unwrap());
    let (tell, asked) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        std::io::stdin().lines().map_while(Result::ok).try_for_each(|_| tell.send(()))
    });
    while !reactor.is_done() {
        reactor.turn(Some(Duration::from_millis(20))).unwrap();
        if asked.try_recv().is_ok() {
            println!("{}", reactor.slots_in_use());
        }
    }
}

/// So many connections, with every ending in turn.
fn churn(to: SocketAddr, count: u64) {
    let next = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                let mut left = VecDeque::new();
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= count {
                        break;
                    }
                    let ending = ENDINGS[usize::try_from(number % ENDINGS.len() as u64).unwrap()];
                    left.extend(connect(to, number).and_then(|stream| converse(stream, ending)));
                    if left.len() > LEFT {
                        left.pop_front();
                    }
                }
            });
        }
    });
}

/// `None` when it was refused or reset: at this pace the queue may overflow, which is nothing the server keeps.
fn connect(to: SocketAddr, number: u64) -> Option<TcpStream> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let source = Ipv4Addr::new(127, 0, 1, u8::try_from(number % SOURCES).unwrap() + 1);
    socket.bind(&SocketAddr::from((source, 0)).into()).unwrap();
    socket.connect(&to.into()).ok()?;
    Some(socket.into())
}

/// Gives the connection back when it is to be left alone.
fn converse(mut stream: TcpStream, ending: Ending) -> Option<TcpStream> {
    let mut answer = [0; 8];
    let frame = b"\0\0\0\x04echo";
    // Whatever fails here has ended the connection, which is what is wanted.
    let _ = match ending {
        Ending::EchoThenFin => stream.write_all(frame).and_then(|()| stream.read_exact(&mut answer)),
        Ending::EchoThenReset => {
            let echoed = stream.write_all(frame).and_then(|()| stream.read_exact(&mut answer));
            reset(&stream);
            echoed
        }
        Ending::HalfClose => stream
            .write_all(frame)
            .and_then(|()| stream.shutdown(Shutdown::Write))
            .and_then(|()| stream.read_to_end(&mut Vec::new()).map(drop)),
        Ending::ResetAtOnce => {
            reset(&stream);
            Ok(())
        }
        Ending::CloseAtOnce => Ok(()),
        Ending::AnswerUnread => stream.write_all(frame),
        Ending::PartOfAFrame => stream.write_all(&frame[..6]),
        Ending::FrameTooLong => stream.write_all(b"\xff\xff\xff\xff"),
        Ending::LeftIdle => return Some(stream),
    };
    None
}

fn reset(stream: &TcpStream) {
    let _ = socket2::SockRef::from(stream).set_linger(Some(Duration::ZERO));
}
