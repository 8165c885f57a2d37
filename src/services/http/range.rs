//! `Range` and the conditions of a request for a file (RFC 9110 sections 13 and 14).

use std::ops::Range;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::http::{Request, http_date, parse_http_date};

/// What tells one state of a file from another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Version {
    /// To the second, because dates are.
    pub(super) modified: SystemTime,
    /// With its quotation marks. A strong one: made of the time to the nanosecond and the size.
    pub(super) tag: String,
}

impl Version {
    /// Of a file that was changed at this time and has so many bytes.
    pub(super) fn new(seconds: i64, nanos: u64, size: u64) -> Self {
        let seconds = u64::try_from(seconds).unwrap_or(0);
        let modified = UNIX_EPOCH.checked_add(Duration::from_secs(seconds)).unwrap_or(UNIX_EPOCH);
        Self { modified, tag: format!("\"{seconds:x}-{nanos:x}-{size:x}\"") }
    }

    /// Whether the client has this state already. `If-None-Match` decides alone where there is one.
    pub(super) fn is_known(&self, request: &Request<'_>) -> bool {
        if let Some(tags) = request.if_none_match {
            return tags == b"*"
                || tags.split(|byte| *byte == b',').any(|tag| self.has_tag(tag.trim_ascii()));
        }
        let since = request.if_modified_since.and_then(parse_http_date);
        since.is_some_and(|since| self.modified <= since)
    }

    /// Compared weakly: whether a tag is called weak makes no difference.
    fn has_tag(&self, tag: &[u8]) -> bool {
        tag.strip_prefix(b"W/").unwrap_or(tag) == self.tag.as_bytes()
    }

    /// Whether `Range` counts: without `If-Range`, or when that names exactly this state.
    fn allows_range(&self, request: &Request<'_>) -> bool {
        request
            .if_range
            .is_none_or(|state| state == self.tag.as_bytes() || parse_http_date(state) == Some(self.modified))
    }

    /// `Last-Modified` and `ETag` with their line ends.
    pub(super) fn fields(&self) -> String {
        let date = http_date(self.modified);
        format!("Last-Modified: {}\r\nETag: {}\r\n", date.escape_ascii(), self.tag)
    }
}

/// Which part of a file is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Part {
    Whole,
    /// These bytes of it, at least one.
    Bytes(Range<u64>),
    /// None that it has: 416.
    None,
}

impl Part {
    /// What `request` asks for of a file of `size` bytes. What is not one range of bytes is the whole: a server may
    /// ignore `Range` whenever it likes, and several ranges are what amplification attacks are made of.
    pub(super) fn asked_for(request: &Request<'_>, version: &Version, size: u64) -> Self {
        let asked = request.range.filter(|_| request.method == "GET" && version.allows_range(request));
        asked.and_then(|text| parse(text, size)).unwrap_or(Self::Whole)
    }
}

fn parse(text: &[u8], size: u64) -> Option<Part> {
    let (unit, range) = text.split_at_checked(b"bytes=".len())?;
    let dash = memchr::memchr(b'-', range).filter(|_| unit.eq_ignore_ascii_case(b"bytes="))?;
    let (first, last) = (range[..dash].trim_ascii(), range[dash + 1..].trim_ascii());
    if first.is_empty() {
        let count = number(last)?.min(size);
        return Some(if count == 0 { Part::None } else { Part::Bytes(size - count..size) });
    }
    let first = number(first)?;
    let end = if last.is_empty() { size } else { number(last)?.saturating_add(1) };
    if end <= first && !last.is_empty() {
        return None;
    }
    Some(if first >= size { Part::None } else { Part::Bytes(first..end.min(size)) })
}

/// Digits only; more than 64 bits hold counts as the most they do.
fn number(text: &[u8]) -> Option<u64> {
    let digits = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    let add = |sum: u64, digit: &u8| sum.saturating_mul(10).saturating_add(u64::from(digit - b'0'));
    digits.then(|| text.iter().fold(0, add))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::parse_request;

    fn with<T>(fields: &str, ask: impl FnOnce(&Request<'_>) -> T) -> T {
        let head = format!("GET / HTTP/1.1\r\n{fields}\r\n");
        let (request, _) = parse_request(head.as_bytes()).unwrap().unwrap();
        ask(&request)
    }

    fn version() -> Version {
        Version::new(784_111_777, 5, 10)
    }

    #[test]
    fn one_range_is_a_part_and_anything_else_the_whole() {
        for (range, expected) in [
            ("bytes=0-0", Part::Bytes(0..1)),
            ("bytes=2-5", Part::Bytes(2..6)),
            ("Bytes=2-", Part::Bytes(2..10)),
            ("bytes=9-99", Part::Bytes(9..10)),
            ("bytes=0-18446744073709551615", Part::Bytes(0..10)),
            ("bytes=1-99999999999999999999999", Part::Bytes(1..10)),
            ("bytes=-3", Part::Bytes(7..10)),
            ("bytes=-99", Part::Bytes(0..10)),
            ("bytes=10-", Part::None),
            ("bytes=99-100", Part::None),
            ("bytes=99999999999999999999999-", Part::None),
            ("bytes=-0", Part::None),
            ("bytes=5-4", Part::Whole),
            ("bytes=0-1,3-4", Part::Whole),
            ("bytes=-", Part::Whole),
            ("bytes=a-b", Part::Whole),
            ("bytes=+1-2", Part::Whole),
            ("bytes=--1", Part::Whole),
            ("bytes", Part::Whole),
            ("lines=0-1", Part::Whole),
            ("", Part::Whole),
        ] {
            let part = with(&format!("Range: {range}\r\n"), |asked| Part::asked_for(asked, &version(), 10));
            assert_eq!(part, expected, "{range}");
        }
        let part =
            with("Range: bytes=0-1\r\nRange: bytes=3-4\r\n", |asked| Part::asked_for(asked, &version(), 10));
        assert_eq!(part, Part::Whole);
    }

    #[test]
    fn a_range_of_another_state_is_the_whole() {
        let tag = version().tag;
        for (state, is_part) in [
            (tag.as_str(), true),
            ("Sun, 06 Nov 1994 08:49:37 GMT", true),
            ("Sun, 06 Nov 1994 08:49:38 GMT", false),
            ("\"other\"", false),
            (&format!("W/{tag}"), false),
            ("", false),
        ] {
            let fields = format!("Range: bytes=0-1\r\nIf-Range: {state}\r\n");
            let part = with(&fields, |asked| Part::asked_for(asked, &version(), 10));
            assert_eq!(part == Part::Bytes(0..2), is_part, "{state}");
        }
    }

    #[test]
    fn what_the_client_has_is_known_by_tag_or_else_by_date() {
        let tag = version().tag;
        for (fields, known) in [
            ("If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT".to_owned(), true),
            ("If-Modified-Since: Sun, 06 Nov 1994 08:49:38 GMT".into(), true),
            ("If-Modified-Since: Sun, 06 Nov 1994 08:49:36 GMT".into(), false),
            ("If-Modified-Since: yesterday".into(), false),
            (format!("If-None-Match: {tag}"), true),
            (format!("If-None-Match: \"a\", W/{tag}"), true),
            ("If-None-Match: *".into(), true),
            ("If-None-Match: \"a\"\r\nIf-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT".into(), false),
        ] {
            assert_eq!(with(&format!("{fields}\r\n"), |asked| version().is_known(asked)), known, "{fields}");
        }
    }
}
