//! Delivery: who ends an epoch, in which order messages come, how long they are kept, and mailboxes.

use latchkey_api::group::MessageKind;
use latchkey_api::id::{DeviceId, GroupId};

use crate::audit::AuditEntry;
use crate::store::conformance::scene::{CAMERA, OTHER, VIEWER, commit, entry, found, list, page, put, whose};
use crate::store::{
    CommitOutcome, KeptGroup, MailOutcome, MessageOutcome, MessagePage, NewCommit, NewCursor, NewList,
    NewMail, NewMessage, Store,
};

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
