//! The kernel floor under the same search: how many viewers kernel and cipher alone carry, with nothing of a server around them.
//!
//! ```text
//!   camera (plain UDP, the scenario's shape) ─▶ latchkey-relay-floor, on the server's processor ─▶ readers (epoll), the driver's
//! ```
//! Its run comes before the server's, in the same file, judged by the same bounds. Ratios of the two travel from machine to
//! machine; figures of either alone do not.

mod camera;
pub mod ratio;
mod readers;

use std::cell::Cell;
use std::io;
use std::net::SocketAddrV4;
use std::sync::Arc;
use std::time::{Duration, Instant};

use latchkey_relay_floor::cores::{self, TooFewFiles};
use latchkey_relay_floor::{Floor, Leaving, Spent};
use tokio_util::sync::CancellationToken;

use crate::breakpoint::floor::camera::{Births, Camera};
use crate::breakpoint::floor::readers::Readers;
use crate::fleet::content::{Pace, Shape};
use crate::measure::line::{
    FaultLine, Line, Party, RunLine, SYNTHETIC, SecondLine, ServerFigures, StepLine, VerdictLine,
};
use crate::measure::window::Window;
use crate::observe::{machine, process};
use crate::run::court::{self, Circumstances};
use crate::run::opening;
use crate::run::stage::{Done, Plan, Stage};
use crate::run::target::Layout;
use crate::run::{Order, Witness};

/// What the floor is called where servers are named.
pub const NAME: &str = "kernel floor";

/// What came of the floor's search.
#[derive(Clone, Debug)]
pub struct Measured {
    /// Every trial.
    pub trials: Vec<StepLine>,
    /// How it was judged.
    pub verdict: VerdictLine,
}

/// Why there is no floor to be measured.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FloorError {
    /// The floor forwards one stream: the caller's mistake.
    #[error(
        "the floor is one camera's fan-out, and this scenario has {0} cameras: take one-camera-crowd, or leave --floor out"
    )]
    Cameras(u32),
    /// The floor is fed made-up packets: the caller's mistake.
    #[error(
        "the floor gets made-up packets only: set camera.clip=synthetic instead of `{0}`, or leave --floor out"
    )]
    Clip(String),
    /// The floor is one thread, so the server must have one processor: the caller's mistake.
    #[error(
        "the floor is one thread on the server's processor, and the server has {0} of its own: it must have one \
         (server.shards=1, server.pin=true, on this machine), or leave --floor out"
    )]
    Processors(usize),
    /// This process may not have as many sockets as there are viewers.
    #[error(transparent)]
    TooFewFiles(#[from] TooFewFiles),
    /// The system gives no threads, sockets or processors.
    #[error("this machine cannot drive the floor: {0}")]
    Driver(#[from] io::Error),
}

/// Searches with `plan` how many viewers the floor carries; every line goes to `witness`, a run's line first, its verdict last.
/// Blocks, and lets the calling thread run on the driver's processors only.
///
/// # Errors
/// [`FloorError`]; then no line was made.
pub fn measure(
    order: &Order,
    plan: &mut dyn Plan,
    witness: &mut dyn Witness,
    stop: &CancellationToken,
) -> Result<Measured, FloorError> {
    let layout = layout_of(order)?;
    let scenario = &order.scenario;
    cores::allow_sockets(u64::from(scenario.most_viewers()) + 16)?;
    cores::pin_this_thread(&layout.driver)?;
    let threads = order.drivers.unwrap_or_else(|| layout.driver.len().saturating_sub(1)).max(1);
    let shape = scenario.camera.shape();
    let leaving = match shape.pace {
        Pace::Burst => Leaving::Trains,
        Pace::Spread => Leaving::Packets,
    };
    let births = Arc::new(Births::default());
    let floor = Floor::start(leaving, Vec::new(), &layout.server)?;
    let camera = Camera::start(shape, floor.door(), &layout.driver, Arc::clone(&births))?;
    let readers = Readers::start(threads, &layout.driver, &births)?;
    let mut stand = Stand {
        began: Instant::now(),
        driver_cores: layout.driver.len().max(1) as u64,
        threads,
        shape,
        floor,
        camera,
        readers,
        addresses: Vec::new(),
        lines: Vec::new(),
        witness,
    };
    let mut run = describe(order, &layout, &shape);
    run.max_loss_pct = plan.bounds().map(|bounds| bounds.loss_pct);
    run.max_p99_ms = plan.bounds().map(|bounds| bounds.p99_ms);
    stand.write(Line::Run(Box::new(run)));
    let mut circumstances = Circumstances::default();
    let mut trials: Vec<StepLine> = Vec::new();
    let mut next = plan.next(None);
    while let Some(stage) = next.take() {
        let Some((line, busy_pct)) = stand.trial(stage, stop)? else {
            circumstances.interrupted = true;
            break;
        };
        stand.write(Line::Step(Box::new(line.clone())));
        let overload = court::overload(&line, busy_pct);
        let parties: &[Party] = if overload.is_some() { &[Party::Driver] } else { &[] };
        if let Some(text) = overload {
            circumstances.driver_overloaded = true;
            stand.fault(text);
        }
        next = plan.next(Some(Done { line: &line, parties }));
        trials.push(line);
    }
    let last = trials.last().cloned().unwrap_or_default();
    let verdict = plan.judge(court::judge(scenario, &last, circumstances, &stand.lines));
    stand.write(Line::Verdict(Box::new(verdict.clone())));
    Ok(Measured { trials, verdict })
}

/// Returns which processors floor and driver use: the server's, and the driver's.
fn layout_of(order: &Order) -> Result<Layout, FloorError> {
    let scenario = &order.scenario;
    let cameras = scenario.households.count * scenario.households.cameras;
    if cameras != 1 {
        return Err(FloorError::Cameras(cameras));
    }
    if scenario.camera.clip != SYNTHETIC {
        return Err(FloorError::Clip(scenario.camera.clip.clone()));
    }
    let all = cores::allowed();
    let layout = Layout::of(scenario, &order.target, all);
    match layout.server.len() {
        1 => Ok(layout),
        // On a machine with one processor everything shares it.
        0 if all.len() == 1 => Ok(Layout { server: all.to_vec(), ..layout }),
        others => Err(FloorError::Processors(others)),
    }
}

fn describe(order: &Order, layout: &Layout, shape: &Shape) -> RunLine {
    RunLine {
        server: NAME.to_owned(),
        server_is_child: true,
        transport: "udp".to_owned(),
        srtp: "AES-128-GCM, as SRTP costs it".to_owned(),
        cameras: 1,
        content: SYNTHETIC.to_owned(),
        server_cores: opening::numbers(&layout.server),
        ..opening::work(&order.scenario, shape, layout)
    }
}

/// The floor with its camera and its viewers.
struct Stand<'a> {
    began: Instant,
    driver_cores: u64,
    threads: usize,
    shape: Shape,
    floor: Floor,
    camera: Camera,
    readers: Readers,
    addresses: Vec<SocketAddrV4>,
    lines: Vec<Line>,
    witness: &'a mut dyn Witness,
}

/// What was used up to a moment.
#[derive(Clone, Copy)]
struct Used {
    at: Instant,
    floor: Spent,
    /// CPU of the floor in user code and in the kernel, in ticks.
    ticks: (Duration, Duration),
    own: Duration,
}

/// How far a trial has come.
struct Trial {
    began: Instant,
    /// What is shown of it.
    told: String,
    shown: Cell<u64>,
    seconds: u64,
}

impl Stand<'_> {
    /// Measures so many viewers; returns the line, and how busy the readers' threads were, percent. None where it was stopped.
    fn trial(
        &mut self,
        stage: Stage,
        stop: &CancellationToken,
    ) -> Result<Option<(StepLine, f64)>, FloorError> {
        let viewers = stage.viewers as usize;
        let trial = Trial {
            began: Instant::now(),
            told: format!("{NAME} with {viewers} viewers, seconds"),
            shown: Cell::new(0),
            seconds: (stage.settle + stage.steady + GRACE).as_secs(),
        };
        while self.addresses.len() < viewers {
            self.addresses.push(self.readers.open()?);
        }
        self.floor.set_viewers(self.addresses[..viewers].to_vec());
        if !self.wait(&trial, stage.settle, stop) {
            return Ok(None);
        }
        let frames = (stage.steady.as_secs_f64() * self.shape.fps).round().max(1.0) as u32;
        let measured = self.camera.measure(frames);
        self.readers.measure(measured.clone(), viewers);
        let begin = self.used();
        while self.camera.frames_sent() < measured.end {
            let left = self.shape.frame_time() * (measured.end - self.camera.frames_sent());
            if !self.wait(&trial, left.clamp(SHORTEST, SECOND), stop) {
                return Ok(None);
            }
        }
        let end = self.used();
        // As long as the fleet waits before a packet counts as lost.
        if !self.wait(&trial, GRACE, stop) {
            return Ok(None);
        }
        let told = self.readers.take();
        let mut window = told.window;
        window.length = self.shape.frame_time() * frames;
        (window.viewers, window.cameras) = (viewers as u64, 1);
        window.camera = self.camera.measured();
        let tally = &mut window.viewer;
        tally.expected = window.camera.packets * viewers as u64;
        tally.lost_first = tally.expected.saturating_sub(tally.received);
        tally.frames_expected = u64::from(frames) * viewers as u64;
        tally.watched_us = (window.length.as_micros() as u64) * viewers as u64;
        (window.joins.begun, window.joins.seen) = (viewers as u64, viewers as u64);
        let seconds = (end.at - begin.at).as_secs_f64().max(1e-6);
        let busy_pct = 100.0 * window.driver_cpu.as_secs_f64() / (seconds * self.threads as f64);
        let line = self.line(stage, &window, told.well, &begin, &end);
        self.write(Line::Second(Box::new(second_of(&line, self.began.elapsed()))));
        Ok(Some((line, busy_pct)))
    }

    fn line(&self, stage: Stage, window: &Window, well: u64, begin: &Used, end: &Used) -> StepLine {
        let seconds = window.length.as_secs_f64();
        let took = (end.at - begin.at).as_secs_f64().max(1e-6);
        let cpu = end.floor.cpu.saturating_sub(begin.floor.cpu);
        let own = end.own.saturating_sub(begin.own).saturating_sub(cpu);
        let (viewer, camera) = (window.viewer, window.camera);
        let sent = end.floor.sent - begin.floor.sent;
        let bytes_each = viewer.bytes as f64 / viewer.received.max(1) as f64;
        let cpu_pct = 100.0 * cpu.as_secs_f64() / took;
        let (user, sys) =
            (end.ticks.0.saturating_sub(begin.ticks.0), end.ticks.1.saturating_sub(begin.ticks.1));
        // The ticks tell how it is shared, the clock how much it is.
        let user_pct = cpu_pct * user.as_secs_f64() / (user + sys).as_secs_f64().max(1e-9);
        let server = ServerFigures {
            cpu_pct,
            user_pct,
            sys_pct: cpu_pct - user_pct,
            us_per_packet: cpu.as_secs_f64() * 1e6 / sent.max(1) as f64,
            mbit_per_core: sent as f64 * bytes_each * 8e-6 / cpu.as_secs_f64().max(1e-9),
            threads: 1,
            packets_in: end.floor.received - begin.floor.received,
            packets_out: sent,
            ..ServerFigures::default()
        };
        StepLine {
            step: Some(stage.number),
            server_name: NAME.to_owned(),
            seconds,
            viewers: u64::from(stage.viewers),
            viewers_ok: well,
            packets_in_per_s: camera.packets as f64 / seconds,
            mbit_in: camera.bytes as f64 * 8e-6 / seconds,
            packets_out_per_s: viewer.received as f64 / seconds,
            mbit_out: viewer.bytes as f64 * 8e-6 / seconds,
            loss_pct: viewer.loss_pct(),
            first_loss_pct: viewer.first_loss_pct(),
            opened_pct: viewer.opened_pct(),
            viewer,
            camera,
            joins: window.joins,
            frame_latency: window.frame_latency.figures(true),
            server: Some(server),
            driver_cpu_pct: 100.0 * own.as_secs_f64() / took,
            driver_cores: self.driver_cores,
            driver_late_pct: camera.late_pct(),
            load_average: machine::load_average(),
            cpu_pressure_pct: machine::cpu_pressure(),
            ..StepLine::default()
        }
    }

    /// Waits and shows how far the trial has come; returns whether it may go on.
    fn wait(&mut self, trial: &Trial, time: Duration, stop: &CancellationToken) -> bool {
        let until = Instant::now() + time;
        while !stop.is_cancelled() {
            let left = until.saturating_duration_since(Instant::now());
            let gone = trial.began.elapsed().as_secs().min(trial.seconds);
            if gone > trial.shown.replace(gone) {
                self.witness.prepare(&trial.told, gone, trial.seconds);
            }
            if left.is_zero() {
                return true;
            }
            std::thread::sleep(left.min(SHORTEST));
        }
        false
    }

    fn used(&self) -> Used {
        Used {
            at: Instant::now(),
            floor: self.floor.spent(),
            ticks: process::thread_times(self.floor.thread_id()).unwrap_or_default(),
            own: process::own_cpu(),
        }
    }

    fn fault(&mut self, text: String) {
        let at_s = self.began.elapsed().as_secs_f64();
        let code = "driver-overloaded".to_owned();
        self.write(Line::Fault(FaultLine { at_s, party: Party::Driver, code, text, count: 1 }));
    }

    fn write(&mut self, line: Line) {
        self.witness.line(&line);
        self.lines.push(line);
    }
}

/// A trial's time as one line: its packets are sorted by their frames, not by when they came.
fn second_of(line: &StepLine, at: Duration) -> SecondLine {
    SecondLine {
        at_s: at.as_secs_f64(),
        seconds: line.seconds,
        step: line.step,
        viewers: line.viewers,
        mbit_in: line.mbit_in,
        mbit_out: line.mbit_out,
        viewer: line.viewer,
        joins: line.joins,
        frame_latency: crate::measure::latency::LatencyFigures {
            buckets: Vec::new(),
            ..line.frame_latency.clone()
        },
        server: line.server.clone(),
        driver_cpu_pct: line.driver_cpu_pct,
    }
}

/// How long a packet may take before it counts as lost.
const GRACE: Duration = Duration::from_millis(500);
const SECOND: Duration = Duration::from_secs(1);
/// How often it looks whether it was stopped.
const SHORTEST: Duration = Duration::from_millis(20);
