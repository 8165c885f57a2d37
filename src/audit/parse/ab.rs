//! ab (ApacheBench): whole milliseconds.

use super::super::figures::{Figure, Figures};
use super::units::plain;
use super::{Reading, after};

const TITLE: &str = "Percentage of the requests served within a certain time (ms)";

pub(super) fn read(lines: &[&str]) -> Option<Reading> {
    let seconds = after(lines, "Time taken for tests:")?;
    let mut figures = Figures::default();
    let millis = |word: &str| plain(word).map(|millis| millis * 1e3);
    // "Total:          1   46   5.6     48      56": min, mean, deviation, median, max.
    if let Some(total) = after(lines, "Total:") {
        figures.set(Figure::Mean, total.get(1).and_then(|word| millis(word)));
        figures.set(Figure::Max, total.get(4).and_then(|word| millis(word)));
    }
    let title = lines.iter().position(|line| line.trim() == TITLE);
    for line in title.map_or(&[][..], |at| &lines[at + 1..]) {
        let Some((percent, rest)) = line.trim().split_once('%') else { break };
        if let Some(figure) = Figure::of_percent(percent) {
            figures.set(figure, rest.split_whitespace().next().and_then(millis));
        }
    }
    let mut reading = Reading::new("ab", figures);
    reading.seconds = seconds.first().and_then(|word| plain(word));
    reading.resolution = 1e3;
    Some(reading)
}

#[cfg(test)]
pub(super) const OUTPUT: &str = "This is ApacheBench, Version 2.3 <$Revision$>
Copyright 1996 Adam Twiss, Zeus Technology Ltd, http://www.zeustech.net/
Licensed to The Apache Software Foundation, http://www.apache.org/

Benchmarking 127.0.0.1 (be patient).....done


Server Software:
Server Hostname:        127.0.0.1
Server Port:            39551

Document Path:          /
Document Length:        3 bytes

Concurrency Level:      5
Time taken for tests:   3.000 seconds
Complete requests:      295720
Failed requests:        0
Keep-Alive requests:    295720
Total transferred:      19221800 bytes
HTML transferred:       887160 bytes
Requests per second:    98572.68 [#/sec] (mean)
Time per request:       0.051 [ms] (mean)
Time per request:       0.010 [ms] (mean, across all concurrent requests)
Transfer rate:          6257.05 [Kbytes/sec] received

Connection Times (ms)
              min  mean[+/-sd] median   max
Connect:        0    0   0.0      0       0
Processing:     0    0   1.1      0     152
Waiting:        0    0   1.1      0     152
Total:          0    0   1.1      0     152

Percentage of the requests served within a certain time (ms)
  50%      0
  66%      0
  75%      0
  80%      0
  90%      0
  95%      0
  98%      0
  99%      0
 100%    152 (longest request)
";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::parse;

    #[test]
    fn milliseconds_are_whole() {
        let reading = parse::read(OUTPUT).unwrap();
        assert_eq!((reading.tool, reading.is_scheduled, reading.resolution), ("ab", false, 1000.0));
        assert_eq!((reading.seconds, reading.warmup), (Some(3.0), 0.0));
        let of = |figure| reading.figures.of(figure);
        assert_eq!([of(Figure::Mean), of(Figure::P50), of(Figure::P99)], [Some(0.0); 3]);
        assert_eq!((of(Figure::Max), of(Figure::P999)), (Some(152_000.0), None));
    }
}
