//! What members tell each other inside the group: notes, the camera's records, and what shows a fork.

#![allow(clippy::unwrap_used)]

mod household;

use std::time::SystemTime;

use household::{NOW, Scene, at};
use latchkey_api::device_list::{Reason, Role};
use latchkey_e2ee::group::{CameraGroup, GroupError, Member, Processed};
use latchkey_e2ee::kid::{Kid, SenderSession, VIDEO};
use latchkey_e2ee::note::{MAX_NOTE_BYTES, Note, Question};
use latchkey_e2ee::record::{EpochRecord, RecordChain, RecordError, Taken};
use proptest::prelude::*;

const DAY: u64 = 24 * 3600;

fn question(member: &Member) -> Note {
    let view = member.view().unwrap();
    Note::Question(Question {
        nonce: [7; 16],
        list: view.list,
        record_head: [0; 32],
        epochs: vec![(view.epoch, view.authenticator)],
    })
}

fn renew(scene: &mut Scene, now: SystemTime) -> Vec<u8> {
    let commit = scene.group.renew(&scene.home.chain, now).unwrap().commit;
    scene.group.confirm().unwrap();
    commit
}

#[test]
fn a_note_reaches_all_members_and_names_its_sender() {
    let mut scene = Scene::with(&[Role::Viewer, Role::Viewer]);
    let chain = scene.home.chain.clone();
    let asked = question(&scene.members[0]);
    let message = scene.members[0].send_note(&asked).unwrap();
    let from = scene.devices[0].id();
    let expected = Processed::Note { from, note: asked };
    assert_eq!(scene.group.process(&message, &chain).unwrap(), expected);
    assert_eq!(scene.members[1].process(&message, &chain).unwrap(), expected);
    // Its own comes back from the server, and others may be shown twice.
    assert_eq!(scene.members[0].process(&message, &chain).unwrap(), Processed::Stale);
    assert_eq!(scene.group.process(&message, &chain).unwrap(), Processed::Stale);
    assert_eq!(scene.group.epoch(), scene.members[0].epoch());
}

#[test]
fn a_note_of_an_epoch_that_is_over_is_left_alone() {
    let mut scene = Scene::with(&[Role::Viewer]);
    let chain = scene.home.chain.clone();
    let message = scene.members[0].send_note(&Note::Goodbye).unwrap();
    let commit = renew(&mut scene, at(NOW + 1));
    assert_eq!(scene.group.process(&message, &chain).unwrap(), Processed::Stale);
    // And one of an epoch that is not here yet is told apart.
    let later = scene.group.send_note(&Note::Goodbye).unwrap();
    let gap = scene.members[0].process(&later, &chain).err();
    assert!(matches!(gap, Some(GroupError::Gap { .. })), "{gap:?}");
    scene.members[0].process(&commit, &chain).unwrap();
    assert!(matches!(scene.members[0].process(&later, &chain).unwrap(), Processed::Note { .. }));
}

#[test]
fn a_restart_does_not_use_a_notes_key_twice() {
    let mut scene = Scene::with(&[Role::Viewer]);
    let chain = scene.home.chain.clone();
    let first = scene.members[0].send_note(&Note::Goodbye).unwrap();
    // Saved before it was sent: the next run goes on behind it.
    let mut restarted = Member::restore(&scene.members[0].save(), &chain).unwrap();
    let second = restarted.send_note(&Note::Goodbye).unwrap();
    assert_ne!(first, second);
    for message in [first, second] {
        let processed = scene.group.process(&message, &chain).unwrap();
        assert!(matches!(processed, Processed::Note { .. }), "{processed:?}");
    }
    // The camera's side survives one too: a key that was used up stays used up.
    let again = scene.members[0].send_note(&Note::Goodbye).unwrap();
    let mut group = CameraGroup::restore(&scene.group.save(), &chain).unwrap();
    assert_eq!(
        group.process(&again, &chain).unwrap(),
        Processed::Stale,
        "its key was used by the restarted one"
    );
}

#[test]
fn what_is_too_large_or_waits_for_a_commit_is_not_sent() {
    let mut scene = Scene::with(&[Role::Viewer]);
    let chain = scene.home.chain.clone();
    let large = Note::Record(vec![0; MAX_NOTE_BYTES]);
    assert_eq!(scene.members[0].send_note(&large).err(), Some(GroupError::NoteTooLarge));
    let update = scene.members[0].propose_update().unwrap();
    scene.group.process(&update, &chain).unwrap();
    assert_eq!(scene.group.send_note(&Note::Goodbye).err(), Some(GroupError::CommitFirst));
    let commit = scene.group.sync(&chain, &[], at(NOW)).unwrap().commit.unwrap();
    scene.group.confirm().unwrap();
    scene.members[0].process(&commit.commit, &chain).unwrap();
    let message = scene.group.send_note(&Note::Goodbye).unwrap();
    assert!(matches!(scene.members[0].process(&message, &chain).unwrap(), Processed::Note { .. }));
}

#[test]
fn junk_in_the_place_of_a_commit_has_a_name_and_does_no_harm() {
    let mut scene = Scene::with(&[Role::Viewer]);
    let chain = scene.home.chain.clone();
    let good = renew(&mut scene, at(NOW + 1));
    let mut junk = good.clone();
    *junk.last_mut().unwrap() ^= 1;
    let epoch = scene.members[0].epoch();
    let refused = scene.members[0].process(&junk, &chain).err();
    assert!(
        matches!(&refused, Some(GroupError::JunkCommit { epoch: stuck, .. }) if *stuck == epoch),
        "{refused:?}"
    );
    scene.members[0].process(&good, &chain).unwrap();
    assert_eq!(scene.members[0].epoch(), scene.group.epoch());
}

#[test]
fn every_member_finds_its_own_group_in_the_cameras_record() {
    let mut scene = Scene::with(&[Role::Viewer, Role::Viewer]);
    let chain = scene.home.chain.clone();
    let kid = Kid::new(SenderSession(9), VIDEO, 0, scene.group.epoch());
    let mut kept = RecordChain::default();
    for round in 1..=3 {
        let commit = renew(&mut scene, at(NOW + round));
        let view = scene.group.view().unwrap();
        let record =
            EpochRecord::sign(&scene.camera, view, NOW + round, vec![(kid, round)], kept.head_hash());
        let record = record.unwrap();
        assert_eq!(kept.take(record.clone()), Ok(Taken::New));
        let note = scene.group.send_note(&Note::Record(record.as_bytes().to_vec())).unwrap();
        for member in &mut scene.members {
            member.process(&commit, &chain).unwrap();
            let Processed::Note { from, note: Note::Record(bytes) } = member.process(&note, &chain).unwrap()
            else {
                panic!("no record");
            };
            let received = EpochRecord::from_bytes(&bytes).unwrap();
            received.verify(&scene.camera.public().mls_public).unwrap();
            received.check(&member.view().unwrap()).unwrap();
            assert_eq!(from, scene.camera.device());
        }
    }
}

#[test]
fn two_groups_of_one_epoch_show_in_record_note_and_authenticator() {
    let mut scene = Scene::with(&[Role::Viewer, Role::Admin]);
    let removed = scene.home.enrol(Role::Viewer);
    scene.home.remove(removed.device());
    let chain = scene.home.chain.clone();
    let gone = scene.devices[0].id();
    // An admin removes a device while the camera renews: the server lets both commits pass.
    scene.home.remove(gone);
    let admins = scene.home.chain.clone();
    let by_admin = scene.members[1].remove_unlisted(&admins).unwrap().unwrap();
    scene.members[1].confirm().unwrap();
    let by_camera = renew_on(&mut scene, &chain);
    assert_eq!(scene.members[0].epoch() + 1, scene.group.epoch());
    assert_eq!(scene.members[1].epoch(), scene.group.epoch());
    assert_ne!(by_admin.commit, by_camera);

    let camera = scene.group.view().unwrap();
    let admin = scene.members[1].view().unwrap();
    assert_ne!(camera.authenticator, admin.authenticator);
    let record = EpochRecord::sign(&scene.camera, camera, NOW, Vec::new(), [0; 32]).unwrap();
    assert_eq!(record.check(&admin), Err(RecordError::Forked { epoch: admin.epoch }));
    let note = scene.group.send_note(&Note::Record(record.as_bytes().to_vec())).unwrap();
    let epoch = admin.epoch;
    assert_eq!(scene.members[1].process(&note, &admins).err(), Some(GroupError::UnreadableNote { epoch }));
}

fn renew_on(scene: &mut Scene, chain: &latchkey_api::device_list::ListChain) -> Vec<u8> {
    let commit = scene.group.renew(chain, at(NOW)).unwrap().commit;
    scene.group.confirm().unwrap();
    commit
}

/// Who has to be put in, besides the household's first admin, who never is in these tests.
fn missing(scene: &Scene, now: u64) -> Vec<latchkey_api::id::DeviceId> {
    let admin = scene.home.admin.device();
    let missing = scene.group.missing(&scene.home.chain, at(now)).into_iter();
    missing.filter(|device| *device != admin).collect()
}

#[test]
fn a_leaf_that_is_silent_for_ninety_days_is_put_in_anew() {
    let mut scene = Scene::with(&[Role::Viewer, Role::Viewer]);
    let chain = scene.home.chain.clone();
    let [awake, silent] = [0, 1].map(|at| scene.devices[at].id());
    assert_eq!(scene.group.sync(&chain, &[], at(NOW)).unwrap().commit, None);

    // One of them says something after 60 days; the camera is restarted in between.
    for day in [1, 60] {
        let commit = renew(&mut scene, at(NOW + day * DAY));
        for member in &mut scene.members {
            member.process(&commit, &chain).unwrap();
        }
    }
    let note = scene.members[0].send_note(&Note::Goodbye).unwrap();
    scene.group.process(&note, &chain).unwrap();
    scene.group.sync(&chain, &[], at(NOW + 60 * DAY)).unwrap();
    scene.group = CameraGroup::restore(&scene.group.save(), &chain).unwrap();

    assert_eq!(missing(&scene, NOW + 89 * DAY), []);
    assert_eq!(missing(&scene, NOW + 90 * DAY), [silent]);
    let package = scene.devices[1].package(&chain);
    let commit = scene.group.sync(&chain, &[package], at(NOW + 90 * DAY)).unwrap().commit.unwrap();
    scene.group.confirm().unwrap();
    assert_eq!(commit.welcomes.len(), 1);
    assert_eq!(scene.members[1].process(&commit.commit, &chain).unwrap(), Processed::Removed);
    let anew = scene.devices[1].join(&chain, scene.camera.device(), &commit);
    scene.members[0].process(&commit.commit, &chain).unwrap();
    assert_eq!(anew.view().unwrap(), scene.members[0].view().unwrap());
    assert_eq!(missing(&scene, NOW + 90 * DAY), []);

    // One that leaves no package is taken out all the same.
    let commit = scene.group.sync(&chain, &[], at(NOW + 150 * DAY)).unwrap().commit.unwrap();
    scene.group.confirm().unwrap();
    scene.members[0].process(&commit.commit, &chain).unwrap();
    assert!(
        scene.members[0].is_removed() && !scene.group.members().iter().any(|(_, member)| *member == awake)
    );
}

#[test]
fn the_end_of_a_guests_stay_is_known_beforehand() {
    let mut scene = Scene::with(&[Role::Viewer]);
    assert_eq!(scene.group.next_end(&scene.home.chain), None);
    let guest = scene.home.enrol_guest(scene.camera.device(), NOW + DAY);
    let mut guest = household::Device::new(guest);
    let package = guest.package(&scene.home.chain);
    scene.group.sync(&scene.home.chain, &[package], at(NOW)).unwrap().commit.unwrap();
    scene.group.confirm().unwrap();
    assert_eq!(scene.group.next_end(&scene.home.chain), Some(NOW + DAY));
    scene.group.sync(&scene.home.chain, &[], at(NOW + DAY)).unwrap().commit.unwrap();
    scene.group.confirm().unwrap();
    assert_eq!(scene.group.next_end(&scene.home.chain), None);
}

#[test]
fn a_list_named_in_a_note_is_the_senders() {
    let mut scene = Scene::with(&[Role::Viewer]);
    let before = scene.home.chain.clone();
    let draft = scene.home.draft(Reason::Changed);
    scene.home.sign(draft);
    let mut asked = question(&scene.members[0]);
    if let Note::Question(asked) = &mut asked {
        asked.list = scene.home.chain.head().unwrap().version();
    }
    let message = scene.members[0].send_note(&asked).unwrap();
    let Processed::Note { note: Note::Question(heard), .. } = scene.group.process(&message, &before).unwrap()
    else {
        panic!("no question");
    };
    assert!(heard.list.version > before.head().unwrap().list().version);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_changed_note_is_taken(at: prop::sample::Index, flip in 1_u8..) {
        let mut scene = Scene::with(&[Role::Viewer]);
        let chain = scene.home.chain.clone();
        let mut message = scene.members[0].send_note(&Note::Goodbye).unwrap();
        let at = at.index(message.len());
        message[at] ^= flip;
        if let Ok(processed) = scene.group.process(&message, &chain) {
            // Named as of an epoch that is over, it is not even looked at.
            prop_assert_eq!(processed, Processed::Stale);
        }
        let next = scene.members[0].send_note(&Note::Goodbye).unwrap();
        let is_note = matches!(scene.group.process(&next, &chain), Ok(Processed::Note { .. }));
        prop_assert!(is_note, "the next one is taken");
    }
}
