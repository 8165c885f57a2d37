//! `oneloop hold`: many connections are opened, held idle, and asked at the end whether they still answer.

mod alone;
mod args;
mod child;
mod findings;
mod gauge;
mod json;
mod options;
mod report;
mod show;
mod spread;
mod wire;

pub(super) use self::args::{ABOUT, EXAMPLES, EXIT_CODES, HoldArgs};
pub(super) use self::options::Options;

use std::io::{self, Write};

use log::{LevelFilter, info};

use self::findings::Findings;
use self::options::Share;
use self::show::Show;
use super::checkup::Checkup;
use super::exit::{Exit, Failure};
use super::member::Member;
use crate::address::Address;
use crate::doctor::{Question, Role};
use crate::hold::Kind;
use crate::os::limits::{open_files, raise_open_files};

/// Descriptors of a process that are not for connections.
const RESERVE: usize = 64;

/// What a parent needs for each child, and besides them.
const PER_CHILD: usize = 1;
const OWN: usize = 24;

/// Holds, and reports.
///
/// # Errors
/// It could not run; or not every connection was opened, or survived, after the report.
pub(super) fn run(options: &Options, member: Option<Member>, level: LevelFilter) -> Result<Exit, Failure> {
    if let Some(member) = member {
        return child::work(options, member);
    }
    let _ = raise_open_files();
    let targets = options.addresses()?;
    let checkup = Checkup::before(&question(options, &targets), options.force, level)?;
    let shares = shares(options.connections)?;
    info!("holding connections={} processes={}", options.connections, shares.len());
    let mut show = Show::new(options.connections);
    let findings = match shares.as_slice() {
        [share] => alone::run(options, &targets, *share, &mut show),
        shares => spread::run(options, &targets, shares, &mut show),
    };
    show.clear();
    let findings = findings?;
    let text = if options.json { json::object(options, &findings) } else { report::text(options, &findings) };
    print(&text)?;
    judge(options, &findings).map_err(|mut failure| {
        failure.message.extend(checkup.after().map(|text| format!("\n{text}")));
        failure
    })
}

/// What doctor is asked before: as many processes as it takes.
fn question(options: &Options, targets: &[Address]) -> Question {
    Question {
        role: Role::Client,
        sources: options.chosen_sources(targets).map(|sources| sources.count),
        ..Question::of_client(options.connections.into(), targets)
    }
}

/// As few processes as will do.
fn shares(connections: u32) -> Result<Vec<Share>, Failure> {
    let files = open_files();
    let room = files.saturating_sub(RESERVE).max(1);
    let shares = Share::all(connections, u32::try_from(room).unwrap_or(u32::MAX));
    let children = files.saturating_sub(OWN) / PER_CHILD;
    if shares.len() > 1 && shares.len() > children {
        let message = format!(
            "{connections} connections need {} processes of {room} connections each, and the open-files limit of {files} allows \
             {children} processes; raise it with `ulimit -n`",
            shares.len()
        );
        return Err(Failure { exit: Exit::CouldNotRun, message });
    }
    Ok(shares)
}

/// Nobody reading is no failure.
fn print(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Failure {
            exit: Exit::CouldNotRun,
            message: format!("cannot write to standard output: {error}"),
        }),
        _ => Ok(()),
    }
}

fn judge(options: &Options, findings: &Findings) -> Result<Exit, Failure> {
    let outcome = &findings.outcome;
    let wanted = u64::from(options.connections);
    if let Some(signal) = findings.signal {
        return Ok(Exit::Signal(signal));
    }
    if outcome.survived == wanted {
        return Ok(Exit::Done);
    }
    let mut message = Vec::new();
    if outcome.opened < wanted {
        let why = report::kinds(&outcome.failed);
        message.push(format!("{} of {wanted} connections were not opened{why}", wanted - outcome.opened));
    }
    if outcome.survived < outcome.opened {
        let why = report::kinds(&outcome.lost);
        message.push(format!(
            "{} of {} did not survive{why}",
            outcome.opened - outcome.survived,
            outcome.opened
        ));
    }
    if outcome.failed.of(Kind::AddressExhausted) > 0 {
        message.push(
            "local ports ran out: give more addresses with --source, or a target on more ports as more URLs; ports of closed \
             connections are free again within a minute, with --close rst at once"
                .to_owned(),
        );
    }
    message.extend(outcome.other.as_ref().map(|text| format!("the first of the others: {text}")));
    Err(Failure { exit: Exit::CouldNotRun, message: message.join("; ") })
}
