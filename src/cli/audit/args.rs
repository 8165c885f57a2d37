//! The raw arguments of `oneloop lab audit`, and its help.

use std::net::SocketAddr;
use std::time::Duration;

use super::super::units;
use crate::audit::Stall;

pub(in super::super) const ABOUT: &str = "\
Run a load generator against a server that stalls at known moments, and compare what it prints with what users would have had.

Users do not wait for each other: who comes during a stall waits for its end. That can be computed, to the millisecond. A generator \
that counts from when it managed to send does not see it, and makes the server look better than it is. Printed side by side are what \
the generator says and what users had, and by what factor it flattered the server.

In COMMAND {host}, {port}, {url} (http://HOST:PORT/) and {seconds} are replaced. It is run without a shell. The server answers HTTP/1, \
or echoes, by what the first bytes look like. The run begins with the first request.

Understood are the outputs of wrk, wrk2, hey, ab, h2load, redis-benchmark and oneloop load; any other is shown as it is.";

pub(in super::super) const EXAMPLES: &str = "\
Examples:
  oneloop lab audit -- wrk -t1 -c10 -d{seconds}s --latency {url}
  oneloop lab audit -- ab -q -k -c10 -t{seconds} -n1000000 {url}
  oneloop lab audit -- h2load --h1 -c10 -D{seconds} {url}
  oneloop lab audit -d 15s --stall 500msx5 --seed 7 -- redis-benchmark -h {host} -p {port} -t get -n 3000000
  oneloop lab audit -- oneloop load tcp://{host}:{port} -r 1k -d {seconds}s
  oneloop lab audit --expect-honest -- ./my-generator http://{host}:{port}/
                                              exit code 3 if it flatters the server";

pub(in super::super) const EXIT_CODES: &str = "\
Units:
  times   5ms, 500ms, 10s

JSON (--json), one object; docs/audit-json.md explains it:
  schema \"oneloop.audit/1\", version, command, exit_status, ending, tool, scheduled, server, schedule, window,
  stalled_share, drain_speed, figures, verdict, worst, output

Exit codes:
  0    done, whatever the generator said
  1    could not run: no such program, it failed or took too long, or it sent no request
  2    the arguments make no sense
  3    --expect-honest, and the generator flattered the server, or it cannot be told
  130, 143  interrupted by SIGINT or SIGTERM: the command is interrupted too, and killed after 3 s; the report comes all the same";

/// The arguments of `oneloop lab audit`.
#[derive(Debug, clap::Args)]
pub(in super::super) struct AuditArgs {
    /// The generator and its arguments, after `--`
    #[arg(value_name = "COMMAND", required = true, last = true)]
    pub(super) command: Vec<String>,

    /// How long the run is: what {seconds} stands for, and in what time the stalls are
    #[arg(short, long, value_name = "TIME", value_parser = run_time, allow_hyphen_values = true, default_value = "10s")]
    pub(super) duration: Duration,

    /// So many stalls of this length, as in 500msx3; --seed decides when [default: 3, each a twentieth of the run]
    #[arg(long, value_name = "TIMExCOUNT", value_parser = several, allow_hyphen_values = true, conflicts_with = "stalls")]
    pub(super) stall: Option<(Duration, usize)>,

    /// These stalls, as in 500ms@2s,200ms@5s: each its length, and when it begins
    #[arg(long, value_name = "TIME@TIME,...", value_parser = exact, value_delimiter = ',', allow_hyphen_values = true)]
    pub(super) stalls: Vec<Stall>,

    /// Decides when the stalls are; the same seed gives the same moments
    #[arg(long, value_name = "NUMBER", default_value_t = 1, conflicts_with = "stalls")]
    pub(super) seed: u64,

    /// Answer HTTP/1, whatever the first bytes look like
    #[arg(long, conflicts_with = "echo")]
    pub(super) http: bool,

    /// Send every byte back, whatever the first bytes look like
    #[arg(long)]
    pub(super) echo: bool,

    /// Where the server listens, a numeric HOST:PORT; port 0 is any free one
    #[arg(long, value_name = "HOST:PORT", value_parser = listen, default_value = "127.0.0.1:0")]
    pub(super) listen: SocketAddr,

    /// The command is killed after this [default: three times the run, and 30 s]
    #[arg(long, value_name = "TIME", value_parser = positive_time, allow_hyphen_values = true)]
    pub(super) timeout: Option<Duration>,

    /// A figure that is so many percent off is still honest; so is one that is 1 ms off
    #[arg(long, value_name = "PERCENT", value_parser = percent, allow_hyphen_values = true, default_value = "10")]
    pub(super) tolerance: f64,

    /// End with exit code 3 if the generator flatters the server by more than --tolerance, or it cannot be told
    #[arg(long)]
    pub(super) expect_honest: bool,

    /// Print one JSON object instead
    #[arg(long)]
    pub(super) json: bool,
}

/// The server's memory of a run grows with nothing, but somebody has to wait for it.
const LONGEST_RUN: Duration = Duration::from_secs(3600);

fn run_time(text: &str) -> Result<Duration, String> {
    match units::time(text)? {
        time if time < Duration::from_millis(100) => Err("expected at least 100ms".to_owned()),
        time if time > LONGEST_RUN => Err("expected at most 1h".to_owned()),
        time => Ok(time),
    }
}

fn positive_time(text: &str) -> Result<Duration, String> {
    match units::time(text)? {
        Duration::ZERO => Err("expected more than 0".to_owned()),
        time => Ok(time),
    }
}

fn several(text: &str) -> Result<(Duration, usize), String> {
    let what = || "expected a length and a number, as in 500msx3".to_owned();
    let (length, count) = text.split_once(['x', '\u{d7}', '*']).ok_or_else(what)?;
    Ok((units::time(length)?, units::count(count)?))
}

fn exact(text: &str) -> Result<Stall, String> {
    let what = || "expected a length and a moment, as in 500ms@2s".to_owned();
    let (length, at) = text.split_once('@').ok_or_else(what)?;
    Ok(Stall { at: units::time(at)?, length: units::time(length)? })
}

fn listen(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| "expected a numeric HOST:PORT, as in 127.0.0.1:8080 or [::1]:0".to_owned())
}

fn percent(text: &str) -> Result<f64, String> {
    let number = text.trim_end_matches('%').trim_end().parse::<f64>().ok();
    let within = number.filter(|percent| (0.0..=1000.0).contains(percent));
    within.ok_or_else(|| "expected percent, as in 10 or 2.5".to_owned())
}
