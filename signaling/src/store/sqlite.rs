//! The SQLite store: one writer at a time, several readers, every write on disk before it is answered, and what is
//! deleted is overwritten.

mod audit;
mod cursors;
mod delivery;
mod households;
mod invites;
mod key_packages;
mod mail;
mod whole;

use std::path::Path;
use std::time::Duration;

use async_trait::async_trait;
use latchkey_api::id::{DeviceId, HouseholdId};
use latchkey_signaling_core::audit::{AuditEntry, AuditRow};
use latchkey_signaling_core::store::{
    CommitOutcome, FoundOutcome, Inventory, MailOutcome, MessageOutcome, MessagePage, NewCommit, NewCursor,
    NewHousehold, NewInvite, NewKeyPackages, NewList, NewMail, NewMessage, NewSession, Store, StoreError,
    StoredMessage, StoredWelcome, TakenKeyPackage,
};
use sqlx::migrate::Migrator;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePool, SqlitePoolOptions,
    SqliteSynchronous,
};
use sqlx::{Sqlite, Transaction};

/// A store in one SQLite file (WAL, `synchronous=FULL`).
#[derive(Clone, Debug)]
pub struct SqliteStore {
    writer: SqlitePool,
    readers: SqlitePool,
}

impl SqliteStore {
    /// Opens the file, creating it and bringing its schema up to date as needed.
    ///
    /// # Errors
    /// [`OpenError`], with what SQLite says.
    pub async fn open(path: &Path) -> Result<Self, OpenError> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .pragma("secure_delete", "ON")
            .busy_timeout(BUSY_TIMEOUT);
        let pool = || SqlitePoolOptions::new().acquire_timeout(BUSY_TIMEOUT);
        let writer = pool().max_connections(1).connect_with(options.clone()).await?;
        MIGRATIONS.run(&writer).await?;
        let readers = pool().max_connections(READERS).connect_with(options.read_only(true)).await?;
        Ok(Self { writer, readers })
    }

    /// Ends all connections; what was written is in the file.
    pub async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }

    /// Writes the file anew when a household was deleted since it was last done, and empties the log. What freed rows
    /// leave is zeros, but rows that were moved between pages before leave copies behind them.
    async fn scrub(&self) -> Result<(), sqlx::Error> {
        let due: i64 = sqlx::query_scalar("PRAGMA user_version").fetch_one(&self.writer).await?;
        if due != 0 {
            sqlx::query("VACUUM").execute(&self.writer).await?;
            sqlx::query("PRAGMA user_version = 0").execute(&self.writer).await?;
        }
        self.empty_log().await
    }

    /// Brings everything from the write-ahead log into the file and empties the log: what was deleted stays readable in
    /// there otherwise. Waits for readers; when they take too long, the next attempt does it.
    async fn empty_log(&self) -> Result<(), sqlx::Error> {
        for _ in 0..LOG_ATTEMPTS {
            let busy: i64 =
                sqlx::query_scalar("PRAGMA wal_checkpoint(TRUNCATE)").fetch_one(&self.writer).await?;
            if busy == 0 {
                return Ok(());
            }
        }
        tracing::warn!("the write-ahead log is in use: it is emptied within the hour");
        Ok(())
    }

    /// A transaction that holds the write lock from its start.
    async fn begin(&self) -> Result<Transaction<'static, Sqlite>, sqlx::Error> {
        self.writer.begin_with("BEGIN IMMEDIATE").await
    }
}

/// Why a store did not open.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The file cannot be opened or is no database.
    #[error("{0}")]
    Sqlite(#[from] sqlx::Error),
    /// The file is of a later version, or its schema was altered.
    #[error("{0}")]
    Schema(#[from] sqlx::migrate::MigrateError),
}

/// Runs `work` in one write transaction, which is kept if `kept` says so of its outcome.
macro_rules! in_transaction {
    ($store:expr, |$tx:ident| $work:expr, $kept:expr) => {{
        let mut tx = $store.begin().await.map_err(failed)?;
        let $tx: &mut SqliteConnection = &mut tx;
        let outcome = $work.await.map_err(failed)?;
        let kept: fn(&_) -> bool = $kept;
        if kept(&outcome) {
            tx.commit().await.map_err(failed)?;
        } else {
            tx.rollback().await.map_err(failed)?;
        }
        Ok(outcome)
    }};
    ($store:expr, |$tx:ident| $work:expr) => {
        in_transaction!($store, |$tx| $work, |_| true)
    };
}

#[async_trait]
impl Store for SqliteStore {
    async fn found_household(&self, new: NewHousehold<'_>, max: u64) -> Result<FoundOutcome, StoreError> {
        in_transaction!(self, |tx| households::found(tx, new, max), |outcome| *outcome
            == FoundOutcome::Founded)
    }

    async fn household_root(&self, household: HouseholdId) -> Result<Option<[u8; 32]>, StoreError> {
        households::root(&self.readers, household).await.map_err(failed)
    }

    async fn lists_after(
        &self,
        household: HouseholdId,
        after: u64,
        limit: u32,
    ) -> Result<Vec<Vec<u8>>, StoreError> {
        households::lists_after(&self.readers, household, after, limit).await.map_err(failed)
    }

    async fn append_list(&self, new: NewList<'_>) -> Result<bool, StoreError> {
        in_transaction!(self, |tx| households::append_list(tx, new), |added| *added)
    }

    async fn put_session(&self, new: NewSession, keep: u32, audit: AuditEntry) -> Result<(), StoreError> {
        in_transaction!(self, |tx| households::put_session(tx, new, keep, audit))
    }

    async fn session(
        &self,
        token_hash: [u8; 32],
        now_ms: u64,
    ) -> Result<Option<(HouseholdId, DeviceId)>, StoreError> {
        households::session(&self.readers, token_hash, now_ms).await.map_err(failed)
    }

    async fn add_key_packages(
        &self,
        household: HouseholdId,
        device: DeviceId,
        packages: NewKeyPackages<'_>,
        max: u32,
    ) -> Result<Option<u32>, StoreError> {
        let whose = (household, device);
        in_transaction!(self, |tx| key_packages::add(tx, whose, packages, max), Option::is_some)
    }

    async fn claim_key_package(
        &self,
        household: HouseholdId,
        device: DeviceId,
        audit: AuditEntry,
    ) -> Result<Option<TakenKeyPackage>, StoreError> {
        in_transaction!(self, |tx| key_packages::claim(tx, household, device, audit), Option::is_some)
    }

    async fn append_commit(&self, new: NewCommit<'_>) -> Result<CommitOutcome, StoreError> {
        in_transaction!(self, |tx| delivery::append_commit(tx, new), |it| matches!(
            it,
            CommitOutcome::Accepted(_)
        ))
    }

    async fn append_message(&self, new: NewMessage<'_>) -> Result<MessageOutcome, StoreError> {
        in_transaction!(self, |tx| delivery::append_message(tx, new), |it| matches!(
            it,
            MessageOutcome::Accepted(_)
        ))
    }

    async fn messages_after(&self, page: MessagePage) -> Result<Vec<StoredMessage>, StoreError> {
        delivery::messages_after(&self.readers, page).await.map_err(failed)
    }

    async fn welcomes(
        &self,
        household: HouseholdId,
        device: DeviceId,
    ) -> Result<Vec<StoredWelcome>, StoreError> {
        delivery::welcomes(&self.readers, household, device).await.map_err(failed)
    }

    async fn remove_welcome(
        &self,
        household: HouseholdId,
        device: DeviceId,
        id: u64,
    ) -> Result<bool, StoreError> {
        in_transaction!(self, |tx| delivery::remove_welcome(tx, household, device, id))
    }

    async fn put_cursor(&self, new: NewCursor<'_>) -> Result<Option<u64>, StoreError> {
        in_transaction!(self, |tx| cursors::put(tx, new), Option::is_some)
    }

    async fn inventory(&self, household: HouseholdId, now_ms: u64) -> Result<Inventory, StoreError> {
        whole::inventory(&self.readers, household, now_ms).await.map_err(failed)
    }

    async fn delete_household(&self, household: HouseholdId) -> Result<bool, StoreError> {
        let gone: Result<bool, StoreError> = in_transaction!(self, |tx| whole::delete(tx, household));
        if let Err(error) = self.scrub().await {
            tracing::warn!(%error, "deleted rows are gone, their bytes not yet: the next purge tries again");
        }
        gone
    }

    async fn put_invite(&self, new: NewInvite) -> Result<(), StoreError> {
        in_transaction!(self, |tx| invites::put(tx, new))
    }

    async fn append_audit(&self, household: HouseholdId, entry: AuditEntry) -> Result<AuditRow, StoreError> {
        in_transaction!(self, |tx| audit::append(tx, household, entry))
    }

    async fn audit_after(
        &self,
        household: HouseholdId,
        seq: u64,
        limit: u32,
    ) -> Result<Vec<AuditRow>, StoreError> {
        audit::after(&self.readers, household, seq, limit).await.map_err(failed)
    }

    async fn post_mail(&self, new: NewMail<'_>) -> Result<MailOutcome, StoreError> {
        in_transaction!(self, |tx| mail::post(tx, new))
    }

    async fn mail_after(
        &self,
        mailbox: [u8; 16],
        seq: u64,
        now_ms: u64,
    ) -> Result<Vec<(u64, Vec<u8>)>, StoreError> {
        mail::after(&self.readers, mailbox, seq, now_ms).await.map_err(failed)
    }

    async fn purge(&self, now_ms: u64, messages_before_ms: u64) -> Result<u64, StoreError> {
        let gone: Result<u64, StoreError> =
            in_transaction!(self, |tx| mail::purge(tx, now_ms, messages_before_ms));
        self.scrub().await.map_err(failed)?;
        gone
    }
}

/// Says what became of a statement in the store's own words; the log has SQLite's.
#[allow(clippy::needless_pass_by_value, reason = "`map_err` gives it by value")]
fn failed(error: sqlx::Error) -> StoreError {
    let code = match &error {
        sqlx::Error::Database(database) => database.code().and_then(|code| code.parse::<i32>().ok()),
        sqlx::Error::PoolTimedOut => Some(SQLITE_BUSY),
        _ => None,
    };
    let kind = match code.map(|code| code & PRIMARY_CODE) {
        Some(SQLITE_BUSY | SQLITE_LOCKED) => StoreError::Busy,
        Some(SQLITE_FULL) => StoreError::Full,
        _ => StoreError::Failed,
    };
    tracing::error!(%error, ?kind, "the store failed");
    kind
}

/// A number as SQLite keeps it; beyond its range it is taken as the largest.
fn stored(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A number as SQLite kept it; the schema allows none below zero.
fn read(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

/// An id or hash out of a column, whose length the schema checks.
fn fixed<const N: usize>(bytes: &[u8]) -> Result<[u8; N], sqlx::Error> {
    bytes.try_into().map_err(|_| sqlx::Error::Decode("a column has the wrong length".into()))
}

static MIGRATIONS: Migrator = sqlx::migrate!("./migrations");
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
const READERS: u32 = 4;
const LOG_ATTEMPTS: u32 = 3;
const SQLITE_BUSY: i32 = 5;
const SQLITE_LOCKED: i32 = 6;
const SQLITE_FULL: i32 = 13;
/// Extended result codes carry the primary one in their low byte.
const PRIMARY_CODE: i32 = 0xff;

#[cfg(test)]
mod tests;
