//! Rows of key packages.

use latchkey_api::id::{DeviceId, HouseholdId};
use latchkey_signaling_core::audit::AuditEntry;
use latchkey_signaling_core::store::{NewKeyPackages, TakenKeyPackage};
use sqlx::sqlite::SqliteConnection;
use sqlx::{query, query_as, query_scalar};

use crate::store::sqlite::audit;

/// Adds them and returns how many single-use ones are there; `None` when these are more than `max`.
pub(super) async fn add(
    tx: &mut SqliteConnection,
    (household, device): (HouseholdId, DeviceId),
    packages: NewKeyPackages<'_>,
    max: u32,
) -> Result<Option<u32>, sqlx::Error> {
    for package in packages.single_use {
        query(
            "INSERT INTO key_packages (household, device, last_resort, key_package) VALUES (?, ?, 0, ?)
             ON CONFLICT DO NOTHING",
        )
        .bind(household.as_ref())
        .bind(device.as_ref())
        .bind(package)
        .execute(&mut *tx)
        .await?;
    }
    if let Some(package) = packages.last_resort {
        query(
            "INSERT INTO key_packages (household, device, last_resort, key_package) VALUES (?, ?, 1, ?)
             ON CONFLICT (household, device) WHERE last_resort = 1
             DO UPDATE SET key_package = excluded.key_package",
        )
        .bind(household.as_ref())
        .bind(device.as_ref())
        .bind(package)
        .execute(&mut *tx)
        .await?;
    }
    let left = left(tx, household, device).await?;
    Ok((left <= max).then_some(left))
}

pub(super) async fn claim(
    tx: &mut SqliteConnection,
    household: HouseholdId,
    device: DeviceId,
    entry: AuditEntry,
) -> Result<Option<TakenKeyPackage>, sqlx::Error> {
    let found: Option<(i64, bool, Vec<u8>)> = query_as(
        "SELECT id, last_resort, key_package FROM key_packages WHERE household = ? AND device = ?
         ORDER BY last_resort, id LIMIT 1",
    )
    .bind(household.as_ref())
    .bind(device.as_ref())
    .fetch_optional(&mut *tx)
    .await?;
    let Some((id, last_resort, key_package)) = found else { return Ok(None) };
    if !last_resort {
        query("DELETE FROM key_packages WHERE id = ?").bind(id).execute(&mut *tx).await?;
    }
    let left = left(tx, household, device).await?;
    audit::append(tx, household, entry).await?;
    Ok(Some(TakenKeyPackage { key_package, last_resort, left }))
}

async fn left(
    tx: &mut SqliteConnection,
    household: HouseholdId,
    device: DeviceId,
) -> Result<u32, sqlx::Error> {
    query_scalar("SELECT COUNT(*) FROM key_packages WHERE household = ? AND device = ? AND last_resort = 0")
        .bind(household.as_ref())
        .bind(device.as_ref())
        .fetch_one(tx)
        .await
}
