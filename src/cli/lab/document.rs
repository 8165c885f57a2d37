//! A run as JSON. The names of the fields are a contract; docs/lab-json.md has them.

use std::collections::BTreeMap;
use std::fs;

use rustix::process::geteuid;
use rustix::system::uname;
use serde::{Deserialize, Serialize};

use super::child::Record;
use crate::lab::{Line, Number, Observation, Verdict};

pub(super) const SCHEMA: &str = "oneloop.lab/1";

/// Settings under /proc/sys/net that decide figures the lab prints.
const SETTINGS: [&str; 12] = [
    "core/rmem_default",
    "core/rmem_max",
    "core/somaxconn",
    "core/wmem_default",
    "core/wmem_max",
    "ipv4/ip_local_port_range",
    "ipv4/tcp_abort_on_overflow",
    "ipv4/tcp_rmem",
    "ipv4/tcp_syn_retries",
    "ipv4/tcp_syncookies",
    "ipv4/tcp_wmem",
    "unix/max_dgram_qlen",
];

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Document {
    pub(super) schema: String,
    pub(super) version: String,
    pub(super) host: Host,
    pub(super) experiments: Vec<Outcome>,
}

/// Where it ran.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Host {
    pub(super) system: String,
    pub(super) kernel: String,
    pub(super) machine: String,
    pub(super) cpus: usize,
    pub(super) root: bool,
    pub(super) private_network: bool,
    pub(super) settings: BTreeMap<String, String>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Outcome {
    pub(super) id: String,
    pub(super) group: String,
    pub(super) core: bool,
    pub(super) title: String,
    pub(super) claim: String,
    pub(super) verdict: Verdict,
    pub(super) reason: Option<String>,
    pub(super) observed: Vec<Observation>,
    pub(super) calls: Vec<Call>,
    pub(super) numbers: Vec<Number>,
    pub(super) took_ms: u64,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Call {
    /// What it was made for.
    pub(super) step: String,
    pub(super) call: String,
    pub(super) result: String,
}

impl Host {
    pub(super) fn here(private_network: bool) -> Self {
        let system = uname();
        let read = |name: &&str| {
            let value = fs::read_to_string(format!("/proc/sys/net/{name}")).ok()?;
            Some((
                format!("net.{}", name.replace('/', ".")),
                value.split_whitespace().collect::<Vec<_>>().join(" "),
            ))
        };
        Self {
            system: system.sysname().to_string_lossy().into_owned(),
            kernel: system.release().to_string_lossy().into_owned(),
            machine: system.machine().to_string_lossy().into_owned(),
            cpus: std::thread::available_parallelism().map_or(1, usize::from),
            root: geteuid().is_root(),
            private_network,
            settings: SETTINGS.iter().filter_map(read).collect(),
        }
    }

    /// One line.
    pub(super) fn line(&self) -> String {
        let user = if self.root { "root" } else { "not root" };
        let network = if self.private_network {
            "each experiment in a private network"
        } else {
            "NOT in a private network: other programs' connections are in the same tables"
        };
        format!("{} {} {}, cpus {}, {user}, {network}", self.system, self.kernel, self.machine, self.cpus)
    }
}

impl Document {
    pub(super) fn of(host: Host, records: Vec<Record>) -> Self {
        let experiments = records.into_iter().map(Outcome::of).collect();
        Self { schema: SCHEMA.to_owned(), version: env!("CARGO_PKG_VERSION").to_owned(), host, experiments }
    }

    /// In one line.
    pub(super) fn text(&self) -> String {
        serde_json::to_string(self).expect("texts and numbers can always be written") + "\n"
    }
}

impl Outcome {
    fn of(record: Record) -> Self {
        let one = record.entry.experiment;
        let mut outcome = Self {
            id: one.id.to_owned(),
            group: record.entry.group.name.to_owned(),
            core: one.core,
            title: one.title.to_owned(),
            claim: one.claim.to_owned(),
            verdict: record.verdict,
            reason: (!record.reason.is_empty()).then_some(record.reason),
            observed: Vec::new(),
            calls: Vec::new(),
            numbers: Vec::new(),
            took_ms: u64::try_from(record.took.as_millis()).unwrap_or(u64::MAX),
        };
        let mut step = String::new();
        for line in record.lines {
            match line {
                Line::Step { text } => step = text,
                Line::Call { call, result } => outcome.calls.push(Call { step: step.clone(), call, result }),
                Line::Observed(observation) => outcome.observed.push(observation),
                Line::Number(number) => outcome.numbers.push(number),
                Line::Verdict { .. } => {}
            }
        }
        outcome
    }
}
