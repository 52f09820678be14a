//! A publisher that restarts: its viewers' numbers, timestamps and frame numbers go on as if nothing had happened.

#![allow(clippy::unwrap_used)]

mod simulation;

use std::time::Duration;

use latchkey_relay_core::{Event, PublishError, SubscriberId};
use latchkey_wire::codec::Codec;
use latchkey_wire::dependency_descriptor::Mandatory;
use proptest::prelude::*;
use simulation::{Camera, Scene};

const VIEWER: u64 = 1;
const DESCRIPTOR_ID: u8 = 12;

#[test]
fn numbers_and_times_go_on() {
    let mut scene = Scene::new(Camera::new(Codec::Vp8, 1));
    scene.join(VIEWER);
    scene.open();
    let before = scene.log.seamless(VIEWER).last().unwrap().view().timestamp();
    scene.room.vacate(scene.track);
    assert!(!scene.room.is_published(scene.track));
    scene.pass(Duration::from_millis(967));
    restart(&mut scene, 2);
    let held = scene.log.media(VIEWER).len();
    for index in 0..7 {
        scene.frame(index == 0, 400);
    }
    assert_eq!(scene.log.media(VIEWER).len(), held, "held until the eighth frame");
    scene.frame(false, 400);
    scene.pass(Duration::from_millis(100));
    let sent = scene.log.seamless(VIEWER);
    let next = sent
        .iter()
        .map(|sent| sent.view().timestamp())
        .skip(held)
        .min_by_key(|time| time.wrapping_sub(before));
    assert_eq!(next.unwrap().wrapping_sub(before), 90_000, "967 ms passed since the end of a frame of 33 ms");
    assert_eq!(scene.log.frames(Codec::Vp8, VIEWER).len(), 16);
    let numbers: Vec<u16> =
        sent.iter().map(|sent| frame_number(sent.extension(DESCRIPTOR_ID).unwrap())).collect();
    assert!(numbers.windows(2).all(|pair| pair[1].wrapping_sub(pair[0]) <= 1), "{numbers:?}");
}

#[test]
fn what_the_new_publisher_sends_before_its_key_frame_is_left_out() {
    let mut scene = Scene::new(Camera::new(Codec::H264, 3));
    scene.join(VIEWER);
    scene.open();
    restart(&mut scene, 4);
    scene.camera.frame(true, 300);
    for index in 0..9 {
        scene.frame(index == 8, 300);
    }
    assert_eq!(
        scene.log.frames(Codec::H264, VIEWER).len(),
        9,
        "8 of the old one, the key frame of the new one"
    );
    assert!(scene.key_frames_wanted() > 0, "the new one was asked for a key frame");
}

#[test]
fn an_ssrc_that_changes_unannounced_is_a_restart() {
    let mut scene = Scene::new(Camera::new(Codec::Av1, 5));
    scene.join(VIEWER);
    scene.open();
    scene.camera = Camera::new(Codec::Av1, 6);
    for index in 0..8 {
        scene.frame(index == 0, 300);
    }
    scene.pass(Duration::from_millis(100));
    assert_eq!(scene.log.frames(Codec::Av1, VIEWER).len(), 16);
}

#[test]
fn viewers_cannot_go_on_with_another_codec() {
    let mut scene = Scene::new(Camera::new(Codec::Vp8, 7));
    let params = Camera::new(Codec::H264, 8).params();
    assert_eq!(scene.room.replace(scene.track, params), Err(PublishError::CodecChanged));
    scene.join(VIEWER);
    scene.room.unpublish(scene.track);
    assert_eq!(scene.room.subscriber_count(), 0);
    assert!(scene.room.is_empty());
    assert_eq!(scene.room.replace(scene.track, params), Err(PublishError::UnknownTrack));
}

#[test]
fn a_viewer_who_joins_between_two_publishers_gets_the_second() {
    let mut scene = Scene::new(Camera::new(Codec::Vp8, 9));
    scene.open();
    scene.room.vacate(scene.track);
    scene.join(VIEWER);
    scene.pass(Duration::from_secs(1));
    assert_eq!(scene.log.media(VIEWER).len(), 0, "the old picture is not shown as live");
    restart(&mut scene, 10);
    scene.open();
    scene.pass(Duration::from_millis(100));
    assert_eq!(scene.log.frames(Codec::Vp8, VIEWER).len(), 8);
    let started =
        |event: &&Event| matches!(event, Event::ViewingStarted { subscriber: SubscriberId(VIEWER), .. });
    assert_eq!(scene.events.iter().filter(started).count(), 1);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(48) })]

    /// Over any number of restarts with any numbers: no gap, no repeat (the log checks it), time only forward.
    #[test]
    fn any_restarts_are_seamless(seeds in prop::collection::vec((any::<u64>(), 8usize..20, 0u64..3000), 2..6)) {
        let mut scene = Scene::new(Camera::new(Codec::Vp8, 11));
        scene.join(VIEWER);
        for (seed, frames, pause) in seeds {
            restart(&mut scene, seed);
            for index in 0..frames {
                scene.frame(index == 0, 400);
            }
            scene.pass(Duration::from_millis(pause));
        }
        scene.pass(Duration::from_secs(1));
        let sent = scene.log.seamless(VIEWER);
        for pair in sent.windows(2) {
            let forward = pair[1].view().timestamp().wrapping_sub(pair[0].view().timestamp());
            prop_assert!((forward as i32) >= 0);
            let [one, two] = [pair[0], pair[1]].map(|sent| frame_number(sent.extension(DESCRIPTOR_ID).unwrap()));
            prop_assert_eq!(two.wrapping_sub(one), u16::from(forward > 0));
        }
        prop_assert_eq!(scene.log.frames(Codec::Vp8, VIEWER).len(), scene.frames.len());
    }
}

fn restart(scene: &mut Scene, seed: u64) {
    scene.camera = Camera::new(scene.camera.codec, seed);
    let params = scene.camera.params();
    scene.room.replace(scene.track, params).unwrap();
    scene.events.clear();
}

fn frame_number(descriptor: &[u8]) -> u16 {
    Mandatory::read(descriptor).unwrap().frame_number
}
