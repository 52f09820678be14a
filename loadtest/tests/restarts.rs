//! Nothing stays broken: a killed viewer, camera or server comes back, and the others with it, by themselves.
#![allow(clippy::print_stdout)] // figures are for whoever runs it

mod support;

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use latchkey::observer::{FrameObserver, WireFrame};
use latchkey::source::spec::SourceSpec;
use latchkey::viewer::OpenedFrame;
use latchkey::{Camera, CameraConfig, Viewer, ViewerConfig, ViewerHandle};
use latchkey_loadtest::household::{Device, is};
use support::{Home, LIMIT, bundled, clip};
use tokio::sync::mpsc;

/// Restarts of the camera over which no nonce may come twice.
const RESTARTS: usize = 100;

/// A viewer in this process, so that the moment of each frame is known.
struct Watching {
    handle: ViewerHandle,
    frames: mpsc::Receiver<OpenedFrame>,
}

impl Watching {
    async fn start(device: &Device, camera: &Device) -> Self {
        let (sender, frames) = mpsc::channel(4096);
        let mut config = ViewerConfig::new(&device.home, &camera.id);
        config.frames = Some(sender);
        Self { handle: Viewer::start(config).await.expect("the viewer starts"), frames }
    }

    /// Waits for `count` frames captured after now and returns how long the first took.
    async fn fresh_frames(&mut self, count: usize) -> Duration {
        let (begin, now) = (Instant::now(), std::time::SystemTime::now());
        let (mut first, mut seen) = (None, 0);
        while seen < count {
            let left = LIMIT.saturating_sub(begin.elapsed());
            let frame = tokio::time::timeout(left, self.frames.recv()).await;
            let frame = match frame {
                Ok(frame) => frame.expect("the viewer goes on"),
                Err(_) => panic!("{seen} of {count} fresh frames within 30 s; {:?}", self.handle.stats()),
            };
            if frame.captured >= now {
                first.get_or_insert_with(|| begin.elapsed());
                seen += 1;
            }
        }
        first.unwrap_or_default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_is_killed() {
    let mut home = Home::new();
    let clip = clip().to_string_lossy().into_owned();
    let mut camera = home.camera.camera(home.path(), &[&clip]).expect("the camera starts");
    camera
        .wait_for("that it sends", LIMIT, |event| is(event, "sending").then_some(()))
        .expect("the camera sends");
    let mut one = Watching::start(&home.household.admin, &home.camera).await;
    let mut two = Watching::start(&home.viewer, &home.camera).await;
    one.fresh_frames(10).await;
    two.fresh_frames(10).await;

    let begin = Instant::now();
    home.server.kill_and_restart().expect("the server starts again on its data");
    let up = begin.elapsed();
    let (first, second) = (one.fresh_frames(50).await, two.fresh_frames(50).await);
    println!(
        "restarts: server killed; up again after {} ms, next frame {} ms later, {} ms at the second viewer's turn",
        up.as_millis(),
        first.as_millis(),
        second.as_millis()
    );
    // A device's folder serves one process at a time, and the admin is needed to invite.
    one.handle.stop().await;
    // What SQLite held survived the kill: the same household goes on, and a new device can join.
    home.household
        .enrol(latchkey_loadtest::household::Role::Viewer, "A late viewer")
        .expect("enrolment goes on");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_camera_is_killed() {
    let home = Home::new();
    let clip = clip().to_string_lossy().into_owned();
    let mut camera = home.camera.camera(home.path(), &[&clip]).expect("the camera starts");
    let session = camera.wait_for("that it sends", LIMIT, session).expect("the camera sends");
    let mut viewer = Watching::start(&home.viewer, &home.camera).await;
    viewer.fresh_frames(10).await;

    camera.kill();
    let mut camera = home.camera.camera(home.path(), &[&clip]).expect("the camera starts again");
    let begin = Instant::now();
    let after = viewer.fresh_frames(50).await;
    println!(
        "restarts: camera killed; next frame {} ms after its start, 50 frames {} ms",
        after.as_millis(),
        begin.elapsed().as_millis()
    );
    let fresh = camera.wait_for("that it sends", LIMIT, self::session).expect("the camera sends");
    assert_ne!(session, fresh, "a restarted camera seals under a session of its own");
    assert_eq!(viewer.handle.stats().failed_total(), 0, "{:?}", viewer.handle.stats());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_viewer_is_killed() {
    let home = Home::new();
    let clip = clip().to_string_lossy().into_owned();
    let mut camera = home.camera.camera(home.path(), &[&clip]).expect("the camera starts");
    camera
        .wait_for("that it sends", LIMIT, |event| is(event, "sending").then_some(()))
        .expect("the camera sends");
    let mut other = Watching::start(&home.household.admin, &home.camera).await;
    other.fresh_frames(10).await;
    for round in 0..3 {
        let mut viewer = home.viewer.view(home.path(), &home.camera.id, &[]).expect("the viewer starts");
        let ms = viewer
            .wait_for("its first picture", LIMIT, |event| {
                is(event, "first_frame_opened").then(|| event["ms"].as_u64()).flatten()
            })
            .expect("a first picture");
        println!("restarts: viewer started and killed, round {round}; first picture after {ms} ms");
        viewer.kill();
    }
    let before = other.handle.stats();
    other.fresh_frames(25).await;
    assert_eq!(before.reconnects, 0, "the other viewer was not disturbed");
    assert_eq!(other.handle.stats().failed_total(), 0);
}

/// Every key id and counter that the camera ever used, and how often one was used again.
#[derive(Default)]
struct Nonces {
    seen: Mutex<HashSet<(u64, u64)>>,
    kids: Mutex<HashSet<u64>>,
    repeated: Mutex<u64>,
}

impl FrameObserver for Nonces {
    fn sealed(&self, frame: &WireFrame) {
        let lock = |mutex: &Mutex<HashSet<u64>>| {
            mutex.lock().unwrap_or_else(PoisonError::into_inner).insert(frame.kid);
        };
        lock(&self.kids);
        if !self.seen.lock().unwrap_or_else(PoisonError::into_inner).insert((frame.kid, frame.ctr)) {
            *self.repeated.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_nonce_comes_twice_over_100_restarts() {
    let home = Home::new();
    let nonces = Arc::new(Nonces::default());
    let mut sealed = 0;
    for _ in 0..RESTARTS {
        let source = SourceSpec::file(bundled("doorbell.mp4"));
        let mut config = CameraConfig::new(&home.camera.home, source);
        config.observer = Some(nonces.clone());
        let camera = Camera::start(config).await.expect("the camera starts");
        let deadline = Instant::now() + LIMIT;
        while camera.stats().aead_calls < 5 {
            assert!(Instant::now() < deadline, "the camera sealed nothing within 30 s");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        sealed += camera.stats().aead_calls;
        camera.stop().await;
    }
    let repeated = *nonces.repeated.lock().unwrap_or_else(PoisonError::into_inner);
    let kids = nonces.kids.lock().unwrap_or_else(PoisonError::into_inner).len();
    assert_eq!(repeated, 0, "a key id and counter were used twice");
    assert!(kids >= RESTARTS, "each start has a key of its own: {kids} keys in {RESTARTS} starts");
    println!(
        "restarts: camera started {RESTARTS} times, {sealed} frames or more, {kids} keys, repeated nonces 0"
    );
}

fn session(event: &serde_json::Value) -> Option<u64> {
    is(event, "sending").then(|| event["session"].as_u64()).flatten()
}
