//! What is shown while a run goes on: one live line on a terminal, else a line per second for those who ask.

use std::io::{self, IsTerminal, Write};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use log::LevelFilter;

use super::numbers::{count, quantile};
use crate::load::Second;

/// Where progress goes: always to standard error.
pub(super) enum Progress {
    /// One line that is drawn over and over.
    Live(ProgressBar),
    /// A line per second.
    Lines,
    /// Nobody looks, or nobody wants to.
    Silent,
}

impl Progress {
    /// On a terminal unless it is to be quiet; elsewhere with -v.
    pub(super) fn new(level: LevelFilter) -> Self {
        match (io::stderr().is_terminal(), level) {
            (_, LevelFilter::Off | LevelFilter::Error) => Self::Silent,
            (true, _) => Self::Live(live()),
            (false, LevelFilter::Debug | LevelFilter::Trace) => Self::Lines,
            (false, _) => Self::Silent,
        }
    }

    pub(super) fn second(&self, second: &Second) {
        match self {
            Self::Live(bar) => bar.set_message(describe(second)),
            // Nobody is left to be told when it fails.
            Self::Lines => drop(writeln!(io::stderr().lock(), "{}", describe(second))),
            Self::Silent => {}
        }
    }

    /// Takes the live line away: a report follows.
    pub(super) fn finish(self) {
        if let Self::Live(bar) = self {
            bar.finish_and_clear();
        }
    }
}

/// Drawn once a second, when there is something new: a bar that moves by itself is a thread that takes time from a run.
fn live() -> ProgressBar {
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
    bar.set_style(ProgressStyle::with_template("{wide_msg}").expect("the template is a constant, and valid"));
    bar.set_message("connecting");
    bar.tick();
    bar
}

fn describe(second: &Second) -> String {
    if second.number == 0 {
        return format!("connecting   {} open", count(second.open));
    }
    format!(
        "{:>4} s{}   {} open   {}/s   p50 {}  p99 {} ms   {} errors",
        second.number,
        if second.is_warmup { " warm-up" } else { "" },
        count(second.open),
        count(second.requests),
        quantile(&second.corrected, 0.5),
        quantile(&second.corrected, 0.99),
        count(second.errors.total())
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::sample;

    #[test]
    fn a_second_is_one_line() {
        assert_eq!(
            describe(&sample::second(7, false)),
            "   7 s   10,000 open   49,998/s   p50 0.31  p99 2.10 ms   2 errors"
        );
        assert!(describe(&sample::second(1, true)).starts_with("   1 s warm-up   10,000 open"));
    }
}
