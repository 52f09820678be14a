//! Simulcast and temporal layers: whatever a viewer is switched to, its numbers, times and frames go on.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, unreachable_pub)]

mod any_switch;
mod scene;
#[path = "../simulation/mod.rs"]
mod simulation;

use latchkey_relay_core::{Event, SubscriberId};

use crate::scene::{PLENTY, RIDS, Scene, VIEWER, check};

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
