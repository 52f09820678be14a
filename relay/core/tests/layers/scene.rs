//! A publisher of several layers, its room, and what its viewers can put together of what they got.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use latchkey_relay_core::{Event, Room, RoomConfig, SubscriberId, SubscriptionParams, TrackId, TrackParams};
use latchkey_wire::codec::Codec;
use latchkey_wire::dependency_descriptor::Mandatory;
use latchkey_wire::payload;

use crate::simulation::{self, Camera, FRAME, Log, Sent};

pub const VIEWER: u64 = 1;
pub const RIDS: [&str; 3] = ["l", "m", "h"];
/// What a path that holds nothing up is believed to carry.
pub const PLENTY: u64 = 10_000_000;

/// A publisher of some simulcast layers, its room, and what viewers got.
pub struct Scene {
    pub room: Room,
    pub now: Instant,
    pub log: Log,
    pub events: Vec<Event>,
    pub cameras: Vec<Camera>,
    pub tracks: Vec<TrackId>,
    /// Layer and number of every frame by its bytes.
    frames: BTreeMap<Vec<u8>, (usize, usize, bool)>,
    pub sent: usize,
    /// A key frame was asked of each layer.
    pub wanted: Vec<bool>,
    pub paused: Vec<bool>,
}

impl Scene {
    pub fn new(layers: usize, seed: u64) -> Self {
        let now = Instant::now() + Duration::from_secs(3600);
        let mut room = Room::new(RoomConfig::default());
        let cameras: Vec<_> = (0..layers).map(|layer| camera(layer, layers, seed)).collect();
        let mut tracks: Vec<TrackId> = Vec::new();
        for camera in &cameras {
            let params = TrackParams { first: tracks.first().copied(), pause: true, ..camera.params() };
            tracks.push(room.publish(params, now).unwrap());
        }
        Self {
            room,
            now,
            log: Log::default(),
            events: Vec::new(),
            cameras,
            tracks,
            frames: BTreeMap::new(),
            sent: 0,
            wanted: vec![true; layers],
            paused: vec![false; layers],
        }
    }

    pub fn join(&mut self, viewer: u64, wish: Option<u64>) {
        let params = SubscriptionParams { most_bits_per_second: wish, ..simulation::leg(viewer) };
        self.room.subscribe(SubscriberId(viewer), self.tracks[0], &params, self.now).unwrap();
        self.pass(Duration::ZERO);
    }

    /// One frame of every layer that is not paused. `fate` says of each packet in how many frames it comes; none when lost.
    pub fn frame(&mut self, late: &mut BTreeMap<usize, Vec<Vec<u8>>>, mut fate: impl FnMut(usize) -> usize) {
        let mut batch = late.remove(&self.sent).unwrap_or_default();
        for (layer, size) in SIZES.into_iter().enumerate().take(self.cameras.len()) {
            let camera = &mut self.cameras[layer];
            if self.paused[layer] {
                camera.timestamp = camera.timestamp.wrapping_add(3000);
                continue;
            }
            let key = std::mem::take(&mut self.wanted[layer]);
            let camera = &mut self.cameras[layer];
            if camera.temporal.is_some() {
                camera.temporal = Some(if key { 0 } else { (self.sent % 2) as u8 });
            }
            let frame = camera.frame(key, size);
            self.frames.insert(frame.wire, (layer, self.sent, key));
            for (index, packet) in frame.packets.into_iter().enumerate() {
                match fate(index) {
                    0 => batch.push(packet),
                    delay => late.entry(self.sent + delay).or_default().push(packet),
                }
            }
        }
        for packet in &batch {
            let _ = self.room.ingest(packet, self.now);
        }
        self.room.forward(self.now, &mut self.log);
        self.sent += 1;
        self.pass(FRAME);
    }

    pub fn seconds(&mut self, seconds: f64) {
        for _ in 0..(seconds * 30.0) as usize {
            self.frame(&mut BTreeMap::new(), |_| 0);
        }
    }

    /// Seconds in each of which a viewer says what its path carries.
    pub fn seconds_at(&mut self, kilobits: u64, seconds: usize) {
        for _ in 0..seconds {
            self.estimate(VIEWER, kilobits * 1000);
            self.seconds(1.0);
        }
    }

    pub fn pass(&mut self, duration: Duration) {
        let end = self.now + duration;
        loop {
            while let Some(event) = self.room.poll_event() {
                let layer = |track| self.tracks.iter().position(|id| *id == track);
                match event {
                    Event::KeyFrameWanted { track, .. } => self.wanted[layer(track).unwrap()] = true,
                    Event::PauseWanted { track, .. } => self.paused[layer(track).unwrap()] = true,
                    Event::ResumeWanted { track, .. } => {
                        let layer = layer(track).unwrap();
                        (self.paused[layer], self.wanted[layer]) = (false, true);
                    }
                    _ => {}
                }
                self.events.push(event);
            }
            let Some(due) = self.room.poll_timeout().filter(|&due| due <= end) else { break };
            self.now = self.now.max(due);
            self.room.handle_timeout(self.now, &mut self.log);
        }
        self.now = end;
    }

    pub fn key_frames_asked(&self) -> usize {
        let after = self.events.iter().filter(|event| matches!(event, Event::KeyFrameWanted { .. }));
        after.count()
    }

    pub fn estimate(&mut self, viewer: u64, bits_per_second: u64) {
        self.room.receiver_estimate(SubscriberId(viewer), bits_per_second, self.now);
    }

    /// The layers of the last whole frames that a viewer got, without repetitions.
    pub fn layers_of(&self, viewer: u64) -> Vec<usize> {
        let mut layers: Vec<usize> = self.pictures(viewer).iter().map(|picture| picture.layer).collect();
        layers.dedup();
        layers
    }

    /// Every frame that a viewer can put together, in order of its numbers.
    pub fn pictures(&self, viewer: u64) -> Vec<Picture> {
        let mut groups: Vec<(u32, Vec<&Sent>)> = Vec::new();
        for sent in self.log.by_number(viewer) {
            if sent.view().payload().is_empty() {
                continue;
            }
            let timestamp = sent.view().timestamp();
            match groups.last_mut().filter(|(last, _)| *last == timestamp) {
                Some((_, packets)) => packets.push(sent),
                None => groups.push((timestamp, vec![sent])),
            }
        }
        let mut pictures = Vec::new();
        let mut wire = Vec::new();
        for (timestamp, packets) in groups {
            let payloads = packets.iter().map(|sent| sent.view().payload());
            let whole = payload::assemble(CODEC, payloads, &mut wire).is_ok();
            if let Some(&(layer, index, key)) = self.frames.get(&wire).filter(|_| whole) {
                let number = packets[0]
                    .extension(DESCRIPTOR_ID)
                    .map(|bytes| Mandatory::read(bytes).unwrap().frame_number);
                pictures.push(Picture { layer, index, key, timestamp, number: number.unwrap() });
            }
        }
        pictures
    }
}

#[derive(Clone, Copy, Debug)]
pub struct Picture {
    pub layer: usize,
    pub index: usize,
    pub key: bool,
    pub timestamp: u32,
    pub number: u16,
}

pub fn camera(layer: usize, layers: usize, seed: u64) -> Camera {
    let mut camera = Camera::new(CODEC, seed.wrapping_add(layer as u64 * 7919));
    camera.kid = camera.kid >> 24 << 24 | [0, 3, 4][layer] << 16;
    camera.rid = (layers > 1).then_some(RIDS[layer]);
    camera
}

/// Numbers without repetition (the log checks it), times and frames only forward, another layer only at a key frame.
pub fn check(scene: &Scene, viewer: u64) {
    for pair in scene.log.by_number(viewer).windows(2) {
        let [before, after] = [pair[0].view(), pair[1].view()];
        let forward = after.timestamp().wrapping_sub(before.timestamp()) as i32;
        assert!(forward >= 0, "{forward} ticks from {:?} to {:?}", before.header(), after.header());
    }
    for pair in scene.pictures(viewer).windows(2) {
        let [before, after] = [pair[0], pair[1]];
        assert!(after.timestamp.wrapping_sub(before.timestamp) as i32 > 0, "{before:?} {after:?}");
        assert!(after.number.wrapping_sub(before.number) as i16 > 0, "{before:?} {after:?}");
        if before.layer != after.layer {
            assert!(after.key, "{before:?} {after:?}");
        } else {
            let apart = (after.index - before.index) as u16;
            let closes = after.key || after.number.wrapping_sub(before.number) == apart;
            assert!(closes, "a frame's number tells how far it is from those it needs: {before:?} {after:?}");
        }
    }
}

const DESCRIPTOR_ID: u8 = 12;
const CODEC: Codec = Codec::Vp8;
/// Bytes of a frame by layer: about 80, 270 and 800 kbit/s.
const SIZES: [usize; 3] = [300, 1_100, 3_300];
