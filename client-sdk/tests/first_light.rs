//! The whole way in one process: a household, a camera on a clip, two viewers, a real server and relay.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod house;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use house::{House, LIMIT, clip, eventually};
use latchkey::camera::{Camera, CameraConfig};
use latchkey::observer::{FrameObserver, WireFrame};
use latchkey::sink::Target;
use latchkey::source::spec::{Input, SourceOptions, SourceSpec};
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

    let told = async {
        while house.metric("relay_first_frame_seconds_count{transport=\"webrtc\"}").await != Some(2.0) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(LIMIT, told)
        .await
        .expect("both viewers tell the relay when they had their pictures");
    let fed_back = house.metric("relay_transport_feedback_total{dir=\"out\"}").await;
    assert!(
        fed_back.is_some_and(|told| told >= 1.0),
        "the camera is told when its packets came: {fed_back:?}"
    );
    let stats = camera.stats();
    println!("camera: {stats:?}");
    assert_eq!(stats.aead_calls, stats.sent_video + stats.sent_audio, "one seal per frame, two viewers");
    camera.stop().await;
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_viewers_cost_the_camera_no_further_seal() {
    let house = House::open().await;
    house.found("ada").await;
    house.add("ada", Role::Camera, "door").await;
    let names: Vec<String> = (1..=20).map(|number| format!("viewer {number}")).collect();
    for name in &names {
        house.add("ada", Role::Viewer, name).await;
    }
    let at_camera = Arc::new(Seen::default());
    let mut config = CameraConfig::new(house.home("door"), SourceSpec::file(clip()));
    config.observer = Some(Arc::clone(&at_camera) as Arc<dyn FrameObserver>);
    let camera = Camera::start(config).await.unwrap();
    let mut viewers = Vec::new();
    for name in &names {
        let seen = Arc::new(Seen::default());
        let mut config = ViewerConfig::new(house.home(name), "door");
        config.observer = Some(Arc::clone(&seen) as Arc<dyn FrameObserver>);
        config.stop_after = Some(50);
        viewers.push((Viewer::start(config).await.unwrap(), seen));
    }
    for (viewer, seen) in viewers {
        let ended = tokio::time::timeout(LIMIT, viewer.wait()).await;
        assert_eq!(ended, Ok(Ended::Enough), "{:?} {:?}", viewer.story(), viewer.stats());
        viewer.stop().await;
        let (sealed, received) = (at_camera.all(), seen.all());
        assert!(received.len() >= 50);
        assert!(received.iter().all(|(number, frame)| sealed.get(number) == Some(frame)));
    }
    let stats = camera.stats();
    println!("camera: {stats:?}");
    assert_eq!(stats.aead_calls, stats.sent_video + stats.sent_audio, "one seal per frame, twenty viewers");
    camera.stop().await;
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ipv6_works_like_ipv4() {
    if std::net::UdpSocket::bind("[::1]:0").is_err() {
        println!("this machine has no IPv6: nothing was shown");
        return;
    }
    let house = House::open_on("[::1]:0".parse().unwrap()).await;
    assert!(house.url().contains("[::1]"), "{}", house.url());
    house.found("ada").await;
    house.add("ada", Role::Camera, "door").await;
    let camera =
        Camera::start(CameraConfig::new(house.home("door"), SourceSpec::file(clip()))).await.unwrap();
    let mut config = ViewerConfig::new(house.home("ada"), "door");
    config.stop_after = Some(10);
    let viewer = Viewer::start(config).await.unwrap();
    let ended = tokio::time::timeout(LIMIT, viewer.wait()).await;
    assert_eq!(ended, Ok(Ended::Enough), "{:?} {:?}", viewer.story(), camera.story());
    viewer.stop().await;
    camera.stop().await;
    house.close().await;
}

/// Reads a file as a source does: all frames of one round.
async fn frames_of(path: std::path::PathBuf) -> Vec<bytes::Bytes> {
    let options = SourceOptions { looped: false, paced: false, ..SourceOptions::default() };
    let mut source = latchkey::source::open(&SourceSpec::file(path), &options).await.unwrap();
    let mut frames = Vec::new();
    while let Ok(frame) = source.next().await {
        frames.push(frame.data);
    }
    frames
}

#[tokio::test(flavor = "multi_thread")]
async fn picture_and_sound_come_out_byte_for_byte() {
    let house = House::open().await;
    house.found("ada").await;
    house.add("ada", Role::Camera, "door").await;
    let clips = clip().with_file_name("");
    let clips = if clips.join("doorbell-vp8.ivf").exists() {
        clips
    } else {
        std::path::PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../loadtest/clips")
    };
    let inputs = [clips.join("doorbell-vp8.ivf"), clips.join("doorbell.opus.ogg")];
    let source = SourceSpec { inputs: inputs.iter().cloned().map(Input::File).collect() };
    let camera = Camera::start(CameraConfig::new(house.home("door"), source)).await.unwrap();

    let outputs = [house.home("picture.ivf"), house.home("sound.ogg")];
    let mut config = ViewerConfig::new(house.home("ada"), "door");
    config.targets = outputs.iter().cloned().map(Target::File).collect();
    config.stop_after = Some(60);
    let viewer = Viewer::start(config).await.unwrap();
    let ended = tokio::time::timeout(LIMIT, viewer.wait()).await;
    assert_eq!(ended, Ok(Ended::Enough), "{:?} {:?}", viewer.story(), viewer.stats());
    let stats = viewer.stats();
    assert!(stats.opened_audio > 0, "{stats:?}");
    assert_eq!(stats.failed_total(), 0, "{stats:?}");
    viewer.stop().await;
    camera.stop().await;

    for (input, output) in inputs.into_iter().zip(outputs) {
        let (sent, got) = (frames_of(input).await, frames_of(output).await);
        assert!(got.len() > 40, "{} frames", got.len());
        let first =
            sent.iter().position(|frame| *frame == got[0]).expect("the first frame is one of the clip's");
        let expected = sent.iter().cycle().skip(first);
        assert!(got.iter().zip(expected).all(|(got, sent)| got == sent), "a frame came out changed");
    }
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
