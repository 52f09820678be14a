//! What a viewer knows about its frames, over a real server and relay: signed by the camera, and of now.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod house;

use std::time::Duration;

use house::{House, LIMIT, clip, eventually};
use latchkey::camera::{Camera, CameraConfig};
use latchkey::event::Event;
use latchkey::source::spec::SourceSpec;
use latchkey::stats::{Authenticity, ViewerStats};
use latchkey::viewer::{Viewer, ViewerConfig, ViewerHandle};
use latchkey_api::device_list::Role;
use tokio::sync::broadcast::Receiver;
use tokio::sync::mpsc;

async fn watch(house: &House, name: &str) -> (ViewerHandle, mpsc::Receiver<latchkey::viewer::OpenedFrame>) {
    let (frames_tx, frames) = mpsc::channel(10_000);
    let mut config = ViewerConfig::new(house.home(name), "door");
    config.frames = Some(frames_tx);
    (Viewer::start(config).await.unwrap(), frames)
}

/// Fails on any alarm among what was told so far.
fn no_alarm(events: &mut Receiver<Event>) {
    while let Ok(event) = events.try_recv() {
        assert!(!matches!(event, Event::Alarm(_)), "nobody cheats here: {event:?}");
    }
}

fn is_signed_and_live(stats: &ViewerStats, signed: u64) -> bool {
    stats.authenticity == Authenticity::Signed && stats.live == Some(true) && stats.signed >= signed
}

#[tokio::test(flavor = "multi_thread")]
async fn frames_are_signed_by_the_camera_and_live_also_for_who_joins_later_and_over_a_change_of_keys() {
    let house = House::open().await;
    house.found("ada").await;
    house.add("ada", Role::Camera, "door").await;
    house.add("ada", Role::Viewer, "bob").await;
    house.add("ada", Role::Viewer, "cid").await;
    house.add("ada", Role::Viewer, "eve").await;
    let camera =
        Camera::start(CameraConfig::new(house.home("door"), SourceSpec::file(clip()))).await.unwrap();
    let (bob, mut at_bob) = watch(&house, "bob").await;
    let mut bobs_events = bob.events();
    eventually("signed frames", || is_signed_and_live(&bob.stats(), 100)).await;

    // In the middle of a group of pictures, out of the relay's cache.
    let (cid, _at_cid) = watch(&house, "cid").await;
    let mut cids_events = cid.events();
    eventually("signed frames of who joined later", || is_signed_and_live(&cid.stats(), 100)).await;

    let (before, epoch) = (bob.stats(), camera.stats().epoch);
    house.remove("ada", "eve").await;
    eventually("a new epoch", || camera.stats().epoch > epoch && bob.stats().signed > before.signed + 300)
        .await;
    for (name, stats) in [("bob", bob.stats()), ("cid", cid.stats())] {
        println!(
            "signed_frames: viewer={name} opened={} signed={} unverified={} forged={}",
            stats.opened_video + stats.opened_audio,
            stats.signed,
            stats.unverified,
            stats.forged
        );
        assert_eq!(stats.forged, 0);
        assert_eq!(stats.authenticity, Authenticity::Signed);
    }
    no_alarm(&mut bobs_events);
    no_alarm(&mut cids_events);
    bob.stop().await;
    cid.stop().await;
    camera.stop().await;

    let mut marks = Vec::new();
    while let Ok(frame) = at_bob.try_recv() {
        marks.push(frame.live);
    }
    assert!(marks.contains(&true), "frames are live once the camera has answered");
    tokio::time::timeout(LIMIT, house.close()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_camera_that_starts_again_is_signed_again_and_forges_nothing() {
    let house = House::open().await;
    house.found("ada").await;
    house.add("ada", Role::Camera, "door").await;
    let config = || CameraConfig::new(house.home("door"), SourceSpec::file(clip()));
    let camera = Camera::start(config()).await.unwrap();
    let (ada, _frames) = watch(&house, "ada").await;
    let mut events = ada.events();
    eventually("signed frames", || is_signed_and_live(&ada.stats(), 100)).await;
    camera.stop().await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    let before = ada.stats().signed;
    let camera = Camera::start(config()).await.unwrap();
    eventually("signed frames again", || is_signed_and_live(&ada.stats(), before + 200)).await;
    assert_eq!(ada.stats().forged, 0);
    no_alarm(&mut events);
    ada.stop().await;
    camera.stop().await;
    house.close().await;
}
