//! Dates as HTTP writes them: IMF-fixdate, `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110 section 5.6.7).

use std::cell::Cell;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Bytes of a date.
pub const DATE_LEN: usize = 29;

const EPOCH: [u8; DATE_LEN] = *b"Thu, 01 Jan 1970 00:00:00 GMT";
const SECONDS_OF_DAY: u64 = 86_400;
const DAYS: [&[u8; 3]; 7] = [b"Thu", b"Fri", b"Sat", b"Sun", b"Mon", b"Tue", b"Wed"];
const MONTHS: [&[u8; 3]; 12] =
    [b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"];

/// The last second of the year 9999, behind which a year has no four digits.
const LAST: u64 = 253_402_300_799;

thread_local! {
    /// The time that was formatted last, and its text: nothing but a function's result, remembered.
    static LATEST: Cell<(SystemTime, [u8; DATE_LEN])> = const { Cell::new((UNIX_EPOCH, EPOCH)) };
}

/// The text for `time`, to the second. The latest time of each thread is remembered with its text: whoever reads the clock
/// once per second pays for one date per second.
///
/// ```
/// use std::time::{Duration, UNIX_EPOCH};
///
/// let text = oneloop::http::http_date(UNIX_EPOCH + Duration::from_secs(784_111_777));
/// assert_eq!(&text, b"Sun, 06 Nov 1994 08:49:37 GMT");
/// ```
#[inline]
#[must_use]
pub fn http_date(time: SystemTime) -> [u8; DATE_LEN] {
    let (latest, text) = LATEST.get();
    if latest == time { text } else { format_anew(time) }
}

#[cold]
fn format_anew(time: SystemTime) -> [u8; DATE_LEN] {
    let second = time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let text = format(second.min(LAST));
    LATEST.set((time, text));
    text
}

/// The time that a date says. `None` for every other text: the two older forms that a recipient should know are left
/// out, because nobody sends them and a date that is not understood is as good as none.
#[must_use]
pub fn parse_http_date(text: &[u8]) -> Option<SystemTime> {
    let text: &[u8; DATE_LEN] = text.try_into().ok()?;
    let number = |from: usize, count: usize| {
        text[from..from + count]
            .iter()
            .try_fold(0_u64, |sum, digit| digit.is_ascii_digit().then(|| sum * 10 + u64::from(digit - b'0')))
    };
    let (day, year) = (number(5, 2)?, number(12, 4)?);
    let month = MONTHS.iter().position(|name| text[8..11] == name[..])? as u64 + 1;
    let (hour, minute, second) = (number(17, 2)?, number(20, 2)?, number(23, 2)?);
    if year < 1970 {
        return None;
    }
    let seconds = days_before(year, month, day) * SECONDS_OF_DAY + hour * 3600 + minute * 60 + second;
    // Whatever is not exactly what we would write for that second is not that date.
    (format(seconds.min(LAST)) == *text).then(|| UNIX_EPOCH + Duration::from_secs(seconds))
}

fn format(second: u64) -> [u8; DATE_LEN] {
    let (days, rest) = (second / SECONDS_OF_DAY, second % SECONDS_OF_DAY);
    let (year, month, day) = civil(days);
    let mut text = EPOCH;
    text[..3].copy_from_slice(DAYS[index(days % 7)]);
    put(&mut text[5..7], day);
    text[8..11].copy_from_slice(MONTHS[index(month - 1)]);
    put(&mut text[12..16], year);
    put(&mut text[17..19], rest / 3600);
    put(&mut text[20..22], rest / 60 % 60);
    put(&mut text[23..25], rest % 60);
    text
}

/// Year, month and day of a day since 1970, by Howard Hinnant's `civil_from_days`: years begin in March.
fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let (day, month) = (day - (153 * month + 2) / 5 + 1, if month < 10 { month + 3 } else { month - 9 });
    (era * 400 + year + u64::from(month <= 2), month, day)
}

/// The inverse of [`civil`]; a month or a day that there is not gives some other day.
fn days_before(year: u64, month: u64, day: u64) -> u64 {
    let year = year - u64::from(month <= 2);
    let (era, of_era) = (year / 400, year % 400);
    let month = if month > 2 { month - 3 } else { month + 9 };
    let of_year = (153 * month + 2) / 5 + day;
    (era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year).saturating_sub(719_469)
}

fn put(into: &mut [u8], mut number: u64) {
    for digit in into.iter_mut().rev() {
        *digit = b'0' + u8::try_from(number % 10).expect("a digit");
        number /= 10;
    }
}

fn index(number: u64) -> usize {
    usize::try_from(number).expect("below twelve")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(second)
    }

    #[test]
    fn seconds_have_the_dates_of_the_calendar() {
        // As date -u -d @SECOND says them.
        for (second, text) in [
            (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
            (951_782_399, "Mon, 28 Feb 2000 23:59:59 GMT"),
            (951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT"),
            (951_868_800, "Wed, 01 Mar 2000 00:00:00 GMT"),
            (978_307_199, "Sun, 31 Dec 2000 23:59:59 GMT"),
            (1_709_164_800, "Thu, 29 Feb 2024 00:00:00 GMT"),
            (4_107_542_400, "Mon, 01 Mar 2100 00:00:00 GMT"),
            (LAST, "Fri, 31 Dec 9999 23:59:59 GMT"),
            (LAST + 1, "Fri, 31 Dec 9999 23:59:59 GMT"),
        ] {
            assert_eq!(http_date(at(second)).escape_ascii().to_string(), text, "{second}");
        }
        assert_eq!(http_date(UNIX_EPOCH - Duration::from_secs(1)), http_date(UNIX_EPOCH));
    }

    #[test]
    fn what_is_remembered_is_never_said_of_another_second() {
        for second in [7, 7, 8, 7, 0, 8] {
            assert_eq!(http_date(at(second)), format(second));
        }
    }

    #[test]
    fn every_date_is_read_back() {
        for second in (0..LAST).step_by(86_399 * 1013) {
            assert_eq!(parse_http_date(&http_date(at(second))), Some(at(second)), "{second}");
        }
    }

    #[test]
    fn what_is_no_date_is_none() {
        for text in [
            "",
            "Sun, 06 Nov 1994 08:49:37 GMT ",
            "Mon, 06 Nov 1994 08:49:37 GMT",
            "Sun, 06 nov 1994 08:49:37 GMT",
            "Sun, 06 Nov 1994 08:49:37 UTC",
            "Sun, 06 Nov 1994 24:49:37 GMT",
            "Sun, 06 Nov 1994 08:60:37 GMT",
            "Wed, 31 Feb 2024 08:49:37 GMT",
            "Sun, +6 Nov 1994 08:49:37 GMT",
            "Wed, 31 Dec 1969 23:59:59 GMT",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
            "Thu, 00 Jan 1970 00:00:00 GMT",
        ] {
            assert_eq!(parse_http_date(text.as_bytes()), None, "{text:?}");
        }
    }
}
