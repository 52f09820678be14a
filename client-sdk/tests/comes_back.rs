//! Camera, viewer and server are killed and restarted: all is well again by itself, and no nonce is used twice.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod house;

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use house::{House, LIMIT, clip, eventually};
use latchkey::camera::{Camera, CameraConfig, CameraHandle};
use latchkey::observer::{FrameObserver, WireFrame};
use latchkey::source::spec::SourceSpec;
use latchkey::viewer::{Ended, Viewer, ViewerConfig, ViewerHandle};
use latchkey_api::device_list::Role;

/// Fails at the second frame under one key and counter, over all runs of the camera.
#[derive(Default)]
struct Nonces {
    used: Mutex<HashSet<(u64, u64)>>,
    sessions: Mutex<HashSet<u64>>,
}

impl FrameObserver for Nonces {
    fn sealed(&self, frame: &WireFrame) {
        assert!(self.used.lock().unwrap().insert((frame.kid, frame.ctr)), "a nonce was used twice");
        self.sessions.lock().unwrap().insert(frame.kid >> 24);
    }
}

async fn household() -> House {
    let house = House::open().await;
    house.found("ada").await;
    house.add("ada", Role::Camera, "door").await;
    house
}

async fn camera(house: &House, nonces: &Arc<Nonces>) -> CameraHandle {
    let mut config = CameraConfig::new(house.home("door"), SourceSpec::file(clip()));
    config.observer = Some(Arc::clone(nonces) as Arc<dyn FrameObserver>);
    Camera::start(config).await.unwrap()
}

async fn opened_more(viewer: &ViewerHandle, what: &str) {
    let before = viewer.stats().opened_video;
    eventually(what, || viewer.stats().opened_video > before + 5).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_viewer_goes_on_by_itself_when_the_camera_restarts() {
    let house = household().await;
    let nonces = Arc::new(Nonces::default());
    let mut running = camera(&house, &nonces).await;
    let viewer = Viewer::start(ViewerConfig::new(house.home("ada"), "door")).await.unwrap();
    opened_more(&viewer, "first picture").await;
    for run in 1..=3 {
        running.stop().await;
        running = camera(&house, &nonces).await;
        opened_more(&viewer, &format!("picture after restart {run} of the camera")).await;
    }
    assert_eq!(nonces.sessions.lock().unwrap().len(), 4, "a session of its own for each run");
    println!("viewer: {:?}", viewer.stats());
    viewer.stop().await;
    running.stop().await;
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restarted_viewer_sees_at_once() {
    let house = household().await;
    let running = camera(&house, &Arc::default()).await;
    for run in 0..8 {
        let mut config = ViewerConfig::new(house.home("ada"), "door");
        config.stop_after = Some(3);
        let began = Instant::now();
        let viewer = Viewer::start(config).await.unwrap();
        assert!(viewer.wait_first_frame(LIMIT).await, "{:?}", viewer.story());
        println!("run {run} of the viewer: first frame after {} ms", began.elapsed().as_millis());
        assert_eq!(tokio::time::timeout(LIMIT, viewer.wait()).await, Ok(Ended::Enough));
        viewer.stop().await;
    }
    running.stop().await;
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn camera_and_viewer_come_back_by_themselves_when_the_server_restarts() {
    let mut house = household().await;
    let nonces = Arc::new(Nonces::default());
    let running = camera(&house, &nonces).await;
    let viewer = Viewer::start(ViewerConfig::new(house.home("ada"), "door")).await.unwrap();
    opened_more(&viewer, "first picture").await;
    house.restart_server().await;
    opened_more(&viewer, "picture after the restart of the server").await;
    assert!(running.stats().reconnects >= 1);
    println!("viewer: {:?}", viewer.stats());
    println!("camera: {:?}", running.stats());
    viewer.stop().await;
    running.stop().await;
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_viewer_without_a_camera_says_so_and_waits() {
    let house = household().await;
    let viewer = Viewer::start(ViewerConfig::new(house.home("ada"), "door")).await.unwrap();
    eventually("the reason is told", || {
        viewer.story().open_reason().is_some_and(|reason| reason.contains("the camera is not sending"))
    })
    .await;
    let running = camera(&house, &Arc::default()).await;
    assert!(viewer.wait_first_frame(LIMIT).await, "{:?}", viewer.story());
    viewer.stop().await;
    running.stop().await;
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_viewer_opens_nothing_sealed_after_the_commit() {
    let house = household().await;
    house.add("ada", Role::Viewer, "bob").await;
    let running = camera(&house, &Arc::default()).await;
    let mut config = ViewerConfig::new(house.home("bob"), "door");
    let (frames, mut opened) = tokio::sync::mpsc::channel(4096);
    config.frames = Some(frames);
    let bob = Viewer::start(config).await.unwrap();
    assert!(bob.wait_first_frame(LIMIT).await, "{:?}", bob.story());
    let before = running.stats().epoch;
    let removed_at = Instant::now();
    house.remove("ada", "bob").await;
    eventually("the camera seals in a later epoch", || running.stats().epoch > before).await;
    println!("removal to new epoch: {} ms", removed_at.elapsed().as_millis());
    let ended = tokio::time::timeout(LIMIT, bob.wait()).await.unwrap();
    assert!(matches!(ended, Ended::Removed(_)), "{ended:?}");
    bob.stop().await;
    while let Some(frame) = opened.recv().await {
        assert!(frame.epoch <= before, "a frame of epoch {} was opened", frame.epoch);
    }
    running.stop().await;
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_starts_never_repeat_a_session() {
    let house = household().await;
    let nonces = Arc::new(Nonces::default());
    let starts = 100;
    for _ in 0..starts {
        let running = camera(&house, &nonces).await;
        assert!(running.wait_sending(LIMIT).await, "{:?}", running.story());
        running.stop().await;
    }
    assert_eq!(nonces.sessions.lock().unwrap().len(), starts);
    tokio::time::sleep(Duration::from_millis(1)).await;
    house.close().await;
}
