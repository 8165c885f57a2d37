//! Whether the target or the generator was what limited a run.

use super::plan::Arrival;
use super::report::{ErrorKind, Generator, Report, Verdict};

/// A thread that was busy for more than this share had no time to wait for the target.
const BUSY: f64 = 0.95;

/// A schedule that one request in a hundred missed by more than this, in nanoseconds, was not kept.
const LATE: u64 = 1_000_000;

/// A thread that was busy for less than this share, and yet late, did not get the processor when it wanted it.
const IDLE: f64 = 0.5;

/// Decides on a report that is complete but for its verdict.
pub(super) fn decide(report: &Report) -> Verdict {
    let Generator { busy, loops, .. } = report.generator;
    if let Some((why, remedy)) = exhausted(report) {
        return Verdict::GeneratorBound { why, remedy };
    }
    if busy > BUSY {
        let why = format!("the generator was {:.0} % busy", busy * 100.0);
        return Verdict::GeneratorBound { why, remedy: more_loops(loops) };
    }
    let late = report.lag.value_at_quantile(0.99);
    if matches!(report.arrival, Arrival::Open(_)) && !report.lag.is_empty() && late > LATE {
        let why =
            format!("one request in a hundred left {:.1} ms or more after its moment", late as f64 / 1e6);
        let remedy = if busy < IDLE {
            "something else had the processor: stop other programs, give target and generator processors of their own \
             (taskset, --pin), or use another machine"
                .to_owned()
        } else {
            more_loops(loops)
        };
        return Verdict::GeneratorBound { why, remedy };
    }
    Verdict::Valid
}

/// Connections that this machine could not make were never the target's.
fn exhausted(report: &Report) -> Option<(String, String)> {
    let (files, ports) =
        (report.errors.of(ErrorKind::DescriptorLimit), report.errors.of(ErrorKind::AddressExhausted));
    if files > 0 {
        let remedy = "raise the open-files limit (ulimit -n), want fewer connections, or let hold spread them over processes";
        return Some((format!("{files} connections had no descriptor"), remedy.to_owned()));
    }
    let remedy = "give more addresses (--source 127.0.0.2-127.0.0.9 on loopback), more target ports, or want fewer connections";
    (ports > 0).then(|| (format!("{ports} connections had no local port"), remedy.to_owned()))
}

fn more_loops(loops: usize) -> String {
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    if loops < cpus {
        format!("give it more threads (--loops {})", (loops * 2).min(cpus))
    } else {
        "offer less (-r RATE, fewer connections), or generate from another machine as well".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::sample;

    fn of(report: &Report) -> String {
        match decide(report) {
            Verdict::GeneratorBound { why, remedy } => format!("{why}: {remedy}"),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn a_run_in_which_the_generator_had_time_is_valid() {
        assert_eq!(of(&sample::open()), "Valid");
    }

    #[test]
    fn a_busy_generator_is_given_more_threads_and_a_starved_one_a_processor() {
        let mut report = sample::open();
        report.generator.busy = 0.97;
        assert!(of(&report).starts_with("the generator was 97 % busy: "));
        report.generator.busy = 0.1;
        report.lag.reset();
        report.lag.record(5_000_000).unwrap();
        let verdict = of(&report);
        assert!(verdict.starts_with("one request in a hundred left 5.0 ms or more"), "{verdict}");
        assert!(verdict.contains("something else had the processor"), "{verdict}");
    }

    #[test]
    fn what_this_machine_could_not_do_is_not_the_targets_fault() {
        let mut report = sample::open();
        report.errors.add(ErrorKind::DescriptorLimit, 3);
        assert!(of(&report).starts_with("3 connections had no descriptor: raise"));
    }
}
