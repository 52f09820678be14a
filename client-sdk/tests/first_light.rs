//! The whole way in one process: a household, a camera on a clip, two viewers, a real server and relay.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod house;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use house::{House, LIMIT, clip, eventually};
use latchkey::camera::{Camera, CameraConfig};
use latchkey::observer::{FrameObserver, WireFrame};
use latchkey::source::spec::SourceSpec;
use latchkey::story::Step;
use latchkey::viewer::{Ended, Viewer, ViewerConfig};
use latchkey_api::device_list::Role;

/// Remembers each wire frame by key identifier and counter.
#[derive(Default)]
struct Seen(Mutex<HashMap<(u64, u64), WireFrame>>);

impl Seen {
    fn note(&self, frame: &WireFrame) {
        let before = self.0.lock().unwrap().insert((frame.kid, frame.ctr), *frame);
        assert!(before.is_none_or(|before| before == *frame), "one key and counter, two frames");
    }

    fn all(&self) -> HashMap<(u64, u64), WireFrame> {
        self.0.lock().unwrap().clone()
    }
}

impl FrameObserver for Seen {
    fn sealed(&self, frame: &WireFrame) {
        assert!(!self.0.lock().unwrap().contains_key(&(frame.kid, frame.ctr)), "a nonce was used twice");
        self.note(frame);
    }

    fn received(&self, frame: &WireFrame) {
        self.note(frame);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_viewers_open_what_the_camera_sealed_once() {
    let house = House::open().await;
    house.found("ada").await;
    house.add("ada", Role::Camera, "door").await;
    house.add("ada", Role::Viewer, "bob").await;

    let at_camera = Arc::new(Seen::default());
    let mut config = CameraConfig::new(house.home("door"), SourceSpec::file(clip()));
    config.observer = Some(Arc::clone(&at_camera) as Arc<dyn FrameObserver>);
    let camera = Camera::start(config).await.unwrap();

    let mut viewers = Vec::new();
    for name in ["ada", "bob"] {
        let seen = Arc::new(Seen::default());
        let mut config = ViewerConfig::new(house.home(name), "door");
        config.observer = Some(Arc::clone(&seen) as Arc<dyn FrameObserver>);
        config.stop_after = Some(50);
        let viewer = Viewer::start(config).await.unwrap();
        viewers.push((name, viewer, seen));
    }
    for (name, viewer, seen) in viewers {
        let ended = tokio::time::timeout(LIMIT, viewer.wait()).await;
        let story = viewer.story();
        for step in Step::ALL {
            println!("{name}: {:<24} {:?}", step.title(), story.state(step));
        }
        println!("{name}: {:?}", viewer.stats());
        assert_eq!(ended, Ok(Ended::Enough));
        viewer.stop().await;
        let (sealed, received) = (at_camera.all(), seen.all());
        assert!(received.len() >= 50);
        for (number, frame) in received {
            assert_eq!(sealed.get(&number), Some(&frame), "{name} got other bytes than were sealed");
        }
    }

    let stats = camera.stats();
    println!("camera: {stats:?}");
    assert_eq!(stats.aead_calls, stats.sent_video + stats.sent_audio, "one seal per frame, two viewers");
    camera.stop().await;
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_added_while_the_camera_runs_sees_it_and_everybody_moves_to_the_new_epoch() {
    let house = House::open().await;
    house.found("ada").await;
    house.add("ada", Role::Camera, "door").await;
    let camera =
        Camera::start(CameraConfig::new(house.home("door"), SourceSpec::file(clip()))).await.unwrap();
    eventually("camera sends", || camera.stats().sent_video > 0).await;
    let before = camera.stats().epoch;

    house.add("ada", Role::Viewer, "bob").await;
    let mut config = ViewerConfig::new(house.home("bob"), "door");
    config.stop_after = Some(10);
    let viewer = Viewer::start(config).await.unwrap();
    let ended = tokio::time::timeout(LIMIT, viewer.wait()).await;
    assert_eq!(
        ended,
        Ok(Ended::Enough),
        "{:?} {:?}",
        viewer.story().open_step(),
        viewer.story().open_reason()
    );
    viewer.stop().await;
    eventually("camera seals in a later epoch", || camera.stats().epoch > before).await;
    camera.stop().await;
    house.close().await;
}
