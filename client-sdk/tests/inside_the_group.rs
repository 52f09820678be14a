//! What camera and viewers tell each other inside the group, over a real server and relay.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod house;

use house::{House, LIMIT, clip};
use latchkey::camera::{Camera, CameraConfig, CameraHandle};
use latchkey::event::Event;
use latchkey::home;
use latchkey::source::spec::SourceSpec;
use latchkey::viewer::{Viewer, ViewerConfig, ViewerHandle};
use latchkey_api::device_list::Role;
use latchkey_e2ee::record::RecordChain;
use tokio::sync::broadcast::Receiver;

/// Waits for an event for which `wanted` returns something; alarms fail the test.
async fn event<T>(
    what: &str,
    events: &mut Receiver<Event>,
    mut wanted: impl FnMut(&Event) -> Option<T>,
) -> T {
    let found = async {
        loop {
            let event = events.recv().await.unwrap();
            assert!(!matches!(event, Event::Alarm(_)), "nobody cheats here: {event:?}");
            if let Some(found) = wanted(&event) {
                return found;
            }
        }
    };
    tokio::time::timeout(LIMIT, found).await.unwrap_or_else(|_| panic!("{what} did not come about"))
}

fn record(at_least: u64) -> impl FnMut(&Event) -> Option<(u64, u64)> {
    move |event| match event {
        Event::EpochRecord { epoch, list } if *list >= at_least => Some((*epoch, *list)),
        _ => None,
    }
}

fn watching(names: &[&str]) -> impl FnMut(&Event) -> Option<()> {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    move |event| match event {
        Event::Watching { devices } => {
            let mut there: Vec<String> = devices.iter().map(|watcher| watcher.name.clone()).collect();
            there.sort();
            (there == names).then_some(())
        }
        _ => None,
    }
}

fn records(house: &House, name: &str, camera: &str) -> RecordChain {
    let stored = latchkey::vault::Vault::look(&house.home(name)).unwrap();
    RecordChain::from_bytes(stored.record(&format!("records/{camera}")).unwrap()).unwrap()
}

async fn camera(house: &House) -> CameraHandle {
    Camera::start(CameraConfig::new(house.home("door"), SourceSpec::file(clip()))).await.unwrap()
}

async fn viewer(house: &House, name: &str) -> ViewerHandle {
    Viewer::start(ViewerConfig::new(house.home(name), "door")).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_camera_signs_each_epoch_answers_and_knows_who_watches() {
    let house = House::open().await;
    house.found("ada").await;
    house.add("ada", Role::Camera, "door").await;
    house.add("ada", Role::Viewer, "bob").await;
    house.add("ada", Role::Viewer, "eve").await;

    let camera = camera(&house).await;
    let id = camera.device().to_string();
    let mut at_camera = camera.events();
    let bob = viewer(&house, "bob").await;
    // The answer may come before the record, and who watches before both.
    let (mut at_bob, mut answers) = (bob.events(), bob.events());
    let (epoch, list) = event("a record at the viewer", &mut at_bob, record(1)).await;
    println!("record of epoch {epoch} on list {list}");
    let ms = event("an answer", &mut answers, |event| match event {
        Event::Answered { ms } => Some(*ms),
        _ => None,
    });
    println!("answered after {} ms", ms.await);
    event("the camera to know who watches", &mut at_camera, watching(&["bob"])).await;
    assert!(bob.wait_first_frame(LIMIT).await, "{:?}", bob.story());

    // A second one, as the first one and the camera see it.
    let eve = viewer(&house, "eve").await;
    event("the camera to know of both", &mut at_camera, watching(&["bob", "eve"])).await;
    event("a viewer to know of the other", &mut at_bob, watching(&["bob", "eve"])).await;
    eve.stop().await;
    event("the camera to hear the goodbye", &mut at_camera, watching(&["bob"])).await;
    event("a viewer to hear it too", &mut at_bob, watching(&["bob"])).await;

    // Removed: the record of the next epoch names the list without the device.
    house.remove("ada", "eve").await;
    let newest = {
        let mut ada = home::open(&house.home("ada")).unwrap();
        let signaling = ada.signaling();
        ada.refresh(&signaling).await.unwrap();
        ada.list().unwrap().version
    };
    let (after, list) = event("the record after a removal", &mut at_bob, record(newest)).await;
    assert!(after > epoch && list == newest);

    bob.stop().await;
    camera.stop().await;
    let (ours, theirs) = (records(&house, "bob", &id), records(&house, "door", &id));
    let head = theirs.head().unwrap();
    assert_eq!(ours.head(), Some(head));
    assert_eq!(head.view().members.len(), 3, "ada, bob and the camera");
    assert!(head.last().iter().all(|(kid, _)| u64::from(kid.epoch_bits()) == (head.epoch() - 1) % 256));
    assert!(!head.last().is_empty(), "frames were sealed in the epoch that ended");
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_camera_that_comes_back_goes_on_with_its_records_and_answers() {
    let house = House::open().await;
    house.found("ada").await;
    house.add("ada", Role::Camera, "door").await;

    let first = camera(&house).await;
    let id = first.device().to_string();
    let ada = viewer(&house, "ada").await;
    let mut at_ada = ada.events();
    event("a record", &mut at_ada, record(1)).await;
    first.stop().await;
    let before = records(&house, "door", &id);

    let second = camera(&house).await;
    change_list(&house).await;
    let (epoch, _) = event("the record of the next epoch", &mut at_ada, |event| match event {
        Event::EpochRecord { epoch, list } if *epoch > before.head().unwrap().epoch() => {
            Some((*epoch, *list))
        }
        _ => None,
    })
    .await;
    ada.stop().await;
    second.stop().await;
    let after = records(&house, "door", &id);
    let of_before = after.of_epoch(before.head().unwrap().epoch()).unwrap();
    assert_eq!(of_before, before.head().unwrap(), "a record is never written anew");
    assert!(after.head().unwrap().epoch() >= epoch);
    let follows =
        after.records().zip(after.records().skip(1)).all(|(one, next)| next.previous() == one.hash());
    assert!(follows, "each record names the one before");
    house.close().await;
}

/// The admin signs a list that changes nobody, while its own viewer goes on: the camera makes a new epoch for it.
async fn change_list(house: &House) {
    let mut ada = home::look(&house.home("ada")).unwrap();
    let signaling = ada.signaling();
    let _ = ada.refresh(&signaling).await;
    let head = ada.chain().head().unwrap();
    let signer = latchkey_api::device_list::Signer::Device(ada.device());
    let reason = latchkey_api::device_list::Reason::Changed;
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let draft = latchkey_api::device_list::DeviceList::after(head, signer, now, reason);
    let list = ada.identity().sign_list(draft);
    signaling.post_list(list.as_bytes().to_vec()).await.unwrap();
}
