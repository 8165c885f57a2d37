//! The arguments of `oneloop load` with their meaning: a plan, and what is made of its report.

use std::path::PathBuf;
use std::time::Duration;

use super::args::{CloseName, LoadArgs};
use super::checks::{check, is_all_udp};
use super::content::{Refusal, banner, content};
use super::http;
use crate::cli::exit::{Exit, Failure};
use crate::load::{Arrival, Close, Exchange, Expectation, Plan};
use crate::os::resolve::Target;

const DURATION: Duration = Duration::from_secs(10);
const WARMUP: Duration = Duration::from_secs(1);
const TIMEOUT: Duration = Duration::from_secs(10);
/// A lost datagram is never answered, and nobody else says so.
const UDP_TIMEOUT: Duration = Duration::from_secs(1);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Per second; where --find begins.
const FIRST_RATE: f64 = 1000.0;

/// What to load and how: every option has its meaning, and all of them go together.
#[derive(Debug)]
pub(in super::super) struct Options {
    pub(super) targets: Vec<Target>,
    /// Without its targets: they are looked up when it is run.
    pub(super) plan: Plan,
    pub(super) fail_if: Vec<Expectation>,
    pub(super) find: Option<Find>,
    pub(super) format: Format,
    pub(super) hlog: Option<PathBuf>,
    pub(super) plot: Option<PathBuf>,
    pub(super) force: bool,
}

/// What is searched.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Find {
    pub(super) goal: Expectation,
    /// The rate tried first.
    pub(super) first: f64,
}

/// What goes to standard output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    /// The report.
    Text,
    /// One object.
    Json,
    /// One object per second, then that of [`Json`](Self::Json).
    JsonStream,
}

impl Options {
    /// Gives the arguments their meaning.
    ///
    /// # Errors
    /// Arguments that cannot be kept together: which, why, and what would be accepted. A file that cannot be read.
    pub(in super::super) fn from_args(args: LoadArgs) -> Result<Self, Failure> {
        Self::read(args).map_err(|refusal| match refusal {
            Refusal::Usage(why) => Failure::usage_of("load")(why),
            Refusal::Unreadable(message) => Failure { exit: Exit::CouldNotRun, message },
        })
    }

    fn read(args: LoadArgs) -> Result<Self, Refusal> {
        check(&args)?;
        let format = match (args.json, args.json_stream) {
            (_, true) => Format::JsonStream,
            (true, false) => Format::Json,
            (false, false) => Format::Text,
        };
        Ok(Self {
            plan: plan(&args)?,
            find: args.find.map(|goal| Find { goal, first: args.rate.map_or(FIRST_RATE, |rate| rate.from) }),
            targets: args.urls.into_iter().map(|url| url.target).collect(),
            fail_if: args.fail_if,
            format,
            force: args.force,
            hlog: args.hlog,
            plot: args.plot,
        })
    }
}

fn plan(args: &LoadArgs) -> Result<Plan, Refusal> {
    let timeout = if is_all_udp(args) { UDP_TIMEOUT } else { TIMEOUT };
    let warmup = if args.requests.is_some() { Duration::ZERO } else { WARMUP };
    Ok(Plan {
        targets: Vec::new(),
        connections: args.connections,
        arrival: args.rate.map_or(Arrival::Closed, Arrival::Open),
        pipeline: args.pipeline.unwrap_or(1),
        duration: args.duration.or(args.requests.is_none().then_some(DURATION)),
        requests: args.requests.map(|requests| requests as u64),
        warmup: args.warmup.unwrap_or(warmup),
        timeout: args.timeout.unwrap_or(timeout),
        connect_timeout: args.connect_timeout.unwrap_or(CONNECT_TIMEOUT),
        connect_rate: args.connect_rate.map(|rate| rate as f64),
        lifetime: args.lifetime,
        close: args.close.map_or(Close::Fin, CloseName::meaning),
        sources: args.source,
        loops: args.loops,
        pin: args.pin,
        exchange: exchange(args)?,
        verify: !args.no_verify,
    })
}

fn exchange(args: &LoadArgs) -> Result<Exchange, Refusal> {
    if let Some(exchange) = http::exchange(args)? {
        return Ok(exchange);
    }
    Ok(Exchange {
        protocol: args.protocol.meaning(),
        framing: args.framing.clone(),
        content: content(args)?,
        banner: banner(args)?,
    })
}

#[cfg(test)]
mod tests {
    use super::super::support::parse;
    use super::*;
    use crate::codec::Framing;
    use crate::load::{Content, Profile, Protocol};

    #[test]
    fn without_options_the_defaults_that_help_names_hold() {
        let Options { targets, plan, fail_if, find, format, hlog, plot, force: false } =
            parse(&["tcp://localhost:1"]).unwrap()
        else {
            panic!("nothing is forced by default")
        };
        let secs = Duration::from_secs;
        assert_eq!(targets, ["tcp://localhost:1".parse().unwrap()]);
        assert_eq!((plan.connections, plan.pipeline, plan.loops, plan.pin), (100, 1, 1, false));
        assert_eq!((plan.arrival, plan.duration, plan.requests), (Arrival::Closed, Some(secs(10)), None));
        assert_eq!((plan.warmup, plan.timeout, plan.connect_timeout), (secs(1), secs(10), secs(5)));
        assert_eq!(
            (plan.connect_rate, plan.lifetime, plan.close, plan.sources),
            (None, None, Close::Fin, None)
        );
        assert_eq!((plan.exchange.protocol, plan.exchange.framing), (Protocol::Echo, Framing::Raw));
        assert_eq!(
            (plan.exchange.content, plan.exchange.banner.len(), plan.verify),
            (Content::Pattern(64), 0, true)
        );
        assert_eq!((fail_if.len(), find, format, hlog, plot), (0, None, Format::Text, None, None));
    }

    #[test]
    fn every_option_reaches_what_it_sets() {
        let options = parse(&[
            "tcp://127.0.0.1:1",
            "tcp://127.0.0.1:2",
            "-c10k",
            "--pipeline=8",
            "-r10k:50k",
            "-d30s",
            "-n1m",
            "--warmup=3s",
            "--timeout=2s",
            "--connect-timeout=4s",
            "--connect-rate=5k",
            "--lifetime=6s",
            "--close=rst",
            "--source=127.0.0.1-127.0.0.9",
            "--loops=2",
            "--no-verify",
            "--framing=len32",
            "--size=1KiB",
            "--banner=hi",
            "--fail-if=p99>5ms",
            "--fail-if=errors>0",
            "--json-stream",
            "--hlog=a.hlog",
            "--plot=a.svg",
        ])
        .unwrap();
        let secs = Duration::from_secs;
        let plan = options.plan;
        assert_eq!((options.targets.len(), plan.connections, plan.pipeline, plan.loops), (2, 10_000, 8, 2));
        assert_eq!(plan.arrival, Arrival::Open(Profile { from: 10_000.0, to: 50_000.0 }));
        assert_eq!((plan.duration, plan.requests, plan.warmup), (Some(secs(30)), Some(1_000_000), secs(3)));
        assert_eq!((plan.timeout, plan.connect_timeout, plan.lifetime), (secs(2), secs(4), Some(secs(6))));
        assert_eq!((plan.connect_rate, plan.close, plan.verify), (Some(5000.0), Close::Rst, false));
        assert_eq!(plan.sources.map(|sources| sources.count), Some(9));
        assert_eq!((plan.exchange.framing, &plan.exchange.banner[..]), (Framing::Len32, &b"hi"[..]));
        assert_eq!(plan.exchange.content, Content::Pattern(1024));
        assert_eq!(options.fail_if, ["p99>5ms", "errors>0"].map(|text| text.parse().unwrap()));
        assert_eq!(options.format, Format::JsonStream);
        assert_eq!((options.hlog, options.plot), (Some("a.hlog".into()), Some("a.svg".into())));
    }

    #[test]
    fn defaults_follow_what_is_given() {
        let plan = |arguments: &[&str]| parse(arguments).unwrap().plan;
        let counted = plan(&["tcp://h:1", "-n10"]);
        assert_eq!((counted.duration, counted.warmup), (None, Duration::ZERO));
        let both = plan(&["tcp://h:1", "-n10", "-d5s", "--warmup=2s"]);
        assert_eq!((both.duration, both.warmup), (Some(Duration::from_secs(5)), Duration::from_secs(2)));
        assert_eq!(plan(&["udp://h:1"]).timeout, Duration::from_secs(1));
        assert_eq!(plan(&["udp://h:1", "tcp://h:1"]).timeout, Duration::from_secs(10));
        assert_eq!(plan(&["tcp://h:1", "--framing=fixed:9"]).exchange.content, Content::Pattern(9));
        let find = |arguments: &[&str]| parse(arguments).unwrap().find.unwrap().first.to_string();
        assert_eq!(find(&["tcp://h:1", "--find=p99<5ms"]), "1000");
        assert_eq!(find(&["tcp://h:1", "--find=p99<5ms", "-r7k"]), "7000");
    }

    #[test]
    fn what_is_sent_is_a_text_or_a_file() {
        let sent = |given: &str| {
            let content = parse(&["tcp://h:1", &format!("--send={given}")]).map(|o| o.plan.exchange.content);
            content.map(|content| match content {
                Content::Fixed(bytes) => bytes.to_vec(),
                Content::Pattern(_) | Content::Requests(_) => panic!("it is fixed"),
            })
        };
        assert_eq!(sent("a b").unwrap(), b"a b");
        assert_eq!(sent("@@home").unwrap(), b"@home");
        let manifest = concat!("@", env!("CARGO_MANIFEST_DIR"), "/rustfmt.toml");
        assert!(sent(manifest).unwrap().starts_with(b"max_width"));
        let missing = sent("@/no/such/file").unwrap_err();
        assert_eq!(missing.exit, Exit::CouldNotRun);
        assert!(missing.message.starts_with("cannot read '/no/such/file': "), "{}", missing.message);
    }
}
