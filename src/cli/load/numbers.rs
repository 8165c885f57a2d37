//! Numbers as a report shows them: three digits that say something, thousands apart.

use std::time::Duration;

use crate::histogram::Nanos;

/// `10,000`.
pub(in super::super) fn count(value: u64) -> String {
    grouped(&value.to_string())
}

/// A number per second, without a fraction where it is not needed: `49,998`, `0.50`.
pub(in super::super) fn rate(value: f64) -> String {
    if value > 0.0 && value < 9.995 && value.fract() > 0.0 {
        return format!("{value:.2}");
    }
    grouped(&format!("{value:.0}"))
}

/// Nanoseconds in milliseconds, without the unit: `0.051`, `0.31`, `9.44`, `38.0`, `1,234`.
pub(in super::super) fn millis(nanos: f64) -> String {
    let millis = nanos / 1e6;
    let decimals = match millis {
        0.0 => 0,
        millis if millis < 0.0995 => 3,
        millis if millis < 9.995 => 2,
        millis if millis < 99.95 => 1,
        _ => 0,
    };
    grouped(&format!("{millis:.decimals$}"))
}

/// A quantile in milliseconds, e.g. of 0.99; `-` where nothing was measured.
pub(in super::super) fn quantile(times: &Nanos, quantile: f64) -> String {
    if times.is_empty() { "-".to_owned() } else { millis(times.value_at_quantile(quantile) as f64) }
}

/// `5.3 MB/s`.
pub(in super::super) fn throughput(bytes_per_second: f64) -> String {
    let (scaled, unit) = match bytes_per_second {
        value if value < 1e3 => return format!("{value:.0} B/s"),
        value if value < 999.5e3 => (value / 1e3, "kB/s"),
        value if value < 999.5e6 => (value / 1e6, "MB/s"),
        value => (value / 1e9, "GB/s"),
    };
    let decimals = usize::from(scaled < 99.95);
    format!("{} {unit}", grouped(&format!("{scaled:.decimals$}")))
}

/// `30 s`, `4.2 s`, `250 ms`.
pub(in super::super) fn seconds(value: f64) -> String {
    if value > 0.0 && value < 0.9995 {
        return format!("{:.0} ms", 1e3 * value);
    }
    let text = format!("{value:.1}");
    format!("{} s", grouped(text.strip_suffix(".0").unwrap_or(&text)))
}

/// [`seconds`] of a duration.
pub(in super::super) fn duration(value: Duration) -> String {
    seconds(value.as_secs_f64())
}

/// Thousands of the whole part apart.
fn grouped(text: &str) -> String {
    let (whole, fraction) = text.split_at(text.find('.').unwrap_or(text.len()));
    let mut grouped = String::with_capacity(text.len() + text.len() / 3);
    for (at, digit) in whole.chars().enumerate() {
        if at > 0 && (whole.len() - at) % 3 == 0 {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped + fraction
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short_and_readable() {
        for (value, text) in [(0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(count(value), text);
        }
        for (value, text) in [(0.0, "0"), (0.5, "0.50"), (7.0, "7"), (49_998.4, "49,998"), (12.5, "12")] {
            assert_eq!(rate(value), text);
        }
        for (value, text) in [
            (0.0, "0"),
            (0.0512, "0.051"),
            (0.31, "0.31"),
            (9.44, "9.44"),
            (9.996, "10.0"),
            (38.0, "38.0"),
            (1234.4, "1,234"),
        ] {
            assert_eq!(millis(1e6 * value), text);
        }
        for (value, text) in [
            (12.0, "12 B/s"),
            (5300.0, "5.3 kB/s"),
            (5.3e6, "5.3 MB/s"),
            (999.6e3, "1.0 MB/s"),
            (2.5e11, "250 GB/s"),
        ] {
            assert_eq!(throughput(value), text);
        }
        for (value, text) in [
            (30.0, "30 s"),
            (4.21, "4.2 s"),
            (0.25, "250 ms"),
            (0.9997, "1 s"),
            (0.0, "0 s"),
            (3600.0, "3,600 s"),
        ] {
            assert_eq!(seconds(value), text);
        }
    }
}
