//! Finds how many viewers a server carries: half as many again until it is too much, then in halves to within 5 %.
//!
//! ```text
//!   25 ✓ ─▶ 38 ✓ ─▶ 57 ✓ ─▶ ... ─▶ 432 ✗ ─▶ 360 ✓ ─▶ 396 ✗ ─▶ 378 ✓    last good 378, first bad 396
//! ```
//! A trial that failed because the driver was overloaded says nothing of the server, and ends the search.

pub mod floor;

use std::time::Duration;

use crate::measure::line::{Party, StepLine, Verdict, VerdictLine};
use crate::run::stage::{Done, Plan, Stage};
use crate::scenario::Scenario;

/// What counts as carried.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bounds {
    /// Packets that may be lost, percent.
    pub loss_pct: f64,
    /// p99 of the frames' latency at the most, milliseconds.
    pub p99_ms: f64,
}

/// A search for the largest number of viewers that is carried.
#[derive(Clone, Debug)]
pub struct Search {
    bounds: Bounds,
    most: u32,
    /// Joins are spread so that so many begin each second.
    joins_per_s: f64,
    settle: Duration,
    steady: Duration,
    trial: Option<Stage>,
    last_good: Option<u32>,
    first_bad: Option<u32>,
    end: Option<End>,
    from: u32,
}

/// Why a search is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// The driver could not drive so many.
    Driver(u32),
    /// Last good and first bad are close enough.
    Found,
    /// Even as many as were allowed are carried.
    Most,
}

impl Bounds {
    /// Returns whether a trial is within the bounds: nothing failed to join, and nothing was lost or late.
    #[must_use]
    pub fn hold(&self, line: &StepLine) -> bool {
        let joined = line.joins.failed == 0 && line.viewer.expected > 0;
        joined && line.loss_pct <= self.loss_pct && line.frame_latency.p99_ms <= self.p99_ms
    }
}

impl Search {
    /// Begins with `from` viewers and never asks for more than `most`. Each trial settles 2 s and measures as long as the
    /// scenario's `phases.steady` says.
    #[must_use]
    pub fn new(scenario: &Scenario, bounds: Bounds, from: u32, most: u32) -> Self {
        let of_scenario = f64::from(scenario.viewers.count) / scenario.phases.ramp.0.as_secs_f64().max(0.1);
        Self {
            bounds,
            most,
            joins_per_s: of_scenario.clamp(10.0, 100.0),
            settle: SETTLE,
            steady: scenario.phases.steady.0,
            trial: None,
            last_good: None,
            first_bad: None,
            end: None,
            from: from.max(1),
        }
    }

    fn judge_trial(&mut self, done: &Done<'_>) {
        let Some(trial) = self.trial else { return };
        if self.bounds.hold(done.line) {
            self.last_good = Some(trial.viewers);
            return;
        }
        if done.parties.contains(&Party::Driver) {
            self.end = Some(End::Driver(trial.viewers));
            return;
        }
        self.first_bad = Some(trial.viewers);
    }

    /// The number of viewers to try next; none when the search is over.
    fn next_viewers(&mut self) -> Option<u32> {
        let next = match (self.last_good, self.first_bad) {
            (None, None) => self.from.min(self.most),
            (Some(good), None) if good >= self.most => {
                self.end = Some(End::Most);
                return None;
            }
            (Some(good), None) => ((good * 3).div_ceil(2)).min(self.most),
            (None, Some(bad)) => bad / 2,
            (Some(good), Some(bad)) if f64::from(bad - good) <= f64::from(bad) * PRECISION => 0,
            (Some(good), Some(bad)) => good + (bad - good) / 2,
        };
        if next == 0 || Some(next) == self.last_good {
            self.end = Some(End::Found);
            return None;
        }
        Some(next)
    }

    fn sentence(&self) -> String {
        let good = self.last_good.unwrap_or(0);
        let Bounds { loss_pct, p99_ms } = self.bounds;
        match (self.end, self.first_bad) {
            (Some(End::Driver(at)), _) => {
                format!("at least {good}: with {at} viewers the driver is the limit, not the server")
            }
            (Some(End::Most), _) => format!("at least {good}: no more were asked for"),
            (_, Some(bad)) => {
                format!(
                    "{good} viewers are carried with loss <= {loss_pct} % and p99 <= {p99_ms} ms, {bad} are not"
                )
            }
            _ => format!("at least {good}: the search was stopped"),
        }
    }
}

impl Plan for Search {
    fn next(&mut self, done: Option<Done<'_>>) -> Option<Stage> {
        if let Some(done) = &done {
            self.judge_trial(done);
        }
        if self.end.is_some() {
            return None;
        }
        let viewers = self.next_viewers()?;
        let (number, there) = self.trial.map_or((0, 0), |trial| (trial.number + 1, trial.viewers));
        let more = f64::from(viewers.saturating_sub(there));
        let ramp = Duration::from_secs_f64(more / self.joins_per_s);
        let stage = Stage { number, viewers, ramp, settle: self.settle, steady: self.steady };
        self.trial = Some(stage);
        Some(stage)
    }

    fn stages(&self) -> Option<u64> {
        None
    }

    fn left_after(&self, _: u64) -> Option<Duration> {
        None
    }

    fn adds_up(&self) -> bool {
        false
    }

    fn bounds(&self) -> Option<Bounds> {
        Some(self.bounds)
    }

    fn judge(&self, verdict: VerdictLine) -> VerdictLine {
        let found = match (verdict.verdict, self.last_good) {
            // What must never be outweighs what is carried; what a scenario asserts of its own run is not asked here.
            (Verdict::Fail, _)
                if verdict
                    .checks
                    .iter()
                    .any(|check| !check.holds && NEVER.contains(&check.name.as_str())) =>
            {
                Verdict::Fail
            }
            _ if verdict.interrupted => Verdict::Inconclusive,
            (_, None) if matches!(self.end, Some(End::Driver(_))) || self.end.is_none() => {
                Verdict::Inconclusive
            }
            (_, None) => Verdict::Fail,
            (_, Some(_)) => Verdict::Pass,
        };
        VerdictLine {
            verdict: found,
            viewers_ok: u64::from(self.last_good.unwrap_or(0)),
            checks: verdict
                .checks
                .iter()
                .filter(|check| NEVER.contains(&check.name.as_str()))
                .cloned()
                .collect(),
            limit: if verdict.interrupted { verdict.limit.clone() } else { self.sentence() },
            last_good: self.last_good.map(u64::from),
            first_bad: self.first_bad.map(u64::from),
            ..verdict
        }
    }
}

/// How close last good and first bad must come, of the latter.
const PRECISION: f64 = 0.05;
const SETTLE: Duration = Duration::from_secs(2);
/// How long each trial measures where nobody asks for another time.
pub const STEADY: Duration = Duration::from_secs(4);
/// Assertions that hold whatever the load.
const NEVER: [&str; 2] = ["opened_by_removed", "let_in"];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::latency::LatencyFigures;
    use crate::measure::tally::ViewerTally;

    /// Searches a server that carries `carries` viewers, with a driver that can drive `drives`.
    fn search(carries: u32, drives: u32, most: u32) -> (Vec<u32>, VerdictLine) {
        let bounds = Bounds { loss_pct: 0.5, p99_ms: 100.0 };
        let mut search = Search::new(&Scenario::default(), bounds, 25, most);
        let mut tried = Vec::new();
        let mut stage = search.next(None);
        while let Some(Stage { viewers, .. }) = stage {
            tried.push(viewers);
            assert!(tried.len() < 40, "{tried:?}");
            let good = viewers <= carries.min(drives);
            let line = StepLine {
                loss_pct: if good { 0.1 } else { 3.0 },
                viewer: ViewerTally { expected: 1000, ..ViewerTally::default() },
                frame_latency: LatencyFigures { p99_ms: 10.0, ..LatencyFigures::default() },
                ..StepLine::default()
            };
            let parties = if viewers > drives { vec![Party::Driver] } else { vec![] };
            stage = search.next(Some(Done { line: &line, parties: &parties }));
        }
        let verdict = VerdictLine {
            verdict: Verdict::Fail,
            viewers_ok: 0,
            loss_pct: 0.0,
            opened: 0,
            expected: 0,
            p99_ms: 0.0,
            checks: Vec::new(),
            limit: String::new(),
            interrupted: false,
            last_good: None,
            first_bad: None,
        };
        (tried, search.judge(verdict))
    }

    #[test]
    fn the_break_is_found_to_within_five_percent() {
        for carries in [1, 7, 25, 26, 100, 333, 1000] {
            let (tried, verdict) = search(carries, 10_000, 5000);
            let (good, bad) = (verdict.last_good.unwrap(), verdict.first_bad.unwrap());
            assert!(good <= u64::from(carries) && u64::from(carries) < bad, "{carries}: {tried:?}");
            assert!(bad - good <= (bad as f64 * 0.05).max(1.0) as u64, "{carries}: {good} {bad} {tried:?}");
            assert_eq!(verdict.verdict, Verdict::Pass);
        }
    }

    #[test]
    fn an_overloaded_driver_ends_the_search_and_is_named() {
        let (tried, verdict) = search(1000, 100, 5000);
        assert_eq!(tried, [25, 38, 57, 86, 129]);
        assert_eq!((verdict.last_good, verdict.first_bad, verdict.verdict), (Some(86), None, Verdict::Pass));
        assert!(verdict.limit.starts_with("at least 86: with 129 viewers the driver is the limit"));
        assert_eq!(search(1000, 10, 5000).1.verdict, Verdict::Inconclusive);
    }

    #[test]
    fn no_more_are_tried_than_are_allowed() {
        let (tried, verdict) = search(1000, 1000, 50);
        assert_eq!((tried, verdict.last_good), (vec![25, 38, 50], Some(50)));
        assert!(verdict.limit.contains("no more were asked for"), "{}", verdict.limit);
    }

    #[test]
    fn a_server_that_carries_nobody_fails() {
        let (tried, verdict) = search(0, 1000, 5000);
        assert_eq!(tried, [25, 12, 6, 3, 1]);
        assert_eq!((verdict.verdict, verdict.first_bad), (Verdict::Fail, Some(1)));
    }
}
