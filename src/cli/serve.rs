//! `oneloop serve`: options checked together, then listeners on a reactor.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use log::{info, warn};

use super::args::{ServeArgs, ServiceName};
use super::exit::{Exit, Failure};
use crate::address::Address;
use crate::codec::{
    DEFAULT_MAX_FRAME, Decoder, Delimited, Encoder, Fixed, FrameError, Framing, LengthPrefixed, Lines, Raw,
};
use crate::os::limits::{OpenFiles, open_files, raise_open_files};
use crate::os::sockets::ListenOptions;
use crate::reactor::{Config, OverLimit, Reactor};
use crate::services::{Echo, Greet, GreetConfig};
use crate::session::{Factory, Framed, Limits, Service, factory};

/// Bytes of an unfinished message that may be kept beyond the largest frame: its header, and what was read with it.
const PARTIAL_SLACK: usize = 64 * 1024;

/// Descriptors the process itself needs: standard streams, poll, waker, signals, the reserve, a few listeners.
const OWN_DESCRIPTORS: usize = 16;

/// What to serve and how: every option has its meaning, and all of them go together.
pub(super) struct Options {
    listen: Vec<SocketAddr>,
    sockets: ListenOptions,
    make: Factory,
    limits: Limits,
    max_connections: Option<usize>,
    drain: Duration,
    stats_interval: Option<Duration>,
}

impl Options {
    /// Gives the arguments their meaning.
    ///
    /// # Errors
    /// Arguments that cannot be kept together: which, why, and what would be accepted.
    pub(super) fn from_args(args: ServeArgs) -> Result<Self, String> {
        check_listeners(&args.listen)?;
        check_framing(&args)?;
        let limits = limits(&args)?;
        Ok(Self {
            make: service(&args)?,
            listen: args.listen,
            sockets: ListenOptions { backlog: args.backlog.get(), ..ListenOptions::default() },
            limits,
            max_connections: args.max_connections,
            drain: args.drain,
            stats_interval: args.stats_interval.0,
        })
    }

    /// Reads the descriptor limit, so it is to be called after raising that.
    fn config(&self) -> Config {
        let defaults = Config::default();
        let (max_connections, over_limit) = match self.max_connections {
            Some(max) => (max, OverLimit::Refuse),
            None => (defaults.max_connections, defaults.over_limit),
        };
        Config {
            limits: self.limits.clone(),
            max_connections,
            over_limit,
            drain: self.drain,
            stats_interval: self.stats_interval,
            ..defaults
        }
    }
}

/// Serves until a drain has ended or a second signal came.
///
/// # Errors
/// A listener that cannot be bound, a loop that died, a standard output that cannot be written.
pub(super) fn run(options: Options) -> Result<Exit, Failure> {
    log_open_files(raise_open_files());
    warn_of_system_limits(&options);
    let config = options.config();
    let newcomers = if config.over_limit == OverLimit::Refuse { "are closed" } else { "wait" };
    info!("connection limit max_connections={} newcomers=\"{newcomers}\"", config.max_connections);
    let mut reactor = Reactor::with_config(config)?;
    reactor.watch_signals()?;
    let mut bound = Vec::with_capacity(options.listen.len());
    for &addr in &options.listen {
        let only_v6 = has_ipv4_beside(addr, &options.listen);
        let sockets = ListenOptions { only_v6, ..options.sockets.clone() };
        bound.push(Address::Tcp(reactor.listen_with(addr, &sockets, options.make.clone())?));
    }
    announce(&bound)?;
    let outcome = reactor.run()?;
    Ok(outcome.signal.map_or(Exit::Done, Exit::Signal))
}

/// One line per listener on standard output. Nobody reading them is no reason not to serve.
fn announce(bound: &[Address]) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    let written = bound.iter().try_for_each(|address| {
        info!("listening address={address}");
        writeln!(out, "listening {address}")
    });
    match written.and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Failure {
            exit: Exit::CouldNotRun,
            message: format!("cannot write to standard output: {error}"),
        }),
        _ => Ok(()),
    }
}

fn log_open_files(limit: OpenFiles) {
    let show = |limit: Option<u64>| limit.map_or_else(|| "unlimited".to_owned(), |limit| limit.to_string());
    let (was, now, hard) = (show(limit.was), show(limit.now), show(limit.hard));
    if was == now {
        info!("open files soft={now} hard={hard}");
    } else {
        info!("open files soft={now} hard={hard} raised_from={was}");
    }
}

/// What was asked for and the system will not give. It is no error: the machine may be changed meanwhile.
fn warn_of_system_limits(options: &Options) {
    let room = open_files().saturating_sub(OWN_DESCRIPTORS);
    if let Some(max) = options.max_connections.filter(|max| *max > room) {
        warn!(
            "--max-connections is more than the open-files limit allows max={max} room={room} remedy=\"ulimit -n\""
        );
    }
    let asked = options.sockets.backlog;
    let somaxconn = std::fs::read_to_string("/proc/sys/net/core/somaxconn").ok();
    let somaxconn = somaxconn.and_then(|text| text.trim().parse::<i32>().ok());
    if let Some(max) = somaxconn.filter(|max| *max < asked) {
        warn!("the kernel cuts the backlog asked={asked} max={max} remedy=\"sysctl net.core.somaxconn\"");
    }
}

/// Whether `addr` is `[::]` and somebody else is to have IPv4 on its port: then it must not take that too.
fn has_ipv4_beside(addr: SocketAddr, listen: &[SocketAddr]) -> bool {
    let all_v6 = addr.is_ipv6() && addr.ip().is_unspecified() && addr.port() != 0;
    all_v6 && listen.iter().any(|other| other.is_ipv4() && other.port() == addr.port())
}

fn check_listeners(listen: &[SocketAddr]) -> Result<(), String> {
    for (at, addr) in listen.iter().enumerate() {
        if addr.port() != 0 && listen[..at].contains(addr) {
            return Err(format!("'--listen tcp://{addr}' is given twice; name each address once"));
        }
    }
    Ok(())
}

/// Options that have no meaning with this framing.
fn check_framing(args: &ServeArgs) -> Result<(), String> {
    let max = max_frame(args);
    match &args.framing {
        Framing::Raw => {
            for (name, given) in
                [("--frame-timeout", args.frame_timeout.is_some()), ("--max-frame", args.max_frame.is_some())]
            {
                if given {
                    return Err(format!(
                        "'{name}' cannot be used with '--framing raw': a raw message is what one read returned, so it \
                         is never unfinished and never too long; choose another framing or leave the option out"
                    ));
                }
            }
        }
        Framing::Fixed(size) if size.get() as usize > max => {
            return Err(format!(
                "'--framing fixed:{size}' has frames larger than the maximum of {max} bytes; raise --max-frame to at \
                 least {size}"
            ));
        }
        _ => {}
    }
    Ok(())
}

fn limits(args: &ServeArgs) -> Result<Limits, String> {
    let high_water = args.high_water;
    let low_water = args.low_water.unwrap_or(high_water / 4);
    if low_water >= high_water {
        return Err(format!(
            "'--low-water {low_water}' is not below '--high-water {high_water}'; expected fewer bytes than that"
        ));
    }
    let defaults = Limits::default();
    Ok(Limits {
        idle: args.idle_timeout.0,
        frame: args.frame_timeout.map_or(defaults.frame, |limit| limit.0),
        write: args.write_timeout.0,
        linger: args.linger,
        high_water,
        low_water,
        read_budget: args.read_budget,
        max_partial: max_frame(args).saturating_add(PARTIAL_SLACK),
        ..defaults
    })
}

fn max_frame(args: &ServeArgs) -> usize {
    args.max_frame.unwrap_or(DEFAULT_MAX_FRAME)
}

fn service(args: &ServeArgs) -> Result<Factory, String> {
    match args.service {
        ServiceName::Echo => echo(args),
        ServiceName::Greet => greet(args),
    }
}

fn echo(args: &ServeArgs) -> Result<Factory, String> {
    for (name, given) in [("--banner", args.banner.is_some()), ("--delay", args.delay.is_some())] {
        if given {
            return Err(format!(
                "'{name}' cannot be used with 'serve echo': only greet knows it, as in 'serve greet'"
            ));
        }
    }
    framed(args, Echo, &[])
}

fn greet(args: &ServeArgs) -> Result<Factory, String> {
    if let Framing::Fixed(size) = args.framing {
        return Err(format!(
            "'--framing fixed:{size}' cannot be used with 'serve greet': its answers are longer than its messages; \
             choose another framing"
        ));
    }
    let config = GreetConfig {
        banner: args.banner.clone().unwrap_or_default().into_bytes(),
        delay: args.delay.unwrap_or_default(),
        strip_line_end: args.framing == Framing::Raw,
    };
    let banner = config.banner.clone();
    framed(args, Greet::new(Arc::new(config)), &[("the answer", b"Hello, !"), ("'--banner'", &banner)])
}

/// What a service is bound to send, and how an error calls it.
type Owed<'a> = (&'static str, &'a [u8]);

/// Puts `service` behind the codec asked for, which must be able to carry everything in `owed`.
fn framed<S>(args: &ServeArgs, service: S, owed: &[Owed<'_>]) -> Result<Factory, String>
where
    S: Service + Clone + Send + Sync + 'static,
{
    let max = max_frame(args);
    let made = match &args.framing {
        Framing::Raw => behind(Raw, service, owed),
        Framing::Lines => behind(Lines::new(max), service, owed),
        Framing::Delimited(text) => {
            behind(Delimited::new(text, max).expect("the parser refuses an empty delimiter"), service, owed)
        }
        Framing::Fixed(size) => behind(Fixed::new(*size), service, owed),
        Framing::Len16 => behind(LengthPrefixed::len16(max), service, owed),
        Framing::Len32 => behind(LengthPrefixed::len32(max), service, owed),
        Framing::Len32Le => behind(LengthPrefixed::len32le(max), service, owed),
    };
    made.map_err(|(what, error)| {
        let framing = &args.framing;
        format!("{what} of greet does not fit '--framing {framing}': {error}; choose another framing or text")
    })
}

fn behind<C, S>(codec: C, service: S, owed: &[Owed<'_>]) -> Result<Factory, (&'static str, FrameError)>
where
    C: Decoder + Encoder + Clone + Send + Sync + 'static,
    S: Service + Clone + Send + Sync + 'static,
{
    for (what, payload) in owed {
        codec.encode(payload, &mut Vec::new()).map_err(|error| (*what, error))?;
    }
    Ok(factory(move |_| Framed::new(codec.clone(), service.clone())))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::super::args::{Args, Command};
    use super::*;

    fn parse(arguments: &[&str]) -> Result<Options, String> {
        let args =
            Args::try_parse_from(["oneloop", "serve"].iter().chain(arguments)).map_err(|e| e.to_string())?;
        let Command::Serve(serve) = args.command else { panic!("it serves") };
        Options::from_args(*serve)
    }

    #[test]
    fn without_options_the_librarys_defaults_hold() {
        let options = parse(&[]).ok().unwrap();
        assert_eq!(options.limits, Limits::default());
        assert_eq!(options.sockets, ListenOptions::default());
        assert_eq!(options.config(), Config::default());
        assert_eq!(options.listen, ["127.0.0.1:9999".parse().unwrap()]);
    }

    #[test]
    fn every_option_reaches_what_it_sets() {
        let options = parse(&[
            "--framing=lines",
            "--max-connections=7",
            "--max-frame=1k",
            "--high-water=8KiB",
            "--low-water=0",
            "--read-budget=512",
            "--backlog=5",
            "--idle-timeout=1s",
            "--frame-timeout=2s",
            "--write-timeout=off",
            "--linger=3s",
            "--drain=4s",
            "--stats-interval=5s",
        ]);
        let options = options.ok().unwrap();
        let config = options.config();
        let secs = |secs| Some(Duration::from_secs(secs));
        let limits = config.limits;
        assert_eq!((limits.idle, limits.frame, limits.write), (secs(1), secs(2), None));
        assert_eq!((limits.high_water, limits.low_water, limits.read_budget), (8192, 0, 512));
        assert_eq!((limits.max_partial, Some(limits.linger)), (1024 + PARTIAL_SLACK, secs(3)));
        assert_eq!((config.max_connections, config.over_limit), (7, OverLimit::Refuse));
        assert_eq!((Some(config.drain), config.stats_interval), (secs(4), secs(5)));
        assert_eq!(options.sockets.backlog, 5);
    }

    #[test]
    fn every_address_of_ipv6_leaves_ipv4_to_a_listener_of_its_own_on_the_same_port() {
        for (listen, expected) in [
            (["[::]:7", "0.0.0.0:7"], true),
            (["[::]:7", "127.0.0.1:7"], true),
            (["[::]:7", "0.0.0.0:8"], false),
            (["[::]:0", "0.0.0.0:0"], false),
            (["[::1]:7", "0.0.0.0:7"], false),
        ] {
            let listen = listen.map(|text| text.parse().unwrap());
            assert_eq!(has_ipv4_beside(listen[0], &listen), expected, "{listen:?}");
            assert!(!has_ipv4_beside(listen[1], &listen));
        }
    }

    #[test]
    fn low_water_follows_high_water() {
        assert_eq!(parse(&["--high-water=8KiB"]).ok().unwrap().limits.low_water, 2048);
    }

    #[test]
    fn what_cannot_be_kept_together_is_refused() {
        for (arguments, expected) in [
            (&["--frame-timeout=1s"][..], "--frame-timeout"),
            (&["--max-frame=1k"], "--max-frame"),
            (&["--low-water=64k"], "--high-water 65536"),
            (&["--banner=x"], "serve greet"),
            (&["greet", "--framing=fixed:8"], "fixed:8"),
            (&["--framing=fixed:8", "--max-frame=4"], "at least 8"),
            (&["greet", "--framing=delimited:!"], "the answer"),
            (&["greet", "--framing=lines", "--banner=a\nb"], "--banner"),
            (&["--listen=tcp://[::1]:1", "--listen=tcp://[::1]:1"], "twice"),
        ] {
            let error = parse(arguments).err().unwrap();
            assert!(error.contains(expected), "{arguments:?}: {error}");
        }
    }

    #[test]
    fn clap_finds_no_mistake_in_the_definitions() {
        <Args as clap::CommandFactory>::command().debug_assert();
    }
}
