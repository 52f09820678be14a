//! How many viewers fit: which steps were well served.

use crate::measure::line::StepLine;
use crate::report::limit;
use crate::report::number::count;
use crate::report::run::Run;

/// Packets that may be lost for good, percent, where the scenario asks for nothing else.
const LOSS_PCT: f64 = 0.5;
/// p99 of the frames' latency, milliseconds, where the scenario asks for nothing else.
const P99_MS: f64 = 100.0;
/// Share of the viewers of a step that must be well served.
const SERVED: f64 = 0.99;

/// What a step must hold to be well served.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Bounds {
    /// Packets that never came, percent.
    pub(crate) loss_pct: f64,
    /// p99 of the frames' latency, milliseconds.
    pub(crate) p99_ms: f64,
    /// Whether the run's own assertions set the latter.
    pub(crate) p99_asked: bool,
}

/// How many viewers fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fit {
    /// The most that were well served; none where no step was.
    pub(crate) good: Option<u64>,
    /// The fewest that were not; none where every step was well served.
    pub(crate) bad: Option<u64>,
}

impl Bounds {
    /// Returns the bounds that the run's own assertions set, else loss <= 0.5 % and p99 <= 100 ms.
    pub(crate) fn of(run: &Run<'_>) -> Self {
        let asked = |name: &str| {
            let checks = run.verdict.map(|verdict| verdict.checks.as_slice()).unwrap_or_default();
            let check = checks.iter().find(|check| check.name == name)?;
            check.asked.trim_start_matches(['<', '=', ' ']).parse::<f64>().ok()
        };
        Self {
            loss_pct: asked("loss_pct").unwrap_or(LOSS_PCT),
            p99_ms: asked("p99_ms").unwrap_or(P99_MS),
            p99_asked: asked("p99_ms").is_some(),
        }
    }

    fn broken(&self, step: &StepLine) -> Option<Broken> {
        if step.loss_pct > self.loss_pct {
            Some(Broken::Loss)
        } else if step.frame_latency.p99_ms > self.p99_ms {
            Some(Broken::Latency)
        } else if (step.viewers_ok as f64) < step.viewers as f64 * SERVED {
            Some(Broken::Viewers)
        } else {
            None
        }
    }
}

/// The bound that a step broke.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Broken {
    /// Too many packets never came.
    Loss,
    /// p99 of the frames' latency was too high.
    Latency,
    /// Too many viewers saw nothing, or too little.
    Viewers,
}

/// Returns what a step broke; none where it was well served. A search has bounds of its own, and its word on what it found
/// goes before.
pub(crate) fn broken(run: &Run<'_>, step: &StepLine) -> Option<Broken> {
    let broken = Bounds::of(run).broken(step);
    let Some(verdict) = run.verdict.filter(|_| step.step.is_some()) else { return broken };
    if verdict.last_good.is_some_and(|good| step.viewers <= good) {
        return None;
    }
    if broken.is_some() || verdict.first_bad.is_none_or(|bad| step.viewers < bad) {
        return broken;
    }
    Some(match (step.loss_pct / LOSS_PCT, step.frame_latency.p99_ms / P99_MS) {
        _ if step.joins.failed > 0 => Broken::Viewers,
        (lost, late) if lost > late => Broken::Loss,
        _ => Broken::Latency,
    })
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

/// Returns the step that decides: the smallest that was not well served, else the largest.
pub(crate) fn deciding<'a>(run: &Run<'a>) -> Option<&'a StepLine> {
    let bad =
        run.steps.iter().copied().filter(|step| broken(run, step).is_some()).min_by_key(|step| step.viewers);
    bad.or_else(|| run.steps.iter().copied().max_by_key(|step| step.viewers)).or(run.whole)
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
    Words { figure, sentence: found.map_or(sentence, sentence_of) }
}

/// Returns a sentence with a capital at its beginning and a full stop; its figures are not torn from their units.
pub(crate) fn sentence_of(text: &str) -> String {
    let text = text.trim_end_matches('.').replace(" %", "\u{a0}%").replace(" ms", "\u{a0}ms");
    let text = text.replace("<= ", "≤\u{a0}").replace(">= ", "≥\u{a0}");
    let mut letters = text.chars();
    let first = letters.next().map(char::to_uppercase);
    first.into_iter().flatten().chain(letters).chain(['.']).collect()
}
