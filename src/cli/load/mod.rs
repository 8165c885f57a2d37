//! `oneloop load`: a run of the load generator, watched, and its report printed.

mod args;
mod checked;
mod checks;
mod content;
mod find;
mod hlog;
mod host;
mod http;
mod interrupt;
pub(super) mod json;
pub(super) mod numbers;
mod options;
mod output;
mod plot;
mod progress;
#[cfg(test)]
mod support;
mod text;

pub(super) use self::args::{ABOUT, EXAMPLES, EXIT_CODES, LoadArgs};
pub(super) use self::options::Options;

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::time::SystemTime;

use log::LevelFilter;

use self::checked::{Checked, check_all};
use self::hlog::LogFile;
use self::interrupt::Interrupt;
use self::options::Format;
use self::output::Output;
use self::progress::Progress;
use super::checkup::Checkup;
use super::complain;
use super::exit::{Exit, Failure};
use super::targets::Lookup;
use crate::doctor::{Question, Role};
use crate::error::Error;
use crate::load::{self, Arrival, Plan, Report, Stop, Verdict};
use crate::os::limits::raise_open_files;

/// What watches over a run, or several.
struct Watch {
    stop: Stop,
    interrupt: Interrupt,
    /// How much is shown.
    level: LevelFilter,
    /// The machine before the run.
    checkup: Checkup,
}

/// Runs what the options ask for, and prints what was found.
///
/// # Errors
/// Nothing could be measured: a name without an address, nobody there, a file that cannot be written.
pub(super) fn run(mut options: Options, level: LevelFilter) -> Result<Exit, Failure> {
    let _ = raise_open_files();
    let stop = Stop::default();
    let interrupt = Interrupt::watch(&stop).map_err(Error::Signals)?;
    let (limit, sources) = (options.plan.connect_timeout, options.plan.sources);
    options.plan.targets = Lookup { command: "load", limit, sources }.addresses(&options.targets)?;
    let checkup = Checkup::before(&question(&options.plan), options.force, level)?;
    let watch = Watch { interrupt, stop, level, checkup };
    match &options.find {
        Some(find) => find::run(&options, find, &watch),
        None => measure(&options, &watch),
    }
}

/// What doctor is asked before a run: all connections are this process's.
fn question(plan: &Plan) -> Question {
    Question {
        role: Role::Client,
        processes: Some(1),
        sources: plan.sources.map(|sources| sources.count),
        ..Question::of_client(plan.connections as u64, &plan.targets)
    }
}

fn measure(options: &Options, watch: &Watch) -> Result<Exit, Failure> {
    let plan = &options.plan;
    let mut file = options.hlog.as_deref().map(|path| create(path, LogFile::create)).transpose()?;
    let picture = options.plot.as_deref().map(|path| create(path, |path| File::create(path))).transpose()?;
    let mut out = Output::new(io::stdout().lock());
    let progress = Progress::new(watch.level);
    let log = file.as_mut().map(|file| file.begin(SystemTime::now())).transpose();
    let mut log = log.map_err(|error| unwritten(options.hlog.as_deref(), &error))?;
    let ran = load::run(plan, &watch.stop, &mut |second| {
        progress.second(second);
        if let Some(log) = &mut log {
            log.second(second);
        }
        if options.format == Format::JsonStream {
            out.put(&json::second(second));
            if out.is_unread() {
                watch.stop.stop();
            }
        }
    });
    progress.finish();
    let report = ran.map_err(|failure| could_not(watch, &failure))?;
    let checked = check_all(&options.fail_if, &report);
    out.put(&match options.format {
        Format::Text => text::report(&report, plan.exchange.protocol, &checked),
        Format::Json | Format::JsonStream => json::report(&report, &checked),
    });
    if report.errors.total() > 0
        && let Some(text) = watch.checkup.after()
    {
        eprintln!("{text}");
    }
    let logged = log.map_or(Ok(()), |log| log.finish(&report, plan.arrival == Arrival::Closed));
    let logged = logged.map_err(|error| unwritten(options.hlog.as_deref(), &error));
    let drawn = picture.map_or(Ok(()), |mut file| file.write_all(plot::plot(&report).as_bytes()));
    let drawn = drawn.map_err(|error| unwritten(options.plot.as_deref(), &error));
    settle(exit(&report, &checked, watch.interrupt.signal()), out.finish().and(logged).and(drawn))
}

/// A file or standard output that could not be written is the least of what a run may end with.
fn settle(exit: Exit, written: Result<(), Failure>) -> Result<Exit, Failure> {
    match (exit, written) {
        (Exit::Done, Err(failure)) => Err(failure),
        (exit, Err(failure)) => {
            complain(&failure.message);
            Ok(exit)
        }
        (exit, Ok(())) => Ok(exit),
    }
}

/// Interrupted goes before not valid, and that before an expectation that failed.
fn exit(report: &Report, checked: &[Checked], signal: Option<i32>) -> Exit {
    match (&report.verdict, signal) {
        (Verdict::Interrupted, Some(signal)) => Exit::Signal(signal),
        (Verdict::GeneratorBound { .. }, _) => Exit::NotValid,
        _ if checked.iter().any(|one| !one.pass) => Exit::ExpectationFailed,
        (Verdict::Valid, _) if report.requests == 0 => Exit::CouldNotRun,
        _ => Exit::Done,
    }
}

fn could_not(watch: &Watch, failure: &load::Failure) -> Failure {
    let mut message = failure.to_string();
    if let Some(text) = watch.checkup.after() {
        message.push('\n');
        message.push_str(&text);
    }
    Failure { exit: Exit::CouldNotRun, message }
}

/// Makes a file before the run: that it cannot be written is no use to know afterwards.
fn create<T>(path: &Path, make: impl FnOnce(&Path) -> io::Result<T>) -> Result<T, Failure> {
    make(path).map_err(|error| unwritten(Some(path), &error))
}

fn unwritten(path: Option<&Path>, error: &io::Error) -> Failure {
    let path = path.unwrap_or(Path::new("")).display();
    Failure { exit: Exit::CouldNotRun, message: format!("cannot write '{path}': {error}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::sample;

    #[test]
    fn interrupted_goes_before_not_valid_and_that_before_an_expectation_that_failed() {
        let checked = |pass| [Checked { text: String::new(), pass, was: String::new() }];
        let (valid, bound, interrupted) = (sample::open(), sample::generator_bound(), sample::empty());
        let unanswered = Report { verdict: Verdict::Valid, ..sample::empty() };
        for (report, pass, signal, wanted) in [
            (&valid, true, None, Exit::Done),
            (&valid, false, None, Exit::ExpectationFailed),
            (&bound, true, None, Exit::NotValid),
            (&bound, false, None, Exit::NotValid),
            (&interrupted, false, Some(2), Exit::Signal(2)),
            (&interrupted, true, Some(15), Exit::Signal(15)),
            // The signal came when all was done.
            (&valid, true, Some(2), Exit::Done),
            // Nobody reads any more, and so it was ended.
            (&interrupted, true, None, Exit::Done),
            (&unanswered, true, None, Exit::CouldNotRun),
        ] {
            assert_eq!(exit(report, &checked(pass), signal), wanted);
        }
    }

    #[test]
    fn what_could_not_be_written_matters_only_where_nothing_worse_is() {
        let failed = || Err(Failure { exit: Exit::CouldNotRun, message: "full".to_owned() });
        assert!(settle(Exit::Done, failed()).is_err());
        assert_eq!(settle(Exit::NotValid, failed()).ok(), Some(Exit::NotValid));
        assert_eq!(settle(Exit::Done, Ok(())).ok(), Some(Exit::Done));
    }
}
