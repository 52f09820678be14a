//! What every store must do, as tests that run on any of them; each panics where the store is wrong.
#![allow(clippy::missing_panics_doc)]

use latchkey_api::audit::{AuditHead, AuditKind};
use latchkey_api::group::MessageKind;
use latchkey_api::id::{DeviceId, GroupId, HouseholdId};

use crate::audit::{AuditEntry, AuditRow};
use crate::store::{
    CommitOutcome, FoundOutcome, Inventory, Invitation, InviteUse, KeptGroup, MailOutcome, MessageOutcome,
    MessagePage, NewCommit, NewCursor, NewHousehold, NewInvite, NewKeyPackages, NewList, NewMail, NewMessage,
    NewSession, Store,
};

const CAMERA: DeviceId = DeviceId([1; 16]);
const VIEWER: DeviceId = DeviceId([2; 16]);
const OTHER: DeviceId = DeviceId([3; 16]);
/// More households than these tests make.
const MANY: u64 = 100;

/// Runs all of them on an empty store.
pub async fn all<S: Store>(store: &S) {
    households_and_lists(store).await;
    sessions(store).await;
    key_packages(store).await;
    commits(store).await;
    commit_with_list(store).await;
    messages(store).await;
    welcomes(store).await;
    audit_chain(store).await;
    mail(store).await;
    purge(store).await;
    cursors(store).await;
    invites(store).await;
    deletion(store).await;
}

/// Registering twice, lists in order, the second of a version refused, what a list takes away.
pub async fn households_and_lists<S: Store>(store: &S) {
    let home = found(store, 1).await;
    let again = NewHousehold {
        household: home,
        root_public: [9; 32],
        list: b"else",
        invitation: Invitation::NotAsked,
        audit: entry(0),
    };
    let full = NewHousehold { household: HouseholdId([98; 16]), ..again };
    for (new, max, outcome) in
        [(again, MANY, FoundOutcome::Exists), (again, 1, FoundOutcome::Exists), (full, 1, FoundOutcome::Full)]
    {
        assert_eq!(store.found_household(new, max).await.expect("asked"), outcome, "at most {max}");
    }
    assert_eq!(store.household_root(full.household).await.expect("read"), None, "nothing is left of it");
    assert_eq!(store.household_root(home).await.expect("read"), Some([7; 32]));
    assert_eq!(store.household_root(HouseholdId([99; 16])).await.expect("read"), None);

    assert!(!store.append_list(list(home, 3, b"three")).await.expect("asked"), "no version is skipped");
    assert!(store.append_list(list(home, 2, b"two")).await.expect("stored"));
    assert!(!store.append_list(list(home, 2, b"rival")).await.expect("asked"), "the first one wins");
    assert!(store.append_list(list(home, 3, b"three")).await.expect("stored"));
    let all = store.lists_after(home, 0, 10).await.expect("read");
    assert_eq!(all, [b"one".to_vec(), b"two".to_vec(), b"three".to_vec()]);
    assert_eq!(store.lists_after(home, 1, 1).await.expect("read"), [b"two".to_vec()]);
    assert!(store.lists_after(home, 3, 10).await.expect("read").is_empty());
}

/// Sessions end by time, by number and by a list.
pub async fn sessions<S: Store>(store: &S) {
    let home = found(store, 2).await;
    for (token, device, expires_ms) in [(1, VIEWER, 100), (2, VIEWER, 200), (3, OTHER, 100)] {
        put(store, home, token, device, expires_ms).await;
    }
    assert_eq!(whose(store, 1, 99).await, Some((home, VIEWER)));
    assert_eq!(whose(store, 1, 100).await, None, "it is over at its end");
    assert_eq!(whose(store, 9, 0).await, None);
    put(store, home, 4, VIEWER, 300).await;
    assert_eq!(whose(store, 1, 0).await, None, "the oldest of more than two gives way");
    assert_eq!(whose(store, 3, 0).await, Some((home, OTHER)), "not another device's");

    let new = NewList { ends_sessions_of: &[VIEWER], ..list(home, 2, b"two") };
    assert!(store.append_list(new).await.expect("stored"));
    assert_eq!((whose(store, 2, 0).await, whose(store, 4, 0).await), (None, None));
    assert_eq!(whose(store, 3, 0).await, Some((home, OTHER)));
}

/// Each handed out once and in order, the last-resort one again and again, bounds, gone with the device.
pub async fn key_packages<S: Store>(store: &S) {
    let home = found(store, 3).await;
    let claim = |device| store.claim_key_package(home, device, entry(0));
    assert_eq!(claim(VIEWER).await.expect("asked"), None);
    assert_eq!(add(store, home, &[b"a", b"b"], Some(b"z")).await, Some(2));
    assert_eq!(add(store, home, &[b"b"], None).await, Some(2), "the same one is kept once");
    assert_eq!(add(store, home, &[b"c", b"d"], Some(b"y")).await, None, "not more than three");
    for (expected, last_resort, left) in
        [(b"a", false, 1), (b"b", false, 0), (b"z", true, 0), (b"z", true, 0)]
    {
        let taken = claim(VIEWER).await.expect("asked").expect("one is there");
        assert_eq!(
            (taken.key_package.as_slice(), taken.last_resort, taken.left),
            (&expected[..], last_resort, left)
        );
    }
    assert_eq!(add(store, home, &[], Some(b"y")).await, Some(0));
    assert_eq!(claim(VIEWER).await.expect("asked").expect("replaced").key_package, b"y");
    assert_eq!(claim(OTHER).await.expect("asked"), None, "each device has its own");

    let new = NewList { forgets: &[VIEWER], ..list(home, 2, b"two") };
    assert!(store.append_list(new).await.expect("stored"));
    assert_eq!(claim(VIEWER).await.expect("asked"), None);
}

/// One commit per group and epoch, in order; the first may stand at any epoch.
pub async fn commits<S: Store>(store: &S) {
    let home = found(store, 4).await;
    let group = GroupId::new(CAMERA, 0);
    let post = |epoch, bytes: &'static [u8]| store.append_commit(commit(home, group, epoch, bytes));
    assert_eq!(post(5, b"a").await.expect("stored"), CommitOutcome::Accepted(1));
    assert_eq!(post(5, b"b").await.expect("asked"), CommitOutcome::EpochTaken);
    assert_eq!(post(4, b"b").await.expect("asked"), CommitOutcome::EpochTaken);
    assert_eq!(post(7, b"b").await.expect("asked"), CommitOutcome::EpochAhead);
    assert_eq!(post(6, b"b").await.expect("stored"), CommitOutcome::Accepted(2));
    let elsewhere = commit(home, GroupId::new(CAMERA, 1), 5, b"c");
    assert_eq!(store.append_commit(elsewhere).await.expect("stored"), CommitOutcome::Accepted(1));
    let other_home = found(store, 5).await;
    let foreign = commit(other_home, group, 5, b"d");
    assert_eq!(store.append_commit(foreign).await.expect("stored"), CommitOutcome::Accepted(1));

    let found = store.messages_after(page(home, group, 0)).await.expect("read");
    let seen: Vec<_> = found.iter().map(|it| (it.seq, it.kind, it.epoch, it.message.as_slice())).collect();
    assert_eq!(seen, [(1, MessageKind::Commit, 5, &b"a"[..]), (2, MessageKind::Commit, 6, b"b")]);
}

/// A commit and its list are taken in together or not at all.
pub async fn commit_with_list<S: Store>(store: &S) {
    let home = found(store, 6).await;
    let group = GroupId::new(CAMERA, 0);
    let with = |epoch, version, bytes: &'static [u8]| {
        store.append_commit(NewCommit {
            list: Some(list(home, version, bytes)),
            ..commit(home, group, epoch, b"commit")
        })
    };
    assert_eq!(with(0, 2, b"two").await.expect("stored"), CommitOutcome::Accepted(1));
    assert_eq!(with(1, 2, b"rival").await.expect("asked"), CommitOutcome::ListVersionTaken);
    assert_eq!(with(0, 3, b"three").await.expect("asked"), CommitOutcome::EpochTaken);
    let lists = store.lists_after(home, 0, 10).await.expect("read");
    assert_eq!(lists, [b"one".to_vec(), b"two".to_vec()], "no list of a refused commit");
    assert_eq!(store.messages_after(page(home, group, 0)).await.expect("read").len(), 1);
    assert_eq!(with(1, 3, b"three").await.expect("stored"), CommitOutcome::Accepted(2));
}

/// Messages share the commits' order; proposals fit the present epoch; pages end by number and by bytes.
pub async fn messages<S: Store>(store: &S) {
    let home = found(store, 7).await;
    let group = GroupId::new(CAMERA, 0);
    let post = |kind, epoch, message: &'static [u8]| {
        store.append_message(NewMessage { household: home, group, kind, epoch, message, at_ms: 0 })
    };
    let refused = post(MessageKind::Application, 0, b"early").await.expect("asked");
    assert_eq!(refused, MessageOutcome::NoSuchGroup);
    store.append_commit(commit(home, group, 0, b"c0")).await.expect("stored");
    let proposal = post(MessageKind::Proposal, 1, b"proposal").await.expect("stored");
    assert_eq!(proposal, MessageOutcome::Accepted(2));
    for epoch in [0, 2] {
        let stale = post(MessageKind::Proposal, epoch, b"stale").await.expect("asked");
        assert_eq!(stale, MessageOutcome::NotCurrent);
    }
    let late = post(MessageKind::Application, 0, b"late").await.expect("stored");
    assert_eq!(late, MessageOutcome::Accepted(3));
    assert_eq!(
        store.append_commit(commit(home, group, 1, b"c1")).await.expect("stored"),
        CommitOutcome::Accepted(4)
    );

    let seqs = |page| async move {
        let found = store.messages_after(page).await.expect("read");
        found.iter().map(|message| message.seq).collect::<Vec<_>>()
    };
    assert_eq!(seqs(page(home, group, 0)).await, [1, 2, 3, 4]);
    assert_eq!(seqs(page(home, group, 3)).await, [4]);
    assert_eq!(seqs(MessagePage { limit: 2, ..page(home, group, 1) }).await, [2, 3]);
    assert_eq!(seqs(MessagePage { max_bytes: 10, ..page(home, group, 0) }).await, [1, 2]);
}

/// Welcomes wait for their device, newer replace older of the same group, and go when acknowledged.
pub async fn welcomes<S: Store>(store: &S) {
    let home = found(store, 8).await;
    let (group, next_group) = (GroupId::new(CAMERA, 0), GroupId::new(OTHER, 0));
    let post = |group, epoch, welcomes: Vec<(DeviceId, Vec<u8>)>| async move {
        let new = NewCommit { welcomes: &welcomes, ..commit(home, group, epoch, b"commit") };
        store.append_commit(new).await.expect("stored")
    };
    post(group, 0, vec![(VIEWER, b"old".to_vec()), (OTHER, b"other".to_vec())]).await;
    post(next_group, 0, vec![(VIEWER, b"next".to_vec())]).await;
    post(group, 1, vec![(VIEWER, b"new".to_vec())]).await;

    let waiting = store.welcomes(home, VIEWER).await.expect("read");
    let seen: Vec<_> = waiting.iter().map(|it| (it.group, it.seq, it.welcome.as_slice())).collect();
    assert_eq!(seen, [(next_group, 1, &b"next"[..]), (group, 2, b"new")]);
    let id = waiting[0].id;
    assert!(!store.remove_welcome(home, OTHER, id).await.expect("asked"), "only its device removes it");
    assert!(store.remove_welcome(home, VIEWER, id).await.expect("removed"));
    assert!(!store.remove_welcome(home, VIEWER, id).await.expect("asked"));
    assert_eq!(store.welcomes(home, VIEWER).await.expect("read").len(), 1);
    assert_eq!(store.welcomes(home, OTHER).await.expect("read").len(), 1);

    let new = NewList { forgets: &[OTHER], ..list(home, 2, b"two") };
    assert!(store.append_list(new).await.expect("stored"));
    assert!(store.welcomes(home, OTHER).await.expect("read").is_empty());
}

/// Every write that is audited adds one row to one unbroken chain per household.
pub async fn audit_chain<S: Store>(store: &S) {
    let home = found(store, 9).await;
    for detail in 1..=5 {
        let row = store.append_audit(home, entry(detail)).await.expect("stored");
        assert_eq!(row.seq, detail + 1, "after the row of the founding");
    }
    assert!(store.append_list(list(home, 2, b"two")).await.expect("stored"));
    store.append_commit(commit(home, GroupId::new(CAMERA, 0), 0, b"c")).await.expect("stored");
    put(store, home, 90, VIEWER, 10).await;
    let rows = store.audit_after(home, 0, 100).await.expect("read");
    assert_eq!(rows.len(), 9);
    let shown: Vec<_> = rows.iter().map(AuditRow::shown).collect();
    assert_eq!(AuditHead::default().follow(&home, &shown).map(|head| head.seq), Ok(9));
    let piece = store.audit_after(home, 3, 2).await.expect("read");
    assert_eq!(piece, rows[3..5]);
}

/// Mailboxes are bounded each and all together, numbers rise and are not reused, and time forgets.
pub async fn mail<S: Store>(store: &S) {
    let post = |mailbox: u8, at_ms, max_in_all| {
        store.post_mail(NewMail {
            mailbox: [mailbox; 16],
            message: b"sealed",
            at_ms,
            expires_ms: at_ms + 100,
            max_in_mailbox: 2,
            max_in_all,
        })
    };
    let accepted = |outcome| match outcome {
        MailOutcome::Accepted(seq) => seq,
        other => panic!("{other:?}"),
    };
    let first = accepted(post(1, 0, 10).await.expect("stored"));
    let second = accepted(post(1, 50, 10).await.expect("stored"));
    assert!(first >= 1 && second > first);
    assert_eq!(post(1, 50, 10).await.expect("asked"), MailOutcome::MailboxFull);
    assert_eq!(post(2, 50, 2).await.expect("asked"), MailOutcome::AllFull);
    accepted(post(2, 50, 3).await.expect("stored"));
    let numbers = |seq, now_ms| async move {
        let found = store.mail_after([1; 16], seq, now_ms).await.expect("read");
        assert!(found.iter().all(|(_, message)| message == b"sealed"));
        found.into_iter().map(|(seq, _)| seq).collect::<Vec<_>>()
    };
    assert_eq!(numbers(0, 50).await, [first, second]);
    assert_eq!(numbers(first, 50).await, [second]);
    assert_eq!(numbers(0, 100).await, [second]);
    let third = accepted(post(1, 120, 10).await.expect("room is made by time"));
    assert!(third > second);
    assert_eq!(numbers(0, 120).await, [second, third]);
    let later = accepted(post(1, 10_000, 10).await.expect("stored"));
    assert!(later > third, "a reader who saw the last one misses none");
}

/// Old messages go, but which epochs are taken stays known.
pub async fn purge<S: Store>(store: &S) {
    let home = found(store, 10).await;
    let group = GroupId::new(CAMERA, 0);
    let at = |at_ms| AuditEntry { at_ms, ..entry(0) };
    for (epoch, at_ms) in [(0, 1_000), (1, 2_000)] {
        let new = NewCommit { audit: at(at_ms), ..commit(home, group, epoch, b"c") };
        store.append_commit(new).await.expect("stored");
    }
    put(store, home, 100, VIEWER, 5_000).await;
    put(store, home, 101, VIEWER, 7_000).await;
    assert!(store.purge(6_000, 2_000).await.expect("purged") >= 2);
    let left = store.messages_after(page(home, group, 0)).await.expect("read");
    assert_eq!(left.iter().map(|message| message.seq).collect::<Vec<_>>(), [2]);
    assert_eq!(whose(store, 100, 0).await, None);
    assert_eq!(whose(store, 101, 6_000).await, Some((home, VIEWER)));
    store.purge(6_000, u64::MAX / 4).await.expect("purged");
    let again = store.append_commit(commit(home, group, 1, b"d")).await.expect("asked");
    assert_eq!(again, CommitOutcome::EpochTaken);
    let next = store.append_commit(commit(home, group, 2, b"d")).await.expect("stored");
    assert_eq!(next, CommitOutcome::Accepted(3), "places are not given twice");
}

/// A cursor never moves back nor beyond the end, messages go when all readers have read them, and a removed device's
/// cursor is forgotten.
pub async fn cursors<S: Store>(store: &S) {
    let home = found(store, 11).await;
    let group = GroupId::new(CAMERA, 0);
    let readers = [CAMERA, VIEWER];
    let put =
        |device, seq| store.put_cursor(NewCursor { household: home, group, device, seq, readers: &readers });
    assert_eq!(put(CAMERA, 1).await.expect("asked"), None, "there is no such group");
    for epoch in 0..4 {
        store.append_commit(commit(home, group, epoch, b"c")).await.expect("stored");
    }
    let seqs = async || -> Vec<u64> {
        let found = store.messages_after(page(home, group, 0)).await.expect("read");
        found.iter().map(|message| message.seq).collect()
    };
    assert_eq!(put(CAMERA, 3).await.expect("kept"), Some(3));
    assert_eq!(seqs().await, [1, 2, 3, 4], "the viewer has read none");
    assert_eq!(put(VIEWER, 2).await.expect("kept"), Some(2));
    assert_eq!(seqs().await, [3, 4]);
    assert_eq!(put(VIEWER, 1).await.expect("kept"), Some(2), "never back");
    assert_eq!(put(VIEWER, 99).await.expect("kept"), Some(4), "never beyond the end");
    assert_eq!(seqs().await, [4]);
    assert_eq!(put(OTHER, 4).await.expect("kept"), Some(4));
    let next = store.append_commit(commit(home, group, 4, b"c")).await.expect("stored");
    assert_eq!(next, CommitOutcome::Accepted(5), "places are not given twice");

    let new = NewList { forgets: &[VIEWER], ..list(home, 2, b"two") };
    assert!(store.append_list(new).await.expect("stored"));
    assert_eq!(put(CAMERA, 5).await.expect("kept"), Some(5));
    assert_eq!(seqs().await, [4, 5], "the viewer, listed again, has read none");
    let kept = store.inventory(home, 0).await.expect("read").groups;
    let cursors = vec![(CAMERA, 5), (OTHER, 4)];
    assert_eq!(kept, [KeptGroup { group, next_epoch: 5, last_seq: 5, cursors }]);
}

/// A code is good so many times and so long, only with its own hash; no failed use counts.
pub async fn invites<S: Store>(store: &S) {
    let invite = NewInvite { name: [1; 4], hash: [2; 32], uses: 2, expires_ms: 1_000 };
    store.put_invite(invite).await.expect("stored");
    let used = InviteUse { name: [1; 4], hash: [2; 32], at_ms: 999 };
    let register = |number, invitation| {
        let household = HouseholdId([number; 16]);
        let new = NewHousehold { household, root_public: [7; 32], list: b"one", invitation, audit: entry(1) };
        store.found_household(new, MANY)
    };
    for (refused, why) in [
        (Invitation::Missing, "none was brought"),
        (Invitation::Brought(InviteUse { name: [9; 4], ..used }), "there is none of this name"),
        (Invitation::Brought(InviteUse { hash: [9; 32], ..used }), "it is another one"),
        (Invitation::Brought(InviteUse { at_ms: 1_000, ..used }), "it is over at its end"),
    ] {
        assert_eq!(register(50, refused).await.expect("asked"), FoundOutcome::NotInvited, "{why}");
    }
    let brought = Invitation::Brought(used);
    assert_eq!(register(50, brought).await.expect("stored"), FoundOutcome::Founded);
    assert_eq!(
        register(50, brought).await.expect("asked"),
        FoundOutcome::Exists,
        "no use is lost by asking again"
    );
    assert_eq!(register(51, brought).await.expect("stored"), FoundOutcome::Founded);
    assert_eq!(register(52, brought).await.expect("asked"), FoundOutcome::NotInvited, "it is used up");
    let other = NewInvite { name: [3; 4], uses: 1, ..invite };
    store.put_invite(other).await.expect("stored");
    store.purge(1_000, 0).await.expect("purged");
    let late = Invitation::Brought(InviteUse { name: [3; 4], at_ms: 0, ..used });
    assert_eq!(register(52, late).await.expect("asked"), FoundOutcome::NotInvited, "it was dropped");
}

/// Nothing of a deleted household is left, nothing of another goes with it, and it may begin anew.
pub async fn deletion<S: Store>(store: &S) {
    let (home, neighbour) = (found(store, 60).await, found(store, 61).await);
    let group = GroupId::new(CAMERA, 0);
    let mut before = Vec::new();
    for (number, home) in [(0, home), (10, neighbour)] {
        put(store, home, 200 + number, VIEWER, 9_000).await;
        add(store, home, &[b"a"], Some(b"z")).await;
        let welcomes = [(VIEWER, b"welcome".to_vec())];
        let new = NewCommit { welcomes: &welcomes, ..commit(home, group, 0, b"commit") };
        store.append_commit(new).await.expect("stored");
        let cursor = NewCursor { household: home, group, device: VIEWER, seq: 1, readers: &[CAMERA] };
        assert_eq!(store.put_cursor(cursor).await.expect("kept"), Some(1));
        before.push(store.inventory(home, 0).await.expect("read"));
    }
    let expected = Inventory {
        groups: vec![KeptGroup { group, next_epoch: 1, last_seq: 1, cursors: vec![(VIEWER, 1)] }],
        welcomed: vec![VIEWER],
        key_packages: vec![(VIEWER, 1, true)],
        sessions: vec![(VIEWER, 9_000)],
    };
    assert_eq!(before, [expected.clone(), expected.clone()]);

    assert!(store.delete_household(home).await.expect("deleted"));
    assert!(!store.delete_household(home).await.expect("asked"));
    assert_eq!(store.household_root(home).await.expect("read"), None);
    assert!(store.lists_after(home, 0, 9).await.expect("read").is_empty());
    assert!(store.audit_after(home, 0, 9).await.expect("read").is_empty());
    assert!(store.messages_after(page(home, group, 0)).await.expect("read").is_empty());
    assert!(store.welcomes(home, VIEWER).await.expect("read").is_empty());
    assert_eq!(whose(store, 200, 0).await, None);
    assert!(!store.append_list(list(home, 2, b"two")).await.unwrap_or(false), "nothing comes after it");
    assert!(store.append_audit(home, entry(0)).await.is_err());

    assert_eq!(store.inventory(neighbour, 0).await.expect("read"), expected);
    assert_eq!(store.audit_after(neighbour, 0, 9).await.expect("read").len(), 3);
    assert_eq!(whose(store, 210, 0).await, Some((neighbour, VIEWER)));
    assert_eq!(found(store, 60).await, home, "it may begin anew");
    assert_eq!(store.lists_after(home, 0, 9).await.expect("read"), [b"one".to_vec()]);
}

async fn found<S: Store>(store: &S, number: u8) -> HouseholdId {
    let household = HouseholdId([number; 16]);
    let invitation = Invitation::NotAsked;
    let new = NewHousehold { household, root_public: [7; 32], list: b"one", invitation, audit: entry(1) };
    assert_eq!(store.found_household(new, MANY).await.expect("stored"), FoundOutcome::Founded);
    household
}

async fn put<S: Store>(store: &S, household: HouseholdId, token: u8, device: DeviceId, expires_ms: u64) {
    let new = NewSession { token_hash: [token; 32], household, device, expires_ms };
    store.put_session(new, 2, entry(0)).await.expect("stored");
}

async fn whose<S: Store>(store: &S, token: u8, now_ms: u64) -> Option<(HouseholdId, DeviceId)> {
    store.session([token; 32], now_ms).await.expect("read")
}

async fn add<S: Store>(
    store: &S,
    household: HouseholdId,
    single_use: &[&[u8]],
    last_resort: Option<&[u8]>,
) -> Option<u32> {
    let single_use: Vec<_> = single_use.iter().map(|package| package.to_vec()).collect();
    let packages = NewKeyPackages { single_use: &single_use, last_resort };
    store.add_key_packages(household, VIEWER, packages, 3).await.expect("asked")
}

fn entry(detail: u64) -> AuditEntry {
    AuditEntry { kind: AuditKind::ListAccepted, actor: Some(VIEWER), subject: None, detail, at_ms: 1_000 }
}

fn list(household: HouseholdId, version: u64, list: &[u8]) -> NewList<'_> {
    NewList { household, version, list, ends_sessions_of: &[], forgets: &[], audit: entry(version) }
}

fn commit(household: HouseholdId, group: GroupId, epoch: u64, commit: &[u8]) -> NewCommit<'_> {
    NewCommit { household, group, epoch, commit, welcomes: &[], list: None, audit: entry(epoch) }
}

fn page(household: HouseholdId, group: GroupId, after: u64) -> MessagePage {
    MessagePage { household, group, after, limit: 100, max_bytes: 1_000_000 }
}
