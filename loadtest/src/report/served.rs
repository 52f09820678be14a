//! What well served means in a run, and which bound a step broke.

use crate::measure::line::StepLine;
use crate::report::number::short;
use crate::report::run::Run;

/// Packets that may be lost for good, percent, where nothing says what well served is.
const LOSS_PCT: f64 = 0.5;
/// p99 of the frames' latency, milliseconds, where nothing says what well served is.
const P99_MS: f64 = 100.0;
/// Share of the viewers of a step that must be well served.
const SERVED: f64 = 0.99;

/// What a step must hold to be well served; what is not bounded is not asked.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Bounds {
    /// Who says so.
    pub(crate) whose: Whose,
    /// Packets that never came, percent.
    pub(crate) loss_pct: Option<f64>,
    /// p99 of the frames' latency, milliseconds.
    pub(crate) p99_ms: Option<f64>,
    /// Frames opened, percent.
    opened_pct: Option<f64>,
    /// Joins that failed.
    joins_failed: Option<f64>,
    /// Whether nearly all viewers must be well served each.
    each: bool,
}

/// Who says what well served is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Whose {
    /// The search for what is carried.
    Search,
    /// The scenario, by what it asserts.
    Scenario,
    /// Nobody: what is usual for a camera.
    Nobody,
}

impl Bounds {
    /// Returns the bounds of a search; else those that the run's own assertions set, and no others; else, where it asserts
    /// nothing of how viewers are served, loss <= 0.5 % and p99 <= 100 ms.
    pub(crate) fn of(run: &Run<'_>) -> Self {
        let asked = |name: &str| {
            let checks = run.verdict.map(|verdict| verdict.checks.as_slice()).unwrap_or_default();
            let check = checks.iter().find(|check| check.name == name)?;
            check.asked.trim_start_matches(['<', '>', '=', ' ']).parse::<f64>().ok()
        };
        let asserted = Self {
            whose: Whose::Scenario,
            loss_pct: asked("loss_pct"),
            p99_ms: asked("p99_ms"),
            opened_pct: asked("opened_pct"),
            joins_failed: asked("joins_failed"),
            each: asked("viewers_ok").is_some(),
        };
        let assumed = Self {
            whose: Whose::Nobody,
            loss_pct: Some(run.run.max_loss_pct.unwrap_or(LOSS_PCT)),
            p99_ms: Some(run.run.max_p99_ms.unwrap_or(P99_MS)),
            opened_pct: None,
            joins_failed: None,
            each: true,
        };
        if run.is_search() {
            Self { whose: Whose::Search, ..assumed }
        } else if asserted.says_something() {
            asserted
        } else {
            assumed
        }
    }

    fn says_something(&self) -> bool {
        let bounds = [self.loss_pct, self.p99_ms, self.opened_pct, self.joins_failed];
        self.each || bounds.iter().any(Option::is_some)
    }

    fn broken(&self, step: &StepLine) -> Option<Broken> {
        let above = |value: f64, bound: Option<f64>| bound.is_some_and(|bound| value > bound);
        if above(step.loss_pct, self.loss_pct) {
            Some(Broken::Loss)
        } else if above(step.frame_latency.p99_ms, self.p99_ms) {
            Some(Broken::Latency)
        } else if self.opened_pct.is_some_and(|bound| step.opened_pct < bound)
            || above(step.joins.failed as f64, self.joins_failed)
            || self.each && (step.viewers_ok as f64) < step.viewers as f64 * SERVED
        {
            Some(Broken::Viewers)
        } else {
            None
        }
    }

    /// Returns what well served means here, a sentence; none of a search, which says so itself.
    pub(crate) fn sentence(&self, run: &Run<'_>) -> Option<String> {
        let told = |name: &str, bound: Option<f64>, unit: &str| {
            Some(format!("{name}\u{a0}{}{unit}", bound?)).map(|told| told.replace(' ', "\u{a0}"))
        };
        let bounds = [
            told("loss ≤", self.loss_pct, " %"),
            told("p99 ≤", self.p99_ms, " ms"),
            told("opened frames ≥", self.opened_pct, " %"),
            told("failed joins ≤", self.joins_failed, ""),
            self.each.then(|| "each viewer".to_owned()),
        ];
        let bounds = bounds.into_iter().flatten().collect::<Vec<_>>().join(", ");
        match self.whose {
            Whose::Search => None,
            Whose::Nobody => Some(format!("The scenario asserts nothing of it: judged by {bounds}.")),
            Whose::Scenario => {
                let slowest = run.steps.iter().map(|step| step.frame_latency.p99_ms).fold(0.0, f64::max);
                let late = self.p99_ms.is_none() && slowest > P99_MS;
                let late = if late {
                    format!(" p99, of which it asserts nothing, was {}\u{a0}ms.", short(slowest))
                } else {
                    String::new()
                };
                Some(format!("Judged by what the scenario asserts: {bounds}.{late}"))
            }
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
    if was_repeated(run, step) {
        return broken.or(Some(Broken::Viewers));
    }
    if verdict.last_good.is_some_and(|good| step.viewers <= good) {
        return None;
    }
    if broken.is_some() || verdict.first_bad.is_none_or(|bad| step.viewers < bad) {
        return broken;
    }
    let bounds = Bounds::of(run);
    let of = |value: f64, bound: Option<f64>| value / bound.unwrap_or(1.0).max(f64::EPSILON);
    Some(match (of(step.loss_pct, bounds.loss_pct), of(step.frame_latency.p99_ms, bounds.p99_ms)) {
        _ if step.joins.failed > 0 => Broken::Viewers,
        (lost, late) if lost > late => Broken::Loss,
        _ => Broken::Latency,
    })
}

/// Returns whether a search repeated this trial: it failed, and the next one decided.
pub(crate) fn was_repeated(run: &Run<'_>, step: &StepLine) -> bool {
    let again = |pair: &[&StepLine]| pair[0].step == step.step && pair[1].viewers == step.viewers;
    run.is_search() && step.step.is_some() && run.steps.windows(2).any(again)
}

/// Returns the step that decides: the smallest that was not well served, else the largest.
pub(crate) fn deciding<'a>(run: &Run<'a>) -> Option<&'a StepLine> {
    let decides = |step: &&StepLine| !was_repeated(run, step);
    let steps = || run.steps.iter().copied().filter(decides);
    let bad = steps().filter(|step| broken(run, step).is_some()).min_by_key(|step| step.viewers);
    bad.or_else(|| steps().max_by_key(|step| step.viewers)).or(run.whole)
}
