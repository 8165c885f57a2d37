//! Small text files of numbers, as the kernel writes them.

use std::fs;
use std::path::{Path, PathBuf};

use super::UNLIMITED;

/// The files below a root.
#[derive(Debug)]
pub(super) struct Tree<'a> {
    root: &'a Path,
}

impl<'a> Tree<'a> {
    pub(super) const fn new(root: &'a Path) -> Self {
        Self { root }
    }

    /// Where a file is. A leading slash is not the system's root.
    pub(super) fn path(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }

    pub(super) fn text(&self, path: &str) -> Option<String> {
        fs::read_to_string(self.path(path)).ok()
    }

    /// The one number of a file; `max` is no limit.
    pub(super) fn number(&self, path: &str) -> Option<u64> {
        match self.text(path)?.trim() {
            "max" => Some(UNLIMITED),
            text => text.parse().ok(),
        }
    }

    /// All numbers of a file.
    pub(super) fn numbers(&self, path: &str) -> Vec<u64> {
        let text = self.text(path).unwrap_or_default();
        text.split_whitespace().map_while(|word| word.parse().ok()).collect()
    }

    /// What follows a name at the start of a line.
    pub(super) fn field(&self, path: &str, name: &str) -> Option<String> {
        let text = self.text(path)?;
        text.lines().find_map(|line| line.strip_prefix(name)).map(|rest| rest.trim().to_owned())
    }

    /// The number behind a word of a line: `inuse` of `TCP: inuse 1 orphan 0`.
    pub(super) fn word_after(&self, path: &str, line: &str, word: &str) -> Option<u64> {
        let fields = self.field(path, line)?;
        let mut words = fields.split_whitespace();
        words.find(|found| *found == word)?;
        words.next()?.parse().ok()
    }

    /// The soft and the hard limit of /proc/self/limits.
    pub(super) fn rlimit(&self, name: &str) -> (Option<u64>, Option<u64>) {
        let fields = self.field("proc/self/limits", name).unwrap_or_default();
        let mut limits = fields.split_whitespace().map(|word| match word {
            "unlimited" => Some(UNLIMITED),
            word => word.parse().ok(),
        });
        (limits.next().flatten(), limits.next().flatten())
    }
}

/// The number at the start of a text, as in `23887636 kB`.
pub(super) fn leading(text: &str) -> Option<u64> {
    text.split_whitespace().next()?.parse().ok()
}

/// `8080,9148-9150`: the first and last of each range, each at least 0 long.
pub(super) fn ranges(list: &str) -> impl Iterator<Item = (u64, u64)> {
    list.trim().split(',').filter_map(|part| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
        (first <= last).then_some((first, last))
    })
}

/// How many numbers a list of ranges has.
pub(super) fn range_size(list: &str) -> u64 {
    ranges(list).map(|(first, last)| (last - first).saturating_add(1)).fold(0, u64::saturating_add)
}
