//! A household of which two lists of one version are signed: everybody removes, nobody adds, until they are joined.

#![allow(clippy::unwrap_used)]

mod household;

use household::{Device, NOW, Scene, at};
use latchkey_api::device_list::{ListChain, ListError, ListVersion, Reason, Role, SignedList, Signer};
use latchkey_api::id::DeviceId;
use latchkey_e2ee::group::{CameraGroup, GroupError, Processed, Refusal};

/// The list without `device`, signed but shown to nobody yet.
fn without(scene: &Scene, device: DeviceId) -> SignedList {
    scene.home.admin.sign_list(scene.home.draft(Reason::Removed).without(device).unwrap())
}

/// The household's chain up to now, and then `first` and `second` in this order.
fn sees(scene: &Scene, first: &SignedList, second: &SignedList) -> ListChain {
    let mut chain = scene.home.chain.clone();
    chain.accept(first.as_bytes(), Some(at(NOW))).unwrap();
    let refused = chain.accept(second.as_bytes(), Some(at(NOW)));
    assert!(matches!(refused, Err(ListError::TwoHistories { .. })));
    chain
}

fn has(group: &CameraGroup, device: DeviceId) -> bool {
    group.members().iter().any(|(_, member)| *member == device)
}

#[test]
fn who_is_missing_in_one_of_two_lists_is_removed_and_both_sides_follow() {
    let mut scene = Scene::with(&[Role::Viewer, Role::Viewer, Role::Viewer]);
    let [first, second, third] = [0, 1, 2].map(|at| scene.devices[at].id());
    let (one, other) = (without(&scene, first), without(&scene, second));
    let cameras = sees(&scene, &one, &other);
    let commit = scene.group.sync(&cameras, &[], at(NOW)).unwrap().commit.unwrap();
    scene.group.confirm().unwrap();
    assert!(!has(&scene.group, first) && !has(&scene.group, second) && has(&scene.group, third));

    // The third viewer saw the lists in the other order, and follows all the same.
    let viewers = sees(&scene, &other, &one);
    let processed = scene.members[2].process(&commit.commit, &viewers).unwrap();
    assert!(matches!(processed, Processed::Epoch(_)), "{processed:?}");
    // The group is equal to what both lists agree on.
    assert_eq!(scene.group.sync(&cameras, &[], at(NOW)).unwrap().commit, None);
}

#[test]
fn nobody_is_added_while_two_lists_are_signed() {
    let mut scene = Scene::with(&[Role::Viewer]);
    let mut device = Device::new(latchkey_e2ee::identity::DeviceIdentity::generate().unwrap());
    let entry = device.identity.public().entry(Role::Viewer, NOW, Vec::new());
    let with = scene.home.draft(Reason::Added).with(entry).unwrap();
    let with = scene.home.admin.sign_list(with);
    let plain = scene.home.admin.sign_list(scene.home.draft(Reason::Changed));
    let chain = sees(&scene, &with, &plain);
    assert_eq!(scene.group.missing(&chain, at(NOW)), []);
    let package = device.package(&chain);
    let synced = scene.group.sync(&chain, std::slice::from_ref(&package), at(NOW)).unwrap();
    assert!(synced.commit.is_none() && !has(&scene.group, device.id()), "{synced:?}");

    // A camera that knows one list only adds; a viewer that knows both does not take part in it.
    let mut one_sided = scene.home.chain.clone();
    one_sided.accept(with.as_bytes(), Some(at(NOW))).unwrap();
    let commit = scene.group.sync(&one_sided, &[package], at(NOW)).unwrap().commit.unwrap();
    assert!(commit.welcomes.iter().any(|welcome| welcome.device == device.id()));
    let refused = scene.members[0].process(&commit.commit, &chain).err();
    assert_eq!(refused, Some(GroupError::Refused(Refusal::NotEntitled(device.id()))));
}

#[test]
fn a_list_that_names_both_goes_on() {
    let mut scene = Scene::with(&[Role::Viewer, Role::Viewer]);
    let gone = scene.devices[0].id();
    let one = without(&scene, gone);
    let other = scene.home.admin.sign_list(scene.home.draft(Reason::Changed));
    let mut chain = sees(&scene, &one, &other);
    let commit = scene.group.sync(&chain, &[], at(NOW)).unwrap().commit.unwrap();
    scene.group.confirm().unwrap();
    scene.members[1].process(&commit.commit, &chain).unwrap();

    let signer = Signer::Device(scene.home.admin.device());
    let joined = scene.home.admin.sign_list(chain.next_draft(signer, NOW, Reason::Joined).unwrap());
    let accepted: ListVersion = chain.accept(joined.as_bytes(), Some(at(NOW))).unwrap();
    let commit = scene.group.sync(&chain, &[], at(NOW)).unwrap().commit.unwrap();
    scene.group.confirm().unwrap();
    scene.members[1].process(&commit.commit, &chain).unwrap();
    assert_eq!(scene.members[1].list().list, accepted);
    assert!(!has(&scene.group, gone));
}

#[test]
fn a_household_that_goes_on_names_its_newest_list_and_the_rival_still_removes() {
    let mut scene = Scene::with(&[Role::Viewer, Role::Viewer, Role::Viewer]);
    let [first, second, third] = [0, 1, 2].map(|at| scene.devices[at].id());
    let ours = scene.home.admin.sign_list(scene.home.draft(Reason::Changed));
    let theirs = without(&scene, first);
    let mut cameras = sees(&scene, &ours, &theirs);
    // The household never saw the other list, and removes somebody else.
    let mut household = scene.home.chain.clone();
    household.accept(ours.as_bytes(), Some(at(NOW))).unwrap();
    let signer = Signer::Device(scene.home.admin.device());
    let on = household.next_draft(signer, NOW, Reason::Removed).unwrap().without(second).unwrap();
    let on = scene.home.admin.sign_list(on);
    let newest = household.accept(on.as_bytes(), Some(at(NOW))).unwrap();
    cameras.accept(on.as_bytes(), Some(at(NOW))).unwrap();
    let commit = scene.group.sync(&cameras, &[], at(NOW)).unwrap().commit.unwrap();
    scene.group.confirm().unwrap();
    assert!(!has(&scene.group, first) && !has(&scene.group, second) && has(&scene.group, third));
    assert_eq!(scene.group.list().list, newest);
    let processed = scene.members[2].process(&commit.commit, &household).unwrap();
    assert!(matches!(processed, Processed::Epoch(_)), "{processed:?}");
    assert_eq!(scene.group.sync(&cameras, &[], at(NOW)).unwrap().commit, None);
}

#[test]
fn an_admin_removes_whom_its_own_history_removed_in_spite_of_a_rival() {
    let mut scene = Scene::with(&[Role::Admin, Role::Viewer, Role::Viewer]);
    let [gone, rivals] = [1, 2].map(|at| scene.devices[at].id());
    let (ours, theirs) = (without(&scene, gone), without(&scene, rivals));
    let chain = sees(&scene, &ours, &theirs);
    let commit = scene.members[0].remove_unlisted(&chain).unwrap().unwrap();
    // The camera and the other viewer know the own history only.
    let mut known = scene.home.chain.clone();
    known.accept(ours.as_bytes(), Some(at(NOW))).unwrap();
    scene.group.process(&commit.commit, &known).unwrap();
    scene.members[2].process(&commit.commit, &known).unwrap();
    scene.members[0].confirm().unwrap();
    assert!(!has(&scene.group, gone) && has(&scene.group, rivals));
    assert_eq!(scene.members[0].remove_unlisted(&chain).unwrap(), None, "the rest is the camera's");
}

#[test]
fn a_rival_that_resets_the_camera_does_not_keep_it_from_removing() {
    let mut scene = Scene::with(&[Role::Viewer]);
    let gone = scene.devices[0].id();
    let ours = without(&scene, gone);
    let reset = scene.home.draft(Reason::CameraReset).with_camera_reset(scene.group.group_id().camera());
    let theirs = scene.home.admin.sign_list(reset.unwrap());
    let chain = sees(&scene, &ours, &theirs);
    assert!(scene.group.sync(&chain, &[], at(NOW)).unwrap().commit.is_some());
    scene.group.confirm().unwrap();
    assert!(!has(&scene.group, gone));
}
