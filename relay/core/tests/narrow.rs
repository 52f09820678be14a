//! A viewer of a camera with one layer, on a path that becomes narrow, loses or becomes free, in simulated time: what it sees.

#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

mod simulation;

use std::time::Duration;

use simulation::watching::{STILL, USUAL, Watching, link};

#[test]
fn a_viewer_that_loses_a_tenth_or_a_fifth_at_random_sees_every_frame() {
    for lost in [0.10, 0.20] {
        let mut scene = Watching::new(link(50_000, lost));
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
        let mut scene = Watching::new(link(50_000, 0.0));
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
        assert!(
            longest < USUAL.frame * USUAL.gop as u32 + Duration::from_secs(2),
            "{longest:?} without a frame"
        );
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
    let mut scene = Watching::new(link(50_000, 0.0));
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

#[test]
fn a_viewer_with_key_frames_only_hears_something_all_the_time_until_its_camera_is_gone() {
    for (source, narrow) in [(USUAL, 500), (STILL, 60)] {
        let mut scene = Watching::with(source, link(50_000, 0.0), link(50_000, 0.0), 5);
        scene.pass(5.0);
        scene.link.set_config(link(narrow, 0.0));
        scene.pass(10.0);
        let mut thin = 0;
        scene.silent = Duration::ZERO;
        for _ in 0..300 {
            scene.pass(0.1);
            thin += usize::from(scene.has_key_frames_only());
        }
        println!("{narrow} kbit/s: {thin} of 300 tenths with key frames only, silent for {:?}", scene.silent);
        assert!(thin > 30 && scene.silent < Duration::from_millis(600));
        while !scene.has_key_frames_only() {
            scene.pass(0.1);
        }
        scene.stops = true;
        scene.pass(5.0);
        let silent = scene.now - scene.heard;
        assert!(silent > Duration::from_secs(3), "heard of a dead camera {silent:?} ago");
    }
}
