//! `oneloop lab`: claims about sockets, each tried out on this machine.

mod args;
mod child;
mod diff;
mod docs;
mod document;
mod select;
mod text;

use std::io::{self, BufRead, IsTerminal, Write};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use log::LevelFilter;

pub(super) use self::args::{ABOUT, EXAMPLES, EXIT_CODES, LabArgs, OneArgs};
use self::args::{DiffArgs, LabCommand, RunArgs};
pub(super) use self::child::COMMAND as ONE;
use self::child::{Record, carry_out};
use self::document::{Document, Host};
use super::audit;
use super::exit::{Exit, Failure};
pub(super) use crate::lab::tools::helper::COMMAND as HELPER;
use crate::lab::tools::namespace;
use crate::lab::{Entry, Line, Verdict};

/// How long `--slow` waits at a step where nobody can press Enter.
const PAUSE: Duration = Duration::from_secs(2);

/// Does what is asked.
///
/// # Errors
/// An unknown experiment, a file that cannot be read, a standard output that cannot be written.
pub(super) fn run(args: LabArgs, level: LevelFilter) -> Result<Exit, Failure> {
    match args.command.unwrap_or(LabCommand::List) {
        LabCommand::List => print(&text::list(), Exit::Done),
        LabCommand::Show(show) => {
            let entry = select::one(&show.id).map_err(Failure::usage_of("lab"))?;
            print(&text::explanation(&entry, show.source), Exit::Done)
        }
        LabCommand::Diff(files) => compare(&files),
        LabCommand::Audit(args) => audit::run(&args, level),
        LabCommand::Docs { folder } => docs::write(&folder)
            .map(|()| Exit::Done)
            .map_err(|error| could_not(format!("cannot write to {}: {error}", folder.display()))),
        LabCommand::Run(args) => {
            let entries = select::entries(&args.which, args.core).map_err(Failure::usage_of("lab"))?;
            run_all(&entries, &args)
        }
    }
}

/// This process is one experiment.
///
/// # Errors
/// It is not a child of oneloop.
pub(super) fn be_one(args: &OneArgs) -> Result<Exit, Failure> {
    let entry = select::one(&args.id).map_err(Failure::usage_of("lab"))?;
    child::be(&entry, args.argument.as_deref())
        .map(|()| Exit::Done)
        .map_err(|error| could_not(format!("this command is for oneloop's own children: {error}")))
}

/// This process helps an experiment.
///
/// # Errors
/// Whatever it ran into.
pub(super) fn be_helper(args: &OneArgs) -> Result<Exit, Failure> {
    let entry = select::one(&args.id).map_err(Failure::usage_of("lab"))?;
    child::help(&entry, args.argument.as_deref().unwrap_or_default())
        .map(|()| Exit::Done)
        .map_err(|error| could_not(format!("the helper of {}: {error}", entry.experiment.id)))
}

fn compare(files: &DiffArgs) -> Result<Exit, Failure> {
    let (a, b) = (diff::read(&files.a).map_err(could_not)?, diff::read(&files.b).map_err(could_not)?);
    print(&diff::compare(&a, &b, files.numbers), Exit::Done)
}

fn run_all(entries: &[Entry], args: &RunArgs) -> Result<Exit, Failure> {
    let begun = Instant::now();
    let host = Host::here(namespace::is_possible());
    if !args.json {
        print(&format!("{}\n\n", host.line()), Exit::Done)?;
    }
    let records = if let Some(pause) = args.slow {
        one_by_one(entries, pause)?
    } else {
        let jobs = args.jobs.unwrap_or(if host.private_network { host.cpus } else { 1 });
        let show = |record: &Record| match (args.json, args.brief) {
            (true, _) => String::new(),
            (_, true) => text::brief(record),
            _ => text::transcript(record),
        };
        several(entries, jobs.clamp(1, 64), |record| print(&show(record), Exit::Done).map(drop))?
    };
    let has_failed = records.iter().any(|record| record.verdict == Verdict::Fail);
    let exit = if has_failed { Exit::ExpectationFailed } else { Exit::Done };
    if args.json {
        return print(&Document::of(host, records).text(), exit);
    }
    print(&text::summary(&records, begun.elapsed().as_secs_f64()), exit)
}

/// In as many processes at once; `show` gets them in order, each as soon as those before it have ended.
fn several(
    entries: &[Entry],
    jobs: usize,
    mut show: impl FnMut(&Record) -> Result<(), Failure>,
) -> Result<Vec<Record>, Failure> {
    let next = AtomicUsize::new(0);
    let (tell, ended) = mpsc::channel();
    thread::scope(|scope| {
        for _ in 0..jobs.min(entries.len()) {
            let (tell, next) = (tell.clone(), &next);
            scope.spawn(move || {
                while let Some(entry) = entries.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if tell.send(carry_out(*entry, None)).is_err() {
                        break;
                    }
                }
            });
        }
        drop(tell);
        let mut waiting: Vec<Record> = Vec::new();
        let mut records: Vec<Record> = Vec::new();
        for record in ended {
            waiting.push(record);
            while let Some(at) =
                waiting.iter().position(|one| one.entry.experiment.id == entries[records.len()].experiment.id)
            {
                let record = waiting.swap_remove(at);
                show(&record)?;
                records.push(record);
                if records.len() == entries.len() {
                    break;
                }
            }
        }
        Ok(records)
    })
}

/// Each line as it comes, and a pause at each step.
fn one_by_one(entries: &[Entry], pause: Duration) -> Result<Vec<Record>, Failure> {
    let mut records = Vec::new();
    for entry in entries {
        print(&text::heading(entry), Exit::Done)?;
        let mut steps = 0;
        let mut failed = None;
        let mut watch = |line: &Line| {
            failed = print(&text::line(line, &mut steps), Exit::Done).err().or(failed.take());
            if matches!(line, Line::Step { .. }) {
                wait(pause);
            }
        };
        let record = carry_out(*entry, Some(&mut watch));
        if let Some(failure) = failed {
            return Err(failure);
        }
        print(&text::ending(&record), Exit::Done)?;
        records.push(record);
    }
    Ok(records)
}

/// For Enter, if somebody is there to press it and no time was given.
fn wait(pause: Duration) {
    if pause.is_zero() && io::stdin().is_terminal() {
        // The end of the input is as good as Enter.
        let _ = io::stdin().lock().read_line(&mut String::new());
    } else {
        thread::sleep(if pause.is_zero() { PAUSE } else { pause });
    }
}

fn could_not(message: String) -> Failure {
    Failure { exit: Exit::CouldNotRun, message }
}

/// A reader that has had enough is not an error, but there is no point in going on.
fn print(text: &str, exit: Exit) -> Result<Exit, Failure> {
    match io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => std::process::exit(0),
        Err(error) => Err(could_not(format!("cannot write to standard output: {error}"))),
        Ok(()) => Ok(exit),
    }
}
