//! What happens when in one stage: who joins, leaves, loses its connection or is removed. No clock, no I/O.
//!
//! ```text
//!   ramp (joins, evenly) ─▶ until all who joined see ─▶ settle ─▶ steady: churn, storm, removals ─▶ over
//! ```

use std::time::Duration;

use crate::run::stage::Stage;
use crate::scenario::Scenario;

/// Something to do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Do {
    /// So many viewers join.
    Join(u32),
    /// So many leave.
    Leave(u32),
    /// So many lose their connection and come back at once.
    Storm(u32),
    /// An admin removes so many devices.
    Remove(u32),
    /// Figures count from now on.
    Measure,
    /// Figures count no longer: the stage is over.
    End,
}

/// What goes on while a stage is measured.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Activity {
    /// Joins each second.
    pub joins_per_s: f64,
    /// Leaves each second.
    pub leaves_per_s: f64,
    /// When a storm comes, and for which share of the viewers (0 to 1).
    pub storm: Option<(Duration, f64)>,
    /// Removals each second.
    pub removals_per_s: f64,
    /// Removals at the most.
    pub removals: u32,
}

/// Who is there, as the one who runs it sees it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Crowd {
    /// Viewers that watch.
    pub watching: u32,
    /// Viewers that joined and have seen nothing yet.
    pub joining: u32,
}

/// Where a stage stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Viewers join or leave until there are as many as are asked for.
    Ramp,
    /// Nobody joins; what the joins stirred up calms down.
    Settle,
    /// What happens is measured.
    Steady,
    /// Over.
    Over,
}

/// One stage as it goes on. Times are those since the run began.
#[derive(Clone, Debug)]
pub struct Schedule {
    stage: Stage,
    activity: Activity,
    phase: Phase,
    /// When the phase began.
    since: Duration,
    /// How many have to join in the ramp, and how many were told to.
    to_join: u32,
    joined: u32,
    /// Churn and removals that were told, since the measured time began.
    joins: u32,
    leaves: u32,
    removals: u32,
    stormed: bool,
}

impl Activity {
    /// Returns what the scenario asks for, of which `removed` devices are removed already.
    #[must_use]
    pub fn of(scenario: &Scenario, removed: u32) -> Self {
        let storm = &scenario.storm;
        Self {
            joins_per_s: scenario.churn.joins_per_s,
            leaves_per_s: scenario.churn.leaves_per_s,
            storm: (storm.share.0 > 0.0).then_some((storm.at.0, storm.share.0 / 100.0)),
            removals_per_s: scenario.removals.per_s,
            removals: scenario.removals.count.saturating_sub(removed),
        }
    }
}

impl Schedule {
    /// Begins a stage with those who are there.
    #[must_use]
    pub fn begin(stage: Stage, activity: Activity, now: Duration, crowd: Crowd) -> Self {
        let to_join = stage.viewers.saturating_sub(crowd.all());
        let phase = Phase::Ramp;
        Self {
            stage,
            activity,
            phase,
            since: now,
            to_join,
            joined: 0,
            joins: 0,
            leaves: 0,
            removals: 0,
            stormed: false,
        }
    }

    /// Returns what is to be done now, in this order. To be asked again at least every 100 ms.
    pub fn next(&mut self, now: Duration, crowd: Crowd) -> Vec<Do> {
        let mut todo = Vec::new();
        let passed = now.saturating_sub(self.since);
        match self.phase {
            Phase::Ramp => self.ramp(passed, now, crowd, &mut todo),
            Phase::Settle if passed >= self.stage.settle => {
                self.enter(Phase::Steady, now);
                todo.push(Do::Measure);
            }
            Phase::Steady if passed >= self.stage.steady => {
                self.enter(Phase::Over, now);
                todo.push(Do::End);
            }
            Phase::Steady => self.steady(passed, crowd, &mut todo),
            Phase::Settle | Phase::Over => {}
        }
        todo
    }

    /// Returns where it stands.
    #[must_use]
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// Returns the stage.
    #[must_use]
    pub fn stage(&self) -> Stage {
        self.stage
    }

    /// Returns how long this stage will still take if all joins go well.
    #[must_use]
    pub fn left(&self, now: Duration) -> Duration {
        let Stage { ramp, settle, steady, .. } = self.stage;
        let of_phase = match self.phase {
            Phase::Ramp => ramp + settle + steady,
            Phase::Settle => settle + steady,
            Phase::Steady => steady,
            Phase::Over => Duration::ZERO,
        };
        of_phase.saturating_sub(now.saturating_sub(self.since))
    }

    fn ramp(&mut self, passed: Duration, now: Duration, crowd: Crowd, todo: &mut Vec<Do>) {
        let surplus = crowd.all().saturating_sub(self.stage.viewers);
        if surplus > 0 {
            todo.push(Do::Leave(surplus));
        }
        let due = due(self.to_join, passed, self.stage.ramp);
        if due > self.joined {
            todo.push(Do::Join(due - self.joined));
            self.joined = due;
            return;
        }
        let all_told = self.joined == self.to_join && passed >= self.stage.ramp;
        if surplus == 0 && all_told && (crowd.joining == 0 || passed >= self.stage.ramp + JOIN_LIMIT) {
            self.enter(Phase::Settle, now);
        }
    }

    fn steady(&mut self, passed: Duration, crowd: Crowd, todo: &mut Vec<Do>) {
        let Activity { joins_per_s, leaves_per_s, removals_per_s, .. } = self.activity;
        // Whoever comes at the very end could not be told from one who is badly served.
        let churns = passed < self.stage.steady - CALM_END.min(self.stage.steady / 4);
        let (joins_per_s, leaves_per_s) = if churns { (joins_per_s, leaves_per_s) } else { (0.0, 0.0) };
        let mut all = crowd.all();
        let leave = of_rate(leaves_per_s, passed, &mut self.leaves, u32::MAX).min(crowd.watching);
        if leave > 0 {
            all -= leave;
            todo.push(Do::Leave(leave));
        }
        // A join for which there is no room is not made up for later.
        let room = self.stage.viewers.saturating_sub(all);
        let join = of_rate(joins_per_s, passed, &mut self.joins, u32::MAX).min(room);
        if join > 0 {
            todo.push(Do::Join(join));
        }
        if let Some((_, share)) = self.activity.storm.filter(|(at, _)| !self.stormed && passed >= *at) {
            self.stormed = true;
            let hit = (f64::from(crowd.watching - leave) * share).round() as u32;
            if hit > 0 {
                todo.push(Do::Storm(hit));
            }
        }
        let remove = of_rate(removals_per_s, passed, &mut self.removals, self.activity.removals);
        if remove > 0 {
            todo.push(Do::Remove(remove));
        }
    }

    fn enter(&mut self, phase: Phase, now: Duration) {
        self.phase = phase;
        self.since = now;
    }
}

impl Crowd {
    /// Returns everybody.
    #[must_use]
    pub fn all(self) -> u32 {
        self.watching + self.joining
    }
}

/// How many of `all` are due when `passed` of `over` has passed; the first at once.
fn due(all: u32, passed: Duration, over: Duration) -> u32 {
    if passed >= over {
        return all;
    }
    let share = passed.as_secs_f64() / over.as_secs_f64();
    ((f64::from(all) * share) as u32 + 1).min(all)
}

/// How many more of a rate are due; the first after its time, at most `most` in all.
fn of_rate(per_s: f64, passed: Duration, told: &mut u32, most: u32) -> u32 {
    let due = ((per_s * passed.as_secs_f64()) as u32).min(most);
    let more = due.saturating_sub(*told);
    *told = due.max(*told);
    more
}

/// How long after the ramp the last joins may take to show a picture; whoever sees nothing by then has failed.
pub const JOIN_LIMIT: Duration = Duration::from_secs(15);

/// How long before its end nobody comes or goes any more.
const CALM_END: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::*;

    const STAGE: Stage = Stage {
        number: 0,
        viewers: 10,
        ramp: Duration::from_secs(2),
        settle: Duration::from_secs(1),
        steady: Duration::from_secs(10),
    };

    /// Plays a stage in steps of 10 ms with viewers that see after 50 ms, and returns what was done when, in milliseconds.
    fn play(stage: Stage, activity: Activity, mut crowd: Crowd) -> Vec<(u64, Do)> {
        let mut schedule = Schedule::begin(stage, activity, Duration::ZERO, crowd);
        let (mut done, mut seeing) = (Vec::new(), Vec::new());
        for at in (0..60_000).step_by(10) {
            let now = Duration::from_millis(at);
            while seeing.first().is_some_and(|seen| *seen <= at) {
                seeing.remove(0);
                crowd.joining -= 1;
                crowd.watching += 1;
            }
            for act in schedule.next(now, crowd) {
                match act {
                    Do::Join(viewers) | Do::Storm(viewers) => {
                        if matches!(act, Do::Storm(_)) {
                            crowd.watching -= viewers;
                        }
                        crowd.joining += viewers;
                        seeing.extend((0..viewers).map(|_| at + 50));
                    }
                    Do::Leave(viewers) => crowd.watching -= viewers,
                    Do::Remove(_) | Do::Measure => {}
                    Do::End => {
                        done.push((at, act));
                        assert_eq!(schedule.phase(), Phase::Over);
                        assert_eq!(schedule.next(now, crowd), []);
                        return done;
                    }
                }
                done.push((at, act));
            }
        }
        panic!("the stage never ends: {done:?}");
    }

    fn count(done: &[(u64, Do)], of: impl Fn(Do) -> Option<u32>) -> u32 {
        done.iter().filter_map(|(_, act)| of(*act)).sum()
    }

    #[test]
    fn joins_are_spread_over_the_ramp_and_figures_wait_for_the_last() {
        let done = play(STAGE, Activity::default(), Crowd::default());
        assert_eq!(done[0], (0, Do::Join(1)));
        assert!(done[..10].iter().all(|(_, act)| *act == Do::Join(1)), "{done:?}");
        assert_eq!(count(&done, |act| if let Do::Join(n) = act { Some(n) } else { None }), 10);
        assert_eq!(done[10..], [(3000, Do::Measure), (13_000, Do::End)]);
    }

    #[test]
    fn a_viewer_that_never_sees_holds_the_stage_up_for_its_limit_only() {
        let crowd = Crowd { watching: 9, joining: 1 };
        let mut schedule = Schedule::begin(STAGE, Activity::default(), Duration::ZERO, crowd);
        let late = STAGE.ramp + JOIN_LIMIT;
        assert_eq!(schedule.next(late - Duration::from_millis(10), crowd), []);
        assert_eq!(schedule.phase(), Phase::Ramp);
        assert_eq!(schedule.next(late, crowd), []);
        assert_eq!(schedule.phase(), Phase::Settle);
        assert_eq!(schedule.next(late + STAGE.settle, crowd), [Do::Measure]);
    }

    #[test]
    fn a_smaller_stage_sends_the_others_away() {
        let done = play(STAGE, Activity::default(), Crowd { watching: 25, joining: 0 });
        assert_eq!(done[0], (0, Do::Leave(15)));
        assert_eq!(count(&done, |act| if let Do::Join(n) = act { Some(n) } else { None }), 0);
    }

    #[test]
    fn churn_comes_and_goes_without_exceeding_the_stage() {
        let activity = Activity { joins_per_s: 2.0, leaves_per_s: 2.0, ..Activity::default() };
        let done = play(STAGE, activity, Crowd { watching: 10, joining: 0 });
        assert_eq!(count(&done, |act| if let Do::Leave(n) = act { Some(n) } else { None }), 15);
        assert_eq!(count(&done, |act| if let Do::Join(n) = act { Some(n) } else { None }), 15);
        let joins_only = Activity { joins_per_s: 5.0, ..Activity::default() };
        let done = play(STAGE, joins_only, Crowd { watching: 10, joining: 0 });
        assert_eq!(count(&done, |act| if let Do::Join(n) = act { Some(n) } else { None }), 0);
    }

    #[test]
    fn a_storm_comes_once_and_at_its_time() {
        let activity = Activity { storm: Some((Duration::from_secs(4), 0.5)), ..Activity::default() };
        let done = play(STAGE, activity, Crowd { watching: 10, joining: 0 });
        let storms: Vec<_> = done.iter().filter(|(_, act)| matches!(act, Do::Storm(_))).collect();
        assert_eq!(storms, [&(7000, Do::Storm(5))]);
    }

    #[test]
    fn removals_come_at_their_rate_until_there_were_enough() {
        let activity = Activity { removals_per_s: 0.5, removals: 3, ..Activity::default() };
        let done = play(STAGE, activity, Crowd { watching: 10, joining: 0 });
        let when: Vec<u64> =
            done.iter().filter(|(_, act)| matches!(act, Do::Remove(_))).map(|(at, _)| *at).collect();
        assert_eq!(when, [5000, 7000, 9000]);
    }
}
