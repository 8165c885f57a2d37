//! Whether the target or the generator was what limited a run.

use super::plan::{Arrival, Plan};
use super::report::{Generator, Report, Verdict};

/// A thread that was busy for more than this share had no time to wait for the target.
const BUSY: f64 = 0.95;

/// A schedule that one request in a hundred missed by more than this, in nanoseconds, was not kept.
const LATE: u64 = 1_000_000;

/// Decides on a report that is complete but for its verdict.
pub(super) fn decide(plan: &Plan, report: &Report) -> Verdict {
    let Generator { busy, loops, .. } = report.generator;
    let more_loops = || {
        let cpus = std::thread::available_parallelism().map_or(1, usize::from);
        if loops < cpus {
            format!("give it more threads (--loops {})", (loops * 2).min(cpus))
        } else {
            "offer less (-r RATE, fewer connections), or generate from another machine as well".to_owned()
        }
    };
    if busy > BUSY {
        let why = format!("the generator was {:.0} % busy", busy * 100.0);
        return Verdict::GeneratorBound { why, remedy: more_loops() };
    }
    let late = report.lag.value_at_quantile(0.99);
    if matches!(plan.arrival, Arrival::Open(_)) && !report.lag.is_empty() && late > LATE {
        let why =
            format!("one request in a hundred left {:.1} ms or more after its moment", late as f64 / 1e6);
        return Verdict::GeneratorBound { why, remedy: more_loops() };
    }
    Verdict::Valid
}
