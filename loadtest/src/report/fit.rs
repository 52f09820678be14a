//! How many viewers fit, as a figure and in words.

use crate::report::limit;
use crate::report::number::count;
use crate::report::run::Run;
use crate::report::served::{Bounds, broken};

/// How many viewers fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fit {
    /// The most that were well served; none where no step was.
    pub(crate) good: Option<u64>,
    /// The fewest that were not; none where every step was well served.
    pub(crate) bad: Option<u64>,
}

impl Fit {
    /// Returns how many viewers fit by a run's steps; a search's own verdict goes before.
    pub(crate) fn of(run: &Run<'_>) -> Self {
        let viewers = |good: bool| {
            let steps = run.measured().into_iter().filter(move |step| broken(run, step).is_none() == good);
            steps.map(|step| step.viewers)
        };
        let bad = viewers(false).min();
        let good = viewers(true).filter(|viewers| bad.is_none_or(|bad| *viewers < bad)).max();
        match run.verdict {
            Some(verdict) if verdict.last_good.is_some() || verdict.first_bad.is_some() => {
                Self { good: verdict.last_good, bad: verdict.first_bad }
            }
            _ => Self { good, bad },
        }
    }
}

/// How many viewers fit, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Words {
    /// The number, with a sign where it is no more than a bound.
    pub(crate) figure: String,
    /// What it stands on, a sentence.
    pub(crate) sentence: String,
}

/// Returns how many viewers fit, in words; what the driver could not drive is not held against the server.
pub(crate) fn words(run: &Run<'_>) -> Words {
    if let Some(fault) = limit::gone(run) {
        let sentence = format!(
            "{} The server went away during this step, so it is not counted.",
            sentence_of(fault.text.split(';').next().unwrap_or_default())
        );
        return Words { figure: "–".into(), sentence };
    }
    let Fit { good, bad } = Fit::of(run);
    let driver =
        run.steps.iter().any(|step| Some(step.viewers) == bad && limit::overload(run, step).is_some());
    let (figure, sentence) = match (good, bad) {
        (None, None) => ("–".into(), "No step was measured.".to_owned()),
        (Some(good), None) if run.verdict.is_some_and(|verdict| verdict.interrupted) => (
            format!("≥ {}", count(good)),
            "All that were there were well served; then the run was stopped.".into(),
        ),
        (Some(good), None) => {
            let sentence = match good {
                1 => "The one that was tried was well served; more were not tried.".into(),
                good => format!("All {} that were tried were well served; more were not tried.", count(good)),
            };
            (format!("≥ {}", count(good)), sentence)
        }
        (Some(good), Some(bad)) if driver => (
            format!("≥ {}", count(good)),
            format!("{} were not well served, but there the driver was the limit.", count(bad)),
        ),
        (Some(good), Some(bad)) => {
            let between = if bad > good + 1 { "; between the two it was not tried" } else { "" };
            (count(good), format!("{} were not well served{between}.", count(bad)))
        }
        (None, Some(bad)) if driver => {
            ("–".into(), format!("Already with {} the driver was the limit.", count(bad)))
        }
        (None, Some(bad)) => (
            format!("< {}", count(bad)),
            format!("Not even {} were well served; fewer were not tried.", count(bad)),
        ),
    };
    let found =
        run.verdict.map(|verdict| verdict.limit.as_str()).filter(|told| run.is_search() && !told.is_empty());
    let judged = Bounds::of(run).sentence(run).filter(|_| (good, bad) != (None, None));
    let sentence = match (found, judged) {
        (Some(found), _) => sentence_of(found),
        (None, Some(judged)) => format!("{sentence} {judged}"),
        (None, None) => sentence,
    };
    Words { figure, sentence }
}

/// Returns a sentence with a capital at its beginning and a full stop; its figures are not torn from their units.
pub(crate) fn sentence_of(text: &str) -> String {
    let text = text.trim_end_matches('.').replace(" %", "\u{a0}%").replace(" ms", "\u{a0}ms");
    let text = text.replace("<= ", "≤\u{a0}").replace(">= ", "≥\u{a0}");
    let mut letters = text.chars();
    let first = letters.next().map(char::to_uppercase);
    first.into_iter().flatten().chain(letters).chain(['.']).collect()
}
