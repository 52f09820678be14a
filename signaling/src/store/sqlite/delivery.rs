//! Rows of groups: their order of messages, and welcomes.

use futures_util::TryStreamExt as _;
use latchkey_api::group::MessageKind;
use latchkey_api::id::{DeviceId, GroupId, HouseholdId};
use latchkey_signaling_core::store::{
    CommitOutcome, MessageOutcome, MessagePage, NewCommit, NewMessage, StoredMessage, StoredWelcome,
};
use sqlx::sqlite::{SqliteConnection, SqlitePool};
use sqlx::{query, query_as};

use crate::store::sqlite::{audit, fixed, households, read, stored};

pub(super) async fn append_commit(
    tx: &mut SqliteConnection,
    new: NewCommit<'_>,
) -> Result<CommitOutcome, sqlx::Error> {
    let known = place(tx, new.household, new.group).await?;
    match known {
        Some((next, _)) if new.epoch < next => return Ok(CommitOutcome::EpochTaken),
        Some((next, _)) if new.epoch > next => return Ok(CommitOutcome::EpochAhead),
        _ => {}
    }
    if let Some(list) = new.list
        && !households::append_list(tx, list).await?
    {
        return Ok(CommitOutcome::ListVersionTaken);
    }
    let seq = known.map_or(0, |(_, last)| last) + 1;
    set_place(tx, new.household, new.group, (new.epoch + 1, seq)).await?;
    let message = NewMessage {
        household: new.household,
        group: new.group,
        kind: MessageKind::Commit,
        epoch: new.epoch,
        message: new.commit,
        at_ms: new.audit.at_ms,
    };
    match insert_message(tx, message, seq).await {
        // The rows above make this impossible; should they ever be wrong, the constraint still decides.
        Err(sqlx::Error::Database(error)) if error.is_unique_violation() => {
            return Ok(CommitOutcome::EpochTaken);
        }
        inserted => inserted?,
    }
    for (device, welcome) in new.welcomes {
        insert_welcome(tx, &new, *device, (seq, welcome)).await?;
    }
    audit::append(tx, new.household, new.audit).await?;
    Ok(CommitOutcome::Accepted(seq))
}

pub(super) async fn append_message(
    tx: &mut SqliteConnection,
    new: NewMessage<'_>,
) -> Result<MessageOutcome, sqlx::Error> {
    let Some((next_epoch, last)) = place(tx, new.household, new.group).await? else {
        return Ok(MessageOutcome::NoSuchGroup);
    };
    if new.kind == MessageKind::Proposal && new.epoch != next_epoch {
        return Ok(MessageOutcome::NotCurrent);
    }
    set_place(tx, new.household, new.group, (next_epoch, last + 1)).await?;
    insert_message(tx, new, last + 1).await?;
    Ok(MessageOutcome::Accepted(last + 1))
}

pub(super) async fn messages_after(
    pool: &SqlitePool,
    page: MessagePage,
) -> Result<Vec<StoredMessage>, sqlx::Error> {
    let mut rows = query_as::<_, (i64, i64, i64, Vec<u8>)>(
        "SELECT seq, kind, epoch, message FROM messages WHERE household = ? AND group_id = ? AND seq > ?
         ORDER BY seq LIMIT ?",
    )
    .bind(page.household.as_ref().to_vec())
    .bind(page.group.as_ref().to_vec())
    .bind(stored(page.after))
    .bind(page.limit)
    .fetch(pool);
    let mut found = Vec::new();
    let mut bytes = 0;
    while bytes < page.max_bytes
        && let Some((seq, kind, epoch, message)) = rows.try_next().await?
    {
        bytes += message.len();
        found.push(StoredMessage { seq: read(seq), kind: kind_of(kind)?, epoch: read(epoch), message });
    }
    Ok(found)
}

pub(super) async fn welcomes(
    pool: &SqlitePool,
    household: HouseholdId,
    device: DeviceId,
) -> Result<Vec<StoredWelcome>, sqlx::Error> {
    let rows: Vec<(i64, Vec<u8>, i64, Vec<u8>)> = query_as(
        "SELECT id, group_id, seq, welcome FROM welcomes WHERE household = ? AND device = ? ORDER BY id",
    )
    .bind(household.as_ref())
    .bind(device.as_ref())
    .fetch_all(pool)
    .await?;
    rows.into_iter()
        .map(|(id, group, seq, welcome)| {
            Ok(StoredWelcome { id: read(id), group: GroupId(fixed(&group)?), seq: read(seq), welcome })
        })
        .collect()
}

pub(super) async fn remove_welcome(
    tx: &mut SqliteConnection,
    household: HouseholdId,
    device: DeviceId,
    id: u64,
) -> Result<bool, sqlx::Error> {
    let removed = query("DELETE FROM welcomes WHERE id = ? AND household = ? AND device = ?")
        .bind(stored(id))
        .bind(household.as_ref())
        .bind(device.as_ref())
        .execute(tx)
        .await?;
    Ok(removed.rows_affected() > 0)
}

/// A group's next epoch and last place, if the group is there.
async fn place(
    tx: &mut SqliteConnection,
    household: HouseholdId,
    group: GroupId,
) -> Result<Option<(u64, u64)>, sqlx::Error> {
    let place: Option<(i64, i64)> =
        query_as("SELECT next_epoch, last_seq FROM groups WHERE household = ? AND group_id = ?")
            .bind(household.as_ref())
            .bind(group.as_ref())
            .fetch_optional(tx)
            .await?;
    Ok(place.map(|(epoch, seq)| (read(epoch), read(seq))))
}

async fn set_place(
    tx: &mut SqliteConnection,
    household: HouseholdId,
    group: GroupId,
    (next_epoch, last_seq): (u64, u64),
) -> Result<(), sqlx::Error> {
    query(
        "INSERT INTO groups (household, group_id, next_epoch, last_seq) VALUES (?, ?, ?, ?)
         ON CONFLICT (household, group_id)
         DO UPDATE SET next_epoch = excluded.next_epoch, last_seq = excluded.last_seq",
    )
    .bind(household.as_ref())
    .bind(group.as_ref())
    .bind(stored(next_epoch))
    .bind(stored(last_seq))
    .execute(tx)
    .await?;
    Ok(())
}

async fn insert_message(tx: &mut SqliteConnection, new: NewMessage<'_>, seq: u64) -> Result<(), sqlx::Error> {
    query(
        "INSERT INTO messages (household, group_id, seq, kind, epoch, message, at_ms) VALUES (?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(new.household.as_ref())
    .bind(new.group.as_ref())
    .bind(stored(seq))
    .bind(code_of(new.kind))
    .bind(stored(new.epoch))
    .bind(new.message)
    .bind(stored(new.at_ms))
    .execute(tx)
    .await?;
    Ok(())
}

async fn insert_welcome(
    tx: &mut SqliteConnection,
    commit: &NewCommit<'_>,
    device: DeviceId,
    (seq, welcome): (u64, &[u8]),
) -> Result<(), sqlx::Error> {
    query("DELETE FROM welcomes WHERE household = ? AND device = ? AND group_id = ?")
        .bind(commit.household.as_ref())
        .bind(device.as_ref())
        .bind(commit.group.as_ref())
        .execute(&mut *tx)
        .await?;
    query("INSERT INTO welcomes (household, device, group_id, seq, welcome) VALUES (?, ?, ?, ?, ?)")
        .bind(commit.household.as_ref())
        .bind(device.as_ref())
        .bind(commit.group.as_ref())
        .bind(stored(seq))
        .bind(welcome)
        .execute(tx)
        .await?;
    Ok(())
}

/// Content types of RFC 9420 section 6.
const fn code_of(kind: MessageKind) -> i64 {
    match kind {
        MessageKind::Application => 1,
        MessageKind::Proposal => 2,
        MessageKind::Commit => 3,
    }
}

fn kind_of(code: i64) -> Result<MessageKind, sqlx::Error> {
    [MessageKind::Application, MessageKind::Proposal, MessageKind::Commit]
        .into_iter()
        .find(|kind| code_of(*kind) == code)
        .ok_or_else(|| sqlx::Error::Decode("unknown message kind".into()))
}
