//! The page: one self-contained HTML file that answers first and shows its figures after.

mod answers;
mod details;
mod steps;

use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::measure::line::Line;
use crate::report::number::moment;
use crate::report::plots;
use crate::report::run::{Run, split_all};

/// Colours, letters and places; nothing in it is fetched.
const STYLE: &str = include_str!("page/page.css");

/// Returns the page of one run, or of several side by side; each element is a file's lines, and a file may hold several
/// runs. It needs no network, no font and no script.
#[must_use]
pub fn html(files: &[Vec<Line>]) -> String {
    let runs = split_all(files);
    let title = title(&runs);
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body { main { (body(&runs)) } }
        }
    }
    .into_string()
}

fn body(runs: &[Run<'_>]) -> Markup {
    let Some(first) = runs.first() else {
        return html! { h1 { "No run" } p { "The files hold no lines." } };
    };
    html! {
        (head(runs, first))
        (answers::answers(runs))
        div.pair {
            (answers::checks(runs))
            (details::shape(runs))
        }
        section {
            h2 { "Figures" }
            div.figures { @for figure in plots::all(runs) { (figure.draw()) } }
        }
        (steps::tables(runs))
        (details::faults(runs))
        div.pair {
            (details::honesty(runs))
            (details::machine(first))
        }
        footer {
            "Percentiles are of HDR histograms, three digits exact. How each figure is measured: loadtest/docs/report.md."
        }
    }
}

fn head(runs: &[Run<'_>], first: &Run<'_>) -> Markup {
    let what = if runs.len() > 1 { "Load test, side by side" } else { "Load test" };
    html! {
        header {
            div {
                p.eyebrow {
                    (what)
                    @if runs.len() == 1 { " of " (first.name) }
                    @if first.run.started_at > 0 { " · " (moment(first.run.started_at)) }
                }
                h1 { (scenarios(runs)) }
                @if !first.run.about.is_empty() && runs.iter().all(|run| run.run.about == first.run.about) { p.about { (first.run.about) } }
            }
            @if let [run] = runs { (answers::badge(run)) }
        }
    }
}

fn scenario<'a>(run: &Run<'a>) -> &'a str {
    if run.run.scenario.is_empty() { "a run without a name" } else { &run.run.scenario }
}

/// Returns the names of the scenarios, each once.
fn scenarios(runs: &[Run<'_>]) -> String {
    let mut names: Vec<&str> = Vec::new();
    for run in runs {
        if !names.contains(&scenario(run)) {
            names.push(scenario(run));
        }
    }
    names.join(", ")
}

fn title(runs: &[Run<'_>]) -> String {
    match runs {
        [] => "Load test".into(),
        [run] => format!("{}: load test of {}", scenario(run), run.name),
        [first, ..] => {
            let names: Vec<&str> = runs.iter().map(|run| run.name.as_str()).collect();
            let names = names.join(" and ");
            if runs.iter().all(|run| scenario(run) == scenario(first)) {
                format!("{}: {names}", scenario(first))
            } else {
                format!("Load tests: {names}")
            }
        }
    }
}
