//! The same work for two servers, ours and another's: same cameras, same viewers, same steps, in turn, several rounds.
//!
//! ```text
//!   round 1: ours ─▶ theirs    round 2: ours ─▶ theirs    ...    ─▶ medians, smallest and largest, ratios
//! ```
//! Frames go to ours sealed, as they always do. Another server need not carry sealed frames, so it gets the same frames
//! unsealed, and therefore nothing but made-up pictures: never a clip, never the camera of anybody.

pub mod foreign;
pub mod table;

use std::io;

use latchkey_relay_floor::cores;
use tokio_util::sync::CancellationToken;

use crate::compare::foreign::Foreign;
use crate::compare::table::Row;
use crate::live::Snapshot;
use crate::measure::line::{Line, Party, SYNTHETIC, StepLine};
use crate::run::stage::Steps;
use crate::run::target::Target;
use crate::run::{self, Order, RunError, Witness};
use crate::scenario::{Intruders, Removals, Scenario};

/// What is compared, and how.
#[derive(Clone, Debug)]
pub struct Comparison {
    /// The work, see [`work_for_both`].
    pub scenario: Scenario,
    /// Our server.
    pub ours: Target,
    /// The other one.
    pub theirs: Foreign,
    /// How often each of them does it.
    pub rounds: u32,
    /// Whether each of them, in turn, gets the first `server.shards` processors for itself and the driver the others.
    pub pin: bool,
    /// Threads that drive viewers, see [`Order::drivers`].
    pub drivers: Option<usize>,
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct Compared {
    /// What ours is called.
    pub ours: String,
    /// What theirs is called.
    pub theirs: String,
    /// Every figure, for every number of viewers.
    pub rows: Vec<Row>,
    /// Whether it was stopped before its end.
    pub interrupted: bool,
}

impl Compared {
    /// Returns whether medians rest on rounds in which the driver was the limit: then they say little of the servers.
    #[must_use]
    pub fn rests_on_driver(&self) -> bool {
        self.rows.iter().any(Row::rests_on_driver)
    }
}

/// Why nothing was compared.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CompareError {
    /// The scenario sends a clip: the caller's mistake.
    #[error(
        "another server gets its frames unsealed, so only made-up pictures go there: set camera.clip=synthetic instead of `{0}`"
    )]
    Clip(String),
    /// Nothing would be run: the caller's mistake.
    #[error("0 rounds compare nothing: ask for at least one")]
    NoRounds,
    /// Who is to be pinned is not known: the caller's mistake.
    #[error("{0} cannot be pinned without its process: name its pid")]
    NoProcess(String),
    /// There is no processor left for the driver.
    #[error(
        "pinning needs at least two processors and a process that may be pinned ({0}): run without --pin"
    )]
    NotPinned(io::Error),
    /// One of the runs did not begin.
    #[error("round {round}, {server}: {source}")]
    Run {
        /// Number of the round, from 1.
        round: u32,
        /// Whose turn it was.
        server: String,
        /// Why.
        source: RunError,
    },
}

/// Returns what of a scenario two servers can be compared by: without removals and intruders, which only ours knows.
///
/// # Errors
/// [`CompareError::Clip`] where cameras send anything but made-up frames.
pub fn work_for_both(scenario: &Scenario) -> Result<Scenario, CompareError> {
    if scenario.camera.clip != SYNTHETIC {
        return Err(CompareError::Clip(scenario.camera.clip.clone()));
    }
    let (removals, intruders) = (Removals::default(), Intruders::default());
    Ok(Scenario { removals, intruders, ..scenario.clone() })
}

/// Runs both servers in turn; every line of every run goes to `witness`, run after run. Blocks. Stopped, it tells what there
/// is so far.
///
/// # Errors
/// [`CompareError`].
pub fn compare(
    comparison: &Comparison,
    witness: &mut dyn Witness,
    stop: &CancellationToken,
) -> Result<Compared, CompareError> {
    let Comparison { ours, theirs, rounds, pin, drivers, .. } = comparison;
    if *rounds == 0 {
        return Err(CompareError::NoRounds);
    }
    let mut scenario = work_for_both(&comparison.scenario)?;
    // Both are pinned, or neither is.
    scenario.server.pin = *pin;
    let _pinned = pin.then(|| Pinned::both(comparison, scenario.server.shards as usize)).transpose()?;
    let foreign = Target::Foreign(Box::new(theirs.clone()));
    let mut sides = [Side::new(ours.clone()), Side::new(foreign)];
    let mut compared =
        Compared { ours: String::new(), theirs: theirs.name.clone(), rows: Vec::new(), interrupted: false };
    'rounds: for round in 1..=*rounds {
        for side in &mut sides {
            let order = Order { scenario: scenario.clone(), target: side.target.clone(), drivers: *drivers };
            let mut steps = Steps::of(&scenario);
            let mut heard = Hearing { inner: &mut *witness, side };
            match run::run(&order, &mut steps, &mut heard, stop) {
                Ok(verdict) => {
                    compared.interrupted |= verdict.interrupted;
                }
                Err(RunError::Stopped) => compared.interrupted = true,
                Err(source) => return Err(CompareError::Run { round, server: side.name(), source }),
            }
            if compared.interrupted {
                break 'rounds;
            }
        }
    }
    let [ours, theirs] = sides;
    compared.ours = ours.name();
    compared.rows = table::rows(&ours.steps, &theirs.steps);
    for row in &mut compared.rows {
        (row.overloaded, row.rounds) = ours.overloaded(row.viewers).max(theirs.overloaded(row.viewers));
    }
    Ok(compared)
}

/// One of the two.
struct Side {
    target: Target,
    /// As its runs call it.
    server: Option<String>,
    steps: Vec<StepLine>,
    /// Of which of these steps the driver was the limit.
    overloaded: Vec<bool>,
}

impl Side {
    fn new(target: Target) -> Self {
        Self { target, server: None, steps: Vec::new(), overloaded: Vec::new() }
    }

    /// Returns in how many rounds with so many viewers the driver was the limit, and how many there were.
    fn overloaded(&self, viewers: u64) -> (usize, usize) {
        let these = self.steps.iter().zip(&self.overloaded).filter(|(step, _)| step.viewers == viewers);
        let (limited, all): (Vec<_>, Vec<_>) = these.partition(|(_, overloaded)| **overloaded);
        (limited.len(), limited.len() + all.len())
    }

    fn name(&self) -> String {
        let known = match &self.target {
            Target::Foreign(foreign) => foreign.name.clone(),
            Target::Child | Target::Latchkey(_) => "latchkey-server".to_owned(),
        };
        self.server.clone().unwrap_or(known)
    }
}

/// Passes on what a run tells, and keeps its steps.
struct Hearing<'a> {
    inner: &'a mut dyn Witness,
    side: &'a mut Side,
}

impl Witness for Hearing<'_> {
    fn line(&mut self, line: &Line) {
        match line {
            Line::Run(run) => self.side.server = Some(run.server.clone()),
            Line::Step(step) if step.step.is_some() => {
                self.side.steps.push((**step).clone());
                self.side.overloaded.push(false);
            }
            // It is told right after the step that it is about.
            Line::Fault(fault) if fault.party == Party::Driver && fault.code == "driver-overloaded" => {
                if let Some(last) = self.side.overloaded.last_mut() {
                    *last = true;
                }
            }
            _ => {}
        }
        self.inner.line(line);
    }

    fn prepare(&mut self, phase: &str, done: u64, of: u64) {
        self.inner.prepare(&format!("{}: {phase}", self.side.name()), done, of);
    }

    fn show(&mut self, snapshot: &Snapshot) {
        let phase = format!("{}, {}", self.side.name(), snapshot.phase);
        self.inner.show(&Snapshot { phase, ..snapshot.clone() });
    }
}

/// Servers that run already, put on the first processors; let go again when dropped.
struct Pinned(Vec<(u32, Vec<usize>)>);

impl Pinned {
    /// A child of ours is put there by the run that starts it.
    fn both(comparison: &Comparison, shards: usize) -> Result<Self, CompareError> {
        let all = cores::allowed();
        if all.len() < 2 {
            return Err(CompareError::NotPinned(io::Error::other("there is one processor")));
        }
        let first = &all[..shards.clamp(1, all.len() - 1)];
        let theirs = &comparison.theirs;
        let mut pids = vec![theirs.pid.ok_or_else(|| CompareError::NoProcess(theirs.name.clone()))?];
        match &comparison.ours {
            Target::Child => {}
            Target::Latchkey(running) => {
                pids.push(running.pid.ok_or_else(|| CompareError::NoProcess("our server".to_owned()))?);
            }
            Target::Foreign(other) => {
                pids.push(other.pid.ok_or_else(|| CompareError::NoProcess(other.name.clone()))?);
            }
        }
        let mut pinned = Self(Vec::new());
        for pid in pids {
            let before = cores::of_process(pid).map_err(CompareError::NotPinned)?;
            cores::pin_process(pid, first).map_err(CompareError::NotPinned)?;
            pinned.0.push((pid, before));
        }
        Ok(pinned)
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        for (pid, before) in &self.0 {
            // One that has ended needs no processors.
            let _ = cores::pin_process(*pid, before);
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    struct Nobody;
    impl Witness for Nobody {
        fn line(&mut self, _: &Line) {}
        fn prepare(&mut self, _: &str, _: u64, _: u64) {}
        fn show(&mut self, _: &Snapshot) {}
    }

    fn refused(change: impl FnOnce(&mut Comparison)) -> CompareError {
        let mut comparison = Comparison {
            scenario: Scenario::default(),
            ours: Target::Child,
            theirs: "whip=http://127.0.0.1:9/,whep=http://127.0.0.1:9/,name=other".parse().unwrap(),
            rounds: 1,
            pin: false,
            drivers: None,
        };
        comparison.scenario.camera.clip = SYNTHETIC.to_owned();
        change(&mut comparison);
        compare(&comparison, &mut Nobody, &CancellationToken::new()).unwrap_err()
    }

    #[test]
    fn mistakes_are_told_before_anything_runs() {
        let error = refused(|comparison| comparison.scenario.camera.clip = "doorbell".to_owned());
        assert!(matches!(&error, CompareError::Clip(clip) if clip == "doorbell"), "{error}");
        assert!(matches!(refused(|comparison| comparison.rounds = 0), CompareError::NoRounds));
        if cores::allowed().len() > 1 {
            let error = refused(|comparison| comparison.pin = true);
            assert!(error.to_string().contains("other cannot be pinned"), "{error}");
        }
    }

    #[test]
    fn what_only_ours_knows_is_left_out_for_both() {
        let mut scenario = Scenario::default();
        scenario.camera.clip = SYNTHETIC.to_owned();
        scenario.removals.count = 3;
        scenario.churn.joins_per_s = 2.0;
        let work = work_for_both(&scenario).unwrap();
        assert_eq!((work.removals.count, work.churn.joins_per_s), (0, 2.0));
    }

    #[test]
    fn servers_that_run_are_pinned_and_let_go() {
        if cores::allowed().len() < 2 {
            return;
        }
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let before = cores::of_process(child.id()).unwrap();
        let with = format!("whip=http://h/,whep=http://h/,pid={}", child.id());
        let comparison = Comparison {
            scenario: Scenario::default(),
            ours: Target::Child,
            theirs: with.parse().unwrap(),
            rounds: 1,
            pin: true,
            drivers: None,
        };
        let pinned = Pinned::both(&comparison, 1).unwrap();
        assert_eq!(cores::of_process(child.id()).unwrap(), cores::allowed()[..1]);
        drop(pinned);
        assert_eq!(cores::of_process(child.id()).unwrap(), before);
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
