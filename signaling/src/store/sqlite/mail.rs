//! Rows of mailboxes, and the purge of everything that time ends.

use latchkey_signaling_core::store::{MailOutcome, NewMail};
use sqlx::sqlite::{SqliteConnection, SqlitePool};
use sqlx::{query, query_as, query_scalar};

use crate::store::sqlite::{read, stored};

pub(super) async fn post(tx: &mut SqliteConnection, new: NewMail<'_>) -> Result<MailOutcome, sqlx::Error> {
    query("DELETE FROM mail WHERE expires_ms <= ?").bind(stored(new.at_ms)).execute(&mut *tx).await?;
    let here: u32 = query_scalar("SELECT COUNT(*) FROM mail WHERE mailbox = ?")
        .bind(new.mailbox.as_slice())
        .fetch_one(&mut *tx)
        .await?;
    if here >= new.max_in_mailbox {
        return Ok(MailOutcome::MailboxFull);
    }
    let all: u32 = query_scalar("SELECT COUNT(*) FROM mail").fetch_one(&mut *tx).await?;
    if all >= new.max_in_all {
        return Ok(MailOutcome::AllFull);
    }
    let added = query("INSERT INTO mail (mailbox, message, expires_ms) VALUES (?, ?, ?)")
        .bind(new.mailbox.as_slice())
        .bind(new.message)
        .bind(stored(new.expires_ms))
        .execute(tx)
        .await?;
    Ok(MailOutcome::Accepted(read(added.last_insert_rowid())))
}

pub(super) async fn after(
    pool: &SqlitePool,
    mailbox: [u8; 16],
    seq: u64,
    now_ms: u64,
) -> Result<Vec<(u64, Vec<u8>)>, sqlx::Error> {
    let rows: Vec<(i64, Vec<u8>)> = query_as(
        "SELECT seq, message FROM mail WHERE mailbox = ? AND seq > ? AND expires_ms > ? ORDER BY seq",
    )
    .bind(mailbox.as_slice())
    .bind(stored(seq))
    .bind(stored(now_ms))
    .fetch_all(pool)
    .await?;
    Ok(rows.into_iter().map(|(seq, message)| (read(seq), message)).collect())
}

pub(super) async fn purge(
    tx: &mut SqliteConnection,
    now_ms: u64,
    messages_before_ms: u64,
) -> Result<u64, sqlx::Error> {
    let mut gone = 0;
    for (statement, before) in [
        ("DELETE FROM sessions WHERE expires_ms <= ?", now_ms),
        ("DELETE FROM mail WHERE expires_ms <= ?", now_ms),
        ("DELETE FROM invites WHERE expires_ms <= ?", now_ms),
        ("DELETE FROM messages WHERE at_ms < ?", messages_before_ms),
    ] {
        gone += query(statement).bind(stored(before)).execute(&mut *tx).await?.rows_affected();
    }
    Ok(gone)
}
