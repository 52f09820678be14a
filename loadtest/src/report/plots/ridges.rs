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
    let all = rows(runs, of);
    let there = all.len();
    let rows = thinned(all);
    let part = if rows.len() < there { format!(" {} of {there} steps.", rows.len()) } else { String::new() };
    let how = format!("{what}. Each row is a step; ● half took at most so long, ┃ 99 %, the thin line ends at the longest.{part}");
    let says = rows.iter().map(|row| {
        format!("{}: p50 {}, p99 {} ms", row.label, short(row.figures.p50_ms), short(row.figures.p99_ms))
    });
    let says = says.collect::<Vec<_>>().join("; ");
    let height = if rows.len() > 6 { 24.0 } else { 36.0 };
    let drawing = if rows.is_empty() { Err(nothing) } else { Ok(draw(&rows, height, runs.len() > 1)) };
    Figure { id, title, how, says, height: 26.0 + height * rows.len() as f64 + 36.0, drawing }
}

fn rows<'a>(runs: &[Run<'a>], of: fn(&StepLine) -> &LatencyFigures) -> Vec<Row<'a>> {
    let mut rows = Vec::new();
    for (number, run) in runs.iter().enumerate() {
        let class = series(number);
        let name = if runs.len() > 1 { format!("{} ", clipped(&run.name)) } else { String::new() };
        let steps: Vec<&'a StepLine> =
            run.steps.iter().copied().filter(|step| !of(step).buckets.is_empty()).collect();
        for step in &steps {
            rows.push(Row { label: format!("{name}{}", count(step.viewers)), figures: of(step), class });
        }
        let whole = run.whole.filter(|whole| steps.is_empty() && !of(whole).buckets.is_empty());
        rows.extend(whole.map(|whole| Row { label: format!("{name}all"), figures: of(whole), class }));
    }
    rows
}

/// Returns the first, the last, and evenly many between them.
fn thinned(rows: Vec<Row<'_>>) -> Vec<Row<'_>> {
    let there = rows.len();
    if there <= ROWS {
        return rows;
    }
    let wanted: Vec<usize> = (0..ROWS).map(|index| index * (there - 1) / (ROWS - 1)).collect();
    rows.into_iter().enumerate().filter(|(index, _)| wanted.contains(index)).map(|(_, row)| row).collect()
}

fn draw(rows: &[Row<'_>], height: f64, several: bool) -> Markup {
    let letters = rows.iter().map(|row| row.label.chars().count()).max().unwrap_or(0).max(7);
    let left = letters as f64 * LETTER + 10.0;
    let space = Space { left, right: WIDTH - 92.0, top: 26.0, bottom: 26.0 + height * rows.len() as f64 };
    let ends = rows.iter().flat_map(|row| {
        let first = row.figures.buckets.first().map_or(0.0, |(upper, _)| lower_end(*upper));
        [first, row.figures.max_ms, row.figures.p50_ms]
    });
    let x = Scale::logarithmic(ends);
    let panel = Panel::new(space, x, Scale::between(0.0, 1.0));
    let highest = rows.iter().flat_map(|row| shape(row.figures)).map(|(_, share)| share).fold(0.0, f64::max);
    let heads = [("p50", WIDTH - 50.0), ("p99 ms", WIDTH - 2.0)];
    html! {
        text.name x="0" y="14" { @if several { "server, viewers" } @else { "viewers" } }
        @for (head, x) in heads { text.name x=(at(x)) y="14" text-anchor="end" { (head) } }
        (panel.axis(6, "ms"))
        @for (index, row) in rows.iter().enumerate() {
            @let base = space.top + height * (index + 1) as f64;
            @let strip = Space { top: base - height * 0.92, bottom: base, ..space };
            @let ridge = Panel::new(strip, x, Scale::between(0.0, highest.max(1e-9)));
            @let mark = |ms: f64| ridge.place((ms.max(1e-6), 0.0)).0;
            line.grid x1=(at(space.left)) x2=(at(space.right)) y1=(at(base)) y2=(at(base)) {}
            (ridge.between(&shape(row.figures), &[], row.class))
            (ridge.line(&shape(row.figures), row.class))
            line class={ "line " (row.class) } x1=(at(mark(row.figures.p50_ms))) x2=(at(mark(row.figures.max_ms)))
                y1=(at(base)) y2=(at(base)) {}
            line class={ "p99 " (row.class) } x1=(at(mark(row.figures.p99_ms))) x2=(at(mark(row.figures.p99_ms)))
                y1=(at(base - 7.0)) y2=(at(base + 3.0)) {}
            circle class={ "dot f-" (row.class) } cx=(at(mark(row.figures.p50_ms))) cy=(at(base)) r="3" {}
            text.row x="0" y=(at(base - 3.0)) { (row.label) }
            @for (value, (_, x)) in [row.figures.p50_ms, row.figures.p99_ms].into_iter().zip(heads) {
                text.row x=(at(x)) y=(at(base - 3.0)) text-anchor="end" { (short(value)) }
            }
        }
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
