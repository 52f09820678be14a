//! Lines sorted by run: a file holds one run, or several one after the other, or one that put several servers under load.

use std::sync::LazyLock;

use crate::measure::line::{FaultLine, Line, RunLine, SecondLine, StepLine, VerdictLine};

/// What lines say whose first is missing.
static UNTOLD: LazyLock<RunLine> = LazyLock::new(RunLine::default);

/// One run, or the part of one that one server bore.
#[derive(Clone, Debug)]
pub(crate) struct Run<'a> {
    /// Name of the server; made unique by [`split_all`].
    pub(crate) name: String,
    /// What was run.
    pub(crate) run: &'a RunLine,
    /// Every second.
    pub(crate) seconds: Vec<&'a SecondLine>,
    /// Every step, as they came.
    pub(crate) steps: Vec<&'a StepLine>,
    /// The line of the whole run.
    pub(crate) whole: Option<&'a StepLine>,
    /// What went wrong.
    pub(crate) faults: Vec<&'a FaultLine>,
    /// The judgement; none where the run ended before it.
    pub(crate) verdict: Option<&'a VerdictLine>,
    /// All runs of which this is the middle one, itself among them; empty where it stands alone. See [`split_all`].
    pub(crate) rounds: Vec<Run<'a>>,
}

/// Returns the runs of several files; no two have the same name. Runs of one server in one file are rounds of one
/// comparison: of them the middle one stands for all.
pub(crate) fn split_all(files: &[Vec<Line>]) -> Vec<Run<'_>> {
    let mut runs: Vec<Run<'_>> = files.iter().flat_map(|lines| middle_of_rounds(split(lines))).collect();
    let names: Vec<(String, &str)> =
        runs.iter().map(|run| (run.name.clone(), run.run.scenario.as_str())).collect();
    for (index, run) in runs.iter_mut().enumerate() {
        let (name, scenario) = &names[index];
        let same = |range: &[(String, &str)]| range.iter().filter(|other| other.0 == *name).count();
        let twice = |range: &[(String, &str)]| range.iter().filter(|other| *other == &names[index]).count();
        run.name = match (same(&names), twice(&names)) {
            (1, _) => continue,
            // What differs comes first: where there is little room, the end is cut off.
            (all, 1) if all == names.len() && !scenario.is_empty() => (*scenario).to_owned(),
            (_, 1) if !scenario.is_empty() => format!("{scenario} ({name})"),
            _ => format!("run {} ({name})", same(&names[..=index])),
        };
    }
    runs
}

/// Returns the middle one of the runs of each server, by the CPU for each packet with the most viewers, or by p99 where no
/// CPU is told.
fn middle_of_rounds(runs: Vec<Run<'_>>) -> Vec<Run<'_>> {
    let mut servers: Vec<Vec<Run<'_>>> = Vec::new();
    for run in runs {
        let known = servers.iter_mut().find(|rounds| {
            rounds.iter().any(|other| other.name == run.name && other.run.scenario == run.run.scenario)
        });
        match known {
            Some(rounds) => rounds.push(run),
            None => servers.push(vec![run]),
        }
    }
    servers.into_iter().map(middle_of).collect()
}

fn middle_of(mut rounds: Vec<Run<'_>>) -> Run<'_> {
    let cost = |run: &Run<'_>| {
        let most = run.steps.iter().max_by_key(|step| step.viewers)?;
        Some(most.server.as_ref().map_or(most.frame_latency.p99_ms, |server| server.us_per_packet))
    };
    rounds.sort_by(|a, b| cost(a).partial_cmp(&cost(b)).unwrap_or(std::cmp::Ordering::Equal));
    let mut middle = rounds[(rounds.len() - 1) / 2].clone();
    if rounds.len() > 1 {
        middle.rounds = rounds;
    }
    middle
}

/// Returns the runs of one file's lines, at least one where there are lines.
pub(crate) fn split(lines: &[Line]) -> Vec<Run<'_>> {
    let mut runs: Vec<Run<'_>> = Vec::new();
    for line in lines {
        if let Line::Run(run) = line {
            runs.push(Run::begin(run));
            continue;
        }
        if runs.is_empty() {
            runs.push(Run::begin(&UNTOLD));
        }
        if let Some(run) = runs.last_mut() {
            run.take(line);
        }
    }
    runs.into_iter().flat_map(Run::by_server).collect()
}

impl<'a> Run<'a> {
    fn begin(run: &'a RunLine) -> Self {
        let name = if run.server.is_empty() { "the server".into() } else { run.server.clone() };
        Self {
            name,
            run,
            seconds: Vec::new(),
            steps: Vec::new(),
            whole: None,
            faults: Vec::new(),
            verdict: None,
            rounds: Vec::new(),
        }
    }

    /// Returns all rounds that it stands for, or itself alone.
    pub(crate) fn all_rounds(&self) -> &[Self] {
        if self.rounds.is_empty() { std::slice::from_ref(self) } else { &self.rounds }
    }

    fn take(&mut self, line: &'a Line) {
        match line {
            Line::Run(_) => {}
            Line::Second(second) => self.seconds.push(second),
            Line::Step(step) if step.step.is_none() => self.whole = Some(step),
            Line::Step(step) => self.steps.push(step),
            Line::Fault(fault) => self.faults.push(fault),
            Line::Verdict(verdict) => self.verdict = Some(verdict),
        }
    }

    /// Parts a run whose steps name several servers. Seconds go with the step of their number, faults and verdict with all.
    fn by_server(self) -> Vec<Self> {
        let mut names: Vec<&str> = Vec::new();
        for step in &self.steps {
            if !step.server_name.is_empty() && !names.contains(&step.server_name.as_str()) {
                names.push(&step.server_name);
            }
        }
        if names.len() < 2 {
            return vec![self];
        }
        let part = |name: &str| {
            let steps: Vec<_> = self.steps.iter().copied().filter(|step| step.server_name == name).collect();
            let has = |second: &&SecondLine| steps.iter().any(|step| step.step == second.step);
            Self {
                name: name.to_owned(),
                seconds: self.seconds.iter().copied().filter(has).collect(),
                whole: self.whole.filter(|whole| whole.server_name == name),
                steps,
                ..self.clone()
            }
        };
        names.into_iter().map(part).collect()
    }

    /// Returns what was measured: the steps, or where the run ended before the first was over, what there is of it.
    pub(crate) fn measured(&self) -> Vec<&'a StepLine> {
        if self.steps.is_empty() { self.whole.into_iter().collect() } else { self.steps.clone() }
    }

    /// Returns when a step was measured: from and to, seconds since the run began; none where no second is told of it.
    pub(crate) fn time_of(&self, step: &StepLine) -> Option<(f64, f64)> {
        let number = step.step?;
        let mut seconds = self.seconds.iter().filter(|second| second.step == Some(number));
        let first = seconds.next()?;
        Some((first.at_s - first.seconds, seconds.next_back().unwrap_or(first).at_s))
    }

    /// Returns the processors that the server may use; none where it runs on a machine that is not known.
    pub(crate) fn server_cores(&self) -> Option<u64> {
        let pinned = self.run.server_cores.len() as u64;
        let there = if self.run.server_is_child { self.run.machine.cores } else { 0 };
        [pinned, there].into_iter().find(|cores| *cores > 0)
    }

    /// Returns the processors that the driver may use in a step, at least one.
    pub(crate) fn driver_cores(&self, step: &StepLine) -> u64 {
        let known = [step.driver_cores, self.run.driver_cores.len() as u64, self.run.machine.cores];
        known.into_iter().find(|cores| *cores > 0).unwrap_or(1)
    }

    /// Returns whether the run searched for the largest number of viewers.
    pub(crate) fn is_search(&self) -> bool {
        self.run.max_p99_ms.is_some()
            || self.run.scenario == "breakpoint"
            || self.verdict.is_some_and(|v| v.last_good.is_some() || v.first_bad.is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::latency::LatencyFigures;

    fn step(number: u64, server: &str) -> Line {
        let step = StepLine { step: Some(number), server_name: server.into(), ..Default::default() };
        Line::Step(Box::new(step))
    }

    #[test]
    fn a_run_that_names_two_servers_is_told_as_two() {
        let second = |step| Line::Second(Box::new(SecondLine { step: Some(step), ..Default::default() }));
        let lines = [Line::Run(Box::default()), second(0), step(0, "a"), second(1), second(1), step(1, "b")];
        let runs = split(&lines);
        let told: Vec<_> =
            runs.iter().map(|run| (run.name.as_str(), run.steps.len(), run.seconds.len())).collect();
        assert_eq!(told, [("a", 1, 1), ("b", 1, 2)]);
    }

    #[test]
    fn runs_of_the_same_server_get_names_of_their_own() {
        let file = vec![Line::Run(Box::new(RunLine { server: "s 1".into(), ..Default::default() }))];
        let files = [file.clone(), file];
        let names: Vec<String> = split_all(&files).into_iter().map(|run| run.name).collect();
        assert_eq!(names, ["run 1 (s 1)", "run 2 (s 1)"]);
        let other = RunLine { server: "s 1".into(), scenario: "churn".into(), ..Default::default() };
        let files = [files[0].clone(), vec![Line::Run(Box::new(other))]];
        assert_eq!(split_all(&files)[1].name, "churn");
    }

    #[test]
    fn of_the_rounds_of_a_server_the_middle_one_is_told() {
        let round = |p99_ms: f64| {
            let run = Line::Run(Box::new(RunLine { server: "a".into(), ..Default::default() }));
            let frame_latency = LatencyFigures { p99_ms, ..Default::default() };
            [run, Line::Step(Box::new(StepLine { step: Some(0), frame_latency, ..Default::default() }))]
        };
        let file: Vec<Line> = [9.0, 5.0, 7.0].into_iter().flat_map(round).collect();
        let files = [file];
        let [run] = &split_all(&files)[..] else { panic!("more than one") };
        assert_eq!(
            (run.name.as_str(), run.steps[0].frame_latency.p99_ms, run.all_rounds().len()),
            ("a", 7.0, 3)
        );
    }

    #[test]
    fn lines_without_a_first_one_are_a_run_that_is_not_told() {
        let lines = [step(0, "")];
        assert_eq!(split(&lines).len(), 1);
        assert!(split(&[]).is_empty());
    }
}
