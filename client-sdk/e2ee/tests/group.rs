//! What a group does among honest devices: join, follow, remove, restart.

#![allow(clippy::unwrap_used)]

mod household;

use std::collections::HashSet;
use std::time::Duration;

use household::{Device, Household, NOW, Scene, at};
use latchkey_api::device_list::{Reason, Role};
use latchkey_e2ee::group::{
    CameraGroup, ClaimedPackage, CommitTime, GroupError, KeyPackages, MAX_SESSIONS, Member, Processed,
    Refusal,
};
use latchkey_e2ee::identity::DeviceIdentity;
use latchkey_e2ee::inner::InnerHeader;
use latchkey_e2ee::kid::VIDEO;
use latchkey_e2ee::open::{FrameOpener, OpenError};
use latchkey_e2ee::seal::FrameSealer;
use latchkey_wire::codec::Codec;

const HEADER: InnerHeader = InnerHeader { captured_ms: 1, key_frame: true, codec: Codec::H264 };

fn seal(sealer: &mut FrameSealer, frame: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    sealer.seal(VIDEO, HEADER, b"", frame, &mut out).unwrap();
    out
}

fn opens(opener: &mut FrameOpener, sframe: &[u8]) -> Result<Vec<u8>, OpenError> {
    let mut out = Vec::new();
    opener.open(sframe, b"", &mut out).map(|_| out)
}

#[test]
fn all_members_open_what_the_camera_sealed_once() {
    let mut scene = Scene::with(&[Role::Viewer, Role::Admin, Role::Viewer]);
    let session = scene.group.next_session().unwrap();
    let mut sealer = FrameSealer::new(&scene.group.frame_keys().unwrap(), session);
    let sframe = seal(&mut sealer, b"picture");
    assert_eq!(sealer.aead_calls(), 1);
    for (member, device) in scene.members.iter().zip(&scene.devices) {
        let keys = member.frame_keys().unwrap();
        assert_eq!(keys.device_at(0), Some(scene.camera.device()));
        assert_eq!(keys.device_at(keys.own_leaf()), Some(device.id()));
        let mut opener = FrameOpener::new();
        opener.add_epoch(keys, Duration::ZERO);
        assert_eq!(opens(&mut opener, &sframe).unwrap(), b"picture");
    }
}

#[test]
fn a_removed_member_opens_nothing_sealed_after_the_commit() {
    let mut scene = Scene::with(&[Role::Viewer, Role::Viewer]);
    let session = scene.group.next_session().unwrap();
    let mut sealer = FrameSealer::new(&scene.group.frame_keys().unwrap(), session);
    let mut openers: Vec<_> = scene.members.iter().map(|_| FrameOpener::new()).collect();
    for (opener, member) in openers.iter_mut().zip(&scene.members) {
        opener.add_epoch(member.frame_keys().unwrap(), Duration::ZERO);
    }
    let before = seal(&mut sealer, b"before");
    assert!(openers.iter_mut().all(|opener| opens(opener, &before).is_ok()));

    let gone = scene.devices[0].id();
    scene.home.remove(gone);
    let commit = scene.sync();
    assert!(commit.welcomes.is_empty());
    sealer.rekey(&scene.group.frame_keys().unwrap()).unwrap();
    assert!(scene.members[0].is_removed());
    assert_eq!(scene.members[0].frame_keys().err(), Some(GroupError::Removed));
    assert_eq!(scene.members[0].process(&commit.commit, &scene.home.chain).err(), Some(GroupError::Removed));
    openers[1].add_epoch(scene.members[1].frame_keys().unwrap(), Duration::ZERO);

    for number in 0u32..300 {
        let sframe = seal(&mut sealer, &number.to_be_bytes());
        assert_eq!(opens(&mut openers[0], &sframe), Err(OpenError::UnknownEpoch));
        assert_eq!(opens(&mut openers[1], &sframe).unwrap(), number.to_be_bytes());
    }
    assert!(!scene.group.members().iter().any(|(_, device)| *device == gone));
}

#[test]
fn adds_and_removes_come_in_one_commit_and_equal_needs_none() {
    let mut scene = Scene::with(&[Role::Viewer, Role::Viewer]);
    let chain = &scene.home.chain;
    assert_eq!(scene.group.sync(chain, &[], at(NOW)).unwrap().commit, None);

    scene.home.remove(scene.devices[1].id());
    let mut new = Device::new(scene.home.enrol(Role::Viewer));
    let chain = &scene.home.chain;
    let admin = scene.home.admin.device();
    let mut missing = scene.group.missing(chain, at(NOW));
    missing.sort();
    let mut expected = vec![admin, new.id()];
    expected.sort();
    assert_eq!(missing, expected);

    let package = new.package(chain);
    let commit = scene.group.sync(chain, &[package], at(NOW)).unwrap().commit.unwrap();
    assert_eq!(scene.group.sync(chain, &[], at(NOW)).err(), Some(GroupError::CommitPending));
    let change = scene.group.confirm().unwrap();
    assert_eq!((change.added, change.removed), (vec![new.id()], vec![scene.devices[1].id()]));
    assert_eq!(change.list.list, chain.head().unwrap().version());
    let Processed::Epoch(seen) = scene.members[0].process(&commit.commit, chain).unwrap() else { panic!() };
    assert_eq!((seen.added, seen.removed), (vec![new.id()], vec![scene.devices[1].id()]));
    let joined = new.join(chain, scene.camera.device(), &commit);
    assert_eq!(joined.members(), scene.members[0].members());
    assert!(new.packages.is_empty(), "the used key package is erased");
    assert_eq!(scene.group.sync(chain, &[], at(NOW)).unwrap().commit, None);
}

#[test]
fn a_member_without_the_list_waits_for_it_and_then_follows() {
    let mut scene = Scene::with(&[Role::Viewer, Role::Viewer]);
    let old = scene.home.chain.clone();
    scene.home.remove(scene.devices[1].id());
    let chain = &scene.home.chain;
    let commit = scene.group.sync(chain, &[], at(NOW)).unwrap().commit.unwrap();
    let version = chain.head().unwrap().version().version;
    let member = &mut scene.members[0];
    let epoch = member.epoch();
    let refusal = GroupError::Refused(Refusal::UnknownList { version });
    assert_eq!(member.process(&commit.commit, &old).err(), Some(refusal));
    assert_eq!(member.epoch(), epoch);
    assert!(matches!(member.process(&commit.commit, chain).unwrap(), Processed::Epoch(_)));
    assert_eq!(member.process(&commit.commit, chain).unwrap(), Processed::Stale);
}

#[test]
fn messages_out_of_order_are_told_apart() {
    let mut scene = Scene::with(&[Role::Viewer]);
    let first = scene.group.renew(&scene.home.chain, at(NOW)).unwrap();
    scene.group.confirm().unwrap();
    let second = scene.group.renew(&scene.home.chain, at(NOW)).unwrap();
    scene.group.confirm().unwrap();
    let member = &mut scene.members[0];
    let gap = GroupError::Gap { expected: first.epoch, found: second.epoch };
    assert_eq!(member.process(&second.commit, &scene.home.chain).err(), Some(gap));
    member.process(&first.commit, &scene.home.chain).unwrap();
    member.process(&second.commit, &scene.home.chain).unwrap();
    assert_eq!(member.epoch(), scene.group.epoch());
    assert_eq!(member.process(b"nonsense", &scene.home.chain).err(), Some(GroupError::Malformed));

    let mut other = Scene::with(&[Role::Viewer]);
    let foreign = other.members[0].process(&second.commit, &other.home.chain);
    assert_eq!(foreign.err(), Some(GroupError::OtherGroup));
}

#[test]
fn keys_are_renewed_after_a_day_and_when_a_member_asks() {
    let mut scene = Scene::with(&[Role::Viewer, Role::Viewer]);
    let chain = scene.home.chain.clone();
    assert_eq!(scene.group.sync(&chain, &[], at(NOW + 86_399)).unwrap().commit, None);
    let daily = scene.group.sync(&chain, &[], at(NOW + 86_400)).unwrap().commit.unwrap();
    scene.group.confirm().unwrap();
    for member in &mut scene.members {
        member.process(&daily.commit, &chain).unwrap();
    }
    let update = scene.members[0].propose_update().unwrap();
    assert_eq!(scene.group.process(&update, &chain).unwrap(), Processed::Proposal);
    assert_eq!(scene.members[1].process(&update, &chain).unwrap(), Processed::Proposal);
    let commit = scene.group.sync(&chain, &[], at(NOW + 86_400)).unwrap().commit.unwrap();
    scene.group.confirm().unwrap();
    for member in &mut scene.members {
        assert!(matches!(member.process(&commit.commit, &chain).unwrap(), Processed::Epoch(_)));
        assert_eq!(member.epoch(), scene.group.epoch());
    }
}

#[test]
fn time_never_runs_backwards_even_when_the_cameras_clock_does() {
    let mut scene = Scene::with(&[Role::Viewer]);
    let commit = scene.group.renew(&scene.home.chain, at(5)).unwrap();
    scene.group.confirm().unwrap();
    assert_eq!(scene.group.list().time, NOW);
    scene.members[0].process(&commit.commit, &scene.home.chain).unwrap();
}

#[test]
fn a_camera_without_a_clock_adds_members() {
    let mut scene = Scene::with(&[]);
    scene.group = CameraGroup::found(&scene.camera, &scene.home.chain, at(5)).unwrap();
    assert_eq!(scene.group.list().time, NOW, "the list tells the time");
    let mut new = Device::new(scene.home.enrol(Role::Viewer));
    let made = at(NOW + 9_000_000);
    let key_package = new.packages.generate(&new.identity, &scene.home.chain, made).unwrap();
    let package = [ClaimedPackage { device: new.id(), key_package }];
    let synced = scene.group.sync(&scene.home.chain, &package, at(5)).unwrap();
    assert_eq!(synced.refused, []);
    scene.group.discard().unwrap();
    // A clock that is right tells a package that was kept back for a year.
    let late = made + Duration::from_secs(366 * 86_400);
    assert_eq!(scene.group.sync(&scene.home.chain, &package, late).unwrap().refused.len(), 1);
}

#[test]
fn a_guest_leaves_when_its_time_is_over() {
    let mut home = Household::found();
    let camera = home.enrol(Role::Camera);
    let end = NOW + 3600;
    let mut guest = Device::new(home.enrol_guest(camera.device(), end));
    let mut group = CameraGroup::found(&camera, &home.chain, at(NOW)).unwrap();
    let package = guest.package(&home.chain);
    let commit = group.sync(&home.chain, std::slice::from_ref(&package), at(NOW)).unwrap().commit.unwrap();
    group.confirm().unwrap();
    let mut member = guest.join(&home.chain, camera.device(), &commit);
    assert_eq!(group.sync(&home.chain, &[], at(end - 1)).unwrap().commit, None);
    let commit = group.sync(&home.chain, &[], at(end)).unwrap().commit.unwrap();
    group.confirm().unwrap();
    assert_eq!(group.members().len(), 1);
    assert_eq!(member.process(&commit.commit, &home.chain).unwrap(), Processed::Removed);
    assert!(!group.missing(&home.chain, at(end)).contains(&guest.id()));
    let package = guest.package(&home.chain);
    let again = group.sync(&home.chain, &[package], at(end)).unwrap();
    assert_eq!(again.refused[0].error, GroupError::Refused(Refusal::NotEntitled(guest.id())));
}

#[test]
fn a_guest_comes_back_when_the_clock_that_ended_its_stay_was_wrong() {
    let mut home = Household::found();
    let camera = home.enrol(Role::Camera);
    let end = NOW + 3600;
    let mut guest = Device::new(home.enrol_guest(camera.device(), end));
    let mut group = CameraGroup::found(&camera, &home.chain, at(NOW)).unwrap();
    let package = guest.package(&home.chain);
    let commit = group.sync(&home.chain, &[package], at(NOW)).unwrap().commit.unwrap();
    group.confirm().unwrap();
    let mut member = guest.join(&home.chain, camera.device(), &commit);
    // The camera's clock runs two years ahead; its group is told of no such time.
    let wrong = CommitTime { group: at(NOW + 60), clock: at(NOW + 2 * 365 * 24 * 3600) };
    let commit = group.sync(&home.chain, &[], wrong).unwrap().commit.unwrap();
    group.confirm().unwrap();
    assert_eq!((group.members().len(), group.list().time), (1, NOW + 60));
    assert_eq!(member.process(&commit.commit, &home.chain).unwrap(), Processed::Removed);
    assert!(!group.missing(&home.chain, wrong).contains(&guest.id()));

    assert!(group.missing(&home.chain, at(NOW + 120)).contains(&guest.id()));
    let package = guest.package(&home.chain);
    let commit = group.sync(&home.chain, &[package], at(NOW + 120)).unwrap().commit.unwrap();
    group.confirm().unwrap();
    guest.join(&home.chain, camera.device(), &commit);
}

#[test]
fn a_guest_of_another_camera_is_not_let_in() {
    let mut home = Household::found();
    let (front, back) = (home.enrol(Role::Camera), home.enrol(Role::Camera));
    let mut guest = Device::new(home.enrol_guest(back.device(), NOW + 3600));
    let mut group = CameraGroup::found(&front, &home.chain, at(NOW)).unwrap();
    assert_eq!(group.missing(&home.chain, at(NOW)), [home.admin.device()]);
    let package = guest.package(&home.chain);
    let synced = group.sync(&home.chain, &[package], at(NOW)).unwrap();
    assert_eq!(synced.commit, None);
    assert_eq!(synced.refused[0].error, GroupError::Refused(Refusal::NotEntitled(guest.id())));
}

#[test]
fn an_admin_removes_when_the_camera_sleeps() {
    let mut scene = Scene::with(&[Role::Admin, Role::Viewer, Role::Viewer]);
    assert_eq!(scene.members[0].remove_unlisted(&scene.home.chain).unwrap(), None);
    scene.home.remove(scene.devices[2].id());
    let chain = scene.home.chain.clone();
    let refused = scene.members[1].remove_unlisted(&chain).err();
    assert_eq!(refused, Some(GroupError::Refused(Refusal::CommitterNotAllowed(scene.devices[1].id()))));

    let commit = scene.members[0].remove_unlisted(&chain).unwrap().unwrap();
    // The camera was about to do the same; the server took the admin's commit first.
    scene.group.sync(&chain, &[], at(NOW)).unwrap().commit.unwrap();
    scene.group.discard().unwrap();
    assert!(matches!(scene.group.process(&commit.commit, &chain).unwrap(), Processed::Epoch(_)));
    assert!(matches!(scene.members[1].process(&commit.commit, &chain).unwrap(), Processed::Epoch(_)));
    assert_eq!(scene.members[2].process(&commit.commit, &chain).unwrap(), Processed::Removed);
    assert!(matches!(scene.members[0].process(&commit.commit, &chain).unwrap(), Processed::Epoch(_)));
    assert_eq!(scene.group.members(), scene.members[0].members());
    assert_eq!(scene.group.sync(&chain, &[], at(NOW)).unwrap().commit, None);
}

#[test]
fn a_member_that_lost_its_state_is_put_in_anew() {
    let mut scene = Scene::with(&[Role::Viewer, Role::Viewer]);
    let chain = scene.home.chain.clone();
    let identity = DeviceIdentity::from_bytes(&scene.devices[0].identity.to_bytes()).unwrap();
    let mut lost = Device::new(identity);
    let package = lost.package(&chain);
    let commit = scene.group.sync(&chain, &[package], at(NOW)).unwrap().commit.unwrap();
    let change = scene.group.confirm().unwrap();
    assert!(change.added.is_empty() && change.removed.is_empty());
    let again = lost.join(&chain, scene.camera.device(), &commit);
    assert!(again.supersedes(&scene.members[0]));
    assert!(!scene.members[0].supersedes(&again));
    scene.members[1].process(&commit.commit, &chain).unwrap();
    assert_eq!(again.members(), scene.members[1].members());
    assert_eq!(again.epoch(), scene.group.epoch());
}

#[test]
fn state_survives_a_restart_on_both_sides() {
    let scene = Scene::with(&[Role::Viewer]);
    let chain = scene.home.chain.clone();
    let mut group = CameraGroup::restore(&scene.group.save(), &chain).unwrap();
    let mut member = Member::restore(&scene.members[0].save(), &chain).unwrap();
    assert_eq!((group.epoch(), group.members()), (scene.group.epoch(), scene.group.members()));
    // The same epoch goes on without a commit; only the session is new.
    let mut sealer = FrameSealer::new(&group.frame_keys().unwrap(), group.next_session().unwrap());
    let mut opener = FrameOpener::new();
    opener.add_epoch(member.frame_keys().unwrap(), Duration::ZERO);
    assert_eq!(opens(&mut opener, &seal(&mut sealer, b"again")).unwrap(), b"again");
    let commit = group.renew(&chain, at(NOW)).unwrap();
    group.confirm().unwrap();
    member.process(&commit.commit, &chain).unwrap();

    assert_eq!(CameraGroup::restore(&scene.members[0].save(), &chain).err(), Some(GroupError::Unreadable));
    let saved = scene.group.save();
    for cut in [0, 3, 10, saved.len() / 2, saved.len() - 1] {
        assert_eq!(CameraGroup::restore(&saved[..cut], &chain).err(), Some(GroupError::Unreadable), "{cut}");
    }
}

#[test]
fn a_commit_in_flight_survives_a_crash() {
    let mut scene = Scene::with(&[Role::Viewer]);
    let mut new = Device::new(scene.home.enrol(Role::Viewer));
    let chain = scene.home.chain.clone();
    let package = new.package(&chain);
    let sent = scene.group.sync(&chain, &[package], at(NOW)).unwrap().commit.unwrap();
    let saved = scene.group.save();

    // The server has it: the camera finds its own commit among the messages.
    let mut group = CameraGroup::restore(&saved, &chain).unwrap();
    assert_eq!(group.pending(), Some(&sent));
    assert!(matches!(group.process(&sent.commit, &chain).unwrap(), Processed::Epoch(_)));
    assert_eq!(group.pending(), None);
    let joined = new.join(&chain, scene.camera.device(), &sent);
    assert_eq!(joined.epoch(), group.epoch());

    // The server does not have it: the camera sends the same bytes again.
    let mut group = CameraGroup::restore(&saved, &chain).unwrap();
    let change = group.confirm().unwrap();
    assert_eq!(change.added, [new.id()]);
    assert_eq!(group.confirm().err(), Some(GroupError::NoCommitPending));
}

#[test]
fn a_list_without_the_camera_or_with_its_next_generation_closes_the_group() {
    let mut scene = Scene::with(&[Role::Viewer]);
    assert!(!scene.members[0].is_closed(&scene.home.chain));
    let draft = scene.home.draft(Reason::CameraReset).with_camera_reset(scene.camera.device()).unwrap();
    scene.home.sign(draft);
    let closed = Some(GroupError::Refused(Refusal::GroupClosed));
    assert_eq!(scene.group.sync(&scene.home.chain, &[], at(NOW)).err(), closed);
    assert!(scene.members[0].is_closed(&scene.home.chain));

    let next = CameraGroup::found(&scene.camera, &scene.home.chain, at(NOW)).unwrap();
    assert_eq!(next.group_id().generation(), scene.group.group_id().generation() + 1);

    scene.home.remove(scene.camera.device());
    assert_eq!(scene.group.sync(&scene.home.chain, &[], at(NOW)).err(), closed);
    assert!(scene.members[0].is_closed(&scene.home.chain));
    let unlisted = CameraGroup::found(&scene.camera, &scene.home.chain, at(NOW)).err();
    assert_eq!(unlisted, Some(GroupError::Refused(Refusal::NotListed(scene.camera.device()))));
}

#[test]
fn a_viewer_cannot_found_a_cameras_group() {
    let mut home = Household::found();
    home.enrol(Role::Camera);
    let viewer = home.enrol(Role::Viewer);
    let refused = CameraGroup::found(&viewer, &home.chain, at(NOW)).err();
    assert_eq!(refused, Some(GroupError::Refused(Refusal::NotListed(viewer.device()))));
}

#[test]
fn sessions_never_repeat_over_a_hundred_restarts() {
    let mut scene = Scene::with(&[]);
    let mut seen = HashSet::new();
    for _ in 0..100 {
        assert!(seen.insert(scene.group.next_session().unwrap()));
        let saved = scene.group.save();
        scene.group = CameraGroup::restore(&saved, &scene.home.chain).unwrap();
    }
}

#[test]
fn sessions_of_an_epoch_run_out_rather_than_repeat() {
    let mut scene = Scene::with(&[]);
    for _ in 0..MAX_SESSIONS {
        scene.group.next_session().unwrap();
    }
    assert_eq!(scene.group.next_session().err(), Some(GroupError::SessionsExhausted));
    scene.group.renew(&scene.home.chain, at(NOW)).unwrap();
    scene.group.confirm().unwrap();
    scene.group.next_session().unwrap();
}

#[test]
fn the_last_resort_package_joins_again_and_again_until_it_is_replaced() {
    let mut scene = Scene::with(&[]);
    let device = scene.home.enrol(Role::Viewer);
    let chain = scene.home.chain.clone();
    let mut packages = KeyPackages::new();
    let key_package = packages.generate_last_resort(&device, &chain, at(NOW)).unwrap();
    let claimed = ClaimedPackage { device: device.device(), key_package };
    for _ in 0..2 {
        let commit =
            scene.group.sync(&chain, std::slice::from_ref(&claimed), at(NOW)).unwrap().commit.unwrap();
        scene.group.confirm().unwrap();
        let welcome = &commit.welcomes[0].welcome;
        let mut stored = KeyPackages::restore(&packages.save()).unwrap();
        Member::join(&device, &chain, &mut stored, scene.camera.device(), welcome).unwrap();
        assert_eq!(stored.len(), 1);
        Member::join(&device, &chain, &mut packages, scene.camera.device(), welcome).unwrap();
    }
    // It can be joined with until three newer ones were made; none of them may have reached the server.
    let commit = scene.group.sync(&chain, &[claimed], at(NOW)).unwrap().commit.unwrap();
    let welcome = &commit.welcomes[0].welcome;
    let camera = scene.camera.device();
    for newer in 1..=3 {
        packages.generate_last_resort(&device, &chain, at(NOW)).unwrap();
        packages = KeyPackages::restore(&packages.save()).unwrap();
        let joined = Member::join(&device, &chain, &mut packages, camera, welcome);
        assert_eq!(joined.is_ok(), newer < 3);
    }
    assert_eq!(packages.len(), 3);
    assert_eq!(KeyPackages::restore(b"LKP1\0\0\0\x09").err(), Some(GroupError::Unreadable));
}
