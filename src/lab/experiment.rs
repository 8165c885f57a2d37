//! What an experiment is: its texts, what it needs, and the function that carries it out.

use std::fmt;

use super::notebook::{Lab, Stop};
use super::source;

/// One claim about sockets, and the function that tests it on real ones.
#[derive(Debug, Clone, Copy)]
pub struct Experiment {
    /// A letter for the group and two digits: `M01`.
    pub id: &'static str,
    /// Core: what a server's author must know. The others are extensions.
    pub core: bool,
    /// One line.
    pub title: &'static str,
    /// What is claimed, in one paragraph.
    pub claim: &'static str,
    /// Why it matters to somebody who writes an event loop.
    pub why: &'static str,
    /// Man pages, RFCs and books that say so.
    pub source: &'static str,
    /// Without one of these it is skipped.
    pub needs: &'static [Need],
    /// Carries it out.
    pub run: fn(&mut Lab) -> Result<(), Stop>,
    /// What a helper process does that [`super::tools::helper::start`] starts, given its argument. Its standard input is the
    /// descriptor it was handed.
    pub helper: Option<fn(&str) -> std::io::Result<()>>,
}

/// What an experiment cannot do without.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// The user root.
    Root,
    /// A network namespace of its own, with the capability CAP_NET_ADMIN in it.
    PrivateNetwork,
    /// The capability CAP_NET_RAW.
    NetRaw,
    /// Linux of this version or newer.
    Linux(u32, u32),
    /// The program python3, for what no safe crate offers.
    Python,
}

impl fmt::Display for Need {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => write!(f, "needs root"),
            Self::PrivateNetwork => {
                write!(f, "needs a network namespace of its own: root, or CAP_SYS_ADMIN and CAP_NET_ADMIN")
            }
            Self::NetRaw => write!(f, "needs CAP_NET_RAW"),
            Self::Linux(major, minor) => write!(f, "needs Linux {major}.{minor} or newer"),
            Self::Python => write!(f, "needs python3, for what no safe crate offers"),
        }
    }
}

/// A file of experiments, and its own text.
#[derive(Debug, Clone, Copy)]
pub struct Page {
    /// From the root of the repository.
    pub path: &'static str,
    /// The whole file.
    pub text: &'static str,
    /// In the order in which they should be read.
    pub experiments: &'static [Experiment],
}

/// Experiments about one subject.
#[derive(Debug, Clone, Copy)]
pub struct Group {
    /// The letter that its IDs begin with.
    pub letter: char,
    /// One lower-case word, for the command line and the documents.
    pub name: &'static str,
    /// One line.
    pub title: &'static str,
    /// Its files.
    pub pages: &'static [Page],
}

impl Group {
    /// Every experiment, in the order of their IDs.
    #[must_use]
    pub fn experiments(&self) -> Vec<Entry> {
        let of = |page: &'static Page| {
            page.experiments.iter().map(move |experiment| Entry { group: *self, page, experiment })
        };
        let mut all: Vec<Entry> = self.pages.iter().flat_map(of).collect();
        all.sort_by_key(|entry| entry.experiment.id);
        all
    }
}

/// An experiment with its place in the catalogue.
#[derive(Debug, Clone, Copy)]
pub struct Entry {
    /// Its group.
    pub group: Group,
    /// Its file.
    pub page: &'static Page,
    /// Itself.
    pub experiment: &'static Experiment,
}

impl Entry {
    /// The text of its function, and of the functions behind it that belong to it.
    #[must_use]
    pub fn code(&self) -> &'static str {
        source::code_of(self.page.text, self.experiment.id)
    }

    /// What its function says that it does, step by step, without running it.
    #[must_use]
    pub fn steps(&self) -> Vec<String> {
        source::steps_of(self.code())
    }

    /// The name of its function.
    #[must_use]
    pub fn function(&self) -> &'static str {
        let name = self.code().trim_start_matches("fn ");
        name.split('(').next().unwrap_or(name)
    }

    /// `core` or `extension`.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        if self.experiment.core { "core" } else { "extension" }
    }
}
