//! Viewer by viewer: one train each per batch, nobody always last, everyone the same payloads.

#![allow(clippy::unwrap_used)]

mod simulation;

use std::collections::BTreeSet;

use latchkey_relay_core::{PublishError, RoomConfig, SubscribeError, SubscriberId, TrackId};
use latchkey_wire::codec::Codec;
use simulation::{Camera, Scene};

#[test]
fn each_viewer_has_one_train_per_batch_and_the_first_one_changes() {
    let mut scene = Scene::new(Camera::new(Codec::Vp8, 1));
    (0..5).for_each(|viewer| scene.join(viewer));
    scene.open();
    let mut firsts = BTreeSet::new();
    // However few the rounds, they are spread: after 13 each of five was first.
    for _ in 0..13 {
        scene.log.trains.clear();
        let packets = scene.make_frame(false, 900);
        scene.deliver(&packets);
        let trains = scene.log.trains.clone();
        assert_eq!(trains.iter().collect::<BTreeSet<_>>().len(), 5);
        assert_eq!(trains.len(), 5);
        firsts.insert(trains[0]);
    }
    assert_eq!(firsts.len(), 5);
}

#[test]
fn audio_and_video_of_a_viewer_share_a_train() {
    let mut scene = Scene::new(Camera::new(Codec::Vp8, 2));
    let mut microphone = Camera::new(Codec::Opus, 3);
    let mut params = microphone.params();
    params.payload_type = 111;
    params.rtx_payload_type = None;
    let audio = scene.room.publish(params, scene.now).unwrap();
    scene.join(1);
    let mut leg = simulation::leg(2);
    leg.ssrc = 77;
    scene.room.subscribe(SubscriberId(1), audio, &leg, scene.now).unwrap();
    for index in 0..12 {
        let mut packets = scene.make_frame(index == 0, 500);
        packets.extend(microphone.frame(false, 60).packets.into_iter().map(|mut packet| {
            packet[1] = packet[1] & 0x80 | 111;
            packet
        }));
        scene.log.trains.clear();
        scene.deliver(&packets);
        scene.pass(simulation::FRAME);
    }
    assert_eq!(scene.log.trains, [SubscriberId(1)]);
    assert!(scene.log.sent.iter().any(|sent| sent.ssrc == 77));
    assert!(!scene.log.media(1).is_empty());
}

#[test]
fn idle_viewers_cost_no_train() {
    let mut scene = Scene::new(Camera::new(Codec::Vp8, 4));
    (0..5).for_each(|viewer| scene.join(viewer));
    scene.deliver(&[]);
    assert_eq!(scene.log.trains, []);
}

#[test]
fn viewers_come_and_go_without_disturbing_each_other() {
    let mut scene = Scene::new(Camera::new(Codec::H264, 5));
    scene.open();
    for round in 0..30u64 {
        scene.join(round);
        if round >= 3 {
            scene.room.unsubscribe(SubscriberId(round - 3));
        }
        scene.frame(round % 10 == 0, 600);
    }
    assert_eq!(scene.room.subscriber_count(), 3);
    for viewer in 27..30 {
        assert!(scene.log.frames(Codec::H264, viewer).len() >= 30 - viewer as usize);
    }
    scene.room.unsubscribe(SubscriberId(1000));
    (27..30).for_each(|viewer| scene.room.unsubscribe(SubscriberId(viewer)));
    assert_eq!(scene.room.subscriber_count(), 0);
}

#[test]
fn limits_are_kept() {
    let config = RoomConfig { tracks: 1, subscribers: 2, ..RoomConfig::default() };
    let mut scene = Scene::with(Camera::new(Codec::Vp8, 6), config);
    let params = scene.camera.params();
    assert_eq!(scene.room.publish(params, scene.now), Err(PublishError::TooManyTracks));
    scene.join(1);
    scene.join(2);
    let (track, now) = (scene.track, scene.now);
    let mut subscribe =
        |viewer, track| scene.room.subscribe(SubscriberId(viewer), track, &simulation::leg(viewer), now);
    assert_eq!(subscribe(3, track), Err(SubscribeError::TooManySubscribers));
    assert_eq!(subscribe(1, track), Err(SubscribeError::AlreadySubscribed));
    assert_eq!(subscribe(1, TrackId(7)), Err(SubscribeError::UnknownTrack));
}

#[test]
fn counters_count() {
    let mut scene = Scene::new(Camera::new(Codec::Vp8, 7));
    (0..3).for_each(|viewer| scene.join(viewer));
    scene.open();
    let stats = scene.room.take_stats();
    let packets: usize = scene.frames.iter().map(|frame| frame.packets.len()).sum();
    let bytes: usize = scene.frames.iter().flat_map(|frame| &frame.packets).map(Vec::len).sum();
    assert_eq!((stats.packets_in, stats.bytes_in), (packets as u64, bytes as u64));
    assert_eq!(stats.packets_out, scene.log.sent.len() as u64);
    assert_eq!(stats.bytes_out, scene.log.sent.iter().map(|sent| sent.bytes.len() as u64).sum::<u64>());
    assert_eq!((stats.frames_in, stats.key_frames_in, stats.key_frame_waits), (8, 1, 3));
    assert_eq!(scene.room.take_stats(), Default::default());
}
