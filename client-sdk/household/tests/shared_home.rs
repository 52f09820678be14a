//! A household without media: one device watches two cameras while it removes another, all in one process.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests run natively")]

mod stage;

use std::sync::Arc;
use std::time::Duration;

use latchkey_api::device_list::Role;
use latchkey_api::id::DeviceId;
use latchkey_api::session::SessionScope;
use latchkey_e2ee::open::FrameOpener;
use latchkey_household::camera::publish::{PublishError, Publishing};
use latchkey_household::camera::signed_sealer::{Plain, SignedSealer};
use latchkey_household::clock;
use latchkey_household::devices::pending::{Progress, wait_for_cameras};
use latchkey_household::devices::{self};
use latchkey_household::event::{Event, Teller};
use latchkey_household::viewer::news::News;
use latchkey_household::viewer::watch::{WatchError, Watching};
use latchkey_wire::codec::Codec;
use stage::{Device, LIMIT, Stage, in_time};
use tokio::sync::mpsc::UnboundedReceiver;

/// A camera that seals whenever it is asked to.
struct Camera {
    id: DeviceId,
    publishing: Publishing,
    sealer: SignedSealer,
}

impl Camera {
    async fn start(device: &Device) -> Self {
        let mut publishing =
            Publishing::start(&device.home, &device.signaling, Arc::new(Teller::new())).await.unwrap();
        let sealer = publishing.take_sealer().unwrap();
        Self { id: device.home.lock().await.device(), publishing, sealer }
    }

    /// Seals a frame in the epoch in force.
    fn seal(&mut self) -> Vec<u8> {
        let keys = self.publishing.keys().borrow().clone().unwrap();
        self.sealer.take(&keys).unwrap();
        let mut out = Vec::new();
        let plain = Plain { codec: Codec::Vp8, key: true, temporal: 0, data: b"not a real picture" };
        self.sealer.seal(plain, clock::now(), b"envelope", &mut out).unwrap().unwrap();
        out
    }
}

async fn watching(device: &Device, camera: DeviceId) -> (Watching, UnboundedReceiver<News>) {
    let teller = Arc::new(Teller::new());
    let mut watching = Watching::start(&device.home, &device.signaling, camera, teller).await.unwrap();
    let news = watching.take_news().unwrap();
    (watching, news)
}

/// Takes news until the opener opens a frame that the camera seals now.
async fn opens(opener: &mut FrameOpener, news: &mut UnboundedReceiver<News>, camera: &mut Camera) -> u64 {
    loop {
        let sealed = camera.seal();
        let mut plain = Vec::new();
        if let Ok(opened) = opener.open(&sealed, b"envelope", &mut plain) {
            assert_eq!(plain, b"not a real picture");
            return opened.epoch;
        }
        match tokio::time::timeout(Duration::from_millis(100), news.recv()).await {
            Ok(Some(News::Epoch { keys, .. })) => opener.add_epoch(keys, Duration::ZERO),
            Ok(None) => panic!("the keeper has ended"),
            _ => {}
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_device_watches_two_cameras_and_removes_another_meanwhile() {
    let stage = Stage::open().await;
    let ada = stage.found("ada").await;
    let door = stage.add(&ada, Role::Camera, "door").await;
    let yard = stage.add(&ada, Role::Camera, "yard").await;
    let bob = stage.add(&ada, Role::Viewer, "bob").await;
    let (mut door, mut yard) = (Camera::start(&door).await, Camera::start(&yard).await);

    let (at_door, mut door_news) = watching(&ada, door.id).await;
    let (at_yard, mut yard_news) = watching(&ada, yard.id).await;
    let again = Watching::start(&ada.home, &ada.signaling, door.id, Arc::new(Teller::new())).await;
    assert_eq!(again.unwrap_err(), WatchError::Already);
    let not = Publishing::start(&ada.home, &ada.signaling, Arc::new(Teller::new())).await;
    assert_eq!(not.unwrap_err(), PublishError::NotACamera);
    let (bobs, mut bobs_news) = watching(&bob, door.id).await;

    let (mut opener, mut yard_opener, mut bobs_opener) =
        (FrameOpener::new(), FrameOpener::new(), FrameOpener::new());
    in_time("ada opens the door's frames", opens(&mut opener, &mut door_news, &mut door)).await;
    in_time("ada opens the yard's frames", opens(&mut yard_opener, &mut yard_news, &mut yard)).await;
    let before_epoch =
        in_time("bob opens the door's frames", opens(&mut bobs_opener, &mut bobs_news, &mut door)).await;

    let mut told = at_door.events();
    let (before, removed) = {
        let mut home = ada.home.lock().await;
        let device = devices::find(&home, "bob").unwrap();
        let before = home.list().unwrap().clone();
        devices::remove(&mut home, &ada.signaling, device).await.unwrap();
        (before, device)
    };
    let mut steps = Vec::new();
    let waiting = wait_for_cameras(&ada.home, &ada.signaling, &before, removed, LIMIT, |step| {
        if let Progress::Changed(changed) = step {
            println!("removed at epoch {} of {} after {:?}", changed.epoch, changed.camera, changed.after);
        }
        steps.push(step.clone());
    });
    let outcome = waiting.await;
    assert_eq!(
        (outcome.changed.len(), outcome.pending.len(), outcome.alarms.len()),
        (2, 0, 0),
        "{outcome:?}"
    );
    assert_eq!(steps.len(), 2);
    let changed = outcome.changed.iter().find(|changed| changed.camera == "door").unwrap();
    assert!(changed.epoch > before_epoch);

    let sentence = in_time("bob is told", bobs.removed()).await.unwrap();
    assert!(sentence.contains("removed from the household"), "{sentence}");
    let after = in_time("ada opens on", opens(&mut opener, &mut door_news, &mut door)).await;
    assert!(after > before_epoch);
    // Whatever keys bob was given, none opens what is sealed now.
    while let Ok(news) = bobs_news.try_recv() {
        if let News::Epoch { keys, .. } = news {
            bobs_opener.add_epoch(keys, Duration::ZERO);
        }
    }
    assert!(bobs_opener.open(&door.seal(), b"envelope", &mut Vec::new()).is_err());

    let recorded = async {
        loop {
            if let Event::EpochRecord { epoch, .. } = told.recv().await.unwrap()
                && epoch == changed.epoch
            {
                return;
            }
        }
    };
    in_time("the record is told to who watches", recorded).await;
    let opened = ada.signaling.open_session(door.id, SessionScope::View).await.unwrap();
    assert!(opened.relay.whep_url.is_some() && !opened.grant.is_empty());

    at_door.stop().await;
    at_yard.stop().await;
    let (fresh, _) = watching(&ada, door.id).await;
    fresh.stop().await;
    door.publishing.stop().await;
    yard.publishing.stop().await;
    stage.server.shutdown().await;
}
