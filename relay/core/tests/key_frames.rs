//! Key frames are asked for rarely: merged over all viewers, capped per viewer, and not at all when the cache will do.

#![allow(clippy::unwrap_used)]

mod simulation;

use std::time::Duration;

use latchkey_relay_core::{DropReason, Event, SubscriberId};
use latchkey_wire::codec::Codec;
use simulation::{Camera, Scene};

fn scene(viewers: u64) -> Scene {
    let mut scene = Scene::new(Camera::new(Codec::H264, 1));
    (0..viewers).for_each(|viewer| scene.join(viewer));
    scene.open();
    scene.pass(Duration::from_millis(100));
    scene.events.clear();
    scene.room.take_stats();
    scene
}

fn ask(scene: &mut Scene, viewer: u64) {
    scene.room.key_frame_requested(SubscriberId(viewer), simulation::media_ssrc(viewer), scene.now);
    scene.settle();
}

#[test]
fn a_hundred_viewers_are_one_request_a_second() {
    let mut scene = scene(100);
    for _ in 0..3 {
        (0..100).for_each(|viewer| ask(&mut scene, viewer));
        scene.pass(Duration::from_millis(1000));
    }
    assert_eq!(scene.key_frames_wanted(), 3);
    let stats = scene.room.take_stats();
    assert_eq!((stats.key_frame_requests_received, stats.key_frame_requests_sent), (300, 3));
}

#[test]
fn the_request_names_the_cameras_ssrc() {
    let mut scene = scene(1);
    ask(&mut scene, 0);
    let wanted = Event::KeyFrameWanted { track: scene.track, ssrc: scene.camera.ssrc };
    assert_eq!(scene.events, [wanted]);
}

#[test]
fn what_a_key_frame_took_is_told_once() {
    let mut scene = scene(2);
    ask(&mut scene, 0);
    scene.pass(Duration::from_millis(150));
    // Merged into the first request, which the wait counts from.
    ask(&mut scene, 1);
    scene.pass(Duration::from_millis(150));
    scene.frame(true, 3_000);
    scene.pass(Duration::from_millis(100));
    scene.frame(true, 3_000);
    scene.pass(Duration::from_millis(10));
    let waits: Vec<_> = scene
        .events
        .iter()
        .filter_map(|event| match event {
            Event::KeyFrameCame { track, after } => Some((*track, *after)),
            _ => None,
        })
        .collect();
    assert_eq!(waits, [(scene.track, Duration::from_millis(300))], "the second one was not asked for");
}

#[test]
fn one_viewer_without_keys_cannot_drain_the_camera() {
    let mut scene = scene(1);
    for _ in 0..100 {
        ask(&mut scene, 0);
        scene.frame(true, 100);
        scene.pass(Duration::from_millis(67));
    }
    assert!(scene.key_frames_wanted() <= 8, "3 at once, then one in 2 s: {}", scene.key_frames_wanted());
    assert!(scene.room.take_stats().dropped(DropReason::KeyFrameDenied) > 80);
}

#[test]
fn a_viewer_that_is_still_catching_up_need_not_ask() {
    let mut scene = scene(0);
    (0..40).for_each(|_| scene.frame(false, 2000));
    scene.join(0);
    ask(&mut scene, 0);
    scene.pass(Duration::from_millis(10));
    assert_eq!(scene.key_frames_wanted(), 0);
    scene.pass(Duration::from_secs(1));
    ask(&mut scene, 0);
    assert_eq!(scene.key_frames_wanted(), 1, "it is live and has lost its picture");
}

#[test]
fn a_watched_track_gets_a_key_frame_every_four_seconds() {
    let mut scene = scene(1);
    (0..(10_000 / 33)).for_each(|_| scene.frame(false, 100));
    assert_eq!(scene.key_frames_wanted(), 2);
    scene.room.unsubscribe(SubscriberId(0));
    scene.events.clear();
    (0..(10_000 / 33)).for_each(|_| scene.frame(false, 100));
    assert_eq!(scene.key_frames_wanted(), 0, "nobody watches");
}

#[test]
fn a_camera_that_makes_them_often_enough_is_not_asked() {
    let mut scene = scene(1);
    (0..300).for_each(|index| scene.frame(index % 60 == 0, 100));
    assert_eq!(scene.key_frames_wanted(), 0);
    assert_eq!(scene.room.take_stats().key_frames_in, 5);
}

#[test]
fn a_waiting_viewer_is_not_forgotten() {
    let mut scene = scene(0);
    scene.pass(Duration::from_secs(20));
    scene.join(0);
    (0..(3500 / 33)).for_each(|_| scene.frame(false, 100));
    assert_eq!(scene.key_frames_wanted(), 4, "asked again every second until the camera answers");
    assert_eq!(scene.log.media(0).len(), 0);
    scene.frame(true, 100);
    assert!(!scene.log.media(0).is_empty());
}

#[test]
fn requests_of_strangers_do_nothing() {
    let mut scene = scene(1);
    ask(&mut scene, 7);
    scene.room.key_frame_requested(SubscriberId(0), 99, scene.now);
    scene.settle();
    assert_eq!(scene.events, []);
}
