//! `--plot`: latency by percentile as a picture, one file of SVG that needs nothing else.
//!
//! The axes are those of HdrHistogram's own plots: every nine of a percentile is as wide as the last one, because a tail
//! is what such a picture is for. Colours are plain on white, so that it reads the same on any page.

use std::fmt::Write;
use std::ops::Range;

use super::numbers::{count, rate, seconds};
use super::text::{arrival, crowd, named};
use crate::histogram::Nanos;
use crate::load::{Arrival, Report, Verdict};

const WIDTH: f64 = 800.0;
const HEIGHT: f64 = 480.0;

/// Where the curves are: across, and from the top down.
const ACROSS: Range<f64> = 76.0..776.0;
const DOWN: Range<f64> = 84.0..424.0;

/// Vermilion and blue, which the colour-blind tell apart too.
const CORRECTED: &str = "#d55e00";
const SERVICE: &str = "#0072b2";

/// Percentiles that are named below the axis.
const NAMED: [f64; 8] = [0.0, 50.0, 90.0, 99.0, 99.9, 99.99, 99.999, 99.9999];

/// Nines shown: always so many, and no more.
const NINES: Range<f64> = 4.0..6.0;

/// Points of a curve for each nine.
const POINTS: u32 = 50;

/// Nanoseconds; what is shorter is drawn as this.
const SHORTEST: u64 = 1000;

/// More names than this beside the axis crowd each other.
const MOST_NAMES: usize = 14;

/// Characters of the first line.
const TITLE: usize = 80;

/// The whole picture.
pub(super) fn plot(report: &Report) -> String {
    let axes = Axes::of(report);
    let mut svg = Svg::new();
    title(&mut svg, report);
    axes.draw(&mut svg);
    if report.corrected.is_empty() {
        svg.text((ACROSS.start + 24.0, DOWN.start + 30.0), "", "nothing was answered");
        return svg.end();
    }
    match report.arrival {
        Arrival::Open(_) => {
            svg.curve(CORRECTED, 3.0, &axes.points(&report.corrected));
            svg.curve(SERVICE, 1.8, &axes.points(&report.service));
            svg.legend(0.0, CORRECTED, "corrected: from the scheduled moment");
            svg.legend(1.0, SERVICE, "service: from the actual send");
        }
        Arrival::Closed => {
            svg.curve(SERVICE, 2.4, &axes.points(&report.service));
            svg.legend(0.0, SERVICE, "service: from the actual send (a closed loop has no schedule)");
        }
    }
    svg.end()
}

fn title(svg: &mut Svg, report: &Report) {
    let name = named(report);
    let name = match name.char_indices().nth(TITLE) {
        Some((end, _)) => format!("{}…", &name[..end]),
        None => name,
    };
    svg.text((ACROSS.start, 30.0), r#"font-size="17" font-weight="bold""#, &format!("load {name}"));
    let what = format!(
        "{}, {}, {}/s answered, {}",
        crowd(report),
        arrival(report),
        rate(report.achieved_rate()),
        seconds(report.seconds)
    );
    svg.text((ACROSS.start, 52.0), "", &what);
    let warning = match &report.verdict {
        Verdict::Valid => return,
        Verdict::GeneratorBound { why, .. } => format!("INVALID, the target was not the limit: {why}"),
        Verdict::Interrupted => "INTERRUPTED: this is what was found until then".to_owned(),
    };
    svg.text((ACROSS.start, 72.0), r##"font-weight="bold" fill="#b00020""##, &warning);
}

/// Which nines and which times the picture shows.
struct Axes {
    nines: f64,
    /// Logarithms of nanoseconds.
    low: f64,
    high: f64,
    /// 1, 2 and 5 times the powers of ten between them, in nanoseconds.
    times: Vec<u64>,
}

impl Axes {
    fn of(report: &Report) -> Self {
        let both = [&report.corrected, &report.service].into_iter().filter(|times| !times.is_empty());
        let (mut low, mut high, mut samples) = (u64::MAX, SHORTEST, 0);
        for times in both {
            low = low.min(times.min());
            high = high.max(times.max());
            samples = samples.max(times.len());
        }
        let all = steps();
        let low = all.iter().rposition(|step| *step <= low.min(high)).unwrap_or(0);
        let high = all.iter().position(|step| *step >= high).unwrap_or(all.len() - 1).max(low + 1);
        let times = all[low..=high].to_vec();
        let nines = (samples as f64).log10().ceil().clamp(NINES.start, NINES.end);
        Self { nines, low: log(times[0]), high: log(times[times.len() - 1]), times }
    }

    fn x(&self, nines: f64) -> f64 {
        ACROSS.start + (ACROSS.end - ACROSS.start) * nines / self.nines
    }

    fn y(&self, nanos: u64) -> f64 {
        let share = (log(nanos) - self.low) / (self.high - self.low);
        DOWN.end - (DOWN.end - DOWN.start) * share.clamp(0.0, 1.0)
    }

    fn draw(&self, svg: &mut Svg) {
        for percent in NAMED {
            let nines = nines_of(percent);
            if nines <= self.nines + 0.01 {
                let x = self.x(nines);
                svg.line((x, DOWN.start), (x, DOWN.end));
                svg.text((x, DOWN.end + 20.0), r#"text-anchor="middle""#, &percent.to_string());
            }
        }
        let crowded = self.times.len() > MOST_NAMES;
        for nanos in &self.times {
            let y = self.y(*nanos);
            svg.line((ACROSS.start, y), (ACROSS.end, y));
            if !crowded || is_power_of_ten(*nanos) {
                svg.text((ACROSS.start - 8.0, y + 4.0), r#"text-anchor="end""#, &in_millis(*nanos));
            }
        }
        let middle = f64::midpoint(ACROSS.start, ACROSS.end);
        svg.text((middle, HEIGHT - 12.0), r#"text-anchor="middle""#, "percentile");
        let middle = f64::midpoint(DOWN.start, DOWN.end);
        let turned = format!(r#"text-anchor="middle" transform="rotate(-90 18 {middle})""#);
        svg.text((18.0, middle), &turned, "latency, ms");
    }

    /// The curve, as far as there are samples: of a thousand the last one is the percentile 99.9.
    fn points(&self, times: &Nanos) -> Vec<(f64, f64)> {
        let end = (times.len() as f64).log10().min(self.nines);
        let whole = (0..).map(|point| f64::from(point) / f64::from(POINTS)).take_while(|nines| *nines < end);
        let point = |nines: f64| {
            let quantile = 1.0 - 10f64.powf(-nines);
            (self.x(nines), self.y(times.value_at_quantile(quantile)))
        };
        let mut points: Vec<_> = whole.map(point).collect();
        points.push(point(end));
        points
    }
}

/// How many nines a percentile has: 90 has one, 99.9 three, 50 a third of one.
fn nines_of(percent: f64) -> f64 {
    -(1.0 - percent / 100.0).log10()
}

fn log(nanos: u64) -> f64 {
    (nanos.max(SHORTEST) as f64).log10()
}

/// 1, 2, 5, 10 and so on, in nanoseconds, up to more than the hour a histogram tells apart.
fn steps() -> Vec<u64> {
    let decades = (3..13).map(|power| 10u64.pow(power));
    decades.flat_map(|decade| [1, 2, 5].map(|times| times * decade)).collect()
}

fn is_power_of_ten(nanos: u64) -> bool {
    10u64.pow(nanos.ilog10()) == nanos
}

/// `0.05`, `1`, `2,000`.
fn in_millis(nanos: u64) -> String {
    if nanos >= 1_000_000 { count(nanos / 1_000_000) } else { (nanos as f64 / 1e6).to_string() }
}

/// A picture that grows.
struct Svg(String);

impl Svg {
    fn new() -> Self {
        Self(format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" width=\"{WIDTH}\" \
             height=\"{HEIGHT}\" role=\"img\" font-family=\"sans-serif\" font-size=\"13\" fill=\"#222222\">\n\
             <rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"#ffffff\"/>\n"
        ))
    }

    fn element(&mut self, element: &str) {
        self.0.push_str(element);
        self.0.push('\n');
    }

    fn text(&mut self, (x, y): (f64, f64), attributes: &str, text: &str) {
        let text = escaped(text);
        let space = if attributes.is_empty() { "" } else { " " };
        self.element(&format!(r#"<text x="{x:.1}" y="{y:.1}"{space}{attributes}>{text}</text>"#));
    }

    /// Of the grid.
    fn line(&mut self, (x1, y1): (f64, f64), (x2, y2): (f64, f64)) {
        let place = format!(r#"x1="{x1:.1}" y1="{y1:.1}" x2="{x2:.1}" y2="{y2:.1}""#);
        self.element(&format!(r##"<line {place} stroke="#d8d8d8"/>"##));
    }

    fn curve(&mut self, colour: &str, width: f64, points: &[(f64, f64)]) {
        let mut list = String::with_capacity(12 * points.len());
        for (x, y) in points {
            let _ = write!(list, "{x:.1},{y:.1} ");
        }
        let stroke =
            format!(r#"fill="none" stroke="{colour}" stroke-width="{width}" stroke-linejoin="round""#);
        self.element(&format!(r#"<polyline {stroke} points="{}"/>"#, list.trim_end()));
    }

    /// A row of what the curves are, on a ground of its own: a curve may pass behind it.
    fn legend(&mut self, row: f64, colour: &str, text: &str) {
        let (x, y) = (ACROSS.start + 12.0, DOWN.start + 22.0 + 20.0 * row);
        let width = 44.0 + 6.6 * text.len() as f64;
        let ground = format!(r#"x="{x:.1}" y="{:.1}" width="{width:.1}" height="20""#, y - 14.0);
        self.element(&format!(r##"<rect {ground} fill="#ffffff"/>"##));
        self.curve(colour, 3.0, &[(x + 4.0, y - 4.0), (x + 32.0, y - 4.0)]);
        self.text((x + 40.0, y), "", text);
    }

    fn end(mut self) -> String {
        self.0.push_str("</svg>\n");
        self.0
    }
}

/// Text that is no markup. The path of a Unix socket may hold anything, even what XML cannot.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            char if char.is_control() => escaped.push('\u{fffd}'),
            char => escaped.push(char),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::histogram::nanos;
    use crate::load::sample;

    /// Every element is ended, in its order, and attributes are quoted; says which elements there are.
    fn elements(svg: &str) -> Vec<String> {
        let (mut open, mut all, mut rest) = (Vec::new(), Vec::new(), svg);
        while let Some((text, tag)) = rest.split_once('<') {
            assert!(!text.contains('>'), "{text}");
            let (tag, after) = tag.split_once('>').unwrap();
            if let Some(name) = tag.strip_prefix('/') {
                assert_eq!(open.pop().as_deref(), Some(name), "{svg}");
            } else {
                assert_eq!(tag.matches('"').count() % 2, 0, "{tag}");
                let name = tag.split([' ', '/']).next().unwrap().to_owned();
                if !tag.ends_with('/') {
                    open.push(name.clone());
                }
                all.push(name);
            }
            rest = after;
        }
        assert!(open.is_empty() && rest == "\n", "{open:?} {rest:?}");
        all
    }

    fn texts(svg: &str) -> Vec<&str> {
        let lines = svg.lines().filter(|line| line.starts_with("<text"));
        lines.map(|line| line.split_once('>').unwrap().1.strip_suffix("</text>").unwrap()).collect()
    }

    /// The curves, without those of the legend.
    fn curves(svg: &str) -> Vec<Vec<(f64, f64)>> {
        let number = |text: &str| text.parse::<f64>().unwrap();
        let pair = |text: &str| text.split_once(',').map(|(x, y)| (number(x), number(y))).unwrap();
        let lists = svg.lines().filter_map(|line| line.split_once(" points=\"")?.1.strip_suffix("\"/>"));
        lists
            .map(|list| list.split(' ').map(pair).collect::<Vec<_>>())
            .filter(|list| list.len() > 2)
            .collect()
    }

    #[test]
    fn an_open_loop_has_two_curves_that_never_fall() {
        let svg = plot(&sample::open());
        assert!(
            elements(&svg).iter().all(|name| ["svg", "rect", "text", "line", "polyline"].contains(&&**name))
        );
        let curves = curves(&svg);
        assert_eq!(curves.len(), 2);
        for curve in &curves {
            assert!(curve.is_sorted_by(|a, b| a.0 < b.0 && a.1 >= b.1), "{curve:?}");
            assert_eq!((curve[0].0, curve[curve.len() - 1].0), (ACROSS.start, ACROSS.end), "10,000 samples");
            assert!(curve.iter().all(|(_, y)| (DOWN.start..=DOWN.end).contains(y)), "{curve:?}");
        }
        let above = curves[0].iter().zip(&curves[1]).all(|(corrected, service)| corrected.1 <= service.1);
        assert!(above, "what is counted from the schedule is never less");
    }

    #[test]
    fn title_axes_and_legend_say_what_is_shown() {
        let svg = plot(&sample::open());
        assert_eq!(
            texts(&svg)[..8],
            [
                "load tcp://127.0.0.1:9999",
                "10,000 connections, offered 50,000 msg/s, 49,998/s answered, 30 s",
                "0",
                "50",
                "90",
                "99",
                "99.9",
                "99.99"
            ]
        );
        assert_eq!(texts(&svg)[8..16], ["0.2", "0.5", "1", "2", "5", "10", "20", "50"]);
        assert_eq!(
            texts(&svg)[16..],
            [
                "percentile",
                "latency, ms",
                "corrected: from the scheduled moment",
                "service: from the actual send"
            ]
        );
    }

    #[test]
    fn a_value_is_where_the_axes_say() {
        // 90 is one of four nines, 99.9 are three, and 5 ms is halfway between 0.5 and 50 on its axis.
        let mut times = nanos();
        times.record_n(510_000, 9900).unwrap();
        times.record_n(5_000_000, 99).unwrap();
        times.record(49_000_000).unwrap();
        let report = Report { corrected: times.clone(), service: times, ..sample::open() };
        let curve = &curves(&plot(&report))[0];
        let across = |share: f64| ACROSS.start + share * (ACROSS.end - ACROSS.start);
        let at = |x: f64| curve.iter().find(|point| (point.0 - x).abs() < 0.06).unwrap().1;
        let down = [at(across(0.25)), at(across(0.75))];
        assert!((0.0..2.0).contains(&(DOWN.end - down[0])), "{down:?}");
        assert!((down[1] - f64::midpoint(DOWN.start, DOWN.end)).abs() < 0.2, "{down:?}");
    }

    #[test]
    fn a_closed_loop_has_one_curve() {
        let svg = plot(&sample::closed());
        elements(&svg);
        assert_eq!(curves(&svg).len(), 1);
        assert!(texts(&svg)[1].contains("100 connections, closed loop, 49,998/s answered, 30 s"));
        assert!(texts(&svg).last().unwrap().starts_with("service: from the actual send (a closed loop"));
    }

    #[test]
    fn what_cannot_be_believed_says_so_and_nothing_at_all_too() {
        let svg = plot(&sample::generator_bound());
        assert!(
            texts(&svg)[2].starts_with("INVALID, the target was not the limit: the loop was 99 %"),
            "{svg}"
        );
        let svg = plot(&sample::empty());
        elements(&svg);
        assert_eq!(curves(&svg).len(), 0);
        assert!(texts(&svg)[2].starts_with("INTERRUPTED"), "{svg}");
        assert_eq!(texts(&svg).last(), Some(&"nothing was answered"));
    }

    #[test]
    fn few_samples_end_the_curve_early_and_many_need_more_nines() {
        let with = |samples| {
            let mut times = nanos();
            times.record_n(1_000_000, samples).unwrap();
            plot(&Report { corrected: times.clone(), service: times, ..sample::open() })
        };
        let svg = with(100);
        assert_eq!(
            curves(&svg)[0].last().map(|point| point.0),
            Some(f64::midpoint(ACROSS.start, ACROSS.end))
        );
        let svg = with(20_000_000);
        assert_eq!(texts(&svg)[7..10], ["99.99", "99.999", "99.9999"]);
        assert_eq!(curves(&with(1)).len(), 0, "one sample is a point");
    }

    #[test]
    fn a_span_of_many_decades_names_powers_of_ten_only() {
        let mut times = nanos();
        times.record(0).unwrap();
        times.record(3_000_000_000_000).unwrap();
        let svg = plot(&Report { corrected: times.clone(), service: times, ..sample::open() });
        assert_eq!(texts(&svg)[8..11], ["0.001", "0.01", "0.1"]);
        assert!(texts(&svg).contains(&"1,000,000") && !texts(&svg).contains(&"0.002"), "{svg}");
    }

    #[test]
    fn a_target_is_text_whatever_its_name() {
        let name = format!("unix:/a<b>&\"\u{1}{}", "x".repeat(90));
        let svg = plot(&Report { targets: vec![name.parse().unwrap()], ..sample::open() });
        elements(&svg);
        assert!(
            texts(&svg)[0].starts_with("load unix:/a&lt;b&gt;&amp;") && texts(&svg)[0].ends_with('…'),
            "{svg}"
        );
        assert!(!svg.contains('\u{1}'));
    }
}
