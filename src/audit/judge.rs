//! What the generator said, beside what users had: each figure, and one verdict.

use std::ops::Range;

use super::figures::Figure;
use super::parse::Reading;
use super::truth::Truth;

/// Differences below this, in microseconds, are the machine's: users have to be answered too, stall or not.
const SLACK: f64 = 1000.0;

/// How a figure relates to what users had.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Factor {
    /// It is within the tolerance.
    Honest,
    /// Users had so many times as much; above 1.
    Flattered(f64),
    /// It says so many times as much as users had; above 1.
    Exaggerated(f64),
    /// The generator does not print it, or no stall reaches so far down.
    Unjudged,
}

/// One figure, in microseconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Row {
    /// Which.
    pub figure: Figure,
    /// What the generator said.
    pub tool: Option<f64>,
    /// What users had; nothing where no stall reaches so far down.
    pub users: f64,
    /// The two compared.
    pub factor: Factor,
}

/// About a generator.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Verdict {
    /// All its figures are within the tolerance.
    Honest,
    /// Users had so many times what it says, at this figure, where it is worst.
    Flattered(Figure, f64),
    /// It says so many times what users had, at this figure, and nothing too good.
    Exaggerated(Figure, f64),
    /// Its output was not understood.
    Unread,
    /// No stall fell into what it measured, or it prints nothing that one shows in.
    Nothing,
}

/// All of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Judgement {
    /// In the order of [`Figure::ALL`].
    pub rows: Vec<Row>,
    /// The sum.
    pub verdict: Verdict,
}

impl Judgement {
    /// Compares; `tolerance` is a share, e.g. 0.1.
    #[must_use]
    pub fn new(reading: Option<&Reading>, truth: &Truth, tolerance: f64) -> Self {
        let row = |figure: Figure| {
            let tool = reading.and_then(|reading| reading.figures.of(figure));
            let users = users(truth, figure) * 1e6;
            let resolution = reading.map_or(0.0, |reading| reading.resolution);
            let factor = tool.map_or(Factor::Unjudged, |tool| compare(tool, users, resolution, tolerance));
            Row { figure, tool, users, factor }
        };
        let is_shown = |row: &Row| row.tool.is_some() || row.figure.is_always_shown();
        let rows: Vec<Row> = Figure::ALL.into_iter().map(row).filter(is_shown).collect();
        let verdict = if reading.is_some() { verdict(&rows) } else { Verdict::Unread };
        Self { rows, verdict }
    }
}

/// The window in which those came who count, in seconds from the first request: what the generator says it measured, else all
/// that was seen.
#[must_use]
pub fn window(reading: Option<&Reading>, seen: f64) -> Range<f64> {
    let from = reading.map_or(0.0, |reading| reading.warmup);
    let to = reading.and_then(|reading| reading.seconds).map_or(seen, |seconds| from + seconds);
    from..to.max(from)
}

fn users(truth: &Truth, figure: Figure) -> f64 {
    match figure {
        Figure::Mean => truth.mean(),
        Figure::P50 => truth.quantile(0.5),
        Figure::P90 => truth.quantile(0.9),
        Figure::P95 => truth.quantile(0.95),
        Figure::P99 => truth.quantile(0.99),
        Figure::P999 => truth.quantile(0.999),
        Figure::Max => truth.max(),
    }
}

fn compare(tool: f64, users: f64, resolution: f64, tolerance: f64) -> Factor {
    if users <= 0.0 {
        return Factor::Unjudged;
    }
    let slack = (tolerance * users).max(resolution).max(SLACK);
    if (tool - users).abs() <= slack {
        Factor::Honest
    } else if tool < users {
        // Of a figure that is rounded down to nothing only that is known.
        Factor::Flattered(users / tool.max(resolution))
    } else {
        Factor::Exaggerated(tool / users)
    }
}

fn verdict(rows: &[Row]) -> Verdict {
    let worst = |of: fn(Factor) -> Option<f64>| {
        let found = rows.iter().filter_map(|row| Some((row.figure, of(row.factor)?)));
        found.max_by(|a, b| a.1.total_cmp(&b.1))
    };
    let flattered = worst(|factor| if let Factor::Flattered(by) = factor { Some(by) } else { None });
    let exaggerated = worst(|factor| if let Factor::Exaggerated(by) = factor { Some(by) } else { None });
    match (flattered, exaggerated) {
        (Some((figure, by)), _) => Verdict::Flattered(figure, by),
        (None, Some((figure, by))) => Verdict::Exaggerated(figure, by),
        _ if rows.iter().any(|row| row.factor == Factor::Honest) => Verdict::Honest,
        _ => Verdict::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use super::super::figures::Figures;
    use super::super::parse;
    use super::*;

    /// 10 % of the time stalled, in one piece: users have 0, 0, 0.9 s and 1 s at p50, p90, p99 and the maximum.
    fn truth() -> Truth {
        Truth::new(&[2.0..3.0], 0.0..10.0, &[])
    }

    fn judge(p50: f64, p99: f64, max: f64) -> Judgement {
        let text = format!(
            "  Thread Stats   Avg      Stdev     Max   +/- Stdev\n    Latency   1.00ms 1.00ms {max}ms 90%\n  \
             Latency Distribution\n     50%  {p50}ms\n     99%  {p99}ms\n  9 requests in 10.00s, 1B read\n"
        );
        Judgement::new(Some(&parse::read(&text).unwrap()), &truth(), 0.1)
    }

    #[test]
    fn the_worst_figure_is_the_verdict() {
        let judgement = judge(0.1, 0.45, 1000.0);
        let Verdict::Flattered(Figure::P99, by) = judgement.verdict else { panic!("{judgement:?}") };
        assert!((by - 2000.0).abs() < 1e-3, "{by}");
        let of = |figure| judgement.rows.iter().find(|row| row.figure == figure).unwrap().factor;
        assert_eq!(
            [of(Figure::P50), of(Figure::P90), of(Figure::Max)],
            [Factor::Unjudged, Factor::Unjudged, Factor::Honest]
        );
    }

    #[test]
    fn within_the_tolerance_is_honest_and_above_it_is_exaggerated() {
        // The mean is 50 ms.
        let with_mean = |judgement: Judgement| {
            let rows: Vec<Row> =
                judgement.rows.into_iter().filter(|row| row.figure != Figure::Mean).collect();
            verdict(&rows)
        };
        assert_eq!(with_mean(judge(0.1, 820.0, 1090.0)), Verdict::Honest);
        assert!(
            matches!(with_mean(judge(0.1, 1800.0, 1000.0)), Verdict::Exaggerated(Figure::P99, by) if by > 1.99)
        );
        assert!(matches!(with_mean(judge(0.1, 800.0, 1800.0)), Verdict::Flattered(Figure::P99, _)));
    }

    #[test]
    fn what_is_not_understood_or_saw_no_stall_is_not_judged() {
        let judgement = Judgement::new(None, &truth(), 0.1);
        assert_eq!((judgement.verdict, judgement.rows.len()), (Verdict::Unread, 4));
        let mut figures = Figures::default();
        figures.set(Figure::P50, Some(10.0));
        let mut reading = parse::read(parse::SAMPLE).unwrap();
        reading.figures = figures;
        assert_eq!(Judgement::new(Some(&reading), &truth(), 0.1).verdict, Verdict::Nothing);
    }

    #[test]
    fn a_figure_rounded_down_to_nothing_flatters_by_what_is_known() {
        assert_eq!(compare(0.0, 50_000.0, 1000.0, 0.1), Factor::Flattered(50.0));
        assert_eq!(compare(0.0, 900.0, 1.0, 0.1), Factor::Honest, "a millisecond is the machine's");
    }

    #[test]
    fn the_window_is_what_the_generator_says_it_measured() {
        assert_eq!(window(None, 9.5), 0.0..9.5);
        let mut reading = parse::read(parse::SAMPLE).unwrap();
        (reading.warmup, reading.seconds) = (1.0, Some(10.0));
        assert_eq!(window(Some(&reading), 9.5), 1.0..11.0);
        reading.seconds = None;
        assert_eq!(window(Some(&reading), 9.5), 1.0..9.5);
    }
}
