//! `oneloop serve exec`: what may be run, by whom, and within which limits.

mod args;
mod file;
mod framing;
mod launch;
mod named;
mod secret;

pub(super) use self::args::ExecArgs;
pub(super) use self::framing::{ServeFraming, settle as settle_framing};
pub(super) use self::launch::launched;
pub(super) use self::secret::read_bytes as read_token_bytes;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::args::{Model, ServeArgs};
use super::services::max_frame;
use crate::address::Address;
use crate::services::{Commands, Entry, Exec, ExecConfig, ExecRaw, ExecToken, RawReply, Refusals};
use crate::session::{Factory, factory};

/// How many commands may run at once.
pub(super) const MAX_JOBS: usize = 4;
const JOB_TIMEOUT: Duration = Duration::from_secs(30);
const MAX_OUTPUT: usize = 1 << 20;
const JOB_MEMORY: usize = 1 << 30;

/// The most a reply of the tutorials' protocols can announce, with room for what is said about a limit.
const MAX_BUFFERED: usize = i32::MAX as usize - 4096;

/// Makes the service of the arguments.
///
/// # Errors
/// Options that cannot be kept together, or are not safe together; a file that cannot be read or says what makes no sense.
pub(super) fn service(args: &ServeArgs) -> Result<Factory, String> {
    let exec = &args.exec;
    check_model(args)?;
    let raw = match args.framing_name {
        None | Some(ServeFraming::Codec(crate::codec::Framing::Len32)) => None,
        Some(ServeFraming::LengthOk) => Some(RawReply::LengthOk),
        Some(ServeFraming::Codec(_)) => Some(RawReply::Len32Le),
    };
    let token = exec.token_file.as_deref().map(secret::read).transpose()?;
    check_places(args, raw, token.as_ref())?;
    let commands = commands(args)?;
    let time_limit = exec.job_timeout.map_or(Some(JOB_TIMEOUT), |limit| limit.0);
    let max_output = exec.max_output.map_or(Some(MAX_OUTPUT), |limit| limit.0);
    check_buffered(raw, max_output)?;
    let memory = exec.job_memory.map_or(Some(JOB_MEMORY), |limit| limit.0);
    let config = Arc::new(ExecConfig {
        commands,
        token,
        launcher: Some(launch::launcher(time_limit, memory)),
        time_limit,
        max_output: max_output.map(|bytes| bytes as u64),
        refusals: Refusals::default(),
    });
    let max = max_frame(args);
    Ok(match raw {
        None => factory(move |_| Exec::new(config.clone(), max)),
        Some(reply) => factory(move |_| ExecRaw::new(config.clone(), reply)),
    })
}

fn check_model(args: &ServeArgs) -> Result<(), String> {
    if args.model == Model::Spin {
        return Err("'serve exec' cannot be used with '--model spin': without readiness it would not notice that a client has \
                    left, and its command would go on; use --model loop, threads or iterative"
            .to_owned());
    }
    Ok(())
}

/// Where commands may be asked for: on this machine, or from elsewhere by who knows the token.
fn check_places(args: &ServeArgs, raw: Option<RawReply>, token: Option<&ExecToken>) -> Result<(), String> {
    if raw.is_some() && token.is_some() {
        return Err("'--token-file' cannot be used with '--framing len32le' or 'length-ok': a text has no place for a token; \
                    use --framing len32"
            .to_owned());
    }
    let Some(public) = args.listen.iter().map(|listen| &listen.address).find(|address| !is_local(address))
    else {
        return Ok(());
    };
    if args.exec.allow_shell {
        return Err(format!(
            "'--allow-shell' cannot be used on '{public}': whoever can connect could do whatever this user can; listen on \
             127.0.0.1, [::1] or unix:PATH, or name what may be run with --allow"
        ));
    }
    if raw.is_some() {
        return Err(format!(
            "'serve exec' on '{public}' cannot be used with '--framing len32le' or 'length-ok', which have no token: listen on \
             127.0.0.1, [::1] or unix:PATH, or use --framing len32 with --token-file"
        ));
    }
    if token.is_none() {
        return Err(format!(
            "'serve exec' on '{public}' would run commands for whoever can reach it: say --token-file FILE, or listen on \
             127.0.0.1, [::1] or unix:PATH"
        ));
    }
    Ok(())
}

fn is_local(address: &Address) -> bool {
    address.socket_addr().is_none_or(|addr| addr.ip().to_canonical().is_loopback())
}

fn commands(args: &ServeArgs) -> Result<Commands, String> {
    let exec = &args.exec;
    let named = !exec.allow.is_empty() || exec.allow_file.is_some();
    match (exec.allow_shell, named) {
        (true, true) => Err("'--allow-shell' cannot be used with '--allow' or '--allow-file': a shell runs everything; leave \
                             one out"
            .to_owned()),
        (true, false) => Ok(Commands::Shell),
        (false, false) => Err("'serve exec' runs nothing that is not named: say --allow 'NAME=PROGRAM ARG…' or --allow-file \
                               FILE, as in --allow date=/bin/date"
            .to_owned()),
        (false, true) => entries(exec).map(Commands::Named),
    }
}

fn entries(exec: &ExecArgs) -> Result<BTreeMap<String, Entry>, String> {
    let mut entries = BTreeMap::new();
    let from_file = exec.allow_file.as_deref().map(file::read).transpose()?.unwrap_or_default();
    let from_options: Vec<_> = exec.allow.iter().map(|text| named::parse(text)).collect::<Result<_, _>>()?;
    for (name, entry) in from_file.into_iter().chain(from_options) {
        if entries.insert(name.clone(), entry).is_some() {
            return Err(format!("the command '{name}' is allowed twice; give each a name of its own"));
        }
    }
    Ok(entries)
}

fn check_buffered(raw: Option<RawReply>, max_output: Option<usize>) -> Result<(), String> {
    match max_output {
        _ if raw.is_none() => Ok(()),
        Some(max) if max <= MAX_BUFFERED => Ok(()),
        _ => Err("'--max-output' must be less than 2GiB with '--framing len32le' or 'length-ok', whose replies are kept until \
                  the command has ended; name a size, or use --framing len32"
            .to_owned()),
    }
}

/// To be said once logging works.
pub(super) fn warn_of_shell() {
    log::warn!(
        "--allow-shell runs whatever it is sent, as this user: for a lesson, on a machine of your own"
    );
}
