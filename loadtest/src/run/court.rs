//! The verdict: the scenario's assertions, and whether the figures may be held against the server at all.

use std::time::Duration;

use crate::measure::line::{Check, Line, Party, StepLine, Verdict, VerdictLine};
use crate::report;
use crate::report::limit::{BUSY_PCT, LATE_PCT};
use crate::scenario::Scenario;

/// What the verdict depends on beside the figures.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Circumstances {
    /// It was stopped before its end.
    pub(crate) interrupted: bool,
    /// The server went away.
    pub(crate) server_gone: bool,
    /// The driver was overloaded in some step.
    pub(crate) driver_overloaded: bool,
}

/// Returns what shows that the driver was overloaded in a step; none where it was not.
pub(crate) fn overload(line: &StepLine, viewer_threads_pct: f64) -> Option<String> {
    let cores = line.driver_cores.max(1);
    let busy = line.driver_cpu_pct / cores as f64;
    if busy >= BUSY_PCT {
        return Some(format!(
            "the driver used {busy:.0} % of its {cores} processors with {} viewers: it is the limit, not the server",
            line.viewers
        ));
    }
    if viewer_threads_pct >= BUSY_PCT {
        return Some(format!(
            "the threads that drive viewers were busy {viewer_threads_pct:.0} % of the time with {} viewers: give them more \
             processors with --drivers",
            line.viewers
        ));
    }
    (line.driver_late_pct > LATE_PCT).then(|| {
        format!(
            "{:.1} % of the packets left the cameras more than 2 ms late: the driver is the limit, not the server",
            line.driver_late_pct
        )
    })
}

/// Returns what shows that the viewers' threads did not get to their packets in time; none where they did. `waits` are the
/// two longest that a datagram waited, of different seconds: one moment in which something else had the processor is none.
pub(crate) fn stalled(line: &StepLine, waits: [Duration; 2]) -> Option<String> {
    let [longest, second] = waits;
    (second > LONGEST_WAIT).then(|| {
        format!(
            "packets lay in the driver's sockets for up to {} ms with {} viewers before a thread came to read them: the \
             driver is the limit, not the server",
            longest.as_millis(),
            line.viewers
        )
    })
}

/// Judges a run by the line of the whole of it. `lines` are all lines so far.
pub(crate) fn judge(
    scenario: &Scenario,
    whole: &StepLine,
    circumstances: Circumstances,
    lines: &[Line],
) -> VerdictLine {
    let checks = scenario.assert.judge(whole);
    let verdict = verdict_of(&checks, circumstances, whole);
    let limit = limit_of(verdict, circumstances, lines);
    VerdictLine {
        verdict,
        viewers_ok: whole.viewers_ok,
        loss_pct: whole.loss_pct,
        opened: whole.viewer.frames_opened,
        expected: whole.viewer.frames_expected,
        p99_ms: whole.frame_latency.p99_ms,
        checks,
        limit,
        interrupted: circumstances.interrupted,
        last_good: None,
        first_bad: None,
    }
}

/// Returns the verdict on a run that could not begin.
pub(crate) fn could_not_run(reason: &str, interrupted: bool) -> VerdictLine {
    VerdictLine { limit: reason.to_owned(), interrupted, ..VerdictLine::on_nothing(Verdict::Inconclusive) }
}

fn verdict_of(checks: &[Check], circumstances: Circumstances, whole: &StepLine) -> Verdict {
    // What nobody may see or enter is no matter of load.
    let breach = whole.viewer.opened_by_removed > 0 || whole.intruders.let_in > 0;
    if breach && checks.iter().any(|check| !check.holds) || circumstances.server_gone {
        return Verdict::Fail;
    }
    if circumstances.interrupted {
        return Verdict::Inconclusive;
    }
    match (checks.iter().all(|check| check.holds), circumstances.driver_overloaded) {
        (true, _) => Verdict::Pass,
        (false, true) => Verdict::Inconclusive,
        (false, false) => Verdict::Fail,
    }
}

fn limit_of(verdict: Verdict, circumstances: Circumstances, lines: &[Line]) -> String {
    if circumstances.interrupted && !circumstances.server_gone {
        return "the run was stopped before its end".to_owned();
    }
    if verdict == Verdict::Inconclusive {
        let of_driver = lines.iter().rev().find_map(|line| match line {
            Line::Fault(fault) if fault.party == Party::Driver => Some(fault.text.clone()),
            _ => None,
        });
        if let Some(text) = of_driver {
            return text;
        }
    }
    report::limit(lines)
}

/// A datagram may wait so long for the thread that reads it.
const LONGEST_WAIT: Duration = Duration::from_millis(50);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::tally::IntruderTally;

    fn failing() -> (Scenario, StepLine) {
        let mut scenario = Scenario::default();
        scenario.assert.loss_pct = Some(0.5);
        (scenario, StepLine { loss_pct: 2.0, driver_cores: 2, ..StepLine::default() })
    }

    fn verdict(scenario: &Scenario, line: &StepLine, circumstances: Circumstances) -> Verdict {
        judge(scenario, line, circumstances, &[]).verdict
    }

    #[test]
    fn an_overloaded_driver_is_never_held_against_the_server() {
        let (scenario, line) = failing();
        let none = Circumstances::default();
        assert_eq!(verdict(&scenario, &line, none), Verdict::Fail);
        let overloaded = Circumstances { driver_overloaded: true, ..none };
        assert_eq!(verdict(&scenario, &line, overloaded), Verdict::Inconclusive);
        assert_eq!(verdict(&Scenario::default(), &line, overloaded), Verdict::Pass);
    }

    #[test]
    fn a_run_that_was_stopped_tells_nothing_unless_something_must_never_be() {
        let (scenario, line) = failing();
        let stopped = Circumstances { interrupted: true, ..Circumstances::default() };
        let judged = judge(&scenario, &line, stopped, &[]);
        assert_eq!((judged.verdict, judged.interrupted), (Verdict::Inconclusive, true));
        let intruders = IntruderTally { let_in: 1, ..IntruderTally::default() };
        let breach = StepLine { intruders, ..StepLine::default() };
        assert_eq!(verdict(&Scenario::default(), &breach, stopped), Verdict::Fail);
        let gone = Circumstances { server_gone: true, ..stopped };
        assert_eq!(verdict(&Scenario::default(), &StepLine::default(), gone), Verdict::Fail);
    }

    #[test]
    fn one_stall_is_no_overload() {
        let ms = Duration::from_millis;
        let line = StepLine { viewers: 9, ..StepLine::default() };
        assert_eq!(stalled(&line, [ms(400), ms(50)]), None);
        assert!(stalled(&line, [ms(400), ms(51)]).unwrap().contains("up to 400 ms with 9 viewers"));
    }

    #[test]
    fn overload_is_told_by_processors_threads_and_late_packets() {
        let line = |cpu, late| StepLine {
            driver_cores: 2,
            driver_cpu_pct: cpu,
            driver_late_pct: late,
            ..StepLine::default()
        };
        assert_eq!(overload(&line(170.0, 5.0), 80.0), None);
        assert!(overload(&line(185.0, 0.0), 0.0).unwrap().contains("92 % of its 2"));
        assert!(overload(&line(100.0, 0.0), 95.0).unwrap().contains("--drivers"));
        assert!(overload(&line(100.0, 6.0), 0.0).unwrap().contains("6.0 % of the packets"));
    }
}
