//! The raw arguments of `oneloop load`, and its help.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::ValueEnum;

use super::super::{sources, units};
use crate::codec::Framing;
use crate::http::{Field, Url, is_method};
use crate::load::{Close, Expectation, Profile, Protocol, Sources};
use crate::os::resolve::{Host, Target};

/// Bytes of one message: it is kept in memory once for each that is under way.
pub(super) const MAX_SIZE: usize = 16 << 20;

pub(in super::super) const ABOUT: &str = "\
Generate load, verify every answer, and say what limited it.

Without --rate each connection sends its next message when the last one is answered (a closed loop). With \
--rate messages are due at moments fixed beforehand, whether or not the target keeps up (an open loop), and \
latency counts from those moments: a target that stalls is not spared what waited meanwhile.

The report goes to standard output. Its latency has two rows: corrected, from the scheduled moment, and \
service, from the actual send; in a closed loop they are the same.";

pub(in super::super) const EXAMPLES: &str = "\
Examples:
  oneloop load tcp://127.0.0.1:9999           100 connections, as fast as answers come, for 10 s
  oneloop load tcp://127.0.0.1:9999 -c 10k -r 50k -d 30s --warmup 3s
                                              50,000 messages per second over 10,000 connections
  oneloop load udp://127.0.0.1:9999 -r 10k --fail-if 'loss>0.1%' --fail-if 'p99>5ms'
  oneloop load tcp://127.0.0.1:9999 --find 'p99<5ms' --fail-if 'errors>0'
                                              the highest rate that holds it
  oneloop load unix:/run/my.sock --protocol greet --framing lines --send Travis
  oneloop load http://127.0.0.1:8080/ -c 1k -r 20k -H 'Accept: text/html'
  oneloop load tcp://127.0.0.1:9999 --json | jq .latency_us.corrected.p99";

pub(in super::super) const EXIT_CODES: &str = "\
Units:
  counts      500, 10k, 1m                    k is 1,000
  sizes       64, 4KiB, 1MiB                  in bytes; 64k is short for 64KiB
  times       250ms, 10s, 5m, 1h, 2d          at most 12d
  conditions  p99>5ms, max>=0.5s, rate<50k, errors.timeout>0, loss>0.1%
                                              with >, >=, < or <=; times in us, ms or s

Exit codes:
  0    done, and no --fail-if came true
  1    could not run, e.g. because nobody listens there or a name has no address; nothing was answered
  2    the arguments make no sense
  3    a --fail-if came true or could not be told, or no rate holds what --find asks for
  4    this machine cannot hold so many connections, and --force was not given
  5    the measurement is not valid: the generator was the limit, not the target
  130, 143  interrupted by SIGINT or SIGTERM, after the report of what was found until then; a second one ends at once";

/// The arguments of `oneloop load`. Those that mean nothing by themselves have no default here.
#[derive(Debug, clap::Args)]
pub(in super::super) struct LoadArgs {
    /// Where to connect: tcp://HOST:PORT, udp://HOST:PORT, unix:PATH, unix:@NAME, or what to ask for: http://HOST[:PORT]/PATH;
    /// connections take turns on several
    ///
    /// HOST is a name or a numeric address, IPv6 in brackets. Names are looked up before the clock starts. Of a name
    /// with several addresses the first that takes a connection is used.
    #[arg(value_name = "URL", required = true, value_parser = target)]
    pub(super) urls: Vec<LoadUrl>,

    /// Connections, or UDP sockets, open at once
    #[arg(short, long, value_name = "COUNT", value_parser = units::count, allow_hyphen_values = true, default_value = "100")]
    pub(super) connections: usize,

    /// Messages of one connection that may be without answer at once [default: 1]
    #[arg(long, value_name = "COUNT", value_parser = units::count, allow_hyphen_values = true)]
    pub(super) pipeline: Option<usize>,

    /// Messages per second, all connections together; A:B climbs evenly from A to B [default: a closed loop]
    ///
    /// With --find it is the first rate that is tried.
    #[arg(short, long, value_name = "RATE", value_parser = rate, allow_hyphen_values = true)]
    pub(super) rate: Option<Profile>,

    /// How long is measured, after the warm-up [default: 10s; without limit when -n is given]
    #[arg(short, long, value_name = "TIME", value_parser = positive_time, allow_hyphen_values = true)]
    pub(super) duration: Option<Duration>,

    /// The most messages, all connections together, those of the warm-up included; with -d what comes first ends the run
    #[arg(short = 'n', long, value_name = "COUNT", value_parser = units::count, allow_hyphen_values = true)]
    pub(super) requests: Option<usize>,

    /// Goes before what is measured; 0: nothing [default: 1s; 0 when -n is given]
    #[arg(long, value_name = "TIME", value_parser = units::time, allow_hyphen_values = true)]
    pub(super) warmup: Option<Duration>,

    /// What the target does with a message
    #[arg(long, value_enum, default_value_t = ProtocolName::Echo, help_heading = "Messages")]
    pub(super) protocol: ProtocolName,

    /// Where a message ends: raw, lines, delimited:TEXT, fixed:N, len16, len32 or len32le; not with udp
    ///
    /// It must be the target's. raw: nowhere, the bytes are one stream. lines: LF or CRLF. delimited:TEXT: TEXT, in
    /// which \n, \r, \t, \0, \\ and \xNN are understood. fixed:N: exactly N bytes. len16, len32: after a big-endian
    /// length of 2 or 4 bytes. len32le: after a signed little-endian length of 4 bytes.
    #[arg(long, value_name = "FRAMING", allow_hyphen_values = true, default_value_t = Framing::Raw, help_heading = "Messages")]
    pub(super) framing: Framing,

    /// Bytes of a message, without what the framing adds [default: 64; N with fixed:N]
    ///
    /// The bytes differ for each connection and message, so that an answer that went astray is found out.
    #[arg(long, value_name = "SIZE", value_parser = size, allow_hyphen_values = true, conflicts_with = "send", help_heading = "Messages")]
    pub(super) size: Option<usize>,

    /// Send always this instead: TEXT as it is, or the content of a file as @FILE; a text that begins with @ as @@...
    ///
    /// Over UDP all datagrams are then alike, and an answer belongs to the oldest one that has none.
    #[arg(long, value_name = "TEXT|@FILE", allow_hyphen_values = true, help_heading = "Messages")]
    pub(super) send: Option<OsString>,

    /// What the target says first on each connection; echo and greet only [default: nothing]
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true, help_heading = "Messages")]
    pub(super) banner: Option<OsString>,

    /// The method of each request; http only [default: GET; POST with --body]
    #[arg(short = 'X', long, value_name = "METHOD", value_parser = method, help_heading = "HTTP")]
    pub(super) method: Option<String>,

    /// Send this header with each request; may be given several times; http only
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE", value_parser = field, allow_hyphen_values = true, help_heading = "HTTP")]
    pub(super) headers: Vec<Field>,

    /// Send this as the body of each request: TEXT as it is, or the content of a file as @FILE; http only
    #[arg(long, value_name = "TEXT|@FILE", allow_hyphen_values = true, help_heading = "HTTP")]
    pub(super) body: Option<OsString>,

    /// Make a connection for each request; http only
    #[arg(long, help_heading = "HTTP")]
    pub(super) no_keep_alive: bool,

    /// Do not compare what comes back with what should; http: take any status for an answer, not 2xx only
    #[arg(long, help_heading = "Messages")]
    pub(super) no_verify: bool,

    /// Try it even where doctor says that this machine cannot
    #[arg(long, help_heading = "Connections")]
    pub(super) force: bool,

    /// How long an answer may take; then it is an error, and its connection is made anew [default: 10s; 1s where all is udp]
    #[arg(long, value_name = "TIME", value_parser = positive_time, allow_hyphen_values = true, help_heading = "Connections")]
    pub(super) timeout: Option<Duration>,

    /// How long the lookup of a name may take, and how long connecting [default: 5s]
    #[arg(long, value_name = "TIME", value_parser = positive_time, allow_hyphen_values = true, help_heading = "Connections")]
    pub(super) connect_timeout: Option<Duration>,

    /// Connections begun per second [default: as fast as they are taken]
    #[arg(long, value_name = "COUNT", value_parser = units::count, allow_hyphen_values = true, help_heading = "Connections")]
    pub(super) connect_rate: Option<usize>,

    /// Close each connection after this, and make it anew [default: never]
    #[arg(long, value_name = "TIME", value_parser = positive_time, allow_hyphen_values = true, help_heading = "Connections")]
    pub(super) lifetime: Option<Duration>,

    /// How connections are closed [default: fin]
    #[arg(long, value_enum, help_heading = "Connections")]
    pub(super) close: Option<CloseName>,

    /// The local addresses to connect from, in turns: 127.0.0.0/24, 127.0.0.1-127.0.0.9 or one [default: the system chooses]
    ///
    /// One local address has about 28,000 ports for each target address and port. Network and broadcast address of
    /// an IPv4 network are left out.
    #[arg(long, value_name = "CIDR|FIRST-LAST", value_parser = sources::parse, allow_hyphen_values = true, help_heading = "Connections")]
    pub(super) source: Option<Sources>,

    /// Threads, each with an event loop of its own, among which connections are dealt out
    #[arg(long, value_name = "COUNT", value_parser = loops, allow_hyphen_values = true, default_value = "1", help_heading = "The generator")]
    pub(super) loops: usize,

    /// Keep each thread on a processor of its own
    #[arg(long, help_heading = "The generator")]
    pub(super) pin: bool,

    /// End with 3 when this is true, e.g. 'p99>5ms'; may be given several times
    ///
    /// p50, p99.9 and so on, min, mean and max are of corrected latency; service.p99 counts from the actual send,
    /// connect.p99 is of connecting; p999 is p99.9. Besides: rate (answered per second), errors, errors.KIND (refused,
    /// reset, timeout, address_exhausted, descriptor_limit, truncated, mismatch, status, other), loss (a count, or with % of
    /// the datagrams sent), mismatches, unanswered.
    #[arg(long, value_name = "CONDITION", allow_hyphen_values = true, help_heading = "Expectations")]
    pub(super) fail_if: Vec<Expectation>,

    /// Search the highest rate that holds this, e.g. 'p99<5ms', by runs of -d each
    ///
    /// The rate is doubled, from --rate or 1,000 on, until a run fails: the condition does not hold, a --fail-if comes
    /// true, less than 99 % of the rate is achieved, or the generator is the limit. Then it is bisected to 5 %.
    #[arg(long, value_name = "CONDITION", allow_hyphen_values = true, help_heading = "Expectations")]
    pub(super) find: Option<Expectation>,

    /// Print one JSON object instead of the report; docs/load-json.md has its fields
    #[arg(long, conflicts_with = "json_stream", help_heading = "Output")]
    pub(super) json: bool,

    /// Print one JSON object per second, and at last that of --json
    #[arg(long, help_heading = "Output")]
    pub(super) json_stream: bool,

    /// Write the latencies of every measured second to this file, in HdrHistogram's interval log format
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub(super) hlog: Option<PathBuf>,

    /// Draw latency by percentile into this file, an SVG
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub(super) plot: Option<PathBuf>,
}

/// Where to connect, and for http:// what to ask for there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LoadUrl {
    pub(super) target: Target,
    pub(super) http: Option<Url>,
}

/// What the target does with a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum ProtocolName {
    /// Sends it back
    Echo,
    /// Answers X with `Hello, X!`
    Greet,
    /// Is sent nothing, and sends bytes without an end, byte k being k modulo 251
    Source,
    /// Answers nothing
    Discard,
}

impl ProtocolName {
    pub(super) const fn meaning(self) -> Protocol {
        match self {
            Self::Echo => Protocol::Echo,
            Self::Greet => Protocol::Greet,
            Self::Source => Protocol::Source,
            Self::Discard => Protocol::Discard,
        }
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Echo => "echo",
            Self::Greet => "greet",
            Self::Source => "source",
            Self::Discard => "discard",
        }
    }
}

/// How connections are closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum CloseName {
    /// The usual way; this side's port stays in TIME_WAIT for a minute
    Fin,
    /// By a reset, which leaves nothing behind
    Rst,
}

impl CloseName {
    pub(super) const fn meaning(self) -> Close {
        match self {
            Self::Fin => Close::Fin,
            Self::Rst => Close::Rst,
        }
    }
}

fn target(text: &str) -> Result<LoadUrl, String> {
    match text.split_once("://") {
        Some(("http", _)) => {
            let url = text.parse::<Url>().map_err(|error| error.to_string())?;
            let target = Target::Tcp(Host { name: url.host().to_owned(), port: url.port() });
            Ok(LoadUrl { target, http: Some(url) })
        }
        Some(("https" | "tls" | "wss", _)) => {
            Err("TLS is not spoken here, its cost would be measured instead of the target's; write http:// or tcp:// \
                 and let the target, or a proxy on its side, do without"
                .to_owned())
        }
        _ => {
            let target = text.parse::<Target>().map_err(|error| error.why().to_owned())?;
            Ok(LoadUrl { target, http: None })
        }
    }
}

fn method(text: &str) -> Result<String, String> {
    if is_method(text) {
        Ok(text.to_owned())
    } else {
        Err("expected a method, as in GET, HEAD, POST or DELETE; not CONNECT".to_owned())
    }
}

fn field(text: &str) -> Result<Field, String> {
    text.parse::<Field>().map_err(|error| error.to_string())
}

/// `50k`, or `10k:50k`.
fn rate(text: &str) -> Result<Profile, String> {
    const RATE: &str = "expected messages per second of at least 1, as in 500, 50k or 10k:50k";
    let read = |text: &str| units::count(text).map(|rate| rate as f64).map_err(|_| RATE.to_owned());
    match text.split_once(':') {
        Some((from, to)) => Ok(Profile { from: read(from)?, to: read(to)? }),
        None => read(text).map(Profile::constant),
    }
}

fn positive_time(text: &str) -> Result<Duration, String> {
    let time = units::time(text)?;
    if time.is_zero() { Err("expected at least 1ms".to_owned()) } else { Ok(time) }
}

fn size(text: &str) -> Result<usize, String> {
    let size = units::positive_size(text)?;
    if size > MAX_SIZE { Err("expected at most 16MiB".to_owned()) } else { Ok(size) }
}

fn loops(text: &str) -> Result<usize, String> {
    let loops = units::count(text)?;
    if loops > 1024 { Err("expected at most 1024".to_owned()) } else { Ok(loops) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_constant_or_climb() {
        assert_eq!(rate("50k"), Ok(Profile::constant(50_000.0)));
        assert_eq!(rate("100:1m"), Ok(Profile { from: 100.0, to: 1e6 }));
        for text in ["", "0", "0:5", "5:0", "1:", ":1", "1:2:3", "1.5", "50/s", "-1"] {
            assert!(rate(text).unwrap_err().contains("10k:50k"), "{text}");
        }
    }

    #[test]
    fn schemes_that_are_not_spoken_are_refused_with_the_reason() {
        for (text, expected) in [
            ("http://u:p@h:1", "Authorization"),
            ("https://h:1", "TLS is not spoken"),
            ("ftp://h:1", "tcp://HOST:PORT"),
            ("h:1", "no scheme"),
            ("tcp://h", "no port"),
        ] {
            assert!(target(text).unwrap_err().contains(expected), "{text}");
        }
        assert!(target("unix:@a").is_ok() && target("udp://h:1").is_ok());
    }

    #[test]
    fn limits_hold() {
        assert!(positive_time("0").unwrap_err().contains("1ms"));
        assert!(size("17m").unwrap_err().contains("16MiB") && size("0").is_err());
        assert!(loops("1025").unwrap_err().contains("1024"));
    }
}
