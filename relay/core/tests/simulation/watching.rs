//! A viewer's way from its camera, in simulated time: a camera, its room, a path that may lose, delay and stop, repairs.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use latchkey_relay_core::bandwidth::Arrivals;
use latchkey_relay_core::{Event, Room, RoomConfig, SubscriberId};
use latchkey_wire::codec::Codec;
use latchkey_wire::extension::ExtensionKind;
use latchkey_wire::rtcp::{Request, requests};
use str0m_netem::{
    Bitrate, DataSize, Input, LossModel, Netem, NetemConfig, Output, Probability, RandomLoss, WithLen,
};

use super::{Camera, Log, leg, media_ssrc};

const VIEWER: u64 = 1;
const NUMBER_ID: u8 = 5;
const STEP: Duration = Duration::from_millis(1);

/// What a camera sends.
#[derive(Clone, Copy)]
pub struct Source {
    /// From one frame to the next.
    pub frame: Duration,
    /// Frames from one key frame to the next at most.
    pub gop: u64,
    /// Bytes of a key frame and of another.
    pub key: usize,
    pub delta: usize,
}

/// 2.5 Mbit/s.
pub const USUAL: Source =
    Source { frame: Duration::from_micros(33_333), gop: 120, key: 40_000, delta: 10_000 };
/// A still picture: 100 kbit/s, of which much is key frames.
pub const STILL: Source = Source { frame: Duration::from_millis(40), gop: 50, key: 7_100, delta: 280 };

#[derive(Clone)]
pub struct Datagram(usize, usize);

impl WithLen for Datagram {
    fn len(&self) -> usize {
        self.1
    }
}

/// A camera, its room, a viewer's path, and a viewer that asks again for what it lost.
pub struct Watching {
    pub room: Room,
    pub now: Instant,
    /// From the relay to the viewer.
    pub link: Netem<Datagram>,
    /// The whole path stands still for so long, on average this often.
    pub stalls: Option<(Duration, Duration)>,
    /// The camera sends nothing any more.
    pub stops: bool,
    /// When a packet came last, whatever it was, and the longest time without one.
    pub heard: Instant,
    pub silent: Duration,
    source: Source,
    camera: Camera,
    log: Log,
    arrivals: Arrivals,
    /// Feedback on its way back, and what that way does to it.
    feedback: Netem<Vec<u8>>,
    chance: u64,
    stalled_until: Instant,
    start: Instant,
    frame_due: Instant,
    frames: u64,
    key: bool,
    /// Packets of the log that went onto the path.
    sent: usize,
    /// Packets that each frame has by its timestamp on the viewer's line, and when the last of them came.
    whole: BTreeMap<u32, (usize, usize, Instant)>,
    came: BTreeMap<u64, Instant>,
    asked: BTreeMap<u64, (Instant, u8)>,
}

/// A path of 25 ms with a router's buffer of 200 ms, which loses this part at random.
pub fn link(kilobits: u64, lost: f32) -> NetemConfig {
    let buffer = DataSize::bytes((kilobits * 1000 / 8 / 5) as i64);
    let path = NetemConfig::new().latency(Duration::from_millis(25)).link(Bitrate::kbps(kilobits), buffer);
    path.loss(LossModel::Random(RandomLoss::new(Probability::new(lost))))
}

impl Watching {
    /// A viewer of a camera of [`USUAL`] size.
    pub fn new(link: NetemConfig) -> Self {
        let back = NetemConfig::new().latency(Duration::from_millis(25));
        Self::with(USUAL, link, back, 1)
    }

    /// `link` is the way to the viewer, `back` that of its feedback; chance begins with `seed`.
    pub fn with(source: Source, link: NetemConfig, back: NetemConfig, seed: u64) -> Self {
        let start = Instant::now() + Duration::from_secs(3600);
        let mut room = Room::new(RoomConfig::default());
        let mut camera = Camera::new(Codec::Vp8, 11);
        camera.max_payload = 1_100;
        let track = room.publish(camera.params(), start).unwrap();
        let mut params = leg(VIEWER);
        params.extensions.insert(ExtensionKind::TransportCc, NUMBER_ID).unwrap();
        let mut watching = Self {
            room,
            source,
            camera,
            log: Log::default(),
            link: Netem::new(link.seed(seed)),
            stalls: None,
            arrivals: Arrivals::new(),
            feedback: Netem::new(back.seed(!seed)),
            chance: seed | 1 << 40,
            stalled_until: start,
            start,
            now: start,
            frame_due: start,
            frames: 0,
            key: true,
            sent: 0,
            whole: BTreeMap::new(),
            came: BTreeMap::new(),
            asked: BTreeMap::new(),
            heard: start,
            silent: Duration::ZERO,
            stops: false,
        };
        watching.pass(1.0);
        watching.room.subscribe(SubscriberId(VIEWER), track, &params, watching.now).unwrap();
        watching.heard = watching.now;
        watching
    }

    /// Lets time pass.
    pub fn pass(&mut self, seconds: f64) {
        let until = self.now + Duration::from_secs_f64(seconds);
        while self.now < until {
            self.now += STEP;
            self.step();
        }
    }

    fn step(&mut self) {
        let now = self.now;
        if now >= self.frame_due && !self.stops {
            self.frame_due += self.source.frame;
            let key = std::mem::take(&mut self.key) || self.frames.is_multiple_of(self.source.gop);
            self.frames += 1;
            let len = if key { self.source.key } else { self.source.delta };
            for packet in self.camera.frame(key, len).packets {
                let _ = self.room.ingest(&packet, now);
            }
            self.room.forward(now, &mut self.log);
        }
        if self.room.poll_timeout().is_some_and(|due| due <= now) {
            self.room.handle_timeout(now, &mut self.log);
        }
        while let Some(event) = self.room.poll_event() {
            self.key |= matches!(event, Event::KeyFrameWanted { .. });
        }
        while let Some(sent) = self.log.sent.get(self.sent) {
            if sent.ssrc == media_ssrc(VIEWER) {
                let timestamp = sent.view().timestamp();
                self.whole.entry(timestamp).or_insert((0, 0, now)).0 += 1;
            }
            let datagram = Datagram(self.sent, sent.bytes.len());
            self.link.handle_input(Input::Packet(now, datagram));
            self.sent += 1;
        }
        if self.is_stalled() {
            return;
        }
        self.link.handle_input(Input::Timeout(now));
        while let Some(output) = self.link.poll_output() {
            if let Output::Packet(Datagram(place, _)) = output {
                self.arrive(place);
            }
        }
        self.report();
    }

    fn is_stalled(&mut self) -> bool {
        let Some((every, length)) = self.stalls else { return false };
        self.chance ^= self.chance << 13;
        self.chance ^= self.chance >> 7;
        self.chance ^= self.chance << 17;
        if self.now >= self.stalled_until && self.chance.is_multiple_of(every.as_millis() as u64) {
            self.stalled_until = self.now + length;
        }
        self.now < self.stalled_until
    }

    fn arrive(&mut self, place: usize) {
        self.silent = self.silent.max(self.now - self.heard);
        self.heard = self.now;
        let sent = &self.log.sent[place];
        let number = sent.extension(NUMBER_ID).unwrap();
        let at = Duration::from_secs(1_000_000) + (self.now - self.start);
        self.arrivals.arrived(u16::from_be_bytes(number.try_into().unwrap()), at, self.now);
        let index = if sent.ssrc == media_ssrc(VIEWER) {
            sent.index
        } else {
            // A repair: the number of what it repeats leads.
            let payload = sent.view().payload();
            let newest = self.came.last_key_value().map_or(0, |(index, _)| *index);
            let back = (newest as u16).wrapping_sub(u16::from_be_bytes([payload[0], payload[1]])) as i16;
            newest.wrapping_sub(i64::from(back) as u64)
        };
        let timestamp = sent.view().timestamp();
        if self.came.insert(index, self.now).is_none()
            && let Some(frame) = self.whole.get_mut(&timestamp)
        {
            (frame.1, frame.2) = (frame.1 + 1, self.now);
        }
    }

    fn report(&mut self) {
        let now = self.now;
        let viewer = SubscriberId(VIEWER);
        if self.arrivals.due().is_some_and(|due| due <= now) {
            let mut out = Vec::new();
            while self.arrivals.write(1, 2, &mut out) {}
            self.feedback.handle_input(Input::Packet(now, out));
            // It asks again for what is missing among the last 200, each at most ten times, 80 ms apart.
            let newest = self.came.last_key_value().map_or(0, |(index, _)| *index);
            let first =
                self.came.first_key_value().map_or(0, |(index, _)| *index).max(newest.saturating_sub(200));
            let mut lost = Vec::new();
            for index in (first..newest).filter(|index| !self.came.contains_key(index)) {
                let (asked, times) = self.asked.entry(index).or_insert((now - Duration::from_secs(1), 0));
                if now - *asked >= Duration::from_millis(80) && *times < 10 {
                    (*asked, *times) = (now, *times + 1);
                    lost.push(index as u16);
                }
            }
            self.room.nack(viewer, media_ssrc(VIEWER), lost, now, &mut self.log);
        }
        self.feedback.handle_input(Input::Timeout(now));
        while let Some(output) = self.feedback.poll_output() {
            let Output::Packet(bytes) = output else { continue };
            let _ = requests(&bytes, |request| {
                if let Request::Arrivals(feedback) = request {
                    self.room.transport_feedback(viewer, &feedback, now);
                }
            });
        }
    }

    /// Whole frames that came since then, and the longest time without one.
    pub fn seen(&self, since: Instant) -> (usize, Duration) {
        let whole = self.whole.values().filter(|(has, came, _)| has == came).map(|(.., at)| *at);
        let mut times: Vec<_> = whole.filter(|at| *at >= since).collect();
        times.sort();
        let frames = times.len();
        times.insert(0, since);
        times.push(self.now);
        (frames, times.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap())
    }

    /// Kilobits a second.
    pub fn estimate(&self) -> u64 {
        self.room.estimate(SubscriberId(VIEWER)).map_or(0, |estimate| estimate.bits_per_second / 1000)
    }

    pub fn has_key_frames_only(&self) -> bool {
        self.room.layers()[0].key_frames_only > 0
    }
}
