//! Any estimates, losses, orders and restarts, at random. `PROPTEST_CASES` says how many cases, where it is set.

use std::collections::BTreeMap;
use std::time::Duration;

use latchkey_relay_core::TrackParams;
use proptest::prelude::*;

use crate::scene::{PLENTY, Scene, VIEWER, camera, check};

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(cases()) })]

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

fn cases() -> u32 {
    if std::env::var_os("PROPTEST_CASES").is_some() { ProptestConfig::default().cases } else { CASES }
}

/// Cases where nobody says how many.
const CASES: u32 = 96;
