//! `--hlog`: every measured second in HdrHistogram's interval log format (V2, compressed), which its own tools read.

use std::fs::File;
use std::io::{self, LineWriter, Write};
use std::path::Path;
use std::time::{Duration, SystemTime};

use hdrhistogram::serialization::V2DeflateSerializer;
use hdrhistogram::serialization::interval_log::{IntervalLogWriter, IntervalLogWriterBuilder, Tag};

use crate::histogram::{Nanos, nanos};
use crate::load::{Report, Second};

/// The column of maxima is for people, and they think in milliseconds. What is counted stays nanoseconds.
const NANOS_PER_MILLI: f64 = 1e6;

const COMMENT: &str = " \
oneloop load: latencies in nanoseconds; the column of maxima in milliseconds
 untagged lines: corrected, from the scheduled moment; Tag=service: from the actual send, where the two differ
 only what was measured is here, not the warm-up; the last lines hold what is in the report and in no second";

/// Where a log goes. It is made before the run, so that a bad path is known in time.
pub(super) struct LogFile<W: Write> {
    out: LineWriter<W>,
    serializer: V2DeflateSerializer,
}

impl LogFile<File> {
    pub(super) fn create(path: &Path) -> io::Result<Self> {
        Ok(Self::new(File::create(path)?))
    }
}

impl<W: Write> LogFile<W> {
    fn new(out: W) -> Self {
        Self { out: LineWriter::new(out), serializer: V2DeflateSerializer::new() }
    }

    /// Writes the header of a run that starts now.
    pub(super) fn begin(&mut self, start: SystemTime) -> io::Result<Log<'_, W>> {
        let mut header = IntervalLogWriterBuilder::new();
        // Both: readers differ in which of them tells that the lines count from it.
        header.add_comment(COMMENT).with_start_time(start).with_base_time(start);
        header.with_max_value_divisor(NANOS_PER_MILLI);
        let writer = header.begin_log_with(&mut self.out, &mut self.serializer)?;
        Ok(Log { writer, failed: None, corrected: nanos(), service: nanos(), seconds: 0 })
    }
}

/// A log that is being written. An error ends it; the run goes on, and hears of it at its end.
pub(super) struct Log<'a, W: Write> {
    writer: IntervalLogWriter<'a, 'a, LineWriter<W>, V2DeflateSerializer>,
    failed: Option<io::Error>,
    /// What has been written, all seconds together.
    corrected: Nanos,
    service: Nanos,
    /// Since the start.
    seconds: u64,
}

impl<W: Write> Log<'_, W> {
    pub(super) fn second(&mut self, second: &Second) {
        let start = Duration::from_secs(second.number.saturating_sub(1));
        self.seconds = second.number;
        if second.is_warmup {
            return;
        }
        self.write(&second.corrected, start, Duration::from_secs(1), None);
        // They have the same bounds, so that every value fits.
        let _ = self.corrected.add(&second.corrected);
        if !second.service.is_empty() {
            self.write(&second.service, start, Duration::from_secs(1), Tag::new("service"));
            let _ = self.service.add(&second.service);
        }
    }

    /// Writes what the report has and no second had: the end of a run is seldom the end of a second.
    pub(super) fn finish(mut self, report: &Report, is_closed: bool) -> io::Result<()> {
        let start = Duration::from_secs(self.seconds);
        let end = Duration::from_secs_f64((report.warmup + report.seconds).max(0.0));
        let length = end.saturating_sub(start);
        let rest = missing(&report.corrected, &self.corrected);
        if !rest.is_empty() {
            self.write(&rest, start, length, None);
        }
        let rest = missing(&report.service, &self.service);
        if !is_closed && !rest.is_empty() {
            self.write(&rest, start, length, Tag::new("service"));
        }
        self.failed.map_or(Ok(()), Err)
    }

    fn write(&mut self, times: &Nanos, start: Duration, length: Duration, tag: Option<Tag<'_>>) {
        if self.failed.is_some() {
            return;
        }
        if let Err(error) = self.writer.write_histogram(times, start, length, tag) {
            self.failed = Some(io::Error::other(error.to_string()));
        }
    }
}

/// What is in `all` and not in `part`.
fn missing(all: &Nanos, part: &Nanos) -> Nanos {
    let mut rest = nanos();
    for value in all.iter_recorded() {
        let at = value.value_iterated_to();
        rest.saturating_record_n(at, value.count_at_value().saturating_sub(part.count_at(at)));
    }
    rest
}

#[cfg(test)]
mod tests {
    use hdrhistogram::serialization::Deserializer;
    use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};

    use super::*;
    use crate::load::sample;

    /// One line: its tag, when it began and how long it was, in milliseconds, and what it holds.
    type Line = (Option<String>, u128, u128, Nanos);

    fn written(seconds: &[Second], report: &Report, is_closed: bool) -> String {
        let mut file = LogFile::new(Vec::new());
        let start = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        let mut log = file.begin(start).unwrap();
        seconds.iter().for_each(|second| log.second(second));
        log.finish(report, is_closed).unwrap();
        String::from_utf8(file.out.into_inner().unwrap()).unwrap()
    }

    fn read(log: &str) -> Vec<Line> {
        let mut lines = Vec::new();
        for entry in IntervalLogIterator::new(log.as_bytes()) {
            match entry.unwrap() {
                LogEntry::StartTime(time) | LogEntry::BaseTime(time) => {
                    assert_eq!(time.as_secs(), 1_700_000_000)
                }
                LogEntry::Interval(line) => {
                    let bytes = base64(line.encoded_histogram());
                    let times = Deserializer::new().deserialize(&mut &bytes[..]).unwrap();
                    assert!((line.max() - times.max() as f64 / NANOS_PER_MILLI).abs() < 0.001);
                    let tag = line.tag().map(|tag| tag.as_str().to_owned());
                    lines.push((tag, line.start_timestamp().as_millis(), line.duration().as_millis(), times));
                }
            }
        }
        lines
    }

    /// RFC 4648.
    fn base64(text: &str) -> Vec<u8> {
        const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let (mut bytes, mut bits, mut held) = (Vec::new(), 0_u32, 0);
        for digit in text.bytes().filter(|byte| *byte != b'=') {
            let value = DIGITS.iter().position(|known| *known == digit).unwrap();
            bits = bits << 6 | u32::try_from(value).unwrap();
            held += 6;
            if held >= 8 {
                held -= 8;
                bytes.push((bits >> held & 0xff).try_into().unwrap());
            }
        }
        bytes
    }

    #[test]
    fn what_is_written_is_read_back_by_the_formats_own_reader() {
        let seconds = [1, 4, 5].map(|number| sample::second(number, false));
        // What the seconds have, and one answer more that came after the last of them.
        let mut report = sample::open();
        (report.corrected, report.service) = (nanos(), nanos());
        for second in &seconds[1..] {
            report.corrected.add(&second.corrected).unwrap();
            report.service.add(&second.service).unwrap();
        }
        report.corrected.record(77_000_000).unwrap();
        report.service.record(66_000_000).unwrap();
        report.seconds = 2.5;

        let lines = read(&written(&seconds, &report, false));
        let tags: Vec<_> = lines.iter().map(|line| (line.0.as_deref(), line.1, line.2)).collect();
        let service = Some("service");
        assert_eq!(
            tags,
            [
                (None, 3000, 1000),
                (service, 3000, 1000),
                (None, 4000, 1000),
                (service, 4000, 1000),
                (None, 5000, 500),
                (service, 5000, 500)
            ],
            "the warm-up is left out"
        );
        assert_eq!(lines[0].3, seconds[1].corrected);
        assert_eq!(lines[1].3, seconds[1].service);
        let sum = |tag: Option<&str>| {
            let mut sum = nanos();
            lines.iter().filter(|line| line.0.as_deref() == tag).for_each(|line| sum.add(&line.3).unwrap());
            sum
        };
        assert_eq!(sum(None), report.corrected);
        assert_eq!(sum(service), report.service);
    }

    #[test]
    fn a_closed_loop_has_no_lines_of_service() {
        let seconds = [4, 5].map(|number| sample::second(number, true));
        let log = written(&seconds, &sample::closed(), true);
        assert!(!log.contains("\nTag="), "{log}");
        let lines = read(&log);
        assert_eq!(lines.len(), 2, "the seconds have more than the report: there is no rest");
        assert_eq!(lines[1].3, seconds[1].corrected);
        assert!(log.starts_with("# oneloop load: latencies in nanoseconds"), "{log}");
    }

    #[test]
    fn a_full_disk_is_told_at_the_end() {
        struct Full(usize);
        impl Write for Full {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                self.0 = self.0.checked_sub(bytes.len()).ok_or(io::ErrorKind::StorageFull)?;
                Ok(bytes.len())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let mut file = LogFile::new(Full(600));
        let mut log = file.begin(SystemTime::UNIX_EPOCH).unwrap();
        (4..9).for_each(|number| log.second(&sample::second(number, false)));
        let error = log.finish(&sample::open(), false).unwrap_err();
        assert!(error.to_string().contains("storage"), "{error}");
    }
}
