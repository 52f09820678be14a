//! Rows of the audit chains.

use latchkey_api::audit::AuditKind;
use latchkey_api::id::{DeviceId, HouseholdId};
use latchkey_signaling_core::audit::{AuditEntry, AuditRow};
use sqlx::sqlite::{SqliteConnection, SqlitePool, SqliteRow};
use sqlx::{Row as _, query};

use crate::store::sqlite::{fixed, read, stored};

pub(super) async fn append(
    tx: &mut SqliteConnection,
    household: HouseholdId,
    entry: AuditEntry,
) -> Result<AuditRow, sqlx::Error> {
    let last = query("SELECT seq, hash FROM audit WHERE household = ? ORDER BY seq DESC LIMIT 1")
        .bind(household.as_ref())
        .fetch_optional(&mut *tx)
        .await?;
    let last = match last {
        None => None,
        Some(row) => Some((read(row.try_get("seq")?), fixed(row.try_get("hash")?)?)),
    };
    let row = AuditRow::following(&household, last, entry);
    query(
        "INSERT INTO audit (household, seq, at_ms, kind, actor, subject, detail, previous, hash)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(household.as_ref())
    .bind(stored(row.seq))
    .bind(stored(entry.at_ms))
    .bind(entry.kind.as_str())
    .bind(entry.actor.map(|device| device.0.to_vec()))
    .bind(entry.subject.map(|device| device.0.to_vec()))
    .bind(stored(entry.detail))
    .bind(row.previous.as_slice())
    .bind(row.hash.as_slice())
    .execute(tx)
    .await?;
    Ok(row)
}

pub(super) async fn after(
    pool: &SqlitePool,
    household: HouseholdId,
    seq: u64,
    limit: u32,
) -> Result<Vec<AuditRow>, sqlx::Error> {
    let rows = query("SELECT * FROM audit WHERE household = ? AND seq > ? ORDER BY seq LIMIT ?")
        .bind(household.as_ref())
        .bind(stored(seq))
        .bind(limit)
        .fetch_all(pool)
        .await?;
    rows.iter().map(from_row).collect()
}

fn from_row(row: &SqliteRow) -> Result<AuditRow, sqlx::Error> {
    let kind: &str = row.try_get("kind")?;
    let entry = AuditEntry {
        kind: AuditKind::from_name(kind).ok_or_else(|| sqlx::Error::Decode("unknown audit kind".into()))?,
        actor: device(row.try_get("actor")?)?,
        subject: device(row.try_get("subject")?)?,
        detail: read(row.try_get("detail")?),
        at_ms: read(row.try_get("at_ms")?),
    };
    Ok(AuditRow {
        seq: read(row.try_get("seq")?),
        entry,
        previous: fixed(row.try_get("previous")?)?,
        hash: fixed(row.try_get("hash")?)?,
    })
}

fn device(bytes: Option<&[u8]>) -> Result<Option<DeviceId>, sqlx::Error> {
    bytes.map(|bytes| fixed(bytes).map(DeviceId)).transpose()
}
