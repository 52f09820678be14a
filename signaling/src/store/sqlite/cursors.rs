//! Rows that say how far devices have read, and the messages that go with them.

use latchkey_api::id::{DeviceId, GroupId, HouseholdId};
use latchkey_signaling_core::store::NewCursor;
use sqlx::sqlite::SqliteConnection;
use sqlx::{query, query_as, query_scalar};

use crate::store::sqlite::{fixed, read, stored};

pub(super) async fn put(tx: &mut SqliteConnection, new: NewCursor<'_>) -> Result<Option<u64>, sqlx::Error> {
    let last: Option<i64> = query_scalar("SELECT last_seq FROM groups WHERE household = ? AND group_id = ?")
        .bind(new.household.as_ref())
        .bind(new.group.as_ref())
        .fetch_optional(&mut *tx)
        .await?;
    let Some(last) = last else { return Ok(None) };
    let at: i64 = query_scalar(
        "INSERT INTO cursors (household, group_id, device, seq) VALUES (?, ?, ?, ?)
         ON CONFLICT (household, group_id, device) DO UPDATE SET seq = MAX(seq, excluded.seq)
         RETURNING seq",
    )
    .bind(new.household.as_ref())
    .bind(new.group.as_ref())
    .bind(new.device.as_ref())
    .bind(stored(new.seq).min(last))
    .fetch_one(&mut *tx)
    .await?;
    let cursors = of_group(tx, new.household, new.group).await?;
    let read_by = |reader: &DeviceId| {
        let at = cursors.binary_search_by_key(reader, |(device, _)| *device);
        at.map_or(0, |at| cursors[at].1)
    };
    let least = new.readers.iter().map(read_by).min().unwrap_or(0);
    query("DELETE FROM messages WHERE household = ? AND group_id = ? AND seq <= ?")
        .bind(new.household.as_ref())
        .bind(new.group.as_ref())
        .bind(stored(least))
        .execute(tx)
        .await?;
    Ok(Some(read(at)))
}

/// The cursors of a group, by device.
pub(super) async fn of_group(
    tx: &mut SqliteConnection,
    household: HouseholdId,
    group: GroupId,
) -> Result<Vec<(DeviceId, u64)>, sqlx::Error> {
    let rows: Vec<(Vec<u8>, i64)> =
        query_as("SELECT device, seq FROM cursors WHERE household = ? AND group_id = ? ORDER BY device")
            .bind(household.as_ref())
            .bind(group.as_ref())
            .fetch_all(tx)
            .await?;
    rows.into_iter().map(|(device, seq)| Ok((DeviceId(fixed(&device)?), read(seq)))).collect()
}
