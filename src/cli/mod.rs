//! The command line: raw arguments become typed options, and those are run.
//!
//! This is the only place that prints. Results go to standard output, everything else to standard error.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the command line is the one place that prints"
)]

mod args;
mod audit;
mod call;
mod checkup;
mod doctor;
mod exec;
mod exit;
mod get;
mod hold;
mod inherited;
mod lab;
mod listen;
mod load;
mod logging;
mod member;
mod model;
mod named;
mod run;
mod serve;
mod services;
mod signals;
mod sink;
mod sources;
mod targets;
mod text;
mod units;
mod workers;

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;

use self::args::{Args, Command};
use self::exit::{Exit, Failure};
use self::inherited::Inherited;
use self::member::Member;
use crate::os::descriptors::close_inherited_on_exec;

/// Parses the process's arguments, runs what they ask for, and says how it went.
#[must_use]
pub fn main() -> ExitCode {
    close_inherited_on_exec();
    if let Some(code) = exec::launched() {
        return code;
    }
    let exit = match Args::try_parse() {
        Ok(args) => run(args),
        Err(message) => answer(&message),
    };
    exit.into()
}

fn run(args: Args) -> Exit {
    let member = match args.member.map(Member::join).transpose() {
        Ok(member) => member,
        Err(error) => {
            complain(&format!("cannot work for another process: {error}"));
            return Exit::CouldNotRun;
        }
    };
    let number = member.as_ref().map(Member::number);
    let outcome = match args.command {
        Command::Call(call) => {
            call::Options::from_args(*call).map_err(Failure::usage_of("call")).and_then(|options| {
                logging::init(args.verbosity.level(), number);
                call::run(options)
            })
        }
        Command::Get(get) => {
            get::Options::from_args(*get).map_err(Failure::usage_of("get")).and_then(|options| {
                logging::init(args.verbosity.level(), number);
                get::run(&options, args.verbosity.level())
            })
        }
        Command::Doctor(doctor) => doctor::Options::from_args(*doctor)
            .map_err(Failure::usage_of("doctor"))
            .and_then(|options| doctor::run(&options)),
        Command::Lab(lab) => lab::run(lab, args.verbosity.level()),
        Command::LabOne(args) => lab::be_one(&args),
        Command::LabHelper(args) => lab::be_helper(&args),
        Command::Load(load) => load::Options::from_args(*load).and_then(|options| {
            logging::init(args.verbosity.level(), number);
            load::run(options, args.verbosity.level())
        }),
        Command::Run(run) => {
            run::Options::from_args(*run).map_err(Failure::usage_of("run")).and_then(|options| {
                logging::init(args.verbosity.level(), number);
                run::run(&options)
            })
        }
        Command::Hold(hold) => {
            hold::Options::from_args(*hold).map_err(Failure::usage_of("hold")).and_then(|options| {
                logging::init(args.verbosity.level(), number);
                hold::run(&options, member, args.verbosity.level())
            })
        }
        Command::Serve(serve) => Inherited::from_env()
            .and_then(|inherited| serve::Options::with_inherited(*serve, inherited))
            .map_err(Failure::usage_of("serve"))
            .and_then(|options| {
                logging::init(args.verbosity.level(), number);
                serve::run(options, member)
            }),
    };
    outcome.unwrap_or_else(|failure| {
        complain(&failure.message);
        failure.exit
    })
}

/// What clap has to say instead of arguments: help and version on standard output, complaints on standard error.
fn answer(message: &clap::Error) -> Exit {
    if message.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        let _ = message.print();
        return Exit::Usage;
    }
    if message.use_stderr() {
        let text = message.render().to_string();
        complain(text.strip_prefix("error: ").unwrap_or(&text).trim_end());
        return Exit::Usage;
    }
    match message.print() {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Exit::CouldNotRun,
        _ => Exit::Done,
    }
}

/// Says on standard error what went wrong. Nobody is left to be told when that fails.
fn complain(message: &str) {
    let _ = writeln!(io::stderr().lock(), "oneloop: {message}");
}
