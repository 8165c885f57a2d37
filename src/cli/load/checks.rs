//! Arguments that cannot be kept together, each refused with its reason and a remedy.

use std::thread;

use super::args::{CloseName, LoadArgs, ProtocolName};
use super::http;
use crate::codec::Framing;
use crate::load::{Expectation, Metric, Times};
use crate::os::resolve::Target;

/// Goes through everything that needs nothing but the arguments.
///
/// # Errors
/// What, why, and what would be accepted.
pub(super) fn check(args: &LoadArgs) -> Result<(), String> {
    args.urls.iter().try_for_each(|url| check_target(args, &url.target))?;
    http::check(args)?;
    check_protocol(args)?;
    check_arrival(args)?;
    check_crowd(args)?;
    check_find(args)?;
    args.fail_if.iter().try_for_each(|condition| check_condition(args, "--fail-if", condition))?;
    args.find.iter().try_for_each(|condition| check_condition(args, "--find", condition))
}

/// Whether every target is a datagram socket.
pub(super) fn is_all_udp(args: &LoadArgs) -> bool {
    args.urls.iter().all(|url| url.target.is_datagram())
}

/// Whether any target is a datagram socket.
pub(super) fn has_udp(args: &LoadArgs) -> bool {
    args.urls.iter().any(|url| url.target.is_datagram())
}

/// Refuses the first option that is given and means nothing with `with`.
pub(super) fn refuse_given(with: &str, options: &[(&str, bool, &str)]) -> Result<(), String> {
    for (option, given, why) in options {
        if *given {
            return Err(format!("'{option}' cannot be used with '{with}': {why}"));
        }
    }
    Ok(())
}

/// Options that this kind of address cannot keep.
fn check_target(args: &LoadArgs, url: &Target) -> Result<(), String> {
    let with = url.to_string();
    let resets = args.close == Some(CloseName::Rst);
    match url {
        Target::Unixgram(_) => {
            return Err(format!(
                "'{with}' cannot be loaded: a Unix datagram waits for room in its receiver's queue instead of being lost, so that \
                 the generator would measure its own waiting; load unix: or udp://"
            ));
        }
        Target::Udp(_) => {
            let framing = format!("--framing {}", args.framing);
            let no_end = "a datagram socket has no connection that ends; leave the option out";
            let endless = "it sends one endless stream, and datagrams are none; load tcp:// or unix:";
            let unbounded =
                "datagrams that nobody answers hold nothing back; say with --rate how many are sent a second";
            refuse_given(
                &with,
                &[
                    (
                        &framing,
                        args.framing != Framing::Raw,
                        "a datagram is a message already; leave the option out",
                    ),
                    ("--banner", has_banner(args), "nobody speaks first over UDP; leave the option out"),
                    ("--lifetime", args.lifetime.is_some(), no_end),
                    ("--close", args.close.is_some(), no_end),
                    (
                        "--connect-rate",
                        args.connect_rate.is_some(),
                        "datagram sockets connect to nobody; leave it out",
                    ),
                    ("--protocol source", args.protocol == ProtocolName::Source, endless),
                    (
                        "--protocol discard",
                        args.protocol == ProtocolName::Discard && args.rate.is_none() && args.find.is_none(),
                        unbounded,
                    ),
                ],
            )?;
        }
        Target::Unix(_) => refuse_given(
            &with,
            &[
                (
                    "--source",
                    args.source.is_some(),
                    "a Unix socket has no local IP address; leave the option out",
                ),
                ("--close rst", resets, "a Unix socket leaves nothing behind anyway; leave the option out"),
            ],
        )?,
        Target::Tcp(_) => {}
    }
    check_family(args, url)
}

fn check_family(args: &LoadArgs, url: &Target) -> Result<(), String> {
    let (Some(sources), Target::Tcp(host) | Target::Udp(host)) = (args.source, url) else { return Ok(()) };
    match host.numeric() {
        Some(addr) if addr.is_ipv4() != sources.first.is_ipv4() => Err(format!(
            "'--source' is {} and '{url}' is not: nothing can be connected; give addresses of the target's family",
            if sources.first.is_ipv4() { "IPv4" } else { "IPv6" }
        )),
        _ => Ok(()),
    }
}

/// Options that mean nothing to what the target does.
fn check_protocol(args: &LoadArgs) -> Result<(), String> {
    let with = format!("--protocol {}", args.protocol.name());
    let framing = format!("--framing {}", args.framing);
    let untimed = "nothing is answered, so that there is no latency; leave the option out";
    match args.protocol {
        ProtocolName::Source => {
            let sent = "the target is sent nothing, it sends by itself; leave the option out";
            let framed = args.framing != Framing::Raw;
            refuse_given(
                &with,
                &[
                    ("--rate", args.rate.is_some(), sent),
                    ("--find", args.find.is_some(), sent),
                    ("--send", args.send.is_some(), sent),
                    ("--pipeline", args.pipeline.is_some(), sent),
                    (&framing, framed, "it is one endless stream, not messages; leave the option out"),
                    ("--banner", has_banner(args), "the stream begins at once; leave the option out"),
                    ("--hlog", args.hlog.is_some(), untimed),
                    ("--plot", args.plot.is_some(), untimed),
                ],
            )
        }
        ProtocolName::Discard => {
            let silent = "nothing comes back; leave the option out";
            refuse_given(
                &with,
                &[
                    ("--pipeline", args.pipeline.is_some(), silent),
                    ("--no-verify", args.no_verify, silent),
                    ("--banner", has_banner(args), silent),
                    ("--hlog", args.hlog.is_some(), untimed),
                    ("--plot", args.plot.is_some(), untimed),
                ],
            )
        }
        ProtocolName::Greet => {
            let fixed = matches!(args.framing, Framing::Fixed(_));
            let longer = "an answer is 8 bytes longer than its name; choose another framing";
            let merged = args.pipeline.is_some_and(|many| many > 1)
                && args.framing == Framing::Raw
                && !is_all_udp(args);
            let merges = "in a raw stream a name is what one read returns, so that several on their way become one; \
                          choose a framing, as in --framing lines";
            refuse_given(&with, &[(&framing, fixed, longer), ("--pipeline", merged, merges)])
        }
        ProtocolName::Echo => Ok(()),
    }
}

/// Whether the target says anything first. An empty banner is none.
pub(super) fn has_banner(args: &LoadArgs) -> bool {
    args.banner.as_ref().is_some_and(|banner| !banner.is_empty())
}

fn check_arrival(args: &LoadArgs) -> Result<(), String> {
    let (Some(rate), Some(requests)) = (args.rate, args.requests) else { return Ok(()) };
    if !rate.is_constant() && args.duration.is_none() {
        return Err(format!(
            "'--rate {}:{}' climbs over a time, and '--requests {requests}' has none; give --duration too",
            rate.from, rate.to
        ));
    }
    match args.warmup {
        Some(warmup) if rate.from * warmup.as_secs_f64() >= requests as f64 => Err(format!(
            "'--requests {requests}' are over before '--warmup {warmup:?}' is, at {} per second, so that nothing would \
             be measured; ask for more, or for a shorter warm-up",
            rate.from
        )),
        _ => Ok(()),
    }
}

/// More of one thing than there is of another.
fn check_crowd(args: &LoadArgs) -> Result<(), String> {
    let LoadArgs { connections, loops, .. } = *args;
    let targets = args.urls.len();
    if targets > connections {
        return Err(format!(
            "'--connections {connections}' are too few for {targets} targets, some would get none; give at least \
             {targets}"
        ));
    } else if loops > connections {
        return Err(format!(
            "'--loops {loops}' are more than '--connections {connections}', some would have nothing to do; give at \
             most {connections}"
        ));
    }
    let processors = thread::available_parallelism().map_or(1, usize::from);
    if args.pin && loops > processors {
        return Err(format!(
            "'--pin' gives each of '--loops {loops}' a processor of its own, and there are {processors}; give at most \
             --loops {processors}, or leave --pin out"
        ));
    }
    Ok(())
}

fn check_find(args: &LoadArgs) -> Result<(), String> {
    if args.find.is_none() {
        return Ok(());
    }
    let climbs = args.rate.is_some_and(|rate| !rate.is_constant());
    refuse_given(
        "--find",
        &[
            ("--requests", args.requests.is_some(), "every rate is tried for the same time; give --duration"),
            ("--rate A:B", climbs, "it starts at one rate and finds the others itself; give that one"),
            ("--json-stream", args.json_stream, "its object has all steps; give --json"),
            ("--hlog", args.hlog.is_some(), "it runs many times; find the rate first, then log a run at it"),
            ("--plot", args.plot.is_some(), "it runs many times; find the rate first, then draw a run at it"),
        ],
    )
}

/// Conditions about what is not measured.
fn check_condition(args: &LoadArgs, option: &str, condition: &Expectation) -> Result<(), String> {
    use ProtocolName::{Discard, Source};
    let protocol = args.protocol;
    let refuse = |why: &str| Err(format!("'{option} {condition}' cannot be told: {why}"));
    match condition.metric() {
        Metric::Time(Times::Connect, _) if is_all_udp(args) => {
            refuse("datagram sockets connect to nobody; leave it out")
        }
        Metric::Time(Times::Corrected | Times::Service, _) if protocol == Source => {
            refuse("nothing is sent, so that nothing is answered late; ask for the rate")
        }
        Metric::Time(Times::Corrected | Times::Service, _) if protocol == Discard => {
            refuse("nothing comes back, so that nothing is late; ask for the rate")
        }
        Metric::Lost | Metric::LostShare if !has_udp(args) => {
            refuse("only datagrams are lost; ask for errors or unanswered, or load udp://")
        }
        Metric::Lost | Metric::LostShare | Metric::Unanswered if matches!(protocol, Discard | Source) => {
            refuse("there are no answers; leave it out")
        }
        Metric::Mismatches if protocol == Discard => refuse("nothing comes back; leave it out"),
        Metric::Mismatches if args.no_verify => refuse("nothing is compared; leave out '--no-verify'"),
        Metric::Rate if option == "--find" => {
            refuse("the rate is what is searched; give what must hold at it, as in 'p99<5ms'")
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::support::parse;
    use crate::cli::exit::Exit;

    const TCP: &str = "tcp://127.0.0.1:1";
    const UDP: &str = "udp://127.0.0.1:1";
    const UNIX: &str = "unix:/a";

    #[test]
    fn values_that_are_none_are_refused() {
        for (arguments, expected) in [
            (&[][..], &["<URL>"][..]),
            (&["127.0.0.1:1"], &["'127.0.0.1:1'", "tcp://HOST:PORT"]),
            (&["http://h:0"], &["'http://h:0'", "1 to 65535"]),
            (&["https://h:1"], &["'https://h:1'", "TLS"]),
            (&["ws://h:1"], &["'ws://h:1'", "tcp://HOST:PORT"]),
            (&["tcp://h:0"], &["'tcp://h:0'", "port 0"]),
            (&[TCP, "-c", "0"], &["'0'", "at least 1"]),
            (&[TCP, "-c", "10x"], &["'10x'", "10k"]),
            (&[TCP, "-n", "0"], &["'0'", "at least 1"]),
            (&[TCP, "-r", "0"], &["'0'", "at least 1", "10k:50k"]),
            (&[TCP, "-r", "50/s"], &["'50/s'", "10k:50k"]),
            (&[TCP, "-d", "0"], &["'0'", "at least 1ms"]),
            (&[TCP, "-d", "10"], &["'10'", "250ms"]),
            (&[TCP, "--warmup", "-1s"], &["'-1s'", "250ms"]),
            (&[TCP, "--timeout", "0s"], &["'0s'", "at least 1ms"]),
            (&[TCP, "--connect-timeout", "0"], &["'0'", "at least 1ms"]),
            (&[TCP, "--lifetime", "0"], &["'0'", "at least 1ms"]),
            (&[TCP, "--connect-rate", "0"], &["'0'", "at least 1"]),
            (&[TCP, "--pipeline", "0"], &["'0'", "at least 1"]),
            (&[TCP, "--loops", "0"], &["'0'", "at least 1"]),
            (&[TCP, "--size", "0"], &["'0'", "at least 1"]),
            (&[TCP, "--size", "64KB"], &["'64KB'", "64KiB"]),
            (&[TCP, "--size", "17MiB"], &["'17MiB'", "16MiB"]),
            (&[TCP, "--size", "1", "--send", "x"], &["--size", "--send"]),
            (&[TCP, "--json", "--json-stream"], &["--json", "--json-stream"]),
            (&[TCP, "--protocol", "ehco"], &["'ehco'", "echo", "discard"]),
            (&[TCP, "--framing", "line"], &["'line'", "lines"]),
            (&[TCP, "--close", "abort"], &["'abort'", "rst"]),
            (&[TCP, "--source", "lo"], &["'lo'", "127.0.0.0/24"]),
            (&[TCP, "--fail-if", "p99>5"], &["'p99>5'", "at 6", "us, ms or s", "\n  p99>5\n       ^"]),
            (&[TCP, "--find", "p99"], &["'p99'", "at 4", ">="]),
            (&[TCP, "--send", ""], &["'--send'", "at least one"]),
            (&[TCP, "--send", "@"], &["'--send @'", "@FILE"]),
        ] {
            assert_refused(arguments, expected);
        }
    }

    #[test]
    fn options_that_mean_nothing_to_the_target_are_refused() {
        for (arguments, expected) in [
            (&[UDP, "--lifetime=1s"][..], &["'--lifetime'", UDP, "leave the option out"][..]),
            (&[TCP, UDP, "--lifetime=1s"], &["'--lifetime'", UDP]),
            (&[UDP, "--close=fin"], &["'--close'", UDP]),
            (&[UDP, "--framing=lines"], &["'--framing lines'", UDP, "a message already"]),
            (&[UDP, "--banner=hi"], &["'--banner'", UDP]),
            (&[UDP, "--connect-rate=1"], &["'--connect-rate'", UDP]),
            (&[UDP, "--protocol=source"], &["'--protocol source'", UDP, "tcp://"]),
            (&[UDP, "--protocol=discard"], &["'--protocol discard'", UDP, "--rate"]),
            (&[UDP, "--size=15"], &["'--size 15'", "at least 16", "--no-verify"]),
            (&[UDP, "--protocol=greet", "--size=23"], &["'--size 23'", "at least 24"]),
            (&[UDP, "--size=65508"], &["65508", "65507"]),
            (&[UDP, "--protocol=greet", "--size=65500"], &["65500", "65507"]),
            (&[UNIX, "--source=127.0.0.1"], &["'--source'", UNIX]),
            (&[UNIX, "--close=rst"], &["'--close rst'", UNIX]),
            (&[TCP, "--source=::1"], &["'--source'", "IPv6", TCP]),
            (&["tcp://[::1]:1", "--source=127.0.0.1"], &["'--source'", "IPv4", "tcp://[::1]:1"]),
            (&[TCP, "-c1", "--loops=2"], &["'--loops 2'", "at most 1"]),
            (&[TCP, UNIX, "-c1"], &["'--connections 1'", "at least 2"]),
            (&[TCP, "-c1k", "--loops=1000", "--pin"], &["'--pin'", "'--loops 1000'"]),
        ] {
            assert_refused(arguments, expected);
        }
    }

    #[test]
    fn options_that_mean_nothing_to_the_protocol_are_refused() {
        for (arguments, expected) in [
            (
                &["--protocol=greet", "--pipeline=2"][..],
                &["'--pipeline'", "--protocol greet", "--framing lines"][..],
            ),
            (&["--protocol=greet", "--framing=fixed:8"], &["'--framing fixed:8'", "another framing"]),
            (&["--protocol=greet", "--framing=delimited:, "], &["delimited:, ", "another framing"]),
            (
                &["--protocol=greet", "--framing=delimited:a!", "--send=a"],
                &["delimited:a!", "another framing"],
            ),
            (&["--protocol=greet", "--size=1401"], &["1401", "at most 1400", "--framing lines"]),
            (&["--protocol=greet", "--send=exit"], &["'--send exit'", "another name"]),
            (&["--protocol=greet", "--send=a\r\n"], &["'--send'", "leave the line end out"]),
            (&["--protocol=greet", "--framing=len16", "--size=65530"], &["'--size 65530'", "len32"]),
            (&["--protocol=source", "-r1"], &["'--rate'", "--protocol source"]),
            (&["--protocol=source", "--find=errors<1"], &["'--find'", "--protocol source"]),
            (&["--protocol=source", "--send=x"], &["'--send'", "--protocol source"]),
            (&["--protocol=source", "--pipeline=1"], &["'--pipeline'", "--protocol source"]),
            (&["--protocol=source", "--framing=lines"], &["'--framing lines'", "--protocol source"]),
            (&["--protocol=source", "--banner=x"], &["'--banner'", "--protocol source"]),
            (&["--protocol=source", "--plot=x"], &["'--plot'", "no latency"]),
            (&["--protocol=discard", "-r9", "--hlog=x"], &["'--hlog'", "no latency"]),
            (&["--protocol=discard", "--pipeline=2"], &["'--pipeline'", "nothing comes back"]),
            (&["--protocol=discard", "--no-verify"], &["'--no-verify'", "nothing comes back"]),
            (&["--protocol=discard", "--banner=x"], &["'--banner'", "nothing comes back"]),
            (&["--framing=fixed:8", "--size=9"], &["'--size 9'", "fixed:8"]),
            (&["--framing=fixed:8", "--send=abc"], &["'--send'", "fixed:8", "exactly 8"]),
            (&["--framing=fixed:99999999"], &["fixed:99999999", "16777216"]),
            (&["--framing=len16", "--size=65536"], &["'--size 65536'", "len32"]),
            (&["--framing=lines", "--send=a\nb"], &["'--send'", "lines", "delimiter"]),
            (&["--framing=delimited:;", "--send=a;b"], &["'--send'", "delimited:;", "delimiter"]),
            (&["--framing=lines", "--banner=a\nb"], &["'--banner'", "lines"]),
        ] {
            assert_refused(&[&[TCP], arguments].concat(), expected);
        }
    }

    #[test]
    fn times_rates_and_conditions_that_cannot_be_are_refused() {
        for (arguments, expected) in [
            (&[TCP, "-r1k:2k", "-n9"][..], &["'--rate 1000:2000'", "--duration"][..]),
            (&[TCP, "-r1k", "-n999", "--warmup=1s"], &["'--requests 999'", "'--warmup 1s'"]),
            (&[TCP, "--find=p99<5ms", "-n9"], &["'--requests'", "--find", "--duration"]),
            (&[TCP, "--find=p99<5ms", "-r1:2"], &["'--rate A:B'", "--find"]),
            (&[TCP, "--find=p99<5ms", "--json-stream"], &["'--json-stream'", "--json"]),
            (&[TCP, "--find=p99<5ms", "--hlog=x"], &["'--hlog'", "--find"]),
            (&[TCP, "--find=p99<5ms", "--plot=x"], &["'--plot'", "--find"]),
            (&[TCP, "--find=rate>5"], &["'--find rate>5'", "p99<5ms"]),
            (&[TCP, "--fail-if=loss>0"], &["'--fail-if loss>0'", "udp://"]),
            (&[UDP, "--fail-if=connect.p99>1s"], &["connect.p99>1s", "leave it out"]),
            (&[TCP, "--no-verify", "--fail-if=mismatches>0"], &["mismatches>0", "--no-verify"]),
            (&[TCP, "--protocol=discard", "--fail-if=mismatches>0"], &["mismatches>0", "nothing comes back"]),
            (&[TCP, "--protocol=discard", "--fail-if=unanswered>0"], &["unanswered>0", "no answers"]),
            (&[UDP, "--protocol=discard", "-r1", "--fail-if=loss>1%"], &["loss>1%", "no answers"]),
            (&[TCP, "--protocol=discard", "-r1k", "--fail-if=p99>1s"], &["p99>1s", "the rate"]),
            (&[TCP, "--protocol=source", "--fail-if=p99>1s"], &["p99>1s", "the rate"]),
        ] {
            assert_refused(arguments, expected);
        }
    }

    #[test]
    fn what_makes_sense_for_every_target_is_taken() {
        for arguments in [
            &[TCP, UDP, UNIX][..],
            &[UDP, "--protocol=discard", "-r1k", "--size=1"],
            &[UDP, "--send=Travis"],
            &[UDP, "--protocol=greet", "--pipeline=4", "--send=exit"],
            &[UDP, "--banner=", "--source=127.0.0.0/8", "--connect-timeout=1s"],
            &[TCP, "--protocol=greet", "--framing=lines", "--pipeline=9", "--banner=Welcome", "--size=2000"],
            &[TCP, "--protocol=greet", "--pipeline=1"],
            &[TCP, "--protocol=source", "--size=1MiB", "--fail-if=rate<1"],
            &[UNIX, "--close=fin", "--lifetime=1s"],
            &["tcp://no.such.host:1", "--source=::1"],
            &[TCP, "-r1k", "-n1001", "--warmup=1s"],
            &[TCP, "--framing=delimited:;", "--send=@@x"],
        ] {
            assert!(parse(arguments).is_ok(), "{arguments:?}: {:?}", parse(arguments).err());
        }
    }

    #[track_caller]
    fn assert_refused(arguments: &[&str], expected: &[&str]) {
        let failure = parse(arguments).err().unwrap_or_else(|| panic!("{arguments:?} is taken"));
        assert_eq!(failure.exit, Exit::Usage, "{arguments:?}: {}", failure.message);
        for text in expected {
            assert!(failure.message.contains(text), "{arguments:?}: no {text} in: {}", failure.message);
        }
    }
}
