//! When the server stalls: moments counted from the first request, from a seed or as given.

use std::fmt;
use std::time::Duration;

/// The most stalls of one run.
const MAX_STALLS: usize = 1000;

/// Shorter ones drown in what timers and the machine do by themselves.
const SHORTEST: Duration = Duration::from_millis(5);

/// Longer ones run into the time limits of the generators.
const LONGEST: Duration = Duration::from_secs(60);

/// Seeded stalls begin and end within this part of the run: a warm-up and the end's edge see none.
const FROM: f64 = 0.12;
const TO: f64 = 0.92;

/// Between two seeded stalls there is at least so much time, in lengths of a stall, for the queue to drain.
const APART: f64 = 0.1;

/// One time in which the server does nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stall {
    /// When it begins, counted from the first request.
    pub at: Duration,
    /// How long it takes.
    pub length: Duration,
}

impl Stall {
    /// When it is over.
    #[must_use]
    pub fn end(&self) -> Duration {
        self.at + self.length
    }
}

/// The stalls of a run, in order and apart.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Schedule(Vec<Stall>);

/// Stalls that cannot be had; the text says which, and what would do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScheduleError(String);

impl fmt::Display for ScheduleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ScheduleError {}

impl Schedule {
    /// `count` stalls of `length` each, at moments that `seed` decides: the same seed gives the same moments.
    ///
    /// # Errors
    /// They do not fit into `run`, or are too many, too short or too long.
    pub fn seeded(seed: u64, run: Duration, count: usize, length: Duration) -> Result<Self, ScheduleError> {
        check_count(count)?;
        check_length(length)?;
        let each = length.as_secs_f64();
        let room = (TO - FROM) * run.as_secs_f64();
        let free = room - each * count as f64 - APART * each * count.saturating_sub(1) as f64;
        if free < 0.0 {
            return Err(ScheduleError(format!(
                "{count} stalls of {length:?} do not fit into a run of {run:?}, of which {:.0} % are for stalls and 10 % of a \
                 stall's length must be between two; ask for fewer, shorter ones, or a longer run (-d)",
                100.0 * (TO - FROM)
            )));
        }
        // Where the free time is divided: as many points as stalls, in order.
        let mut state = seed;
        let mut points: Vec<f64> = (0..count).map(|_| free * unit(&mut state)).collect();
        points.sort_by(f64::total_cmp);
        let first = FROM * run.as_secs_f64();
        let at = |(number, point): (usize, f64)| first + point + number as f64 * each * (1.0 + APART);
        let stalls = points.into_iter().enumerate().map(at);
        Ok(Self(stalls.map(|at| Stall { at: whole_millis(at), length }).collect()))
    }

    /// These stalls, in any order.
    ///
    /// # Errors
    /// Two overlap, one ends after `run`, or they are too many, too short or too long.
    pub fn of(mut stalls: Vec<Stall>, run: Duration) -> Result<Self, ScheduleError> {
        check_count(stalls.len())?;
        stalls.sort_by_key(|stall| stall.at);
        for stall in &stalls {
            check_length(stall.length)?;
            if stall.end() > run {
                return Err(ScheduleError(format!(
                    "the stall of {:?} at {:?} ends after the run of {run:?}; a longer run (-d) has room for it",
                    stall.length, stall.at
                )));
            }
        }
        match stalls.windows(2).find(|pair| pair[1].at < pair[0].end()) {
            Some(pair) => Err(ScheduleError(format!(
                "the stall at {:?} begins before the one at {:?} has ended, at {:?}",
                pair[1].at,
                pair[0].at,
                pair[0].end()
            ))),
            None => Ok(Self(stalls)),
        }
    }

    /// In order.
    #[must_use]
    pub fn stalls(&self) -> &[Stall] {
        &self.0
    }

    /// How long all of them take together.
    #[must_use]
    pub fn total(&self) -> Duration {
        self.0.iter().map(|stall| stall.length).sum()
    }
}

fn check_count(count: usize) -> Result<(), ScheduleError> {
    match count {
        1..=MAX_STALLS => Ok(()),
        _ => Err(ScheduleError(format!("{count} stalls; expected 1 to {MAX_STALLS}"))),
    }
}

fn check_length(length: Duration) -> Result<(), ScheduleError> {
    if (SHORTEST..=LONGEST).contains(&length) {
        return Ok(());
    }
    Err(ScheduleError(format!("a stall of {length:?}; expected {SHORTEST:?} to {LONGEST:?}")))
}

/// Moments are printed; nobody wants to read nanoseconds.
fn whole_millis(seconds: f64) -> Duration {
    let micros = Duration::from_secs_f64(seconds).as_micros();
    Duration::from_millis(u64::try_from(micros / 1000).unwrap_or(u64::MAX))
}

/// The next number in 0..1 (SplitMix64, Steele, Lea and Flood 2014).
fn unit(state: &mut u64) -> f64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: fn(u64) -> Duration = Duration::from_millis;

    #[test]
    fn a_seed_gives_the_same_stalls_always_and_another_others() {
        let seeded = |seed| Schedule::seeded(seed, MS(10_000), 3, MS(500)).unwrap();
        assert_eq!(seeded(1), seeded(1));
        assert_ne!(seeded(1), seeded(2));
    }

    #[test]
    fn seeded_stalls_are_apart_and_away_from_the_edges() {
        for seed in 0..500 {
            for (count, length) in [(1, 8000), (1, 10), (3, 500), (7, 1000), (100, 60)] {
                let schedule = Schedule::seeded(seed, MS(10_000), count, MS(length)).unwrap();
                assert_eq!(schedule.stalls().len(), count);
                assert!(schedule.stalls()[0].at >= MS(1200), "{schedule:?}");
                assert!(schedule.stalls()[count - 1].end() <= MS(9200), "{schedule:?}");
                for pair in schedule.stalls().windows(2) {
                    let gap = pair[1].at.saturating_sub(pair[0].end());
                    assert!(gap + MS(1) >= MS(length / 10), "{schedule:?}");
                }
            }
        }
    }

    #[test]
    fn what_does_not_fit_is_refused_with_the_numbers() {
        let refused = |count, ms| Schedule::seeded(1, MS(2000), count, MS(ms)).unwrap_err().to_string();
        assert!(refused(4, 500).contains("4 stalls of 500ms do not fit into a run of 2s"));
        assert!(refused(0, 500).contains("expected 1 to 1000"));
        assert!(refused(1001, 5).contains("expected 1 to 1000"));
        assert!(refused(1, 1).contains("expected 5ms to 60s"));
        assert!(refused(1, 61_000).contains("expected 5ms to 60s"));
    }

    #[test]
    fn given_stalls_are_put_in_order_and_may_touch_but_not_overlap() {
        let stall = |at, length| Stall { at: MS(at), length: MS(length) };
        let schedule = Schedule::of(vec![stall(600, 100), stall(500, 100)], MS(1000)).unwrap();
        assert_eq!(schedule.stalls(), [stall(500, 100), stall(600, 100)]);
        assert_eq!(schedule.total(), MS(200));
        let error = Schedule::of(vec![stall(500, 200), stall(600, 100)], MS(1000)).unwrap_err().to_string();
        assert!(error.contains("at 600ms begins before the one at 500ms has ended, at 700ms"), "{error}");
        let error = Schedule::of(vec![stall(950, 100)], MS(1000)).unwrap_err().to_string();
        assert!(error.contains("ends after the run of 1s"), "{error}");
    }
}
