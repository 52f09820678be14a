//! Lies about the camera's group: members from outside, old Welcomes, other keys, commits dropped, made up, exchanged.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::http::StatusCode;
use latchkey::event::Event as Told;
use latchkey_api::checks::Check;
use latchkey_api::device::{ClaimKeyPackage, ClaimedKeyPackage};
use latchkey_api::device_list::{Reason, Role};
use latchkey_api::encoding::ByteString;
use latchkey_api::event::Event;
use latchkey_api::group::{GroupMessage, GroupMessages, MessageAccepted, MessageKind, PostCommit, Welcomes};
use latchkey_api::id::{DeviceId, GroupId};
use latchkey_api::problem::ProblemCode;
use latchkey_loadtest::hostile::ear::opened_with;
use latchkey_loadtest::hostile::exchange::{Ask, Reply};
use latchkey_loadtest::hostile::middle::{Lie, Middle, Then};

use crate::ghost::Ghost;
use crate::lies::{CLAIM, COMMITS, FAR, MESSAGES, inject, show_messages};
use crate::outside::{proposal_of_a_new_member, proposal_of_an_external_sender};
use crate::stage::{Alarms, Sending, Stage, Watching, checked, eventually, lock, report, without};

/// A camera that sends and a viewer that sees it.
struct Running {
    stage: Stage,
    door: DeviceId,
    bob: DeviceId,
    group: GroupId,
    sending: Sending,
    watching: Watching,
}

impl Running {
    async fn start() -> Self {
        Self::on(Stage::open().await).await
    }

    async fn on(stage: Stage) -> Self {
        let (door, bob) = (stage.id("door"), stage.id("bob"));
        let sending = stage.send("door").await;
        let watching = stage.see("bob", "door").await;
        Self { stage, door, bob, group: GroupId::new(door, 0), sending, watching }
    }

    /// The epoch that the server believes in.
    fn epoch(&self) -> u64 {
        lock(&self.stage.tape).epoch()
    }
}

/// The epochs that a device entered.
fn epochs(alarms: &Alarms) -> Vec<u64> {
    let epoch = |event| if let Told::NewEpoch { epoch, .. } = event { Some(epoch) } else { None };
    alarms.events().into_iter().filter_map(epoch).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn external_sender() {
    let _all = checked().await;
    let run = Running::start().await;
    let mut ghost = Ghost::new(&run.stage);
    let epoch = run.epoch();
    let proposals = [
        proposal_of_a_new_member(&mut ghost, run.group, epoch),
        proposal_of_an_external_sender(&mut ghost, run.group, epoch),
    ];
    let made_up = proposals.map(|proposal| (MessageKind::Proposal, epoch, proposal)).to_vec();
    let _lies = [run.door, run.bob].map(|to| inject(&run.stage.middle, to, run.group, made_up.clone()));
    for alarms in [&run.sending.alarms, &run.watching.alarms] {
        let alarm = alarms.wait_for("group-rule-broken").await;
        assert!(alarm.to_string().contains("outside"), "{alarm}");
    }
    run.stage.enrol("ada", Role::Viewer, "cat").await;
    eventually("the next commit", || run.epoch() > epoch).await;
    run.watching.opens(30).await;
    assert!(!run.stage.members("door").contains(&ghost.id()));
    report("external-sender", "refused_by=outside-sender alarm=group-rule-broken");
    run.stage.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn external_sender_unchecked() {
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
    report("external-sender", "unchecked=attack-succeeded");
    run.stage.close().await;
}

/// The server keeps the Welcome that brought a viewer in, and shows it again two epochs later.
struct OldWelcome {
    run: Running,
    _lies: [Lie; 2],
}

impl OldWelcome {
    async fn prepare() -> Self {
        let stage = Stage::open().await;
        let bob = stage.id("bob");
        // Only a last-resort key package can be used twice: the server gives that one out.
        let tape = Arc::clone(&stage.tape);
        let last_resort = stage.middle.on_ask(move |ask| {
            let claim = ask.json::<ClaimKeyPackage>().filter(|_| ask.is("POST", CLAIM));
            if claim.is_none_or(|claim| claim.device != bob) {
                return Then::Pass;
            }
            let key_package = lock(&tape).last_resort.get(&bob).cloned().expect("bob left one");
            Then::Answer(Reply::of(StatusCode::OK, &ClaimedKeyPackage { key_package, last_resort: true }))
        });
        let run = Running::on(stage).await;
        for (name, count) in [("cat", 1), ("dan", 2)] {
            let before = epochs(&run.watching.alarms).len();
            run.stage.enrol("ada", Role::Viewer, name).await;
            eventually("the next epoch", || epochs(&run.watching.alarms).len() > before).await;
            assert!(count <= epochs(&run.watching.alarms).len());
        }
        let welcomes = lock(&run.stage.tape).welcomes.clone();
        let (_, mut old) = welcomes.into_iter().find(|(to, _)| *to == bob).expect("a Welcome for bob");
        old.id = OURS;
        let shown = run.stage.middle.on_reply(move |ask, reply| {
            if ask.is("GET", "/v1/welcomes") && ask.is_from(bob) {
                reply.set_json(&Welcomes { welcomes: vec![old.clone()] });
            }
            if ask.is("DELETE", &format!("/v1/welcomes/{OURS}")) {
                *reply = Reply { status: StatusCode::NO_CONTENT, ..Reply::of(StatusCode::OK, &()) };
                reply.body = Default::default();
            }
        });
        run.stage.middle.tell(bob, Event::Welcome { group: run.group });
        Self { run, _lies: [last_resort, shown] }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn old_welcome() {
    let _all = checked().await;
    let OldWelcome { run, _lies } = OldWelcome::prepare().await;
    let alarm = run.watching.alarms.wait_for("group-rule-broken").await;
    assert!(alarm.to_string().contains("Welcome"), "{alarm}");
    let seen = epochs(&run.watching.alarms);
    assert!(seen.is_sorted(), "epochs only rise: {seen:?}");
    run.watching.opens(30).await;
    report("old-welcome", "refused_by=welcome-later alarm=group-rule-broken");
    run.stage.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn old_welcome_unchecked() {
    let _off = without(&[Check::WelcomeLater]).await;
    let OldWelcome { run, _lies } = OldWelcome::prepare().await;
    eventually("bob in an old epoch", || !epochs(&run.watching.alarms).is_sorted()).await;
    report("old-welcome", "unchecked=attack-succeeded");
    run.stage.close().await;
}

/// The server answers the camera's claim with a key package of its own, in the new device's name.
struct SwappedKeyPackage {
    run: Running,
    ghost: Arc<Mutex<Option<Ghost>>>,
    cat: DeviceId,
    _lie: Lie,
}

impl SwappedKeyPackage {
    async fn prepare() -> Self {
        let run = Running::start().await;
        let ghost = Arc::new(Mutex::new(None::<Ghost>));
        let shared = Arc::clone(&ghost);
        let lie = run.stage.middle.on_ask(move |ask| {
            if !ask.is("POST", CLAIM) {
                return Then::Pass;
            }
            Then::Answer(match lock(&shared).as_mut() {
                Some(ghost) => Reply::of(StatusCode::OK, &ghost.claimed()),
                // It is still being made up; the camera asks again.
                None => Reply::refusal(StatusCode::NOT_FOUND, ProblemCode::NoKeyPackage),
            })
        });
        let cat = run.stage.enrol("ada", Role::Viewer, "cat").await;
        *lock(&ghost) = Some(Ghost::posing_as(&run.stage, cat));
        Self { run, ghost, cat, _lie: lie }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn swapped_key_package() {
    let _all = checked().await;
    let SwappedKeyPackage { run, cat, _lie, .. } = SwappedKeyPackage::prepare().await;
    run.sending.alarms.wait_for("wrong-key-package").await;
    run.watching.opens(30).await;
    assert!(!run.stage.members("door").contains(&cat), "nobody is in the group in its name");
    report("swapped-key-package", "refused_by=key-package alarm=wrong-key-package");
    run.stage.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn swapped_key_package_unchecked() {
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
    report("swapped-key-package", "unchecked=attack-succeeded");
    run.stage.close().await;
}

/// The server says yes to the commit that removes bob, and gives it to nobody.
async fn drop_remove(run: &Running) -> (Watching, Lie) {
    let ada = run.stage.see("ada", "door").await;
    ada.opens(10).await;
    let door = run.door;
    let lie = run.stage.middle.on_ask(move |ask| {
        if ask.is("POST", COMMITS) && ask.is_from(door) {
            return Then::Answer(Reply::of(StatusCode::CREATED, &MessageAccepted { seq: FAR }));
        }
        Then::Pass
    });
    let before = run.epoch();
    run.stage.remove("ada", run.bob).await;
    eventually("the commit that removes bob", || run.epoch() > before).await;
    (ada, lie)
}

#[tokio::test(flavor = "multi_thread")]
async fn dropped_remove() {
    let _all = checked().await;
    let run = Running::start().await;
    let (ada, _lie) = drop_remove(&run).await;
    ada.alarms.wait_for("group-forked").await;
    report("dropped-remove", "refused_by=one-group alarm=group-forked");
    run.stage.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn dropped_remove_unchecked() {
    let _off = without(&[Check::OneGroup]).await;
    let run = Running::start().await;
    let (ada, _lie) = drop_remove(&run).await;
    tokio::time::sleep(MOMENT).await;
    assert_eq!(ada.alarms.all(), [], "nobody says that the removal was dropped");
    report("dropped-remove", "unchecked=attack-succeeded");
    run.stage.close().await;
}

/// The place of the next commit holds something that is none.
struct Junk {
    run: Running,
    posts: Arc<AtomicU64>,
    _lies: [Lie; 3],
}

impl Junk {
    async fn prepare() -> Self {
        let run = Running::start().await;
        let (door, epoch) = (run.door, run.epoch());
        let posts = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&posts);
        let taken = run.stage.middle.on_ask(move |ask| {
            if ask.is("POST", COMMITS) && ask.is_from(door) {
                counted.fetch_add(1, Ordering::SeqCst);
                return Then::Answer(Reply::refusal(StatusCode::CONFLICT, ProblemCode::EpochTaken));
            }
            Then::Pass
        });
        let junk = move |ask: &Ask, page: &mut GroupMessages| {
            if ask.after() < FAR {
                let message = ByteString(b"there is no commit here".to_vec());
                page.messages.push(GroupMessage { seq: FAR, kind: MessageKind::Commit, epoch, message });
            }
        };
        let shown = [door, run.bob].map(|device| show_messages(&run.stage.middle, device, junk));
        run.stage.middle.tell(run.bob, Event::Message { group: run.group, seq: FAR });
        run.stage.enrol("ada", Role::Viewer, "cat").await;
        let [one, other] = shown;
        Self { run, posts, _lies: [taken, one, other] }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn junk_commit() {
    let _all = checked().await;
    let Junk { run, _lies, .. } = Junk::prepare().await;
    run.sending.alarms.wait_for("junk-commit").await;
    run.watching.alarms.wait_for("junk-commit").await;
    report("junk-commit", "refused_by=commit-slot alarm=junk-commit");
    run.stage.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn junk_commit_unchecked() {
    let _off = without(&[Check::CommitSlot]).await;
    let Junk { run, posts, _lies } = Junk::prepare().await;
    eventually("tries of the camera", || posts.load(Ordering::SeqCst) >= 3).await;
    let said = [run.sending.alarms.all(), run.watching.alarms.all()].concat();
    assert_eq!(said, [], "the group is stuck, and nobody says so");
    report("junk-commit", "unchecked=attack-succeeded");
    run.stage.close().await;
}

/// Two commits reach bob in the wrong order.
async fn reordered(run: &Running) -> Lie {
    let first = run.epoch();
    let kept = Mutex::new(());
    let lie = show_messages(&run.stage.middle, run.bob, move |_, page| {
        let _one_at_a_time = lock(&kept);
        let mut commits: Vec<usize> = Vec::new();
        for (at, message) in page.messages.iter().enumerate() {
            if message.kind == MessageKind::Commit && message.epoch >= first {
                commits.push(at);
            }
        }
        match commits[..] {
            // The first is held back until there is a second to be shown before it.
            [at] => page.messages.truncate(at),
            [one, other, ..] => {
                let place = |page: &GroupMessages, at: usize| page.messages[at].seq;
                let (first, second) = (place(page, one), place(page, other));
                page.messages.swap(one, other);
                (page.messages[one].seq, page.messages[other].seq) = (first, second);
            }
            [] => {}
        }
    });
    for name in ["cat", "dan"] {
        let before = run.epoch();
        run.stage.enrol("ada", Role::Viewer, name).await;
        eventually("the next commit", || run.epoch() > before).await;
    }
    run.stage.middle.tell(run.bob, Event::Message { group: run.group, seq: FAR });
    lie
}

#[tokio::test(flavor = "multi_thread")]
async fn reordered_commits() {
    let _all = checked().await;
    let run = Running::start().await;
    let _lie = reordered(&run).await;
    run.watching.alarms.wait_for("group-forked").await;
    report("reordered-commits", "refused_by=one-group alarm=group-forked");
    run.stage.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reordered_commits_unchecked() {
    let _off = without(&[Check::OneGroup]).await;
    let run = Running::start().await;
    let before = epochs(&run.watching.alarms);
    let _lie = reordered(&run).await;
    tokio::time::sleep(MOMENT).await;
    assert_eq!(run.watching.alarms.all(), [], "bob is left behind, and nobody says so");
    assert_eq!(epochs(&run.watching.alarms), before);
    report("reordered-commits", "unchecked=attack-succeeded");
    run.stage.close().await;
}

/// The camera is told that its commit came too late, and makes another; bob is shown the first.
async fn forked(run: &Running) -> [Lie; 2] {
    let (door, epoch) = (run.door, run.epoch());
    let first = Arc::new(Mutex::new(None::<PostCommit>));
    let kept = Arc::clone(&first);
    let refused = run.stage.middle.on_ask(move |ask| {
        if ask.is("POST", COMMITS)
            && ask.is_from(door)
            && let Some(commit) = ask.json::<PostCommit>()
            && lock(&kept).is_none()
        {
            *lock(&kept) = Some(commit);
            return Then::Answer(Reply::refusal(StatusCode::CONFLICT, ProblemCode::EpochTaken));
        }
        Then::Pass
    });
    let shown = Arc::clone(&first);
    let exchanged = show_messages(&run.stage.middle, run.bob, move |_, page| {
        for message in &mut page.messages {
            if message.kind == MessageKind::Commit
                && message.epoch == epoch
                && let Some(first) = lock(&shown).as_ref()
            {
                message.message = first.commit.clone();
            }
        }
    });
    run.stage.enrol("ada", Role::Viewer, "cat").await;
    eventually("two commits of one epoch", || lock(&run.stage.tape).commits.len() >= 3).await;
    [refused, exchanged]
}

#[tokio::test(flavor = "multi_thread")]
async fn forked_group() {
    let _all = checked().await;
    let run = Running::start().await;
    let _lies = forked(&run).await;
    run.watching.alarms.wait_for("group-forked").await;
    run.sending.alarms.wait_for("group-forked").await;
    report("forked-group", "refused_by=one-group alarm=group-forked");
    run.stage.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn forked_group_unchecked() {
    let _off = without(&[Check::OneGroup]).await;
    let run = Running::start().await;
    let before = epochs(&run.watching.alarms).len();
    let _lies = forked(&run).await;
    eventually("bob in a group of his own", || epochs(&run.watching.alarms).len() > before).await;
    tokio::time::sleep(MOMENT).await;
    let said = [run.sending.alarms.all(), run.watching.alarms.all()].concat();
    assert_eq!(said, [], "the group is split, and nobody says so");
    report("forked-group", "unchecked=attack-succeeded");
    run.stage.close().await;
}

/// For a minute the server brings bob nothing: no message, no list, no event; what he posts it says yes to and drops.
fn withhold(middle: &Middle, bob: DeviceId) -> Vec<Lie> {
    vec![
        middle.on_event(move |to, _| to != bob),
        show_messages(middle, bob, |_, page| page.messages.clear()),
        middle.on_ask(move |ask| {
            if ask.is("POST", MESSAGES) && ask.is_from(bob) {
                return Then::Answer(Reply::of(StatusCode::CREATED, &MessageAccepted { seq: FAR }));
            }
            Then::Pass
        }),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn withheld_for_a_minute() {
    let _all = checked().await;
    let Running { stage, bob, watching, sending: _sending, .. } = Running::start().await;
    watching.handle.stop().await;
    let lies = withhold(&stage.middle, bob);
    let began = Instant::now();
    let watching = stage.see("bob", "door").await;
    watching.alarms.wait_for("camera-silent").await;
    println!("hostile: withheld: alarm after {} ms", began.elapsed().as_millis());
    let answered = |event: &Told| matches!(event, Told::Answered { .. });
    assert!(!watching.alarms.events().iter().any(answered));
    tokio::time::sleep(Duration::from_secs(60).saturating_sub(began.elapsed())).await;
    // When it ends, bob goes on by himself.
    drop(lies);
    eventually("the camera's answer", || watching.alarms.events().iter().any(answered)).await;
    watching.opens(30).await;
    report("withheld-for-a-minute", "refused_by=camera-answers alarm=camera-silent");
    stage.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn withheld_unchecked() {
    let _off = without(&[Check::CameraAnswers]).await;
    let Running { stage, bob, watching, sending: _sending, .. } = Running::start().await;
    watching.handle.stop().await;
    let _lies = withhold(&stage.middle, bob);
    let watching = stage.see("bob", "door").await;
    tokio::time::sleep(SILENCE).await;
    assert_eq!(watching.alarms.all(), [], "pictures come from nobody knows when, and nobody says so");
    report("withheld-for-a-minute", "unchecked=attack-succeeded");
    stage.close().await;
}

/// A number that the real server does not give.
const OURS: u64 = 4_000_000_000;
/// Longer than the camera may be silent.
const SILENCE: Duration = Duration::from_secs(20);
/// Long enough for what a device notices by what is told to it.
const MOMENT: Duration = Duration::from_secs(3);
