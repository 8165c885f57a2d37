//! The laboratory: claims about sockets, each tested on real ones.
//!
//! An [`Experiment`] is a few texts and a function that a student can read from top to bottom; it writes what it does and what it
//! observes into a [`Lab`], the notebook. `oneloop lab` runs each in a process of its own. Start with `modes/flag.rs`;
//! docs/lab/README.md says how to add one.
//!
//! What makes it deterministic: wait for a condition with a deadline before asserting that something happens, and for a bounded
//! 20 to 100 ms before asserting that nothing does; fix both buffers before filling them; assert counts and relations, never times
//! or sizes that the kernel chooses.

mod accept;
mod closing;
mod connect;
mod datagrams;
mod experiment;
mod modes;
mod notebook;
mod readiness;
mod recv;
mod run;
mod samples;
mod self_test;
mod send;
mod show;
mod source;
pub mod tools;
mod unix;

pub use self::experiment::{Entry, Experiment, Group, Need, Page};
pub use self::notebook::{Lab, Line, Number, Observation, Stop, Verdict};
pub use self::run::{help, run};
pub use self::show::{Show, bytes, error_name, mask_names};

/// The catalogue.
pub const GROUPS: &[Group] = &[
    Group { letter: 'M', name: "modes", title: "Blocking mode", pages: modes::PAGES },
    Group { letter: 'R', name: "recv", title: "Receiving", pages: recv::PAGES },
    Group { letter: 'S', name: "send", title: "Sending", pages: send::PAGES },
    Group { letter: 'C', name: "connect", title: "Connecting", pages: connect::PAGES },
    Group { letter: 'A', name: "accept", title: "Accepting, and the backlog", pages: accept::PAGES },
    Group {
        letter: 'E',
        name: "readiness",
        title: "Readiness: select, poll, epoll",
        pages: readiness::PAGES,
    },
    Group { letter: 'X', name: "closing", title: "Closing, TIME_WAIT, bind", pages: closing::PAGES },
    Group { letter: 'D', name: "datagrams", title: "Streams and datagrams", pages: datagrams::PAGES },
    Group { letter: 'U', name: "unix", title: "Unix sockets and pipes", pages: unix::PAGES },
    Group { letter: 'Z', name: "samples", title: "The samples of tutorials, tested", pages: samples::PAGES },
];

/// Experiments that fail in every way there is: what proves that the lab would say so. In no list; run when they are named.
pub const SELF_TEST: Group =
    Group { letter: 'T', name: "self-test", title: "The lab itself", pages: self_test::PAGES };

/// Those that teach most, in the order in which to read them, and what they teach together.
pub const FIRST: &[(&[&str], &str)] = &[
    (&["R02"], "three different \"nothing\""),
    (&["S01", "S03"], "a write is partial, and what loses count of it"),
    (&["E02", "E03"], "the stall of edge triggering, and what hides it"),
    (&["E04"], "a short read means drained, except once"),
    (&["C03", "C06"], "writable is not connected"),
    (&["E13"], "a stale event hits the wrong connection"),
    (&["A05"], "out of descriptors: the loop that spins"),
    (&["M03", "M05"], "who inherits O_NONBLOCK, and who shares it"),
    (&["X01"], "closing with unread data destroys the reply"),
    (&["A01"], "what a backlog is"),
    (&["D10", "D11"], "errors of datagram sockets, and their order"),
    (&["D01", "D02"], "sticky packets, from both sides"),
];

/// Every experiment, in the catalogue's order.
pub fn all() -> impl Iterator<Item = Entry> {
    GROUPS.iter().flat_map(Group::experiments)
}

/// The experiment with this ID, in whatever case, those of the self-test included.
#[must_use]
pub fn find(id: &str) -> Option<Entry> {
    all().chain(SELF_TEST.experiments()).find(|entry| entry.experiment.id.eq_ignore_ascii_case(id))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::path::Path;

    use super::*;

    #[test]
    fn ids_are_unique_and_of_their_group() {
        let mut ids = HashSet::new();
        for group in GROUPS {
            let own: Vec<&str> = group.experiments().iter().map(|entry| entry.experiment.id).collect();
            for id in own {
                assert!(id.len() == 3 && id.starts_with(group.letter) && ids.insert(id), "{id}");
            }
        }
    }

    #[test]
    fn every_experiment_has_its_texts_and_its_code() {
        for entry in all() {
            let one = entry.experiment;
            for text in [one.title, one.claim, one.why, one.source] {
                assert!(
                    !text.is_empty() && !text.contains("  ") && !text.contains('\n'),
                    "{}: {text:?}",
                    one.id
                );
            }
            assert!(entry.code().contains("(lab: &mut Lab)"), "{}: its code was not found", one.id);
            assert!(!entry.steps().is_empty(), "{}: no literal steps", one.id);
        }
    }

    #[test]
    fn every_page_knows_its_own_path() {
        for page in GROUPS.iter().flat_map(|group| group.pages) {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(page.path);
            assert_eq!(std::fs::read_to_string(&path).unwrap(), page.text, "{}", page.path);
        }
    }
}
