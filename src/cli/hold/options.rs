//! Options checked together, and what each process gets of them.

use std::net::{IpAddr, Ipv4Addr};
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;
use std::time::Duration;

use super::args::{CloseName, HoldArgs};
use crate::address::Address;
use crate::cli::exit::Failure;
use crate::cli::targets::Lookup;
use crate::codec::Framing;
use crate::hold::{Content, Plan, Source, Words};
use crate::load::Sources;
use crate::os::resolve::Target;

/// Bytes of a message where nothing is said.
const SIZE: usize = 16;

/// Processes are started for at most so many connections: more than any machine has taken.
const MOST: usize = 10_000_000;

/// What to hold and how: every option has its meaning, and all of them go together.
pub(in super::super) struct Options {
    pub(super) targets: Vec<Target>,
    pub(super) connections: u32,
    pub(super) hold_for: Duration,
    pub(super) words: Option<Arc<Words>>,
    pub(super) in_flight: usize,
    pub(super) connect_rate: Option<usize>,
    pub(super) timeout: Duration,
    pub(super) reset_on_close: bool,
    pub(super) sources: Option<Sources>,
    pub(super) pids: Vec<u32>,
    pub(super) json: bool,
    pub(super) force: bool,
}

impl Options {
    /// # Errors
    /// Arguments that cannot be kept together: which, why, and what would be accepted.
    pub(in super::super) fn from_args(args: HoldArgs) -> Result<Self, String> {
        let connections = u32::try_from(args.connections).ok().filter(|count| *count as usize <= MOST);
        let has_unix = args.urls.iter().any(|target| matches!(target, Target::Unix(_)));
        if has_unix && args.source.is_some() {
            return Err(
                "'--source' is about network addresses, and a Unix socket has none; leave one of them out"
                    .to_owned(),
            );
        }
        Ok(Self {
            words: words(&args)?,
            targets: args.urls,
            connections: connections
                .ok_or_else(|| format!("'--connections {}': expected at most {MOST}", args.connections))?,
            hold_for: args.hold_for,
            in_flight: args.in_flight,
            connect_rate: args.connect_rate,
            timeout: args.timeout,
            reset_on_close: args.close == CloseName::Rst,
            sources: args.source,
            pids: args.pid,
            json: args.json,
            force: args.force,
        })
    }

    /// One address for each target, in their order.
    ///
    /// # Errors
    /// A name has no address, or none of the family of `--source`.
    pub(super) fn addresses(&self) -> Result<Vec<Address>, Failure> {
        let (limit, sources) = (self.timeout, self.sources);
        Lookup { command: "hold", limit, sources }.addresses(&self.targets)
    }

    /// Where connections come from: as asked, or, on loopback, from as many addresses as it takes.
    pub(super) fn chosen_sources(&self, targets: &[Address]) -> Option<Sources> {
        let is_loopback = |target: &Address| {
            target.socket_addr().is_some_and(|addr| addr.is_ipv4() && addr.ip().is_loopback())
        };
        if self.sources.is_some() || !targets.iter().all(is_loopback) {
            return self.sources;
        }
        // The kernel finds a free port quickly while half of them are free (ip(7), ip_local_port_range).
        let each = u64::from(self.connections).div_ceil(targets.len() as u64);
        let count = each.div_ceil((local_ports() / 2).max(1));
        let first = IpAddr::V4(Ipv4Addr::LOCALHOST);
        (count > 1).then_some(Sources { first, count: u128::from(count) })
    }

    /// What one of `processes` processes opens: `connections`, the first of them being number `first`.
    pub(super) fn plan(&self, targets: Vec<Address>, share: Share) -> Plan {
        // Numbers of targets and of sources may have common divisors: all sources are used towards each target.
        let (sources, apart) = (self.chosen_sources(&targets), targets.len());
        Plan {
            source: sources.map(|sources| Source::new(move |number| sources.of(number as usize / apart))),
            targets,
            first: share.first,
            connections: share.connections,
            words: self.words.clone(),
            in_flight: self.in_flight,
            connect_rate: self.connect_rate.map(|rate| rate as f64 / f64::from(share.processes)),
            timeout: self.timeout,
            reset_on_close: self.reset_on_close,
        }
    }
}

/// What one process opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Share {
    pub(super) first: u32,
    pub(super) connections: u32,
    /// How many processes there are.
    pub(super) processes: u32,
}

impl Share {
    /// Deals connections out evenly, no process having more than `room`.
    pub(super) fn all(connections: u32, room: u32) -> Vec<Self> {
        let processes = connections.div_ceil(room.max(1)).max(1);
        let (each, more) = (connections / processes, connections % processes);
        let mut first = 0;
        let share = |number| {
            let share = Self { first, connections: each + u32::from(number < more), processes };
            first += share.connections;
            share
        };
        (0..processes).map(share).collect()
    }
}

/// Ports of one local address towards one target.
fn local_ports() -> u64 {
    let text = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
    let mut ends = text.split_whitespace().filter_map(|number| number.parse::<u64>().ok());
    match (ends.next(), ends.next()) {
        (Some(low), Some(high)) if low <= high => high - low + 1,
        _ => 28_232,
    }
}

fn words(args: &HoldArgs) -> Result<Option<Arc<Words>>, String> {
    if args.no_exchange {
        return Ok(None);
    }
    let fixed = match args.framing {
        Framing::Fixed(size) => size.get() as usize,
        _ => SIZE,
    };
    let (option, content) = match &args.message {
        Some(text) => ("--message", Content::Fixed(text.as_bytes().to_vec())),
        None => ("--size", Content::Pattern(args.size.unwrap_or(fixed))),
    };
    let words = Words::new(&args.framing, content).map_err(|error| {
        format!(
            "'{option}' does not fit '--framing {}': {error}; choose another framing, --size or --message",
            args.framing
        )
    })?;
    Ok(Some(Arc::new(words)))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::super::super::args::{Args, Command};
    use super::*;

    fn parse(arguments: &[&str]) -> Result<Options, String> {
        let args =
            Args::try_parse_from(["oneloop", "hold"].iter().chain(arguments)).map_err(|e| e.to_string())?;
        let Command::Hold(hold) = args.command else { panic!("it holds") };
        Options::from_args(*hold)
    }

    #[test]
    fn connections_are_dealt_out_evenly_and_each_once() {
        for (connections, room, expected) in [
            (10, 100, &[10][..]),
            (100, 100, &[100]),
            (101, 100, &[51, 50]),
            (10, 3, &[3, 3, 2, 2]),
            (2, 0, &[1, 1]),
        ] {
            let shares = Share::all(connections, room);
            assert_eq!(shares.iter().map(|share| share.connections).collect::<Vec<_>>(), expected);
            let mut next = 0;
            for share in shares {
                assert_eq!((share.first, share.processes as usize), (next, expected.len()));
                next += share.connections;
            }
        }
    }

    #[test]
    fn on_loopback_ports_are_had_from_as_many_addresses_as_it_takes() {
        let loopback = ["tcp://127.0.0.1:9".parse::<Address>().unwrap()];
        let many = format!("--connections={}", local_ports() * 2);
        let chosen =
            |arguments: &[&str], targets: &[Address]| parse(arguments).ok().unwrap().chosen_sources(targets);
        let url = "tcp://127.0.0.1:9";
        assert_eq!(chosen(&[url], &loopback), None);
        let four = Some(Sources { first: "127.0.0.1".parse().unwrap(), count: 4 });
        assert_eq!(chosen(&[url, &many], &loopback), four);
        assert_eq!(chosen(&[url, &many], &["tcp://10.0.0.1:9".parse().unwrap()]), None);
        assert_eq!(chosen(&[url, &many], &[loopback[0].clone(), "tcp://[::1]:9".parse().unwrap()]), None);
    }

    #[test]
    fn every_target_is_reached_from_every_source() {
        let options =
            parse(&["tcp://127.0.0.1:9", "tcp://127.0.0.1:8", "--source=127.0.0.1-127.0.0.2"]).ok().unwrap();
        let targets: Vec<Address> = options.addresses().ok().unwrap();
        let plan = options.plan(targets, Share { first: 0, connections: 4, processes: 1 });
        let source = plan.source.unwrap();
        let pairs: std::collections::BTreeSet<_> =
            (0..4).map(|number| (number % 2, source.of(number))).collect();
        assert_eq!(pairs.len(), 4);
    }

    #[test]
    fn what_cannot_be_kept_together_is_refused() {
        for (arguments, expected) in [
            (&["udp://127.0.0.1:9"][..], "UDP has no connections"),
            (&["unix:/a", "--source=127.0.0.1"], "Unix socket has none"),
            (&["unix:/a", "--framing=delimited:ab"], "--message"),
            (&["unix:/a", "--framing=fixed:9", "--size=8"], "fixed:9"),
            (&["unix:/a", "--message="], "no bytes"),
            (&["unix:/a", "--connections=11m"], "at most 10000000"),
            (&["unix:/a", "--connections=0"], "at least 1"),
            (&["unix:/a", "--timeout=0"], "at least 1ms"),
            (&["unix:/a", "--no-exchange", "--size=1"], "cannot be used with"),
            (&["unix:/a", "--for=soon"], "250ms"),
        ] {
            let error = parse(arguments).err().unwrap();
            assert!(error.contains(expected), "{arguments:?}: {error}");
        }
    }
}
