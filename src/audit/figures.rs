//! The figures that tools print about latency, one of each kind.

/// One kind of figure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Figure {
    /// The average.
    Mean,
    /// Half of all requests took as long or less.
    P50,
    /// 90 % did.
    P90,
    /// 95 % did.
    P95,
    /// 99 % did.
    P99,
    /// 99.9 % did.
    P999,
    /// The longest.
    Max,
}

impl Figure {
    /// All, in the order in which they are shown.
    pub const ALL: [Self; 7] =
        [Self::Mean, Self::P50, Self::P90, Self::P95, Self::P99, Self::P999, Self::Max];

    /// As it is printed, and as JSON names it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Mean => "mean",
            Self::P50 => "p50",
            Self::P90 => "p90",
            Self::P95 => "p95",
            Self::P99 => "p99",
            Self::P999 => "p99.9",
            Self::Max => "max",
        }
    }

    /// Whether it is shown even where the tool does not print it.
    #[must_use]
    pub const fn is_always_shown(self) -> bool {
        matches!(self, Self::P50 | Self::P90 | Self::P99 | Self::Max)
    }

    /// The percentile of this name in percent, as in `50`, `99.000` or `100`, if it is one of these.
    #[must_use]
    pub fn of_percent(text: &str) -> Option<Self> {
        let percent: f64 = text.parse().ok()?;
        let is = |wanted: f64| (percent - wanted).abs() < 1e-9;
        match () {
            () if is(50.0) => Some(Self::P50),
            () if is(90.0) => Some(Self::P90),
            () if is(95.0) => Some(Self::P95),
            () if is(99.0) => Some(Self::P99),
            () if is(99.9) => Some(Self::P999),
            () if is(100.0) => Some(Self::Max),
            () => None,
        }
    }
}

/// Latencies in microseconds; `None` is not printed.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Figures([Option<f64>; 7]);

impl Figures {
    /// In microseconds.
    #[must_use]
    pub fn of(&self, figure: Figure) -> Option<f64> {
        self.0[figure as usize]
    }

    /// Sets it, in microseconds, where there is one.
    pub fn set(&mut self, figure: Figure, micros: Option<f64>) {
        if let Some(micros) = micros.filter(|micros| micros.is_finite() && *micros >= 0.0) {
            self.0[figure as usize] = Some(micros);
        }
    }

    /// Whether nothing is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(Option::is_none)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_known_by_their_percent() {
        for (text, figure) in [
            ("50", Some(Figure::P50)),
            ("99.000", Some(Figure::P99)),
            ("99.900", Some(Figure::P999)),
            ("100.000", Some(Figure::Max)),
            ("99.219", None),
            ("", None),
        ] {
            assert_eq!(Figure::of_percent(text), figure, "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_not_kept() {
        let mut figures = Figures::default();
        for value in [None, Some(f64::NAN), Some(f64::INFINITY), Some(-1.0)] {
            figures.set(Figure::Max, value);
            assert!(figures.is_empty());
        }
        figures.set(Figure::Max, Some(0.0));
        assert_eq!(figures.of(Figure::Max), Some(0.0));
    }
}
