//! A camera, a bottleneck and a viewer that reports what came, in simulated time.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use latchkey_relay_core::bandwidth::{Arrivals, Path};
use latchkey_wire::rtcp::{Request, requests};
use str0m_netem::{Bitrate, DataSize, Input, Netem, NetemConfig, Output, WithLen};

pub(crate) const PACKET: usize = 1_100;
const STEP: Duration = Duration::from_millis(1);

#[derive(Clone)]
pub(crate) struct Packet {
    number: u16,
    len: usize,
}

impl WithLen for Packet {
    fn len(&self) -> usize {
        self.len
    }
}

/// A camera that sends what it sends, a path, and a viewer.
pub(crate) struct Scene {
    pub(crate) path: Path,
    pub(crate) link: Netem<Packet>,
    arrivals: Arrivals,
    /// Feedback on its way back.
    feedback: VecDeque<(Instant, Vec<u8>)>,
    /// What the camera made and the pacer has not let go yet.
    pub(crate) waiting: VecDeque<usize>,
    start: Instant,
    pub(crate) now: Instant,
    pub(crate) camera: u64,
    frame_due: Instant,
    pacer_due: Instant,
    pub(crate) came: u64,
    /// What legs would like to have; old packets are sent again to see whether it fits.
    pub(crate) wanted: u64,
    pub(crate) probes: usize,
}

pub(crate) fn link(bits_per_second: u64) -> NetemConfig {
    // A router's buffer of 200 ms.
    let buffer = DataSize::bytes((bits_per_second / 8 / 5) as i64);
    NetemConfig::new().latency(Duration::from_millis(20)).link(Bitrate::bps(bits_per_second), buffer)
}

impl Scene {
    pub(crate) fn new(camera: u64, config: NetemConfig) -> Self {
        let start = Instant::now();
        Self {
            path: Path::new(true, start),
            link: Netem::new(config),
            arrivals: Arrivals::new(),
            feedback: VecDeque::new(),
            waiting: VecDeque::new(),
            start,
            now: start,
            camera,
            frame_due: start,
            pacer_due: start,
            came: 0,
            wanted: 0,
            probes: 0,
        }
    }

    pub(crate) fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        while self.now < until {
            self.now += STEP;
            self.step();
        }
    }

    fn step(&mut self) {
        if self.now >= self.frame_due {
            self.frame_due += Duration::from_micros(33_333);
            let bytes = self.camera as usize / 8 / 30;
            self.waiting.extend(std::iter::repeat_n(PACKET, bytes / PACKET));
            self.waiting.push_back((bytes % PACKET).max(60));
            // A leg that is too far behind goes on elsewhere.
            while self.waiting.iter().sum::<usize>() > self.camera as usize / 16 {
                self.waiting.pop_front();
            }
        }
        if self.now >= self.pacer_due || !self.path.is_paced() {
            self.pacer_due = self.now + Duration::from_millis(5);
            self.path.begin(self.now);
            while !self.waiting.is_empty() && self.path.may_send() {
                let len = self.waiting.pop_front().unwrap();
                self.send(len);
            }
        }
        if self.path.wants_probe(self.wanted, self.now) {
            self.probes += 1;
            if !self.path.begin_probe(self.now) {
                (0..12).for_each(|_| self.send(PACKET));
            }
        }
        self.link.handle_input(Input::Timeout(self.now));
        while let Some(output) = self.link.poll_output() {
            if let Output::Packet(packet) = output {
                self.came += packet.len as u64;
                let at = Duration::from_secs(1_000_000) + (self.now - self.start);
                self.arrivals.arrived(packet.number, at, self.now);
            }
        }
        if self.arrivals.due().is_some_and(|due| due <= self.now) {
            let mut out = Vec::new();
            while self.arrivals.write(1, 2, &mut out) {}
            self.feedback.push_back((self.now + Duration::from_millis(20), out));
        }
        while self.feedback.front().is_some_and(|(at, _)| *at <= self.now) {
            let (_, bytes) = self.feedback.pop_front().unwrap();
            let _ = requests(&bytes, |request| {
                if let Request::Arrivals(feedback) = request {
                    let _ = self.path.feedback(&feedback, self.now);
                }
            });
        }
    }

    fn send(&mut self, len: usize) {
        let number = self.path.number().unwrap();
        self.path.sent(len, self.now);
        self.link.handle_input(Input::Packet(self.now, Packet { number, len }));
    }

    /// Bits per second.
    pub(crate) fn estimate(&self) -> u64 {
        self.path.estimate().map_or(0, |estimate| estimate.bits_per_second)
    }

    pub(crate) fn is_limited(&self) -> bool {
        self.path.estimate().is_some_and(|estimate| !estimate.limited_by_source)
    }

    /// The estimates of each tenth of a second.
    pub(crate) fn trace(&mut self, tenths: usize) -> Vec<u64> {
        let estimates = (0..tenths).map(|_| {
            self.pass(Duration::from_millis(100));
            self.estimate()
        });
        estimates.collect()
    }
}
