//! `oneloop lab audit`: a generator is run against a server that stalls, and what it says is compared with what users had.

mod args;
mod json;
mod text;

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::thread;
use std::time::Duration;

use log::LevelFilter;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

pub(super) use self::args::{ABOUT, AuditArgs, EXAMPLES, EXIT_CODES};
use super::exit::{Exit, Failure};
use crate::audit::{
    Command, Ending, Judgement, Output, Place, Reading, Record, Schedule, Server, Settings, Style, Truth,
    Verdict, drain_speeds, read, window,
};
use crate::error::Error;
use crate::load::Stop;

/// What a run may take beyond three times its length.
const MORE: Duration = Duration::from_secs(30);

/// By default there are three stalls, each so much of the run.
const STALLS: usize = 3;
const SHARE: u32 = 20;

/// Everything that is known in the end.
#[derive(Debug)]
struct Findings<'a> {
    args: &'a AuditArgs,
    command: &'a Command,
    place: Place,
    schedule: &'a Schedule,
    output: &'a Output,
    record: &'a Record,
    reading: Option<&'a Reading>,
    truth: &'a Truth,
    /// In seconds from the first request.
    window: std::ops::Range<f64>,
    /// Of the queue that took longest.
    speed: f64,
    judgement: &'a Judgement,
}

/// Runs the audit and prints it.
///
/// # Errors
/// What cannot be run, and a standard output that cannot be written.
pub(super) fn run(args: &AuditArgs, level: LevelFilter) -> Result<Exit, Failure> {
    let schedule = schedule(args).map_err(Failure::usage_of("lab audit"))?;
    if args.listen.port() == 0 && !Command::names_the_server(&args.command) {
        return Err(Failure::usage_of("lab audit")(format!(
            "'{}' does not say where the server is: write {{url}}, or {{host}}:{{port}}, where it belongs, or fix the port with --listen",
            args.command.join(" ")
        )));
    }
    let (stop, signal) = (Stop::default(), Arc::new(AtomicI32::new(0)));
    watch_signals(&stop, &signal)?;
    let style = if args.http { Some(Style::Http) } else { args.echo.then_some(Style::Echo) };
    let server = Server::start(Settings { listen: args.listen, style, schedule: schedule.clone() })?;
    let place = Place { address: server.address, run: args.duration };
    let command = Command::new(&args.command, place);
    if !args.json {
        print(&text::heading(&command, args, &schedule))?;
    }
    let limit = args.timeout.unwrap_or(3 * args.duration + MORE);
    let output = command.run(limit, &stop).map_err(|error| could_not(not_started(&command, &error)))?;
    let record = server.stop()?;
    let found = find(args, &command, place, &schedule, &output, &record, level)?;
    Ok(match signal.load(Ordering::Acquire) {
        0 => found,
        signal => Exit::Signal(signal),
    })
}

/// Puts everything together and prints it; how the program ends if nobody has interrupted it.
fn find(
    args: &AuditArgs,
    command: &Command,
    place: Place,
    schedule: &Schedule,
    output: &Output,
    record: &Record,
    level: LevelFilter,
) -> Result<Exit, Failure> {
    let reading = read(&output.text);
    let reading = reading.as_ref();
    let window = window(reading, record.observed.span.as_secs_f64());
    let speeds = speeds(reading, record, window.end);
    let speed = speeds.iter().copied().fold(f64::INFINITY, f64::min);
    let stalls: Vec<_> = record.stalls.iter().map(|stall| stall.really.clone()).collect();
    let truth = Truth::new(&stalls, window.clone(), &speeds);
    let judgement = Judgement::new(reading, &truth, args.tolerance / 100.0);
    let findings = Findings {
        args,
        command,
        place,
        schedule,
        output,
        record,
        reading,
        truth: &truth,
        window,
        speed,
        judgement: &judgement,
    };
    print(&if args.json {
        json::document(&findings)
    } else {
        text::report(&findings, level >= LevelFilter::Debug)
    })?;
    ending(&findings)
}

/// A rate that is offered has a queue behind each stall, and how fast it went was counted. A closed loop offers none.
fn speeds(reading: Option<&Reading>, record: &Record, end: f64) -> Vec<f64> {
    if !reading.is_some_and(|reading| reading.is_scheduled) {
        return Vec::new();
    }
    let rate = record.observed.units as f64 / end.max(record.observed.span.as_secs_f64());
    let trace = |stall: &crate::audit::Kept| (stall.really.end - stall.really.start, stall.trace.clone());
    let traces: Vec<(f64, Vec<(f64, u64)>)> = record.stalls.iter().map(trace).collect();
    let traces: Vec<_> = traces.iter().map(|(length, trace)| (*length, &trace[..])).collect();
    drain_speeds(rate, &traces)
}

fn ending(findings: &Findings<'_>) -> Result<Exit, Failure> {
    let words = findings.command.words();
    let program = words.first().map_or("", String::as_str);
    match findings.output.ending {
        Ending::Stopped => return Ok(Exit::Done),
        Ending::TimedOut => {
            return Err(could_not(format!(
                "{program} had not ended in time and was killed; --timeout gives it longer"
            )));
        }
        Ending::Ended(status) if !status.success() => {
            return Err(could_not(format!("{program} failed ({status}); what it printed is above")));
        }
        Ending::Ended(_) => {}
    }
    let observed = &findings.record.observed;
    if observed.http2 > 0 && observed.units == 0 {
        return Err(could_not(format!(
            "{program} speaks HTTP/2, and this server HTTP/1 only; h2load has --h1"
        )));
    }
    if observed.units == 0 {
        return Err(could_not(format!("{program} sent no request to {}", findings.place.address)));
    }
    let is_honest = matches!(findings.judgement.verdict, Verdict::Honest | Verdict::Exaggerated(..));
    Ok(if findings.args.expect_honest && !is_honest { Exit::ExpectationFailed } else { Exit::Done })
}

fn schedule(args: &AuditArgs) -> Result<Schedule, String> {
    let schedule = if args.stalls.is_empty() {
        let (length, count) = args.stall.unwrap_or((args.duration / SHARE, STALLS));
        Schedule::seeded(args.seed, args.duration, count, length)
    } else {
        Schedule::of(args.stalls.clone(), args.duration)
    };
    schedule.map_err(|error| error.to_string())
}

/// The first signal stops the run. So do others: it ends within seconds, and nothing it started is left behind.
fn watch_signals(stop: &Stop, first: &Arc<AtomicI32>) -> Result<(), Failure> {
    let mut signals = Signals::new([SIGINT, SIGTERM]).map_err(Error::Signals)?;
    let (stop, first) = (stop.clone(), Arc::clone(first));
    let watch = move || {
        for signal in signals.forever() {
            // Later ones change nothing.
            let _ = first.compare_exchange(0, signal, Ordering::AcqRel, Ordering::Acquire);
            stop.stop();
        }
    };
    thread::Builder::new().name("signals".to_owned()).spawn(watch).map_err(Error::Thread)?;
    Ok(())
}

fn not_started(command: &Command, error: &io::Error) -> String {
    let program = command.words().first().map_or("", String::as_str);
    match error.kind() {
        io::ErrorKind::NotFound => format!("there is no program '{program}'; install it, or give its path"),
        io::ErrorKind::PermissionDenied => {
            format!("'{program}' may not be executed; chmod +x makes it a program")
        }
        _ => format!("'{program}' cannot be run: {error}"),
    }
}

fn could_not(message: String) -> Failure {
    Failure { exit: Exit::CouldNotRun, message }
}

/// A reader that has had enough is not an error.
fn print(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(could_not(format!("cannot write to standard output: {error}")))
        }
        _ => Ok(()),
    }
}
