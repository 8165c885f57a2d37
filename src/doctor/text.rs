//! A diagnosis as people read it: one line, or a table and what to do.

use std::fmt::Write;

use super::check::{Check, Effect, Remedies, Remedy, Verdict};
use super::diagnosis::Diagnosis;
use super::machine::UNLIMITED;
use super::number::{amount, grouped, several};
use super::question::{Model, Question, Role};

/// Columns of running text.
const WIDTH: usize = 100;

pub(super) fn line(diagnosis: &Diagnosis) -> String {
    format!("machine      {}", verdict(diagnosis))
}

/// Writing to a string never fails.
pub(super) fn full(diagnosis: &Diagnosis) -> String {
    let mut text = String::new();
    let cpus =
        diagnosis.cpus().map_or_else(String::new, |cpus| format!("   {}", several(cpus, "CPU", "CPUs")));
    let _ = writeln!(text, "doctor       {}{cpus}", asked(diagnosis.question()));
    let _ = writeln!(text, "{}\n", line(diagnosis));
    table(diagnosis, &mut text);
    for check in diagnosis.checks() {
        if matches!(check.verdict, Verdict::Stops | Verdict::Tight) {
            advice(check, diagnosis.question().connections, &mut text);
        }
    }
    text
}

/// The answer in a sentence.
fn verdict(diagnosis: &Diagnosis) -> String {
    let wanted = several(diagnosis.question().connections, "connection", "connections");
    if let Some(check) = diagnosis.stopping() {
        let most = check.most.map_or_else(String::new, |most| format!(" at {}", grouped(most)));
        return format!("NOT enough for {wanted}: {} stop{}{most}", check.limit.name(), verb_end(check));
    }
    let mut text = format!("enough for {wanted}");
    if let Some(check) = diagnosis.first_limit() {
        let most = check.most.unwrap_or(UNLIMITED);
        text += &format!("; the first limit is {}, at {}", check.limit.name(), grouped(most));
    }
    let processes = diagnosis.processes().most();
    if processes > 1 {
        text += &format!("; in {} processes", grouped(processes));
    }
    let tight: Vec<&str> = diagnosis
        .checks()
        .iter()
        .filter(|check| check.verdict == Verdict::Tight)
        .map(|check| check.limit.name())
        .collect();
    if !tight.is_empty() {
        text += &format!("; tight: {}", tight.join(", "));
    }
    text
}

/// `memory stops`, `local ports stop`.
fn verb_end(check: &Check) -> &'static str {
    let name = check.limit.name();
    let is_plural = name.contains("ports") || name.starts_with("descriptors") || name.contains("numbers");
    let is_plural = is_plural
        || ["threads", "tasks", "mappings", "open files", "epoll"].iter().any(|word| name.starts_with(word));
    if is_plural { "" } else { "s" }
}

fn asked(question: &Question) -> String {
    let who = match question.role {
        Role::Client => "client here",
        Role::Server => "server here",
        Role::Both => "client and server here",
    };
    let model = match question.model {
        Model::Threads if question.role.has_server() => "   a thread for each",
        _ => "",
    };
    let targets = &question.targets;
    let kinds: Vec<String> = [("TCP", targets.tcp), ("UDP", targets.udp), ("Unix", targets.unix)]
        .into_iter()
        .filter(|(_, count)| *count > 0)
        .map(|(name, count)| {
            format!("{} {name} {}", grouped(count), if count == 1 { "target" } else { "targets" })
        })
        .collect();
    let sources = match (question.role.has_client(), question.sources) {
        (true, Some(_)) => format!("   {}", several(question.source_count(), "source", "sources")),
        _ => String::new(),
    };
    let connections = several(question.connections, "connection", "connections");
    format!("{connections}   {who}{model}   {}{sources}", kinds.join(", "))
}

fn table(diagnosis: &Diagnosis, text: &mut String) {
    let _ =
        writeln!(text, "  {:<8} {:<24} {:>12} {:>12} {:>13}", "", "limit", "needed", "there", "enough for");
    for check in diagnosis.checks() {
        let name = match check.verdict {
            Verdict::Stops => "STOPS",
            other => other.name(),
        };
        let there = check.there.map_or_else(|| "unknown".to_owned(), |there| amount(there, check.unit));
        let most = match check.most {
            None => "unknown".to_owned(),
            Some(UNLIMITED) => "any number".to_owned(),
            Some(most) => grouped(most),
        };
        let at_once = if check.effect == Effect::Slows && check.most.is_some_and(|most| most != UNLIMITED) {
            " at once"
        } else {
            ""
        };
        let needed = amount(check.needed, check.unit);
        let _ = writeln!(
            text,
            "  {name:<8} {:<24} {needed:>12} {there:>12} {most:>13}{at_once}",
            check.limit.name()
        );
    }
}

fn advice(check: &Check, wanted: u64, text: &mut String) {
    let name = if check.verdict == Verdict::Stops { "STOPS" } else { "tight" };
    let _ = writeln!(text, "\n{name}   {}   {}", check.limit.name(), check.setting);
    for line in wrapped(&check.why, WIDTH - 2) {
        let _ = writeln!(text, "  {line}");
    }
    let Remedies { without_root, with_root } = &check.remedies;
    remedies("without root", without_root, wanted, text);
    remedies("with root", with_root, wanted, text);
}

fn remedies(title: &str, remedies: &[Remedy], wanted: u64, text: &mut String) {
    for (at, remedy) in remedies.iter().enumerate() {
        let title = if at == 0 { title } else { "" };
        let then = match remedy.most {
            Some(most) if most < wanted => format!("   then {}, not enough by itself", grouped(most)),
            Some(most) if most != UNLIMITED => format!("   then {}", grouped(most)),
            _ => String::new(),
        };
        let _ = writeln!(text, "  {title:<13}  {}{then}", remedy.action);
    }
}

/// Lines of at most so many characters, broken at blanks; a word is never broken.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::super::machine::{Files, Machine, Memory, Ports};
    use super::super::{examine, question};
    use super::*;

    fn machine() -> Machine {
        Machine {
            files: Files {
                soft: Some(1_024),
                hard: Some(20_000),
                nr_open: Some(1_048_576),
                ..Files::default()
            },
            ports: Ports { range: Some((32_768, 60_999)), reserved: 0 },
            memory: Memory { available: Some(24 << 30), cgroup_room: None },
            ..Machine::default()
        }
    }

    #[test]
    fn all_is_well_in_one_line() {
        assert_eq!(
            examine(&machine(), &Question::new(10_000)).line(),
            "machine      enough for 10,000 connections; the first limit is local TCP ports, at 28,232"
        );
    }

    #[test]
    fn what_stops_comes_first_with_its_number_and_remedies() {
        let diagnosis = examine(&machine(), &Question::new(100_000));
        assert_eq!(
            diagnosis.line(),
            "machine      NOT enough for 100,000 connections: local TCP ports stop at 28,232"
        );
        let text = diagnosis.text();
        for expected in [
            "doctor       100,000 connections   client and server here   1 TCP target\n",
            "STOPS    local TCP ports               100,000       28,232        28,232\n",
            "STOPS   local TCP ports   net.ipv4.ip_local_port_range 32768 60999\n",
            "--source 127.0.0.2-127.0.0.5   then 112,928\n",
            "sysctl -w net.ipv4.ip_local_port_range='1024 65535'   then 64,512, not enough by itself\n",
            "tight   descriptors per process",
            "take 6 processes",
            "serve --workers 6",
        ] {
            assert!(text.contains(expected), "no '{expected}' in:\n{text}");
        }
        assert!(text.find("STOPS   local") < text.find("tight   descriptors"), "{text}");
        assert!(text.lines().all(|line| line.trim_end() == line), "blanks at the end of a line:\n{text}");
    }

    #[test]
    fn what_is_unknown_is_said_to_be() {
        let text = examine(&Machine::default(), &Question::new(10)).text();
        assert!(text.contains("unknown  local TCP ports"), "{text}");
    }

    #[test]
    fn the_question_is_repeated() {
        let mut asked_for = Question::new(1);
        asked_for.role = question::Role::Server;
        asked_for.model = Model::Threads;
        assert_eq!(asked(&asked_for), "1 connection   server here   a thread for each   1 TCP target");
        asked_for.role = question::Role::Client;
        asked_for.sources = Some(1_000);
        assert_eq!(asked(&asked_for), "1 connection   client here   1 TCP target   1,000 sources");
    }

    #[test]
    fn long_text_is_wrapped_at_blanks() {
        assert_eq!(wrapped("aa bb cc dddddddd e", 5), ["aa bb", "cc", "dddddddd", "e"]);
    }
}
