//! `oneloop doctor`: what so many connections need, against what this machine has. Nothing is opened or changed.

mod args;
mod json;

use std::io::{self, Write};
use std::time::Duration;

use self::args::ModelName;
pub(super) use self::args::{ABOUT, DoctorArgs, EXAMPLES, EXIT_CODES, RoleName};
use super::exit::{Exit, Failure};
use crate::address::Address;
use crate::doctor::{self, Machine, Model, Question, Role, Targets};
use crate::load::Sources;
use crate::os::resolve::{Target, resolve};

/// How long the lookup of a name may take.
const LOOKUP: Duration = Duration::from_secs(5);

/// What is asked, and how it is answered.
#[derive(Debug)]
pub(super) struct Options {
    /// Everything but the targets, whose names are not looked up yet.
    question: Question,
    targets: Vec<Target>,
    sources: Option<Sources>,
    json: bool,
}

impl Options {
    /// Gives the arguments their meaning.
    ///
    /// # Errors
    /// Arguments that cannot be kept together: which, why, and what would be accepted.
    pub(super) fn from_args(args: DoctorArgs) -> Result<Self, String> {
        check(&args)?;
        let mut question = Question::new(args.connections as u64);
        question.role = match args.role {
            RoleName::Client => Role::Client,
            RoleName::Server => Role::Server,
            RoleName::Both => Role::Both,
        };
        question.model = match args.model {
            Some(ModelName::Threads) => Model::Threads,
            Some(ModelName::Loop) | None => Model::Loop,
        };
        question.processes = args.processes.map(|count| count as u64);
        question.sources = args.source.map(|sources| sources.count);
        Ok(Self { question, targets: args.target, sources: args.source, json: args.json })
    }
}

/// Options that have no meaning with others.
fn check(args: &DoctorArgs) -> Result<(), String> {
    let is_unix = |target: &Target| matches!(target, Target::Unix(_));
    let no_ports = !args.target.is_empty() && args.target.iter().all(is_unix);
    for (option, given, without_meaning, why) in [
        (
            "--model",
            args.model.is_some(),
            args.role == RoleName::Client,
            "'--role client': it is about the server; leave it out, or ask for --role server or both",
        ),
        (
            "--source",
            args.source.is_some(),
            args.role == RoleName::Server,
            "'--role server': it is about the client; leave it out, or ask for --role client or both",
        ),
        (
            "--source",
            args.source.is_some(),
            no_ports,
            "Unix sockets: they have no local address; leave it out",
        ),
    ] {
        if given && without_meaning {
            return Err(format!("'{option}' cannot be used with {why}"));
        }
    }
    Ok(())
}

/// Answers on standard output.
///
/// # Errors
/// A name that cannot be looked up, a standard output that cannot be written.
pub(super) fn run(options: &Options) -> Result<Exit, Failure> {
    let addresses = options.targets.iter().map(|target| address(target, options.sources));
    let mut question = options.question.clone();
    question.targets = Targets::of(&addresses.collect::<Result<Vec<_>, _>>()?);
    let diagnosis = doctor::examine(&Machine::read(), &question);
    let text = if options.json { json::document(&diagnosis) } else { diagnosis.text() };
    match io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Failure {
            exit: Exit::CouldNotRun,
            message: format!("cannot write to standard output: {error}"),
        }),
        _ if diagnosis.is_possible() => Ok(Exit::Done),
        _ => Ok(Exit::MachineCannot),
    }
}

/// The first address of a target, of the family of `sources`.
fn address(target: &Target, sources: Option<Sources>) -> Result<Address, Failure> {
    let found = resolve(target, LOOKUP)
        .map_err(|error| Failure { exit: Exit::CouldNotRun, message: format!("{target}: {error}") })?;
    let fits = |address: &Address| match (address.socket_addr(), sources) {
        (Some(addr), Some(sources)) => addr.is_ipv4() == sources.first.is_ipv4(),
        _ => true,
    };
    found.into_iter().find(fits).ok_or_else(|| {
        Failure::usage_of("doctor")(format!(
            "'{target}' has no address of the family of '--source'; give both as IPv4, or both as IPv6"
        ))
    })
}

#[cfg(test)]
mod tests {
    use crate::doctor::{BACKLOG, DESCRIPTOR_RESERVE, MAX_THREADS};

    /// The doctor counts with what the program does; it cannot import it.
    #[test]
    fn the_doctor_knows_the_programs_own_limits() {
        assert_eq!(MAX_THREADS, crate::models::MAX_THREADS as u64);
        let backlog = crate::os::sockets::ListenOptions::default().backlog;
        assert_eq!(BACKLOG, u64::try_from(backlog).unwrap());
        let descriptors = crate::os::limits::open_files();
        let served = crate::reactor::Config::default().max_connections;
        assert_eq!(DESCRIPTOR_RESERVE, (descriptors - served) as u64);
    }
}
