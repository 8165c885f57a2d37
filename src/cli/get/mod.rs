//! `oneloop get`: what a URL names is fetched, and is whole or an error.

mod args;
mod fetch;
mod show;
mod sink;
mod stop;

pub(super) use self::args::{ABOUT, EXAMPLES, EXIT_CODES, GetArgs};

use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use log::LevelFilter;

use self::fetch::{Answer, Reply};
use self::show::{head, json};
use self::sink::Sink;
use self::stop::{Signals, Stop};
use super::exit::{Exit, Failure};
use crate::error::Error;
use crate::http::{Field, Url};

/// The longest body where nothing is said.
const MAX_SIZE: u64 = 16 << 30;

/// What to fetch and how: every option has its meaning, and all of them go together.
#[derive(Debug)]
pub(super) struct Options {
    url: Url,
    output: Option<PathBuf>,
    include: bool,
    head: bool,
    headers: Vec<Field>,
    any_status: bool,
    json: bool,
    redirects: usize,
    max_size: u64,
    timeout: Duration,
    connect_timeout: Duration,
}

impl Options {
    /// Gives the arguments their meaning.
    ///
    /// # Errors
    /// Arguments that cannot be kept together: which, why, and what would be accepted.
    pub(super) fn from_args(args: GetArgs) -> Result<Self, String> {
        let output = args.output.filter(|path| path != Path::new("-"));
        if args.json && output.is_none() && !args.head {
            return Err("'--json' and the body cannot both go to standard output; write the body to a file with -o FILE, \
                        or ask for the headers only with -I"
                .to_owned());
        } else if args.json && args.include {
            return Err("'--json' has the headers already; leave '--include' out".to_owned());
        }
        Ok(Self {
            url: args.url,
            output,
            include: args.include,
            head: args.head,
            headers: args.headers,
            any_status: args.any_status,
            json: args.json,
            redirects: args.redirects.into(),
            max_size: args.max_size.map_or(MAX_SIZE, |limit| limit.0.map_or(u64::MAX, |size| size as u64)),
            timeout: args.timeout,
            connect_timeout: args.connect_timeout,
        })
    }

    /// Whether an answer of this status is what was asked for.
    const fn takes(&self, status: u16) -> bool {
        status < 400 || self.any_status
    }
}

/// Fetches, and prints or keeps what has come.
///
/// # Errors
/// No connection, an answer that is not whole, a status of 400 or more.
pub(super) fn run(options: &Options, level: LevelFilter) -> Result<Exit, Failure> {
    let signals = Signals::watch().map_err(Error::Signals)?;
    get(options, &signals, level).map_or_else(Stop::outcome, |()| Ok(Exit::Done))
}

fn get(options: &Options, signals: &Signals, level: LevelFilter) -> Result<(), Stop> {
    let began = Instant::now();
    let (mut answer, reply, redirects) = follow(options, signals)?;
    if options.include || (options.head && !options.json) {
        print(&head(&reply.head))?;
    }
    let is_taken = options.takes(reply.status);
    let length = match &options.output {
        // The body of a failure is for people to read, and no file is to look like what was asked for.
        Some(_) if !is_taken => 0,
        path => deliver(&mut answer, &reply, (options, path.as_deref()), level)?,
    };
    if options.json {
        let file = options.output.as_deref().filter(|_| is_taken);
        print(&(json(&reply, &redirects, length, file, began.elapsed()) + "\n"))?;
    }
    if is_taken { Ok(()) } else { Err(bad_status(options, &reply)) }
}

/// Asks, and goes where it is sent.
fn follow<'a>(options: &Options, signals: &'a Signals) -> Result<(Answer<'a>, Reply, Vec<String>), Stop> {
    let mut url = options.url.clone();
    let mut before: Vec<String> = Vec::new();
    loop {
        let mut answer = Answer::ask(&url, options, signals)?;
        let reply = answer.head()?;
        let Some(location) = reply.location().filter(|_| options.redirects > 0) else {
            return Ok((answer, reply, before));
        };
        let shown = show::readable(location.as_bytes());
        let next = url.join(&location).map_err(|error| {
            Stop::Failed(format!("{url} redirects to '{shown}', which cannot be followed: {error}"))
        })?;
        before.push(url.to_string());
        if before.contains(&next.to_string()) {
            return Err(Stop::Failed(format!(
                "a redirect loop: {url} redirects to {next}, which redirects to it"
            )));
        } else if before.len() > options.redirects {
            return Err(Stop::Failed(format!(
                "more than {} redirects; the last is from {url} to {next} (--redirects N follows more)",
                options.redirects
            )));
        }
        url = next;
    }
}

/// Moves the body to where it belongs, and says how long it was.
fn deliver(
    answer: &mut Answer<'_>,
    reply: &Reply,
    (options, path): (&Options, Option<&Path>),
    level: LevelFilter,
) -> Result<u64, Stop> {
    let too_long = || {
        Stop::Failed(format!(
            "{}: the body is longer than {} bytes (--max-size takes more)",
            reply.url, options.max_size
        ))
    };
    if !options.head && answer.length().is_some_and(|length| length > options.max_size) {
        return Err(too_long());
    }
    let mut sink = if options.json && path.is_none() { Sink::Nowhere } else { Sink::open(path)? };
    let bar = progress(answer.length(), path.is_some(), level);
    let mut length = 0;
    while let Some(piece) = answer.piece()? {
        length += piece.len() as u64;
        if length > options.max_size {
            return Err(too_long());
        }
        sink.write(piece)?;
        bar.set_position(length);
    }
    bar.finish_and_clear();
    sink.finish()?;
    Ok(length)
}

fn bad_status(options: &Options, reply: &Reply) -> Stop {
    let reason = show::readable(reply.reason.as_bytes());
    let status = format!("{} {reason}", reply.status);
    let unwritten = match &options.output {
        Some(path) => format!("; '{}' was not written (--any-status writes it)", path.display()),
        None => String::new(),
    };
    Stop::Failed(format!("{} answered {}{unwritten}", reply.url, status.trim_end()))
}

/// A bar on a terminal, where the body does not go there itself.
fn progress(length: Option<u64>, to_file: bool, level: LevelFilter) -> ProgressBar {
    let is_shown =
        io::stderr().is_terminal() && (to_file || !io::stdout().is_terminal()) && level > LevelFilter::Error;
    if !is_shown {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::with_draw_target(length, ProgressDrawTarget::stderr_with_hz(10));
    let template = if length.is_some() {
        "{wide_bar} {bytes} of {total_bytes}  {binary_bytes_per_sec}  {eta}"
    } else {
        "{bytes}  {binary_bytes_per_sec}  {elapsed}"
    };
    bar.set_style(ProgressStyle::with_template(template).expect("the templates are constants, and valid"));
    bar
}

fn print(text: &str) -> Result<(), Stop> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(|error| Stop::of_stdout(&error))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::super::args::{Args, Command};
    use super::*;

    fn parse(arguments: &[&str]) -> Result<Options, String> {
        let args =
            Args::try_parse_from(["oneloop", "get"].iter().chain(arguments)).map_err(|e| e.to_string())?;
        let Command::Get(get) = args.command else { panic!("it is a get") };
        Options::from_args(*get)
    }

    #[test]
    fn defaults_and_options_reach_what_they_set() {
        let options = parse(&["http://h"]).unwrap();
        assert_eq!((options.redirects, options.max_size), (5, 16 << 30));
        assert_eq!(
            (options.timeout, options.connect_timeout),
            (Duration::from_secs(10), Duration::from_secs(5))
        );
        assert!(options.output.is_none() && options.takes(399) && !options.takes(400));
        let options = parse(&[
            "http://h/x",
            "-o",
            "f",
            "-i",
            "-H",
            "A: b",
            "-HC:d",
            "--any-status",
            "--redirects=0",
            "--max-size=off",
            "--timeout=1s",
        ])
        .unwrap();
        assert_eq!((options.redirects, options.max_size, options.headers.len()), (0, u64::MAX, 2));
        assert!(options.takes(500) && options.include);
        assert!(parse(&["http://h", "-o", "-"]).unwrap().output.is_none());
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_a_remedy() {
        for (arguments, expected) in [
            (&["https://h"][..], "TLS is not spoken"),
            (&["http://u:p@h/"], "-H 'Authorization"),
            (&["h:80/x"], "http://HOST"),
            (&["http://h", "--json"], "-o FILE"),
            (&["http://h", "--json", "-i", "-I"], "--include"),
            (&["http://h", "-I", "-o", "f"], "--output"),
            (&["http://h", "-H", "x"], "Name: value"),
            (&["http://h", "-H", "Connection: x"], "leave it out"),
            (&["http://h", "--redirects=51"], "51"),
            (&["http://h", "--timeout=0"], "1ms"),
        ] {
            let error = parse(arguments).err().unwrap();
            assert!(error.contains(expected), "{expected}: {error}");
        }
    }
}
