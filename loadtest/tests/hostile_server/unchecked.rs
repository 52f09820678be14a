//! The same lies before clients with the one check taken away: each succeeds, so each check is what stops it.

use std::sync::atomic::Ordering;
use std::time::Duration;

use latchkey::event::Event as Told;
use latchkey_api::checks::Check;
use latchkey_api::device_list::Reason;
use latchkey_api::event::Event;
use latchkey_api::group::MessageKind;
use latchkey_loadtest::hostile::ear::opened_with;

use crate::ghost::Ghost;
use crate::group::{
    Junk, OldWelcome, Running, SwappedKeyPackage, drop_remove, epochs, forked, reordered, withhold,
};
use crate::lies::inject;
use crate::lists::{ForgedAdd, TwoLists, WithoutRemove, roll_back, running};
use crate::outside::proposal_of_a_new_member;
use crate::relay::{
    SwappedRooms, change_frames, exchange, forge, forged_frame, hold_back, pictures_in_vp8, show_again,
};
use crate::stage::{Stage, eventually, lock, succeeded, without};

#[tokio::test(flavor = "multi_thread")]
async fn external_sender() {
    let _off = without(&[Check::OutsideSender, Check::Roster]).await;
    let run = Running::start().await;
    let mut ghost = Ghost::new(&run.stage);
    let proposal = proposal_of_a_new_member(&mut ghost, run.group, run.epoch());
    let made_up = vec![(MessageKind::Proposal, run.epoch(), proposal)];
    let _lies = [run.door, run.bob].map(|to| inject(&run.stage.middle, to, run.group, made_up.clone()));
    // A list that changes nothing makes the camera commit; three devices are entitled.
    run.stage.post("ada", Reason::Changed, |list| list).await;
    let four = |event: &Told| matches!(event, Told::NewEpoch { members: 4, .. });
    eventually("the ghost in the group", || run.sending.alarms.events().iter().any(four)).await;
    succeeded("external-sender");
    run.stage.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn old_welcome() {
    let _off = without(&[Check::WelcomeLater]).await;
    let OldWelcome { run, _lies } = OldWelcome::prepare().await;
    eventually("bob in an old epoch", || !epochs(&run.watching.alarms).is_sorted()).await;
    succeeded("old-welcome");
    run.stage.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn swapped_key_package() {
    let _off = without(&[Check::KeyPackage, Check::Roster]).await;
    let SwappedKeyPackage { run, ghost, cat, _lie } = SwappedKeyPackage::prepare().await;
    let welcome = || {
        let tape = lock(&run.stage.tape);
        let mut welcomes = tape.commits.iter().flat_map(|commit| &commit.welcomes);
        welcomes.find(|to| to.device == cat).map(|to| to.welcome.clone().into_vec())
    };
    eventually("a Welcome that the ghost can read", || welcome().is_some()).await;
    let frames = run.stage.relay.listen(60).await;
    let member = lock(&ghost).as_mut().expect("the ghost").join(run.door, &welcome().expect("it is there"));
    let keys = member.expect("the ghost joins as cat").frame_keys().expect("keys");
    let opened = opened_with(keys, &frames);
    assert!(opened > 30, "the ghost opens {opened} frames of {}", frames.len());
    succeeded("swapped-key-package");
    run.stage.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn dropped_remove() {
    let _off = without(&[Check::OneGroup]).await;
    let run = Running::start().await;
    let (ada, _lie) = drop_remove(&run, false).await;
    tokio::time::sleep(MOMENT).await;
    assert_eq!(ada.alarms.all(), [], "nobody says that the removal was dropped");
    succeeded("dropped-remove");
    run.stage.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn junk_commit() {
    let _off = without(&[Check::CommitSlot]).await;
    let Junk { run, posts, _lies } = Junk::prepare().await;
    eventually("tries of the camera", || posts.load(Ordering::SeqCst) >= 3).await;
    let said = [run.sending.alarms.all(), run.watching.alarms.all()].concat();
    assert_eq!(said, [], "the group is stuck, and nobody says so");
    succeeded("junk-commit");
    run.stage.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reordered_commits() {
    let _off = without(&[Check::OneGroup]).await;
    let run = Running::start().await;
    let before = run.epoch();
    let _lie = reordered(&run).await;
    tokio::time::sleep(MOMENT).await;
    assert_eq!(run.watching.alarms.all(), [], "bob is left behind, and nobody says so");
    let entered = epochs(&run.watching.alarms);
    assert!(entered.iter().all(|epoch| *epoch <= before), "{entered:?} after {before}");
    succeeded("reordered-commits");
    run.stage.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn forked_group() {
    let _off = without(&[Check::OneGroup]).await;
    let run = Running::start().await;
    let before = run.epoch();
    let _lies = forked(&run).await;
    let later = || epochs(&run.watching.alarms).iter().any(|epoch| *epoch > before);
    eventually("bob in a group of his own", later).await;
    tokio::time::sleep(MOMENT).await;
    let said = [run.sending.alarms.all(), run.watching.alarms.all()].concat();
    assert_eq!(said, [], "the group is split, and nobody says so");
    succeeded("forked-group");
    run.stage.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn withheld_for_a_minute() {
    let _off = without(&[Check::CameraAnswers]).await;
    let Running { stage, bob, watching, sending: _sending, .. } = Running::start().await;
    watching.alarms.wait_for_record().await;
    watching.handle.stop().await;
    let _lies = withhold(&stage.middle, bob);
    let watching = stage.see("bob", "door").await;
    tokio::time::sleep(SILENCE).await;
    assert_eq!(watching.alarms.all(), [], "pictures come from nobody knows when, and nobody says so");
    succeeded("withheld-for-a-minute");
    stage.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn forged_add() {
    let _off = without(&[Check::ListSignature]).await;
    let case = ForgedAdd::prepare().await;
    eventually("a Welcome for the ghost", || lock(&case.welcome).is_some()).await;
    let frames = case.stage.relay.listen(60).await;
    let mut ghost = lock(&case.ghost);
    ghost.chain.accept(&case.forged, None).expect("it believes itself");
    let welcome = lock(&case.welcome).clone().expect("a Welcome");
    let member = ghost.join(case.stage.id("door"), &welcome).expect("the ghost joins");
    let opened = opened_with(member.frame_keys().expect("keys"), &frames);
    assert!(opened > 30, "the ghost opens {opened} frames of {}", frames.len());
    assert!(!case.sending.alarms.has("list-invalid"));
    succeeded("forged-add");
}

#[tokio::test(flavor = "multi_thread")]
async fn rolled_back_list() {
    let _off = without(&[Check::ListPinned]).await;
    let stage = Stage::open().await;
    let (sending, watching) = running(&stage).await;
    let _lies = roll_back(&stage);
    tokio::time::sleep(MOMENT).await;
    let said = [sending.alarms.all(), watching.alarms.all()].concat();
    assert_eq!(said, [], "a list is gone, and nobody says so");
    succeeded("rolled-back-list");
    stage.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_lists() {
    let _off = without(&[Check::ListHistories]).await;
    let mut case = TwoLists::prepare().await;
    case.watching.opens(30).await;
    case.lies.clear();
    case.stage.middle.tell(case.stage.id("bob"), Event::List { version: case.version });
    tokio::time::sleep(MOMENT).await;
    let said = [case.sending.alarms.all(), case.watching.alarms.all()].concat();
    assert_eq!(said, [], "there are two lists of one version, and nobody says so");
    succeeded("two-lists");
    case.stage.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn list_without_remove() {
    let _off = without(&[Check::ListShown]).await;
    let case = WithoutRemove::prepare().await;
    tokio::time::sleep(MOMENT).await;
    assert_eq!(case.sending.alarms.all(), [], "the removal is withheld, and nobody says so");
    let opened = case.opened_by_bob().await;
    assert!(opened > 30, "the removed device opens {opened} frames");
    succeeded("list-without-remove");
    case.stage.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn delay() {
    let _off = without(&[Check::FrameDelay]).await;
    let stage = Stage::open().await;
    hold_back(&stage.relay);
    let _sending = stage.send("door").await;
    let watching = stage.see("bob", "door").await;
    watching.opens(200).await;
    let stats = watching.handle.stats();
    assert!(stats.age_ms.is_some_and(|age| age > 4000), "{stats:?}");
    assert_eq!(stats.live, Some(true), "what is 5 s old counts as live");
    assert_eq!(watching.alarms.all(), []);
    succeeded("delay");
    stage.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn replayed_pictures() {
    let _off = without(&[Check::FrameReplay, Check::FrameDelay]).await;
    let stage = Stage::open().await;
    let (_sending, watching) = show_again(&stage).await;
    watching.opens(20).await;
    let live = || watching.handle.stats().live == Some(true);
    eventually("old pictures that count as live", live).await;
    assert!(watching.handle.stats().age_ms.is_some_and(|age| age > 10_000));
    assert_eq!(watching.alarms.all(), []);
    succeeded("replayed-pictures");
    stage.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn swapped_rooms() {
    let _off = without(&[Check::FrameKey]).await;
    let case = SwappedRooms::prepare().await;
    case.watching.opens(30).await;
    succeeded("swapped-rooms");
    case.stage.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stripped_envelope() {
    let _off = without(&[Check::FrameEnvelope]).await;
    let (stage, _sending, watching) = pictures_in_vp8().await;
    change_frames(&stage.relay, exchange());
    watching.opens(100).await;
    let refused = watching.handle.stats().failed.get("authentication_failed").copied().unwrap_or(0);
    assert_eq!(refused, 0);
    succeeded("stripped-envelope");
    stage.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn forged_frames() {
    let _off = without(&[Check::FrameSigned]).await;
    let (stage, _sending, watching, received) = forge(None).await;
    forged_frame(received).await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(watching.alarms.all(), [], "forged pictures are shown, and nobody says so");
    succeeded("forged-frames");
    stage.close().await;
}

/// Longer than the camera may be silent.
const SILENCE: Duration = Duration::from_secs(20);
/// Long enough for what a device notices by what is told to it.
const MOMENT: Duration = Duration::from_secs(3);
