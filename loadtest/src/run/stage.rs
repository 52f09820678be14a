//! What is measured next: so many viewers for so long, decided from what was measured before.

use std::time::Duration;

use crate::measure::line::{Party, StepLine, VerdictLine};
use crate::scenario::Scenario;

/// So many viewers for so long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stage {
    /// Number, from 0.
    pub number: u64,
    /// Viewers.
    pub viewers: u32,
    /// Time over which those who are not there yet join, evenly.
    pub ramp: Duration,
    /// Time between the last join and the first figure.
    pub settle: Duration,
    /// Time that is measured.
    pub steady: Duration,
}

/// How a stage went, as far as it decides what comes next.
#[derive(Clone, Debug)]
pub struct Done<'a> {
    /// What was measured.
    pub line: &'a StepLine,
    /// Whose faults were seen during it and on the way to it.
    pub parties: &'a [Party],
}

/// What counts as carried.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bounds {
    /// Packets that may be lost, percent.
    pub loss_pct: f64,
    /// p99 of the frames' latency at the most, milliseconds.
    pub p99_ms: f64,
}

/// Decides what is measured next.
pub trait Plan: Send {
    /// Returns the next stage, given how the last one went; none when the run is over.
    fn next(&mut self, done: Option<Done<'_>>) -> Option<Stage>;

    /// Returns how many stages there are, where that is known before.
    fn stages(&self) -> Option<u64>;

    /// Returns how long the rest will take, where that is known: all stages after number `after`.
    fn left_after(&self, after: u64) -> Option<Duration>;

    /// Returns whether its stages together are one figure; trials with other numbers of viewers are none.
    fn adds_up(&self) -> bool {
        true
    }

    /// Returns what counts as carried; none where the scenario's assertions say so.
    fn bounds(&self) -> Option<Bounds> {
        None
    }

    /// Returns the verdict, given what the scenario's assertions say.
    fn judge(&self, verdict: VerdictLine) -> VerdictLine {
        verdict
    }
}

impl Bounds {
    /// Returns whether a trial is within the bounds: nothing failed to join, and nothing was lost or late.
    #[must_use]
    pub fn hold(&self, line: &StepLine) -> bool {
        let joined = line.joins.failed == 0 && line.viewer.expected > 0;
        joined && line.loss_pct <= self.loss_pct && line.frame_latency.p99_ms <= self.p99_ms
    }
}

/// The steps of a scenario, one after the other.
#[derive(Clone, Debug)]
pub struct Steps {
    stages: Vec<Stage>,
    next: usize,
}

impl Steps {
    /// Returns the steps that the scenario names.
    #[must_use]
    pub fn of(scenario: &Scenario) -> Self {
        let phases = &scenario.phases;
        let stage = |(number, viewers)| Stage {
            number,
            viewers,
            ramp: phases.ramp.0,
            settle: phases.settle.0,
            steady: phases.steady.0,
        };
        Self { stages: (0..).zip(scenario.steps()).map(stage).collect(), next: 0 }
    }
}

impl Plan for Steps {
    fn next(&mut self, _: Option<Done<'_>>) -> Option<Stage> {
        let stage = self.stages.get(self.next).copied();
        self.next += 1;
        stage
    }

    fn stages(&self) -> Option<u64> {
        Some(self.stages.len() as u64)
    }

    fn left_after(&self, after: u64) -> Option<Duration> {
        let later = self.stages.iter().filter(|stage| stage.number > after);
        Some(later.map(|stage| stage.ramp + stage.settle + stage.steady).sum())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scenario_without_steps_has_one() {
        let mut scenario = Scenario::default();
        scenario.viewers.count = 7;
        let mut steps = Steps::of(&scenario);
        assert_eq!(steps.next(None).map(|stage| (stage.number, stage.viewers)), Some((0, 7)));
        assert_eq!(steps.next(None), None);
        scenario.viewers.steps = vec![2, 7];
        let steps = Steps::of(&scenario);
        assert_eq!((steps.stages(), steps.left_after(0)), (Some(2), Some(Duration::from_secs(14))));
    }
}
