//! Counts, sizes and times as people write them: `10k`, `64KiB`, `250ms`.
//!
//! Digits and a unit, nothing else: no sign, no blank, no fraction. Every error says what would be accepted.

use std::time::Duration;

/// Spans are kept in milliseconds that must stay comparable (see [`Span`](crate::session::Span)).
const LONGEST: Duration = Duration::from_secs(12 * 24 * 3600);

const COUNT: &str = "expected a whole number, as in 500, 10k or 1m";
const SIZE: &str = "expected a number of bytes, as in 4096, 64KiB or 1MiB";
const TIME: &str = "expected a number with a unit, as in 250ms, 10s, 5m, 1h or 2d";
const LIMIT: &str =
    "expected a number with a unit, as in 250ms, 10s, 5m, 1h or 2d, or 0, off or none for no limit";

/// A limit of time that may be switched off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TimeLimit(pub(super) Option<Duration>);

/// A limit of bytes that may be switched off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SizeLimit(pub(super) Option<usize>);

/// Parses a count of at least 1: `500`, `10k`, `1m`.
pub(super) fn count(text: &str) -> Result<usize, String> {
    let factor = |unit: &str| match unit {
        "" => Some(1),
        "k" | "K" => Some(1_000),
        "m" | "M" => Some(1_000_000),
        _ => None,
    };
    let value = scaled(text, factor).and_then(|value| usize::try_from(value).ok());
    at_least_one(value.ok_or(COUNT)?)
}

/// Parses a number of bytes, 0 included: `4096`, `64KiB` or short `64k`, `1MiB`, `1GiB`.
pub(super) fn size(text: &str) -> Result<usize, String> {
    let factor = |unit: &str| match unit.to_ascii_lowercase().as_str() {
        "" | "b" => Some(1),
        "k" | "kib" => Some(1 << 10),
        "m" | "mib" => Some(1 << 20),
        "g" | "gib" => Some(1 << 30),
        _ => None,
    };
    let value = scaled(text, factor).and_then(|value| usize::try_from(value).ok());
    value.ok_or_else(|| SIZE.to_owned())
}

/// [`size`] of at least one byte.
pub(super) fn positive_size(text: &str) -> Result<usize, String> {
    at_least_one(size(text)?)
}

/// Parses a time, 0 included: `250ms`, `10s`, `5m`, `1h`, `2d`.
pub(super) fn time(text: &str) -> Result<Duration, String> {
    let factor = |unit: &str| match unit {
        "ms" => Some(1),
        "s" => Some(1_000),
        "m" => Some(60_000),
        "h" => Some(3_600_000),
        "d" => Some(86_400_000),
        _ => None,
    };
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let time = Duration::from_millis(scaled(text, factor).ok_or(TIME)?);
    if time > LONGEST { Err("expected at most 12d".to_owned()) } else { Ok(time) }
}

/// Parses a limit of time: a [`time`], or `0`, `off` or `none` for no limit.
pub(super) fn time_limit(text: &str) -> Result<TimeLimit, String> {
    if text == "off" || text == "none" {
        return Ok(TimeLimit(None));
    }
    let limit = time(text).map_err(|error| if error == TIME { LIMIT.to_owned() } else { error })?;
    Ok(TimeLimit(Some(limit).filter(|limit| !limit.is_zero())))
}

/// Parses a limit of bytes: a [`size`], or `0`, `off` or `none` for no limit.
pub(super) fn size_limit(text: &str) -> Result<SizeLimit, String> {
    if text == "off" || text == "none" {
        return Ok(SizeLimit(None));
    }
    let limit = size(text).map_err(|error| format!("{error}, or 0, off or none for no limit"))?;
    Ok(SizeLimit(Some(limit).filter(|limit| *limit > 0)))
}

/// Digits and a unit; `None` for anything else, and for what no `u64` can hold.
fn scaled(text: &str, factor: impl Fn(&str) -> Option<u64>) -> Option<u64> {
    let end = text.bytes().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len());
    let (digits, unit) = text.split_at(end);
    digits.parse::<u64>().ok()?.checked_mul(factor(unit)?)
}

fn at_least_one(value: usize) -> Result<usize, String> {
    if value == 0 { Err("expected at least 1".to_owned()) } else { Ok(value) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts() {
        for (text, want) in [("1", 1), ("500", 500), ("10k", 10_000), ("10K", 10_000), ("1m", 1_000_000)] {
            assert_eq!(count(text), Ok(want), "{text}");
        }
        for text in [
            "",
            "k",
            "-1",
            "+1",
            "1.5k",
            "10 k",
            "1g",
            "10kk",
            "99999999999999999999",
            "18446744073709551615k",
        ] {
            assert_eq!(count(text).unwrap_err(), COUNT, "{text}");
        }
        assert!(count("0").unwrap_err().contains("at least 1"));
    }

    #[test]
    fn sizes() {
        for (text, want) in [
            ("0", 0),
            ("4096", 4096),
            ("12B", 12),
            ("64KiB", 65536),
            ("64kib", 65536),
            ("64k", 65536),
            ("1MiB", 1 << 20),
            ("1m", 1 << 20),
            ("2GiB", 2 << 30),
        ] {
            assert_eq!(size(text), Ok(want), "{text}");
        }
        for text in ["", "KiB", "-1", "+1", "1.5k", "64 KiB", "64KB", "1T", "99999999999999999999"] {
            assert_eq!(size(text).unwrap_err(), SIZE, "{text}");
        }
        assert!(positive_size("0KiB").unwrap_err().contains("at least 1"));
    }

    #[test]
    fn times() {
        for (text, ms) in
            [("0", 0), ("0s", 0), ("250ms", 250), ("10s", 10_000), ("2m", 120_000), ("1h", 3_600_000)]
        {
            assert_eq!(time(text), Ok(Duration::from_millis(ms)), "{text}");
        }
        for text in ["", "10", "s", "-1s", "+1s", "1.5s", "1 s", "1S", "1us", "18446744073709551615h"] {
            assert_eq!(time(text).unwrap_err(), TIME, "{text}");
        }
        assert!(time("12d").is_ok());
        assert!(time("13d").unwrap_err().contains("12d"));
    }

    #[test]
    fn limits_can_be_switched_off() {
        for text in ["0", "0s", "off", "none"] {
            assert_eq!(time_limit(text), Ok(TimeLimit(None)), "{text}");
        }
        assert_eq!(time_limit("1s"), Ok(TimeLimit(Some(Duration::from_secs(1)))));
        assert!(time_limit("never").unwrap_err().contains("off"));
        assert!(time_limit("13d").unwrap_err().contains("12d"));
    }
}
