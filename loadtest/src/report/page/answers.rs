//! What the first screen answers: how many viewers fit, what failed, what limits it; then each assertion.

use maud::{Markup, html};

use crate::measure::line::{Check, StepLine, Verdict};
use crate::report::chart::series;
use crate::report::checks::{self, Failed};
use crate::report::fit;
use crate::report::limit;
use crate::report::number::{count, percent, short};
use crate::report::run::Run;

/// What failed is told up to so many; the rest is counted.
const TOLD: usize = 4;

/// Returns the answers: three fields of one run, or a row of a table for each of several.
pub(super) fn answers(runs: &[Run<'_>]) -> Markup {
    match runs {
        [run] => one(run),
        several => html! { (side_by_side(several)) (at_the_same_step(several)) },
    }
}

/// Returns the judgement, as a word and a sign.
pub(super) fn badge(run: &Run<'_>) -> Markup {
    let (class, sign, word) = match run.verdict.map(|verdict| verdict.verdict) {
        Some(Verdict::Pass) => ("pass", "✓", "pass"),
        Some(Verdict::Fail) => ("fail", "✗", "fail"),
        Some(Verdict::Inconclusive) => ("open", "?", "inconclusive"),
        None => ("open", "…", "not finished"),
    };
    let stopped = run.verdict.is_some_and(|verdict| verdict.interrupted);
    html! {
        p class={ "badge " (class) } {
            span aria-hidden="true" { (sign) } " " (word)
            @if stopped { " " small { "stopped early" } }
        }
    }
}

/// Returns every assertion: asked, measured, and whether it holds.
pub(super) fn checks(runs: &[Run<'_>]) -> Markup {
    let of = |run: &Run<'_>| run.verdict.map(|verdict| verdict.checks.clone()).unwrap_or_default();
    let told: Vec<(&str, Vec<Check>)> = runs.iter().map(|run| (run.name.as_str(), of(run))).collect();
    html! {
        section {
            h2 { "Checks" }
            @if told.iter().all(|(_, checks)| checks.is_empty()) {
                p.quiet { @if runs.iter().all(|run| run.verdict.is_none()) {
                    "The run ended before its verdict."
                } @else { "The scenario asserts nothing." } }
            } @else {
                div.scroll tabindex="0" role="region" aria-label="Checks" {
                    table.checks {
                        thead { tr {
                            th scope="col" { "Check" }
                            th.n scope="col" { "asked" }
                            th.n scope="col" { "measured" }
                            th scope="col" { "holds?" }
                        } }
                        @for (name, checks) in &told {
                            tbody {
                                @if runs.len() > 1 {
                                    tr.group { th scope="rowgroup" colspan="4" { (name) } }
                                    @if checks.is_empty() { tr { td.quiet colspan="4" { "nothing asserted" } } }
                                }
                                @for check in checks { (row(check)) }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn row(check: &Check) -> Markup {
    html! {
        tr {
            td { (checks::label(&check.name).0) }
            td.n { (checks::asked(check)) }
            td.n { (checks::measured(check)) }
            @if check.holds { td.pass { "✓ holds" } } @else { td.fail { "✗ fails" } }
        }
    }
}

fn one(run: &Run<'_>) -> Markup {
    let (fit, failed, limit) = (fit::words(run), Failed::of(run), limit::find(run));
    html! {
        section.answers aria-label="Answers" {
            div.answer {
                h2 { "Viewers that fit" }
                p.figure { (fit.figure) }
                p { (fit.sentence) }
            }
            div.answer {
                h2 { "What failed" }
                p.word { (failed.head) }
                (items(&failed))
            }
            div.answer {
                h2 { "What limits it" }
                p.word { (limit.kind.word()) }
                p { (fit::sentence_of(&limit.sentence)) }
            }
        }
    }
}

fn items(failed: &Failed) -> Markup {
    let more = failed.items.len().saturating_sub(TOLD);
    html! {
        @match failed.items.as_slice() {
            [item] => { p { (item) } }
            items => {
                ul { @for item in items.iter().take(TOLD) { li { (item) } } }
                @if more > 0 { p.quiet { "and " (more) " more below" } }
            }
        }
    }
}

fn side_by_side(runs: &[Run<'_>]) -> Markup {
    html! {
        section aria-label="Answers" {
            div.scroll tabindex="0" role="region" aria-label="Answers for each run" {
                table.servers {
                    thead { tr {
                        th scope="col" { "Run" }
                        th scope="col" { "Viewers that fit" }
                        th scope="col" { "What failed" }
                        th scope="col" { "What limits it" }
                    } }
                    tbody { @for (number, run) in runs.iter().enumerate() {
                        @let fit = fit::words(run);
                        @let failed = Failed::of(run);
                        @let limit = limit::find(run);
                        tr {
                            th scope="row" {
                                (key(number)) (run.name)
                                (badge(run))
                                @if run.rounds.len() > 1 { p.quiet { (rounds(run)) } }
                                @if !run.run.sealed { p.quiet { "frames not sealed end to end" } }
                            }
                            td data-head="Viewers that fit" { p.figure { (fit.figure) } p { (fit.sentence) } }
                            td data-head="What failed" { p.word { (failed.head) } (items(&failed)) }
                            td data-head="What limits it" { p.word { (limit.kind.word()) } p { (fit::sentence_of(&limit.sentence)) } }
                        }
                    } }
                }
            }
        }
    }
}

/// Returns the figures of the largest step that all servers had.
fn at_the_same_step(runs: &[Run<'_>]) -> Markup {
    let has = |run: &Run<'_>, viewers: u64| run.steps.iter().any(|step| step.viewers == viewers);
    let first = runs.first().map(|run| run.steps.as_slice()).unwrap_or_default();
    let common =
        first.iter().map(|step| step.viewers).filter(|viewers| runs.iter().all(|run| has(run, *viewers)));
    let Some(viewers) = common.max() else {
        return html! { p.quiet { "No step had the same number of viewers with every server." } };
    };
    let told = runs.iter().enumerate().map(|(number, run)| {
        let of = |value: fn(&StepLine) -> Option<f64>, word: fn(f64) -> String| {
            let steps = run
                .all_rounds()
                .iter()
                .filter_map(|round| round.steps.iter().rev().find(|step| step.viewers == viewers).copied());
            middle_and_span(steps.filter_map(value).collect(), word)
        };
        let figures = [
            of(|step| Some(step.loss_pct), percent),
            of(|step| Some(step.frame_latency.p50_ms), short),
            of(|step| Some(step.frame_latency.p99_ms), short),
            of(|step| Some(step.server.as_ref()?.cpu_pct), short),
            of(|step| Some(step.server.as_ref()?.us_per_packet), short),
            of(|step| Some(step.server.as_ref()?.kb_per_viewer), short),
            of(|step| Some(step.driver_cpu_pct), short),
        ];
        (number, run.name.as_str(), figures)
    });
    let heads = [
        "lost, %",
        "p50, ms",
        "p99, ms",
        "CPU, % of a core",
        "µs for each packet",
        "KB for each viewer",
        "driver, % of a core",
    ];
    html! {
        section {
            h2 { "All with " (count(viewers)) " viewers" }
            @if runs.iter().any(|run| run.rounds.len() > 1) {
                p.quiet { "The middle one of all rounds; below it the smallest and the largest." }
            }
            div.scroll tabindex="0" role="region" aria-label="The same step, server by server" {
                table {
                    thead { tr { th scope="col" { "Run" } @for head in heads { th.n scope="col" { (head) } } } }
                    tbody { @for (number, name, figures) in told {
                        tr { th scope="row" { (key(number)) (name) } @for figure in figures { td.n { (figure) } } }
                    } }
                }
            }
        }
    }
}

/// Returns the middle of a figure's rounds, and the smallest and largest where they differ.
fn middle_and_span(mut values: Vec<f64>, word: fn(f64) -> String) -> Markup {
    values.retain(|value| value.is_finite());
    values.sort_by(f64::total_cmp);
    let Some(middle) = values.get(values.len().saturating_sub(1) / 2).copied().map(word) else {
        return html! { "–" };
    };
    let (low, high) = (word(values[0]), word(values[values.len() - 1]));
    html! { (middle) @if low != high { br; small.quiet { (low) " to " (high) } } }
}

/// Returns what a row of several rounds stands for, and how the others ended where they ended otherwise.
fn rounds(run: &Run<'_>) -> String {
    let verdict = |run: &Run<'_>| run.verdict.map(|verdict| verdict.verdict);
    let others = run.rounds.iter().filter(|round| verdict(round) != verdict(run)).count();
    let told = format!("the middle one of {} rounds", run.rounds.len());
    if others == 0 { told } else { format!("{told}; {others} of them ended otherwise") }
}

/// Returns the sample of a server's line, as it is drawn in the figures.
fn key(number: usize) -> Markup {
    html! {
        svg.key viewBox="0 0 26 8" aria-hidden="true" focusable="false" {
            line class={ "line " (series(number)) } x1="1" x2="25" y1="4" y2="4" {}
        }
    }
}
