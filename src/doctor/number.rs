//! Numbers as people read them, and arithmetic that never overflows.

use super::check::Unit;
use super::machine::UNLIMITED;

/// `28,232`; `no limit` for [`UNLIMITED`].
pub(super) fn grouped(number: u64) -> String {
    if number == UNLIMITED {
        return "no limit".to_owned();
    }
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `512 B`, `57.2 MiB`; `no limit` for [`UNLIMITED`].
pub(super) fn bytes(number: u64) -> String {
    if number < 1024 || number == UNLIMITED {
        return if number == UNLIMITED { grouped(number) } else { format!("{number} B") };
    }
    let mut value = number as f64;
    let mut unit = "B";
    for next in ["KiB", "MiB", "GiB", "TiB"] {
        if value < 1024.0 {
            break;
        }
        value /= 1024.0;
        unit = next;
    }
    format!("{value:.1} {unit}")
}

/// A number in its unit.
pub(super) fn amount(number: u64, unit: Unit) -> String {
    match unit {
        Unit::Count => grouped(number),
        Unit::Bytes => bytes(number),
    }
}

/// `1 source`, `2 sources`.
pub(super) fn several(number: u64, one: &str, many: &str) -> String {
    format!("{} {}", grouped(number), if number == 1 { one } else { many })
}

/// a × b ÷ c, rounded down. [`UNLIMITED`] stays what it is; `c` of 0 counts as 1.
pub(super) fn mul_div(a: u64, b: u64, c: u64) -> u64 {
    if a == UNLIMITED {
        return UNLIMITED;
    }
    let value = u128::from(a) * u128::from(b) / u128::from(c.max(1));
    u64::try_from(value).unwrap_or(UNLIMITED)
}

/// a × b. [`UNLIMITED`] stays what it is, also times 0.
pub(super) const fn times(a: u64, b: u64) -> u64 {
    if a == UNLIMITED { UNLIMITED } else { a.saturating_mul(b) }
}

/// a − b, at least 0. [`UNLIMITED`] stays what it is.
pub(super) const fn less(a: u64, b: u64) -> u64 {
    if a == UNLIMITED { UNLIMITED } else { a.saturating_sub(b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_grouped() {
        for (number, text) in [
            (0, "0"),
            (999, "999"),
            (1_000, "1,000"),
            (28_232, "28,232"),
            (100_000, "100,000"),
            (1_234_567, "1,234,567"),
            (UNLIMITED, "no limit"),
        ] {
            assert_eq!(grouped(number), text);
        }
    }

    #[test]
    fn bytes_have_a_unit() {
        for (number, text) in [
            (512, "512 B"),
            (1_024, "1.0 KiB"),
            (60_000_000, "57.2 MiB"),
            (24 << 30, "24.0 GiB"),
            (UNLIMITED, "no limit"),
        ] {
            assert_eq!(bytes(number), text);
        }
    }

    #[test]
    fn nothing_overflows_and_no_limit_stays_none() {
        assert_eq!(mul_div(u64::MAX - 1, u64::MAX - 1, 1), UNLIMITED);
        assert_eq!((mul_div(10, 3, 4), mul_div(10, 3, 0)), (7, 30));
        assert_eq!((times(UNLIMITED, 0), less(UNLIMITED, 5), less(3, 5)), (UNLIMITED, UNLIMITED, 0));
    }
}
