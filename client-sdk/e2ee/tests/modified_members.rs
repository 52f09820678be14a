//! What a modified member commits and proposes, and every honest device refuses.
//!
//! The attackers hold real keys and use the real MLS library, without our rules: see `rogue`.

#![allow(clippy::unwrap_used)]

mod household;
mod rogue;

use ed25519_dalek::SigningKey;
use household::{Device, NOW, Scene, at};
use latchkey_api::device_list::Role;
use latchkey_api::id::DeviceId;
use latchkey_e2ee::group::{ClaimedPackage, GroupError, Member, Processed, Refusal};
use latchkey_e2ee::identity::DeviceIdentity;
use latchkey_e2ee::note::Note;
use mls_rs::Group;
use mls_rs::client_builder::MlsConfig;
use mls_rs::group::CommitBuilder;

fn refused(refusal: Refusal) -> Option<GroupError> {
    Some(GroupError::Refused(refusal))
}

/// An honest camera and an honest viewer in one group with a modified member.
struct Stage<C: MlsConfig> {
    scene: Scene,
    id: DeviceId,
    rogue: Group<C>,
}

fn stage(role: Role) -> Stage<impl MlsConfig> {
    let mut scene = Scene::with(&[Role::Viewer]);
    let device = scene.home.enrol(role);
    let client = rogue::client(scene.home.id(), &device);
    let key_package = rogue::package(&client).to_bytes().unwrap();
    let claimed = ClaimedPackage { device: device.device(), key_package };
    let commit = scene.group.sync(&scene.home.chain, &[claimed], at(NOW)).unwrap().commit.unwrap();
    scene.group.confirm().unwrap();
    scene.members[0].process(&commit.commit, &scene.home.chain).unwrap();
    let welcome = rogue::read(&commit.welcomes[0].welcome);
    let (rogue, _) = client.join_group(None, &welcome, None).unwrap();
    Stage { scene, id: device.device(), rogue }
}

impl<C: MlsConfig> Stage<C> {
    /// What camera and viewer say to the modified member's commit; the commit is thrown away afterwards.
    fn answers(
        &mut self,
        build: impl FnOnce(CommitBuilder<'_, C>) -> CommitBuilder<'_, C>,
    ) -> [Option<GroupError>; 2] {
        let output = build(rogue::commit(&mut self.rogue)).build().unwrap();
        self.rogue.clear_pending_commit();
        let commit = output.commit_message().to_bytes().unwrap();
        let chain = &self.scene.home.chain;
        let epochs = (self.scene.group.epoch(), self.scene.members[0].epoch());
        let answers = [
            self.scene.group.process(&commit, chain).err(),
            self.scene.members[0].process(&commit, chain).err(),
        ];
        assert_eq!((self.scene.group.epoch(), self.scene.members[0].epoch()), epochs);
        answers
    }

    fn renewed(&self) -> mls_rs::ExtensionList {
        rogue::naming(self.scene.home.chain.head().unwrap(), NOW)
    }

    fn leaf_of(&self, device: DeviceId) -> u32 {
        self.scene.group.members().into_iter().find(|(_, member)| *member == device).unwrap().0
    }
}

fn both(refusal: Refusal) -> [Option<GroupError>; 2] {
    [refused(refusal), refused(refusal)]
}

#[test]
fn a_viewers_commit_is_refused_whatever_it_does() {
    let mut stage = stage(Role::Viewer);
    let not_allowed = both(Refusal::CommitterNotAllowed(stage.id));
    let renewed = stage.renewed();
    let answers = stage.answers(|commit| commit.set_group_context_ext(renewed.clone()).unwrap());
    assert_eq!(answers, not_allowed, "an update");

    // A device that the list does entitle, but that the camera has not added.
    let mut listed = Device::new(stage.scene.home.enrol(Role::Viewer));
    let package = rogue::read(&listed.package(&stage.scene.home.chain).key_package);
    let renewed = stage.renewed();
    let answers =
        stage.answers(|commit| commit.add_member(package).unwrap().set_group_context_ext(renewed).unwrap());
    assert_eq!(answers, not_allowed, "an add");

    let gone = stage.scene.devices[0].id();
    let leaf = stage.leaf_of(gone);
    stage.scene.home.remove(gone);
    let renewed = stage.renewed();
    let answers = stage.answers(|commit| {
        commit.remove_member(leaf).unwrap().set_group_context_ext(renewed.clone()).unwrap()
    });
    assert_eq!(answers[0], not_allowed[0], "a removal that the list asks for");
}

#[test]
fn an_admin_may_neither_add_nor_remove_who_is_entitled_nor_only_renew() {
    let mut stage = stage(Role::Admin);
    let renewed = stage.renewed();
    let answers = stage.answers(|commit| commit.set_group_context_ext(renewed.clone()).unwrap());
    assert_eq!(answers, both(Refusal::CommitterNotAllowed(stage.id)));

    let entitled = stage.scene.devices[0].id();
    let leaf = stage.leaf_of(entitled);
    let answers = stage.answers(|commit| {
        commit.remove_member(leaf).unwrap().set_group_context_ext(renewed.clone()).unwrap()
    });
    assert_eq!(answers, both(Refusal::NeedlessRemoval(entitled)));

    let answers = stage
        .answers(|commit| commit.remove_member(0).unwrap().set_group_context_ext(renewed.clone()).unwrap());
    assert_eq!(answers, both(Refusal::CameraNotAtLeafZero));

    let mut listed = Device::new(stage.scene.home.enrol(Role::Viewer));
    let package = rogue::read(&listed.package(&stage.scene.home.chain).key_package);
    let renewed = stage.renewed();
    let answers =
        stage.answers(|commit| commit.add_member(package).unwrap().set_group_context_ext(renewed).unwrap());
    assert_eq!(answers, both(Refusal::CommitterNotAllowed(stage.id)));
}

#[test]
fn an_admin_may_not_add_beside_a_good_removal_or_move_the_clock() {
    let mut stage = stage(Role::Admin);
    let gone = stage.scene.devices[0].id();
    let leaf = stage.leaf_of(gone);
    let mut listed = Device::new(stage.scene.home.enrol(Role::Viewer));
    stage.scene.home.remove(gone);
    let package = rogue::read(&listed.package(&stage.scene.home.chain).key_package);
    let renewed = stage.renewed();
    let answers = stage.answers(|commit| {
        let commit = commit.remove_member(leaf).unwrap().add_member(package).unwrap();
        commit.set_group_context_ext(renewed).unwrap()
    });
    assert_eq!(answers[0], refused(Refusal::CommitterNotAllowed(stage.id)));
    let later = rogue::naming(stage.scene.home.chain.head().unwrap(), NOW + 1);
    let answers =
        stage.answers(|commit| commit.remove_member(leaf).unwrap().set_group_context_ext(later).unwrap());
    assert_eq!(answers[0], refused(Refusal::TimeMoved));
}

#[test]
fn an_admin_that_the_new_list_no_longer_names_removes_nobody() {
    let mut stage = stage(Role::Admin);
    let gone = stage.scene.devices[0].id();
    let leaf = stage.leaf_of(gone);
    stage.scene.home.remove(gone);
    stage.scene.home.remove(stage.id);
    let renewed = stage.renewed();
    let answers = stage.answers(|commit| {
        commit.remove_member(leaf).unwrap().set_group_context_ext(renewed.clone()).unwrap()
    });
    // The admin cannot remove itself, so the roster after its commit still has somebody unlisted.
    assert_eq!(answers, both(Refusal::NotListed(stage.id)));
}

#[test]
fn a_commit_that_does_not_renew_the_list_is_refused() {
    let mut stage = stage(Role::Admin);
    let gone = stage.scene.devices[0].id();
    let leaf = stage.leaf_of(gone);
    stage.scene.home.remove(gone);
    let answers = stage.answers(|commit| commit.remove_member(leaf).unwrap());
    assert_eq!(answers[0], refused(Refusal::ListNotRenewed));
    let answers = stage.answers(|commit| commit);
    assert_eq!(answers[0], refused(Refusal::ListNotRenewed));
}

#[test]
fn a_roster_with_somebody_unlisted_left_inside_is_refused() {
    // Two devices leave the list, an admin's commit removes only one of them.
    let mut stage = stage(Role::Admin);
    let mut other = Device::new(stage.scene.home.enrol(Role::Viewer));
    let package = other.package(&stage.scene.home.chain);
    let commit =
        stage.scene.group.sync(&stage.scene.home.chain, &[package], at(NOW)).unwrap().commit.unwrap();
    stage.scene.group.confirm().unwrap();
    stage.scene.members[0].process(&commit.commit, &stage.scene.home.chain).unwrap();
    stage.rogue.process_incoming_message(rogue::read(&commit.commit)).unwrap();

    let (one, two) = (stage.scene.devices[0].id(), other.id());
    let leaf = stage.leaf_of(one);
    stage.scene.home.remove(one);
    stage.scene.home.remove(two);
    let renewed = stage.renewed();
    let answers = stage.answers(|commit| {
        commit.remove_member(leaf).unwrap().set_group_context_ext(renewed.clone()).unwrap()
    });
    assert_eq!(answers, both(Refusal::NotListed(two)));
}

#[test]
fn proposals_from_outside_are_refused() {
    let mut scene = Scene::with(&[Role::Viewer]);
    let ghost = DeviceIdentity::generate().unwrap();
    let listed = scene.home.enrol(Role::Viewer);
    let stage = leaky_camera(&mut scene);
    for device in [&ghost, &listed] {
        let client = rogue::client(scene.home.id(), device);
        let add = client.external_add_proposal(
            &stage,
            None,
            Vec::new(),
            Default::default(),
            Default::default(),
            None,
        );
        let add = add.unwrap().to_bytes().unwrap();
        for answer in [
            scene.group.process(&add, &scene.home.chain).err(),
            scene.members[0].process(&add, &scene.home.chain).err(),
        ] {
            assert_eq!(answer, refused(Refusal::ExternalSender));
        }
    }
}

/// A GroupInfo that allows external commits, as a modified member would leak it.
fn leaky_camera(scene: &mut Scene) -> mls_rs::MlsMessage {
    let device = scene.home.enrol(Role::Viewer);
    let client = rogue::client(scene.home.id(), &device);
    let key_package = rogue::package(&client).to_bytes().unwrap();
    let claimed = ClaimedPackage { device: device.device(), key_package };
    let commit = scene.group.sync(&scene.home.chain, &[claimed], at(NOW)).unwrap().commit.unwrap();
    scene.group.confirm().unwrap();
    scene.members[0].process(&commit.commit, &scene.home.chain).unwrap();
    let (group, _) = client.join_group(None, &rogue::read(&commit.welcomes[0].welcome), None).unwrap();
    group.group_info_message_allowing_ext_commit(true).unwrap()
}

#[test]
fn an_external_commit_is_refused_even_by_a_listed_device() {
    let mut scene = Scene::with(&[Role::Viewer]);
    let ghost = DeviceIdentity::generate().unwrap();
    let listed = scene.home.enrol(Role::Viewer);
    let info = leaky_camera(&mut scene);
    for device in [&ghost, &listed] {
        let client = rogue::client(scene.home.id(), device);
        let (_, commit) = client.commit_external(info.clone()).unwrap();
        let commit = commit.to_bytes().unwrap();
        for answer in [
            scene.group.process(&commit, &scene.home.chain).err(),
            scene.members[0].process(&commit, &scene.home.chain).err(),
        ] {
            assert_eq!(answer, refused(Refusal::ExternalCommit));
        }
    }
}

#[test]
fn a_member_cannot_change_its_key_or_keep_the_camera_from_committing() {
    let mut stage = stage(Role::Viewer);
    let chain = stage.scene.home.chain.clone();
    let other = SigningKey::from_bytes(&[9; 32]);
    let identity = rogue::identity(chain.household(), stage.id, &other);
    let secret = other.to_keypair_bytes().to_vec().into();
    let update =
        stage.rogue.propose_update_with_identity(secret, identity, Vec::new()).unwrap().to_bytes().unwrap();
    let ghost = rogue::package(&rogue::client(chain.household(), &DeviceIdentity::generate().unwrap()));
    let add = stage.rogue.propose_add(ghost, Vec::new()).unwrap().to_bytes().unwrap();
    let leaf = stage.leaf_of(stage.scene.devices[0].id());
    let remove = stage.rogue.propose_remove(leaf, Vec::new()).unwrap().to_bytes().unwrap();
    let list = stage.rogue.propose_group_context_extensions(Default::default(), Vec::new()).unwrap();
    let list = list.to_bytes().unwrap();
    let before = stage.scene.group.members();
    for proposal in [&update, &add, &remove, &list] {
        assert_eq!(stage.scene.group.process(proposal, &chain).unwrap(), Processed::Proposal);
        assert_eq!(stage.scene.members[0].process(proposal, &chain).unwrap(), Processed::Proposal);
    }
    let commit = stage.scene.group.renew(&chain, at(NOW)).unwrap();
    stage.scene.group.confirm().unwrap();
    assert_eq!(stage.scene.group.members(), before);
    assert!(matches!(stage.scene.members[0].process(&commit.commit, &chain).unwrap(), Processed::Epoch(_)));
    assert_eq!(stage.scene.members[0].members(), before);
}

#[test]
fn a_member_cannot_flood_the_others_with_proposals() {
    let mut stage = stage(Role::Viewer);
    let chain = stage.scene.home.chain.clone();
    let mut answers = Vec::new();
    for _ in 0..200 {
        let update = stage.rogue.propose_update(Vec::new()).unwrap().to_bytes().unwrap();
        answers.push(stage.scene.members[0].process(&update, &chain));
    }
    let last = refused(Refusal::ForbiddenProposal("one too many in this epoch"));
    assert_eq!(answers.pop().unwrap().err(), last);
}

#[test]
fn a_member_that_floods_leaves_room_for_the_updates_of_others() {
    let mut stage = stage(Role::Viewer);
    let Scene { home, group, members, .. } = &mut stage.scene;
    let answers: Vec<_> = (0..200)
        .map(|_| {
            let update = stage.rogue.propose_update(Vec::new()).unwrap().to_bytes().unwrap();
            group.process(&update, &home.chain)
        })
        .collect();
    let taken = answers.iter().filter(|answer| **answer == Ok(Processed::Proposal)).count();
    assert!((1..=16).contains(&taken), "{taken}");
    let honest = members[0].propose_update().unwrap();
    assert_eq!(group.process(&honest, &home.chain), Ok(Processed::Proposal));
}

/// Nobody may send notes while proposals wait for a commit (RFC 9420 section 12.4), and nobody's commit would take these.
#[test]
fn a_member_cannot_silence_the_others_with_a_proposal_that_nobody_commits() {
    let mut stage = stage(Role::Viewer);
    let leaf = stage.leaf_of(stage.scene.devices[0].id());
    let remove = stage.rogue.propose_remove(leaf, Vec::new()).unwrap().to_bytes().unwrap();
    let Scene { home, group, members, .. } = &mut stage.scene;
    for processed in [group.process(&remove, &home.chain), members[0].process(&remove, &home.chain)] {
        assert_eq!(processed, Ok(Processed::Proposal));
    }
    assert_eq!(group.send_note(&Note::Goodbye).err(), Some(GroupError::CommitFirst));
    let commit = group.sync(&home.chain, &[], at(NOW)).unwrap().commit.unwrap();
    group.confirm().unwrap();
    members[0].process(&commit.commit, &home.chain).unwrap();
    let note = group.send_note(&Note::Goodbye).unwrap();
    assert!(matches!(members[0].process(&note, &home.chain), Ok(Processed::Note { .. })));
    assert_eq!(group.members().len(), 3);
}

#[test]
fn a_removed_member_cannot_stop_its_removal_by_an_update() {
    let mut stage = stage(Role::Viewer);
    let update = stage.rogue.propose_update(Vec::new()).unwrap().to_bytes().unwrap();
    stage.scene.home.remove(stage.id);
    let chain = stage.scene.home.chain.clone();
    stage.scene.group.process(&update, &chain).unwrap();
    stage.scene.members[0].process(&update, &chain).unwrap();
    let commit = stage.scene.group.sync(&chain, &[], at(NOW)).unwrap().commit.unwrap();
    stage.scene.group.confirm().unwrap();
    assert!(!stage.scene.group.members().iter().any(|(_, member)| *member == stage.id));
    stage.scene.members[0].process(&commit.commit, &chain).unwrap();
}

#[test]
fn a_welcome_sent_by_a_viewer_in_the_cameras_real_group_is_refused() {
    let mut stage = stage(Role::Viewer);
    let mut new = Device::new(stage.scene.home.enrol(Role::Viewer));
    let chain = stage.scene.home.chain.clone();
    let package = rogue::read(&new.package(&chain).key_package);
    let renewed = rogue::naming(chain.head().unwrap(), NOW);
    let builder = rogue::commit(&mut stage.rogue).add_member(package).unwrap();
    let output = builder.set_group_context_ext(renewed).unwrap().build().unwrap();
    let welcome = output.welcome_messages()[0].to_bytes().unwrap();
    let camera = stage.scene.camera.device();
    let joined = Member::join(&new.identity, &chain, &mut new.packages, camera, &welcome);
    assert_eq!(joined.err(), refused(Refusal::WelcomeNotFromCamera));
}
