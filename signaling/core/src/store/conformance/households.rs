//! Households and what belongs to them: lists, sessions, key packages, invite codes, the audit chain, and their end.

use latchkey_api::audit::AuditHead;
use latchkey_api::id::{GroupId, HouseholdId};

use crate::audit::AuditRow;
use crate::store::conformance::scene::{
    CAMERA, MANY, OTHER, VIEWER, add, commit, entry, found, list, page, put, whose,
};
use crate::store::{
    FoundOutcome, Inventory, Invitation, InviteUse, KeptGroup, NewCommit, NewCursor, NewHousehold, NewInvite,
    NewList, Store,
};

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
