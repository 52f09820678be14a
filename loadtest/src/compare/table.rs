//! What two servers did with the same work, side by side: medians over the rounds, smallest and largest, and their ratio.

use crate::measure::line::StepLine;

/// One figure that both servers are compared by.
#[derive(Clone, Copy)]
pub struct Figure {
    /// What it is, with its unit.
    pub name: &'static str,
    /// Which way is good; neither for what only shows that the work was the same.
    pub better: Better,
    /// Reads it off a step; none where it was not to be seen.
    of: fn(&StepLine) -> Option<f64>,
}

/// Which of two values of a figure is the better one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Better {
    /// The smaller.
    Lower,
    /// The larger.
    Higher,
    /// Neither.
    Neither,
}

/// A figure over the rounds of one server.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    /// Half of the rounds had at most so much.
    pub median: f64,
    /// The smallest.
    pub least: f64,
    /// The largest.
    pub most: f64,
}

/// One figure of both servers, with so many viewers.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Viewers that were asked for.
    pub viewers: u64,
    /// [`Figure::name`].
    pub figure: &'static str,
    /// [`Figure::better`].
    pub better: Better,
    /// Ours.
    pub ours: Option<Spread>,
    /// Theirs.
    pub theirs: Option<Spread>,
    /// Rounds with so many viewers in which the driver was the limit, of the server that had more of them.
    pub overloaded: usize,
    /// All rounds of that server with so many viewers.
    pub rounds: usize,
}

/// Everything that is compared, in the order of the table.
pub const FIGURES: [Figure; 13] = [
    figure("frame latency p50, ms", Better::Lower, |step| latency(step, step.frame_latency.p50_ms)),
    figure("frame latency p99, ms", Better::Lower, |step| latency(step, step.frame_latency.p99_ms)),
    figure("frame latency max, ms", Better::Lower, |step| latency(step, step.frame_latency.max_ms)),
    figure("first frame p50, ms", Better::Lower, |step| of_joins(step, step.first_frame.p50_ms)),
    figure("first frame max, ms", Better::Lower, |step| of_joins(step, step.first_frame.max_ms)),
    figure("frames that came, %", Better::Higher, |step| Some(step.opened_pct)),
    figure("packets lost, %", Better::Lower, |step| Some(step.loss_pct)),
    figure("picture stood still, %", Better::Lower, |step| Some(step.frozen_pct)),
    figure("received, Mbit/s", Better::Neither, |step| Some(step.mbit_out)),
    figure("server CPU, %", Better::Lower, |step| of_server(step, |server| server.cpu_pct)),
    figure("CPU per packet, µs", Better::Lower, |step| of_server(step, |server| server.us_per_packet)),
    figure("memory, MB", Better::Lower, |step| of_server(step, |server| server.rss_kb as f64 / 1024.0)),
    figure("memory per viewer, kB", Better::Lower, |step| of_server(step, |server| server.kb_per_viewer)),
];

const fn figure(name: &'static str, better: Better, of: fn(&StepLine) -> Option<f64>) -> Figure {
    Figure { name, better, of }
}

fn latency(step: &StepLine, value: f64) -> Option<f64> {
    (step.frame_latency.count > 0).then_some(value)
}

fn of_joins(step: &StepLine, value: f64) -> Option<f64> {
    (step.first_frame.count > 0).then_some(value)
}

fn of_server(step: &StepLine, read: fn(&crate::measure::line::ServerFigures) -> f64) -> Option<f64> {
    // A process that was not to be seen has no threads.
    step.server.as_ref().filter(|server| server.threads > 0).map(read)
}

impl Spread {
    /// Returns none for no values.
    #[must_use]
    pub fn of(values: &[f64]) -> Option<Self> {
        let mut values = values.to_vec();
        values.sort_by(f64::total_cmp);
        let (least, most) = (*values.first()?, *values.last()?);
        let middle = values.len() / 2;
        let median = if values.len().is_multiple_of(2) {
            f64::midpoint(values[middle - 1], values[middle])
        } else {
            values[middle]
        };
        Some(Self { median, least, most })
    }
}

impl Row {
    /// Returns how many times ours theirs is; none where one was not to be seen or ours is nothing.
    #[must_use]
    pub fn ratio(&self) -> Option<f64> {
        let (ours, theirs) = (self.ours?.median, self.theirs?.median);
        (ours.abs() > f64::EPSILON).then(|| theirs / ours)
    }

    /// Returns whether a median may be one of a round in which the driver was the limit: where these are half or more.
    #[must_use]
    pub fn rests_on_driver(&self) -> bool {
        self.overloaded > 0 && self.overloaded * 2 >= self.rounds
    }

    /// Returns whether every round of one server was better than every round of the other; only then the difference is
    /// more than the scatter of the rounds.
    #[must_use]
    pub fn is_clear(&self) -> bool {
        match (self.ours, self.theirs) {
            (Some(ours), Some(theirs)) => ours.most < theirs.least || theirs.most < ours.least,
            _ => false,
        }
    }
}

/// Returns every figure for every number of viewers, from the steps of all rounds of both servers.
#[must_use]
pub fn rows(ours: &[StepLine], theirs: &[StepLine]) -> Vec<Row> {
    let mut viewers: Vec<u64> = ours.iter().chain(theirs).map(|step| step.viewers).collect();
    viewers.sort_unstable();
    viewers.dedup();
    let spread = |steps: &[StepLine], viewers: u64, figure: &Figure| {
        let these = steps.iter().filter(|step| step.viewers == viewers);
        Spread::of(&these.filter_map(figure.of).collect::<Vec<_>>())
    };
    let row = |viewers, figure: &Figure| Row {
        viewers,
        figure: figure.name,
        better: figure.better,
        ours: spread(ours, viewers, figure),
        theirs: spread(theirs, viewers, figure),
        overloaded: 0,
        rounds: 0,
    };
    viewers.iter().flat_map(|viewers| FIGURES.iter().map(move |figure| row(*viewers, figure))).collect()
}

/// Returns the table as it stands in a terminal: median and, in brackets, smallest and largest of the rounds.
#[must_use]
pub fn render(rows: &[Row], ours: &str, theirs: &str) -> String {
    let mut text = String::new();
    let cells: Vec<[String; 4]> = rows
        .iter()
        .map(|row| [row.figure.to_owned(), told(row.ours), told(row.theirs), ratio(row)])
        .collect();
    let heads = ["", ours, theirs, "theirs / ours"];
    let width = |column: usize| {
        let inside = cells.iter().map(|cells| cells[column].chars().count());
        inside.chain([heads[column].chars().count()]).max().unwrap_or(0)
    };
    let widths: [usize; 4] = std::array::from_fn(width);
    let mut line = |cells: [&str; 4]| {
        let [figure, ours, theirs, ratio] = cells;
        let [w0, w1, w2, w3] = widths;
        let line = format!("{figure:<w0$}   {ours:>w1$}   {theirs:>w2$}   {ratio:>w3$}");
        text.push_str(line.trim_end());
        text.push('\n');
    };
    let mut viewers = None;
    for (row, cells) in rows.iter().zip(&cells) {
        if viewers != Some(row.viewers) {
            if viewers.is_some() {
                line([""; 4]);
            }
            viewers = Some(row.viewers);
            let head = format!("{} viewers", row.viewers);
            line([&head, heads[1], heads[2], heads[3]]);
            if let Some(remark) = remark(row) {
                line([&remark, "", "", ""]);
            }
        }
        line(cells.each_ref().map(String::as_str));
    }
    text
}

/// What is to be known of a number of viewers before its figures are read.
fn remark(row: &Row) -> Option<String> {
    let Row { overloaded, rounds, .. } = row;
    let says = if row.rests_on_driver() {
        "these figures say little of the servers"
    } else {
        "the medians do not rest on it"
    };
    (*overloaded > 0)
        .then(|| format!("! the driver was the limit in {overloaded} of {rounds} rounds: {says}"))
}

fn told(spread: Option<Spread>) -> String {
    spread.map_or_else(
        || "–".to_owned(),
        |Spread { median, least, most }| format!("{} ({}…{})", number(median), number(least), number(most)),
    )
}

/// The ratio, starred where the rounds of the two do not overlap.
fn ratio(row: &Row) -> String {
    let star = if row.is_clear() && row.better != Better::Neither { " *" } else { "" };
    row.ratio().map_or_else(|| "–".to_owned(), |ratio| format!("{}{star}", number(ratio)))
}

/// Three digits that count.
fn number(value: f64) -> String {
    match value.abs() {
        size if size < 0.000_5 => "0".to_owned(),
        size if size < 1.0 => format!("{value:.3}"),
        size if size < 10.0 => format!("{value:.2}"),
        size if size < 100.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::measure::line::ServerFigures;

    fn step(viewers: u64, p50_ms: f64, us_per_packet: Option<f64>) -> StepLine {
        let mut step = StepLine { viewers, ..StepLine::default() };
        (step.frame_latency.p50_ms, step.frame_latency.count) = (p50_ms, 100);
        step.server = us_per_packet.map(|us_per_packet| ServerFigures {
            us_per_packet,
            threads: 1,
            ..ServerFigures::default()
        });
        step
    }

    #[test]
    fn a_spread_is_median_least_and_most() {
        assert_eq!(Spread::of(&[]), None);
        assert_eq!(Spread::of(&[3.0, 1.0, 2.0]), Some(Spread { median: 2.0, least: 1.0, most: 3.0 }));
        assert_eq!(Spread::of(&[4.0, 1.0]).unwrap().median, 2.5);
    }

    #[test]
    fn rows_stand_beside_each_other_and_a_star_tells_a_clear_difference() {
        let ours = [step(5, 1.0, Some(4.0)), step(5, 1.2, Some(5.0)), step(10, 3.0, Some(4.0))];
        let theirs = [step(5, 2.0, None), step(5, 2.4, None), step(10, 3.0, Some(20.0))];
        let rows = rows(&ours, &theirs);
        assert_eq!(rows.len(), 2 * FIGURES.len());
        let find = |viewers, figure: &str| {
            rows.iter().find(|row| row.viewers == viewers && row.figure == figure).unwrap()
        };
        let p50 = find(5, "frame latency p50, ms");
        assert!((p50.ratio().unwrap() - 2.0).abs() < 1e-9 && p50.is_clear());
        assert!(!find(10, "frame latency p50, ms").is_clear());
        let cpu = find(5, "CPU per packet, µs");
        assert_eq!((cpu.ours.unwrap().median, cpu.theirs, cpu.ratio()), (4.5, None, None));
        assert_eq!(find(10, "CPU per packet, µs").ratio(), Some(5.0));
        assert_eq!(find(5, "first frame p50, ms").ours, None, "nobody joined in this step");

        let text = render(&rows, "ours", "theirs");
        assert!(text.contains("5 viewers") && text.contains("10 viewers"), "{text}");
        let line = text.lines().find(|line| line.contains("frame latency p50")).unwrap();
        assert!(line.contains("1.10 (1.00…1.20)") && line.contains("2.20 (2.00…2.40)"), "{line}");
        assert!(line.ends_with("2.00 *"), "{line}");
        assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
    }

    #[test]
    fn rounds_of_an_overloaded_driver_are_told_and_weighed() {
        let steps = [step(5, 1.0, None), step(5, 1.2, None), step(5, 9.0, None)];
        let told = |overloaded| {
            let mut rows = rows(&steps, &steps);
            rows.iter_mut().for_each(|row| (row.overloaded, row.rounds) = (overloaded, 3));
            (rows[0].rests_on_driver(), render(&rows, "ours", "theirs"))
        };
        assert!(!told(0).0 && !told(0).1.contains("driver"));
        let (rests, text) = told(1);
        assert!(
            !rests && text.contains("the driver was the limit in 1 of 3 rounds: the medians do not"),
            "{text}"
        );
        let (rests, text) = told(2);
        assert!(rests && text.contains("in 2 of 3 rounds: these figures say little"), "{text}");
    }
}
