//! A path that loses, delays and stands still, but carries what is sent: its viewer never gets less than all of it.

#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

mod simulation;

use std::time::Duration;

use proptest::prelude::*;
use simulation::watching::{STILL, Source, USUAL, Watching};
use str0m_netem::{NetemConfig, Probability, RandomLoss};

/// What a path does to packets in both directions.
#[derive(Clone, Copy, Debug)]
struct Weather {
    lost: f32,
    /// Milliseconds around 20.
    jitter: u64,
    /// How often and for how long it stands still, in milliseconds.
    stalls: Option<(u64, u64)>,
}

/// Watches for 20 s: frames that came of those sent, tenths of a second with key frames only, and the least estimate.
fn watched(source: Source, weather: Weather, seed: u64) -> (f64, usize, u64) {
    let path = NetemConfig::new()
        .latency(Duration::from_millis(20))
        .jitter(Duration::from_millis(weather.jitter))
        .loss(RandomLoss::new(Probability::new(weather.lost)));
    let mut scene = Watching::with(source, path, path, seed);
    scene.stalls =
        weather.stalls.map(|(every, length)| (Duration::from_millis(every), Duration::from_millis(length)));
    scene.pass(1.0);
    let (since, mut thin, mut least) = (scene.now, 0, u64::MAX);
    for _ in 0..200 {
        scene.pass(0.1);
        thin += usize::from(scene.has_key_frames_only());
        least = least.min(scene.estimate());
    }
    let frames = scene.seen(since).0 as f64 * source.frame.as_secs_f64() / 20.0;
    (frames, thin, least)
}

#[test]
fn a_still_picture_comes_whole_through_loss_jitter_and_a_path_that_stands_still() {
    for lost in [0.0, 0.05, 0.10] {
        for jitter in [0, 50] {
            for stalls in [None, Some((300, 60)), Some((2_000, 200)), Some((2_000, 300))] {
                let weather = Weather { lost, jitter, stalls };
                let seen: Vec<_> = (1..=5).map(|seed| watched(STILL, weather, seed * 7_919)).collect();
                let thin: usize = seen.iter().map(|(_, thin, _)| thin).sum();
                let frames = seen.iter().map(|(frames, ..)| frames).sum::<f64>() / 5.0;
                let least = seen.iter().map(|(.., least)| least).min().unwrap();
                println!(
                    "{weather:?}: {:.1} % of the frames, {thin} of 1000 tenths with key frames only, at least {least} kbit/s",
                    100.0 * frames
                );
                assert_eq!(thin, 0, "{weather:?}");
                assert!(frames > 0.98, "{frames} with {weather:?}");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_the_path_carries_is_not_taken_away(
        lost in 0.0f32..0.12,
        jitter in 0u64..50,
        stalls in prop::option::of((1_500u64..5_000, 50u64..300)),
        still: bool,
        seed: u64,
    ) {
        let source = if still { STILL } else { USUAL };
        let (frames, thin, _) = watched(source, Weather { lost, jitter, stalls }, seed);
        prop_assert_eq!(thin, 0, "{} of the frames", frames);
    }
}
