//! What notes name of lists, records and epochs, between members that a server shows different things.

#![allow(clippy::unwrap_used)]

mod household;

use household::{NOW, Scene, at};
use latchkey_api::device_list::{ListChain, ListVersion, Reason, Role};
use latchkey_e2ee::gossip::{Difference, Known};
use latchkey_e2ee::group::Member;
use latchkey_e2ee::note::{Answer, Question};
use latchkey_e2ee::record::{EpochRecord, EpochView, RecordChain, Taken};

fn question(lists: &ListChain, member: &Member) -> Question {
    let view = member.view().unwrap();
    Question {
        nonce: [1; 16],
        list: lists.head().unwrap().version(),
        record_head: [0; 32],
        epochs: vec![(view.epoch, view.authenticator)],
    }
}

fn answer(lists: &ListChain, records: &RecordChain) -> Answer {
    Answer {
        nonce: [1; 16],
        camera_ms: 0,
        counters: Vec::new(),
        list: lists
            .head()
            .map_or(ListVersion { version: 0, hash: latchkey_api::device_list::ListHash([0; 32]) }, |head| {
                head.version()
            }),
        record_head: records.head_hash(),
        access_head: [0; 32],
        watching: Vec::new(),
    }
}

/// The camera renews its keys, signs the record, and `member` follows; returns the member's view and the record.
fn epoch(scene: &mut Scene, records: &mut RecordChain, member: usize) -> (EpochView, EpochRecord) {
    let commit = scene.group.renew(&scene.home.chain, at(NOW)).unwrap().commit;
    scene.group.confirm().unwrap();
    for follower in &mut scene.members {
        follower.process(&commit, &scene.home.chain).unwrap();
    }
    let view = scene.group.view().unwrap();
    let record = EpochRecord::sign(&scene.camera, view, NOW, Vec::new(), records.head_hash()).unwrap();
    assert_eq!(records.take(record.clone()), Ok(Taken::New));
    (scene.members[member].view().unwrap(), record)
}

#[test]
fn honest_members_name_nothing_differently() {
    let mut scene = Scene::with(&[Role::Viewer, Role::Viewer]);
    let mut records = RecordChain::default();
    let mut views = Vec::new();
    for _ in 0..3 {
        views.push(epoch(&mut scene, &mut records, 0).0);
    }
    let known = Known { lists: &scene.home.chain, views: &views, records: &records };
    assert_eq!(known.compare_question(&question(&scene.home.chain, &scene.members[1])), []);
    assert_eq!(known.compare_answer(&answer(&scene.home.chain, &records)), []);
}

#[test]
fn a_newer_list_and_another_list_of_one_version_show() {
    let mut scene = Scene::with(&[Role::Viewer]);
    let mut elsewhere = scene.home.chain.clone();
    let rival = scene.home.admin.sign_list(scene.home.draft(Reason::Changed));
    let gone = scene.home.enrol(Role::Viewer);
    let behind = elsewhere.clone();
    elsewhere.accept(rival.as_bytes(), Some(at(NOW))).unwrap();
    let version = elsewhere.head().unwrap().list().version;
    let records = RecordChain::default();

    let asked = question(&elsewhere, &scene.members[0]);
    let compare = |lists: &ListChain| Known { lists, views: &[], records: &records }.compare_question(&asked);
    assert_eq!(compare(&behind), [Difference::ListAhead { version }]);
    assert_eq!(compare(&scene.home.chain), [Difference::ListDiffers { version }]);
    assert_eq!(compare(&elsewhere), []);
    // Once both are known here, nothing more is learned from it.
    let mut both = scene.home.chain.clone();
    assert!(both.accept(rival.as_bytes(), Some(at(NOW))).is_err());
    assert_eq!(compare(&both), []);
    assert_ne!(gone.device(), scene.camera.device());
}

#[test]
fn another_group_of_an_epoch_shows_by_view_or_record() {
    let mut scene = Scene::with(&[Role::Viewer]);
    let mut records = RecordChain::default();
    let (view, record) = epoch(&mut scene, &mut records, 0);
    let mut asked = question(&scene.home.chain, &scene.members[0]);
    asked.epochs[0].1[0] ^= 1;
    let differs = [Difference::EpochDiffers { epoch: view.epoch }];
    let lists = &scene.home.chain;
    let none = RecordChain::default();
    let views = [view];
    assert_eq!(Known { lists, views: &views, records: &none }.compare_question(&asked), differs);
    assert_eq!(Known { lists, views: &[], records: &records }.compare_question(&asked), differs);
    // What is not remembered cannot be judged.
    assert_eq!(Known { lists, views: &[], records: &none }.compare_question(&asked), []);
    assert_eq!(record.epoch(), views[0].epoch);
}

#[test]
fn a_camera_that_names_another_record_of_the_present_epoch_shows() {
    let mut scene = Scene::with(&[Role::Viewer]);
    let mut records = RecordChain::default();
    let (view, record) = epoch(&mut scene, &mut records, 0);
    let lists = scene.home.chain.clone();
    let other = EpochRecord::sign(&scene.camera, view.clone(), NOW + 1, Vec::new(), [0; 32]).unwrap();
    assert_ne!(record.hash(), other.hash());
    let mut rival = RecordChain::default();
    rival.take(other).unwrap();
    let differs = [Difference::RecordDiffers { epoch: view.epoch }];
    let views = [view];
    let known = Known { lists: &lists, views: &views, records: &records };
    assert_eq!(known.compare_answer(&answer(&lists, &rival)), differs);
    // Before its own record has come, a member cannot know.
    let (next, _) = epoch(&mut scene, &mut records.clone(), 0);
    let known = Known { lists: &lists, views: std::slice::from_ref(&next), records: &records };
    assert_eq!(known.compare_answer(&answer(&lists, &rival)), []);
}
