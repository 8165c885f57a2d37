//! What became of the conditions of `--fail-if`.

use crate::load::{Expectation, Report};

/// A condition, and whether the run passed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Checked {
    /// As it was given.
    pub(super) text: String,
    /// It was false. What was not measured cannot pass.
    pub(super) pass: bool,
    /// E.g. `was 7.10 ms`.
    pub(super) was: String,
}

/// Looks at all of them, in their order.
pub(super) fn check_all(fail_if: &[Expectation], report: &Report) -> Vec<Checked> {
    let check = |condition: &Expectation| {
        let found = condition.check(report);
        Checked { text: condition.to_string(), pass: found.holds == Some(false), was: found.to_string() }
    };
    fail_if.iter().map(check).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::sample;

    #[test]
    fn a_condition_that_is_true_or_cannot_be_told_fails() {
        let conditions = ["p99>5ms", "p99>1ms"].map(|text| text.parse().unwrap());
        let passed =
            |report: &Report| check_all(&conditions, report).iter().map(|one| one.pass).collect::<Vec<_>>();
        assert_eq!(passed(&sample::open()), [true, false]);
        assert_eq!(passed(&sample::empty()), [false, false]);
    }
}
