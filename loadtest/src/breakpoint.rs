//! Finds how many viewers a server carries: twice as many while it is idle, else half as many again, until it is too much; then in
//! halves to within 5 %.
//!
//! ```text
//!   25 ✓ ─▶ 38 ✓ ─▶ 57 ✓ ─▶ ... ─▶ 432 ✗ ─▶ 360 ✓ ─▶ 396 ✗ ─▶ 378 ✓    last good 378, first bad 396
//! ```
//! A trial that failed is repeated once before it counts. One that failed because the driver was overloaded says nothing of the
//! server: the search goes on below it, until the driver is the limit there, too.

pub mod floor;

use std::time::Duration;

use crate::measure::line::{Check, Party, StepLine, Verdict, VerdictLine};
use crate::run::stage::{Bounds, Done, Plan, Stage};
use crate::scenario::Scenario;

/// A search for the largest number of viewers that is carried.
#[derive(Clone, Debug)]
pub struct Search {
    bounds: Bounds,
    most: u32,
    /// Joins are spread so that so many begin each second.
    joins_per_s: f64,
    settle: Duration,
    steady: Duration,
    /// Processors that the server works with.
    server_cores: u32,
    trial: Option<Stage>,
    /// The present trial repeats one that failed.
    repeats: bool,
    last_good: Option<u32>,
    /// What was measured with them.
    good: Option<StepLine>,
    first_bad: Option<u32>,
    /// The fewest with which the driver was the limit.
    driver_at: Option<u32>,
    /// Those with which a trial failed that held when it was repeated.
    wavered: Vec<u32>,
    end: Option<End>,
    from: u32,
}

/// Why a search is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// The driver could not drive more.
    Driver,
    /// Last good and first bad are close enough.
    Found,
    /// Even as many as were allowed are carried.
    Most,
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
            server_cores: scenario.server.shards.max(1),
            trial: None,
            repeats: false,
            last_good: None,
            good: None,
            first_bad: None,
            driver_at: None,
            wavered: Vec::new(),
            end: None,
            from: from.max(1),
        }
    }

    fn judge_trial(&mut self, done: &Done<'_>) {
        let Some(trial) = self.trial else { return };
        let repeated = std::mem::take(&mut self.repeats);
        if self.bounds.hold(done.line) {
            (self.last_good, self.good) = (Some(trial.viewers), Some(done.line.clone()));
            self.wavered.extend(repeated.then_some(trial.viewers));
        } else if !repeated {
            self.repeats = true;
        } else if self.is_drivers(done) {
            let was_already = self.driver_at.replace(trial.viewers).is_some();
            self.end = was_already.then_some(End::Driver);
        } else {
            self.first_bad = Some(trial.viewers);
        }
    }

    /// Whether the driver alone made a trial fail: a server that is full or refuses somebody has its share in it.
    fn is_drivers(&self, done: &Done<'_>) -> bool {
        let full = f64::from(self.server_cores) * FULL_PCT;
        let is_full = done.line.server.as_ref().is_some_and(|server| server.cpu_pct >= full);
        done.parties.contains(&Party::Driver) && !is_full && !done.parties.contains(&Party::Server)
    }

    /// How many times as many are tried after a trial that held, in halves.
    fn growth(&self) -> u32 {
        let server = self.good.as_ref().and_then(|line| line.server.as_ref());
        if server.is_some_and(|server| server.cpu_pct < IDLE_PCT) { 4 } else { 3 }
    }

    /// The number of viewers to try next; none when the search is over.
    fn next_viewers(&mut self) -> Option<u32> {
        if let Some(trial) = self.trial.filter(|_| self.repeats) {
            return Some(trial.viewers);
        }
        // Both end what is tried; which of them it was is told apart at the end.
        let above = self.first_bad.into_iter().chain(self.driver_at).min();
        let next = match (self.last_good, above) {
            (None, None) => self.from.min(self.most),
            (Some(good), None) if good >= self.most => {
                self.end = Some(End::Most);
                return None;
            }
            (Some(good), None) => ((good * self.growth()).div_ceil(2)).min(self.most),
            (None, Some(bad)) => bad / 2,
            (Some(good), Some(bad)) if f64::from(bad - good) <= f64::from(bad) * PRECISION => 0,
            (Some(good), Some(bad)) => good + (bad - good) / 2,
        };
        if next == 0 || Some(next) == self.last_good {
            let of_driver = above == self.driver_at && above != self.first_bad;
            self.end = Some(if of_driver { End::Driver } else { End::Found });
            return None;
        }
        Some(next)
    }

    fn sentence(&self) -> String {
        let good = self.last_good.unwrap_or(0);
        let Bounds { loss_pct, p99_ms } = self.bounds;
        let noisy = match self.wavered.iter().max() {
            Some(viewers) => format!("; noisy: {viewers} failed once and held when repeated"),
            None => String::new(),
        };
        let found = match (self.end, self.first_bad) {
            (Some(End::Driver), _) => {
                let at = self.driver_at.unwrap_or(0);
                format!("at least {good}, limit not found: with {at} viewers the driver was the limit")
            }
            (Some(End::Most), _) => format!("at least {good}: no more were asked for"),
            (_, Some(bad)) => {
                format!(
                    "{good} viewers are carried with loss <= {loss_pct} % and p99 <= {p99_ms} ms, {bad} are not (tried twice)"
                )
            }
            _ => format!("at least {good}: the search was stopped"),
        };
        format!("{found}{noisy}")
    }

    /// The two bounds, judged by what was measured with the most that are carried.
    fn checks(&self) -> Vec<Check> {
        let Some(line) = &self.good else { return Vec::new() };
        let check = |name: &str, bound: f64, measured: f64| Check {
            name: name.to_owned(),
            asked: format!("<= {bound}"),
            measured,
            holds: measured <= bound,
        };
        vec![
            check("loss_pct", self.bounds.loss_pct, line.loss_pct),
            check("p99_ms", self.bounds.p99_ms, line.frame_latency.p99_ms),
        ]
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
            _ if matches!(self.end, Some(End::Driver) | None) => Verdict::Inconclusive,
            (_, None) => Verdict::Fail,
            (_, Some(_)) => Verdict::Pass,
        };
        let of_these = |check: &&Check| !check.holds && NEVER.contains(&check.name.as_str());
        let broken = verdict.checks.iter().filter(of_these).cloned();
        VerdictLine {
            verdict: found,
            viewers_ok: u64::from(self.last_good.unwrap_or(0)),
            checks: self.checks().into_iter().chain(broken).collect(),
            limit: if verdict.interrupted { verdict.limit.clone() } else { self.sentence() },
            last_good: self.last_good.map(u64::from),
            first_bad: self.first_bad.map(u64::from),
            ..verdict
        }
    }
}

/// Use of the server's processors, percent, from which on it has its share in whatever fails; and below which it is idle.
const FULL_PCT: f64 = 85.0;
const IDLE_PCT: f64 = 10.0;
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
    use crate::measure::line::ServerFigures;
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
        (tried, search.judge(VerdictLine::on_nothing(Verdict::Fail)))
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
        assert_eq!(tried, [25, 38, 57, 86, 129, 129, 107, 107]);
        let found = (verdict.last_good, verdict.first_bad, verdict.verdict);
        assert_eq!(found, (Some(86), None, Verdict::Inconclusive));
        assert!(verdict.limit.starts_with("at least 86, limit not found: with 107 viewers the driver"));
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
        assert_eq!(tried, [25, 25, 12, 12, 6, 6, 3, 3, 1, 1]);
        assert_eq!((verdict.verdict, verdict.first_bad), (Verdict::Fail, Some(1)));
    }

    fn trial(loss_pct: f64, cpu_pct: f64) -> StepLine {
        let server = ServerFigures { cpu_pct, ..ServerFigures::default() };
        StepLine {
            loss_pct,
            viewer: ViewerTally { expected: 1000, ..ViewerTally::default() },
            frame_latency: LatencyFigures { p99_ms: 10.0, ..LatencyFigures::default() },
            server: Some(server),
            ..StepLine::default()
        }
    }

    fn begun() -> Search {
        let mut search = Search::new(&Scenario::default(), Bounds { loss_pct: 0.5, p99_ms: 100.0 }, 25, 5000);
        assert_eq!(search.next(None).map(|stage| stage.viewers), Some(25));
        search
    }

    fn after(search: &mut Search, line: &StepLine, parties: &[Party]) -> Option<u32> {
        search.next(Some(Done { line, parties })).map(|stage| stage.viewers)
    }

    #[test]
    fn one_stall_decides_nothing_and_an_idle_server_is_asked_for_twice_as_many() {
        let mut search = begun();
        assert_eq!(after(&mut search, &trial(0.0, 9.0), &[]), Some(50));
        assert_eq!(after(&mut search, &trial(3.0, 9.0), &[]), Some(50), "it is repeated");
        assert_eq!(after(&mut search, &trial(0.0, 20.0), &[]), Some(75));
        assert!(search.sentence().ends_with("noisy: 50 failed once and held when repeated"));
        let checks: Vec<(String, bool)> = search.checks().into_iter().map(|it| (it.name, it.holds)).collect();
        assert_eq!(checks, [("loss_pct".to_owned(), true), ("p99_ms".to_owned(), true)]);
    }

    #[test]
    fn a_late_driver_is_no_excuse_for_a_full_server() {
        for (cpu_pct, parties, bad) in [
            (90.0, &[Party::Driver][..], Some(25)),
            (30.0, &[Party::Driver, Party::Server][..], Some(25)),
            (30.0, &[Party::Driver][..], None),
        ] {
            let mut search = begun();
            assert_eq!(after(&mut search, &trial(3.0, cpu_pct), parties), Some(25));
            assert_eq!(after(&mut search, &trial(3.0, cpu_pct), parties), Some(12), "it goes on below");
            assert_eq!(search.first_bad, bad, "{cpu_pct} {parties:?}");
        }
    }
}
