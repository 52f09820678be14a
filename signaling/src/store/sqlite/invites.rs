//! Rows of invite codes.

use latchkey_signaling_core::store::{Invitation, NewInvite};
use sqlx::sqlite::SqliteConnection;
use sqlx::{query, query_as};
use subtle::ConstantTimeEq as _;

use crate::store::sqlite::stored;

pub(super) async fn put(tx: &mut SqliteConnection, new: NewInvite) -> Result<(), sqlx::Error> {
    query("INSERT INTO invites (name, hash, uses, expires_ms) VALUES (?, ?, ?, ?)")
        .bind(new.name.as_slice())
        .bind(new.hash.as_slice())
        .bind(i64::from(new.uses))
        .bind(stored(new.expires_ms))
        .execute(tx)
        .await?;
    Ok(())
}

/// Uses a code up once and returns true, if none is needed or it is good.
pub(super) async fn admits(tx: &mut SqliteConnection, invitation: Invitation) -> Result<bool, sqlx::Error> {
    let used = match invitation {
        Invitation::NotAsked => return Ok(true),
        Invitation::Missing => return Ok(false),
        Invitation::Brought(used) => used,
    };
    let kept: Option<(Vec<u8>,)> =
        query_as("SELECT hash FROM invites WHERE name = ? AND uses > 0 AND expires_ms > ?")
            .bind(used.name.as_slice())
            .bind(stored(used.at_ms))
            .fetch_optional(&mut *tx)
            .await?;
    let good = kept.is_some_and(|(hash,)| bool::from(hash.ct_eq(&used.hash)));
    if good {
        query("UPDATE invites SET uses = uses - 1 WHERE name = ?")
            .bind(used.name.as_slice())
            .execute(tx)
            .await?;
    }
    Ok(good)
}
