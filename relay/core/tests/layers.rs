//! Simulcast and temporal layers: whatever a viewer is switched to, its numbers, times and frames go on.

#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

mod simulation;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use latchkey_relay_core::{Event, Room, RoomConfig, SubscriberId, TrackId, TrackParams};
use latchkey_wire::codec::Codec;
use latchkey_wire::dependency_descriptor::Mandatory;
use latchkey_wire::payload;
use proptest::prelude::*;
use simulation::{Camera, FRAME, Log, Sent};

const VIEWER: u64 = 1;
const DESCRIPTOR_ID: u8 = 12;
const CODEC: Codec = Codec::Vp8;
/// Bytes of a frame by layer: about 80, 270 and 800 kbit/s.
const SIZES: [usize; 3] = [300, 1_100, 3_300];
const RIDS: [&str; 3] = ["l", "m", "h"];

/// What a path that holds nothing up is believed to carry.
const PLENTY: u64 = 10_000_000;

/// A publisher of some simulcast layers, its room, and what viewers got.
struct Scene {
    room: Room,
    now: Instant,
    log: Log,
    events: Vec<Event>,
    cameras: Vec<Camera>,
    tracks: Vec<TrackId>,
    /// Layer and number of every frame by its bytes.
    frames: BTreeMap<Vec<u8>, (usize, usize, bool)>,
    sent: usize,
    /// A key frame was asked of each layer.
    wanted: Vec<bool>,
    paused: Vec<bool>,
}

impl Scene {
    fn new(layers: usize, seed: u64) -> Self {
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

    fn join(&mut self, viewer: u64, wish: Option<u64>) {
        let params =
            latchkey_relay_core::SubscriptionParams { most_bits_per_second: wish, ..simulation::leg(viewer) };
        self.room.subscribe(SubscriberId(viewer), self.tracks[0], &params, self.now).unwrap();
        self.pass(Duration::ZERO);
    }

    /// One frame of every layer that is not paused. `fate` says of each packet in how many frames it comes; none when lost.
    fn frame(&mut self, late: &mut BTreeMap<usize, Vec<Vec<u8>>>, mut fate: impl FnMut(usize) -> usize) {
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

    fn seconds(&mut self, seconds: f64) {
        for _ in 0..(seconds * 30.0) as usize {
            self.frame(&mut BTreeMap::new(), |_| 0);
        }
    }

    /// Seconds in each of which a viewer says what its path carries.
    fn seconds_at(&mut self, kilobits: u64, seconds: usize) {
        for _ in 0..seconds {
            self.estimate(VIEWER, kilobits * 1000);
            self.seconds(1.0);
        }
    }

    fn pass(&mut self, duration: Duration) {
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

    fn estimate(&mut self, viewer: u64, bits_per_second: u64) {
        self.room.receiver_estimate(SubscriberId(viewer), bits_per_second, self.now);
    }

    /// The layers of the last whole frames that a viewer got, without repetitions.
    fn layers_of(&self, viewer: u64) -> Vec<usize> {
        let mut layers: Vec<usize> = self.pictures(viewer).iter().map(|picture| picture.layer).collect();
        layers.dedup();
        layers
    }

    /// Every frame that a viewer can put together, in order of its numbers.
    fn pictures(&self, viewer: u64) -> Vec<Picture> {
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
struct Picture {
    layer: usize,
    index: usize,
    key: bool,
    timestamp: u32,
    number: u16,
}

fn camera(layer: usize, layers: usize, seed: u64) -> Camera {
    let mut camera = Camera::new(CODEC, seed.wrapping_add(layer as u64 * 7919));
    camera.kid = camera.kid >> 24 << 24 | [0, 3, 4][layer] << 16;
    camera.rid = (layers > 1).then_some(RIDS[layer]);
    camera
}

/// Numbers without repetition (the log checks it), times and frames only forward, another layer only at a key frame.
fn check(scene: &Scene, viewer: u64) {
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

#[test]
fn an_unhindered_viewer_gets_the_top_layer_and_one_who_wishes_less_gets_less() {
    let mut scene = Scene::new(3, 1);
    scene.seconds(1.5);
    for (viewer, wish) in [(1, None), (2, Some(400_000)), (3, Some(10_000))] {
        scene.join(viewer, wish);
    }
    scene.seconds(2.0);
    assert_eq!([1, 2, 3].map(|viewer| scene.layers_of(viewer)), [vec![2], vec![1], vec![0]]);
    for viewer in 1..=3 {
        check(&scene, viewer);
        scene.log.seamless(viewer);
        let pictures = scene.pictures(viewer);
        assert!(pictures[0].key);
        assert!(pictures.windows(2).all(|pair| pair[1].index == pair[0].index + 1), "every frame");
        assert_eq!(pictures.last().unwrap().index + 1, scene.sent);
    }
    let layers = scene.room.layers();
    assert_eq!(layers.iter().map(|layer| layer.legs).collect::<Vec<_>>(), [1, 1, 1]);
    assert_eq!(layers.iter().map(|layer| layer.rid.unwrap().as_str().to_owned()).collect::<Vec<_>>(), RIDS);
}

#[test]
fn layers_offered_in_the_other_order_are_put_in_order() {
    let mut scene = Scene::new(3, 2);
    scene.cameras.reverse();
    for (layer, camera) in scene.cameras.iter_mut().enumerate() {
        camera.rid = Some(RIDS[2 - layer]);
    }
    scene.tracks.reverse();
    let first = scene.tracks[2];
    scene.seconds(4.0);
    scene.tracks.reverse();
    assert_eq!(scene.tracks[0], first);
    scene.join(VIEWER, None);
    scene.tracks.reverse();
    scene.seconds(1.0);
    assert_eq!(scene.layers_of(VIEWER), [2], "the one that takes most");
    let rates: Vec<_> = scene.room.layers().iter().map(|layer| layer.bits_per_second).collect();
    assert!(rates.is_sorted(), "{rates:?}");
}

#[test]
fn short_of_bandwidth_a_viewer_goes_down_to_key_frames_and_up_again() {
    let mut scene = Scene::new(3, 3);
    scene.seconds(1.5);
    scene.join(VIEWER, None);
    scene.estimate(VIEWER, PLENTY);
    scene.seconds(1.0);
    for (kilobits, layer) in [(2_000, 2), (400, 1), (150, 0)] {
        scene.seconds_at(kilobits, 4);
        assert_eq!(scene.pictures(VIEWER).last().unwrap().layer, layer, "at {kilobits} kbit/s");
    }
    scene.seconds_at(30, 2);
    let before = scene.pictures(VIEWER).len();
    scene.seconds_at(30, 12);
    let pictures = scene.pictures(VIEWER);
    let thin = &pictures[before..];
    assert!(
        thin.len() >= 2 && thin.iter().all(|picture| picture.key),
        "key frames, and never a stall: {thin:?}"
    );
    scene.seconds_at(2_000, 15);
    let pictures = scene.pictures(VIEWER);
    assert_eq!(pictures.last().unwrap().layer, 2);
    check(&scene, VIEWER);
    scene.log.seamless(VIEWER);
    let stats = scene.room.take_stats();
    assert!(stats.layers_down >= 3 && stats.layers_up >= 1, "{stats:?}");
}

#[test]
fn temporal_layers_go_at_once_and_their_numbers_close() {
    let mut scene = Scene::new(1, 4);
    scene.cameras[0].temporal = Some(0);
    scene.seconds(2.5);
    scene.join(VIEWER, None);
    scene.estimate(VIEWER, PLENTY);
    scene.seconds(1.0);
    let full = scene.room.layers()[0];
    assert_eq!(full.temporal_layers, 2);
    let before = scene.pictures(VIEWER).len();
    let start = scene.sent;
    scene.seconds_at(full.bits_per_second * 3 / 4 / 1000, 3);
    let pictures = scene.pictures(VIEWER);
    let base: Vec<_> = pictures[before..].iter().filter(|picture| picture.index > start + 40).collect();
    assert!(base.len() > 15 && base.iter().all(|picture| picture.index % 2 == 0), "{base:?}");
    assert_eq!(scene.key_frames_asked(), 0, "no key frame for that");
    scene.seconds_at(10_000, 4);
    let pictures = scene.pictures(VIEWER);
    assert!(pictures[pictures.len() - 20..].windows(2).all(|pair| pair[1].index == pair[0].index + 1));
    check(&scene, VIEWER);
    scene.log.seamless(VIEWER);
}

#[test]
fn a_layer_that_nobody_watches_is_paused_and_resumed_for_who_wants_it() {
    let mut scene = Scene::new(3, 5);
    scene.seconds(1.5);
    scene.join(1, Some(100_000));
    scene.seconds(7.0);
    assert_eq!(scene.paused, [false, true, true], "the smallest stays");
    assert_eq!(scene.room.layers().iter().map(|layer| layer.paused).collect::<Vec<_>>(), [false, true, true]);
    scene.join(2, None);
    scene.seconds(2.0);
    assert_eq!(scene.paused, [false, true, false]);
    assert_eq!(scene.layers_of(2), [0, 2], "the small picture at once, then the large one");
    check(&scene, 2);
    scene.room.unsubscribe(SubscriberId(2));
    scene.seconds(7.0);
    assert_eq!(scene.paused, [false, true, true]);
    let paused: Vec<u16> = scene
        .events
        .iter()
        .filter_map(|event| match event {
            Event::PauseWanted { track, pause_id, .. } if *track == scene.tracks[2] => Some(*pause_id),
            _ => None,
        })
        .collect();
    assert_eq!(paused, [0, 1], "each pause has its name");
}

#[test]
fn a_layer_that_dries_up_is_left() {
    let mut scene = Scene::new(3, 6);
    scene.seconds(1.5);
    scene.join(VIEWER, None);
    scene.seconds(1.0);
    scene.paused[2] = true;
    scene.seconds(3.0);
    assert_eq!(scene.layers_of(VIEWER), [2, 1]);
    scene.paused[2] = false;
    scene.seconds(3.0);
    assert_eq!(scene.layers_of(VIEWER), [2, 1, 2]);
    check(&scene, VIEWER);
    scene.log.seamless(VIEWER);
}

#[test]
fn repairs_are_of_the_layer_that_was_sent() {
    let mut scene = Scene::new(3, 7);
    scene.seconds(1.5);
    scene.join(VIEWER, None);
    scene.estimate(VIEWER, PLENTY);
    scene.seconds(0.5);
    scene.seconds_at(400, 3);
    assert_eq!(scene.layers_of(VIEWER), [2, 1]);
    let sent: Vec<_> = scene.log.by_number(VIEWER).into_iter().cloned().collect();
    let crossing = sent.iter().position(|sent| {
        let view = sent.view();
        scene
            .pictures(VIEWER)
            .iter()
            .any(|picture| picture.layer == 1 && picture.timestamp == view.timestamp())
    });
    let around = &sent[crossing.unwrap() - 4..crossing.unwrap() + 4];
    let lost: Vec<u16> = around.iter().map(|sent| sent.index as u16).collect();
    scene.room.nack(SubscriberId(VIEWER), simulation::media_ssrc(VIEWER), lost, scene.now, &mut scene.log);
    let repairs = scene.log.repairs(VIEWER);
    assert_eq!(repairs.len(), 8);
    for (repair, sent) in repairs.iter().zip(around) {
        let (repair, sent_view) = (repair.view(), sent.view());
        assert_eq!(repair.payload()[2..], *sent_view.payload());
        assert_eq!((repair.timestamp(), repair.marker()), (sent_view.timestamp(), sent_view.marker()));
    }
}

impl Scene {
    fn key_frames_asked(&self) -> usize {
        let after = self.events.iter().filter(|event| matches!(event, Event::KeyFrameWanted { .. }));
        after.count()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(24) })]

    /// Any estimates, loss repaired late, reordering and restarts, with temporal layers in every simulcast layer: no number
    /// twice, none without its packet once the loss is repaired, times and frame numbers only forward, another layer only from its key frame.
    #[test]
    fn numbers_and_times_go_on_under_any_switch(
        seed: u64,
        layers in 1usize..=3,
        temporal: bool,
        seconds in prop::collection::vec((20u64..2_000, 0u8..12, any::<u64>()), 4..14),
    ) {
        let mut scene = Scene::new(layers, seed);
        let temporal = temporal.then_some(0);
        scene.cameras.iter_mut().for_each(|camera| camera.temporal = temporal);
        scene.join(VIEWER, None);
        scene.estimate(VIEWER, PLENTY);
        let mut late = BTreeMap::new();
        for (kilobits, rare, noise) in seconds {
            if rare == 0 {
                // What is on its way comes before its publisher goes.
                while !late.is_empty() {
                    scene.frame(&mut late, |_| 0);
                }
                for layer in 0..layers {
                    scene.cameras[layer] = camera(layer, layers, noise);
                    scene.cameras[layer].temporal = temporal;
                    let first = (layer > 0).then_some(scene.tracks[0]);
                    let params = TrackParams { first, pause: true, ..scene.cameras[layer].params() };
                    scene.room.replace(scene.tracks[layer], params).unwrap();
                    (scene.wanted[layer], scene.paused[layer]) = (true, false);
                }
            }
            scene.estimate(VIEWER, kilobits * 1000);
            let mut noise = noise | 1;
            for _ in 0..30 {
                scene.frame(&mut late, |index| {
                    noise ^= noise << 13;
                    noise ^= noise >> 7;
                    noise ^= noise << 17;
                    // The first packet of a key frame must be there for it to be one.
                    if index > 0 && noise % 16 == 0 { 1 + (noise >> 32) as usize % 3 } else { 0 }
                });
            }
        }
        for _ in 0..8 {
            scene.frame(&mut late, |_| 0);
        }
        scene.pass(Duration::from_secs(1));
        check(&scene, VIEWER);
        scene.log.seamless(VIEWER);
        prop_assert!(scene.pictures(VIEWER).len() > 10);
    }
}
