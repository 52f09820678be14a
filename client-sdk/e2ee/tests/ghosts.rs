//! Ghosts that a hostile server wants inside: at the camera's door, and behind a Welcome.
//!
//! The attackers hold real keys and use the real MLS library, without our rules: see `rogue`.

#![allow(clippy::unwrap_used)]

mod household;
mod rogue;

use ed25519_dalek::SigningKey;
use household::{Device, Household, NOW, Scene, at};
use latchkey_api::device_list::Role;
use latchkey_api::id::GroupId;
use latchkey_e2ee::group::{ClaimedPackage, GroupError, Member, Processed, Refusal};
use latchkey_e2ee::identity::DeviceIdentity;
use mls_rs::Extension;

fn refused(refusal: Refusal) -> Option<GroupError> {
    Some(GroupError::Refused(refusal))
}

// --- Ghosts at the camera's door -------------------------------------------------------------------

#[test]
fn a_key_package_of_an_unlisted_device_is_refused() {
    let mut scene = Scene::with(&[Role::Viewer]);
    let mut ghost = Device::new(DeviceIdentity::generate().unwrap());
    let package = ghost.package(&scene.home.chain);
    let synced = scene.group.sync(&scene.home.chain, &[package], at(NOW)).unwrap();
    assert_eq!(synced.commit, None);
    assert_eq!(synced.refused[0].error, GroupError::Refused(Refusal::NotListed(ghost.id())));
    assert_eq!(scene.group.members().len(), 2);
}

#[test]
fn a_key_package_with_a_listed_id_but_another_key_is_refused() {
    let mut scene = Scene::with(&[]);
    let viewer = scene.home.enrol(Role::Viewer).device();
    let ghost = rogue::client_of(scene.home.id(), viewer, &SigningKey::from_bytes(&[9; 32]));
    let key_package = rogue::package(&ghost).to_bytes().unwrap();
    let claimed = ClaimedPackage { device: viewer, key_package };
    let synced = scene.group.sync(&scene.home.chain, &[claimed], at(NOW)).unwrap();
    assert_eq!(synced.refused[0].error, GroupError::Refused(Refusal::WrongKey(viewer)));
    assert_eq!(scene.group.members().len(), 1);
}

#[test]
fn a_key_package_handed_out_for_another_device_is_refused() {
    let mut scene = Scene::with(&[]);
    let mut one = Device::new(scene.home.enrol(Role::Viewer));
    let other = scene.home.enrol(Role::Viewer).device();
    let package = ClaimedPackage { device: other, ..one.package(&scene.home.chain) };
    let synced = scene.group.sync(&scene.home.chain, &[package], at(NOW)).unwrap();
    assert_eq!(synced.refused[0].error, GroupError::Refused(Refusal::WrongKeyPackage(other)));
}

#[test]
fn a_bad_key_package_keeps_neither_removals_nor_good_ones_from_being_committed() {
    let mut scene = Scene::with(&[Role::Viewer]);
    let (mut good, mut bad) =
        (Device::new(scene.home.enrol(Role::Viewer)), Device::new(scene.home.enrol(Role::Viewer)));
    scene.home.remove(scene.devices[0].id());
    let chain = scene.home.chain.clone();
    let mut bent = bad.package(&chain);
    // The last byte is of the signature: the package still reads well, and fails only inside the library.
    *bent.key_package.last_mut().unwrap() ^= 1;
    let garbage = ClaimedPackage { device: scene.home.admin.device(), key_package: vec![1, 2, 3] };
    let packages = [bent, garbage, good.package(&chain)];
    let synced = scene.group.sync(&chain, &packages, at(NOW)).unwrap();
    let commit = synced.commit.unwrap();
    let change = scene.group.confirm().unwrap();
    assert_eq!((change.added, change.removed), (vec![good.id()], vec![scene.devices[0].id()]));
    assert_eq!(synced.refused.len(), 2);
    good.join(&chain, scene.camera.device(), &commit);
}

// --- Ghosts already inside -------------------------------------------------------------------------

/// A modified camera's group with the given rogue packages, and the Welcome it would send to `viewer`.
fn welcome_into(
    home: &Household,
    camera: &DeviceIdentity,
    ghosts: &[mls_rs::MlsMessage],
    viewer: &mut Device,
) -> Vec<u8> {
    let client = rogue::client(home.id(), camera);
    let mut group = rogue::found(&client, camera.device(), home.chain.head().unwrap(), NOW);
    for ghost in ghosts {
        let mut builder = rogue::commit(&mut group);
        builder = builder.add_member(ghost.clone()).unwrap();
        builder.build().unwrap();
        group.apply_pending_commit().unwrap();
    }
    let package = rogue::read(&viewer.package(&home.chain).key_package);
    let output = rogue::commit(&mut group).add_member(package).unwrap().build().unwrap();
    output.welcome_messages()[0].to_bytes().unwrap()
}

#[test]
fn a_welcome_into_a_group_with_a_ghost_is_refused() {
    let mut home = Household::found();
    let camera = home.enrol(Role::Camera);
    let mut viewer = Device::new(home.enrol(Role::Viewer));
    let ghost = DeviceIdentity::generate().unwrap();
    let package = rogue::package(&rogue::client(home.id(), &ghost));
    let welcome = welcome_into(&home, &camera, &[package], &mut viewer);
    let joined = Member::join(&viewer.identity, &home.chain, &mut viewer.packages, camera.device(), &welcome);
    assert_eq!(joined.err(), refused(Refusal::NotListed(ghost.device())));
    assert_eq!(viewer.packages.len(), 1, "the key package is not used up by a refused Welcome");

    // The same without the ghost is fine, so it was the ghost.
    let welcome = welcome_into(&home, &camera, &[], &mut viewer);
    Member::join(&viewer.identity, &home.chain, &mut viewer.packages, camera.device(), &welcome).unwrap();
}

#[test]
fn a_welcome_with_a_ghost_behind_a_listed_id_is_refused() {
    let mut home = Household::found();
    let camera = home.enrol(Role::Camera);
    let listed = home.enrol(Role::Viewer).device();
    let mut viewer = Device::new(home.enrol(Role::Viewer));
    let ghost = rogue::client_of(home.id(), listed, &SigningKey::from_bytes(&[9; 32]));
    let welcome = welcome_into(&home, &camera, &[rogue::package(&ghost)], &mut viewer);
    let joined = Member::join(&viewer.identity, &home.chain, &mut viewer.packages, camera.device(), &welcome);
    assert_eq!(joined.err(), refused(Refusal::WrongKey(listed)));
}

#[test]
fn a_welcome_with_another_camera_inside_is_refused() {
    let mut home = Household::found();
    let (front, back) = (home.enrol(Role::Camera), home.enrol(Role::Camera));
    let mut viewer = Device::new(home.enrol(Role::Viewer));
    let package = rogue::package(&rogue::client(home.id(), &back));
    let welcome = welcome_into(&home, &front, &[package], &mut viewer);
    let joined = Member::join(&viewer.identity, &home.chain, &mut viewer.packages, front.device(), &welcome);
    assert_eq!(joined.err(), refused(Refusal::NotEntitled(back.device())));
}

#[test]
fn a_group_that_a_viewer_made_in_the_cameras_name_is_refused() {
    let mut home = Household::found();
    let camera = home.enrol(Role::Camera);
    let thief = home.enrol(Role::Viewer);
    let mut viewer = Device::new(home.enrol(Role::Viewer));
    let client = rogue::client(home.id(), &thief);
    let mut group = rogue::found(&client, camera.device(), home.chain.head().unwrap(), NOW);
    let package = rogue::read(&viewer.package(&home.chain).key_package);
    let output = rogue::commit(&mut group).add_member(package).unwrap().build().unwrap();
    let welcome = output.welcome_messages()[0].to_bytes().unwrap();
    let joined = Member::join(&viewer.identity, &home.chain, &mut viewer.packages, camera.device(), &welcome);
    assert_eq!(joined.err(), refused(Refusal::CameraNotAtLeafZero));
}

#[test]
fn a_welcome_that_names_no_list_or_an_unknown_one_is_refused() {
    let mut home = Household::found();
    let camera = home.enrol(Role::Camera);
    let mut viewer = Device::new(home.enrol(Role::Viewer));
    let head = home.chain.head().unwrap().version();
    let client = rogue::client(home.id(), &camera);
    let id = GroupId::new(camera.device(), 0).0.to_vec();
    let mut two = rogue::naming(home.chain.head().unwrap(), NOW);
    two.set(Extension::new(1.into(), vec![1]));
    let unknown = head.version + 1;
    for (extensions, refusal) in [
        (Default::default(), Refusal::ListNotNamed),
        (two, Refusal::ListNotNamed),
        (rogue::named(unknown, [1; 32], NOW), Refusal::UnknownList { version: unknown }),
        (rogue::named(0, [1; 32], NOW), Refusal::UnknownList { version: 0 }),
        (rogue::named(head.version, [1; 32], NOW), Refusal::ListMismatch { version: head.version }),
    ] {
        let group = client.create_group_with_id(id.clone(), extensions, Default::default(), None);
        let package = rogue::read(&viewer.package(&home.chain).key_package);
        let output = rogue::commit(&mut group.unwrap()).add_member(package).unwrap().build().unwrap();
        let welcome = output.welcome_messages()[0].to_bytes().unwrap();
        let joined =
            Member::join(&viewer.identity, &home.chain, &mut viewer.packages, camera.device(), &welcome);
        assert_eq!(joined.err(), refused(refusal));
    }
}

#[test]
fn a_welcome_into_another_cameras_or_generations_group_is_refused() {
    let mut home = Household::found();
    let (front, back) = (home.enrol(Role::Camera), home.enrol(Role::Camera));
    let mut viewer = Device::new(home.enrol(Role::Viewer));
    let welcome = welcome_into(&home, &front, &[], &mut viewer);
    let joined = Member::join(&viewer.identity, &home.chain, &mut viewer.packages, back.device(), &welcome);
    assert_eq!(joined.err(), refused(Refusal::WrongGroup));

    let client = rogue::client(home.id(), &front);
    let id = GroupId::new(front.device(), 7).0.to_vec();
    let named = rogue::naming(home.chain.head().unwrap(), NOW);
    let mut group = client.create_group_with_id(id, named, Default::default(), None).unwrap();
    let package = rogue::read(&viewer.package(&home.chain).key_package);
    let output = rogue::commit(&mut group).add_member(package).unwrap().build().unwrap();
    let welcome = output.welcome_messages()[0].to_bytes().unwrap();
    let joined = Member::join(&viewer.identity, &home.chain, &mut viewer.packages, front.device(), &welcome);
    assert_eq!(joined.err(), refused(Refusal::GroupClosed));
}

#[test]
fn a_device_of_another_household_is_refused() {
    let mut home = Household::found();
    let camera = home.enrol(Role::Camera);
    let viewer = home.enrol(Role::Viewer);
    let mut joiner = Device::new(home.enrol(Role::Viewer));
    let other = Household::found().id();
    let package = rogue::package(&rogue::client(other, &viewer));
    let welcome = welcome_into(&home, &camera, &[package], &mut joiner);
    let joined = Member::join(&joiner.identity, &home.chain, &mut joiner.packages, camera.device(), &welcome);
    assert_eq!(joined.err(), refused(Refusal::OtherHousehold));
}

#[test]
fn no_changed_byte_of_a_commit_or_welcome_is_accepted() {
    let mut scene = Scene::with(&[Role::Viewer]);
    let mut new = Device::new(scene.home.enrol(Role::Viewer));
    let chain = scene.home.chain.clone();
    let package = new.package(&chain);
    let commit = scene.group.sync(&chain, &[package], at(NOW)).unwrap().commit.unwrap();
    let member = &mut scene.members[0];
    let epoch = member.epoch();
    for byte in 0..commit.commit.len() {
        let mut bent = commit.commit.clone();
        bent[byte] ^= 1;
        let answer = member.process(&bent, &chain);
        assert!(matches!(answer, Err(_) | Ok(Processed::Stale)), "byte {byte}: {answer:?}");
        assert_eq!(member.epoch(), epoch);
    }
    member.process(&commit.commit, &chain).unwrap();

    let camera = scene.camera.device();
    let welcome = commit.welcomes[0].welcome.clone();
    for byte in 0..welcome.len() {
        let mut bent = welcome.clone();
        bent[byte] ^= 1;
        let joined = Member::join(&new.identity, &chain, &mut new.packages, camera, &bent);
        assert!(joined.is_err(), "byte {byte}");
        let joined = Member::join(&new.identity, &chain, &mut new.packages, camera, &welcome[..byte]);
        assert!(joined.is_err(), "cut at {byte}");
    }
    Member::join(&new.identity, &chain, &mut new.packages, camera, &welcome).unwrap();
}
