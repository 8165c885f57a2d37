//! How far it is: a line that changes on a terminal, one line per second in the log (`-v`) otherwise.

use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use log::{Level, debug, log_enabled};

use crate::hold::{Phase, Progress};

/// How often the log says it.
const LOG_EVERY: Duration = Duration::from_secs(1);

/// Shows how far it is.
pub(super) struct Show {
    wanted: u32,
    bar: Option<ProgressBar>,
    logged: Option<(Phase, Instant)>,
}

impl Show {
    pub(super) fn new(wanted: u32) -> Self {
        // Neither for those who want to hear of errors only.
        let shown = io::stderr().is_terminal() && log_enabled!(Level::Warn);
        let bar = shown.then(|| {
            let bar = ProgressBar::with_draw_target(Some(u64::from(wanted)), ProgressDrawTarget::stderr());
            let style = ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len} {elapsed}");
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar
        });
        Self { wanted, bar, logged: None }
    }

    pub(super) fn progress(&mut self, progress: &Progress) {
        let (what, count) = match progress.phase {
            Phase::Opening => ("opening", progress.opened),
            Phase::Holding => ("holding", progress.opened - progress.lost.min(progress.opened)),
            Phase::Checking => ("checking", progress.answered),
        };
        if let Some(bar) = &self.bar {
            let trouble = match (progress.failed, progress.lost) {
                (0, 0) => String::new(),
                (failed, lost) => format!(" ({failed} failed, {lost} lost)"),
            };
            bar.set_message(format!("{what}{trouble}"));
            bar.set_position(count);
        } else if self.logged.is_none_or(|(phase, at)| phase != progress.phase || at.elapsed() >= LOG_EVERY) {
            self.logged = Some((progress.phase, Instant::now()));
            let Progress { opened, failed, lost, answered, .. } = progress;
            debug!(
                "{what} wanted={} opened={opened} failed={failed} lost={lost} answered={answered}",
                self.wanted
            );
        }
    }

    /// Leaves the terminal to the report.
    pub(super) fn clear(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
