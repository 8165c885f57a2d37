//! The report as people read it.

use std::fmt::Write;
use std::time::Duration;

use super::checked::Checked;
use super::numbers::{count, millis, quantile, rate, seconds, throughput};
use crate::address::Address;
use crate::histogram::Nanos;
use crate::load::{Arrival, ErrorKind, Http, Protocol, Report, Udp, Verdict};

/// Where what a row says begins, and where the remark behind it.
const LABEL: usize = 13;
const MAIN: usize = 43;

/// The share of the time from which on it is told that the generator had no processor.
const QUEUED: f64 = 0.1;

/// Examples of one kind of error.
const EXAMPLES: usize = 3;

/// The whole report, with its last line end.
pub(super) fn report(report: &Report, protocol: Protocol, checked: &[Checked]) -> String {
    let mut page = Page(String::new());
    page.0.push_str(&title(report));
    page.0.push('\n');
    connections(&mut page, report);
    page.row("rate", &answered(report, protocol), &bytes(report, protocol));
    if let Some(http) = &report.http {
        page.row("status", &statuses(http), "");
    }
    if is_answered(protocol) {
        latency(&mut page, report);
    }
    if let Some(udp) = &report.udp {
        page.row("datagrams", &datagrams(udp, protocol), "");
    }
    errors(&mut page, report, protocol);
    generator(&mut page, report, protocol);
    verdict(&mut page, report, protocol);
    for (at, one) in checked.iter().enumerate() {
        let label = if at == 0 { "expectations" } else { "" };
        let word = if one.pass { "PASS" } else { "FAIL" };
        page.row(label, &format!("{word} {} ({})", one.text, one.was), "");
    }
    page.0
}

/// Targets as the first line names them.
pub(super) fn targets(targets: &[Address]) -> String {
    let names: Vec<String> = targets.iter().map(ToString::to_string).collect();
    names.join(" ")
}

/// Targets as a report names them: what was asked for where that is more than an address.
pub(super) fn named(report: &Report) -> String {
    report.http.as_ref().map_or_else(|| targets(&report.targets), |http| http.urls.join(" "))
}

/// Whether a message has an answer, whose latency can be told.
const fn is_answered(protocol: Protocol) -> bool {
    matches!(protocol, Protocol::Echo | Protocol::Greet | Protocol::Http { .. })
}

/// Lines that grow.
struct Page(String);

impl Page {
    fn row(&mut self, label: &str, main: &str, remark: &str) {
        let line = if remark.is_empty() {
            format!("{label:<LABEL$}{main}")
        } else if main.chars().count() + 3 > MAIN {
            format!("{label:<LABEL$}{main}   {remark}")
        } else {
            format!("{label:<LABEL$}{main:<MAIN$}{remark}")
        };
        self.0.push_str(line.trim_end());
        self.0.push('\n');
    }
}

fn title(report: &Report) -> String {
    let warmup = if report.warmup > 0.0 {
        format!(" (+ {} warm-up excluded)", seconds(report.warmup))
    } else {
        String::new()
    };
    format!(
        "load {}   {}   {}   {}{warmup}",
        named(report),
        crowd(report),
        arrival(report),
        seconds(report.seconds)
    )
}

/// `10,000 connections`.
pub(super) fn crowd(report: &Report) -> String {
    let one = if is_all_udp(report) { "socket" } else { "connection" };
    let wanted = report.connections.wanted;
    format!("{} {one}{}", count(wanted), if wanted == 1 { "" } else { "s" })
}

/// `closed loop`, or `offered 50,000 msg/s`.
pub(super) fn arrival(report: &Report) -> String {
    match report.arrival {
        Arrival::Closed => "closed loop".to_owned(),
        Arrival::Open(profile) if profile.is_constant() => format!("offered {} msg/s", rate(profile.from)),
        Arrival::Open(profile) => format!("offered {} to {} msg/s", rate(profile.from), rate(profile.to)),
    }
}

fn is_all_udp(report: &Report) -> bool {
    report.targets.iter().all(|target| matches!(target, Address::Udp(_)))
}

fn connections(page: &mut Page, report: &Report) {
    let of = &report.connections;
    if is_all_udp(report) {
        return page.row("sockets", &format!("{} open", count(of.open)), "");
    }
    let of_wanted = if of.open < of.wanted { format!(" of {}", count(of.wanted)) } else { String::new() };
    let (open, refused, late) = (count(of.open), count(of.refused), count(of.timed_out));
    let mut main = format!("{open}{of_wanted} open   {refused} refused   {late} timed out");
    let no_descriptor = report.errors.of(ErrorKind::DescriptorLimit);
    for (number, what) in [
        (of.reset, "reset"),
        (of.address_exhausted, "without a free port"),
        (no_descriptor, "without a descriptor"),
    ] {
        if number > 0 {
            let _ = write!(main, "   {} {what}", count(number));
        }
    }
    if of.opened > of.open.max(of.wanted) {
        let _ = write!(main, "   {} made in all", count(of.opened));
    }
    let connect = &report.connect;
    let remark = format!("connect p50 {}  p99 {} ms", quantile(connect, 0.5), quantile(connect, 0.99));
    page.row("connections", &main, if connect.is_empty() { "" } else { &remark });
}

fn answered(report: &Report, protocol: Protocol) -> String {
    let achieved = report.achieved_rate();
    match report.offered_rate {
        _ if protocol == Protocol::Source => {
            format!("{} blocks/s of {} bytes", rate(achieved), count(report.size as u64))
        }
        Some(offered) if offered > 0.0 => {
            let share = 100.0 * achieved / offered;
            format!("{}/s of {} ({share:.1} %)", rate(achieved), rate(offered))
        }
        _ => format!("{}/s", rate(achieved)),
    }
}

fn bytes(report: &Report, protocol: Protocol) -> String {
    // What was answered after the end is in the bytes, and was not moved in that time.
    let in_time = report.answered_in_time.min(report.requests).max(1) as f64 / report.requests.max(1) as f64;
    let per_second = |bytes: u64| match report.seconds {
        seconds if seconds > 0.0 => bytes as f64 / seconds * in_time,
        _ => 0.0,
    };
    let (sent, received) = (per_second(report.bytes_out), per_second(report.bytes_in));
    let is_even = (sent - received).abs() <= 0.01 * sent.max(received);
    let moved = match protocol {
        Protocol::Source => format!("{} received", throughput(received)),
        Protocol::Discard => format!("{} sent", throughput(sent)),
        Protocol::Echo | Protocol::Greet | Protocol::Http { .. } if is_even => {
            format!("{} each way", throughput(sent))
        }
        Protocol::Echo | Protocol::Greet | Protocol::Http { .. } => {
            format!("{} sent, {} received", throughput(sent), throughput(received))
        }
    };
    let verified = match (report.mismatches, report.verified) {
        (_, _) if protocol == Protocol::Discard => String::new(),
        (0, 0) if report.requests == 0 => String::new(),
        (0, 0) => "   not verified".to_owned(),
        (0, verified) if verified >= report.requests && report.http.is_some() => {
            "   every length verified".to_owned()
        }
        (0, verified) if verified >= report.requests => "   every byte verified".to_owned(),
        (0, verified) => format!("   {} of {} answers verified", count(verified), count(report.requests)),
        (wrong, _) if report.http.is_some() => format!("   {} WRONG ANSWERS", count(wrong)),
        (wrong, _) => format!("   {} WRONG BYTES", count(wrong)),
    };
    moved + &verified
}

fn latency(page: &mut Page, report: &Report) {
    if report.corrected.is_empty() && report.service.is_empty() {
        return page.row("latency", "nothing was answered", "");
    }
    page.row("latency ms", &columns(["p50", "p90", "p99", "p99.9", "max"].map(str::to_owned)), "");
    let (corrected, service) = match report.arrival {
        Arrival::Closed => ("the same as service: a closed loop has no schedule", "from the actual send"),
        Arrival::Open(_) => ("from the scheduled moment", "from the actual send"),
    };
    page.row("  corrected", &columns(row_of(&report.corrected)), corrected);
    page.row("  service", &columns(row_of(&report.service)), service);
}

fn row_of(times: &Nanos) -> [String; 5] {
    [0.5, 0.9, 0.99, 0.999, 1.0].map(|at| quantile(times, at))
}

fn columns([p50, p90, p99, p999, max]: [String; 5]) -> String {
    format!("{p50:>8}{p90:>7}{p99:>7}{p999:>7}{max:>7}")
}

/// `200 1,234   503 7`.
fn statuses(http: &Http) -> String {
    let each = http.statuses.iter().map(|(status, times)| format!("{status} {}", count(times)));
    let all: Vec<String> = each.collect();
    if all.is_empty() { "none".to_owned() } else { all.join("   ") }
}

fn datagrams(udp: &Udp, protocol: Protocol) -> String {
    if !is_answered(protocol) {
        return format!("{} sent", count(udp.sent));
    }
    let share = if udp.sent > 0 { 100.0 * udp.lost as f64 / udp.sent as f64 } else { 0.0 };
    format!(
        "{} sent   {} received   {} lost ({share:.3} %)   {} duplicate   {} reordered   {} late",
        count(udp.sent),
        count(udp.received),
        count(udp.lost),
        count(udp.duplicate),
        count(udp.reordered),
        count(udp.late)
    )
}

fn errors(page: &mut Page, report: &Report, protocol: Protocol) {
    if report.unanswered > 0 && is_answered(protocol) {
        page.row("unanswered", &format!("{} due or sent, and never answered", count(report.unanswered)), "");
    }
    let kinds = ErrorKind::ALL.into_iter().filter(|kind| report.errors.of(*kind) > 0);
    for (at, kind) in kinds.enumerate() {
        let label = if at == 0 { "errors" } else { "" };
        let remark = if at == 0 && report.warmup > 0.0 { "in the whole run, warm-up included" } else { "" };
        page.row(label, &format!("{} {}", count(report.errors.of(kind)), words(kind)), remark);
        for example in report.examples.iter().filter(|example| example.kind == kind).take(EXAMPLES) {
            page.row("", &format!("  {}", example.text), "");
        }
    }
}

/// A kind as a person would say it.
fn words(kind: ErrorKind) -> String {
    kind.name().replace('_', " ")
}

fn generator(page: &mut Page, report: &Report, protocol: Protocol) {
    let of = &report.generator;
    let loops = if of.loops > 1 { format!("{} loops, one", of.loops) } else { "loop".to_owned() };
    let mut main = format!("{loops} {:.0} % busy", 100.0 * of.busy);
    let cores = |time: Duration| if report.seconds > 0.0 { time.as_secs_f64() / report.seconds } else { 0.0 };
    // Of one thread it is known how long it was ready to run and did not: somebody else had the processor.
    let queued = of.busy - cores(of.cpu.saturating_sub(of.spun));
    if of.loops == 1 && queued >= QUEUED {
        let _ = write!(main, ", {:.0} % without a core", 100.0 * queued);
    }
    let _ = write!(main, "   cpu {:.2} cores", cores(of.cpu));
    if cores(of.spun) >= 0.005 {
        let _ = write!(main, " ({:.2} of it spinning)", cores(of.spun));
    }
    if !report.lag.is_empty() {
        let _ = write!(main, "   worst lag {} ms", millis(report.lag.max() as f64));
    }
    let unit = if protocol == Protocol::Source { "block" } else { "message" };
    let each = report.cpu_us_per_request();
    let remark = each.map_or_else(String::new, |each| format!("{} us of cpu per {unit}", cost(each)));
    page.row("generator", &main, &remark);
}

/// Microseconds of a message: `0.02`, `2.22`, `57.4`, `20,678`.
fn cost(micros: f64) -> String {
    match micros {
        micros if micros < 9.995 => format!("{micros:.2}"),
        micros if micros < 99.95 => format!("{micros:.1}"),
        micros => rate(micros),
    }
}

fn verdict(page: &mut Page, report: &Report, protocol: Protocol) {
    let has_kept_up = report.offered_rate.is_some_and(|offered| report.achieved_rate() >= 0.99 * offered);
    match &report.verdict {
        Verdict::Valid if report.mismatches > 0 => page.row("verdict", "VALID, the target is WRONG", ""),
        Verdict::Valid if report.requests == 0 && is_answered(protocol) => {
            page.row("verdict", "VALID, the target answered nothing", "");
        }
        Verdict::Valid if report.errors.of(ErrorKind::Status) > 0 => {
            page.row("verdict", "VALID, but not every answer is a success (2xx)", "");
        }
        Verdict::Valid if has_kept_up => page.row("verdict", "VALID, the target kept up", ""),
        Verdict::Valid => page.row("verdict", "VALID, the target is the limit", ""),
        Verdict::GeneratorBound { why, remedy } => {
            page.row("verdict", &format!("INVALID, the target was not the limit: {why}"), "");
            page.row("", remedy, "");
        }
        Verdict::Interrupted => page.row("verdict", "INTERRUPTED: this is what was found until then", ""),
    }
}

#[cfg(test)]
mod tests {
    use super::super::checked::check_all;
    use super::*;
    use crate::histogram::nanos;
    use crate::load::{Connections, Example, Generator, Profile, sample};

    fn shown(shown: &Report, fail_if: &[&str]) -> String {
        let conditions: Vec<_> = fail_if.iter().map(|text| text.parse().unwrap()).collect();
        format!("\n{}", report(shown, Protocol::Echo, &check_all(&conditions, shown)))
    }

    #[test]
    fn an_open_loop_with_errors() {
        assert_eq!(
            shown(&sample::open(), &["p99>5ms", "errors>0"]),
            "
load tcp://127.0.0.1:9999   10,000 connections   offered 50,000 msg/s   30 s (+ 3 s warm-up excluded)
connections  10,000 open   0 refused   0 timed out   10,002 made in all   connect p50 0.30  p99 4.10 ms
rate         49,998/s of 50,000 (100.0 %)               3.2 MB/s each way   every byte verified
latency ms        p50    p90    p99  p99.9    max
  corrected      0.31   0.58   2.10   9.44   38.0       from the scheduled moment
  service        0.29   0.51   1.20   3.02   11.7       from the actual send
unanswered   10 due or sent, and never answered
errors       2 reset                                    in the whole run, warm-up included
               connection 3, message 9: reset by the peer
             10 timeout
               connection 17, message 4: no answer within 10 s
generator    loop 46 % busy   cpu 0.52 cores   worst lag 0.30 ms   10.4 us of cpu per message
verdict      VALID, the target kept up
expectations PASS p99>5ms (was 2.10 ms)
             FAIL errors>0 (was 12)
"
        );
    }

    #[test]
    fn a_closed_loop_says_that_both_rows_are_the_same() {
        assert_eq!(
            shown(&sample::closed(), &[]),
            "
load tcp://127.0.0.1:9999   100 connections   closed loop   30 s
connections  100 open   0 refused   0 timed out         connect p50 0.30  p99 4.10 ms
rate         49,998/s                                   3.2 MB/s each way   every byte verified
latency ms        p50    p90    p99  p99.9    max
  corrected      0.29   0.51   1.20   3.02   11.7       the same as service: a closed loop has no schedule
  service        0.29   0.51   1.20   3.02   11.7       from the actual send
generator    loop 46 % busy   cpu 0.52 cores            10.4 us of cpu per message
verdict      VALID, the target is the limit
"
        );
    }

    #[test]
    fn datagrams_have_a_row_of_their_own() {
        let text = shown(&sample::udp(), &["loss>0.1%"]);
        for row in [
            "\nload udp://127.0.0.1:9999   10,000 sockets   offered 50,000 msg/s   30 s (+ 3 s warm-up excluded)\n",
            "\nsockets      10,000 open\n",
            "\ndatagrams    50,000 sent   49,900 received   100 lost (0.200 %)   3 duplicate   2 reordered   1 late\n",
            "\nexpectations FAIL loss>0.1% (was 0.200 %)\n",
        ] {
            assert!(text.contains(row), "no {row} in {text}");
        }
    }

    #[test]
    fn a_generator_that_was_the_limit_is_told_with_the_remedy() {
        let text = shown(&sample::generator_bound(), &[]);
        assert!(
            text.contains(
                "\ngenerator    2 loops, one 99 % busy   cpu 1.97 cores (0.20 of it spinning)   worst lag"
            ),
            "{text}"
        );
        let verdict = "
verdict      INVALID, the target was not the limit: the loop was 99 % busy
             give it more threads with --loops 2
";
        assert!(text.ends_with(verdict), "{text}");
    }

    #[test]
    fn an_interrupted_run_shows_what_there_is() {
        assert_eq!(
            shown(&sample::empty(), &["p99>5ms"]),
            "
load tcp://127.0.0.1:9999   10,000 connections   offered 50,000 msg/s   0 s (+ 3 s warm-up excluded)
connections  0 of 10,000 open   0 refused   0 timed out
rate         0/s of 50,000 (0.0 %)                      0 B/s each way
latency      nothing was answered
generator    loop 0 % busy   cpu 0.00 cores
verdict      INTERRUPTED: this is what was found until then
expectations FAIL p99>5ms (nothing was measured)
"
        );
    }

    #[test]
    fn connections_that_were_not_made_are_missed() {
        let few = Connections { wanted: 30_000, opened: 19_989, open: 19_936, ..Connections::default() };
        let mut report = Report { connections: few, ..sample::open() };
        report.errors.add(ErrorKind::DescriptorLimit, 10_011);
        let row =
            "\nconnections  19,936 of 30,000 open   0 refused   0 timed out   10,011 without a descriptor   ";
        let text = shown(&report, &[]);
        assert!(text.contains(row), "{text}");
    }

    #[test]
    fn where_nothing_is_answered_nothing_is_said_of_answers() {
        let blocks = Report { corrected: nanos(), service: nanos(), unanswered: 1024, ..sample::closed() };
        let text = report(&blocks, Protocol::Discard, &[]);
        assert!(!text.contains("latency") && !text.contains("answer"), "{text}");
        let text = report(&blocks, Protocol::Source, &[]);
        assert!(
            text.contains("\nrate         49,998 blocks/s of 64 bytes   ") && text.contains("per block\n"),
            "{text}"
        );
        let datagrams = Report { udp: sample::udp().udp, ..blocks };
        let text = report(&datagrams, Protocol::Discard, &[]);
        assert!(text.contains("\ndatagrams    50,000 sent\n"), "{text}");
    }

    #[test]
    fn a_verdict_does_not_praise_a_target_that_fails() {
        let silent = Report { requests: 0, ..sample::open() };
        assert!(shown(&silent, &[]).contains("VALID, the target answered nothing"));
        let wrong = Report { mismatches: 1, ..sample::open() };
        assert!(shown(&wrong, &[]).contains("VALID, the target is WRONG"));
    }

    #[test]
    fn a_loop_that_had_to_wait_for_a_processor_says_so() {
        let starved = Generator { busy: 0.93, ..sample::open().generator };
        let text = shown(&Report { generator: starved, ..sample::open() }, &[]);
        assert!(
            text.contains("\ngenerator    loop 93 % busy, 41 % without a core   cpu 0.52 cores   worst"),
            "{text}"
        );
    }

    #[test]
    fn what_a_message_costs_has_three_digits() {
        for (micros, text) in [(0.023, "0.02"), (2.22, "2.22"), (57.42, "57.4"), (20_678.2, "20,678")] {
            assert_eq!(cost(micros), text);
        }
    }

    #[test]
    fn an_error_has_at_most_three_examples() {
        let mut many = sample::open();
        let example = |at: usize| Example { kind: ErrorKind::Timeout, text: format!("example {at}") };
        many.examples = (1..=5).map(example).collect();
        let text = shown(&many, &[]);
        assert!(text.contains("example 3") && !text.contains("example 4"), "{text}");
    }

    #[test]
    fn what_was_moved_and_verified_depends_on_the_protocol() {
        let plain = sample::open();
        let wrong = Report { mismatches: 7, ..sample::open() };
        let unverified = Report { verified: 0, ..sample::open() };
        let partly = Report { verified: 5, ..sample::open() };
        let uneven = Report { bytes_in: 2 * plain.bytes_in, ..sample::open() };
        for (report, protocol, expected) in [
            (&plain, Protocol::Echo, "3.2 MB/s each way   every byte verified"),
            (&uneven, Protocol::Greet, "3.2 MB/s sent, 6.4 MB/s received   every byte verified"),
            (&plain, Protocol::Source, "3.2 MB/s received   every byte verified"),
            (&unverified, Protocol::Discard, "3.2 MB/s sent"),
            (&unverified, Protocol::Echo, "3.2 MB/s each way   not verified"),
            (&partly, Protocol::Echo, "3.2 MB/s each way   5 of 1,499,940 answers verified"),
            (&wrong, Protocol::Echo, "3.2 MB/s each way   7 WRONG BYTES"),
        ] {
            assert_eq!(bytes(report, protocol), expected);
        }
    }

    #[test]
    fn a_ramp_names_both_rates_and_a_target_that_falls_behind_is_the_limit() {
        let ramp = Report {
            arrival: Arrival::Open(Profile { from: 10_000.0, to: 100_000.0 }),
            offered_rate: Some(55_000.0),
            ..sample::open()
        };
        let text = shown(&ramp, &[]);
        assert!(text.contains("offered 10,000 to 100,000 msg/s"), "{text}");
        assert!(text.contains("rate         49,998/s of 55,000 (90.9 %)"), "{text}");
        assert!(text.contains("VALID, the target is the limit"), "{text}");
    }
}
