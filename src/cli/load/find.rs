//! `--find`: a run for each rate, shown as it ends, and at last the highest that holds.

use std::io::{self, Write};

use serde::Serialize;

use super::host::Host;
use super::json::{Micros, line, verdict};
use super::numbers::{count, duration, quantile, rate};
use super::options::{Find, Format, Options};
use super::output::Output;
use super::progress::Progress;
use super::text::targets;
use super::{Watch, could_not};
use crate::address::Address;
use crate::cli::exit::{Exit, Failure};
use crate::load::{self, Arrival, Content, Found, Judgement, Plan, Profile, Report, Verdict, judge, search};

/// One rate that was tried.
struct Step {
    rate: f64,
    judgement: Judgement,
    report: Report,
}

/// Searches, and prints what was found.
///
/// # Errors
/// A run could not be made at all.
pub(super) fn run(options: &Options, find: &Find, watch: &Watch) -> Result<Exit, Failure> {
    let mut plan = options.plan.clone();
    let mut out = Output::new(io::stdout().lock());
    let mut steps = Vec::new();
    let mut failed = None;
    let is_text = options.format == Format::Text;
    say(&mut out, is_text, &title(options, find));
    let found = search(find.first, |rate| {
        plan.arrival = Arrival::Open(Profile::constant(rate));
        match try_rate(&plan, watch) {
            Ok(report) => {
                let judgement = judge(rate, &find.goal, &options.fail_if, &report);
                let step = Step { rate, judgement: judgement.clone(), report };
                say(&mut out, is_text, &step.describe());
                steps.push(step);
                if out.is_unread() { Judgement::Stop } else { judgement }
            }
            Err(failure) => {
                failed = Some(failure);
                Judgement::Stop
            }
        }
    });
    if let Some(failure) = failed {
        return Err(could_not(watch, &failure));
    }
    out.put(&if is_text {
        conclusion(&found, &steps, find)
    } else {
        line(&Document::of(options, find, &found, &steps))
    });
    out.finish()?;
    Ok(exit(&found, &steps, watch.interrupt.signal()))
}

/// A run in which the generator was the limit says nothing about the target: it is tried once more.
fn try_rate(plan: &Plan, watch: &Watch) -> Result<Report, load::Failure> {
    let once = || {
        let progress = Progress::new(watch.level);
        let ran = load::run(plan, &watch.stop, &mut |second| progress.second(second));
        progress.finish();
        ran
    };
    let first = once()?;
    if matches!(first.verdict, Verdict::GeneratorBound { .. }) { once() } else { Ok(first) }
}

/// The steps belong to the result, unless that is one object.
fn say(out: &mut Output<impl Write>, is_text: bool, text: &str) {
    if is_text {
        out.put(text);
    } else {
        // Nobody is left to be told when it fails.
        let _ = writeln!(io::stderr().lock(), "{text}");
    }
}

fn title(options: &Options, find: &Find) -> String {
    let plan = &options.plan;
    let warmup = if plan.warmup.is_zero() {
        String::new()
    } else {
        format!(" (+ {} warm-up excluded)", duration(plan.warmup))
    };
    format!(
        "find {}   {}   {} connections   {} for each rate{warmup}",
        find.goal,
        named(plan),
        count(plan.connections as u64),
        duration(plan.duration.unwrap_or_default())
    )
}

/// Where the requests go: what is asked for, where that is more than an address.
fn named(plan: &Plan) -> String {
    match &plan.exchange.content {
        Content::Requests(requests) => {
            requests.iter().map(|request| request.url.as_str()).collect::<Vec<_>>().join(" ")
        }
        Content::Pattern(_) | Content::Fixed(_) => targets(&plan.targets),
    }
}

impl Step {
    fn describe(&self) -> String {
        let latency = &self.report.corrected;
        let measured = format!("p50 {}  p99 {} ms", quantile(latency, 0.5), quantile(latency, 0.99));
        let (word, why) = match &self.judgement {
            Judgement::Holds => ("holds", String::new()),
            Judgement::Fails { why, .. } => ("fails", format!("   {why}")),
            Judgement::Stop => ("stopped", String::new()),
        };
        format!("{:>13}/s   {word:<7}   {measured}{why}", rate(self.rate))
    }
}

/// The step that tried the lowest rate that failed.
fn lowest_failed<'a>(found: &Found, steps: &'a [Step]) -> Option<&'a Step> {
    let rate = found.fails?;
    steps.iter().rfind(|step| step.rate.to_bits() == rate.to_bits())
}

/// Whether the search ended where the generator did, not the target.
fn is_generator_bound(found: &Found, steps: &[Step]) -> bool {
    let bound = |step: &Step| matches!(step.judgement, Judgement::Fails { is_generator_bound: true, .. });
    lowest_failed(found, steps).is_some_and(bound)
}

fn conclusion(found: &Found, steps: &[Step], find: &Find) -> String {
    let goal = &find.goal;
    let remedy = match lowest_failed(found, steps).map(|step| &step.report.verdict) {
        Some(Verdict::GeneratorBound { remedy, .. }) => {
            format!(
                "\n             INVALID, the generator was the limit there, not the target\n             {remedy}"
            )
        }
        _ => String::new(),
    };
    let text = match (found.holds, found.fails) {
        (Some(holds), Some(fails)) if !found.is_stopped => {
            format!("{}/s holds {goal}, {}/s does not", rate(holds), rate(fails))
        }
        (Some(holds), _) => format!("{}/s holds {goal}, more was not tried", rate(holds)),
        (None, Some(fails)) => format!("no rate holds {goal}, down to {}/s", rate(fails)),
        (None, None) => "nothing: no run came to its end".to_owned(),
    };
    format!("found        {text}{remedy}")
}

fn exit(found: &Found, steps: &[Step], signal: Option<i32>) -> Exit {
    match signal {
        Some(signal) if found.is_stopped => Exit::Signal(signal),
        _ if is_generator_bound(found, steps) => Exit::NotValid,
        _ if found.holds.is_none() && !found.is_stopped => Exit::ExpectationFailed,
        _ => Exit::Done,
    }
}

/// The object of `--find --json`; docs/load-json.md has its fields.
#[derive(Debug, Serialize)]
struct Document {
    schema: &'static str,
    target: String,
    targets: Vec<String>,
    condition: String,
    fail_if: Vec<String>,
    connections: usize,
    found_rate: Option<f64>,
    failed_rate: Option<f64>,
    generator_bound: bool,
    interrupted: bool,
    steps: Vec<Tried>,
    host: Host,
    version: &'static str,
}

#[derive(Debug, Serialize)]
struct Tried {
    rate: f64,
    achieved_rate: f64,
    holds: Option<bool>,
    why: Option<String>,
    latency_us: Micros,
    errors: u64,
    verdict: &'static str,
}

impl Document {
    fn of(options: &Options, find: &Find, found: &Found, steps: &[Step]) -> Self {
        let plan = &options.plan;
        Self {
            schema: "oneloop.find/1",
            target: targets(&plan.targets),
            targets: plan.targets.iter().map(Address::to_string).collect(),
            condition: find.goal.to_string(),
            fail_if: options.fail_if.iter().map(ToString::to_string).collect(),
            connections: plan.connections,
            found_rate: found.holds,
            failed_rate: found.fails,
            generator_bound: is_generator_bound(found, steps),
            interrupted: found.is_stopped,
            steps: steps.iter().map(Tried::of).collect(),
            host: Host::here(),
            version: env!("CARGO_PKG_VERSION"),
        }
    }
}

impl Tried {
    fn of(step: &Step) -> Self {
        let (holds, why) = match &step.judgement {
            Judgement::Holds => (Some(true), None),
            Judgement::Fails { why, .. } => (Some(false), Some(why.clone())),
            Judgement::Stop => (None, None),
        };
        Self {
            rate: step.rate,
            achieved_rate: step.report.achieved_rate(),
            holds,
            why,
            latency_us: Micros::of(&step.report.corrected),
            errors: step.report.errors.total(),
            verdict: verdict(&step.report.verdict).0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::support::{assert_documented, parse};
    use super::*;
    use crate::load::sample;

    /// A search by the reports that its runs make of a rate.
    fn searched(first: f64, report: impl Fn(f64) -> Report) -> (Options, Find, Found, Vec<Step>) {
        let mut options =
            parse(&["tcp://127.0.0.1:9999", "--find=p99<5ms", "--fail-if=mismatches>0"]).unwrap();
        options.plan.targets = sample::open().targets;
        let find = Find { first, ..options.find.clone().unwrap() };
        let mut steps = Vec::new();
        let found = search(find.first, |rate| {
            let report = report(rate);
            let judgement = judge(rate, &find.goal, &options.fail_if, &report);
            steps.push(Step { rate, judgement: judgement.clone(), report });
            judgement
        });
        (options, find, found, steps)
    }

    fn at(rate: f64) -> Report {
        Report {
            offered_rate: Some(rate),
            requests: 30 * rate.to_string().parse::<u64>().unwrap(),
            answered_in_time: 30 * rate.to_string().parse::<u64>().unwrap(),
            ..sample::open()
        }
    }

    /// Up to 45,000 per second are answered.
    fn limited(rate: f64) -> Report {
        at(rate.min(45_000.0))
    }

    #[test]
    fn the_search_is_shown_step_by_step() {
        let (options, find, found, steps) = searched(20_000.0, limited);
        let mut text = format!("\n{}\n", title(&options, &find));
        for step in &steps {
            text.push_str(&step.describe());
            text.push('\n');
        }
        text.push_str(&conclusion(&found, &steps, &find));
        assert_eq!(
            text,
            "
find p99<5ms   tcp://127.0.0.1:9999   100 connections   10 s for each rate (+ 1 s warm-up excluded)
       20,000/s   holds     p50 0.31  p99 2.10 ms
       40,000/s   holds     p50 0.31  p99 2.10 ms
       80,000/s   fails     p50 0.31  p99 2.10 ms   only 56.2 % of it was achieved
       60,000/s   fails     p50 0.31  p99 2.10 ms   only 75.0 % of it was achieved
       50,000/s   fails     p50 0.31  p99 2.10 ms   only 90.0 % of it was achieved
       45,000/s   holds     p50 0.31  p99 2.10 ms
       47,500/s   fails     p50 0.31  p99 2.10 ms   only 94.7 % of it was achieved
       46,250/s   fails     p50 0.31  p99 2.10 ms   only 97.3 % of it was achieved
found        45,000/s holds p99<5ms, 46,250/s does not"
        );
        assert_eq!(exit(&found, &steps, None), Exit::Done);
    }

    #[test]
    fn where_the_generator_is_the_limit_the_result_is_not_valid() {
        let (_, find, found, steps) = searched(20_000.0, |rate| {
            let verdict = if rate > 40_000.0 { sample::generator_bound().verdict } else { Verdict::Valid };
            Report { verdict, ..at(rate) }
        });
        let text = conclusion(&found, &steps, &find);
        assert!(text.starts_with("found        40,000/s holds p99<5ms, 4"), "{text}");
        assert!(text.contains("INVALID") && text.ends_with("give it more threads with --loops 2"), "{text}");
        assert_eq!(exit(&found, &steps, None), Exit::NotValid);
    }

    #[test]
    fn where_no_rate_holds_an_expectation_has_failed() {
        let (_, find, found, steps) = searched(4.0, |rate| Report { mismatches: 1, ..at(rate) });
        assert_eq!(conclusion(&found, &steps, &find), "found        no rate holds p99<5ms, down to 1/s");
        assert!(steps[0].describe().ends_with("   mismatches>0 (was 1)"), "{}", steps[0].describe());
        assert_eq!(exit(&found, &steps, None), Exit::ExpectationFailed);
    }

    #[test]
    fn an_interrupted_search_says_what_it_knows() {
        let (_, find, found, steps) =
            searched(1000.0, |rate| if rate > 3000.0 { sample::empty() } else { at(rate) });
        assert_eq!(
            conclusion(&found, &steps, &find),
            "found        2,000/s holds p99<5ms, more was not tried"
        );
        assert_eq!(exit(&found, &steps, Some(2)), Exit::Signal(2));
        let (_, find, found, steps) = searched(1000.0, |_| sample::empty());
        assert_eq!(conclusion(&found, &steps, &find), "found        nothing: no run came to its end");
        assert_eq!(exit(&found, &steps, None), Exit::Done, "nobody reads the result any more");
    }

    #[test]
    fn its_object_has_every_step_and_every_field_is_documented() {
        let (options, find, found, steps) = searched(20_000.0, limited);
        let text = line(&Document::of(&options, &find, &found, &steps));
        assert!(text.starts_with(r#"{"schema":"oneloop.find/1","target":"tcp://127.0.0.1:9999","#), "{text}");
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!((&value["found_rate"], &value["failed_rate"]), (&45_000.0.into(), &46_250.0.into()));
        assert_eq!((&value["condition"], &value["fail_if"][0]), (&"p99<5ms".into(), &"mismatches>0".into()));
        assert_eq!(value["steps"].as_array().map(Vec::len), Some(8));
        assert_eq!(
            (&value["steps"][2]["holds"], &value["steps"][2]["rate"]),
            (&false.into(), &80_000.0.into())
        );
        assert_documented(&value);
    }
}
