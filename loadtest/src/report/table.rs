//! Tables for a terminal, no wider than it is.

mod grid;

use std::fmt::Write as _;
use std::io::IsTerminal as _;

use crate::measure::line::{Line, ServerFigures, StepLine, Verdict};
use crate::report::checks::{self, Failed};
use crate::report::fit;
use crate::report::limit;
use crate::report::number::{count, percent, short, tick};
use crate::report::run::{Run, split};
use crate::report::served::{self, Broken};
use crate::report::table::grid::{Cell, Column, Grid, Tone, wrapped};

/// Faults of so many kinds are told; the rest is counted.
const FAULTS: usize = 12;

/// Whether words are coloured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Paint {
    /// ANSI colours.
    Colours,
    /// Bare text.
    Plain,
}

/// How tables look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// Whether words are coloured.
    pub paint: Paint,
    /// Letters of a line at most.
    pub columns: usize,
    /// Whether words that find no room are cut; else their line is longer.
    pub cuts: bool,
}

impl Look {
    /// Returns what standard output can show: colours where it is a terminal and `NO_COLOR` is not set, and lines as wide as
    /// it; where it is none, lines of 100 letters, and nothing is cut.
    #[must_use]
    pub fn for_stdout() -> Self {
        let out = std::io::stdout();
        if !out.is_terminal() {
            return Self { cuts: false, ..Self::from(Paint::Plain) };
        }
        let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let columns = rustix::termios::tcgetwinsize(&out).map_or(0, |size| usize::from(size.ws_col));
        Self {
            paint: if unwanted { Paint::Plain } else { Paint::Colours },
            // A terminal that does not say how wide it is has 0.
            columns: if columns == 0 { WIDEST } else { columns.clamp(NARROWEST, WIDEST) },
            cuts: true,
        }
    }
}

/// Lines of 100 letters.
impl From<Paint> for Look {
    fn from(paint: Paint) -> Self {
        Self { paint, columns: WIDEST, cuts: true }
    }
}

/// Letters of a line, however wide the terminal is.
const WIDEST: usize = 100;
/// What is narrower cannot hold the columns that matter.
const NARROWEST: usize = 40;

/// Returns a table with a row for each step: viewers, loss, latency, CPU, memory, joins. Ends with a line end; empty where
/// there is no step. What does not hold is coloured.
#[must_use]
pub fn steps(lines: &[Line], look: impl Into<Look>) -> String {
    let look = look.into();
    split(lines).iter().map(|run| steps_of(run, look)).collect()
}

/// Returns a table of the assertions, each asked, measured and judged. Ends with a line end; empty where there is none.
#[must_use]
pub fn checks(lines: &[Line], look: impl Into<Look>) -> String {
    let look = look.into();
    split(lines).iter().map(|run| checks_of(run, look)).collect()
}

/// Returns a table of a breakpoint search: a row for each trial, in the order in which they were made. Ends with a line
/// end; empty where there is none.
#[must_use]
pub fn trials(lines: &[Line], look: impl Into<Look>) -> String {
    let look = look.into();
    split(lines).iter().map(|run| trials_of(run, look)).collect()
}

/// Returns all that is told at the end of a run: its steps (or trials), its assertions, faults by party, how many viewers
/// fit, what failed, what limits it, and the verdict as the last line. Of several runs, each in turn.
#[must_use]
pub fn verdict(lines: &[Line], look: impl Into<Look>) -> String {
    let look = look.into();
    let told: Vec<String> = split(lines).iter().map(|run| verdict_of(run, look)).collect();
    told.join("\n")
}

/// Returns one line for each run: the verdict, the scenario, how many viewers fit and what failed.
#[must_use]
pub fn headline(lines: &[Line], look: impl Into<Look>) -> String {
    let look = look.into();
    split(lines).iter().map(|run| headline_of(run, look)).collect()
}

fn verdict_of(run: &Run<'_>, look: Look) -> String {
    let mut text = String::new();
    let paint = look.paint;
    let head = format!("{} · {}", run.run.scenario, run.name);
    let _ = writeln!(text, "{}", Tone::Strong.paint(&wrapped(&head, 0, look.columns), paint));
    let table = if run.is_search() { trials_of(run, look) } else { steps_of(run, look) };
    for part in [table, checks_of(run, look), faults_of(run, look)] {
        if !part.is_empty() {
            let _ = write!(text, "\n{part}");
        }
    }
    let (fit, failed, limit) = (fit::words(run), Failed::of(run), limit::find(run));
    text.push('\n');
    for (name, head, sentence) in [
        ("Viewers that fit", fit.figure, fit.sentence),
        ("What failed", failed.head, failed.items.join("; ")),
        ("What limits it", limit.kind.word().to_owned(), fit::sentence_of(&limit.sentence)),
    ] {
        let _ = writeln!(
            text,
            "{} {}",
            Tone::Quiet.paint(&format!("{name:<17}"), paint),
            Tone::Strong.paint(&head, paint)
        );
        let _ = writeln!(text, "{:18}{}", "", wrapped(&sentence, 18, look.columns));
    }
    let _ = writeln!(text, "\n{}", word_of(run, paint));
    text
}

fn headline_of(run: &Run<'_>, look: Look) -> String {
    let (fit, failed) = (fit::words(run), Failed::of(run));
    let text =
        format!("{} · viewers that fit: {} · what failed: {}", run.run.scenario, fit.figure, failed.head);
    format!("{} {}\n", word_of(run, look.paint), Cell::new(text, Tone::Bare).text)
}

fn word_of(run: &Run<'_>, paint: Paint) -> String {
    let (word, tone) = match run.verdict.map(|verdict| verdict.verdict) {
        Some(Verdict::Pass) => ("PASS", Tone::Good),
        Some(Verdict::Fail) => ("FAIL", Tone::Bad),
        Some(Verdict::Inconclusive) => ("INCONCLUSIVE", Tone::Open),
        None => ("NOT FINISHED", Tone::Open),
    };
    let stopped =
        if run.verdict.is_some_and(|verdict| verdict.interrupted) { " (stopped early)" } else { "" };
    format!("{}{stopped}", tone.paint(word, paint))
}

fn steps_of(run: &Run<'_>, look: Look) -> String {
    let whole = run.whole.filter(|_| run.steps.is_empty());
    let steps: Vec<&StepLine> = run.steps.iter().copied().chain(whole).collect();
    // Where nothing was repaired they say nothing.
    let repaired = steps.iter().any(|step| step.viewer.repairs > 0);
    let mut columns = vec![
        number("viewers", 0),
        number("well\nserved", 1),
        number("out\nMbit/s", 6),
        number("lost before\nrepair %", 4),
        number("lost\n%", 0),
    ];
    if repaired {
        columns.extend([number("repair\ncost %", 1), number("stands\nstill %", 1)]);
    }
    columns.extend([
        number("opened\n%", 3),
        number("p50\nms", 2),
        number("p99\nms", 0),
        number("join\np99 ms", 5),
        number("server\nCPU %", 0),
        number("µs per\npacket", 2),
        number("KB per\nviewer", 5),
        number("driver\nCPU %", 0),
    ]);
    let mut grid = Grid::new(columns);
    for &step in &steps {
        let broken = served::broken(run, step);
        let bad = |which: Broken| if broken == Some(which) { Tone::Bad } else { Tone::Bare };
        let driver = if limit::overload(run, step).is_some() { Tone::Bad } else { Tone::Bare };
        let joins = step.first_frame.count;
        let mut row = vec![
            whole_number(step.viewers).into(),
            Cell::new(whole_number(step.viewers_ok), bad(Broken::Viewers)),
            tick(step.mbit_out).into(),
            percent(step.first_loss_pct).into(),
            Cell::new(percent(step.loss_pct), bad(Broken::Loss)),
        ];
        if repaired {
            row.extend([percent(step.repair_pct).into(), percent(step.frozen_pct).into()]);
        }
        row.extend([
            percent(step.opened_pct).into(),
            latency(step.frame_latency.count, step.frame_latency.p50_ms).into(),
            Cell::new(latency(step.frame_latency.count, step.frame_latency.p99_ms), bad(Broken::Latency)),
            latency(joins, step.first_frame.p99_ms).into(),
            server(step, |it| it.cpu_pct).into(),
            server(step, |it| it.us_per_packet).into(),
            server(step, |it| it.kb_per_viewer).into(),
            Cell::new(short(step.driver_cpu_pct), driver),
        ]);
        grid.row(row);
    }
    if steps.is_empty() { String::new() } else { grid.text(look) }
}

fn checks_of(run: &Run<'_>, look: Look) -> String {
    let told = run.verdict.map(|verdict| verdict.checks.as_slice()).unwrap_or_default();
    let mut grid = Grid::new(vec![words("check"), number("asked", 0), number("measured", 0), words("")]);
    for check in told {
        let (word, tone) = if check.holds { ("✓ holds", Tone::Good) } else { ("✗ fails", Tone::Bad) };
        grid.row(vec![
            checks::label(&check.name).0.to_owned().into(),
            checks::asked(check).into(),
            checks::measured(check).into(),
            Cell::new(word, tone),
        ]);
    }
    if told.is_empty() { String::new() } else { grid.text(look) }
}

fn trials_of(run: &Run<'_>, look: Look) -> String {
    let mut grid = Grid::new(vec![
        number("trial", 0),
        number("viewers", 0),
        number("well\nserved", 0),
        number("lost\n%", 0),
        number("p50\nms", 0),
        number("p99\nms", 0),
        number("server\nCPU %", 0),
        number("driver\nCPU %", 0),
        words(""),
    ]);
    for (index, step) in run.steps.iter().enumerate() {
        let (word, tone) = match served::broken(run, step) {
            Some(_) if served::was_repeated(run, step) => ("✗ repeated, see next", Tone::Open),
            None => ("✓ fits", Tone::Good),
            Some(_) if limit::overload(run, step).is_some() => ("? the driver was the limit", Tone::Open),
            Some(Broken::Loss) => ("✗ too much lost", Tone::Bad),
            Some(Broken::Latency) => ("✗ latency", Tone::Bad),
            Some(Broken::Viewers) => ("✗ too few well served", Tone::Bad),
        };
        grid.row(vec![
            (index + 1).to_string().into(),
            count(step.viewers).into(),
            count(step.viewers_ok).into(),
            percent(step.loss_pct).into(),
            latency(step.frame_latency.count, step.frame_latency.p50_ms).into(),
            latency(step.frame_latency.count, step.frame_latency.p99_ms).into(),
            server(step, |it| it.cpu_pct).into(),
            short(step.driver_cpu_pct).into(),
            Cell::new(word, tone),
        ]);
    }
    if run.steps.is_empty() { String::new() } else { grid.text(look) }
}

fn faults_of(run: &Run<'_>, look: Look) -> String {
    let groups = checks::grouped(&run.faults);
    let mut grid = Grid::new(vec![
        words("fault of"),
        words("what"),
        number("how often", 0),
        words("seen, the first time"),
    ]);
    for fault in groups.iter().take(FAULTS) {
        grid.row(vec![
            checks::party(fault.party).to_owned().into(),
            fault.code.clone().into(),
            count(fault.count).into(),
            fault.text.clone().into(),
        ]);
    }
    let more = groups.len().saturating_sub(FAULTS);
    match more {
        _ if groups.is_empty() => String::new(),
        0 => grid.text(look),
        more => format!("{}and {more} more kinds\n", grid.text(look)),
    }
}

fn number(head: &'static str, spare: u8) -> Column {
    Column { head, words: false, spare }
}

fn words(head: &'static str) -> Column {
    Column { head, words: true, spare: 0 }
}

fn whole_number(value: u64) -> String {
    if value < 100_000 { value.to_string() } else { tick(value as f64) }
}

fn latency(heard: u64, value: f64) -> String {
    if heard == 0 { "–".into() } else { short(value) }
}

fn server(step: &StepLine, of: fn(&ServerFigures) -> f64) -> String {
    step.server.as_ref().map_or_else(|| "–".into(), |server| short(of(server)))
}
