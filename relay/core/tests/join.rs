//! A viewer that joins at any time sees whole frames from a key frame on, in an unbroken line.

#![allow(clippy::unwrap_used)]

mod simulation;

use std::time::Duration;

use latchkey_relay_core::{Event, RoomConfig, StartedFrom, SubscriberId};
use latchkey_wire::codec::Codec;
use latchkey_wire::rtp::RtpView;
use proptest::prelude::*;
use simulation::{Camera, Frame, Log, Scene};

const VIEWER: u64 = 1;
/// Frames held until a track's shape is settled.
const HELD: usize = 8;

#[test]
fn a_viewer_in_the_middle_of_a_gop_gets_it_from_its_key_frame() {
    for codec in [Codec::H264, Codec::Vp8, Codec::Vp9, Codec::Av1] {
        let mut scene = Scene::new(Camera::new(codec, 1));
        scene.open();
        scene.frame(false, 700);
        let requests = scene.key_frames_wanted();
        scene.join(VIEWER);
        scene.frame(false, 700);
        scene.pass(Duration::from_millis(200));
        assert_eq!(seen(&scene, VIEWER), 10, "{codec}: from the key frame");
        assert_eq!(scene.key_frames_wanted(), requests, "{codec}: no new key frame needed");
        let from = StartedFrom::GopCache;
        let started = Event::ViewingStarted { subscriber: SubscriberId(VIEWER), track: scene.track, from };
        assert!(scene.events.contains(&started));
    }
}

#[test]
fn the_cached_packets_are_paced() {
    let mut scene = Scene::new(Camera::new(Codec::Vp8, 2));
    scene.open();
    for _ in 0..60 {
        scene.frame(false, 2000);
    }
    scene.join(VIEWER);
    let chunk = RoomConfig::default().catch_up_packets;
    assert_eq!(scene.log.media(VIEWER).len(), chunk);
    scene.pass(RoomConfig::default().catch_up_interval);
    assert_eq!(scene.log.media(VIEWER).len(), 2 * chunk);
    scene.pass(Duration::from_secs(1));
    assert_eq!(seen(&scene, VIEWER), scene.frames.len());
}

#[test]
fn a_crowd_shares_the_pace_and_is_live_in_two_seconds() {
    const CROWD: u64 = 300;
    let mut scene = Scene::new(Camera::new(Codec::Vp8, 3));
    scene.open();
    (0..40).for_each(|_| scene.frame(false, 1500));
    for viewer in 0..CROWD {
        scene.room.subscribe(SubscriberId(viewer), scene.track, &simulation::leg(viewer), scene.now).unwrap();
    }
    let before = scene.log.sent.len();
    scene.settle();
    let first_chunk = scene.log.sent.len() - before;
    assert!(
        first_chunk <= RoomConfig::default().catch_up_room_packets + CROWD as usize,
        "{first_chunk} at once"
    );
    (0..60).for_each(|_| scene.frame(false, 1500));
    for viewer in 0..CROWD {
        assert_eq!(seen(&scene, viewer), scene.frames.len());
    }
}

#[test]
fn viewers_who_keep_joining_are_each_live_in_half_a_second() {
    const EACH_FRAME: u64 = 4;
    const HALF_A_SECOND: u64 = 15;
    let mut scene = Scene::new(Camera::new(Codec::Vp8, 9));
    scene.open();
    (0..40).for_each(|_| scene.frame(false, 2_000));
    let requests = scene.key_frames_wanted();
    for frame in 0..30 {
        (0..EACH_FRAME).for_each(|one| scene.join(frame * EACH_FRAME + one));
        scene.frame(false, 2_000);
        if let Some(joined) = frame.checked_sub(HALF_A_SECOND) {
            for viewer in joined * EACH_FRAME..(joined + 1) * EACH_FRAME {
                assert_eq!(
                    seen(&scene, viewer),
                    scene.frames.len(),
                    "viewer {viewer} has all up to the newest"
                );
            }
        }
    }
    assert_eq!(scene.key_frames_wanted(), requests, "the kept pictures were enough");
}

#[test]
fn without_a_usable_key_frame_the_viewer_waits_for_the_next() {
    let config = RoomConfig { gop_age: Duration::from_millis(500), ..RoomConfig::default() };
    let mut scene = Scene::with(Camera::new(Codec::H264, 4), config);
    scene.open();
    scene.pass(Duration::from_secs(1));
    scene.join(VIEWER);
    assert_eq!(scene.key_frames_wanted(), 1);
    scene.frame(false, 500);
    assert_eq!(scene.log.media(VIEWER).len(), 0);
    scene.frame(true, 500);
    scene.frame(false, 500);
    assert_eq!(seen(&scene, VIEWER), 2);
}

#[test]
fn a_viewer_that_falls_out_of_the_history_starts_anew_without_a_gap() {
    let config = RoomConfig { video_packets: 64, catch_up_packets: 1, ..RoomConfig::default() };
    let mut scene = Scene::with(Camera::new(Codec::Vp8, 5), config);
    scene.open();
    scene.join(VIEWER);
    assert_eq!(scene.log.media(VIEWER).len(), 1);
    for index in 0..40 {
        let packets = scene.make_frame(index == 36, 1200);
        scene.deliver(&packets);
    }
    scene.pass(Duration::from_secs(2));
    scene.frame(false, 1200);
    scene.pass(Duration::from_secs(2));
    let sent = scene.log.seamless(VIEWER);
    let anew = sent.iter().skip(1).map(|sent| sent.view().payload().to_vec());
    let packets = scene.frames.iter().skip(8 + 36).flat_map(|frame| &frame.packets);
    let expected = packets.map(|packet| RtpView::parse(packet).unwrap().payload().to_vec());
    assert_eq!(anew.collect::<Vec<_>>(), expected.collect::<Vec<_>>());
}

#[test]
fn audio_starts_with_the_next_packet() {
    let mut scene = Scene::new(Camera::new(Codec::Opus, 6));
    for _ in 0..20 {
        scene.frame(false, 80);
    }
    scene.join(VIEWER);
    assert_eq!(scene.log.media(VIEWER).len(), 0, "nothing old");
    for _ in 0..5 {
        scene.frame(false, 80);
    }
    assert_eq!(seen(&scene, VIEWER), 5);
    assert_eq!(scene.key_frames_wanted(), 0);
}

#[test]
fn viewers_who_wait_for_the_publisher_get_its_first_frame() {
    let mut scene = Scene::new(Camera::new(Codec::Av1, 7));
    scene.join(VIEWER);
    scene.open();
    scene.pass(Duration::from_millis(200));
    assert_eq!(seen(&scene, VIEWER), 8);
}

/// How many of the last frames a viewer saw: all of the viewer's frames, whole, and nothing else.
fn seen(scene: &Scene, viewer: u64) -> usize {
    let frames = scene.log.frames(scene.camera.codec, viewer);
    let wires = wires(&scene.frames);
    assert_eq!(frames, wires[wires.len() - frames.len()..]);
    frames.len()
}

fn wires(frames: &[Frame]) -> Vec<Vec<u8>> {
    frames.iter().map(|frame| frame.wire.clone()).collect()
}

#[derive(Clone, Debug)]
struct Life {
    codec: Codec,
    /// Key frame or not, size, and how many packets of the frame come in its first batch.
    frames: Vec<(bool, usize, usize)>,
    /// Which frame, and whether before or between its two batches.
    joins: Vec<(usize, bool)>,
}

fn life() -> impl Strategy<Value = Life> {
    let codec = prop::sample::select(vec![Codec::H264, Codec::Vp8, Codec::Vp9, Codec::Av1, Codec::Opus]);
    let frames = prop::collection::vec((prop::bool::weighted(0.1), 40usize..3000, 0usize..16), 10..80);
    let joins = prop::collection::vec((0usize..80, any::<bool>()), 1..6);
    (codec, frames, joins).prop_map(|(codec, frames, joins)| Life { codec, frames, joins })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(96) })]

    #[test]
    fn whenever_they_join_they_see_an_unbroken_stream(life in life()) {
        let mut scene = Scene::new(Camera::new(life.codec, 8));
        for (index, &(key, len, first_batch)) in life.frames.iter().enumerate() {
            join_all(&mut scene, &life, (index, false));
            let len = if life.codec == Codec::Opus { len % 120 } else { len };
            let packets = scene.make_frame(key || index == 0, len);
            let (first, second) = packets.split_at(first_batch.min(packets.len()));
            scene.deliver(first);
            join_all(&mut scene, &life, (index, true));
            scene.deliver(second);
            scene.pass(simulation::FRAME);
        }
        scene.pass(Duration::from_secs(2));
        for (viewer, &(frame, _)) in life.joins.iter().enumerate() {
            let viewer = viewer as u64;
            check(&scene.log, &scene.frames, (viewer, life.codec, frame))?;
        }
    }
}

fn join_all(scene: &mut Scene, life: &Life, at: (usize, bool)) {
    for (viewer, _) in life.joins.iter().enumerate().filter(|(_, join)| **join == at) {
        scene.join(viewer as u64);
    }
}

/// Whole frames up to the last one, from a key frame no later than the first after the join.
fn check(
    log: &Log,
    frames: &[Frame],
    (viewer, codec, joined): (u64, Codec, usize),
) -> Result<(), TestCaseError> {
    let seen = if codec == Codec::Opus {
        log.seamless(viewer).iter().map(|sent| sent.view().payload().to_vec()).collect()
    } else {
        log.frames(codec, viewer)
    };
    let wires = wires(frames);
    prop_assert!(seen.len() <= wires.len());
    let first = wires.len() - seen.len();
    prop_assert_eq!(&seen[..], &wires[first..]);
    let media = log.media(viewer);
    prop_assert!(media.windows(2).all(|pair| pair[0].index < pair[1].index), "sent in order");
    if joined >= frames.len() {
        prop_assert_eq!(seen.len(), 0);
    } else if codec == Codec::Opus {
        prop_assert!(first <= (joined + 1).max(HELD));
    } else {
        prop_assert!(frames[first].key);
        let known = &frames[..frames.len().min((joined + 1).max(HELD))];
        let latest = known.iter().rposition(|frame| frame.key).unwrap_or(0);
        prop_assert!(first <= latest, "begins at frame {first}, not at the key frame {latest}");
    }
    Ok(())
}
