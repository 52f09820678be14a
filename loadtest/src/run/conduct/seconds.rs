//! Cuts a run into seconds and steps, makes their lines, and shows how it goes.

use std::time::{Duration, Instant};

use crate::live::Snapshot;
use crate::measure::line::{Line, Party, SecondLine, StepLine};
use crate::observe::server::Sample;
use crate::observe::{machine, process};
use crate::run::account::{Cut, Mark, Surroundings};
use crate::run::conduct::{Conductor, SECOND, Sampler};
use crate::run::court;
use crate::run::schedule::{Phase, Schedule};
use crate::run::stage::Plan;

impl Conductor<'_> {
    /// Takes what was counted since the last cut, and asks for the look at the server that belongs to it.
    pub(super) fn cut(&mut self, mark: Mark, sampler: &mut Sampler) {
        let now = Instant::now();
        self.looked_at = now;
        let (mut window, drive) = self.fleets.take(now, &mut self.faults);
        self.viewer_cpu += drive.cpu;
        let [longest, second] = self.waits;
        self.waits = [longest.max(drive.longest_wait), second.max(longest.min(drive.longest_wait))];
        window.length = now - self.cut_at;
        self.cut_at = now;
        let own_cpu = process::own_cpu();
        let driver_cpu = own_cpu.saturating_sub(std::mem::replace(&mut self.own_cpu, own_cpu));
        let mark = match mark {
            Mark::Ends { .. } => Mark::Ends { viewers_ok: self.fleets.well() },
            other => other,
        };
        if window.viewer.datagrams > 0 {
            self.vigil.received(now);
        }
        sampler.asked.push_back(Cut { at: now - self.began, window, driver_cpu, mark });
        // The one who looks ends with this run only.
        let knock = self.vigil.knock().filter(|_| matches!(mark, Mark::Ends { .. }));
        let _ = sampler.ask.send(knock);
    }

    /// Makes the lines of a cut; returns the line of the step that it ends.
    pub(super) fn account_for(
        &mut self,
        cut: &Cut,
        sample: Sample,
        schedule: &Schedule,
        plan: &dyn Plan,
    ) -> Option<StepLine> {
        self.vigil.look(sample.has_process(), &mut self.faults);
        let around = self.surroundings();
        let mut done = None;
        for line in self.account.take(cut, sample, around) {
            match &line {
                Line::Second(second) => {
                    let second = second.clone();
                    self.book.write(line);
                    self.show(&second, schedule, plan);
                }
                Line::Step(step) => {
                    done = Some((**step).clone());
                    self.note_surroundings(step);
                    self.book.write(line);
                }
                _ => self.book.write(line),
            }
        }
        for fault in self.faults.tell(cut.at.as_secs_f64()) {
            self.book.write(Line::Fault(fault));
        }
        done
    }

    /// Notes what is nobody's fault but the driver's or the network's.
    fn note_surroundings(&mut self, step: &StepLine) {
        let busy = 100.0 * self.viewer_cpu.as_secs_f64() / (step.seconds * self.threads as f64).max(1e-3);
        let shown = court::overload(step, busy).or_else(|| court::stalled(step, self.waits));
        if let Some(text) = shown {
            self.circumstances.driver_overloaded = true;
            self.faults.note(Party::Driver, "driver-overloaded", text);
        }
        let lost: Vec<String> = self
            .fleets
            .networks
            .iter()
            .filter(|(_, (_, lost))| *lost > 0)
            .map(|(profile, (expected, lost))| {
                format!(
                    "{profile} lost {:.2} % at first ({lost} of {expected})",
                    100.0 * *lost as f64 / (*expected).max(1) as f64
                )
            })
            .collect();
        if !lost.is_empty() {
            let text = format!("{}: networks that the scenario asks for", lost.join(", "));
            self.faults.note(Party::Network, "network-loss", text);
        }
    }

    pub(super) fn surroundings(&self) -> Surroundings {
        Surroundings {
            driver_cores: self.driver_cores,
            load_average: machine::load_average(),
            cpu_pressure_pct: machine::cpu_pressure(),
        }
    }

    fn show(&mut self, second: &SecondLine, schedule: &Schedule, plan: &dyn Plan) {
        self.joins.0 += second.joins.seen;
        self.joins.1 += second.joins.failed;
        let stage = schedule.stage();
        let phase = match schedule.phase() {
            Phase::Ramp => "joining",
            Phase::Settle => "settling",
            Phase::Steady | Phase::Over => "measuring",
        };
        let left = plan.left_after(stage.number);
        if second.frame_latency.count > 0 || second.viewers == 0 {
            self.seen_at = second.at_s;
        }
        let dark = Duration::try_from_secs_f64(second.at_s - self.seen_at).ok();
        let dark = dark.filter(|dark| *dark >= SECOND / 2);
        let snapshot = Snapshot {
            at: self.began.elapsed(),
            phase: phase.to_owned(),
            step: stage.number + 1,
            steps: plan.stages().unwrap_or(0),
            viewers: second.viewers,
            viewers_asked: u64::from(stage.viewers),
            joins_ok: self.joins.0,
            joins_failed: self.joins.1,
            mbit_in: second.mbit_in,
            mbit_out: second.mbit_out,
            first_loss_pct: second.viewer.first_loss_pct(),
            loss_pct: second.viewer.loss_pct(),
            p50_ms: second.frame_latency.p50_ms,
            p99_ms: second.frame_latency.p99_ms,
            dark,
            server_cpu_pct: second.server.as_ref().map(|server| server.cpu_pct),
            driver_cpu_pct: second.driver_cpu_pct,
            faults: self.faults.total(),
            left: left.map(|left| left + schedule.left(self.began.elapsed())),
        };
        self.book.witness.show(&snapshot);
    }
}
