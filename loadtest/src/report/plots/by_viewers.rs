//! What the server used against the number of viewers: CPU for each packet, and memory.

use maud::html;

use crate::measure::line::{ServerFigures, StepLine};
use crate::report::chart::panel::{Panel, Point, Space};
use crate::report::chart::scale::Scale;
use crate::report::chart::{Figure, HEIGHT, series};
use crate::report::number::short;
use crate::report::plots::clipped;
use crate::report::run::Run;

/// Why there is nothing to draw.
const NOTHING: &str = "The server could not be watched: it ran elsewhere, and told no figures.";
/// Kilobytes of a megabyte.
const KILO: f64 = 1024.0;

/// CPU microseconds for each packet that was sent: user and kernel of the server, and the driver beside it.
pub(super) fn cpu(runs: &[Run<'_>]) -> Figure {
    let alone = runs.len() == 1;
    let mut lines: Vec<Line> = Vec::new();
    for (number, run) in runs.iter().enumerate() {
        let name = |word: &str| if alone { word.to_owned() } else { clipped(&run.name) };
        let points = points(run, |_, server| server.us_per_packet);
        lines.push(Line { points, class: series(number), name: name("server"), filled: false });
    }
    if alone && let [line] = lines.as_mut_slice() {
        line.filled = true;
        let user = points(&runs[0], |_, server| server.us_per_packet * share(server.user_pct, server));
        let driver = points(&runs[0], |step, _| step.driver_cpu_pct * 1e4 / step.packets_out_per_s);
        lines.push(Line { points: user, class: series(2), name: "in the program".into(), filled: true });
        lines.push(Line { points: driver, class: series(1), name: "driver".into(), filled: false });
    }
    let says = told(&lines, "µs");
    let how = match runs.len() {
        1 => {
            "Microseconds of CPU for each packet sent to a viewer; the server's is program and kernel together. Against viewers."
        }
        _ => "Microseconds of the server's CPU for each packet sent to a viewer. Against viewers.",
    };
    figure("cpu", "CPU for each packet", how, says, &lines, 1.0)
}

/// Resident memory.
pub(super) fn memory(runs: &[Run<'_>]) -> Figure {
    let line = |(number, run): (usize, &Run<'_>)| {
        let last = run.steps.iter().max_by_key(|step| step.viewers).and_then(|step| step.server.as_ref());
        let each = last.filter(|server| server.kb_per_viewer > 0.0);
        let each = each.map(|server| format!("{} KB each", short(server.kb_per_viewer)));
        let each = each.unwrap_or_else(|| "server".into());
        Line {
            points: points(run, |_, server| server.rss_kb as f64 / KILO),
            class: series(number),
            name: if runs.len() == 1 { each } else { clipped(&run.name) },
            filled: runs.len() == 1,
        }
    };
    let lines: Vec<Line> = runs.iter().enumerate().map(line).collect();
    let says = told(&lines, "MB");
    let how = match runs.len() {
        1 => {
            "Resident memory of the server, megabytes, against viewers. “Each” is its growth since before the first viewer, for each viewer."
        }
        _ => "Resident memory of the server, megabytes, against viewers.",
    };
    figure("memory", "Memory", how, says, &lines, 10.0)
}

struct Line {
    points: Vec<Point>,
    class: &'static str,
    name: String,
    filled: bool,
}

fn figure(
    id: &'static str,
    title: &'static str,
    how: &str,
    says: String,
    lines: &[Line],
    least: f64,
) -> Figure {
    let there: Vec<Point> = lines.iter().flat_map(|line| line.points.iter().copied()).collect();
    let drawing = if there.is_empty() {
        Err(NOTHING.to_owned())
    } else if lines.iter().all(|line| line.points.len() < 2) {
        // One point makes no line.
        Err(format!("{}.", sentence_case(&says)))
    } else {
        let letters = lines.iter().map(|line| line.name.chars().count()).max().unwrap_or(0);
        let space = Space::with_labels(letters, 14.0, 182.0);
        let x = Scale::between(0.0, there.iter().map(|point| point.0).fold(1.0, f64::max)).whole();
        let panel = Panel::new(space, x, Scale::from_zero(there.iter().map(|point| point.1), least));
        let ends =
            lines.iter().filter_map(|line| Some((*line.points.last()?, line.name.clone(), line.class)));
        Ok(html! {
            (panel.rows(5))
            @for line in lines { @if line.filled { (panel.between(&line.points, &[], line.class)) } }
            (panel.axis(6, "viewers"))
            @for line in lines {
                (panel.line(&line.points, line.class))
                (panel.dots(&line.points, line.class))
            }
            (panel.ends(ends.collect()))
        })
    };
    Figure { id, title, how: how.into(), says, height: HEIGHT, drawing }
}

/// Returns a point for each step in which the server was watched, by viewers.
fn points(run: &Run<'_>, of: fn(&StepLine, &ServerFigures) -> f64) -> Vec<Point> {
    let watched = run.steps.iter().filter_map(|step| {
        let value = of(step, step.server.as_ref()?);
        value.is_finite().then_some((step.viewers as f64, value))
    });
    let mut points: Vec<Point> = watched.collect();
    points.sort_by(|a, b| a.0.total_cmp(&b.0));
    points
}

fn share(part: f64, server: &ServerFigures) -> f64 {
    let whole = server.user_pct + server.sys_pct;
    if whole > 0.0 { part / whole } else { 0.0 }
}

fn sentence_case(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

fn told(lines: &[Line], unit: &str) -> String {
    let told = lines.iter().filter_map(|line| {
        let (viewers, value) = line.points.last()?;
        let viewers =
            if *viewers == 1.0 { "1 viewer".into() } else { format!("{} viewers", short(*viewers)) };
        Some(format!("{}: {} {unit} at {viewers}", line.name, short(*value)))
    });
    told.collect::<Vec<_>>().join("; ")
}
