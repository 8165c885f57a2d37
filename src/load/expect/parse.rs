//! How a condition is read. Every error names the place, and what would be accepted there.

use std::fmt;
use std::str::FromStr;

use super::{Comparison, Expectation, Metric, Point, Times};
use crate::load::report::ErrorKind;

const METRIC: &str = "expected p50, p99.9, p999, min, mean or max (of connect.p99 and service.p99 too), rate, errors, \
                      errors.KIND, loss, mismatches or unanswered";
const POINT: &str = "expected min, mean, max or a percentile, as in p99 or p99.9";
const PERCENTILE: &str = "expected a percentile above 0 and up to 100, as in p99 or p99.9; p999 is p99.9";
const COMPARISON: &str = "expected >, >=, < or <=";
const NUMBER: &str = "expected a number, as in 5 or 0.5";
const TIME: &str = "expected a unit, us, ms or s, as in p99>5ms";
const COUNT: &str = "expected k, m or nothing behind a count";
const SHARE: &str = "expected %, k, m or nothing, as in loss>0.1%";
const END: &str = "expected nothing more; give every condition its own option";

/// Why a text is no [`Expectation`].
///
/// Its display is three lines: the place with what would be accepted, the text, and a mark below the place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParseExpectationError {
    text: String,
    /// A byte of the text, or its end; always at a character.
    at: usize,
    expected: String,
}

impl fmt::Display for ParseExpectationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let column = self.text[..self.at].chars().count() + 1;
        // What would end the line, or drive a terminal, would move the mark away.
        let shown: String =
            self.text.chars().map(|char| if char.is_control() { '\u{fffd}' } else { char }).collect();
        write!(f, "at {column}: {}\n  {shown}\n  {:>column$}", self.expected, "^")
    }
}

impl std::error::Error for ParseExpectationError {}

impl FromStr for Expectation {
    type Err = ParseExpectationError;

    /// Parses METRIC COMPARISON NUMBER UNIT, with or without blanks between the first three.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut cursor = Cursor { text, at: 0 };
        cursor.skip_blanks();
        let metric = cursor.metric()?;
        cursor.skip_blanks();
        let comparison = cursor.comparison().ok_or_else(|| cursor.error(COMPARISON))?;
        cursor.skip_blanks();
        let number = cursor.number().ok_or_else(|| cursor.error(NUMBER))?;
        let (metric, factor) = cursor.unit(metric)?;
        cursor.skip_blanks();
        if !cursor.rest().is_empty() {
            return Err(cursor.error(END));
        }
        Ok(Self { text: text.trim().to_owned(), metric, comparison, limit: number * factor })
    }
}

/// How far a text has been read.
struct Cursor<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Cursor<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn error(&self, expected: &str) -> ParseExpectationError {
        ParseExpectationError { text: self.text.to_owned(), at: self.at, expected: expected.to_owned() }
    }

    fn take(&mut self, belongs: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let end = rest.find(|char| !belongs(char)).unwrap_or(rest.len());
        self.at += end;
        &rest[..end]
    }

    fn skip_blanks(&mut self) {
        self.take(char::is_whitespace);
    }

    fn metric(&mut self) -> Result<Metric, ParseExpectationError> {
        let start = self.at;
        let name = self.take(|char| char.is_ascii_alphanumeric() || matches!(char, '.' | '_'));
        let fail =
            |behind: usize, expected: &str| Self { text: self.text, at: start + behind }.error(expected);
        if let Some(kind) = name.strip_prefix("errors.") {
            let found = ErrorKind::ALL.into_iter().find(|known| known.name() == kind);
            return found.map(|kind| Metric::Errors(Some(kind))).ok_or_else(|| fail(7, &kinds()));
        }
        for (prefix, times) in
            [("corrected.", Times::Corrected), ("service.", Times::Service), ("connect.", Times::Connect)]
        {
            if let Some(point) = name.strip_prefix(prefix) {
                let behind = prefix.len();
                let point = self::point(point).map_err(|why| fail(behind, why.unwrap_or(POINT)))?;
                return Ok(Metric::Time(times, point));
            }
        }
        match name {
            "rate" => Ok(Metric::Rate),
            "errors" => Ok(Metric::Errors(None)),
            "loss" => Ok(Metric::Lost),
            "mismatches" => Ok(Metric::Mismatches),
            "unanswered" => Ok(Metric::Unanswered),
            point => match self::point(point) {
                Ok(point) => Ok(Metric::Time(Times::Corrected, point)),
                Err(why) => Err(fail(0, why.unwrap_or(METRIC))),
            },
        }
    }

    fn comparison(&mut self) -> Option<Comparison> {
        for (sign, comparison) in [
            (">=", Comparison::AtLeast),
            ("<=", Comparison::AtMost),
            (">", Comparison::Above),
            ("<", Comparison::Below),
        ] {
            if self.rest().starts_with(sign) {
                self.at += sign.len();
                return Some(comparison);
            }
        }
        None
    }

    /// Digits, with or without a fraction.
    fn number(&mut self) -> Option<f64> {
        let start = self.at;
        let digits = self.take(|char| char.is_ascii_digit() || char == '.');
        let number = decimal(digits);
        if number.is_none() {
            self.at = start;
        }
        number
    }

    /// What the number is counted in, and what that makes of the metric.
    fn unit(&mut self, metric: Metric) -> Result<(Metric, f64), ParseExpectationError> {
        let start = self.at;
        let unit = self.take(|char| char.is_alphanumeric() || char == '%');
        let fail = |expected| Err(Self { text: self.text, at: start }.error(expected));
        let count = match unit {
            "" => Some(1.0),
            "k" | "K" => Some(1e3),
            "m" | "M" => Some(1e6),
            _ => None,
        };
        match (metric, unit, count) {
            (Metric::Time(..), "us", _) => Ok((metric, 1e3)),
            (Metric::Time(..), "ms", _) => Ok((metric, 1e6)),
            (Metric::Time(..), "s", _) => Ok((metric, 1e9)),
            (Metric::Time(..), ..) => fail(TIME),
            (Metric::Lost, "%", _) => Ok((Metric::LostShare, 1.0)),
            (_, _, Some(factor)) => Ok((metric, factor)),
            (Metric::Lost, ..) => fail(SHARE),
            _ => fail(COUNT),
        }
    }
}

/// `min`, `p99.9` and so on. An error without words: it does not look like one at all.
fn point(name: &str) -> Result<Point, Option<&'static str>> {
    match name {
        "min" => return Ok(Point::Min),
        "mean" => return Ok(Point::Mean),
        "max" => return Ok(Point::Max),
        "p999" => return Ok(Point::Percentile(99.9)),
        "p9999" => return Ok(Point::Percentile(99.99)),
        _ => {}
    }
    let digits = name.strip_prefix('p').filter(|rest| rest.starts_with(|first: char| first.is_ascii_digit()));
    let percent = decimal(digits.ok_or(None)?).filter(|percent| *percent > 0.0 && *percent <= 100.0);
    percent.map(Point::Percentile).ok_or(Some(PERCENTILE))
}

/// Digits, and at most one point with digits on both sides. Nothing else that a float may be written as.
fn decimal(text: &str) -> Option<f64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let is_digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let number = (is_digits(whole) && is_digits(fraction)).then(|| text.parse::<f64>().ok())??;
    number.is_finite().then_some(number)
}

fn kinds() -> String {
    format!("expected a kind of error: {}", ErrorKind::ALL.map(ErrorKind::name).join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Expectation, ParseExpectationError> {
        text.parse()
    }

    #[test]
    fn conditions_are_read() {
        let corrected = |point| Metric::Time(Times::Corrected, point);
        for (text, metric, comparison, limit) in [
            ("p99>5ms", corrected(Point::Percentile(99.0)), Comparison::Above, 5e6),
            (" p99.9 <= 0.5s ", corrected(Point::Percentile(99.9)), Comparison::AtMost, 5e8),
            ("p999>1us", corrected(Point::Percentile(99.9)), Comparison::Above, 1e3),
            ("p9999>1us", corrected(Point::Percentile(99.99)), Comparison::Above, 1e3),
            ("p100<1s", corrected(Point::Percentile(100.0)), Comparison::Below, 1e9),
            ("max>1s", corrected(Point::Max), Comparison::Above, 1e9),
            ("corrected.min>1s", corrected(Point::Min), Comparison::Above, 1e9),
            ("service.mean>1s", Metric::Time(Times::Service, Point::Mean), Comparison::Above, 1e9),
            (
                "connect.p99>=4ms",
                Metric::Time(Times::Connect, Point::Percentile(99.0)),
                Comparison::AtLeast,
                4e6,
            ),
            ("rate<50k", Metric::Rate, Comparison::Below, 5e4),
            ("errors>0", Metric::Errors(None), Comparison::Above, 0.0),
            (
                "errors.address_exhausted>0",
                Metric::Errors(Some(ErrorKind::AddressExhausted)),
                Comparison::Above,
                0.0,
            ),
            ("loss>1m", Metric::Lost, Comparison::Above, 1e6),
            ("loss>0.1%", Metric::LostShare, Comparison::Above, 0.1),
            ("mismatches>0", Metric::Mismatches, Comparison::Above, 0.0),
            ("unanswered>=10", Metric::Unanswered, Comparison::AtLeast, 10.0),
        ] {
            let wanted = Expectation { text: text.trim().to_owned(), metric, comparison, limit };
            assert_eq!(parse(text), Ok(wanted), "{text}");
        }
    }

    #[test]
    fn every_kind_of_error_has_a_condition() {
        for kind in ErrorKind::ALL {
            let condition = parse(&format!("errors.{}>0", kind.name())).unwrap();
            assert_eq!(condition.metric(), Metric::Errors(Some(kind)));
        }
    }

    #[test]
    fn an_error_names_the_place_and_what_would_do() {
        for (text, at, expected) in [
            ("", 1, "expected p50"),
            ("latency>5ms", 1, "errors.KIND"),
            ("p>5ms", 1, "expected p50"),
            ("p0>5ms", 1, "above 0"),
            ("p101>5ms", 1, "up to 100"),
            ("p99.9.9>5ms", 1, "up to 100"),
            ("errors.oops>0", 8, "descriptor_limit"),
            ("service.rate>0", 9, "a percentile, as in p99"),
            ("connect.p0>0", 9, "above 0"),
            ("p99", 4, ">, >=, < or <="),
            ("p99=5ms", 4, ">, >=, < or <="),
            ("p99 == 5ms", 5, ">, >=, < or <="),
            ("p99>", 5, "a number"),
            ("p99>ms", 5, "a number"),
            ("p99>-5ms", 5, "a number"),
            ("p99>5.ms", 5, "a number"),
            ("p99>1e3ms", 6, "us, ms or s"),
            ("p99>5", 6, "us, ms or s"),
            ("p99>5m", 6, "us, ms or s"),
            ("errors>5ms", 9, "k, m or nothing"),
            ("rate<5%", 7, "k, m or nothing"),
            ("loss>5ms", 7, "%, k, m or nothing"),
            ("p99>5ms,max>1s", 8, "its own option"),
            ("p99>5ms max>1s", 9, "its own option"),
        ] {
            let error = parse(text).unwrap_err().to_string();
            let mark = format!("\n  {text}\n  {}^", " ".repeat(at - 1));
            assert!(error.starts_with(&format!("at {at}: ")), "{text}: {error}");
            assert!(error.contains(expected) && error.ends_with(&mark), "{text}: {error}");
        }
    }

    #[test]
    fn the_mark_stands_below_its_place_whatever_the_text_is() {
        let error = parse("p99>5µ\n").unwrap_err().to_string();
        assert!(error.ends_with("\n  p99>5µ\u{fffd}\n       ^"), "{error}");
        let error = parse("ü>5").unwrap_err().to_string();
        assert!(error.ends_with("\n  ü>5\n  ^"), "{error}");
    }
}
