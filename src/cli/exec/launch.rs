//! This program as the one that starts a command: it limits itself, asks to die with the server, and becomes the command.
//!
//! Limits and the signal of the parent's death survive execve(2), and can only be set by the process itself without unsafe
//! code in its parent. `oneloop --run-job` is for us alone and does nothing that its caller could not do itself.

use std::env;
use std::ffi::OsString;
use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{self, Command, ExitCode};
use std::time::Duration;

use rustix::process::{
    Resource, Rlimit, Signal, getppid, getrlimit, set_parent_process_death_signal, setrlimit,
};

const OPTION: &str = "--run-job";

/// Descriptors a command may open.
const MAX_FILES: u64 = 256;

/// As a shell says it: not found, and found but not to be run.
const NOT_FOUND: u8 = 127;
const NOT_RUN: u8 = 126;

/// What is put before a command: this program, and its limits.
pub(super) fn launcher(time: Option<Duration>, memory: Option<usize>) -> (PathBuf, Vec<OsString>) {
    // A process that does nothing but compute uses up its time by itself, even where nobody is left to end it.
    let cpu = time.map(|time| time.as_secs().saturating_add(5));
    let show = |limit: Option<u64>| limit.map_or_else(|| "-".to_owned(), |limit| limit.to_string());
    let arguments =
        [OPTION.to_owned(), process::id().to_string(), show(cpu), show(memory.map(|bytes| bytes as u64))];
    ("/proc/self/exe".into(), arguments.map(OsString::from).into())
}

/// Becomes the command if that is what this process is for. Returns only if it is not, or could not.
pub(in super::super) fn launched() -> Option<ExitCode> {
    let mut arguments = env::args_os().skip(1);
    if arguments.next()? != OPTION {
        return None;
    }
    let mut number = || arguments.next()?.to_str()?.parse::<u64>().ok();
    let (parent, cpu, memory) = (number(), number(), number());
    let program = arguments.next()?;
    if let Err(error) = limit(parent, cpu, memory) {
        complain(&format!("cannot limit '{}': {error}", program.display()));
        return Some(NOT_RUN.into());
    }
    let error = Command::new(&program).args(arguments).exec();
    complain(&format!("cannot run '{}': {error}", program.display()));
    Some(if error.kind() == io::ErrorKind::NotFound { NOT_FOUND } else { NOT_RUN }.into())
}

fn limit(parent: Option<u64>, cpu: Option<u64>, memory: Option<u64>) -> io::Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    // It may have died before that.
    let is_orphan =
        getppid().is_none_or(|pid| Some(u64::from(pid.as_raw_nonzero().get().unsigned_abs())) != parent);
    if is_orphan {
        return Err(io::Error::other("the server is gone"));
    }
    lower(Resource::Core, Some(0))?;
    lower(Resource::Nofile, Some(MAX_FILES))?;
    lower(Resource::Cpu, cpu)?;
    lower(Resource::As, memory)
}

/// A limit is only ever lowered: what this process may not use is not given to a command.
fn lower(resource: Resource, to: Option<u64>) -> io::Result<()> {
    let Some(to) = to else { return Ok(()) };
    let to = getrlimit(resource).maximum.map_or(to, |most| most.min(to));
    Ok(setrlimit(resource, Rlimit { current: Some(to), maximum: Some(to) })?)
}

fn complain(message: &str) {
    let _ = writeln!(io::stderr().lock(), "oneloop: {message}");
}
