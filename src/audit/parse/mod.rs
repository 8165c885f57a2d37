//! What generators print, understood: one file for each. None of them does I/O, and whatever the text is, nothing panics.

mod ab;
mod h2load;
mod hey;
mod json;
mod oneloop;
mod redis;
mod units;
mod wrk;

use super::figures::Figures;

/// What a generator said.
#[derive(Debug, Clone, PartialEq)]
pub struct Reading {
    /// Whose format it is.
    pub tool: &'static str,
    /// Its latencies.
    pub figures: Figures,
    /// Whether it counts from the moments of a schedule: it offered a rate, whether or not the server kept up.
    pub is_scheduled: bool,
    /// How long it was under way before it measured, in seconds.
    pub warmup: f64,
    /// How long it measured, in seconds, where it says so.
    pub seconds: Option<f64>,
    /// Microseconds; what it prints is no finer.
    pub resolution: f64,
}

impl Reading {
    /// Of a closed loop without a warm-up, to the microsecond.
    const fn new(tool: &'static str, figures: Figures) -> Self {
        Self { tool, figures, is_scheduled: false, warmup: 0.0, seconds: None, resolution: 1.0 }
    }
}

/// Understands the output of a generator; `None` where it is of none that is known, or has no latencies.
#[must_use]
pub fn read(output: &str) -> Option<Reading> {
    // Progress that overwrites itself is divided by carriage returns.
    let lines: Vec<&str> = output.split(['\n', '\r']).collect();
    let formats = [json::read, oneloop::read, wrk::read, hey::read, ab::read, h2load::read, redis::read];
    formats.iter().find_map(|read| read(&lines)).filter(|reading| !reading.figures.is_empty())
}

/// The words of the first line that begins with `label`, without it.
fn after<'a>(lines: &[&'a str], label: &str) -> Option<Vec<&'a str>> {
    let line = lines.iter().find_map(|line| line.trim_start().strip_prefix(label))?;
    Some(line.split_whitespace().collect())
}

#[cfg(test)]
pub(super) const SAMPLE: &str = wrk::PLAIN;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_of_no_generator_is_not_understood() {
        for text in
            ["", "\n\n", "hello", "p99 12ms", "Latency Distribution", "{\"schema\":1}", "\u{fffd}%\r%"]
        {
            assert_eq!(read(text), None, "{text}");
        }
    }

    /// A generator that was killed while it printed.
    #[test]
    fn half_an_output_does_no_harm() {
        for text in
            [wrk::PLAIN, wrk::WRK2, hey::OUTPUT, ab::OUTPUT, h2load::OUTPUT, redis::OUTPUT, oneloop::OPEN]
        {
            assert!(read(text).is_some(), "{text}");
            for (cut, _) in text.char_indices() {
                let _ = read(&text[..cut]);
                let _ = read(&text[cut..]);
            }
        }
    }
}
