//! A viewer of a camera with one layer, on a path that becomes narrow, loses or becomes free, in simulated time: what it sees.

#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

mod simulation;

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use latchkey_relay_core::bandwidth::Arrivals;
use latchkey_relay_core::{Event, Room, RoomConfig, SubscriberId, SubscriptionParams};
use latchkey_wire::codec::Codec;
use latchkey_wire::extension::ExtensionKind;
use latchkey_wire::rtcp::{Request, requests};
use simulation::{Camera, Log, leg, media_ssrc};
use str0m_netem::{
    Bitrate, DataSize, Input, LossModel, Netem, NetemConfig, Output, Probability, RandomLoss, WithLen,
};

const VIEWER: u64 = 1;
const NUMBER_ID: u8 = 5;
const STEP: Duration = Duration::from_millis(1);
const FRAME: Duration = Duration::from_micros(33_333);
/// Frames from one key frame to the next at most.
const GOP: u64 = 120;

#[derive(Clone)]
struct Datagram(usize, usize);

impl WithLen for Datagram {
    fn len(&self) -> usize {
        self.1
    }
}

/// A camera of 2.5 Mbit/s, its room, a viewer's path, and a viewer that asks again for what it lost.
struct Scene {
    room: Room,
    camera: Camera,
    log: Log,
    link: Netem<Datagram>,
    arrivals: Arrivals,
    feedback: VecDeque<(Instant, Vec<u8>)>,
    start: Instant,
    now: Instant,
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

fn link(kilobits: u64, lost: f32) -> NetemConfig {
    let buffer = DataSize::bytes((kilobits * 1000 / 8 / 5) as i64);
    let path = NetemConfig::new().latency(Duration::from_millis(25)).link(Bitrate::kbps(kilobits), buffer);
    path.loss(LossModel::Random(RandomLoss::new(Probability::new(lost))))
}

impl Scene {
    fn new(config: NetemConfig) -> Self {
        let start = Instant::now() + Duration::from_secs(3600);
        let mut room = Room::new(RoomConfig::default());
        let mut camera = Camera::new(Codec::Vp8, 11);
        camera.max_payload = 1_100;
        let track = room.publish(camera.params(), start).unwrap();
        let mut params = leg(VIEWER);
        params.extensions.insert(ExtensionKind::TransportCc, NUMBER_ID).unwrap();
        let mut scene = Self {
            room,
            camera,
            log: Log::default(),
            link: Netem::new(config),
            arrivals: Arrivals::new(),
            feedback: VecDeque::new(),
            start,
            now: start,
            frame_due: start,
            frames: 0,
            key: true,
            sent: 0,
            whole: BTreeMap::new(),
            came: BTreeMap::new(),
            asked: BTreeMap::new(),
        };
        scene.pass(1.0);
        scene
            .room
            .subscribe(SubscriberId(VIEWER), track, &SubscriptionParams { ..params }, scene.now)
            .unwrap();
        scene
    }

    fn pass(&mut self, seconds: f64) {
        let until = self.now + Duration::from_secs_f64(seconds);
        while self.now < until {
            self.now += STEP;
            self.step();
        }
    }

    fn step(&mut self) {
        let now = self.now;
        if now >= self.frame_due {
            self.frame_due += FRAME;
            let key = std::mem::take(&mut self.key) || self.frames.is_multiple_of(GOP);
            self.frames += 1;
            for packet in self.camera.frame(key, if key { 40_000 } else { 10_000 }).packets {
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
        self.link.handle_input(Input::Timeout(now));
        while let Some(output) = self.link.poll_output() {
            if let Output::Packet(Datagram(place, _)) = output {
                self.arrive(place);
            }
        }
        self.report();
    }

    fn arrive(&mut self, place: usize) {
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
            self.feedback.push_back((now + Duration::from_millis(25), out));
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
        while self.feedback.front().is_some_and(|(at, _)| *at <= now) {
            let (_, bytes) = self.feedback.pop_front().unwrap();
            let _ = requests(&bytes, |request| {
                if let Request::Arrivals(feedback) = request {
                    self.room.transport_feedback(viewer, &feedback, now);
                }
            });
        }
    }

    /// Whole frames that came since then, and the longest time without one.
    fn seen(&self, since: Instant) -> (usize, Duration) {
        let whole = self.whole.values().filter(|(has, came, _)| has == came).map(|(.., at)| *at);
        let mut times: Vec<_> = whole.filter(|at| *at >= since).collect();
        times.sort();
        let frames = times.len();
        times.insert(0, since);
        times.push(self.now);
        (frames, times.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap())
    }

    fn estimate(&self) -> u64 {
        self.room.estimate(SubscriberId(VIEWER)).map_or(0, |estimate| estimate.bits_per_second / 1000)
    }

    fn has_key_frames_only(&self) -> bool {
        self.room.layers()[0].key_frames_only > 0
    }
}

#[test]
fn a_viewer_that_loses_a_tenth_or_a_fifth_at_random_sees_every_frame() {
    for lost in [0.10, 0.20] {
        let mut scene = Scene::new(link(50_000, lost));
        scene.pass(5.0);
        let since = scene.now;
        for _ in 0..60 {
            scene.pass(0.5);
            assert!(!scene.has_key_frames_only(), "{} kbit/s", scene.estimate());
        }
        let (frames, longest) = scene.seen(since);
        println!(
            "{:.0} % lost: {frames} of 900 frames, {longest:?} at most between two, {} kbit/s",
            lost * 100.0,
            scene.estimate()
        );
        assert!(frames > 880, "{frames} of 900");
    }
}

#[test]
fn a_narrow_path_leaves_key_frames_and_a_free_one_brings_the_rest_back() {
    for (narrow, spell) in [(500, 5.0), (500, 60.0), (1_200, 60.0), (200, 30.0)] {
        let mut scene = Scene::new(link(50_000, 0.0));
        scene.pass(5.0);
        scene.link.set_config(link(narrow, 0.0));
        scene.pass(2.0);
        let since = scene.now;
        scene.pass(spell);
        let (frames, longest) = scene.seen(since);
        println!(
            "{narrow} kbit/s for {spell} s: {frames} frames, {longest:?} at most between two, {} kbit/s",
            scene.estimate()
        );
        assert!(longest < FRAME * GOP as u32 + Duration::from_secs(2), "{longest:?} without a frame");
        scene.link.set_config(link(50_000, 0.0));
        let freed = scene.now;
        while scene.has_key_frames_only() {
            scene.pass(0.05);
            assert!(scene.now - freed < Duration::from_secs(7));
        }
        println!("freed: every frame after {:?}", scene.now - freed);
        let back = scene.now;
        scene.pass(3.0);
        assert!(scene.seen(back).0 > 80, "{:?}", scene.seen(back));
    }
}

#[test]
fn a_path_that_nearly_carries_the_stream_is_not_left_with_key_frames() {
    let mut scene = Scene::new(link(50_000, 0.0));
    scene.pass(5.0);
    scene.link.set_config(link(2_600, 0.0));
    let since = scene.now;
    let mut thin = 0;
    for _ in 0..600 {
        scene.pass(0.1);
        thin += usize::from(scene.has_key_frames_only());
    }
    let (frames, longest) = scene.seen(since);
    println!(
        "2.4 Mbit/s over 2.6: {frames} of 1800 frames, {longest:?} at most between two, {thin} of 600 tenths with key frames only"
    );
    assert!(frames > 900 && longest < Duration::from_secs(6));
}
