//! A conversation with many at once, by broadcast or multicast: whoever answers within the time is printed with its address.

use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use log::info;

use super::args::CallArgs;
use super::conversation::{Drained, Exchange, Line, Output};
use super::stop::Stop;
use crate::client::{ClientErrorKind, ManyClient};
use crate::os::multicast::{Interface, Sending};
use crate::os::resolve::Target;

/// Answers to one message that are printed at most: there is no bound on who may answer.
const MOST: usize = 65_536;

/// A socket and how long answers are waited for.
pub(super) struct Many {
    client: ManyClient,
    retries: u32,
    no_reply: bool,
    timeout: Duration,
}

impl Many {
    pub(super) const fn new(client: ManyClient, options: &super::Options) -> Self {
        Self { client, retries: options.retries, no_reply: options.no_reply, timeout: options.timeout }
    }

    /// Prints the next answer; `false` when none came in time.
    fn receive(&mut self, limit: Duration, out: &mut Output) -> Result<bool, Stop> {
        match self.client.receive(limit) {
            Ok((payload, from)) => out.whole_from(&from, payload).map(|()| true),
            Err(error) if matches!(error.kind(), ClientErrorKind::NoReply { .. }) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Prints every answer that comes within the time: how many.
    fn collect(&mut self, out: &mut Output) -> Result<usize, Stop> {
        let until = Instant::now() + self.timeout;
        for count in 0..MOST {
            let left = until.saturating_duration_since(Instant::now());
            if !self.receive(left, out)? {
                return Ok(count);
            }
        }
        let name = self.name();
        Err(Stop::failed(format!(
            "more than {MOST} answers from {name}: ask fewer, or with a shorter --timeout"
        )))
    }
}

impl Exchange for Many {
    fn greet(&mut self, _out: &mut Output) -> Result<Line, Stop> {
        Ok(Line::Open)
    }

    fn drain_once(&mut self, out: &mut Output) -> Result<Drained, Stop> {
        let printed = self.receive(Duration::ZERO, out)?;
        Ok(if printed { Drained::Printed } else { Drained::Nothing })
    }

    fn ask(&mut self, message: &[u8], _is_last: bool, out: &mut Output) -> Result<Line, Stop> {
        self.client.send(message)?;
        if self.no_reply {
            return Ok(Line::Open);
        }
        for retry in 1..=self.retries + 1 {
            if self.collect(out)? > 0 {
                return Ok(Line::Open);
            }
            if retry <= self.retries {
                info!("no reply, sending again address={} retry={retry} of={}", self.name(), self.retries);
                self.client.resend()?;
            }
        }
        Err(Stop::failed(format!(
            "nobody answered at {} within {:?}, times sent: {} (--retries sends it again, --timeout waits longer, \
             --no-reply is for receivers that answer nothing)",
            self.name(),
            self.timeout,
            self.retries + 1
        )))
    }

    fn end(&mut self, _out: &mut Output) -> Result<(), Stop> {
        Ok(())
    }

    fn name(&self) -> String {
        self.client.name()
    }
}

impl AsFd for Many {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.client.as_fd()
    }
}

/// The group that is called, where the host is numeric.
fn group(args: &CallArgs) -> Option<IpAddr> {
    let Target::Udp(host) = &args.url else { return None };
    host.numeric().map(|addr| addr.ip()).filter(IpAddr::is_multicast)
}

/// How datagrams are to leave, if many are asked at once.
///
/// # Errors
/// Options that this address cannot keep: which, why, and what would do.
pub(super) fn asked(args: &CallArgs) -> Result<Option<Sending>, String> {
    check(args)?;
    let sending = || Sending { ttl: args.multicast_ttl, interface: args.multicast_if.clone() };
    Ok((args.broadcast || group(args).is_some()).then(sending))
}

/// Options about many that are asked at once.
fn check(args: &CallArgs) -> Result<(), String> {
    let url = &args.url;
    let refuse = |option: &str, why: &str| Err(format!("'{option}' cannot be used with '{url}': {why}"));
    let group = group(args);
    if args.broadcast {
        match url {
            Target::Udp(_) if group.is_some() => {
                return refuse(
                    "--broadcast",
                    "it is a multicast group, which needs no permission; leave the option out",
                );
            }
            Target::Udp(host) if host.numeric().is_some_and(|addr| addr.is_ipv6()) => {
                return refuse(
                    "--broadcast",
                    "IPv6 has no broadcast; send to a group, such as udp://[ff02::1]:9999",
                );
            }
            Target::Udp(_) => {}
            _ => {
                return refuse(
                    "--broadcast",
                    "only datagrams reach many at once; call udp://, as in udp://192.168.1.255:9999",
                );
            }
        }
    }
    let only = "it is no multicast group; call one, as in udp://239.1.2.3:9999, or leave the option out";
    match (group, &args.multicast_if) {
        (None, Some(_)) => refuse("--multicast-if", only),
        (None, None) if args.multicast_ttl.is_some() => refuse("--multicast-ttl", only),
        (Some(IpAddr::V4(_)), Some(interface)) if !matches!(interface, Interface::Address(_)) => refuse(
            &format!("--multicast-if {interface}"),
            "a group of IPv4 takes the interface's address, as in 10.0.0.1",
        ),
        (Some(IpAddr::V6(_)), Some(Interface::Address(address))) => refuse(
            &format!("--multicast-if {address}"),
            "a group of IPv6 takes the interface's name or number, as in eth0",
        ),
        _ => Ok(()),
    }
}
