//! The service asked for, made of the arguments: options checked with it, and a factory for the reactor.

use std::fmt;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use clap::ValueEnum;

use super::args::{ServeArgs, ServiceName};
use super::sink::Printer;
use super::text::{check_sending, encoded};
use crate::address::Address;
use crate::codec::{
    DEFAULT_MAX_FRAME, Decoder, Delimited, Encoder, Fixed, FrameError, Framing, LengthPrefixed, Lines, Raw,
};
use crate::services::{
    Ack, AckConfig, DEFAULT_ACK, DEFAULT_REPLY, Discard, Echo, Greet, GreetConfig, Hosts, Http, HttpConfig,
    OnReplied, Once, OnceConfig, Root, Sink, Source,
};
use crate::session::{DatagramFactory, EachDatagram, Factory, Framed, Service, datagram_factory, factory};

/// What is served, in the forms in which the listeners take it.
pub(super) struct Services {
    /// For connections.
    pub(super) stream: Factory,
    /// For datagrams, where they are listened for.
    pub(super) datagrams: Option<DatagramFactory>,
    /// What the service calls that comes into being with the run.
    pub(super) hooks: Hooks,
}

/// What a service calls and what the arguments alone cannot give: it is put in when the program runs.
#[derive(Default)]
pub(super) struct Hooks {
    /// Where messages are printed (`--print`).
    pub(super) printer: Option<Printer>,
    stop: Arc<OnceLock<Box<dyn Fn() + Send + Sync>>>,
}

impl Hooks {
    fn from_args(args: &ServeArgs) -> Self {
        Self { printer: args.print.then(Printer::default), ..Self::default() }
    }

    /// What ends the server for `--then-exit`. May be called more than once, in any thread that serves.
    pub(super) fn stop_with(&self, stop: impl Fn() + Send + Sync + 'static) {
        // A second one is a second run, and there is none.
        let _ = self.stop.set(Box::new(stop));
    }

    /// Where this carrier's messages are printed.
    fn sink<C: Carrier>(&self, args: &ServeArgs) -> Option<Sink> {
        let printer = self.printer.as_ref()?;
        let stream = C::CONVERSES && args.framing == Framing::Raw;
        Some(args.encoding.map_or_else(|| printer.sink(), |encoding| printer.text_sink(encoding, stream)))
    }

    fn on_replied(&self) -> OnReplied {
        let stop = Arc::clone(&self.stop);
        OnReplied::new(move || {
            if let Some(stop) = stop.get() {
                stop();
            }
        })
    }
}

/// A way in which messages come and go, and what is made of a service for it: a factory, or whatever a transport needs.
///
/// Generic, so that every service is compiled for it by itself and nothing is decided per message.
pub(super) trait Carrier {
    /// What a service becomes.
    type Made;

    /// Whether there are conversations that can be ended. Without them `exit` is a text like any other, and a service
    /// that is about the end of a conversation cannot be had.
    const CONVERSES: bool;

    /// Makes it of a template, which is cloned for each conversation, or for each message where there are none.
    ///
    /// # Errors
    /// Something in `owed`, which the service is bound to send, cannot be carried.
    fn carry<S>(self, service: S, owed: &[Owed<'_>]) -> Result<Self::Made, String>
    where
        S: Service + Clone + Send + Sync + 'static;
}

/// What a service is bound to send, and how an error calls it.
pub(super) type Owed<'a> = (&'static str, &'a [u8]);

/// Makes everything that the arguments ask for.
///
/// # Errors
/// Options that mean nothing to the service, or cannot be kept with its framing.
pub(super) fn services(args: &ServeArgs, with_datagrams: bool) -> Result<Services, String> {
    check_options(args)?;
    let hooks = Hooks::from_args(args);
    let stream = match args.service {
        ServiceName::Source => source(args)?,
        ServiceName::Exec => super::exec::service(args)?,
        ServiceName::Http => http(args)?,
        _ => choose(args, &hooks, Behind(args))?,
    };
    let datagrams = if with_datagrams { Some(choose(args, &hooks, Each)?) } else { None };
    Ok(Services { stream, datagrams, hooks })
}

/// The largest message asked for.
pub(super) fn max_frame(args: &ServeArgs) -> usize {
    args.max_frame.unwrap_or(DEFAULT_MAX_FRAME)
}

/// Options that only some services know.
fn check_options(args: &ServeArgs) -> Result<(), String> {
    use ServiceName::{Ack, Discard, Exec, Greet, Http, Once};
    let exec = args.exec.given().map(|(option, given)| (option, given, &[Exec][..]));
    for (option, given, knowing) in exec.into_iter().chain([
        ("--banner", args.banner.is_some(), &[Greet][..]),
        ("--delay", args.delay.is_some(), &[Greet]),
        ("--reply", args.reply.is_some(), &[Ack, Once]),
        ("--print", args.print, &[Ack, Discard, Once]),
        ("--then-exit", args.then_exit, &[Once]),
        ("--encoding", args.encoding.is_some(), &[Ack, Discard, Greet, Once]),
        ("--root", args.root.is_some(), &[Http]),
        ("--host", !args.hosts.is_empty(), &[Http]),
        ("--max-body", args.max_body.is_some(), &[Http]),
    ]) {
        if given && !knowing.contains(&args.service) {
            let service = args.service;
            return Err(format!(
                "'{option}' cannot be used with 'serve {service}': only {} it, as in 'serve {}'",
                who_know(knowing),
                knowing[0]
            ));
        }
    }
    check_encoding(args)
}

/// An encoding needs a text to be about, and one that is sent must be for sending.
fn check_encoding(args: &ServeArgs) -> Result<(), String> {
    match args.service {
        ServiceName::Discard if args.encoding.is_some() && !args.print => Err(
            "'--encoding' has nothing to act on with 'serve discard', which answers nothing; it goes with --print".to_owned(),
        ),
        ServiceName::Discard => Ok(()),
        service => check_sending(args.encoding, &format!("serve {service}")),
    }
}

/// A text of ours as it is sent.
fn in_encoding(args: &ServeArgs, option: &str, text: &str) -> Result<Vec<u8>, String> {
    let Some(encoding) = args.encoding else { return Ok(text.into()) };
    encoded(encoding, text.as_bytes()).map_err(|why| format!("{option}: {why}"))
}

/// `once knows`, or `ack, discard and once know`.
fn who_know(services: &[ServiceName]) -> String {
    let names: Vec<String> = services.iter().map(ToString::to_string).collect();
    match names.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} and {last} know", rest.join(", ")),
        _ => format!("{} knows", names.concat()),
    }
}

fn source(args: &ServeArgs) -> Result<Factory, String> {
    if args.framing != Framing::Raw {
        return Err(format!(
            "'--framing {}' cannot be used with 'serve source': it sends one endless stream, not messages; leave the \
             option out",
            args.framing
        ));
    }
    Ok(factory(|_| Source::default()))
}

fn http(args: &ServeArgs) -> Result<Factory, String> {
    if args.framing != Framing::Raw {
        return Err(format!(
            "'--framing {}' cannot be used with 'serve http': HTTP says itself where its messages end; leave the option out",
            args.framing
        ));
    }
    if args.max_frame.is_some() {
        return Err("'--max-frame' cannot be used with 'serve http': heads have fixed limits (docs/http.md), and bodies \
                    --max-body"
            .to_owned());
    }
    let defaults = HttpConfig::default();
    let config = Arc::new(HttpConfig {
        root: args.root.as_deref().map(open_root).transpose()?,
        hosts: Hosts::new(args.hosts.clone()),
        max_body: args.max_body.map_or(defaults.max_body, |size| size as u64),
        patience: args.frame_timeout.map_or(defaults.patience, |limit| limit.0),
        dates: defaults.dates,
    });
    // What connects to a Unix socket is no browser, and there is no name by which it was led here.
    Ok(factory(move |peer| Http::new(Arc::clone(&config), !matches!(peer.local, Address::Unix(_)))))
}

fn open_root(path: &Path) -> Result<Root, String> {
    let root = Root::open(path).map_err(|error| {
        format!("'--root {}' cannot be served: {error}; expected a folder that may be read", path.display())
    })?;
    if !root.follows_links() {
        log::warn!("this kernel has no openat2(2): symbolic links below --root are not followed");
    }
    Ok(root)
}

/// Makes the service asked for what `carrier` makes of it.
fn choose<C: Carrier>(args: &ServeArgs, hooks: &Hooks, carrier: C) -> Result<C::Made, String> {
    match args.service {
        ServiceName::Echo => carrier.carry(Echo, &[]),
        ServiceName::Greet => greet(args, carrier),
        ServiceName::Ack => ack(args, hooks, carrier),
        ServiceName::Discard => carrier.carry(Discard::new(hooks.sink::<C>(args)), &[]),
        ServiceName::Once if C::CONVERSES => once(args, hooks, carrier),
        ServiceName::Once | ServiceName::Source | ServiceName::Exec | ServiceName::Http => Err(format!(
            "'serve {}' needs connections: a datagram has no end it could be about; listen on tcp:// or unix:",
            args.service
        )),
    }
}

fn greet<C: Carrier>(args: &ServeArgs, carrier: C) -> Result<C::Made, String> {
    if let Framing::Fixed(size) = args.framing {
        return Err(format!(
            "'--framing fixed:{size}' cannot be used with 'serve greet': its answers are longer than its messages; \
             choose another framing"
        ));
    }
    let config = GreetConfig {
        // The answer needs no encoding: it is ASCII, which every encoding for sending has as it is.
        banner: in_encoding(args, "'--banner'", args.banner.as_deref().unwrap_or_default())?,
        delay: args.delay.unwrap_or_default(),
        strip_line_end: !C::CONVERSES || args.framing == Framing::Raw,
        exit: C::CONVERSES,
    };
    let banner = config.banner.clone();
    carrier.carry(Greet::new(Arc::new(config)), &[("the answer", b"Hello, !"), ("'--banner'", &banner)])
}

fn ack<C: Carrier>(args: &ServeArgs, hooks: &Hooks, carrier: C) -> Result<C::Made, String> {
    let reply = reply(args, DEFAULT_ACK)?;
    let config = AckConfig {
        reply: reply.clone(),
        strip_line_end: !C::CONVERSES || args.framing == Framing::Raw,
        exit: C::CONVERSES,
        sink: hooks.sink::<C>(args),
    };
    carrier.carry(Ack::new(Arc::new(config)), &[(reply_name(args), &reply)])
}

fn once<C: Carrier>(args: &ServeArgs, hooks: &Hooks, carrier: C) -> Result<C::Made, String> {
    let reply = reply(args, DEFAULT_REPLY)?;
    let on_replied = args.then_exit.then(|| hooks.on_replied());
    let config = OnceConfig { reply: reply.clone(), sink: hooks.sink::<C>(args), on_replied };
    carrier.carry(Once::new(Arc::new(config)), &[(reply_name(args), &reply)])
}

fn reply(args: &ServeArgs, default: &str) -> Result<Vec<u8>, String> {
    in_encoding(args, reply_name(args), args.reply.as_deref().unwrap_or(default))
}

const fn reply_name(args: &ServeArgs) -> &'static str {
    if args.reply.is_some() { "'--reply'" } else { "the reply" }
}

/// Connections: the service behind the codec asked for.
struct Behind<'a>(&'a ServeArgs);

impl Carrier for Behind<'_> {
    type Made = Factory;
    const CONVERSES: bool = true;

    fn carry<S>(self, service: S, owed: &[Owed<'_>]) -> Result<Factory, String>
    where
        S: Service + Clone + Send + Sync + 'static,
    {
        let args = self.0;
        let max = max_frame(args);
        let made = match &args.framing {
            Framing::Raw => behind(Raw, service, owed),
            Framing::Lines => behind(Lines::new(max), service, owed),
            Framing::Delimited(text) => behind(
                Delimited::new(text, max).expect("the parser refuses an empty delimiter"),
                service,
                owed,
            ),
            Framing::Fixed(size) => behind(Fixed::new(*size), service, owed),
            Framing::Len16 => behind(LengthPrefixed::len16(max), service, owed),
            Framing::Len32 => behind(LengthPrefixed::len32(max), service, owed),
            Framing::Len32Le => behind(LengthPrefixed::len32le(max), service, owed),
        };
        made.map_err(|(what, error)| {
            let ServeArgs { service, framing, .. } = args;
            format!("{what} of {service} does not fit '--framing {framing}': {error}; choose another framing or text")
        })
    }
}

/// Datagrams: each is a conversation of one message, and needs no codec.
struct Each;

impl Carrier for Each {
    type Made = DatagramFactory;
    const CONVERSES: bool = false;

    fn carry<S>(self, service: S, _owed: &[Owed<'_>]) -> Result<DatagramFactory, String>
    where
        S: Service + Clone + Send + Sync + 'static,
    {
        Ok(datagram_factory(move |_| EachDatagram::new(service.clone())))
    }
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

impl fmt::Display for ServiceName {
    /// As it is written after `serve`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.to_possible_value().map_or(Ok(()), |value| f.write_str(value.get_name()))
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::super::args::{Args, Command};
    use super::*;
    use crate::codec::Framing;

    fn args(arguments: &[&str]) -> ServeArgs {
        let args = Args::try_parse_from(["oneloop", "serve"].iter().chain(arguments)).unwrap();
        let Command::Serve(serve) = args.command else { panic!("not serve") };
        *serve
    }

    #[test]
    fn every_service_that_needs_no_connection_is_made_for_datagrams() {
        for name in ["echo", "greet", "ack", "discard"] {
            assert!(services(&args(&[name]), true).unwrap().datagrams.is_some(), "{name}");
        }
        for name in ["once", "source", "http"] {
            let error = services(&args(&[name]), true).err().unwrap();
            assert!(error.contains(&format!("'serve {name}' needs connections")), "{error}");
        }
    }

    #[test]
    fn every_service_is_made_for_connections() {
        for name in ["echo", "greet", "ack", "discard", "once", "source", "http"] {
            assert!(services(&args(&[name]), false).is_ok(), "{name}");
        }
        for (name, framing) in [("ack", "fixed:9"), ("once", "fixed:10"), ("discard", "fixed:1")] {
            let mut args = args(&[name]);
            args.framing = framing.parse::<Framing>().unwrap();
            assert!(services(&args, false).is_ok(), "{name} {framing}");
        }
    }

    #[test]
    fn whoever_knows_an_option_is_named() {
        use ServiceName::{Ack, Discard, Once};
        for (services, expected) in [
            (&[Once][..], "once knows"),
            (&[Ack, Once], "ack and once know"),
            (&[Ack, Discard, Once], "ack, discard and once know"),
        ] {
            assert_eq!(who_know(services), expected);
        }
    }

    #[test]
    fn only_what_is_asked_for_is_wired() {
        for (arguments, printing) in [(&["discard", "--print"][..], true), (&["discard"], false)] {
            assert_eq!(services(&args(arguments), false).unwrap().hooks.printer.is_some(), printing);
        }
    }
}
