//! `oneloop serve`: options checked together, then sockets and a model that serves them.

use std::time::Duration;

use clap::ValueEnum;
use log::{info, warn};

use super::args::{Model, ServeArgs, ServiceName};
use super::exec::{MAX_JOBS, settle_framing, warn_of_shell};
use super::exit::{Exit, Failure};
use super::inherited::Inherited;
use super::listen::{Plan, announce};
use super::member::Member;
use super::model;
use super::named::Listen;
use super::services::{Hooks, Services, max_frame, services};
use super::units::SizeLimit;
use super::workers::{Crew, Worker};
use crate::address::Address;
use crate::codec::Framing;
use crate::doctor::Machine;
use crate::models::MAX_THREADS;
use crate::os::limits::{OpenFiles, open_files, raise_open_files};
use crate::reactor::{Config, OverLimit};
use crate::session::Limits;

/// Bytes of an unfinished message that may be kept beyond the largest frame: its header, and what was read with it.
const PARTIAL_SLACK: usize = 64 * 1024;

/// Descriptors the process itself needs: standard streams, poll, waker, signals, the reserve, a few listeners.
const OWN_DESCRIPTORS: usize = 16;

/// What to serve and how: every option has its meaning, and all of them go together.
pub(super) struct Options {
    plan: Plan,
    inherited: Inherited,
    model: Model,
    services: Services,
    limits: Limits,
    max_connections: Option<usize>,
    max_per_address: Option<usize>,
    /// As asked for; by default it depends on the machine.
    max_memory: Option<SizeLimit>,
    any_source_port: bool,
    drain: Duration,
    stats_interval: Option<Duration>,
    /// More than 1: processes of our own serve.
    workers: usize,
    /// The service ends the server by itself.
    then_exit: bool,
    /// Commands that may run at once.
    max_jobs: usize,
    allows_shell: bool,
}

impl Options {
    /// Gives the arguments their meaning, in a process that was given sockets to serve: all of them, or those that are named.
    ///
    /// # Errors
    /// As [`from_args`](Self::from_args).
    pub(super) fn with_inherited(mut args: ServeArgs, inherited: Inherited) -> Result<Self, String> {
        if args.listen.is_empty() {
            args.listen = inherited.addresses().into_iter().map(Listen::from).collect();
        }
        if args.workers.is_some_and(|workers| workers > 1) && !inherited.is_empty() {
            return Err("'--workers' cannot be used with inherited sockets (LISTEN_FDS): workers bind ports of their own; leave \
                        the option out, or start without LISTEN_FDS"
                .to_owned());
        }
        Ok(Self { inherited, ..Self::from_args(args)? })
    }

    /// Gives the arguments their meaning.
    ///
    /// # Errors
    /// Arguments that cannot be kept together: which, why, and what would be accepted.
    pub(super) fn from_args(mut args: ServeArgs) -> Result<Self, String> {
        settle_framing(&mut args)?;
        let plan = Plan::from_args(&args)?;
        check_framing(&args)?;
        check_model(&args)?;
        let limits = limits(&args)?;
        Ok(Self {
            services: services(&args, plan.has_datagrams())?,
            plan,
            inherited: Inherited::default(),
            model: args.model,
            limits,
            max_connections: args.max_connections,
            max_per_address: args.max_connections_per_ip,
            max_memory: args.max_memory,
            any_source_port: args.udp_any_source_port,
            drain: args.drain,
            stats_interval: args.stats_interval.0,
            workers: args.workers.unwrap_or(1),
            then_exit: args.then_exit,
            max_jobs: args.exec.max_jobs.unwrap_or(MAX_JOBS),
            allows_shell: args.exec.allow_shell,
        })
    }

    /// Reads the descriptor limit, so it is to be called after raising that.
    fn config(&self) -> Config {
        let defaults = Config::default();
        let most = match self.model {
            Model::Threads => defaults.max_connections.min(MAX_THREADS),
            _ => defaults.max_connections,
        };
        let (max_connections, over_limit) = match self.max_connections {
            Some(max) => (max, OverLimit::Refuse),
            None => (most, defaults.over_limit),
        };
        Config {
            limits: Limits { memory: self.max_memory(), ..self.limits.clone() },
            max_connections,
            over_limit,
            max_per_address: self.max_per_address,
            max_jobs: self.max_jobs,
            any_source_port: self.any_source_port,
            drain: self.drain,
            stats_interval: self.stats_interval,
            ..defaults
        }
    }

    /// What was asked for, or this process's share of half of what the machine has left. Where a thread waits for each
    /// write next to nothing is kept.
    fn max_memory(&self) -> Option<usize> {
        match self.max_memory {
            _ if is_blocking(self.model) => None,
            Some(SizeLimit(asked)) => asked,
            None => {
                let available = Machine::read().memory.room()?;
                usize::try_from(available).ok().map(|bytes| (bytes / 2 / self.workers).max(1))
            }
        }
    }
}

const fn is_blocking(model: Model) -> bool {
    matches!(model, Model::Threads | Model::Iterative)
}

/// Serves until a drain has ended or a second signal came.
///
/// # Errors
/// A listener that cannot be bound, a loop that died, a standard output that cannot be written.
pub(super) fn run(options: Options, member: Option<Member>) -> Result<Exit, Failure> {
    match member {
        None if options.workers > 1 => {
            let crew = Crew { workers: options.workers, drain: options.drain, then_exit: options.then_exit };
            crew.run()
        }
        None => serve(options, announce),
        Some(member) => work(options, Worker::new(member)),
    }
}

/// Serves as one of several processes. What goes wrong is said by the parent, once.
fn work(mut options: Options, mut worker: Worker) -> Result<Exit, Failure> {
    let outcome = worker.wait_bind().and_then(|resolved| {
        options.plan.share(resolved);
        serve(options, |addresses| worker.bound(addresses))
    });
    Ok(outcome.unwrap_or_else(|failure| worker.failed(&failure)))
}

/// Serves in this process. `announce` is called once everything is bound, before anybody is accepted.
fn serve(
    mut options: Options,
    announce: impl FnOnce(&[Address]) -> Result<(), Failure>,
) -> Result<Exit, Failure> {
    log_open_files(raise_open_files());
    warn_of_system_limits(&options);
    if options.allows_shell {
        warn_of_shell();
    }
    let config = options.config();
    if options.model != Model::Iterative {
        let (max, newcomers) = (config.max_connections, config.over_limit.effect());
        info!("connection limit max_connections={max} effect=\"{newcomers}\"");
    }
    if let Some(max) = config.limits.memory {
        info!("memory limit max_memory={max}");
    }
    let bound = options.plan.bind(std::mem::take(&mut options.inherited))?;
    let addresses: Vec<Address> = bound.iter().map(|bound| bound.address.clone()).collect();
    let hooks = &options.services.hooks;
    // Whoever reads where we listen may send a signal next: it has to be heard by then.
    let ready = || announce(&addresses).and_then(|()| start_printing(hooks));
    let outcome = model::run(options.model, config, bound, &options.services, ready);
    if let Some(printer) = &hooks.printer {
        printer.finish();
    }
    Ok(outcome?.signal.map_or(Exit::Done, Exit::Signal))
}

/// To be called when what is printed otherwise is printed.
fn start_printing(hooks: &Hooks) -> Result<(), Failure> {
    let Some(printer) = &hooks.printer else { return Ok(()) };
    printer.start().map_err(|error| Failure {
        exit: Exit::CouldNotRun,
        message: format!("cannot print messages: {error}"),
    })
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
    let asked = options.plan.streams.backlog;
    let somaxconn = std::fs::read_to_string("/proc/sys/net/core/somaxconn").ok();
    let somaxconn = somaxconn.and_then(|text| text.trim().parse::<i32>().ok());
    if let Some(max) = somaxconn.filter(|max| *max < asked) {
        warn!("the kernel cuts the backlog asked={asked} max={max} remedy=\"sysctl net.core.somaxconn\"");
    }
}

/// Options that have no meaning with this framing.
fn check_framing(args: &ServeArgs) -> Result<(), String> {
    let max = max_frame(args);
    match &args.framing {
        // It has messages of its own.
        _ if args.service == ServiceName::Http => {}
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

/// Options that have no meaning with this model.
fn check_model(args: &ServeArgs) -> Result<(), String> {
    let blocking = is_blocking(args.model);
    let iterative = args.model == Model::Iterative;
    let waits = "its writes wait until the peer reads, so nothing unsent is kept, and nobody has turns; use --model loop or \
                 spin, or leave the option out";
    let stacks = "its writes wait until the peer reads, so that next to nothing is kept; what a connection costs there is its \
                  thread: use --max-connections, or --model loop or spin";
    let one = "it serves one client at a time on each listener; leave the option out";
    for (option, given, without_meaning, why) in [
        ("--high-water", args.high_water.is_some(), blocking, waits),
        ("--low-water", args.low_water.is_some(), blocking, waits),
        ("--read-budget", args.read_budget.is_some(), blocking, waits),
        ("--max-memory", args.max_memory.is_some(), blocking, stacks),
        ("--max-connections", args.max_connections.is_some(), iterative, one),
        ("--max-connections-per-ip", args.max_connections_per_ip.is_some(), iterative, one),
    ] {
        if given && without_meaning {
            let model =
                args.model.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned());
            return Err(format!("'{option}' cannot be used with '--model {model}': {why}"));
        }
    }
    match args.max_connections {
        Some(max) if args.model == Model::Threads && max > MAX_THREADS => Err(format!(
            "'--max-connections {max}' is more than '--model threads' starts: expected at most {MAX_THREADS}; the loop \
             serves more"
        )),
        _ => Ok(()),
    }
}

fn limits(args: &ServeArgs) -> Result<Limits, String> {
    let defaults = Limits::default();
    let high_water = args.high_water.unwrap_or(defaults.high_water);
    let low_water = args.low_water.unwrap_or(high_water / 4);
    if low_water >= high_water {
        return Err(format!(
            "'--low-water {low_water}' is not below '--high-water {high_water}'; expected fewer bytes than that"
        ));
    }
    Ok(Limits {
        idle: args.idle_timeout.map_or(defaults.idle, |limit| limit.0),
        frame: args.frame_timeout.map_or(defaults.frame, |limit| limit.0),
        write: args.write_timeout.map_or(defaults.write, |limit| limit.0),
        linger: args.linger.unwrap_or(defaults.linger),
        high_water,
        low_water,
        read_budget: args.read_budget.unwrap_or(defaults.read_budget),
        datagrams: args.udp_queue.unwrap_or(defaults.datagrams),
        max_partial: max_frame(args).saturating_add(PARTIAL_SLACK),
        ..defaults
    })
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::super::args::{Args, Command};
    use super::*;
    use crate::os::datagrams::DatagramOptions;
    use crate::os::sockets::ListenOptions;

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
        assert_eq!(options.plan.streams, ListenOptions::default());
        assert_eq!(options.plan.datagrams, DatagramOptions::default());
        let config = options.config();
        let memory = config.limits.memory;
        assert!(memory.is_some_and(|bytes| bytes > 1 << 20), "{memory:?}");
        let limits = Limits { memory, ..Limits::default() };
        assert_eq!(config, Config { limits, ..Config::default() });
        let expected = ["tcp://127.0.0.1:9999", "udp://127.0.0.1:9999"].map(|text| text.parse().unwrap());
        assert_eq!(options.plan.addresses, expected);
    }

    #[test]
    fn every_option_reaches_what_it_sets() {
        let options = parse(&[
            "--framing=lines",
            "--max-connections=7",
            "--max-connections-per-ip=3",
            "--max-memory=1MiB",
            "--keepalive=6s",
            "--user-timeout=7s",
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
        assert_eq!((config.max_per_address, limits.memory), (Some(3), Some(1 << 20)));
        let streams = &options.plan.streams;
        assert_eq!((streams.backlog, streams.keepalive, streams.user_timeout), (5, secs(6), secs(7)));
    }

    #[test]
    fn udp_is_served_unasked_only_by_the_loop_and_where_the_service_has_a_form_for_it() {
        for (arguments, listeners) in [
            (&["greet"][..], 2),
            (&["discard"], 2),
            (&["once"], 1),
            (&["source"], 1),
            (&["--model=threads"], 1),
            (&["--model=spin"], 1),
            (&["greet", "--listen=udp://127.0.0.1:0"], 1),
            (&["ack", "--listen=udp://0.0.0.0:0", "--allow-amplification"], 1),
        ] {
            assert_eq!(parse(arguments).ok().unwrap().plan.addresses.len(), listeners, "{arguments:?}");
        }
    }

    #[test]
    fn options_about_sockets_reach_them() {
        let listen = ["--listen=unix:/a", "--listen=udp://127.0.0.1:0", "--unix-mode=660"];
        let others = ["--udp-recv-buffer=1MiB", "--udp-queue=7", "--udp-any-source-port"];
        let options = parse(&[listen, others].concat()).ok().unwrap();
        assert_eq!((options.plan.streams.unix_mode, options.plan.datagrams.recv_buffer), (0o660, 1 << 20));
        assert_eq!((options.limits.datagrams, options.config().any_source_port), (7, true));
        for mode in ["8", "1777", "rw", "+7", ""] {
            assert!(parse(&["--listen=unix:/a", &format!("--unix-mode={mode}")]).is_err(), "{mode}");
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
            (&["--listen=unix:/a", "--listen=unix:/a"], "twice"),
            (&["--listen=unix:/a", "--workers=2"], "SO_REUSEPORT"),
            (&["--listen=unix:@a", "--workers=2"], "SO_REUSEPORT"),
            (&["discard", "--print", "--workers=2"], "torn"),
            (&["--workers=1k"], "at most 256"),
            (&["--workers=0"], "at least 1"),
            (&["--listen=tcp://[::1]:1", "--unix-mode=660"], "unix:/run/my.sock"),
            (&["--listen=unix:@a", "--unix-mode=660"], "unix:/run/my.sock"),
            (&["--listen=unix:/a", "--udp-queue=1"], "udp://127.0.0.1:9999"),
            (&["--model=threads", "--allow-amplification"], "udp://127.0.0.1:9999"),
            (&["--listen=udp://[::1]:1", "--framing=lines"], "a datagram is a message already"),
            (&["--listen=udp://[::1]:1", "--idle-timeout=1s"], "a connection"),
            (&["--listen=udp://[::1]:1", "--max-connections=1"], "a connection"),
            (&["--listen=udp://[::1]:1", "--linger=1s"], "a connection"),
            (&["once", "--listen=udp://[::1]:1"], "a datagram has none"),
            (&["source", "--listen=udp://[::1]:1"], "a datagram has none"),
            (&["greet", "--listen=udp://0.0.0.0:1"], "--allow-amplification"),
            (&["ack", "--listen=udp://[::]:1"], "--allow-amplification"),
            (&["--model=threads", "--max-connections=10241"], "at most 10240"),
            (&["--model=threads", "--high-water=1k"], "--model threads"),
            (&["--model=iterative", "--low-water=1k"], "--model iterative"),
            (&["--model=threads", "--read-budget=1k"], "--model threads"),
            (&["--model=iterative", "--max-connections=2"], "one client at a time"),
            (&["--model=iterative", "--max-connections-per-ip=2"], "one client at a time"),
            (&["--model=threads", "--max-memory=1GiB"], "its thread"),
            (&["--model=iterative", "--max-memory=off"], "its thread"),
            (&["--listen=udp://[::1]:1", "--max-memory=1GiB"], "a connection"),
            (&["--listen=unix:/a", "--max-connections-per-ip=2"], "tcp://127.0.0.1:9999"),
            (&["--listen=unix:/a", "--keepalive=2s"], "tcp://127.0.0.1:9999"),
            (&["--listen=udp://[::1]:1", "--user-timeout=2s"], "tcp://127.0.0.1:9999"),
            (&["--keepalive=999ms"], "at least 1s"),
            (&["--keepalive=10h"], "at most 9h"),
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
