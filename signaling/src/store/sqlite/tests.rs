//! The store in a file does what every store does, and is what its pragmas promise.

#![allow(clippy::unwrap_used)]
use super::*;
use latchkey_signaling_core::store::conformance;

#[tokio::test]
async fn conforms() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&folder.path().join("s.sqlite")).await.unwrap();
    conformance::all(&store).await;
    store.close().await;
}

#[tokio::test]
async fn opens_again_with_everything_and_with_the_promised_pragmas() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.sqlite");
    let store = SqliteStore::open(&path).await.unwrap();
    conformance::households_and_lists(&store).await;
    store.close().await;
    let store = SqliteStore::open(&path).await.unwrap();
    assert_eq!(store.lists_after(HouseholdId([1; 16]), 0, 9).await.unwrap().len(), 3);
    let pragma = async |name: &'static str| -> String {
        sqlx::query_scalar::<_, String>(name).fetch_one(&store.writer).await.unwrap()
    };
    assert_eq!(pragma("SELECT journal_mode FROM pragma_journal_mode").await, "wal");
    assert_eq!(pragma("SELECT CAST(synchronous AS TEXT) FROM pragma_synchronous").await, "2");
    assert_eq!(pragma("SELECT CAST(secure_delete AS TEXT) FROM pragma_secure_delete").await, "1");
    assert_eq!(pragma("SELECT CAST(foreign_keys AS TEXT) FROM pragma_foreign_keys").await, "1");
    store.close().await;
}

#[tokio::test]
async fn audit_rows_cannot_be_changed_even_by_sql() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&folder.path().join("s.sqlite")).await.unwrap();
    conformance::audit_chain(&store).await;
    for statement in ["UPDATE audit SET detail = 9", "DELETE FROM audit"] {
        let refused = sqlx::query(statement).execute(&store.writer).await.unwrap_err();
        assert!(refused.to_string().contains("only added"), "{refused}");
    }
    store.close().await;
}

#[tokio::test]
async fn a_file_that_is_no_database_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.sqlite");
    std::fs::write(&path, vec![b'x'; 8192]).unwrap();
    assert!(SqliteStore::open(&path).await.is_err());
}

#[tokio::test]
async fn of_twenty_commits_at_once_one_is_taken_in() {
    use latchkey_api::audit::AuditKind;
    use latchkey_api::id::GroupId;
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&folder.path().join("s.sqlite")).await.unwrap();
    conformance::households_and_lists(&store).await;
    let audit =
        AuditEntry { kind: AuditKind::CommitAccepted, actor: None, subject: None, detail: 0, at_ms: 0 };
    let race = (0..20u8).map(|number| {
        let store = store.clone();
        tokio::spawn(async move {
            let group = GroupId([5; 20]);
            let household = HouseholdId([1; 16]);
            let commit = [number];
            let new =
                NewCommit { household, group, epoch: 3, commit: &commit, welcomes: &[], list: None, audit };
            store.append_commit(new).await.unwrap()
        })
    });
    let mut accepted = 0;
    for outcome in race.collect::<Vec<_>>() {
        match outcome.await.unwrap() {
            CommitOutcome::Accepted(1) => accepted += 1,
            other => assert_eq!(other, CommitOutcome::EpochTaken),
        }
    }
    assert_eq!(accepted, 1);
    store.close().await;
}
