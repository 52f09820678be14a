//! Lines as a run writes them, made by rule: for tests of what is told of them, and for the eye.

mod cases;

pub(crate) use cases::cases;

use crate::measure::latency::Latency;
use crate::measure::line::{
    Check, FaultLine, Line, Machine, Party, RunLine, SYNTHETIC, SecondLine, ServerFigures, StepLine, Verdict,
    VerdictLine,
};
use crate::measure::tally::{CameraTally, JoinTally, ViewerTally};

/// Packets a second of the camera.
const PACKETS: f64 = 300.0;
/// UDP payload bytes of a packet.
const BYTES: f64 = 1100.0;

/// A run to be made.
#[derive(Clone)]
pub(crate) struct Sample {
    pub(crate) scenario: String,
    pub(crate) server: String,
    pub(crate) steps: Vec<u64>,
    pub(crate) seconds: u64,
    /// CPU of the server for each viewer, percent of a core.
    pub(crate) cpu_each: f64,
    pub(crate) server_cores: Vec<u64>,
    /// CPU of the driver for each viewer, percent of a core.
    pub(crate) driver_each: f64,
    pub(crate) late_pct: f64,
    /// Median latency with no viewers, ms; it grows with them.
    pub(crate) base_ms: f64,
    /// From so many viewers on packets are lost, and so many percent.
    pub(crate) lost: Option<(u64, f64)>,
    pub(crate) socket_drops: u64,
    pub(crate) networks: Vec<(String, f64)>,
    pub(crate) checks: Vec<(&'static str, f64)>,
    pub(crate) faults: Vec<FaultLine>,
    pub(crate) interrupted: bool,
    pub(crate) watched: bool,
    pub(crate) sealed: bool,
}

impl Default for Sample {
    fn default() -> Self {
        Self {
            scenario: "one-camera-crowd".into(),
            server: "latchkey-server 0.1.0".into(),
            steps: vec![25, 50, 75, 100],
            seconds: 15,
            cpu_each: 0.08,
            server_cores: vec![1],
            driver_each: 0.31,
            late_pct: 0.02,
            base_ms: 1.1,
            lost: None,
            socket_drops: 0,
            networks: Vec::new(),
            checks: vec![
                ("loss_pct", 0.5),
                ("opened_pct", -99.0),
                ("p99_ms", 40.0),
                ("joins_failed", 0.0),
                ("viewers_ok", -100.0),
                ("us_per_packet", 12.0),
            ],
            faults: Vec::new(),
            interrupted: false,
            watched: true,
            sealed: true,
        }
    }
}

impl Sample {
    /// Returns its lines.
    pub(crate) fn lines(&self) -> Vec<Line> {
        let mut chance = Chance(7);
        let mut lines = vec![Line::Run(Box::new(self.run_line()))];
        let mut at_s = 0.0;
        let mut steps = Vec::new();
        for (index, viewers) in self.steps.iter().enumerate() {
            at_s += 2.0;
            let mut latency = Latency::default();
            for second in 0..self.seconds {
                at_s += 1.0;
                let line = self.second(at_s, index as u64, second, *viewers, &mut latency, &mut chance);
                lines.push(Line::Second(Box::new(line)));
            }
            let step = self.step(Some(index as u64), *viewers, &latency, &mut chance);
            lines.push(Line::Step(Box::new(step.clone())));
            steps.push((step, latency));
        }
        lines.extend(self.faults.iter().cloned().map(Line::Fault));
        if let Some((last, _)) = steps.last() {
            let mut latency = Latency::default();
            steps.iter().for_each(|(_, more)| latency.add(more));
            let whole = StepLine { step: None, frame_latency: latency.figures(true), ..last.clone() };
            lines.push(Line::Step(Box::new(whole)));
        }
        lines.push(Line::Verdict(Box::new(self.verdict(steps.last().map(|(step, _)| step)))));
        lines
    }

    fn run_line(&self) -> RunLine {
        RunLine {
            scenario: self.scenario.clone(),
            about: "One camera, and more and more people who watch it at once.".into(),
            started_at: 1_795_392_000,
            server: self.server.clone(),
            server_is_child: true,
            transport: "webrtc".into(),
            srtp: "SRTP AEAD_AES_128_GCM".into(),
            sealed: self.sealed,
            households: 2,
            cameras: 1,
            viewers: self.steps.iter().copied().max().unwrap_or(0),
            members: 60,
            fps: 30.0,
            packets_per_frame: 10.0,
            packet_bytes: 1100,
            mbit_per_camera: 2.64,
            gop: 60,
            shape: "burst".into(),
            content: SYNTHETIC.into(),
            opens_one_in: 1,
            player_delay_ms: 0.0,
            networks: self.networks.clone(),
            step_seconds: self.seconds as f64,
            max_loss_pct: None,
            max_p99_ms: None,
            server_cores: self.server_cores.clone(),
            driver_cores: vec![2],
            machine: Machine {
                cores: 4,
                processor: "A Processor of Some Make @ 2.6 GHz".into(),
                kernel: "6.12.0-cloud".into(),
                memory_mb: 15_900,
            },
        }
    }

    fn loss(&self, viewers: u64) -> f64 {
        self.lost.map_or(0.0, |(from, pct)| if viewers >= from { pct } else { 0.0 })
    }

    fn tally(&self, viewers: u64, seconds: f64) -> ViewerTally {
        let expected = (viewers as f64 * PACKETS * seconds) as u64;
        let loss = self.loss(viewers);
        let of = |pct: f64| (expected as f64 * pct / 100.0) as u64;
        let frames = (viewers as f64 * 30.0 * seconds) as u64;
        ViewerTally {
            expected,
            received: expected - of(loss),
            lost_first: of(loss * 1.8),
            repaired: of(loss * 0.8),
            repairs: of(loss * 0.9),
            repair_bytes: (of(loss * 0.9) as f64 * BYTES) as u64,
            media_bytes: (expected as f64 * BYTES) as u64,
            datagrams: expected,
            bytes: (expected as f64 * BYTES) as u64,
            frames_expected: frames,
            frames_opened: frames - (frames as f64 * (loss * 4.0).min(90.0) / 100.0) as u64,
            nacks: of(loss * 2.0),
            plis: viewers / 10,
            watched_us: (viewers as f64 * seconds * 1e6) as u64,
            frozen_us: (viewers as f64 * seconds * 1e4 * loss) as u64,
            frozen_at_once_us: (viewers as f64 * seconds * 4e4 * loss) as u64,
            ..ViewerTally::default()
        }
    }

    fn server(&self, viewers: u64) -> Option<ServerFigures> {
        let cpu_pct =
            (self.cpu_each * viewers as f64 + 1.5).min(100.0 * self.server_cores.len().max(1) as f64);
        let packets = viewers as f64 * PACKETS;
        self.watched.then(|| ServerFigures {
            cpu_pct,
            user_pct: cpu_pct * 0.34,
            sys_pct: cpu_pct * 0.66,
            us_per_packet: cpu_pct * 1e4 / packets,
            mbit_per_core: packets * BYTES * 8.0 / 1e6 / (cpu_pct / 100.0),
            switches_per_s: 900.0 + viewers as f64,
            rss_kb: 24_000 + viewers * 52,
            kb_per_viewer: 52.0,
            threads: 7,
            files: 31,
            packets_in: 4500,
            packets_out: (packets * self.seconds as f64) as u64,
            forward_p50_ms: 0.5,
            forward_p99_ms: 2.0,
            nacks: viewers,
            rtx: viewers,
            plis: 2,
            socket_drops: if self.loss(viewers) > 0.0 { self.socket_drops } else { 0 },
            ..ServerFigures::default()
        })
    }

    fn second(
        &self,
        at_s: f64,
        step: u64,
        second: u64,
        viewers: u64,
        latency: &mut Latency,
        chance: &mut Chance,
    ) -> SecondLine {
        let mut this = Latency::default();
        let middle = self.base_ms * (1.0 + viewers as f64 / 120.0) * (1.0 + 0.1 * chance.normal()).max(0.3);
        for _ in 0..600 {
            this.record((middle * 1000.0 * (0.45 * chance.normal()).exp()) as u64);
        }
        if second == 3 {
            this.record((middle * 9000.0) as u64);
        }
        latency.add(&this);
        let mbit_out = viewers as f64 * PACKETS * BYTES * 8.0 / 1e6 * (1.0 + 0.01 * chance.normal());
        SecondLine {
            at_s,
            seconds: 1.0,
            step: Some(step),
            viewers,
            mbit_in: 2.64,
            mbit_out,
            viewer: self.tally(viewers, 1.0),
            joins: JoinTally::default(),
            frame_latency: this.figures(false),
            server: self.server(viewers),
            driver_cpu_pct: self.driver_each * viewers as f64,
        }
    }

    fn step(&self, step: Option<u64>, viewers: u64, latency: &Latency, chance: &mut Chance) -> StepLine {
        let mut joins = Latency::default();
        (0..viewers.min(400)).for_each(|_| joins.record((70_000.0 * (0.4 * chance.normal()).exp()) as u64));
        let tally = self.tally(viewers, self.seconds as f64);
        let packets = viewers as f64 * PACKETS;
        StepLine {
            step,
            seconds: self.seconds as f64,
            viewers,
            viewers_ok: if self.loss(viewers) > 0.5 { viewers * 2 / 3 } else { viewers },
            packets_in_per_s: PACKETS,
            mbit_in: 2.64,
            packets_out_per_s: packets,
            mbit_out: packets * BYTES * 8.0 / 1e6,
            loss_pct: tally.loss_pct(),
            first_loss_pct: tally.first_loss_pct(),
            opened_pct: tally.opened_pct(),
            frozen_pct: tally.frozen_pct(),
            frozen_at_once_pct: tally.frozen_at_once_pct(),
            repair_pct: tally.repair_pct(),
            viewer: tally,
            camera: CameraTally {
                frames: 30 * self.seconds,
                packets: 300 * self.seconds,
                ..CameraTally::default()
            },
            joins: JoinTally {
                begun: viewers,
                seen: viewers,
                failed: if viewers < 100 {
                    0
                } else {
                    self.faults.iter().filter(|fault| fault.party == Party::Server).count() as u64
                },
                left: 0,
            },
            frame_latency: latency.figures(true),
            packet_latency: latency.figures(false),
            first_frame: joins.figures(true),
            server: self.server(viewers),
            driver_cpu_pct: self.driver_each * viewers as f64,
            driver_cores: 1,
            driver_late_pct: if self.late_pct > 5.0 && viewers < 100 { 0.1 } else { self.late_pct },
            load_average: 2.1,
            cpu_pressure_pct: Some(4.2),
            ..StepLine::default()
        }
    }

    fn verdict(&self, last: Option<&StepLine>) -> VerdictLine {
        let checks: Vec<Check> = last.map_or(Vec::new(), |last| {
            let measured = |name: &str| match name {
                "loss_pct" => last.loss_pct,
                "opened_pct" => last.opened_pct,
                "p99_ms" => last.frame_latency.p99_ms,
                "joins_failed" => last.joins.failed as f64,
                "viewers_ok" => last.viewers_ok as f64,
                _ => last.server.as_ref().map_or(-1.0, |server| server.us_per_packet),
            };
            let judged = self.checks.iter().map(|(name, bound)| {
                let (measured, least) = (measured(name), *bound < 0.0);
                Check {
                    name: (*name).into(),
                    asked: format!("{} {}", if least { ">=" } else { "<=" }, bound.abs()),
                    measured,
                    holds: measured >= 0.0 && if least { measured >= -bound } else { measured <= *bound },
                }
            });
            judged.collect()
        });
        let holds = checks.iter().all(|check| check.holds);
        let search = self.scenario == "breakpoint";
        VerdictLine {
            verdict: match () {
                () if self.interrupted || self.late_pct > 5.0 => Verdict::Inconclusive,
                () if holds => Verdict::Pass,
                () => Verdict::Fail,
            },
            viewers_ok: last.map_or(0, |last| last.viewers_ok),
            loss_pct: last.map_or(0.0, |last| last.loss_pct),
            opened: last.map_or(0, |last| last.viewer.frames_opened),
            expected: last.map_or(0, |last| last.viewer.frames_expected),
            p99_ms: last.map_or(0.0, |last| last.frame_latency.p99_ms),
            checks,
            limit: String::new(),
            interrupted: self.interrupted,
            last_good: search.then_some(325),
            first_bad: search.then_some(350),
        }
    }
}

/// Numbers that look like chance and are the same each time.
struct Chance(u64);

impl Chance {
    fn share(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as f64 + 1.0) / 2f64.powi(31)
    }

    fn normal(&mut self) -> f64 {
        let (a, b) = (self.share().min(1.0), self.share());
        (-2.0 * a.ln()).sqrt() * (std::f64::consts::TAU * b).cos()
    }
}
