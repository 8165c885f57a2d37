//! Runs one experiment in this process, which should be its own.

use std::io;

use rustix::process::geteuid;
use rustix::system::uname;
use socket2::{Domain, Protocol, Socket, Type};

use super::experiment::{Entry, Need};
use super::notebook::{Lab, Line, Stop, Verdict};
use super::tools::{namespace, python};

/// Runs an experiment; each line it writes goes to `reader` at once, the verdict last.
///
/// Where it may, this thread enters a network namespace of its own first, for good.
pub fn run(entry: &Entry, reader: impl FnMut(&Line) + 'static) -> Verdict {
    let is_private = namespace::enter().is_ok();
    let experiment = entry.experiment;
    let mut lab = Lab::new(experiment.id, reader);
    let ended = match experiment.needs.iter().find(|need| !is_met(**need, is_private)) {
        Some(missing) => Err(Stop::skip(missing.to_string())),
        None => (experiment.run)(&mut lab),
    };
    lab.finish(ended)
}

/// What a helper process of an experiment does.
///
/// # Errors
/// Whatever it ran into.
pub fn help(entry: &Entry, argument: &str) -> io::Result<()> {
    let helper = entry.experiment.helper.ok_or(io::ErrorKind::NotFound)?;
    helper(argument)
}

fn is_met(need: Need, is_private: bool) -> bool {
    match need {
        Need::Root => geteuid().is_root(),
        Need::PrivateNetwork => is_private,
        Need::NetRaw => Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::ICMPV4)).is_ok(),
        Need::Linux(major, minor) => {
            release(&uname().release().to_string_lossy()).is_some_and(|here| here >= (major, minor))
        }
        Need::Python => python::find().is_some(),
    }
}

/// The first two numbers of a release like `6.18.44-generic`.
fn release(text: &str) -> Option<(u32, u32)> {
    let mut numbers = text.split(|c: char| !c.is_ascii_digit()).map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_are_compared_as_numbers() {
        assert_eq!(release("6.18.44-fc"), Some((6, 18)));
        assert_eq!(release("6.3-rc1"), Some((6, 3)));
        assert_eq!(release("odd"), None);
        assert!(release("6.18") > release("6.3"));
    }
}
