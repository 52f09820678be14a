//! Leave to join a camera's room: checked against the signed list, written down, then granted.

use std::time::{Duration, SystemTime};

use latchkey_api::audit::AuditKind;
use latchkey_api::device_list::Role;
use latchkey_api::id::DeviceId;
use latchkey_api::session::SessionScope;
use latchkey_wire::grant::{Grant, MAX_LIFETIME, Scope};
use latchkey_wire::id::RoomId;

use crate::access::{Standing, valid_until};
use crate::audit::AuditEntry;
use crate::clock::unix_millis;
use crate::names::{handle_of, room_of};
use crate::signaling::{Caller, Signaling};
use crate::store::{Store, StoreError};

/// What the caller takes to the relay's door.
#[derive(Clone, PartialEq, Eq)]
pub struct GrantedSession {
    /// The camera's room.
    pub room: RoomId,
    /// The signed grant.
    pub grant: String,
    /// Until when it opens the door.
    pub expires_at: SystemTime,
}

impl<S: Store> Signaling<S> {
    /// Grants leave to publish or view a camera, after the audit chain has it. `random` must be fresh.
    ///
    /// # Errors
    /// [`SessionRefused`]; without a written audit row there is no grant.
    pub async fn open_session(
        &self,
        caller: &Caller,
        camera: DeviceId,
        scope: SessionScope,
        random: [u8; 16],
        now: SystemTime,
    ) -> Result<GrantedSession, SessionRefused> {
        let standing = Standing::of(caller.list(), caller.device(), camera);
        let (allowed, kind, scope) = match scope {
            SessionScope::Publish => (standing.publishes, AuditKind::PublishGranted, Scope::Publish),
            SessionScope::View => (standing.views, AuditKind::ViewGranted, Scope::View),
        };
        let until = valid_until(caller.entry(), now).filter(|_| allowed).ok_or(SessionRefused::NotAllowed)?;
        let household = caller.household_id();
        let audit = AuditEntry {
            kind,
            actor: Some(caller.device()),
            subject: Some(camera),
            detail: 0,
            at_ms: unix_millis(now),
        };
        self.store.append_audit(household, audit).await?;
        let longest = now + self.policy.longest_session;
        let session_expires_at = until.map_or(longest, |until| until.min(longest));
        let room = room_of(&household, &camera);
        let grant = Grant {
            audience: self.policy.relay_audience.clone(),
            room,
            scopes: vec![scope],
            device: handle_of(&household, &caller.device()),
            token_id: random,
            issued_at: now,
            expires_at: now + GRANT_LIFETIME,
            session_expires_at,
        };
        let signed = self.grants.sign(&grant).map_err(|_| SessionRefused::Signing)?;
        Ok(GrantedSession { room, grant: signed, expires_at: grant.expires_at })
    }

    /// The cameras that the caller is or may see, with their rooms.
    #[must_use]
    pub fn cameras(&self, caller: &Caller) -> Vec<(DeviceId, RoomId)> {
        let household = caller.household_id();
        let list = caller.list();
        list.devices
            .iter()
            .filter(|entry| entry.role == Role::Camera)
            .filter(|entry| {
                let standing = Standing::of(list, caller.device(), entry.device);
                standing.publishes || standing.views
            })
            .map(|entry| (entry.device, room_of(&household, &entry.device)))
            .collect()
    }
}

/// Why no grant was cut.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SessionRefused {
    /// The caller's: the list has no such camera, or not this right on it.
    #[error("the signed device list does not let this device do that with such a camera")]
    NotAllowed,
    /// Ours: the grant could not be signed.
    #[error("the grant could not be signed")]
    Signing,
    /// Ours.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// As long as a grant may live at most.
const GRANT_LIFETIME: Duration = MAX_LIFETIME;
