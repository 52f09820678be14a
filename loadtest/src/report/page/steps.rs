//! Every figure of every step, as a table; many steps are parted into several.

use maud::{Markup, html};

use crate::measure::line::StepLine;
use crate::report::figures::{GROUPS, Group};
use crate::report::number::count;
use crate::report::run::Run;
use crate::report::served::broken;

/// More steps than these do not stand beside each other.
const BESIDE: usize = 10;
/// Up to so many leave room for two halves of the table beside each other.
const HALF: usize = 5;
/// From so many viewers on a column is too wide for that.
const WIDE: u64 = 10_000;

/// Returns the tables.
pub(super) fn tables(runs: &[Run<'_>]) -> Markup {
    html! {
        section {
            h2 { "Every figure, step by step" }
            @for run in runs {
                @if runs.len() > 1 { h3 { (run.name) } }
                (tables_of(run))
            }
        }
    }
}

fn tables_of(run: &Run<'_>) -> Markup {
    let mut columns: Vec<&StepLine> = run.steps.clone();
    columns.extend(run.whole.filter(|_| run.steps.len() != 1));
    let parts = columns.len().div_ceil(BESIDE).max(1);
    let beside = columns.len().div_ceil(parts).max(1);
    html! {
        @if columns.is_empty() { p.quiet { "No step was measured." } }
        @if (1..=HALF).contains(&columns.len()) && columns.iter().all(|step| step.viewers < WIDE) {
            @let (left, right) = GROUPS.split_at(GROUPS.len() / 2);
            div.pair { (table(left, &columns, run)) (table(right, &columns, run)) }
        } @else {
            @for part in columns.chunks(beside) { (table(&GROUPS, part, run)) }
        }
    }
}

fn table(groups: &[Group], steps: &[&StepLine], run: &Run<'_>) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-label="Every figure of these steps" {
            table.steps {
                thead { tr {
                    th scope="col" { "Viewers" }
                    @for step in steps { (heading(step, run)) }
                } }
                @for group in groups { (rows(group, steps)) }
            }
        }
    }
}

fn heading(step: &StepLine, run: &Run<'_>) -> Markup {
    html! {
        th.n scope="col" {
            @if step.step.is_none() { "all" } @else {
                (count(step.viewers))
                @if broken(run, step).is_none() { " " span.pass title="well served" { "✓" } }
                @else { " " span.fail title="not well served" { "✗" } }
            }
        }
    }
}

fn rows(group: &Group, steps: &[&StepLine]) -> Markup {
    html! {
        tbody {
            tr.group { th scope="rowgroup" colspan=(steps.len() + 1) { (group.name) } }
            @for row in group.rows {
                tr {
                    th scope="row" { (row.name) }
                    @for step in steps { td.n { ((row.of)(step).unwrap_or_else(|| "–".into())) } }
                }
            }
        }
    }
}
