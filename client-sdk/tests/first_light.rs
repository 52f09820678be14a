//! The whole way in one process: a household, a camera on a clip, two viewers, a real server and relay.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use latchkey::camera::{Camera, CameraConfig};
use latchkey::home::Home;
use latchkey::household::{self, Invitation};
use latchkey::observer::{FrameObserver, WireFrame};
use latchkey::source::spec::SourceSpec;
use latchkey::story::Step;
use latchkey::viewer::{Ended, Viewer, ViewerConfig};
use latchkey_api::device_list::Role;
use latchkey_signaling::{Server, ServerConfig};

/// A limit for what must happen at all; nothing here is judged by its speed.
const LIMIT: Duration = Duration::from_secs(30);

/// The clip to send: `LATCHKEY_CLIP`, or the doorbell.
fn clip() -> PathBuf {
    match std::env::var_os("LATCHKEY_CLIP") {
        Some(path) => path.into(),
        None => PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../loadtest/clips/doorbell.mp4"),
    }
}

/// A server, and folders for devices.
struct House {
    server: Server,
    dir: tempfile::TempDir,
}

impl House {
    async fn open() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let server = Server::start(ServerConfig::loopback(dir.path().join("server"))).await.unwrap();
        Self { server, dir }
    }

    fn home(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    async fn found(&self, name: &str) {
        let (home, phrase) =
            household::create(&self.home(name), &self.server.urls().signaling, name).await.unwrap();
        assert_eq!(phrase.words().split(' ').count(), 12);
        assert_eq!(home.role().unwrap(), Role::Admin);
    }

    /// `admin` invites a device, which joins under the same name.
    async fn add(&self, admin: &str, role: Role, name: &str) {
        let mut admin = Home::open(&self.home(admin)).unwrap();
        let invitation = Invitation::new(&admin, role, name).unwrap();
        let code = invitation.code().reveal().parse().unwrap();
        let home = self.home(name);
        let joining = household::join(&home, &code, LIMIT);
        let (invited, joined) = tokio::join!(invitation.wait(&mut admin), joining);
        let joined = joined.unwrap();
        assert_eq!(invited.unwrap().device, joined.device());
        assert_eq!(joined.role().unwrap(), role);
        assert_eq!(joined.label(joined.entry().unwrap()), name);
    }
}

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

async fn eventually(what: &str, mut done: impl FnMut() -> bool) {
    let began = Instant::now();
    while !done() {
        assert!(began.elapsed() < LIMIT, "{what} did not come about");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    println!("{what}: after {} ms", began.elapsed().as_millis());
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
    house.server.shutdown().await;
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
    house.server.shutdown().await;
}
