//! A group goes on by itself after a list that came late, a Welcome that was lost, and a guest whose time was over.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod house;

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use house::{House, LIMIT, clip, eventually};
use latchkey::camera::{Camera, CameraConfig, CameraHandle};
use latchkey::event::Event;
use latchkey::home;
use latchkey::observer::{FrameObserver, WireFrame};
use latchkey::signaling::Signaling;
use latchkey::source::spec::SourceSpec;
use latchkey::vault::Vault;
use latchkey::viewer::{Viewer, ViewerConfig};
use latchkey_api::device_list::{DeviceList, Reason, Role, Signer};
use latchkey_api::encoding::ByteString;
use latchkey_api::group::PostCommit;
use latchkey_e2ee::group::Member;
use tokio::sync::broadcast::Receiver;

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

async fn camera(house: &House) -> CameraHandle {
    Camera::start(CameraConfig::new(house.home("door"), SourceSpec::file(clip()))).await.unwrap()
}

/// Lets a device join the camera's group and stop again.
async fn sees(house: &House, name: &str) {
    let viewer = Viewer::start(ViewerConfig::new(house.home(name), "door")).await.unwrap();
    assert!(viewer.wait_first_frame(LIMIT).await, "{name}: {:?}", viewer.story());
    viewer.stop().await;
}

/// Waits for an alarm of this code.
async fn alarm(events: &mut Receiver<Event>, code: &str) {
    let found = async {
        loop {
            if let Event::Alarm(alarm) = events.recv().await.unwrap() {
                println!("{alarm}");
                if alarm.code() == code {
                    return;
                }
            }
        }
    };
    tokio::time::timeout(LIMIT, found).await.unwrap_or_else(|_| panic!("no alarm {code}"));
}

/// A list that the server does not have, though a commit that rests on it ends this epoch.
struct Withheld {
    signaling: Signaling,
    list: Vec<u8>,
    epoch: u64,
}

impl Withheld {
    async fn show(&self) {
        self.signaling.post_list(self.list.clone()).await.unwrap();
    }
}

/// Ada removes a device by her own commit; its list is not to be had yet.
async fn removal_without_list(house: &House, running: &CameraHandle, name: &str) -> Withheld {
    let mut ada = home::open(&house.home("ada")).unwrap();
    let signaling = ada.signaling();
    ada.refresh(&signaling).await.unwrap();
    let chain = ada.chain();
    let record = format!("group/{}", running.device());
    let vault = Vault::look(&house.home("ada")).unwrap();
    let mut member = Member::restore(vault.record(&record).unwrap(), chain).unwrap();
    let head = chain.head().unwrap();
    let gone = head.list().devices.iter().find(|entry| ada.label(entry) == name).unwrap().device;
    let list = DeviceList::after(head, Signer::Device(ada.device()), now(), Reason::Removed);
    let list = ada.identity().sign_list(list.without(gone).unwrap()).as_bytes().to_vec();
    let mut after = chain.clone();
    after.accept(&list, None).unwrap();
    let pending = member.remove_unlisted(&after).unwrap().unwrap();
    let commit = PostCommit {
        epoch: pending.epoch,
        commit: ByteString(pending.commit.clone()),
        welcomes: Vec::new(),
        list: None,
    };
    signaling.post_commit(member.group_id(), &commit).await.unwrap();
    Withheld { signaling, list, epoch: pending.epoch }
}

/// Counts frames as they are sealed, and fails at the second frame under one key and counter.
#[derive(Default)]
struct Sealed(Mutex<HashSet<(u64, u64)>>);

impl Sealed {
    fn count(&self) -> usize {
        self.0.lock().unwrap().len()
    }
}

impl FrameObserver for Sealed {
    fn sealed(&self, frame: &WireFrame) {
        assert!(self.0.lock().unwrap().insert((frame.kid, frame.ctr)), "a nonce was used twice");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_camera_waits_for_the_list_of_a_commit_and_goes_on_with_it() {
    let house = House::open().await;
    house.found("ada").await;
    house.add("ada", Role::Camera, "door").await;
    house.add("ada", Role::Viewer, "bob").await;
    let running = camera(&house).await;
    sees(&house, "bob").await;
    sees(&house, "ada").await;
    let mut events = running.events();

    let withheld = removal_without_list(&house, &running, "bob").await;
    alarm(&mut events, "list-withheld").await;

    withheld.show().await;
    eventually("the camera takes the commit", || running.stats().epoch > withheld.epoch).await;
    // It is stuck nowhere: whoever comes next is let in.
    house.add("ada", Role::Viewer, "eve").await;
    sees(&house, "eve").await;
    running.stop().await;
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_whose_welcome_was_lost_is_put_in_anew() {
    let house = House::open().await;
    house.found("ada").await;
    house.add("ada", Role::Camera, "door").await;
    house.add("ada", Role::Viewer, "bob").await;
    let running = camera(&house).await;
    // The Welcome comes, and is gone before Bob has used it.
    let bob = home::look(&house.home("bob")).unwrap().signaling();
    let mut waiting = Vec::new();
    let began = std::time::Instant::now();
    while waiting.is_empty() {
        assert!(began.elapsed() < LIMIT, "no Welcome came");
        tokio::time::sleep(Duration::from_millis(50)).await;
        waiting = bob.welcomes().await.unwrap();
    }
    for welcome in waiting {
        bob.acknowledge_welcome(welcome.id).await.unwrap();
    }
    let members = running.stats().epoch;
    sees(&house, "bob").await;
    assert!(running.stats().epoch > members, "put in by a commit");
    // In it stays, without asking again.
    sees(&house, "bob").await;
    running.stop().await;
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_sealed_for_a_guest_whose_time_is_over_until_the_guest_is_out() {
    let house = House::open().await;
    house.found("ada").await;
    house.add("ada", Role::Camera, "door").await;
    house.add("ada", Role::Viewer, "bob").await;
    house.add("ada", Role::Viewer, "eve").await;
    let sealed = Arc::new(Sealed::default());
    let mut config = CameraConfig::new(house.home("door"), SourceSpec::file(clip()));
    config.observer = Some(Arc::clone(&sealed) as Arc<dyn FrameObserver>);
    let running = Camera::start(config).await.unwrap();
    sees(&house, "bob").await;
    let before = running.stats().epoch;
    {
        let mut ada = home::open(&house.home("ada")).unwrap();
        let signaling = ada.signaling();
        ada.refresh(&signaling).await.unwrap();
        let signer = Signer::Device(ada.device());
        let mut list = DeviceList::after(ada.chain().head().unwrap(), signer, now(), Reason::Changed);
        let bob = list.devices.iter_mut().find(|entry| ada.label(entry) == "bob").unwrap();
        bob.role = Role::Guest;
        bob.cameras = Some(vec![running.device()]);
        // Long enough for a slow machine to come to the commit without its list before.
        bob.not_after = Some(now() + 20);
        signaling.post_list(ada.identity().sign_list(list).as_bytes().to_vec()).await.unwrap();
    }
    eventually("an epoch on the guest's list", || running.stats().epoch > before).await;
    sees(&house, "ada").await;
    let mut events = running.events();
    // From here on the camera gets no commit accepted: the place of this epoch is taken.
    let withheld = removal_without_list(&house, &running, "eve").await;
    told(&mut events, "sealing_stopped").await;
    let count = sealed.count();
    assert!(count > 0);
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(sealed.count(), count, "a frame was sealed while the guest holds the keys");

    withheld.show().await;
    told(&mut events, "sealing_goes_on").await;
    eventually("frames again", || sealed.count() > count + 20).await;
    assert!(running.stats().epoch >= withheld.epoch + 2, "the camera took the guest out itself");
    running.stop().await;
    house.close().await;
}

/// Waits for an event of this name.
async fn told(events: &mut Receiver<Event>, name: &str) {
    let found = async {
        loop {
            let event = serde_json::to_value(events.recv().await.unwrap()).unwrap();
            if event["event"] == name {
                return;
            }
        }
    };
    tokio::time::timeout(LIMIT, found).await.unwrap_or_else(|_| panic!("no event {name}"));
}
