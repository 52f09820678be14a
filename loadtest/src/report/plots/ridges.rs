//! Distributions of times, a row for each step: its shape, p50, p99 and the longest, on one logarithmic axis.

use maud::{Markup, html};

use crate::measure::latency::LatencyFigures;
use crate::measure::line::StepLine;
use crate::report::chart::panel::{Panel, Point, Space};
use crate::report::chart::scale::Scale;
use crate::report::chart::{Figure, LETTER, WIDTH, at, series};
use crate::report::number::{count, short};
use crate::report::plots::clipped;
use crate::report::run::Run;

/// More rows than these are not read.
const ROWS: usize = 12;
/// Above the first row.
const TOP: f64 = 18.0;
/// Over the first row of a server, for its name.
const OVER: f64 = 17.0;
/// Columns of figures at the right, and where they end.
const COLUMNS: [(&str, f64); 2] = [("p50", WIDTH - 52.0), ("p99 ms", WIDTH - 2.0)];
/// Buckets to a doubling, see [`LatencyFigures::buckets`].
const BUCKETS: f64 = 8.0;

/// From the camera's send call to the viewer's socket.
pub(super) fn frame_latency(runs: &[Run<'_>]) -> Figure {
    let what = "Milliseconds from the camera's send call to the viewer's socket, last packet of each frame";
    figure(runs, "latency", "How long frames took", what, "No frame arrived.", |step| &step.frame_latency)
}

/// From a join to the first opened frame.
pub(super) fn first_frame(runs: &[Run<'_>]) -> Figure {
    let what = "Milliseconds from asking to watch to the first opened frame";
    figure(runs, "joins", "How long joins took", what, "No join was measured.", |step| &step.first_frame)
}

struct Row<'a> {
    /// Name of the server, over the first of its rows, where there are several.
    over: Option<String>,
    label: String,
    figures: &'a LatencyFigures,
    class: &'static str,
}

fn figure<'a>(
    runs: &[Run<'a>],
    id: &'static str,
    title: &'static str,
    what: &str,
    nothing: &'static str,
    of: fn(&StepLine) -> &LatencyFigures,
) -> Figure {
    let rows = rows(runs, of);
    let there: usize = runs.iter().map(|run| run.steps.len()).sum();
    let part = if !rows.is_empty() && rows.len() < there {
        format!(" {} of {there} steps.", rows.len())
    } else {
        String::new()
    };
    let how = format!(
        "{what}. Each row is a step; ● half took at most so long, ┃ 99 %, the thin line ends at the longest.{part}"
    );
    let says = rows.iter().map(|row| {
        format!("{}: p50 {}, p99 {} ms", row.label, short(row.figures.p50_ms), short(row.figures.p99_ms))
    });
    let says = says.collect::<Vec<_>>().join("; ");
    let each = match rows.len() {
        0..=1 => 100.0,
        2 => 64.0,
        3 => 46.0,
        4..=6 => 34.0,
        _ => 23.0,
    };
    let (drawing, height) = if rows.is_empty() { (Err(nothing.to_owned()), 0.0) } else { draw(&rows, each) };
    Figure { id, title, how, says, height, drawing }
}

fn rows<'a>(runs: &[Run<'a>], of: fn(&StepLine) -> &LatencyFigures) -> Vec<Row<'a>> {
    let mut rows = Vec::new();
    for (number, run) in runs.iter().enumerate() {
        let class = series(number);
        let steps: Vec<&'a StepLine> =
            run.steps.iter().copied().filter(|step| !of(step).buckets.is_empty()).collect();
        let first = rows.len();
        for step in &steps {
            rows.push(Row { over: None, label: count(step.viewers), figures: of(step), class });
        }
        let whole = run.whole.filter(|whole| steps.is_empty() && !of(whole).buckets.is_empty());
        rows.extend(whole.map(|whole| Row { over: None, label: "all".into(), figures: of(whole), class }));
        let thin = thinned(rows.split_off(first), ROWS / runs.len().clamp(1, 4));
        rows.extend(thin);
        if runs.len() > 1
            && let Some(row) = rows.get_mut(first)
        {
            row.over = Some(clipped(&run.name));
        }
    }
    rows
}

/// Returns the first, the last, and evenly many between them.
fn thinned(rows: Vec<Row<'_>>, most: usize) -> Vec<Row<'_>> {
    let there = rows.len();
    if there <= most {
        return rows;
    }
    let wanted: Vec<usize> = (0..most).map(|index| index * (there - 1) / (most - 1)).collect();
    rows.into_iter().enumerate().filter(|(index, _)| wanted.contains(index)).map(|(_, row)| row).collect()
}

/// Returns the drawing and its height; each row has so much of it.
fn draw(rows: &[Row<'_>], each: f64) -> (Result<Markup, String>, f64) {
    let letters = rows.iter().map(|row| row.label.chars().count()).max().unwrap_or(0).max(7);
    let mut bottom = TOP;
    let bases: Vec<f64> = rows
        .iter()
        .map(|row| {
            bottom += each + if row.over.is_some() { OVER } else { 0.0 };
            bottom
        })
        .collect();
    let space = Space { left: letters as f64 * LETTER, right: WIDTH - 98.0, top: TOP, bottom };
    let ends = rows.iter().flat_map(|row| {
        let first = row.figures.buckets.first().map_or(0.0, |(upper, _)| lower_end(*upper));
        [first, row.figures.max_ms, row.figures.p50_ms]
    });
    let x = Scale::logarithmic(ends);
    let panel = Panel::new(space, x, Scale::between(0.0, 1.0));
    let highest = rows.iter().flat_map(|row| shape(row.figures)).map(|(_, share)| share).fold(0.0, f64::max);
    let drawing = html! {
        text.name x="0" y="12" { "viewers" }
        @for (head, x) in COLUMNS { text.name x=(at(x)) y="12" text-anchor="end" { (head) } }
        (panel.axis(6, "ms"))
        @for (row, base) in rows.iter().zip(bases) {
            @let strip = Space { top: base - each * 0.92, bottom: base, ..space };
            (ridge(row, &Panel::new(strip, x, Scale::between(0.0, highest.max(1e-9)))))
            @if let Some(over) = &row.over {
                text class={ "end t-" (row.class) } x="0" y=(at(base - each - 2.0)) { (over) }
            }
            text.row x="0" y=(at(base - 3.0)) { (row.label) }
            @for (value, (_, x)) in [row.figures.p50_ms, row.figures.p99_ms].into_iter().zip(COLUMNS) {
                text.row x=(at(x)) y=(at(base - 3.0)) text-anchor="end" { (short(value)) }
            }
        }
    };
    (Ok(drawing), bottom + 36.0)
}

/// Returns one distribution with its marks.
fn ridge(row: &Row<'_>, panel: &Panel) -> Markup {
    let Space { left, right, bottom, .. } = panel.space;
    let place = |ms: f64| if ms.is_finite() { panel.place((ms.max(1e-6), 0.0)).0 } else { right };
    let [p50, p99, max] = [row.figures.p50_ms, row.figures.p99_ms, row.figures.max_ms].map(place);
    let shape = shape(row.figures);
    html! {
        line.grid x1=(at(left)) x2=(at(right)) y1=(at(bottom)) y2=(at(bottom)) {}
        (panel.between(&shape, &[], row.class))
        (panel.line(&shape, row.class))
        line class={ "line " (row.class) } x1=(at(p50)) x2=(at(max)) y1=(at(bottom)) y2=(at(bottom)) {}
        line class={ "p99 " (row.class) } x1=(at(p99)) x2=(at(p99)) y1=(at(bottom - 7.0)) y2=(at(bottom + 3.0)) {}
        circle class={ "dot f-" (row.class) } cx=(at(p50)) cy=(at(bottom)) r="3" {}
    }
}

/// Returns the outline of a distribution: the middle of each bucket and its share; empty buckets between are drawn as such.
fn shape(figures: &LatencyFigures) -> Vec<Point> {
    let all: u64 = figures.buckets.iter().map(|(_, count)| *count).sum();
    let mut points: Vec<Point> = Vec::with_capacity(figures.buckets.len() + 8);
    let mut before: Option<i64> = None;
    for (upper, count) in &figures.buckets {
        let index = ((upper * 1000.0).max(1.0).log2() * BUCKETS).round() as i64;
        match before {
            Some(before) if index > before + 1 => {
                points.push((middle(before + 1), 0.0));
                points.push((middle(index - 1), 0.0));
            }
            Some(_) => {}
            None => points.push((middle(index - 1), 0.0)),
        }
        points.push((middle(index), *count as f64 / all.max(1) as f64));
        before = Some(index);
    }
    points.extend(before.map(|before| (middle(before + 1), 0.0)));
    points
}

/// Returns the middle of a bucket in milliseconds.
fn middle(index: i64) -> f64 {
    2f64.powf((index as f64 - 0.5) / BUCKETS) / 1000.0
}

fn lower_end(upper: f64) -> f64 {
    upper * 2f64.powf(-2.0 / BUCKETS)
}
