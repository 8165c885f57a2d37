//! Times with a unit: `635.91us`, `0.89ms`, `1.02s`.

/// Microseconds of a number with a unit behind it.
pub(super) fn micros(text: &str) -> Option<f64> {
    let at = text.find(|c: char| c.is_alphabetic())?;
    let (number, unit) = text.split_at(at);
    let factor = match unit {
        "ns" => 1e-3,
        "us" | "\u{b5}s" | "\u{3bc}s" | "usec" => 1.0,
        "ms" | "msec" => 1e3,
        "s" | "sec" | "secs" => 1e6,
        "m" => 60e6,
        "h" => 3600e6,
        _ => return None,
    };
    Some(plain(number)? * factor)
}

/// A number with commas between its thousands, or without.
pub(super) fn plain(text: &str) -> Option<f64> {
    let begins_well = text.starts_with(|c: char| c.is_ascii_digit() || c == '.');
    begins_well.then(|| text.replace(',', "").parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_unit_becomes_microseconds() {
        for (text, wanted) in [
            ("250ns", 0.25),
            ("635.91us", 635.91),
            ("7\u{b5}s", 7.0),
            ("0.89ms", 890.0),
            ("1.5s", 1.5e6),
            ("2m", 120e6),
            ("1.00h", 3600e6),
        ] {
            let got = micros(text).unwrap();
            assert!((got - wanted).abs() < 1e-6, "{text}: {got}");
        }
        for text in ["", "12", "ms", "-1ms", "1.2.3ms", "1kb", "nan", "inf"] {
            assert_eq!(micros(text), None, "{text}");
        }
        assert_eq!(plain("1,234.5"), Some(1234.5));
    }
}
