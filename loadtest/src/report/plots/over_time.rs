//! What happened second by second, with the borders of the steps and the faults.

use maud::{Markup, html};

use crate::measure::line::{Party, SecondLine};
use crate::report::chart::panel::{Panel, Point, Space};
use crate::report::chart::scale::Scale;
use crate::report::chart::{Figure, HEIGHT, LETTER, series};
use crate::report::number::{count, percent, short};
use crate::report::plots::clipped;
use crate::report::run::Run;
use crate::report::served::{Bounds, Whose};

/// More points than these are told by the largest of each stretch.
const POINTS: usize = 420;
/// More marks than these are not drawn.
const MARKS: usize = 60;
/// Why there is nothing to draw.
const NOTHING: &str = "The run ended before its first second did.";
/// What is shaded, where there is one run.
const SHADED: &str = " Shaded: viewers join.";
/// The borders of steps, where there are any.
const BORDERS: &str = "Thin lines are the beginnings of steps, with their viewers; ▲ is a fault.";

/// p50 and p99 of the frames of each second.
pub(super) fn latency(runs: &[Run<'_>]) -> Figure {
    let of = |quantile: fn(&SecondLine) -> f64| {
        move |run: &Run<'_>| {
            let heard = run.seconds.iter().filter(|second| second.frame_latency.count > 0);
            thinned(heard.map(|second| (second.at_s, quantile(second))).collect())
        }
    };
    let p99 = of(|second| second.frame_latency.p99_ms);
    let p50 = of(|second| second.frame_latency.p50_ms);
    let mut lines: Vec<Line> = Vec::new();
    let alone = runs.len() == 1;
    for (number, run) in runs.iter().enumerate() {
        let class = series(number);
        let name = |quantile: &str| if alone { quantile.to_owned() } else { clipped(&run.name) };
        lines.push(Line { points: p99(run), class, name: name("p99"), filled: Filled::No });
        if alone {
            let lower = Filled::DownTo(p50(run));
            lines[0].filled = lower;
            lines.push(Line { points: p50(run), class: series(1), name: name("p50"), filled: Filled::No });
        }
    }
    let bound = runs.first().and_then(|run| {
        let Bounds { p99_ms, whose, .. } = Bounds::of(run);
        let word = if whose == Whose::Nobody { "well served" } else { "asked" };
        p99_ms.map(|p99_ms| (p99_ms, format!("{word}: p99 ≤ {} ms", short(p99_ms))))
    });
    let what = if alone {
        "p50 and p99 of each second's frames, milliseconds"
    } else {
        "p99 of each second's frames, milliseconds"
    };
    let worst = lines.iter().flat_map(|line| &line.points).map(|point| point.1).fold(0.0, f64::max);
    Figure {
        id: "latency-over-time",
        title: "Latency, second by second",
        how: format!("{what}. {BORDERS}{}", if alone { SHADED } else { "" }),
        says: format!("The slowest second's p99 was {} ms.", short(worst)),
        height: HEIGHT,
        drawing: one_panel(runs, &lines, Upwards { least: 1.0, peaks: true }, bound),
    }
}

/// Loss before and after repair.
pub(super) fn loss(runs: &[Run<'_>]) -> Figure {
    let of = |share: fn(&SecondLine) -> f64| {
        move |run: &Run<'_>| thinned(run.seconds.iter().map(|second| (second.at_s, share(second))).collect())
    };
    let first = of(|second| second.viewer.first_loss_pct());
    let last = of(|second| second.viewer.loss_pct());
    let mut lines: Vec<Line> = Vec::new();
    for (number, run) in runs.iter().enumerate() {
        if runs.len() == 1 {
            let repaired =
                Line { points: first(run), class: series(1), name: "before".into(), filled: Filled::No };
            let lost =
                Line { points: last(run), class: series(0), name: "after".into(), filled: Filled::Down };
            lines.extend([repaired, lost]);
        } else {
            let (class, name) = (series(number), clipped(&run.name));
            lines.push(Line { points: last(run), class, name, filled: Filled::No });
        }
    }
    let worst = lines.iter().flat_map(|line| &line.points).map(|point| point.1).fold(0.0, f64::max);
    let how = match runs.len() {
        1 => "Percent of the packets: not there at first (before repair), and never (after repair)",
        _ => "Percent of the packets that never came (after repair)",
    };
    let all_came = runs.iter().any(|run| !run.seconds.is_empty()) && worst <= 0.0 && first_loss(runs) <= 0.0;
    Figure {
        id: "loss-over-time",
        title: "Loss, second by second",
        how: format!("{how}."),
        says: format!("The worst second lost {} % of its packets.", percent(worst)),
        height: HEIGHT,
        drawing: if all_came {
            Err("Nothing was lost.".to_owned())
        } else {
            one_panel(runs, &lines, Upwards::from_zero(1.0), None)
        },
    }
}

/// Returns the largest share that did not come in its first transmission, percent.
fn first_loss(runs: &[Run<'_>]) -> f64 {
    let seconds = runs.iter().flat_map(|run| &run.seconds);
    seconds.map(|second| second.viewer.first_loss_pct()).fold(0.0, f64::max)
}

/// Media in and out.
pub(super) fn rates(runs: &[Run<'_>]) -> Figure {
    let of = |rate: fn(&SecondLine) -> f64| -> Vec<Line> {
        let line = |(number, run): (usize, &Run<'_>)| Line {
            points: thinned(run.seconds.iter().map(|second| (second.at_s, rate(second))).collect()),
            class: series(number),
            name: if runs.len() > 1 { clipped(&run.name) } else { String::new() },
            filled: if runs.len() > 1 { Filled::No } else { Filled::Down },
        };
        runs.iter().enumerate().map(line).collect()
    };
    let (into, out) = (of(|second| second.mbit_in), of(|second| second.mbit_out));
    let top =
        |lines: &[Line]| lines.iter().flat_map(|line| &line.points).map(|point| point.1).fold(0.0, f64::max);
    let says = format!("At most {} Mbit/s in and {} Mbit/s out.", short(top(&into)), short(top(&out)));
    let drawing = if into.iter().all(|line| line.points.is_empty()) {
        Err(NOTHING.to_owned())
    } else {
        let letters = if runs.len() > 1 { longest(&out) } else { 0 };
        let upper = Space::with_labels(letters, 16.0, 60.0);
        let lower = Space::with_labels(letters, 92.0, 186.0);
        Ok(html! {
            text.name x="0" y="9" { "in" }
            (panel(runs, &into, upper, 2, false))
            text.name x="0" y="81" { "out" }
            (panel(runs, &out, lower, 4, true))
        })
    };
    let how = "Mbit/s of media that cameras sent (in) and viewers received (out).".into();
    Figure { id: "rates", title: "Media in and out", how, says, height: HEIGHT + 4.0, drawing }
}

/// CPU of the server, and of the driver beside it.
pub(super) fn cpu(runs: &[Run<'_>]) -> Figure {
    let alone = runs.len() == 1;
    let mut lines: Vec<Line> = Vec::new();
    for (number, run) in runs.iter().enumerate() {
        let watched =
            run.seconds.iter().filter_map(|second| Some((second.at_s, second.server.as_ref()?.cpu_pct)));
        let name = if alone { "server".into() } else { clipped(&run.name) };
        let filled = if alone { Filled::Down } else { Filled::No };
        lines.push(Line { points: thinned(watched.collect()), class: series(number), name, filled });
        if alone {
            let points = run.seconds.iter().map(|second| (second.at_s, second.driver_cpu_pct)).collect();
            let name = "driver".into();
            lines.push(Line { points: thinned(points), class: series(1), name, filled: Filled::No });
        }
    }
    let worst = lines.iter().flat_map(|line| &line.points).map(|point| point.1).fold(0.0, f64::max);
    let whose = if alone { "server and driver" } else { "each server" };
    Figure {
        id: "cpu-over-time",
        title: "CPU, second by second",
        how: format!("Percent of one core, {whose}."),
        says: format!("At most {} % of a core.", short(worst)),
        height: HEIGHT,
        drawing: one_panel(runs, &lines, Upwards::from_zero(10.0), None),
    }
}

/// A line of a figure.
struct Line {
    points: Vec<Point>,
    class: &'static str,
    name: String,
    filled: Filled,
}

/// What of the surface under a line is filled.
enum Filled {
    /// Nothing.
    No,
    /// Down to the axis.
    Down,
    /// Down to another line.
    DownTo(Vec<Point>),
}

/// The axis upwards.
#[derive(Clone, Copy)]
struct Upwards {
    /// What it shows at least.
    least: f64,
    /// Whether peaks may make it logarithmic.
    peaks: bool,
}

impl Upwards {
    fn from_zero(least: f64) -> Self {
        Self { least, peaks: false }
    }
}

fn one_panel(
    runs: &[Run<'_>],
    lines: &[Line],
    upwards: Upwards,
    bound: Option<(f64, String)>,
) -> Result<Markup, String> {
    if lines.iter().all(|line| line.points.is_empty()) {
        return Err(NOTHING.to_owned());
    }
    let (x, y) = scales(runs, lines, upwards);
    let bound = bound.filter(|(at, _)| *at <= y.high() && *at > y.low());
    // The bound's name has a line of its own above all.
    let top = if bound.is_some() { 34.0 } else { 20.0 };
    let space = Space::with_labels(longest(lines), top, 182.0);
    let panel = Panel::new(space, x, y);
    let bound = bound.map(|(at, word)| panel.bound(at, &word));
    Ok(html! { (draw(runs, lines, &panel, 5, true)) @if let Some(bound) = bound { (bound) } })
}

fn panel(runs: &[Run<'_>], lines: &[Line], space: Space, rows: usize, named: bool) -> Markup {
    let (x, y) = scales(runs, lines, Upwards::from_zero(0.1));
    draw(runs, lines, &Panel::new(space, x, y), rows, named)
}

/// Returns the time axis, and an axis upwards that is logarithmic where one peak would press all else to the floor.
fn scales(runs: &[Run<'_>], lines: &[Line], Upwards { least, peaks }: Upwards) -> (Scale, Scale) {
    let ends = runs.iter().flat_map(|run| run.seconds.last()).map(|second| second.at_s);
    let x = Scale::between(0.0, ends.fold(1.0, f64::max));
    let mut values: Vec<f64> = lines.iter().flat_map(|line| &line.points).map(|point| point.1).collect();
    values.retain(|value| value.is_finite() && *value > 0.0);
    values.sort_by(f64::total_cmp);
    let middle = values.get(values.len() / 2).copied().unwrap_or(0.0);
    let peak = values.last().copied().unwrap_or(0.0);
    let uneven = peaks && values.len() > 2 && peak > 25.0 * middle;
    (x, if uneven { Scale::logarithmic(values) } else { Scale::from_zero(values, least) })
}

fn draw(runs: &[Run<'_>], lines: &[Line], panel: &Panel, rows: usize, named: bool) -> Markup {
    html! {
        @if let [run] = runs { (joining(run, panel)) }
        (panel.rows(rows))
        @if let Some(run) = runs.first() { (borders(run, panel, named)) }
        @for line in lines {
            @match &line.filled {
                Filled::No => {}
                Filled::Down => { (panel.between(&line.points, &[], line.class)) }
                Filled::DownTo(lower) => { (panel.between(&line.points, lower, line.class)) }
            }
        }
        @for line in lines { (panel.line(&line.points, line.class)) }
        @if named { (panel.axis(6, "seconds")) }
        @if named {
            (panel.ends(ends(lines)))
            @for run in runs {
                @for fault in run.faults.iter().take(MARKS) {
                    (panel.mark(fault.at_s, party_class(fault.party), &fault.text))
                }
            }
        }
    }
}

fn ends(lines: &[Line]) -> Vec<(Point, String, &'static str)> {
    let named = lines.iter().filter(|line| !line.name.is_empty());
    named.filter_map(|line| Some((*line.points.last()?, line.name.clone(), line.class))).collect()
}

/// Returns the seconds in which viewers join and settle, shaded.
fn joining(run: &Run<'_>, panel: &Panel) -> Markup {
    let mut spans: Vec<(f64, f64)> = Vec::new();
    for second in run.seconds.iter().filter(|second| second.step.is_none()) {
        let (from, to) = ((second.at_s - second.seconds).max(0.0), second.at_s);
        match spans.last_mut() {
            Some(last) if from - last.1 < second.seconds / 2.0 => last.1 = to,
            _ => spans.push((from, to)),
        }
    }
    html! { @for (from, to) in spans { (panel.shade(from, to)) } }
}

/// Returns the beginnings of steps; where they are many only those whose words have room.
fn borders(run: &Run<'_>, panel: &Panel, worded: bool) -> Markup {
    let mut begun: Option<u64> = None;
    let mut free = f64::NEG_INFINITY;
    let mut drawn = Vec::new();
    for second in &run.seconds {
        let Some(step) = second.step.filter(|step| begun != Some(*step)) else { continue };
        begun = Some(step);
        let asked =
            run.steps.iter().find(|line| line.step == Some(step)).map_or(second.viewers, |s| s.viewers);
        let from = (second.at_s - second.seconds).max(0.0);
        let place = panel.place((from, 0.0)).0;
        let word = count(asked);
        if place >= free {
            free = place + (word.chars().count() as f64 + 1.5) * LETTER;
            drawn.push((from, if worded { word } else { String::new() }));
        }
    }
    html! { @for (from, word) in drawn { (panel.border(from, &word)) } }
}

/// Returns fewer points where there are too many: the largest of each stretch, so that no peak is lost.
fn thinned(points: Vec<Point>) -> Vec<Point> {
    if points.len() <= POINTS {
        return points;
    }
    let stretch = points.len().div_ceil(POINTS);
    let largest = |part: &[Point]| part.iter().copied().max_by(|a, b| a.1.total_cmp(&b.1));
    points.chunks(stretch).filter_map(largest).collect()
}

fn longest(lines: &[Line]) -> usize {
    lines.iter().map(|line| line.name.chars().count()).max().unwrap_or(0)
}

fn party_class(party: Party) -> &'static str {
    match party {
        Party::Server => "m-server",
        Party::Driver => "m-driver",
        Party::Viewer | Party::Network | Party::Caller => "m-other",
    }
}
