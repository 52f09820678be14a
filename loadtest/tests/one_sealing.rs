//! The camera seals each frame once, however many watch, and every viewer gets the same ciphertext, byte for byte.
#![allow(clippy::print_stdout)] // figures are for whoever runs it

mod support;

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use latchkey::observer::{FrameObserver, WireFrame};
use latchkey::source::spec::SourceSpec;
use latchkey::{Camera, CameraConfig, Viewer, ViewerConfig};
use latchkey_loadtest::household::{Device, Role};
use support::{Home, LIMIT, bundled};

/// Frames of each track that every viewer must have received.
const WANTED: usize = 100;

/// Hash of every wire frame by key id and counter.
#[derive(Default)]
struct Hashes {
    frames: Mutex<HashMap<(u64, u64), [u8; 32]>>,
    /// Frames that came with a key id and counter seen before but other bytes.
    conflicts: Mutex<u64>,
}

impl Hashes {
    fn note(&self, frame: &WireFrame) {
        let mut frames = self.frames.lock().unwrap_or_else(PoisonError::into_inner);
        let before = frames.insert((frame.kid, frame.ctr), frame.sha256);
        if before.is_some_and(|before| before != frame.sha256) {
            *self.conflicts.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        }
    }

    fn all(&self) -> HashMap<(u64, u64), [u8; 32]> {
        self.frames.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn conflicts(&self) -> u64 {
        *self.conflicts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl FrameObserver for Hashes {
    fn sealed(&self, frame: &WireFrame) {
        self.note(frame);
    }

    fn received(&self, frame: &WireFrame) {
        self.note(frame);
    }
}

#[test]
fn with_two_viewers() {
    same_bytes_for(2);
}

#[test]
fn with_twenty_viewers() {
    same_bytes_for(20);
}

fn same_bytes_for(count: usize) {
    let home = Home::new();
    let mut devices = vec![home.household.admin.clone(), home.viewer.clone()];
    for number in devices.len()..count {
        let name = format!("Viewer number {number}");
        devices.push(home.household.enrol(Role::Viewer, &name).expect("a viewer joins"));
    }
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(watch(&home.camera, &devices));
}

async fn watch(camera: &Device, devices: &[Device]) {
    let sealed = Arc::new(Hashes::default());
    let source =
        SourceSpec::parse(&[source(&bundled("doorbell.mp4")), source(&bundled("doorbell.opus.ogg"))]);
    let mut config = CameraConfig::new(&camera.home, source.expect("clips are sources"));
    config.observer = Some(sealed.clone());
    let sending = Camera::start(config).await.expect("the camera starts");

    let mut watching = Vec::new();
    for device in devices {
        let received = Arc::new(Hashes::default());
        let mut config = ViewerConfig::new(&device.home, &camera.id);
        config.observer = Some(received.clone());
        watching.push((Viewer::start(config).await.expect("a viewer starts"), received));
    }
    let deadline = Instant::now() + LIMIT;
    while watching.iter().any(|(viewer, _)| (viewer.stats().opened_video as usize) < WANTED) {
        let opened: Vec<_> = watching.iter().map(|(viewer, _)| viewer.stats().opened_video).collect();
        assert!(Instant::now() < deadline, "not everybody opened {WANTED} frames within 30 s: {opened:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let stats = sending.stats();
    let camera_frames = sealed.all();
    let mut compared = 0;
    for (viewer, received) in watching {
        let figures = viewer.stats();
        viewer.stop().await;
        // What the camera sealed before it let this viewer in stays shut for it, as it should.
        let failed: Vec<_> =
            figures.failed.iter().filter(|(reason, _)| **reason != "unknown_epoch").collect();
        assert!(failed.is_empty(), "every frame opened: {failed:?}");
        assert_eq!(received.conflicts(), 0);
        for (name, hash) in received.all() {
            if let Some(sent) = camera_frames.get(&name) {
                assert_eq!(
                    *sent, hash,
                    "frame {name:?} reached a viewer with other bytes than it was sealed with"
                );
                compared += 1;
            }
        }
    }
    assert!(compared >= WANTED * devices.len(), "{compared} frames compared");
    sending.stop().await;
    assert_eq!(sealed.conflicts(), 0, "no key id and counter was used twice");
    // Read before the frames' hashes: what was sealed in between may only add hashes.
    let frames = stats.sent_video + stats.sent_audio;
    assert!(stats.aead_calls <= camera_frames.len() as u64 && stats.aead_calls >= frames, "{stats:?}");
    assert_eq!(stats.aead_calls, frames, "one call of the cipher per frame, with {} viewers", devices.len());
    println!(
        "one_sealing: viewers={} frames={frames} aead_calls={} compared={compared}",
        devices.len(),
        stats.aead_calls
    );
}

fn source(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}
