//! What a modified camera commits, and every honest viewer refuses.
//!
//! The attacker holds real keys and uses the real MLS library, without our rules: see `rogue`.

#![allow(clippy::unwrap_used)]

mod household;
mod rogue;

use household::{Device, Household, NOW};
use latchkey_api::device_list::{ListChain, Role};
use latchkey_e2ee::group::{GroupError, Member, Refusal};
use latchkey_e2ee::identity::DeviceIdentity;
use mls_rs::client_builder::MlsConfig;
use mls_rs::group::CommitBuilder;
use mls_rs::{CipherSuite, Extension, Group};

fn refused(refusal: Refusal) -> Option<GroupError> {
    Some(GroupError::Refused(refusal))
}

/// A modified camera with one honest viewer in its group.
struct BadCamera<C: MlsConfig> {
    home: Household,
    camera: Group<C>,
    member: Member,
}

fn bad_camera() -> BadCamera<impl MlsConfig> {
    let mut home = Household::found();
    let camera = home.enrol(Role::Camera);
    let mut viewer = Device::new(home.enrol(Role::Viewer));
    home.enrol(Role::Viewer);
    let client = rogue::client(home.id(), &camera);
    let mut group = rogue::found(&client, camera.device(), home.chain.head().unwrap(), NOW);
    let package = rogue::read(&viewer.package(&home.chain).key_package);
    let output = rogue::commit(&mut group).add_member(package).unwrap().build().unwrap();
    group.apply_pending_commit().unwrap();
    let welcome = output.welcome_messages()[0].to_bytes().unwrap();
    let member =
        Member::join(&viewer.identity, &home.chain, &mut viewer.packages, camera.device(), &welcome).unwrap();
    BadCamera { home, camera: group, member }
}

impl<C: MlsConfig> BadCamera<C> {
    fn answer(
        &mut self,
        build: impl FnOnce(CommitBuilder<'_, C>) -> CommitBuilder<'_, C>,
    ) -> Option<GroupError> {
        let output = build(rogue::commit(&mut self.camera)).build().unwrap();
        self.camera.clear_pending_commit();
        let commit = output.commit_message().to_bytes().unwrap();
        let epoch = self.member.epoch();
        let answer = self.member.process(&commit, &self.home.chain).err();
        assert_eq!(self.member.epoch(), epoch);
        answer
    }

    fn renewed(&self) -> mls_rs::ExtensionList {
        rogue::naming(self.home.chain.head().unwrap(), NOW)
    }
}

#[test]
fn a_camera_that_adds_a_ghost_is_refused() {
    let mut bad = bad_camera();
    let ghost = DeviceIdentity::generate().unwrap();
    let package = rogue::package(&rogue::client(bad.home.id(), &ghost));
    let renewed = bad.renewed();
    let answer =
        bad.answer(|commit| commit.add_member(package).unwrap().set_group_context_ext(renewed).unwrap());
    assert_eq!(answer, refused(Refusal::NotListed(ghost.device())));
}

#[test]
fn a_list_that_falls_or_is_another_one_is_refused() {
    let mut bad = bad_camera();
    let head = bad.home.chain.head().unwrap().version();
    let before = bad.home.chain.at(head.version - 1).unwrap();
    let fallen = rogue::naming(before, NOW);
    let answer = bad.answer(|commit| commit.set_group_context_ext(fallen).unwrap());
    assert_eq!(answer, refused(Refusal::ListFell { from: head.version, to: head.version - 1 }));

    let other = rogue::named(head.version, [7; 32], NOW);
    let answer = bad.answer(|commit| commit.set_group_context_ext(other).unwrap());
    assert_eq!(answer, refused(Refusal::ListMismatch { version: head.version }));

    let unknown = rogue::named(head.version + 9, [7; 32], NOW);
    let answer = bad.answer(|commit| commit.set_group_context_ext(unknown).unwrap());
    assert_eq!(answer, refused(Refusal::UnknownList { version: head.version + 9 }));

    let early = rogue::naming(bad.home.chain.head().unwrap(), NOW - 1);
    let answer = bad.answer(|commit| commit.set_group_context_ext(early).unwrap());
    assert_eq!(answer, refused(Refusal::TimeFell));
}

#[test]
fn a_group_that_stays_on_the_list_before_a_removal_is_caught_by_the_next_commit() {
    // The server keeps the new list from the camera; members that know it keep to what the group names,
    // and refuse the first commit that names the new list but leaves the removed device inside.
    let mut bad = bad_camera();
    let mut gone = Device::new(bad.home.enrol(Role::Viewer));
    let package = rogue::read(&gone.package(&bad.home.chain).key_package);
    let renewed = bad.renewed();
    let builder = rogue::commit(&mut bad.camera).add_member(package).unwrap();
    let output = builder.set_group_context_ext(renewed).unwrap().build().unwrap();
    bad.camera.apply_pending_commit().unwrap();
    bad.member.process(&output.commit_message().to_bytes().unwrap(), &bad.home.chain).unwrap();

    bad.home.remove(gone.id());
    let renewed = bad.renewed();
    let answer = bad.answer(|commit| commit.set_group_context_ext(renewed).unwrap());
    assert_eq!(answer, refused(Refusal::NotListed(gone.id())));
}

#[test]
fn an_expired_guest_in_the_roster_is_refused() {
    let mut home = Household::found();
    let camera = home.enrol(Role::Camera);
    let mut viewer = Device::new(home.enrol(Role::Viewer));
    let end = NOW + 60;
    let mut guest = Device::new(home.enrol_guest(camera.device(), end));
    let client = rogue::client(home.id(), &camera);
    let mut group = rogue::found(&client, camera.device(), home.chain.head().unwrap(), NOW);
    let packages = [viewer.package(&home.chain), guest.package(&home.chain)];
    let mut builder = rogue::commit(&mut group);
    for package in &packages {
        builder = builder.add_member(rogue::read(&package.key_package)).unwrap();
    }
    let output = builder.build().unwrap();
    group.apply_pending_commit().unwrap();
    let welcome = output.welcome_messages()[0].to_bytes().unwrap();
    let mut member =
        Member::join(&viewer.identity, &home.chain, &mut viewer.packages, camera.device(), &welcome).unwrap();
    let late = rogue::naming(home.chain.head().unwrap(), end);
    let output = rogue::commit(&mut group).set_group_context_ext(late).unwrap().build().unwrap();
    let answer = member.process(&output.commit_message().to_bytes().unwrap(), &home.chain).err();
    assert_eq!(answer, refused(Refusal::NotEntitled(guest.id())));
}

#[test]
fn other_extensions_and_other_proposals_are_refused() {
    let mut bad = bad_camera();
    let mut extended = bad.renewed();
    extended.set(Extension::new(1.into(), vec![1]));
    let answer = bad.answer(|commit| commit.set_group_context_ext(extended).unwrap());
    assert_eq!(answer, refused(Refusal::ListNotNamed));

    let renewed = bad.renewed();
    let reinit = bad.answer(|commit| {
        commit.reinit(None, 1.into(), CipherSuite::CURVE25519_AES128, Default::default()).unwrap()
    });
    assert_eq!(reinit, refused(Refusal::ForbiddenProposal("reinitialisation")));

    let psk = bad.answer(|commit| {
        commit.add_external_psk(rogue::psk()).unwrap().set_group_context_ext(renewed).unwrap()
    });
    assert_eq!(psk, refused(Refusal::ForbiddenProposal("pre-shared key")));
}

#[test]
fn a_chain_of_another_household_admits_nobody() {
    let bad = bad_camera();
    let other = Household::found();
    let mut member = bad.member;
    let mut camera = bad.camera;
    let renewed = rogue::naming(bad.home.chain.head().unwrap(), NOW);
    let output = rogue::commit(&mut camera).set_group_context_ext(renewed).unwrap().build().unwrap();
    let commit = output.commit_message().to_bytes().unwrap();
    let version = bad.home.chain.head().unwrap().version().version;
    let empty = ListChain::new(&bad.home.root.public()).unwrap();
    for chain in [&other.chain, &empty] {
        assert_eq!(member.process(&commit, chain).err(), refused(Refusal::UnknownList { version }));
    }
}
