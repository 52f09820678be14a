//! A household as a whole: what is kept of it, and its end.

use latchkey_api::id::{DeviceId, GroupId, HouseholdId};
use latchkey_signaling_core::store::{Inventory, KeptGroup};
use sqlx::sqlite::{SqliteConnection, SqlitePool};
use sqlx::{query, query_as, query_scalar};

use crate::store::sqlite::{cursors, fixed, read, stored};

pub(super) async fn inventory(
    pool: &SqlitePool,
    household: HouseholdId,
    now_ms: u64,
) -> Result<Inventory, sqlx::Error> {
    let mut connection = pool.acquire().await?;
    let groups: Vec<(Vec<u8>, i64, i64)> =
        query_as("SELECT group_id, next_epoch, last_seq FROM groups WHERE household = ? ORDER BY group_id")
            .bind(household.as_ref())
            .fetch_all(&mut *connection)
            .await?;
    let mut inventory = Inventory::default();
    for (group, next_epoch, last_seq) in groups {
        let group = GroupId(fixed(&group)?);
        let cursors = cursors::of_group(&mut connection, household, group).await?;
        let (next_epoch, last_seq) = (read(next_epoch), read(last_seq));
        inventory.groups.push(KeptGroup { group, next_epoch, last_seq, cursors });
    }
    let welcomed: Vec<Vec<u8>> =
        query_scalar("SELECT DISTINCT device FROM welcomes WHERE household = ? ORDER BY device")
            .bind(household.as_ref())
            .fetch_all(&mut *connection)
            .await?;
    inventory.welcomed = welcomed.iter().map(|device| device_of(device)).collect::<Result<_, _>>()?;
    let packages: Vec<(Vec<u8>, u32, bool)> = query_as(
        "SELECT device, SUM(last_resort = 0), MAX(last_resort) FROM key_packages WHERE household = ?
         GROUP BY device ORDER BY device",
    )
    .bind(household.as_ref())
    .fetch_all(&mut *connection)
    .await?;
    for (device, single_use, last_resort) in packages {
        inventory.key_packages.push((device_of(&device)?, single_use, last_resort));
    }
    let sessions: Vec<(Vec<u8>, i64)> = query_as(
        "SELECT device, expires_ms FROM sessions WHERE household = ? AND expires_ms > ?
         ORDER BY device, expires_ms",
    )
    .bind(household.as_ref())
    .bind(stored(now_ms))
    .fetch_all(&mut *connection)
    .await?;
    for (device, expires_ms) in sessions {
        inventory.sessions.push((device_of(&device)?, read(expires_ms)));
    }
    Ok(inventory)
}

/// Removes all rows of a household; false when it is not there.
pub(super) async fn delete(tx: &mut SqliteConnection, household: HouseholdId) -> Result<bool, sqlx::Error> {
    // The first lets audit rows go, and the last closes that door again. Rows come before what they refer to.
    for statement in [
        "INSERT INTO deletions (household) VALUES (?)",
        "DELETE FROM sessions WHERE household = ?",
        "DELETE FROM key_packages WHERE household = ?",
        "DELETE FROM welcomes WHERE household = ?",
        "DELETE FROM cursors WHERE household = ?",
        "DELETE FROM messages WHERE household = ?",
        "DELETE FROM groups WHERE household = ?",
        "DELETE FROM audit WHERE household = ?",
        "DELETE FROM lists WHERE household = ?",
        "DELETE FROM deletions WHERE household = ?",
    ] {
        query(statement).bind(household.as_ref()).execute(&mut *tx).await?;
    }
    // Says, also after a crash, that the file is to be written anew.
    query("PRAGMA user_version = 1").execute(&mut *tx).await?;
    let gone =
        query("DELETE FROM households WHERE household = ?").bind(household.as_ref()).execute(tx).await?;
    Ok(gone.rows_affected() > 0)
}

fn device_of(bytes: &[u8]) -> Result<DeviceId, sqlx::Error> {
    fixed(bytes).map(DeviceId)
}
