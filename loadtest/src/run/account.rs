//! Makes lines of what was counted: one a second, one for each step, one for the whole run. No clock, no I/O.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::fleet::ViewerId;
use crate::measure::line::{Line, SecondLine, ServerFigures, StepLine};
use crate::measure::tally::{IntruderTally, JoinTally, ViewerTally};
use crate::measure::window::Window;
use crate::observe::server::{Sample, count_by_viewers};

/// What was counted from one look to the next.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cut {
    /// Since the run began, at its end.
    pub(crate) at: Duration,
    /// What the fleets counted; its length is the time from cut to cut.
    pub(crate) window: Window,
    /// CPU that this process used.
    pub(crate) driver_cpu: Duration,
    /// What it ends or begins.
    pub(crate) mark: Mark,
}

/// Where a cut lies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Mark {
    /// Within a phase.
    #[default]
    Within,
    /// Figures count from here on.
    Begins {
        /// Number of the step.
        step: u64,
        /// Viewers that it asks for.
        viewers: u64,
    },
    /// Figures count up to here.
    Ends {
        /// Viewers that were well served.
        viewers_ok: u64,
    },
}

/// Where the driver stands at the end of a step.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Surroundings {
    /// Processors that the driver may use.
    pub(crate) driver_cores: u64,
    /// Load average of the last minute.
    pub(crate) load_average: f64,
    /// Share of the time in which some task waited for a processor, percent.
    pub(crate) cpu_pressure_pct: Option<f64>,
}

/// The accounts of a run.
#[derive(Default)]
pub(crate) struct Account {
    server_name: String,
    /// The server before the first viewer.
    first: Option<Sample>,
    last: Option<Sample>,
    /// Since the last step: what joins, intruders and removals count for the next one.
    before: Window,
    step: Option<Step>,
    /// All steps together.
    whole: Window,
    whole_cpu: Duration,
    whole_base: Option<Sample>,
    steps: Vec<StepLine>,
}

struct Step {
    number: u64,
    viewers: u64,
    base: Sample,
    window: Window,
    cpu: Duration,
}

impl Account {
    /// Opens the accounts with a look at the server before anybody watches.
    pub(crate) fn open(server_name: String, first: Sample) -> Self {
        Self { server_name, first: Some(first.clone()), last: Some(first), ..Self::default() }
    }

    /// Takes a cut and the look at the server that belongs to it; returns the lines that it makes, of which a step's is last.
    pub(crate) fn take(&mut self, cut: &Cut, sample: Sample, around: Surroundings) -> Vec<Line> {
        let mut lines = Vec::new();
        if cut.window.length >= SHORTEST {
            lines.push(Line::Second(Box::new(self.second(cut, &sample))));
        }
        match &mut self.step {
            Some(step) => {
                step.window.then(&cut.window);
                step.cpu += cut.driver_cpu;
            }
            None => self.before.then(&cut.window),
        }
        match cut.mark {
            Mark::Within => {}
            Mark::Begins { step, viewers } => {
                self.whole_base.get_or_insert_with(|| sample.clone());
                let (window, cpu) = (Window::default(), Duration::ZERO);
                self.step = Some(Step { number: step, viewers, base: sample.clone(), window, cpu });
            }
            Mark::Ends { viewers_ok } => {
                if let Some(step) = self.step.take() {
                    lines.push(Line::Step(Box::new(self.close(&step, viewers_ok, &sample, around))));
                }
            }
        }
        self.last = Some(sample);
        lines
    }

    /// Returns the line of the whole run: its measured steps, and all joins, intruders and removals there were. Stopped before
    /// its first step, it tells of the time before that. `well` viewers are well served now.
    pub(crate) fn whole(&self, around: Surroundings, well: u64) -> StepLine {
        let measured = !self.steps.is_empty() || self.step.is_some();
        let mut window = if measured { self.whole.clone() } else { self.before.clone() };
        if measured {
            add_asides(&mut window, &self.before);
        }
        if let Some(step) = &self.step {
            // Stopped within a step: what was measured of it counts.
            window.then(&step.window);
        }
        let seconds = window.length.as_secs_f64();
        let cpu = self.whole_cpu + self.step.as_ref().map_or(Duration::ZERO, |step| step.cpu);
        let base = self.whole_base.as_ref().or(self.first.as_ref());
        let server = base.zip(self.last.as_ref()).and_then(|(base, last)| last.since(base, window.viewers));
        let last = self.steps.last();
        let (viewers, viewers_ok) = match (&self.step, last) {
            (Some(step), _) => (step.viewers, well),
            (None, Some(step)) => (step.viewers, step.viewers_ok),
            (None, None) => (window.viewers, well),
        };
        let mut line = self.line(&window, None, (viewers, viewers_ok), around);
        line.server = server.map(|server| self.counted(server, &window, seconds));
        line.driver_cpu_pct = percent_of(cpu, seconds);
        line.load_average =
            self.steps.iter().map(|step| step.load_average).fold(around.load_average, f64::max);
        line
    }

    /// Returns how many steps were measured to their end.
    pub(crate) fn steps(&self) -> &[StepLine] {
        &self.steps
    }

    fn second(&self, cut: &Cut, sample: &Sample) -> SecondLine {
        let (window, seconds) = (&cut.window, cut.window.length.as_secs_f64());
        let server = self.last.as_ref().and_then(|last| sample.since(last, window.viewers));
        SecondLine {
            at_s: cut.at.as_secs_f64(),
            seconds,
            step: self.step.as_ref().map(|step| step.number),
            viewers: window.viewers,
            mbit_in: mbit(window.camera.bytes, seconds),
            mbit_out: mbit(window.viewer.bytes, seconds),
            viewer: window.viewer,
            joins: window.joins,
            frame_latency: window.frame_latency.figures(false),
            server: server.map(|server| self.counted(server, window, seconds)),
            driver_cpu_pct: percent_of(cut.driver_cpu, seconds),
        }
    }

    fn close(&mut self, step: &Step, viewers_ok: u64, sample: &Sample, around: Surroundings) -> StepLine {
        let mut window = step.window.clone();
        self.whole.then(&window);
        self.whole_cpu += step.cpu;
        add_asides(&mut self.whole, &self.before);
        add_asides(&mut window, &std::mem::take(&mut self.before));
        let seconds = window.length.as_secs_f64();
        let server = sample.since(&step.base, window.viewers);
        let mut line = self.line(&window, Some(step.number), (step.viewers, viewers_ok), around);
        line.server = server.map(|server| self.counted(server, &step.window, seconds));
        line.driver_cpu_pct = percent_of(step.cpu, seconds);
        self.steps.push(line.clone());
        line
    }

    fn line(
        &self,
        window: &Window,
        step: Option<u64>,
        viewers: (u64, u64),
        around: Surroundings,
    ) -> StepLine {
        let seconds = window.length.as_secs_f64();
        let (viewer, camera) = (&window.viewer, &window.camera);
        StepLine {
            step,
            server_name: self.server_name.clone(),
            seconds,
            viewers: viewers.0,
            viewers_ok: viewers.1,
            packets_in_per_s: per_second(camera.packets, seconds),
            mbit_in: mbit(camera.bytes, seconds),
            packets_out_per_s: per_second(viewer.received, seconds),
            mbit_out: mbit(viewer.bytes, seconds),
            loss_pct: viewer.loss_pct(),
            first_loss_pct: viewer.first_loss_pct(),
            repeated_pct: viewer.repeated_pct(),
            opened_pct: viewer.opened_pct(),
            frozen_pct: viewer.frozen_pct(),
            frozen_at_once_pct: viewer.frozen_at_once_pct(),
            repair_pct: viewer.repair_pct(),
            viewer: *viewer,
            camera: *camera,
            joins: window.joins,
            intruders: window.intruders,
            frame_latency: window.frame_latency.figures(true),
            packet_latency: window.packet_latency.figures(true),
            first_frame: window.first_frame.figures(true),
            removal: window.removal.figures(true),
            server: None,
            driver_cpu_pct: 0.0,
            driver_cores: around.driver_cores,
            driver_late_pct: camera.late_pct(),
            load_average: around.load_average,
            cpu_pressure_pct: around.cpu_pressure_pct,
        }
    }

    /// Where the server has no metrics of ours, what its packets cost is told by what viewers received.
    fn counted(&self, mut server: ServerFigures, window: &Window, seconds: f64) -> ServerFigures {
        if self.first.as_ref().is_some_and(|first| !first.has_metrics()) {
            count_by_viewers(&mut server, seconds, window.viewer.received, window.viewer.bytes);
        }
        server
    }
}

/// How well each viewer is served, while a step is measured.
#[derive(Clone, Debug)]
pub(crate) struct Health {
    /// Frames that each should have opened, and did.
    frames: HashMap<ViewerId, (u64, u64)>,
    /// When each saw its newest picture.
    pictures: HashMap<ViewerId, Instant>,
    looked_at: Instant,
    fresh: Duration,
}

impl Health {
    /// Nothing is known of anybody yet; of a camera whose frames take `frame_time` a picture is missed after a second and two
    /// frames.
    pub(crate) fn new(frame_time: Duration) -> Self {
        Self {
            frames: HashMap::new(),
            pictures: HashMap::new(),
            looked_at: Instant::now(),
            fresh: FRESH + frame_time * 2,
        }
    }

    /// Forgets all frames that were before.
    pub(crate) fn begin(&mut self) {
        self.frames.clear();
    }

    /// Everybody is looked at now.
    pub(crate) fn look(&mut self, now: Instant) {
        self.looked_at = now;
    }

    /// Adds what a viewer should have opened and what it did, and when it saw its newest picture.
    pub(crate) fn add(&mut self, id: ViewerId, expected: u64, opened: u64, picture: Option<Instant>) {
        let of_viewer = self.frames.entry(id).or_default();
        of_viewer.0 += expected;
        of_viewer.1 += opened;
        self.pictures.extend(picture.map(|at| (id, at)));
    }

    /// Forgets one who watches no more.
    pub(crate) fn forget(&mut self, id: ViewerId) {
        self.frames.remove(&id);
        self.pictures.remove(&id);
    }

    /// Returns whether a viewer that watches opened at least 99 % of its frames, of which one that has just come has none yet,
    /// and has a picture that is no older than about a second.
    pub(crate) fn is_well(&self, id: ViewerId) -> bool {
        let enough = self.frames.get(&id).is_none_or(|(expected, opened)| opened * 100 >= expected * 99);
        let picture = self.pictures.get(&id);
        enough && picture.is_some_and(|at| self.looked_at.saturating_duration_since(*at) <= self.fresh)
    }
}

/// Adds what does not wait for a step to be measured: joins, intruders, removals, and frames that nobody may open.
fn add_asides(window: &mut Window, more: &Window) {
    let joins: JoinTally = more.joins;
    let intruders: IntruderTally = more.intruders;
    window.joins.add(&joins);
    window.intruders.add(&intruders);
    window.first_frame.add(&more.first_frame);
    window.removal.add(&more.removal);
    window.viewer.add(&ViewerTally {
        opened_by_removed: more.viewer.opened_by_removed,
        frames_refused: more.viewer.frames_refused,
        reconnects: more.viewer.reconnects,
        ..ViewerTally::default()
    });
}

fn per_second(count: u64, seconds: f64) -> f64 {
    if seconds > 0.0 { count as f64 / seconds } else { 0.0 }
}

fn mbit(bytes: u64, seconds: f64) -> f64 {
    per_second(bytes, seconds) * 8e-6
}

fn percent_of(cpu: Duration, seconds: f64) -> f64 {
    if seconds > 0.0 { 100.0 * cpu.as_secs_f64() / seconds } else { 0.0 }
}

/// How old a viewer's newest picture may be, beside two frames.
const FRESH: Duration = Duration::from_secs(1);
/// A cut that lies so close to the one before it makes no line: its rates would be noise.
const SHORTEST: Duration = Duration::from_millis(300);

#[cfg(test)]
mod tests {
    use super::*;

    /// Whoever saw every frame there was, and then nothing more, is not well.
    #[test]
    fn a_viewer_without_a_picture_is_not_well_served() {
        let (now, id) = (Instant::now(), ViewerId(7));
        let mut health = Health::new(Duration::from_millis(100));
        assert!(!health.is_well(id));
        health.look(now);
        health.add(id, 100, 99, Some(now));
        assert!(health.is_well(id));
        health.look(now + Duration::from_millis(1200));
        health.add(id, 0, 0, Some(now));
        assert!(health.is_well(id));
        health.look(now + Duration::from_millis(1201));
        assert!(!health.is_well(id));
        health.add(id, 1, 0, Some(now + Duration::from_millis(1201)));
        assert!(!health.is_well(id), "99 of 101 frames are too few");
    }
}
