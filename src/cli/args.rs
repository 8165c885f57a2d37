//! The raw arguments, as clap reads them. What they mean together is decided in the command's own file.

use std::num::NonZeroI32;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, Subcommand, ValueEnum};

use super::call::{self, CallArgs};
use super::doctor::{self, DoctorArgs};
use super::exec::{ExecArgs, ServeFraming};
use super::get::{self, GetArgs};
use super::hold::{self, HoldArgs};
use super::lab::{self, LabArgs, OneArgs};
use super::load::{self, LoadArgs};
use super::logging::Verbosity;
use super::named::Listen;
use super::run::{self, RunArgs};
use super::text;
use super::units::{self, SizeLimit, TimeLimit};
use crate::codec::{Framing, TextEncoding};
use crate::fleet::Ticket;
use crate::services::Hosts;

/// The longest silence of `--keepalive`.
const KEEPALIVE_MAX: Duration = Duration::from_secs(9 * 3600);

const EXAMPLES: &str = "\
Examples:
  oneloop serve                               echo on tcp://127.0.0.1:9999 and udp://127.0.0.1:9999
  oneloop serve greet --banner 'Welcome!' --delay 1s
                                              then, in another terminal:
  oneloop call tcp://127.0.0.1:9999 Travis EDISON JOHN exit
  oneloop serve greet --delay 1s --model iterative
                                              the same, one client at a time
  oneloop serve discard --print --framing lines
                                              shows every line that anybody sends, and who sent it
  oneloop serve --framing len32 --listen 'tcp://[::]:7000' --listen unix:/tmp/echo.sock";

const UNITS: &str = "\
Units:
  counts  500, 10k, 1m                        k is 1,000
  sizes   4096, 64KiB, 1MiB, 1GiB             in bytes; 64k is short for 64KiB
  times   250ms, 10s, 5m, 1h, 2d              at most 12d; 0, off or none where a limit can be switched off";

const EXIT_CODES: &str = "\
Exit codes:
  0    done: drained after SIGINT, SIGTERM or --then-exit, even if the drain's limit cut connections off
  1    could not run, e.g. because the port is taken
  2    the arguments make no sense
  130, 143  a second SIGINT or SIGTERM ended it at once

Signals:
  SIGINT, SIGTERM  drain: answer what was received, then end; a second one ends at once
  SIGUSR1          log the statistics";

const LONG_ABOUT: &str = "\
One thread, one poll, every connection: a non-blocking server built directly on mio, and the classical models beside it.

Logs go to standard error (RUST_LOG decides which, else -v and -q), results to standard output.";

const SERVE_ABOUT: &str = "\
Serve every connection from one thread, or as --model says.

Once every listener is bound, one line per listener is printed on standard output, with the real \
port, e.g. `listening tcp://127.0.0.1:9999`, and nothing else but what --print prints.";

/// One thread, one poll, every connection
#[derive(Debug, Parser)]
#[command(name = "oneloop", version, long_about = LONG_ABOUT, propagate_version = true)]
#[command(after_help = EXAMPLES, after_long_help = format!("{EXAMPLES}\n\n{EXIT_CODES}"))]
pub(super) struct Args {
    #[command(subcommand)]
    pub(super) command: Command,
    #[command(flatten)]
    pub(super) verbosity: Verbosity,
    /// Set by oneloop for its own children
    #[arg(long = "fleet-member", hide = true, value_name = "NUMBER:PID")]
    pub(super) member: Option<Ticket>,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Serve every connection from one thread
    #[command(long_about = SERVE_ABOUT)]
    #[command(after_help = EXAMPLES, after_long_help = format!("{EXAMPLES}\n\n{UNITS}\n\n{EXIT_CODES}"))]
    Serve(Box<ServeArgs>),
    /// Send messages one by one and print the replies
    #[command(long_about = call::ABOUT)]
    #[command(after_help = call::EXAMPLES, after_long_help = format!("{}\n\n{}", call::EXAMPLES, call::EXIT_CODES))]
    Call(Box<CallArgs>),
    /// Fetch what an http:// URL names, whole or not at all
    #[command(long_about = get::ABOUT)]
    #[command(after_help = get::EXAMPLES, after_long_help = format!("{}\n\n{}", get::EXAMPLES, get::EXIT_CODES))]
    Get(Box<GetArgs>),
    /// Say whether this machine can hold so many connections
    #[command(long_about = doctor::ABOUT)]
    #[command(after_help = doctor::EXAMPLES, after_long_help = format!("{}\n\n{}", doctor::EXAMPLES, doctor::EXIT_CODES))]
    Doctor(Box<DoctorArgs>),
    /// Generate load over many connections and report latency honestly
    #[command(long_about = load::ABOUT)]
    #[command(after_help = load::EXAMPLES, after_long_help = format!("{}\n\n{}", load::EXAMPLES, load::EXIT_CODES))]
    Load(Box<LoadArgs>),
    /// Run a command that 'oneloop serve exec' offers
    #[command(long_about = run::ABOUT)]
    #[command(after_help = run::EXAMPLES, after_long_help = format!("{}\n\n{}", run::EXAMPLES, run::EXIT_CODES))]
    Run(Box<RunArgs>),
    /// Open many connections, hold them idle, and see which survive
    #[command(long_about = hold::ABOUT)]
    #[command(after_help = hold::EXAMPLES, after_long_help = format!("{}\n\n{UNITS}\n\n{}", hold::EXAMPLES, hold::EXIT_CODES))]
    Hold(Box<HoldArgs>),
    /// Try out what sockets do, on real ones
    #[command(long_about = lab::ABOUT)]
    #[command(after_help = lab::EXAMPLES, after_long_help = format!("{}\n\n{}", lab::EXAMPLES, lab::EXIT_CODES))]
    Lab(LabArgs),
    /// One experiment, for `lab run`
    #[command(name = lab::ONE, hide = true)]
    LabOne(OneArgs),
    /// What helps an experiment
    #[command(name = lab::HELPER, hide = true)]
    LabHelper(OneArgs),
}

/// What is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum ServiceName {
    /// Sends every message back
    Echo,
    /// Answers X with `Hello, X!`, until the message `exit`
    Greet,
    /// Answers every message with the same reply, until the message `exit`
    Ack,
    /// Answers the first message, then closes the connection
    Once,
    /// Takes every message and answers nothing
    Discard,
    /// Sends bytes without an end, byte k being k modulo 251, and discards what it is sent
    Source,
    /// Runs commands that were allowed by name, for 'oneloop run' and the tutorials' clients
    Exec,
    /// HTTP/1.1: /plaintext, /json, /bytes/N, /delay/MS, /echo, and with --root the files of a folder; docs/http.md
    Http,
}

/// How connections are driven.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Model {
    /// One thread, one poll, every connection
    Loop,
    /// A thread for every connection, whose reads and writes wait
    Threads,
    /// One client at a time on each listener; the others wait for it to end
    Iterative,
    /// One thread that asks every socket again and again, without a poll: it needs a whole core
    Spin,
}

/// The arguments of `oneloop serve`. Those that mean nothing by themselves have no default here.
#[derive(Debug, clap::Args)]
pub(super) struct ServeArgs {
    /// What to serve
    #[arg(value_enum, default_value_t = ServiceName::Echo)]
    pub(super) service: ServiceName,

    /// Where to listen; may be given several times [default: tcp://127.0.0.1:9999]
    ///
    /// tcp://HOST:PORT or udp://HOST:PORT with a numeric host: 127.0.0.1 or [::1] for this machine, 0.0.0.0 for every
    /// IPv4 address, [::] for every address. Port 0 takes any free one. unix:PATH is a Unix stream socket, unix:@NAME
    /// one in Linux's abstract namespace; unixgram:PATH and unixgram:@NAME are datagram sockets. On the loop, udp://127.0.0.1:9999 is served by default too, where the
    /// service has a form for datagrams: echo, greet, ack and discard. udp://GROUP:PORT?if=IF joins a multicast group on the
    /// interface with this IPv4 address, name or number.
    #[arg(long, value_name = "URL", value_parser = listen, allow_hyphen_values = true)]
    pub(super) listen: Vec<Listen>,

    /// How connections are driven; docs/models.md compares them
    #[arg(long, value_enum, default_value_t = Model::Loop)]
    pub(super) model: Model,

    /// Serve from so many processes that share the ports; the kernel gives each connection to one of them
    ///
    /// One process holds as many connections as it may have descriptors; several hold several times as many, and use several
    /// processors. Every option holds for each process by itself, --max-connections too. tcp:// and udp:// only: a Unix
    /// socket cannot be shared this way.
    #[arg(long, value_name = "COUNT", value_parser = units::count, allow_hyphen_values = true)]
    pub(super) workers: Option<usize>,

    /// Where a message ends: raw, lines, delimited:TEXT, fixed:N, len16, len32 or len32le [default: raw; exec: len32]
    ///
    /// raw: what one read returned. lines: LF or CRLF. delimited:TEXT: TEXT, in which \n, \r, \t, \0, \\ and
    /// \xNN are understood. fixed:N: exactly N bytes. len16, len32: after a big-endian length of 2 or 4
    /// bytes. len32le: after a signed little-endian length of 4 bytes. exec knows len32, its own protocol, and len32le and
    /// length-ok for the tutorials' clients.
    #[arg(long = "framing", value_name = "FRAMING", allow_hyphen_values = true)]
    pub(super) framing_name: Option<ServeFraming>,

    /// What `framing_name` means for the service.
    #[arg(skip = Framing::Raw)]
    pub(super) framing: Framing,

    /// What is sent when a connection begins [default: nothing]
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true, help_heading = "Greet only")]
    pub(super) banner: Option<String>,

    /// How long an answer is held back; everybody waits at the same time [default: 0]
    #[arg(long, value_name = "TIME", value_parser = units::time, allow_hyphen_values = true, help_heading = "Greet only")]
    pub(super) delay: Option<Duration>,

    /// What every message is answered with [default: 已收到 from ack, 'Hello Lyon' from once]
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true, help_heading = "Ack and once")]
    pub(super) reply: Option<String>,

    /// End the server, with 0, after the first conversation that got its reply
    #[arg(long, help_heading = "Once only")]
    pub(super) then_exit: bool,

    /// Print every message on standard output: `ADDR TEXT`, one line each
    ///
    /// Bytes other than printable ASCII, and the backslash, are shown as \xNN; with --encoding only control characters are. When nobody reads, messages are
    /// served all the same and their lines dropped; the log says how many.
    #[arg(long, help_heading = "Ack, discard and once")]
    pub(super) print: bool,

    /// The encoding of text: what is printed, and our own answers [default: bytes are printed, UTF-8 is sent]
    ///
    /// Any label of the WHATWG Encoding Standard: utf-8, gbk, gb18030, big5, shift_jis, euc-kr, iso-8859-1, windows-1252 and others.
    /// What clients send passes through as it is.
    #[arg(long, value_name = "NAME", value_parser = text::encoding, allow_hyphen_values = true, help_heading = "Greet, ack, discard and once")]
    pub(super) encoding: Option<TextEncoding>,

    #[command(flatten)]
    pub(super) exec: ExecArgs,

    /// Serve the files in this folder: nothing outside it, nothing hidden, no listings
    #[arg(long, value_name = "DIR", help_heading = "HTTP only")]
    pub(super) root: Option<PathBuf>,

    /// A name under which requests are answered, besides addresses and localhost; may be given several times; '*': any
    ///
    /// A request for another name is answered with 421: a page elsewhere may have pointed its own name at this machine, to
    /// read from here as if from there (DNS rebinding). Not checked on Unix sockets.
    #[arg(long = "host", value_name = "NAME", value_parser = host, allow_hyphen_values = true, help_heading = "HTTP only")]
    pub(super) hosts: Vec<String>,

    /// The longest body of a request; a longer one is answered with 413 [default: 1MiB]
    #[arg(long, value_name = "SIZE", value_parser = units::size, allow_hyphen_values = true, help_heading = "HTTP only")]
    pub(super) max_body: Option<usize>,

    /// The most connections at once; more are accepted and closed [default: wait]
    ///
    /// Without it as many are served as there are descriptors, less 64, and on threads at most 10240; more wait in the
    /// kernel's queue until others end. Not with iterative, which serves one at a time.
    #[arg(long, value_name = "COUNT", value_parser = units::count, allow_hyphen_values = true, help_heading = "Limits")]
    pub(super) max_connections: Option<usize>,

    /// The most connections at once from one address; more are accepted and closed; TCP only [default: no limit]
    ///
    /// For IPv6 an address is its first 64 bits: whoever has one of those addresses has all of them. Not with iterative,
    /// which serves one at a time.
    #[arg(long, value_name = "COUNT", value_parser = units::count, allow_hyphen_values = true, help_heading = "Limits")]
    pub(super) max_connections_per_ip: Option<usize>,

    /// What all connections together may keep in buffers; 0 or off: no limit; loop and spin only [default: half of what is available]
    ///
    /// Counted is the memory of unfinished messages and unsent replies. From 3/4 of the limit on connections that keep
    /// some are not read, from 7/8 on nobody is accepted, and beyond it the connection that keeps most is ended, and the
    /// next. Every worker has a limit of its own; the default is shared out among them.
    #[arg(long, value_name = "SIZE", value_parser = units::size_limit, allow_hyphen_values = true, help_heading = "Limits")]
    pub(super) max_memory: Option<SizeLimit>,

    /// The largest message, without header or terminator; not with raw [default: 1MiB]
    #[arg(long, value_name = "SIZE", value_parser = max_frame, allow_hyphen_values = true, help_heading = "Limits")]
    pub(super) max_frame: Option<usize>,

    /// Unsent bytes from which nothing more is read from a connection; loop and spin only [default: 64KiB]
    #[arg(long, value_name = "SIZE", value_parser = units::positive_size, allow_hyphen_values = true, help_heading = "Limits")]
    pub(super) high_water: Option<usize>,

    /// Unsent bytes down to which it must fall to be read again; loop and spin only [default: a quarter of --high-water]
    #[arg(long, value_name = "SIZE", value_parser = units::size, allow_hyphen_values = true, help_heading = "Limits")]
    pub(super) low_water: Option<usize>,

    /// Bytes, both directions together, that one connection may move before others do; loop and spin only [default: 256KiB]
    ///
    /// No read asks for more, up to 64KiB; so a smaller budget also cuts what is one message with raw.
    #[arg(long, value_name = "SIZE", value_parser = units::positive_size, allow_hyphen_values = true, help_heading = "Limits")]
    pub(super) read_budget: Option<usize>,

    /// Connections that may wait to be accepted; the kernel cuts it to net.core.somaxconn [default: 4096]
    #[arg(long, value_name = "COUNT", value_parser = backlog, allow_hyphen_values = true, help_heading = "Limits")]
    pub(super) backlog: Option<NonZeroI32>,

    /// Who may connect to unix:PATH, as octal permissions; connecting needs w [default: 600]
    #[arg(long, value_name = "MODE", value_parser = mode, allow_hyphen_values = true, help_heading = "Unix sockets and UDP")]
    pub(super) unix_mode: Option<u32>,

    /// Kernel memory for datagrams that wait; what exceeds it is dropped and counted [default: 4MiB]
    #[arg(long, value_name = "SIZE", value_parser = recv_buffer, allow_hyphen_values = true, help_heading = "Unix sockets and UDP")]
    pub(super) udp_recv_buffer: Option<usize>,

    /// Replies of one UDP socket that may wait to be sent, and as many that may be held back; more are dropped [default: 1024]
    #[arg(long, value_name = "COUNT", value_parser = units::count, allow_hyphen_values = true, help_heading = "Unix sockets and UDP")]
    pub(super) udp_queue: Option<usize>,

    /// Answer datagrams from ports below 1024 and from our own ports too: two servers can then answer each other for ever
    #[arg(long, help_heading = "Unix sockets and UDP")]
    pub(super) udp_any_source_port: bool,

    /// Let greet and ack, whose answers are longer than what they answer, serve UDP elsewhere than on loopback
    #[arg(long, help_heading = "Unix sockets and UDP")]
    pub(super) allow_amplification: bool,

    /// A connection on which nothing moves ends after this; 0 or off: never [default: 1h]
    #[arg(long, value_name = "TIME", value_parser = units::time_limit, allow_hyphen_values = true, help_heading = "Times")]
    pub(super) idle_timeout: Option<TimeLimit>,

    /// A message must be complete so long after its first byte; 0 or off: never; not with raw [default: 30s]
    ///
    /// Of HTTP the head of a request; and in each such time a body must bring 500 bytes for every second.
    #[arg(long, value_name = "TIME", value_parser = units::time_limit, allow_hyphen_values = true, help_heading = "Times")]
    pub(super) frame_timeout: Option<TimeLimit>,

    /// Unsent bytes must make progress at least this often; 0 or off: never [default: 30s]
    #[arg(long, value_name = "TIME", value_parser = units::time_limit, allow_hyphen_values = true, help_heading = "Times")]
    pub(super) write_timeout: Option<TimeLimit>,

    /// Ask a TCP peer that was silent for so long, four times within as long again, whether it is there; 0 or off: never [default: off]
    ///
    /// By the kernel (SO_KEEPALIVE), in whole seconds. A peer that vanished without a word is noticed after about twice this
    /// time. Without it the idle timeout ends its connection.
    #[arg(long, value_name = "TIME", value_parser = keepalive, allow_hyphen_values = true, help_heading = "Times")]
    pub(super) keepalive: Option<TimeLimit>,

    /// A TCP peer must acknowledge what was sent to it within this time; 0 or off: as the kernel has it, about 15 min [default: off]
    ///
    /// TCP_USER_TIMEOUT. It also decides how long --keepalive asks.
    #[arg(long, value_name = "TIME", value_parser = units::time_limit, allow_hyphen_values = true, help_heading = "Times")]
    pub(super) user_timeout: Option<TimeLimit>,

    /// How long a closing connection reads on, so that its last reply is not destroyed by a reset; 0: 1 ms [default: 2s]
    #[arg(long, value_name = "TIME", value_parser = units::time, allow_hyphen_values = true, help_heading = "Times")]
    pub(super) linger: Option<Duration>,

    /// How long a drain may take before what is left is cut off; 0: at once
    #[arg(long, value_name = "TIME", value_parser = units::time, allow_hyphen_values = true, default_value = "10s", help_heading = "Times")]
    pub(super) drain: Duration,

    /// Log the statistics this often; 0 or off: only on SIGUSR1 and at the end
    #[arg(long, value_name = "TIME", value_parser = units::time_limit, allow_hyphen_values = true, default_value = "off", help_heading = "Logging")]
    pub(super) stats_interval: TimeLimit,
}

fn listen(text: &str) -> Result<Listen, String> {
    text.parse()
}

fn host(text: &str) -> Result<String, String> {
    let expected = "expected a name such as nas.lan, without a port, or * for every name";
    if Hosts::is_name(text) { Ok(text.to_owned()) } else { Err(expected.to_owned()) }
}

fn mode(text: &str) -> Result<u32, String> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match u32::from_str_radix(text, 8) {
        Ok(mode) if digits && mode <= 0o777 => Ok(mode),
        _ => Err("expected octal permissions up to 777, e.g. 600 for the owner, 660 for the group too, 666 for all".to_owned()),
    }
}

/// The kernel counts in 31 bits and doubles what it is given.
fn recv_buffer(text: &str) -> Result<usize, String> {
    let size = units::positive_size(text)?;
    if size > 1 << 30 { Err("expected at most 1GiB".to_owned()) } else { Ok(size) }
}

/// The kernel counts in seconds and 15 bits (tcp(7)).
fn keepalive(text: &str) -> Result<TimeLimit, String> {
    let limit = units::time_limit(text)?;
    match limit.0 {
        Some(time) if time < Duration::from_secs(1) => Err("expected at least 1s, or off".to_owned()),
        Some(time) if time > KEEPALIVE_MAX => Err("expected at most 9h, or off".to_owned()),
        _ => Ok(limit),
    }
}

/// Framings count in 32 bits.
fn max_frame(text: &str) -> Result<usize, String> {
    let size = units::positive_size(text)?;
    if size as u64 > 1 << 32 { Err("expected at most 4GiB".to_owned()) } else { Ok(size) }
}

fn backlog(text: &str) -> Result<NonZeroI32, String> {
    let count = i32::try_from(units::count(text)?).ok();
    count.and_then(NonZeroI32::new).ok_or_else(|| format!("expected at most {}", i32::MAX))
}
