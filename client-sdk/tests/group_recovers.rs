//! A group goes on by itself after a list that came late, a Welcome that was lost, and a guest whose time was over.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod house;

use std::time::{SystemTime, UNIX_EPOCH};

use house::{House, LIMIT, clip, eventually};
use latchkey::camera::{Camera, CameraConfig, CameraHandle};
use latchkey::event::Event;
use latchkey::home::Home;
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

    // Ada removes Bob by her own commit; its list is not to be had yet.
    let mut ada = Home::open(&house.home("ada")).unwrap();
    let signaling = ada.signaling();
    ada.refresh(&signaling).await.unwrap();
    let chain = ada.chain();
    let record = format!("group/{}", running.device());
    let vault = Vault::look(&house.home("ada")).unwrap();
    let mut member = Member::restore(vault.record(&record).unwrap(), chain).unwrap();
    let bob = chain.head().unwrap().list().devices.iter().find(|entry| ada.label(entry) == "bob").unwrap();
    let list = DeviceList::after(chain.head().unwrap(), Signer::Device(ada.device()), now(), Reason::Removed);
    let list = ada.identity().sign_list(list.without(bob.device).unwrap()).as_bytes().to_vec();
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
    alarm(&mut events, "list-withheld").await;

    signaling.post_list(list).await.unwrap();
    eventually("the camera takes the commit", || running.stats().epoch > pending.epoch).await;
    // It is stuck nowhere: whoever comes next is let in.
    drop(ada);
    house.add("ada", Role::Viewer, "eve").await;
    sees(&house, "eve").await;
    running.stop().await;
    house.close().await;
}
