//! Lies about the camera's group: members from outside, old Welcomes, other keys, commits dropped, made up, exchanged.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::http::StatusCode;
use latchkey::event::Event as Told;
use latchkey_api::device::{ClaimKeyPackage, ClaimedKeyPackage};
use latchkey_api::device_list::Role;
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
use crate::stage::{Alarms, Sending, Stage, Watching, checked, eventually, lock, refused};

/// A camera that sends and a viewer that sees it.
pub struct Running {
    pub stage: Stage,
    pub door: DeviceId,
    pub bob: DeviceId,
    pub group: GroupId,
    pub sending: Sending,
    pub watching: Watching,
}

impl Running {
    pub async fn start() -> Self {
        Self::on(Stage::open().await).await
    }

    pub async fn on(stage: Stage) -> Self {
        let (door, bob) = (stage.id("door"), stage.id("bob"));
        let sending = stage.send("door").await;
        let watching = stage.see("bob", "door").await;
        Self { stage, door, bob, group: GroupId::new(door, 0), sending, watching }
    }

    /// The epoch that the server believes in.
    pub fn epoch(&self) -> u64 {
        lock(&self.stage.tape).epoch()
    }
}

/// The epochs that a device entered.
pub fn epochs(alarms: &Alarms) -> Vec<u64> {
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
    refused("external-sender", "outside-sender+roster", "group-rule-broken");
    run.stage.close().await;
}

/// The server keeps the Welcome that brought a viewer in, and shows it again two epochs later.
pub struct OldWelcome {
    pub run: Running,
    pub _lies: [Lie; 2],
}

impl OldWelcome {
    pub async fn prepare() -> Self {
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
    refused("old-welcome", "welcome-later", "group-rule-broken");
    run.stage.close().await;
}

/// The server answers the camera's claim with a key package of its own, in the new device's name.
pub struct SwappedKeyPackage {
    pub run: Running,
    pub ghost: Arc<Mutex<Option<Ghost>>>,
    pub cat: DeviceId,
    pub _lie: Lie,
}

impl SwappedKeyPackage {
    pub async fn prepare() -> Self {
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
    refused("swapped-key-package", "key-package+roster", "wrong-key-package");
    run.stage.close().await;
}

/// The server says yes to the commit that removes bob, and gives it to nobody; with `notes` to no note of the camera
/// either.
pub async fn drop_remove(run: &Running, notes: bool) -> (Watching, Lie) {
    let ada = run.stage.see("ada", "door").await;
    ada.opens(10).await;
    let door = run.door;
    let lie = run.stage.middle.on_ask(move |ask| {
        let dropped = ask.is("POST", COMMITS) || notes && ask.is("POST", MESSAGES);
        if dropped && ask.is_from(door) {
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
    let (ada, _lie) = drop_remove(&run, false).await;
    ada.alarms.wait_for("group-forked").await;
    refused("dropped-remove", "one-group", "group-forked");
    run.stage.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn dropped_remove_with_every_word_about_it() {
    let _all = checked().await;
    let run = Running::start().await;
    let (ada, _lie) = drop_remove(&run, true).await;
    // Whatever the server does, the camera has changed its keys: ada sees nothing, and is told why.
    ada.alarms.wait_for_note("wrong-camera").await;
    let frames = run.stage.relay.listen(60).await;
    assert_eq!(opened_with(run.stage.keys("bob", run.door), &frames), 0, "the removed device opens nothing");
    run.stage.close().await;
}

/// The place of the next commit holds something that is none.
pub struct Junk {
    pub run: Running,
    pub posts: Arc<AtomicU64>,
    pub _lies: [Lie; 3],
}

impl Junk {
    pub async fn prepare() -> Self {
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
    refused("junk-commit", "commit-slot", "junk-commit");
    run.stage.close().await;
}

/// Two commits reach bob in the wrong order.
pub async fn reordered(run: &Running) -> Lie {
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
    refused("reordered-commits", "one-group", "group-forked");
    run.stage.close().await;
}

/// The camera is told that its commit came too late, and makes another; bob is shown the first.
pub async fn forked(run: &Running) -> [Lie; 2] {
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
    refused("forked-group", "one-group", "group-forked");
    run.stage.close().await;
}

/// For a minute the server brings bob nothing: no message, no list, no event; what he posts it says yes to and drops.
pub fn withhold(middle: &Middle, bob: DeviceId) -> Vec<Lie> {
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
    watching.alarms.wait_for_record().await;
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
    refused("withheld-for-a-minute", "camera-answers", "camera-silent");
    stage.close().await;
}

/// A number that the real server does not give.
const OURS: u64 = 4_000_000_000;
