//! Rows of households, their lists and their devices' sessions.

use latchkey_api::id::{DeviceId, HouseholdId};
use latchkey_signaling_core::audit::AuditEntry;
use latchkey_signaling_core::store::{FoundOutcome, NewHousehold, NewList, NewSession};
use sqlx::sqlite::{SqliteConnection, SqlitePool};
use sqlx::{query, query_as, query_scalar};

use crate::store::sqlite::{audit, fixed, invites, stored};

pub(super) async fn found(
    tx: &mut SqliteConnection,
    new: NewHousehold<'_>,
    max: u64,
) -> Result<FoundOutcome, sqlx::Error> {
    let added = query("INSERT INTO households (household, root_public) VALUES (?, ?) ON CONFLICT DO NOTHING")
        .bind(new.household.as_ref())
        .bind(new.root_public.as_slice())
        .execute(&mut *tx)
        .await?;
    if added.rows_affected() == 0 {
        return Ok(FoundOutcome::Exists);
    }
    let all: i64 = query_scalar("SELECT COUNT(*) FROM households").fetch_one(&mut *tx).await?;
    if all > stored(max) {
        return Ok(FoundOutcome::Full);
    }
    if !invites::admits(tx, new.invitation).await? {
        return Ok(FoundOutcome::NotInvited);
    }
    insert_list(tx, new.household, 1, new.list).await?;
    audit::append(tx, new.household, new.audit).await?;
    Ok(FoundOutcome::Founded)
}

pub(super) async fn root(pool: &SqlitePool, household: HouseholdId) -> Result<Option<[u8; 32]>, sqlx::Error> {
    let root: Option<Vec<u8>> = query_scalar("SELECT root_public FROM households WHERE household = ?")
        .bind(household.as_ref())
        .fetch_optional(pool)
        .await?;
    root.map(|root| fixed(&root)).transpose()
}

pub(super) async fn lists_after(
    pool: &SqlitePool,
    household: HouseholdId,
    after: u64,
    limit: u32,
) -> Result<Vec<Vec<u8>>, sqlx::Error> {
    query_scalar("SELECT list FROM lists WHERE household = ? AND version > ? ORDER BY version LIMIT ?")
        .bind(household.as_ref())
        .bind(stored(after))
        .bind(limit)
        .fetch_all(pool)
        .await
}

/// Adds the list if it is the next, and takes away what it takes away; true when it was.
pub(super) async fn append_list(tx: &mut SqliteConnection, new: NewList<'_>) -> Result<bool, sqlx::Error> {
    let present: i64 = query_scalar("SELECT COALESCE(MAX(version), 0) FROM lists WHERE household = ?")
        .bind(new.household.as_ref())
        .fetch_one(&mut *tx)
        .await?;
    if stored(new.version) != present + 1 {
        return Ok(false);
    }
    insert_list(tx, new.household, new.version, new.list).await?;
    for device in new.ends_sessions_of {
        delete_of(tx, "DELETE FROM sessions WHERE household = ? AND device = ?", new.household, *device)
            .await?;
    }
    for device in new.forgets {
        for statement in [
            "DELETE FROM key_packages WHERE household = ? AND device = ?",
            "DELETE FROM welcomes WHERE household = ? AND device = ?",
            "DELETE FROM cursors WHERE household = ? AND device = ?",
        ] {
            delete_of(tx, statement, new.household, *device).await?;
        }
    }
    audit::append(tx, new.household, new.audit).await?;
    Ok(true)
}

pub(super) async fn put_session(
    tx: &mut SqliteConnection,
    new: NewSession,
    keep: u32,
    entry: AuditEntry,
) -> Result<(), sqlx::Error> {
    query("INSERT INTO sessions (token_hash, household, device, expires_ms) VALUES (?, ?, ?, ?)")
        .bind(new.token_hash.as_slice())
        .bind(new.household.as_ref())
        .bind(new.device.as_ref())
        .bind(stored(new.expires_ms))
        .execute(&mut *tx)
        .await?;
    query(
        "DELETE FROM sessions WHERE token_hash IN (
             SELECT token_hash FROM sessions WHERE household = ? AND device = ?
             ORDER BY expires_ms DESC, token_hash DESC LIMIT -1 OFFSET ?)",
    )
    .bind(new.household.as_ref())
    .bind(new.device.as_ref())
    .bind(keep)
    .execute(&mut *tx)
    .await?;
    audit::append(tx, new.household, entry).await?;
    Ok(())
}

pub(super) async fn session(
    pool: &SqlitePool,
    token_hash: [u8; 32],
    now_ms: u64,
) -> Result<Option<(HouseholdId, DeviceId)>, sqlx::Error> {
    let found: Option<(Vec<u8>, Vec<u8>)> =
        query_as("SELECT household, device FROM sessions WHERE token_hash = ? AND expires_ms > ?")
            .bind(token_hash.as_slice())
            .bind(stored(now_ms))
            .fetch_optional(pool)
            .await?;
    found
        .map(|(household, device)| Ok((HouseholdId(fixed(&household)?), DeviceId(fixed(&device)?))))
        .transpose()
}

async fn insert_list(
    tx: &mut SqliteConnection,
    household: HouseholdId,
    version: u64,
    list: &[u8],
) -> Result<(), sqlx::Error> {
    query("INSERT INTO lists (household, version, list) VALUES (?, ?, ?)")
        .bind(household.as_ref())
        .bind(stored(version))
        .bind(list)
        .execute(tx)
        .await?;
    Ok(())
}

async fn delete_of(
    tx: &mut SqliteConnection,
    statement: &'static str,
    household: HouseholdId,
    device: DeviceId,
) -> Result<(), sqlx::Error> {
    query(statement).bind(household.as_ref()).bind(device.as_ref()).execute(tx).await?;
    Ok(())
}
