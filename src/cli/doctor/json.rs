//! A diagnosis as JSON. The names of the fields are a contract; `oneloop doctor --help` and docs/doctor.md have them.

use serde::Serialize;

use crate::doctor::{Check, Diagnosis, Effect, Remedy, UNLIMITED, Unit};

/// The object of `--json`, in one line.
pub(super) fn document(diagnosis: &Diagnosis) -> String {
    let text = serde_json::to_string(&Document::of(diagnosis));
    text.expect("names and numbers can always be written") + "\n"
}

#[derive(Debug, Serialize)]
struct Document<'a> {
    schema: &'static str,
    connections: u64,
    role: &'static str,
    model: &'static str,
    targets: Targets,
    sources: u128,
    processes: Processes,
    possible: bool,
    stopped_by: Option<&'static str>,
    first_limit: Option<&'static str>,
    most: Option<u64>,
    checks: Vec<Limit<'a>>,
    host: Host<'a>,
}

impl<'a> Document<'a> {
    fn of(diagnosis: &'a Diagnosis) -> Self {
        let question = diagnosis.question();
        let (targets, processes) = (&question.targets, diagnosis.processes());
        Self {
            schema: "oneloop.doctor/1",
            connections: question.connections,
            role: question.role.name(),
            model: question.model.name(),
            targets: Targets { tcp: targets.tcp, udp: targets.udp, unix: targets.unix },
            sources: question.sources.unwrap_or(1),
            processes: Processes { client: processes.client, server: processes.server },
            possible: diagnosis.is_possible(),
            stopped_by: diagnosis.stopping().map(|check| check.limit.key()),
            first_limit: diagnosis.first_limit().map(|check| check.limit.key()),
            most: diagnosis.most(),
            checks: diagnosis.checks().iter().map(Limit::of).collect(),
            host: Host { kernel: diagnosis.release(), cpus: diagnosis.cpus() },
        }
    }
}

#[derive(Debug, Serialize)]
struct Targets {
    tcp: u64,
    udp: u64,
    unix: u64,
}

#[derive(Debug, Serialize)]
struct Processes {
    client: u64,
    server: u64,
}

#[derive(Debug, Serialize)]
struct Limit<'a> {
    limit: &'static str,
    name: &'static str,
    setting: &'a str,
    unit: &'static str,
    needed: u64,
    there: Option<u64>,
    most: Option<u64>,
    known: bool,
    effect: &'static str,
    verdict: &'static str,
    why: &'a str,
    remedies: Remedies<'a>,
}

impl<'a> Limit<'a> {
    fn of(check: &'a Check) -> Self {
        Self {
            limit: check.limit.key(),
            name: check.limit.name(),
            setting: &check.setting,
            unit: match check.unit {
                Unit::Count => "count",
                Unit::Bytes => "bytes",
            },
            needed: check.needed,
            there: finite(check.there),
            most: finite(check.most),
            known: check.there.is_some(),
            effect: match check.effect {
                Effect::Stops => "stops",
                Effect::Slows => "slows",
            },
            verdict: check.verdict.name(),
            why: &check.why,
            remedies: Remedies {
                without_root: check.remedies.without_root.iter().map(Action::of).collect(),
                with_root: check.remedies.with_root.iter().map(Action::of).collect(),
            },
        }
    }
}

fn finite(number: Option<u64>) -> Option<u64> {
    number.filter(|number| *number != UNLIMITED)
}

#[derive(Debug, Serialize)]
struct Remedies<'a> {
    without_root: Vec<Action<'a>>,
    with_root: Vec<Action<'a>>,
}

#[derive(Debug, Serialize)]
struct Action<'a> {
    action: &'a str,
    most: Option<u64>,
}

impl<'a> Action<'a> {
    fn of(remedy: &'a Remedy) -> Self {
        Self { action: &remedy.action, most: finite(remedy.most) }
    }
}

#[derive(Debug, Serialize)]
struct Host<'a> {
    kernel: Option<&'a str>,
    cpus: Option<u64>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::{Machine, Question, examine};

    #[test]
    fn what_is_unknown_or_without_limit_is_null() {
        let mut machine = Machine::default();
        machine.files.epoll_watches = Some(UNLIMITED);
        let mut question = Question::new(10);
        question.sources = Some(u128::MAX);
        let text = document(&examine(&machine, &question));
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!((&value["possible"], &value["most"]), (&true.into(), &serde_json::Value::Null));
        assert!(text.contains(&format!("\"sources\":{},", u128::MAX)), "{text}");
        let checks = value["checks"].as_array().unwrap();
        let find = |limit: &str| checks.iter().find(|check| check["limit"] == limit).unwrap();
        for (limit, known) in [("epoll_watches", true), ("tcp_ports", false)] {
            let check = find(limit);
            assert_eq!(
                (&check["there"], &check["known"]),
                (&serde_json::Value::Null, &known.into()),
                "{check}"
            );
        }
    }
}
